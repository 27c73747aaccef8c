"""Stable Diffusion 3 and 3.5 in diffusers' folder layout: text-to-image, image-to-image, in-painting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch

from generation.card import ModelCard
from generation.errors import ModelLoadError
from generation.families.diffusion_folder import load_parts
from generation.families.flow_matching import LoadedFlowModel
from generation.families.flow_rows import FlowRow, Words, flow_dtype, shift_of
from generation.families.unet_rows import row_times
from generation.job import ImageRequest

_PARTS = {
    "tokenizer": "transformers.CLIPTokenizer",
    "tokenizer_2": "transformers.CLIPTokenizer",
    "text_encoder": "transformers.CLIPTextModelWithProjection",
    "text_encoder_2": "transformers.CLIPTextModelWithProjection",
    "transformer": "diffusers.SD3Transformer2DModel",
    "vae": "diffusers.AutoencoderKL",
}
_LARGE_ENCODER = {
    "tokenizer_3": "transformers.T5TokenizerFast",
    "text_encoder_3": "transformers.T5EncoderModel",
}
_TEXT_TOKENS = 256  # that the large encoder reads, as diffusers' pipeline has it


class StableDiffusion3Family:
    """Folders that `StableDiffusion3Pipeline.from_pretrained` reads.

    The folders tokenizer_3/ and text_encoder_3/ may be missing: without the large text encoder the model
    needs far less memory, and follows long prompts less closely.
    """

    uses: ClassVar[tuple[str, ...]] = ()

    def load(self, card: ModelCard, *, device: str) -> LoadedStableDiffusion3:
        """See `Family.load`."""
        large = _LARGE_ENCODER if (card.folder / "text_encoder_3").is_dir() else {}
        parts = load_parts(card, {**_PARTS, **large}, device=device, dtype=flow_dtype(device))
        if parts["transformer"].config.in_channels != parts["vae"].config.latent_channels:
            raise ModelLoadError(card.id, "transformer: sees more than latents; use the family 'pipeline'")
        import diffusers  # noqa: PLC0415 - heavy, and only after `load_parts` made it quiet

        pipeline: Any = diffusers.StableDiffusion3Pipeline
        absent = dict.fromkeys(set(_LARGE_ENCODER) - set(large))
        return LoadedStableDiffusion3(card, parts, pipeline(**parts, **absent))


class LoadedStableDiffusion3(LoadedFlowModel):
    """See `LoadedModel`."""

    def read(self, text: str) -> Words:
        """(1, tokens, width) of all encoders, and (1, width) pooled."""
        embeddings, _, pooled, _ = self.pipeline.encode_prompt(
            prompt=text,
            prompt_2=None,
            prompt_3=None,
            do_classifier_free_guidance=False,
            max_sequence_length=_TEXT_TOKENS,
        )
        name, limit = ("tokenizer_3", _TEXT_TOKENS)
        if name not in self.parts:
            name, limit = ("tokenizer", self.pipeline.tokenizer_max_length)
        ignored = len(self.parts[name](text).input_ids) - limit
        return Words(tensors=(embeddings, pooled), ignored=max(0, ignored))

    def guided(self, request: ImageRequest) -> bool:
        """Classifier-free guidance above 1."""
        return request.guidance_scale > 1.0

    def timestep_options(self, request: ImageRequest) -> dict[str, object]:
        """Steps, and the shift where the scheduler asks for one."""
        options: dict[str, object] = {"num_inference_steps": request.num_inference_steps}
        if self.parts["scheduler"].config.get("use_dynamic_shifting"):
            patch = 8 * self.transformer.config.patch_size
            tokens = (request.height // patch) * (request.width // patch)
            options["mu"] = shift_of(self.parts["scheduler"], tokens)
        return options

    def predict(self, rows: Sequence[FlowRow]) -> list[torch.Tensor]:
        """One forward: each row, preceded by its negative prompt's row where there is guidance."""
        width = 2 if rows[0].guided else 1
        latents = torch.cat([row.latents for row in rows for _ in range(width)])
        if len(rows) > 1:
            latents = latents.contiguous()  # else a neighbor's strides could choose the arithmetic
        times = [row.time for row in rows]
        words = [words for row in rows for words in (row.without, row.words) if words is not None]
        predicted: torch.Tensor = self.transformer(
            hidden_states=latents,
            timestep=times[0].expand(width) if len(rows) == 1 else row_times(times, width),
            encoder_hidden_states=torch.cat([embeddings for embeddings, _ in words]),
            pooled_projections=torch.cat([pooled for _, pooled in words]),
            return_dict=False,
        )[0]
        if width == 1:
            return list(predicted.chunk(len(rows)))
        directions = []
        for row, own in zip(rows, predicted.chunk(len(rows)), strict=True):
            without, within = own.chunk(2)
            directions.append(without + row.request.guidance_scale * (within - without))
        return directions
