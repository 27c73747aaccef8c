"""Stable Diffusion XL in diffusers' folder layout: text-to-image, image-to-image, in-painting.

The loop is Stable Diffusion's; what differs are two text encoders, and the pooled text and the sizes that the
U-Net is told besides (Podell et al., arXiv:2307.01952, section 2.2).
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, ClassVar

import torch

from generation.card import ModelCard
from generation.errors import ModelLoadError
from generation.families.diffusion_folder import Components, load_components, read_index
from generation.families.latents import readable
from generation.families.lora import merge_loras
from generation.families.stable_diffusion import LoadedStableDiffusion
from generation.families.unet_rows import Conditions
from generation.job import ImageRequest

_MORE = {
    "tokenizer_2": "transformers.CLIPTokenizer",
    "text_encoder_2": "transformers.CLIPTextModelWithProjection",
}
_CACHED_PROMPTS = 64


class StableDiffusionXLFamily:
    """Folders that `StableDiffusionXLPipeline.from_pretrained` reads; not the refiner."""

    uses: ClassVar[tuple[str, ...]] = ()

    def load(self, card: ModelCard, *, device: str) -> LoadedStableDiffusionXL:
        """See `Family.load`."""
        index = read_index(card)
        if index.get("requires_aesthetics_score"):
            raise ModelLoadError(card.id, "a refiner cannot draw on its own; use the family 'pipeline'")
        components = load_components(card, device=device, more=_MORE)
        if card.loras:
            import diffusers  # noqa: PLC0415 - heavy, and only after `load_components` made it quiet

            pipeline: Any = diffusers.StableDiffusionXLPipeline
            merge_loras(card, pipeline(**components.as_parts(), add_watermarker=False))
        config = components.vae.config
        if getattr(config, "latents_mean", None) is not None:
            raise ModelLoadError(
                card.id, "vae: normalized latents are unknown here; use the family 'pipeline'"
            )
        if config.force_upcast:  # its values overflow float16
            components.vae.to(torch.float32)
        zeros = index.get("force_zeros_for_empty_prompt", True) is not False
        return LoadedStableDiffusionXL(card, components, zeros_for_empty=zeros)


class LoadedStableDiffusionXL(LoadedStableDiffusion):
    """See `LoadedModel`."""

    def __init__(self, card: ModelCard, components: Components, *, zeros_for_empty: bool) -> None:
        super().__init__(card, components)
        self._zeros_for_empty = zeros_for_empty
        self._read: OrderedDict[str, tuple[torch.Tensor, torch.Tensor, int]] = OrderedDict()

    def condition(self, request: ImageRequest, *, guided: bool) -> Conditions:
        """Encode the request's words, and tell the U-Net the sizes."""
        embeddings, pooled, ignored = self._encode_both(request.prompt)
        sizes = (request.height, request.width, 0, 0, request.height, request.width)
        time_ids = torch.tensor([sizes], dtype=embeddings.dtype, device=embeddings.device)
        if guided:
            if request.negative_prompt or not self._zeros_for_empty:
                without, pooled_without, _ = self._encode_both(request.negative_prompt)
            else:
                without, pooled_without = torch.zeros_like(embeddings), torch.zeros_like(pooled)
            embeddings = torch.cat([without, embeddings])
            pooled = torch.cat([pooled_without, pooled])
            time_ids = torch.cat([time_ids, time_ids])
        return Conditions(
            embeddings=embeddings, added={"text_embeds": pooled, "time_ids": time_ids}, ignored=ignored
        )

    def _encode_both(self, text: str) -> tuple[torch.Tensor, torch.Tensor, int]:
        """(1, tokens, width) of both encoders side by side, (1, width) pooled, and the tokens not read."""
        if text in self._read:
            self._read.move_to_end(text)
            return self._read[text]
        parts, words = self.components, readable(text)
        hidden: list[torch.Tensor] = []
        pooled = torch.empty(0)
        ignored = 0
        pairs: tuple[tuple[Any, Any], ...] = (
            (parts.tokenizer, parts.text_encoder),
            (parts.more["tokenizer_2"], parts.more["text_encoder_2"]),
        )
        for tokenizer, text_encoder in pairs:
            length = tokenizer.model_max_length
            tokens = tokenizer(
                words, padding="max_length", max_length=length, truncation=True, return_tensors="pt"
            )
            read = text_encoder(tokens.input_ids.to(parts.device), output_hidden_states=True)
            hidden.append(read.hidden_states[-2])  # the last but one layer, as the model was trained
            pooled = read[0]
            ignored = max(ignored, len(tokenizer(words).input_ids) - length)
        self._read[text] = torch.concat(hidden, dim=-1), pooled, ignored
        while len(self._read) > _CACHED_PROMPTS:
            self._read.popitem(last=False)
        return self._read[text]
