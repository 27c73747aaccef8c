"""Model families, one self-contained file each, found by name and imported only when a model is loaded."""

from __future__ import annotations

import importlib
from collections.abc import Mapping

from generation.errors import ModelLoadError
from generation.families.base import Family, InFlight, Service

FAMILIES: Mapping[str, str] = {
    "flux": "generation.families.flux:FluxFamily",
    "openai_images": "generation.families.openai_images:OpenAIImagesFamily",
    "pipeline": "generation.families.pipeline:PipelineFamily",
    "qwen_image": "generation.families.qwen_image:QwenImageFamily",
    "stable_diffusion": "generation.families.stable_diffusion:StableDiffusionFamily",
    "stable_diffusion_3": "generation.families.stable_diffusion_3:StableDiffusion3Family",
    "stable_diffusion_xl": "generation.families.stable_diffusion_xl:StableDiffusionXLFamily",
    "sticker": "generation.families.sticker:StickerFamily",
    "z_image": "generation.families.z_image:ZImageFamily",
}
"""Name in a model card -> "module:class". A new family is one file and one line here."""


ABILITIES: Mapping[str, frozenset[str]] = {
    name: frozenset({"img2img"} if name == "sticker" else {"img2img", "inpaint"}) for name in FAMILIES
}
"""What the models of a family can do besides text-to-image; a card may name fewer."""

SERVED = frozenset({"openai_images"})
"""Families whose pictures an image server draws: their cards name a server in place of a folder."""

TAKE_LORAS = frozenset(FAMILIES) - {"sticker"} - SERVED
"""Families whose cards may name LoRAs."""

TOOLS: Mapping[str, str] = {"upscale": "generation.upscaling:UpscaleFamily"}
"""What runs as a model does and draws nothing of its own, so that no card in a catalog may name it."""


def open_family(name: str, **services: Service) -> Family[InFlight]:
    """Import the family called `name` and build it with those of `services` that it uses.

    Raises:
        ModelLoadError: there is no such family, or a library that it needs cannot be imported.
    """
    try:
        module_name, class_name = {**FAMILIES, **TOOLS}[name].split(":")
    except KeyError:
        raise ModelLoadError(name, f"unknown family; known are {', '.join(sorted(FAMILIES))}") from None
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise ModelLoadError(name, f"its library is not installed: {error.name or error}") from error
    family_class = getattr(module, class_name)
    family: Family[InFlight] = family_class(
        **{key: service for key, service in services.items() if key in family_class.uses}
    )
    return family
