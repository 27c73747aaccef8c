"""Z-Image and Z-Image-Turbo in diffusers' folder layout: text-to-image, image-to-image, in-painting.

The transformer takes lists of pictures and texts, and pads each text to a multiple of 32 tokens by itself.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, ClassVar

import torch

from generation.card import ModelCard
from generation.errors import ModelLoadError
from generation.families.diffusion_folder import load_parts
from generation.families.flow_matching import LoadedFlowModel
from generation.families.flow_rows import FlowRow, Words, flow_dtype, shift_of
from generation.job import ImageRequest

_PARTS = {
    "tokenizer": "transformers.Qwen2Tokenizer",
    "text_encoder": "transformers.Qwen3Model",
    "transformer": "diffusers.ZImageTransformer2DModel",
    "vae": "diffusers.AutoencoderKL",
}
_TEXT_TOKENS = 512
_BUCKET = 32  # tokens


class ZImageFamily:
    """Folders that `ZImagePipeline.from_pretrained` reads."""

    uses: ClassVar[tuple[str, ...]] = ()

    def load(self, card: ModelCard, *, device: str) -> LoadedZImage:
        """See `Family.load`."""
        parts = load_parts(card, _PARTS, device=device, dtype=flow_dtype(device))
        if parts["transformer"].in_channels != parts["vae"].config.latent_channels:
            raise ModelLoadError(card.id, "transformer: sees more than latents; use the family 'pipeline'")
        import diffusers  # noqa: PLC0415 - heavy, and only after `load_parts` made it quiet

        pipeline: Any = diffusers.ZImagePipeline
        return LoadedZImage(card, parts, pipeline(**parts))


class LoadedZImage(LoadedFlowModel):
    """See `LoadedModel`."""

    def __init__(self, card: ModelCard, parts: Mapping[str, Any], pipeline: Any) -> None:  # noqa: ANN401
        super().__init__(card, parts, pipeline)
        self._like = self._like.float()  # its latents stay float32 whatever the weights are

    def read(self, text: str) -> Words:
        """(tokens, width), as long as the text."""
        embeddings, _ = self.pipeline.encode_prompt(
            prompt=text, do_classifier_free_guidance=False, max_sequence_length=_TEXT_TOKENS
        )
        ignored = len(self.parts["tokenizer"](text).input_ids) - _TEXT_TOKENS
        return Words(tensors=(embeddings[0],), ignored=max(0, ignored))

    def guided(self, request: ImageRequest) -> bool:
        """Classifier-free guidance above 0, as this model counts it; the turbo model needs none."""
        return request.guidance_scale > 0

    def timestep_options(self, request: ImageRequest) -> dict[str, object]:
        """Even levels, moved by the picture's number of tokens."""
        steps = request.num_inference_steps
        tokens = (request.height // 16) * (request.width // 16)
        return {
            "sigmas": torch.linspace(1.0, 1 / steps, steps).tolist(),
            "mu": shift_of(self.parts["scheduler"], tokens),
        }

    def text_key(self, row: FlowRow) -> Hashable:
        """The padded lengths of both texts."""
        return tuple(-(-len(words[0]) // _BUCKET) for words in (row.words, row.without) if words)

    def predict(self, rows: Sequence[FlowRow]) -> list[torch.Tensor]:
        """One forward: all rows, and with guidance all rows again with their negative prompts."""
        turns = 2 if rows[0].guided else 1
        pictures = [row.latents[0].to(self.transformer.dtype).unsqueeze(1) for row in rows]
        times = torch.stack([(1000 - row.time) / 1000 for row in rows]).repeat(turns)
        texts = [row.words[0] for row in rows]
        texts += [row.without[0] for row in rows if row.without]
        predicted: list[torch.Tensor] = self.transformer(pictures * turns, times, texts, return_dict=False)[0]
        directions = []
        for place, row in enumerate(rows):
            own = predicted[place].float()
            if row.guided:
                own = own + row.request.guidance_scale * (own - predicted[len(rows) + place].float())
            directions.append(-own[None].squeeze(2))
        return directions
