"""FLUX.1 (dev, schnell, their kin) in diffusers' folder layout: text-to-image, image-to-image, in-painting.

The guidance is distilled: dev models take it as a number, schnell takes none; neither reads negative prompts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch

from generation.card import ModelCard
from generation.errors import ModelLoadError
from generation.families.diffusion_folder import load_parts
from generation.families.flow_matching import LoadedFlowModel
from generation.families.flow_rows import (
    FlowRow,
    Words,
    flow_dtype,
    pack_patches,
    shift_of,
    unpack_patches,
)
from generation.job import ImageRequest

_PARTS = {
    "tokenizer": "transformers.CLIPTokenizer",
    "tokenizer_2": "transformers.T5TokenizerFast",
    "text_encoder": "transformers.CLIPTextModel",
    "text_encoder_2": "transformers.T5EncoderModel",
    "transformer": "diffusers.FluxTransformer2DModel",
    "vae": "diffusers.AutoencoderKL",
}
_TEXT_TOKENS = 512  # that dev reads; schnell's cards say `text_tokens = 256`


class FluxFamily:
    """Folders that `FluxPipeline.from_pretrained` reads."""

    uses: ClassVar[tuple[str, ...]] = ()

    def load(self, card: ModelCard, *, device: str) -> LoadedFlux:
        """See `Family.load`."""
        parts = load_parts(card, _PARTS, device=device, dtype=flow_dtype(device))
        if parts["transformer"].config.in_channels != 4 * parts["vae"].config.latent_channels:
            raise ModelLoadError(card.id, "transformer: sees more than latents; use the family 'pipeline'")
        import diffusers  # noqa: PLC0415 - heavy, and only after `load_parts` made it quiet

        pipeline: Any = diffusers.FluxPipeline
        return LoadedFlux(card, parts, pipeline(**parts))


class LoadedFlux(LoadedFlowModel):
    """See `LoadedModel`."""

    def read(self, text: str) -> Words:
        """(1, tokens, width) of the large encoder, (1, width) pooled of the small one."""
        limit = int(self.card.options.get("text_tokens", _TEXT_TOKENS))
        embeddings, pooled, _ = self.pipeline.encode_prompt(prompt=text, max_sequence_length=limit)
        ignored = len(self.parts["tokenizer_2"](text).input_ids) - limit
        return Words(tensors=(embeddings, pooled), ignored=max(0, ignored))

    def guided(self, request: ImageRequest) -> bool:
        """Never: the guidance is distilled."""
        del request
        return False

    def timestep_options(self, request: ImageRequest) -> dict[str, object]:
        """Even levels, moved by the picture's number of tokens."""
        steps = request.num_inference_steps
        tokens = (request.height // 16) * (request.width // 16)
        return {
            "sigmas": np.linspace(1.0, 1 / steps, steps),
            "mu": shift_of(self.parts["scheduler"], tokens),
        }

    def pack(self, latents: torch.Tensor) -> torch.Tensor:
        """A token for each patch of 2x2."""
        return pack_patches(latents)

    def unpack(self, latents: torch.Tensor, request: ImageRequest) -> torch.Tensor:
        """The reverse of `pack`."""
        return unpack_patches(latents, request)

    def predict(self, rows: Sequence[FlowRow]) -> list[torch.Tensor]:
        """One forward; each row has its own time and guidance, all share the positions."""
        latents = torch.cat([row.latents for row in rows])
        embeddings = torch.cat([row.words[0] for row in rows])
        scales = [row.request.guidance_scale for row in rows]
        guidance = torch.tensor(scales, device=latents.device, dtype=torch.float32)
        request = rows[0].request
        predicted: torch.Tensor = self.transformer(
            hidden_states=latents,
            timestep=torch.stack([row.time for row in rows]).to(latents.dtype) / 1000,
            guidance=guidance if self.transformer.config.guidance_embeds else None,
            pooled_projections=torch.cat([row.words[1] for row in rows]),
            encoder_hidden_states=embeddings,
            txt_ids=torch.zeros((embeddings.shape[1], 3), device=latents.device, dtype=latents.dtype),
            img_ids=_positions(request.height // 16, request.width // 16).to(latents),
            return_dict=False,
        )[0]
        return list(predicted.chunk(len(rows)))


def _positions(height: int, width: int) -> torch.Tensor:
    """(height * width, 3): 0, row, column of each token."""
    grid = torch.zeros((height, width, 3))
    grid[..., 1] += torch.arange(height)[:, None]
    grid[..., 2] += torch.arange(width)[None, :]
    return grid.reshape(-1, 3)
