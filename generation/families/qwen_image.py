"""Qwen-Image in diffusers' folder layout: text-to-image, image-to-image, in-painting.

Its texts differ in length. A forward of several rows pads each to a bucket, never to the longest of them:
else a neighbor's prompt would change a picture's bits. A picture alone is not padded, as in diffusers.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
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
from generation.families.latents import sampled
from generation.job import ImageRequest

_PARTS = {
    "tokenizer": "transformers.Qwen2Tokenizer",
    "text_encoder": "transformers.Qwen2_5_VLForConditionalGeneration",
    "transformer": "diffusers.QwenImageTransformer2DModel",
    "vae": "diffusers.AutoencoderKLQwenImage",
}
_TEXT_TOKENS = 1024
_BUCKET = 64  # tokens


class QwenImageFamily:
    """Folders that `QwenImagePipeline.from_pretrained` reads."""

    uses: ClassVar[tuple[str, ...]] = ()

    def load(self, card: ModelCard, *, device: str) -> LoadedQwenImage:
        """See `Family.load`."""
        parts = load_parts(card, _PARTS, device=device, dtype=flow_dtype(device))
        if parts["transformer"].config.in_channels != 4 * parts["vae"].config.z_dim:
            raise ModelLoadError(card.id, "transformer: sees more than latents; use the family 'pipeline'")
        import diffusers  # noqa: PLC0415 - heavy, and only after `load_parts` made it quiet

        pipeline: Any = diffusers.QwenImagePipeline
        return LoadedQwenImage(card, parts, pipeline(**parts))


class LoadedQwenImage(LoadedFlowModel):
    """See `LoadedModel`."""

    def read(self, text: str) -> Words:
        """(1, tokens, width), as long as the text."""
        embeddings, _ = self.pipeline.encode_prompt(prompt=text, max_sequence_length=_TEXT_TOKENS)
        ignored = len(self.parts["tokenizer"](text).input_ids) - _TEXT_TOKENS
        return Words(tensors=(embeddings,), ignored=max(0, ignored))

    def guided(self, request: ImageRequest) -> bool:
        """Classifier-free guidance above 1; diffusers calls it `true_cfg_scale` here."""
        return request.guidance_scale > 1.0

    def timestep_options(self, request: ImageRequest) -> dict[str, object]:
        """Even levels, moved by the picture's number of tokens."""
        steps = request.num_inference_steps
        tokens = (request.height // 16) * (request.width // 16)
        return {
            "sigmas": np.linspace(1.0, 1 / steps, steps),
            "mu": shift_of(self.parts["scheduler"], tokens),
        }

    @property
    def channels(self) -> int:
        """Of the latents."""
        channels: int = self.vae.config.z_dim
        return channels

    def pack(self, latents: torch.Tensor) -> torch.Tensor:
        """A token for each patch of 2x2."""
        return pack_patches(latents)

    def unpack(self, latents: torch.Tensor, request: ImageRequest) -> torch.Tensor:
        """The reverse of `pack`."""
        return unpack_patches(latents, request)

    def text_key(self, row: FlowRow) -> Hashable:
        """The buckets of both texts."""
        return tuple(_bucket(words[0].shape[1]) for words in (row.words, row.without) if words)

    def predict(self, rows: Sequence[FlowRow]) -> list[torch.Tensor]:
        """One forward, with guidance a second one for the negative prompts."""
        within = self._forward(rows, [row.words[0] for row in rows])
        if not rows[0].guided:
            return within
        directions = []
        without = self._forward(rows, [row.without[0] for row in rows if row.without])
        for row, positive, negative in zip(rows, within, without, strict=True):
            combined = negative + row.request.guidance_scale * (positive - negative)
            wanted = torch.norm(positive, dim=-1, keepdim=True)
            directions.append(combined * (wanted / torch.norm(combined, dim=-1, keepdim=True)))
        return directions

    def _forward(self, rows: Sequence[FlowRow], texts: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        latents = torch.cat([row.latents for row in rows])
        request = rows[0].request
        mask = None
        if len(rows) > 1:
            length = _bucket(texts[0].shape[1])
            lengths = torch.tensor([text.shape[1] for text in texts], device=latents.device)
            mask = torch.arange(length, device=latents.device)[None] < lengths[:, None]
            texts = [torch.nn.functional.pad(text, (0, 0, 0, length - text.shape[1])) for text in texts]
        scales = [row.request.guidance_scale for row in rows]
        guidance = torch.tensor(scales, device=latents.device, dtype=torch.float32)
        predicted: torch.Tensor = self.transformer(
            hidden_states=latents,
            timestep=torch.stack([row.time for row in rows]).to(latents.dtype) / 1000,
            guidance=guidance if self.transformer.config.guidance_embeds else None,
            encoder_hidden_states=torch.cat(list(texts)),
            encoder_hidden_states_mask=mask,
            img_shapes=[[(1, request.height // 16, request.width // 16)]] * len(rows),
            return_dict=False,
        )[0]
        return list(predicted.chunk(len(rows)))

    def encode_picture(self, values: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """See `LoadedFlowModel.encode_picture`; this autoencoder reads films: here of one frame."""
        film = values.unsqueeze(2).to(self.vae.device, self.vae.dtype)
        clean = sampled(self.vae.encode(film), generator)
        mean, inverse_std = self._statistics(clean)
        latents: torch.Tensor = ((clean - mean) * inverse_std)[:, :, 0]
        return latents.to(self._like)

    def decode_latents(self, latents: torch.Tensor) -> torch.Tensor:
        """See `LoadedFlowModel.decode_latents`."""
        film = latents.unsqueeze(2).to(self.vae.dtype)
        mean, inverse_std = self._statistics(film)
        picture: torch.Tensor = self.vae.decode(film / inverse_std + mean, return_dict=False)[0][:, :, 0]
        return picture

    def _statistics(self, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        config = self.vae.config
        shape = (1, config.z_dim, 1, 1, 1)
        mean = torch.tensor(config.latents_mean).view(shape).to(like)
        inverse_std = 1.0 / torch.tensor(config.latents_std).view(shape).to(like)
        return mean, inverse_std


def _bucket(tokens: int) -> int:
    return -(-tokens // _BUCKET) * _BUCKET
