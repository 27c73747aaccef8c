"""Model families, one self-contained file each, found by name and imported only when a model is loaded."""

from __future__ import annotations

import importlib
from collections.abc import Mapping

from generation.errors import ModelLoadError
from generation.families.base import Family, InFlight, Service

FAMILIES: Mapping[str, str] = {
    "stable_diffusion": "generation.families.stable_diffusion:StableDiffusionFamily",
    "sticker": "generation.families.sticker:StickerFamily",
}
"""Name in a model card -> "module:class". A new family is one file and one line here."""


def open_family(name: str, **services: Service) -> Family[InFlight]:
    """Import the family called `name` and build it with those of `services` that it uses.

    Raises:
        ModelLoadError: there is no such family, or a library that it needs cannot be imported.
    """
    try:
        module_name, class_name = FAMILIES[name].split(":")
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
