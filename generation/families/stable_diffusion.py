"""Stable Diffusion 1 and 2 in diffusers' folder layout: text-to-image and image-to-image.

The arithmetic follows `StableDiffusionPipeline` and `StableDiffusionImg2ImgPipeline` operation by operation,
so that a picture alone has the same bits as theirs; only the loop is turned inside out.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, ClassVar

import torch

from generation.card import ModelCard
from generation.errors import RequestLimitError
from generation.families.base import Decoded, Mask, Pixels
from generation.families.diffusion_folder import Components, load_components
from generation.families.latents import (
    Kept,
    check_edges,
    draw_noise,
    fit_colors,
    mask_values,
    picture_values,
    readable,
    sampled,
    shrink_mask,
    small_picture,
    tensor_sha256,
    to_pixels,
)
from generation.families.lora import lora_facts, merge_loras
from generation.families.noise_schedulers import (
    NoiseScheduler,
    config_sha256,
    make_noise_scheduler,
    takes_generator,
)
from generation.families.row_layers import RowLayers
from generation.families.unet_rows import (
    Conditions,
    DiffusionRow,
    advance,
    guidance_embedding,
    model_input,
    row_times,
)
from generation.job import ImageRequest

_DEFAULT_STRENGTH = 0.8  # as diffusers' img2img has it
_INPAINT_STRENGTH = 1.0
_CACHED_PROMPTS = 64
_INPAINTING_CHANNELS = 9  # of a U-Net that sees the masked source: 4 + the mask + 4


class StableDiffusionFamily:
    """Folders that `StableDiffusionPipeline.from_pretrained` reads."""

    uses: ClassVar[tuple[str, ...]] = ()

    def load(self, card: ModelCard, *, device: str) -> LoadedStableDiffusion:
        """See `Family.load`."""
        components = load_components(card, device=device)
        if card.loras:
            import diffusers  # noqa: PLC0415 - heavy, and only after `load_components` made it quiet

            pipeline: Any = diffusers.StableDiffusionPipeline
            none = dict.fromkeys(("safety_checker", "feature_extractor"))
            merge_loras(card, pipeline(**components.as_parts(), **none, requires_safety_checker=False))
        return LoadedStableDiffusion(card, components)


class LoadedStableDiffusion:
    """See `LoadedModel`. Other families of this layout may build on it."""

    def __init__(self, card: ModelCard, components: Components) -> None:
        self.card = card
        self.components = components
        self._scale = 2 ** (len(components.vae.config.block_out_channels) - 1)  # pixels per latent
        self._encoded: OrderedDict[str, tuple[torch.Tensor, int]] = OrderedDict()
        self._color_map: torch.Tensor | None = None  # (channels + 1, 3)
        self._row_layers = RowLayers(components.unet)

    @torch.inference_mode()
    def prepare(
        self, request: ImageRequest, *, index: int, source: Pixels | None, mask: Mask | None = None
    ) -> DiffusionRow:
        """See `LoadedModel.prepare`."""
        check_edges(request, self._scale)
        guidance_width = self.components.unet.config.time_cond_proj_dim  # None unless it is a distilled model
        conditions = self.condition(request, guided=request.guidance_scale > 1.0 and guidance_width is None)
        generator = torch.Generator("cpu").manual_seed(request.seed + index)
        noise_scheduler = self._noise_scheduler(request)
        strength = 1.0 if source is None else self._strength(request, inpaints=mask is not None)
        start = self._start_step(request, strength) * noise_scheduler.order
        timesteps = noise_scheduler.timesteps[start:]
        if hasattr(noise_scheduler, "set_begin_index"):
            noise_scheduler.set_begin_index(start)  # spares a search that waits for the device
        row = DiffusionRow(
            noise_scheduler=noise_scheduler,
            timesteps=timesteps,
            embeddings=conditions.embeddings,
            added=conditions.added,
            guidance_scale=request.guidance_scale,
            guidance_embedding=guidance_embedding(request.guidance_scale, guidance_width).to(
                self.components.device, self.components.dtype
            )
            if guidance_width
            else None,
            latents=conditions.embeddings,  # a placeholder until the next lines
            step_options={"generator": generator} if takes_generator(noise_scheduler) else {},
            note=f"The model does not read the last {conditions.ignored} tokens of this prompt."
            if conditions.ignored
            else None,
        )
        sees_mask = self.components.unet.config.in_channels == _INPAINTING_CHANNELS
        if mask is not None or sees_mask:
            self._inpaint(row, request, generator, source=source, mask=mask, pure_noise=strength == 1.0)
        elif source is None:
            row.latents = self.noise(request, generator) * noise_scheduler.init_noise_sigma
        else:
            clean = self.encode_picture(picture_values(source, request), generator)
            row.latents = noise_scheduler.add_noise(clean, self.noise(request, generator), timesteps[:1])
        return row

    def condition(self, request: ImageRequest, *, guided: bool) -> Conditions:
        """Encode the request's words."""
        embeddings, ignored = self.encode(request.prompt)
        if guided:
            embeddings = torch.cat([self.encode(request.negative_prompt)[0], embeddings])
        return Conditions(embeddings=embeddings, ignored=ignored)

    def compatibility(self, row: DiffusionRow) -> Hashable:
        """See `LoadedModel.compatibility`. Guided rows fill two rows of a forward, others one."""
        return (tuple(row.latents.shape), row.latents.dtype, tuple(row.embeddings.shape))

    @torch.inference_mode()
    def denoise(self, rows: Sequence[DiffusionRow], *, pad_to: int | None = None) -> None:
        """See `LoadedModel.denoise`."""
        filled = [*rows, *[rows[0]] * max(0, (pad_to or 0) - len(rows))]
        width = 2 if rows[0].guided else 1
        times = [row.timesteps[row.step] for row in filled]
        samples = [model_input(row, time, width) for row, time in zip(rows, times, strict=False)]
        scales = [row.guidance_embedding for row in filled if row.guidance_embedding is not None]
        sample = torch.cat(samples + samples[:1] * (len(filled) - len(rows)))
        if pad_to is not None or len(filled) > 1:
            # Else the strides of an img2img's latents would choose the arithmetic, its own or a neighbor's.
            sample = sample.contiguous()
        self._row_layers.fill(pad_to is not None)  # alone, the bits are those of the plain pipeline
        predicted: torch.Tensor = self.components.unet(
            sample,
            # The pipeline passes one number for all rows, which the U-Net spreads.
            times[0] if len(filled) == 1 else row_times(times, width),
            encoder_hidden_states=torch.cat([row.embeddings for row in filled]),
            timestep_cond=torch.cat(scales) if scales else None,
            added_cond_kwargs={key: torch.cat([row.added[key] for row in filled]) for key in rows[0].added},
            return_dict=False,
        )[0]
        for row, own in zip(rows, predicted.chunk(len(filled)), strict=False):
            advance(row, own)

    @torch.inference_mode()
    def preview(self, row: DiffusionRow) -> Pixels | None:
        """See `LoadedModel.preview`: the foreseen latents, mapped to color by a linear fit of the decoder."""
        if self._color_map is None:
            vae = self.components.vae
            like = torch.empty(0, device=row.latents.device, dtype=row.latents.dtype)
            self._color_map = fit_colors(self._decode, channels=vae.config.latent_channels, like=like)
        latents = row.latents if row.foreseen is None else row.foreseen
        return small_picture(latents[0], self._color_map)

    @torch.inference_mode()
    def decode(self, row: DiffusionRow) -> Decoded:
        """See `LoadedModel.decode`."""
        return Decoded(pixels=to_pixels(self._decode(row.latents)), note=row.note)

    def facts(self, row: DiffusionRow) -> Mapping[str, str | int | float | bool | None]:
        """See `LoadedModel.facts`."""
        return {
            "noise_scheduler": type(row.noise_scheduler).__name__,
            "noise_scheduler_sha256": config_sha256(row.noise_scheduler),
            "dtype": str(row.latents.dtype).removeprefix("torch."),
            "attention": type(next(iter(self.components.unet.attn_processors.values()))).__name__,
            "embeddings_sha256": tensor_sha256(row.embeddings, *row.added.values()),
            "latents_sha256": tensor_sha256(row.latents),
            **lora_facts(self.card),
        }

    def encode(self, text: str) -> tuple[torch.Tensor, int]:
        """Encode a text, or find it among those encoded lately.

        Returns:
            Embeddings (1, tokens, width), and how many tokens at its end the model cannot read.
        """
        if text in self._encoded:
            self._encoded.move_to_end(text)
            return self._encoded[text]
        parts, words = self.components, readable(text)
        length = min(parts.tokenizer.model_max_length, parts.text_encoder.config.max_position_embeddings)
        tokens = parts.tokenizer(
            words, padding="max_length", max_length=length, truncation=True, return_tensors="pt"
        )
        masked = getattr(parts.text_encoder.config, "use_attention_mask", False)
        embeddings: torch.Tensor = parts.text_encoder(
            tokens.input_ids.to(parts.device),
            attention_mask=tokens.attention_mask.to(parts.device) if masked else None,
        )[0]
        ignored = max(0, len(parts.tokenizer(words).input_ids) - length)
        self._encoded[text] = embeddings, ignored
        while len(self._encoded) > _CACHED_PROMPTS:
            self._encoded.popitem(last=False)
        return embeddings, ignored

    def noise(self, request: ImageRequest, generator: torch.Generator) -> torch.Tensor:
        """Standard normal latents of the request's size."""
        channels = self.components.vae.config.latent_channels
        shape = (1, channels, request.height // self._scale, request.width // self._scale)
        like = torch.empty(0, device=self.components.device, dtype=self.components.dtype)
        return draw_noise(shape, generator, like)

    def encode_picture(self, values: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Clean latents of a picture, (1, 3, H, W) in -1..1."""
        vae = self.components.vae
        clean = sampled(vae.encode(values.to(self.components.device, vae.dtype)), generator)
        scaled: torch.Tensor = vae.config.scaling_factor * clean
        return scaled.to(self.components.dtype)

    def _inpaint(
        self,
        row: DiffusionRow,
        request: ImageRequest,
        generator: torch.Generator,
        *,
        source: Pixels | None,
        mask: Mask | None,
        pure_noise: bool,
    ) -> None:
        """Give the row its first latents, and what the mask keeps; draws in the order of diffusers.

        A model that sees the mask needs one for every picture: without a source it sees an empty one.
        """
        gray = torch.zeros((1, 3, request.height, request.width))
        values = gray if source is None else picture_values(source, request)
        wanted = torch.ones_like(values[:, :1]) if mask is None else mask_values(mask, request)
        sees_mask = self.components.unet.config.in_channels == _INPAINTING_CHANNELS
        # Contiguous as in diffusers' pipeline: a convolution's arithmetic follows the strides.
        clean = None if sees_mask and pure_noise else self.encode_picture(values, generator).contiguous()
        noise = self.noise(request, generator)
        if clean is None or pure_noise:
            row.latents = noise * row.noise_scheduler.init_noise_sigma
        else:
            row.latents = row.noise_scheduler.add_noise(clean, noise, row.timesteps[:1])
        masked = self.encode_picture(values * (wanted < 0.5), generator)
        small = shrink_mask(wanted, *noise.shape[-2:]).to(noise)
        if sees_mask:
            row.seen = torch.cat([small, masked], dim=1)
        elif clean is not None:
            row.kept = Kept(mask=small, clean=clean, noise=noise)

    def _strength(self, request: ImageRequest, *, inpaints: bool) -> float:
        if request.strength is not None:
            return request.strength
        if inpaints:
            return float(self.card.options.get("inpaint_strength", _INPAINT_STRENGTH))
        return float(self.card.options.get("strength", _DEFAULT_STRENGTH))

    @staticmethod
    def _start_step(request: ImageRequest, strength: float) -> int:
        """How many of the steps are left out: all but the share `strength` of them, never the last."""
        return request.num_inference_steps - max(1, int(request.num_inference_steps * strength))

    def _decode(self, latents: torch.Tensor) -> torch.Tensor:
        vae = self.components.vae
        decoded: torch.Tensor = vae.decode(
            latents.to(vae.dtype) / vae.config.scaling_factor, return_dict=False
        )[0]
        return decoded

    def _noise_scheduler(self, request: ImageRequest) -> NoiseScheduler:
        noise_scheduler = make_noise_scheduler(self.components.noise_scheduler, request.noise_scheduler)
        try:
            noise_scheduler.set_timesteps(request.num_inference_steps, device=self.components.device)
        except ValueError as error:  # e.g. LCM cannot do more steps than it was distilled from
            raise RequestLimitError(
                field="num_inference_steps", value=request.num_inference_steps, limit=str(error)
            ) from error
        return noise_scheduler
