"""The loop of the transformers trained by flow matching: SD3, FLUX, Qwen-Image, Z-Image.

The scheduler walks straight lines from noise (sigma 1) to a picture (sigma 0); the model predicts their
direction (Esser et al., arXiv:2403.03206). A family adds how it reads words, how it calls its transformer,
and how its latents are laid out. The arithmetic follows diffusers' pipelines operation by operation, so that
a picture alone has the same bits as theirs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import torch

from generation.card import ModelCard
from generation.errors import ModelLoadError, RequestLimitError
from generation.families.base import Decoded, Mask, Pixels
from generation.families.flow_rows import FlowRow, Words
from generation.families.latents import (
    Kept,
    check_edges,
    draw_noise,
    fit_colors,
    mask_values,
    picture_values,
    readable,
    sampled,
    shapes_of,
    shrink_mask,
    small_picture,
    tensor_sha256,
    to_pixels,
)
from generation.families.lora import lora_facts, merge_loras
from generation.families.noise_schedulers import (
    FLOW_NAMES,
    config_sha256,
    make_noise_scheduler,
    takes_generator,
)
from generation.job import ImageRequest

_DEFAULT_STRENGTH = 0.6  # as diffusers' pipelines of these families have it
_INPAINT_STRENGTH = 0.85
_CACHED_PROMPTS = 64


class LoadedFlowModel(ABC):
    """See `LoadedModel`."""

    edge_multiple = 16  # pixels: the autoencoder shrinks by 8, and a patch is two latents wide

    def __init__(self, card: ModelCard, parts: Mapping[str, Any], pipeline: Any) -> None:  # noqa: ANN401
        """Take over loaded parts.

        Args:
            card: of the model.
            parts: folder -> part; at least "transformer", "vae" and "scheduler".
            pipeline: the diffusers pipeline of these parts, for what it knows about words.

        Raises:
            ModelLoadError: its noise scheduler does not match flows.
        """
        self.card = card
        self.parts = parts
        self.pipeline = pipeline
        merge_loras(card, pipeline)
        self.transformer = parts["transformer"]
        self.vae = parts["vae"]
        self._like = torch.empty(0, device=self.transformer.device, dtype=self.transformer.dtype)
        self._encoded: OrderedDict[str, Words] = OrderedDict()
        self._colors: torch.Tensor | None = None  # (channels + 1, 3)
        name = type(parts["scheduler"]).__name__
        if name not in FLOW_NAMES.values():
            raise ModelLoadError(card.id, f"scheduler: {name} is not a flow-matching scheduler")

    # --- what a family adds ---

    @abstractmethod
    def read(self, text: str) -> Words:
        """Encode a text; what is common is cached around it."""

    @abstractmethod
    def guided(self, request: ImageRequest) -> bool:
        """Whether the request needs the negative prompt in each step."""

    @abstractmethod
    def timestep_options(self, request: ImageRequest) -> dict[str, object]:
        """What the scheduler's `set_timesteps` gets besides the device."""

    @abstractmethod
    def predict(self, rows: Sequence[FlowRow]) -> list[torch.Tensor]:
        """The direction of each row, in the shape of its latents, guidance applied."""

    def pack(self, latents: torch.Tensor) -> torch.Tensor:
        """(1, c, h, w) latents as the transformer takes them."""
        return latents

    def unpack(self, latents: torch.Tensor, request: ImageRequest) -> torch.Tensor:
        """The reverse of `pack`."""
        del request
        return latents

    @property
    def channels(self) -> int:
        """Of the latents as the autoencoder gives them."""
        channels: int = self.vae.config.latent_channels
        return channels

    def text_key(self, row: FlowRow) -> Hashable:
        """What of the words must be equal for rows that share a forward."""
        return (shapes_of(*row.words), shapes_of(*row.without) if row.without else None)

    def encode_picture(self, values: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """(1, c, h, w) clean latents of a (1, 3, H, W) picture in -1..1."""
        clean = sampled(self.vae.encode(values.to(self.vae.device, self.vae.dtype)), generator)
        config = self.vae.config
        latents: torch.Tensor = (clean - config.shift_factor) * config.scaling_factor
        return latents.to(self._like)

    def decode_latents(self, latents: torch.Tensor) -> torch.Tensor:
        """The picture, (n, 3, H, W) in -1..1, of (n, c, h, w) latents."""
        config = self.vae.config
        placed = latents.to(self.vae.dtype) / config.scaling_factor + config.shift_factor
        picture: torch.Tensor = self.vae.decode(placed, return_dict=False)[0]
        return picture

    # --- the loop ---

    @torch.inference_mode()
    def prepare(
        self, request: ImageRequest, *, index: int, source: Pixels | None, mask: Mask | None = None
    ) -> FlowRow:
        """See `LoadedModel.prepare`."""
        check_edges(request, self.edge_multiple)
        generator = torch.Generator("cpu").manual_seed(request.seed + index)
        noise_scheduler: Any = make_noise_scheduler(
            self.parts["scheduler"], request.noise_scheduler, names=FLOW_NAMES
        )
        if request.num_inference_steps == 1:
            noise_scheduler.register_to_config(shift_terminal=None)  # stretching one level divides 0 by 0
        try:
            noise_scheduler.set_timesteps(device=self._like.device, **self.timestep_options(request))
        except ValueError as error:
            raise RequestLimitError(
                field="num_inference_steps", value=request.num_inference_steps, limit=str(error)
            ) from error
        start = 0 if source is None else self._start_step(request, inpaints=mask is not None)
        noise_scheduler.set_begin_index(start)
        timesteps = noise_scheduler.timesteps[start:]
        height, width = request.height // 8, request.width // 8
        kept = None
        if source is None:
            latents = self.pack(draw_noise((1, self.channels, height, width), generator, self._like))
        else:
            values = picture_values(source, request)
            clean = self.encode_picture(values, generator)
            noise = draw_noise((1, self.channels, height, width), generator, self._like)
            latents = self.pack(noise_scheduler.scale_noise(clean, timesteps[:1], noise))
            if mask is not None:
                small = shrink_mask(mask_values(mask, request), height, width).to(self._like)
                kept = Kept(
                    mask=self.pack(small.repeat(1, self.channels, 1, 1)),
                    clean=self.pack(clean),
                    noise=self.pack(noise),
                )
        words = self._encode(request.prompt)
        return FlowRow(
            request=request,
            noise_scheduler=noise_scheduler,
            timesteps=timesteps,
            levels=noise_scheduler.sigmas[start:],
            words=words.tensors,
            without=self._encode(request.negative_prompt).tensors if self.guided(request) else None,
            latents=latents,
            step_options={"generator": generator} if takes_generator(noise_scheduler) else {},
            note=self._note(request, words),
            kept=kept,
        )

    def compatibility(self, row: FlowRow) -> Hashable:
        """See `LoadedModel.compatibility`. The size counts, not the area: it gives the positions."""
        size = (row.request.height, row.request.width)
        return (size, shapes_of(row.latents), self.text_key(row), row.guided)

    @torch.inference_mode()
    def denoise(self, rows: Sequence[FlowRow], *, pad_to: int | None = None) -> None:
        """See `LoadedModel.denoise`."""
        if pad_to is not None:
            for row in rows:  # an img2img's strides would choose the arithmetic of a forward of one row
                row.latents = row.latents.contiguous()
        filled = [*rows, *[rows[0]] * max(0, (pad_to or 0) - len(rows))]
        for row, direction in zip(rows, self.predict(filled), strict=False):
            row.foreseen = row.latents - row.levels[row.step] * direction
            row.latents = row.noise_scheduler.step(
                direction, row.time, row.latents, **row.step_options, return_dict=False
            )[0]
            row.step += 1
            if row.kept is not None:
                kept = row.kept.clean
                if row.step < row.steps:
                    level = row.timesteps[row.step : row.step + 1]
                    kept = row.noise_scheduler.scale_noise(kept, level, row.kept.noise)
                row.latents = row.kept.blend(row.latents, kept)

    @torch.inference_mode()
    def preview(self, row: FlowRow) -> Pixels | None:
        """See `LoadedModel.preview`: the foreseen latents, mapped to color by a linear fit of the decoder."""
        if self._colors is None:
            self._colors = fit_colors(self.decode_latents, channels=self.channels, like=self._like)
        latents = row.latents if row.foreseen is None else row.foreseen
        return small_picture(self.unpack(latents, row.request)[0], self._colors)

    @torch.inference_mode()
    def decode(self, row: FlowRow) -> Decoded:
        """See `LoadedModel.decode`."""
        picture = self.decode_latents(self.unpack(row.latents, row.request))
        return Decoded(pixels=to_pixels(picture), note=row.note)

    def facts(self, row: FlowRow) -> Mapping[str, str | int | float | bool | None]:
        """See `LoadedModel.facts`."""
        return {
            "noise_scheduler": type(row.noise_scheduler).__name__,
            "noise_scheduler_sha256": config_sha256(row.noise_scheduler),
            "dtype": str(self._like.dtype).removeprefix("torch."),
            "embeddings_sha256": tensor_sha256(*row.words, *(row.without or ())),
            "latents_sha256": tensor_sha256(row.latents),
            **lora_facts(self.card),
        }

    def _encode(self, text: str) -> Words:
        if text in self._encoded:
            self._encoded.move_to_end(text)
            return self._encoded[text]
        self._encoded[text] = words = self.read(readable(text))
        while len(self._encoded) > _CACHED_PROMPTS:
            self._encoded.popitem(last=False)
        return words

    def _note(self, request: ImageRequest, words: Words) -> str | None:
        notes = []
        if words.ignored > 0:
            notes.append(f"The model does not read the last {words.ignored} tokens of this prompt.")
        if request.negative_prompt.strip() and not self.guided(request):
            notes.append("The negative prompt was not read: this model needs guidance for that.")
        return " ".join(notes) or None

    def _start_step(self, request: ImageRequest, *, inpaints: bool) -> int:
        """How many of the steps are left out: all but the share `strength` of them, never the last."""
        strength = request.strength
        if strength is None:
            name, default = (
                ("inpaint_strength", _INPAINT_STRENGTH) if inpaints else ("strength", _DEFAULT_STRENGTH)
            )
            strength = float(self.card.options.get(name, default))
        steps = request.num_inference_steps
        return min(int(max(steps - min(steps * strength, steps), 0)), steps - 1)
