"""Stable Diffusion 1 and 2 in diffusers' folder layout: text-to-image and image-to-image.

The arithmetic follows `StableDiffusionPipeline` and `StableDiffusionImg2ImgPipeline` operation by operation,
so that a picture alone has the same bits as theirs; only the loop is turned inside out.
"""

from __future__ import annotations

import hashlib
import math
from collections import OrderedDict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from PIL import Image, ImageOps

from generation.card import ModelCard
from generation.errors import RequestLimitError
from generation.families.base import Decoded, Pixels
from generation.families.diffusion_folder import Components, load_components
from generation.families.noise_schedulers import (
    NoiseScheduler,
    config_sha256,
    make_noise_scheduler,
    takes_generator,
)
from generation.job import ImageRequest

_DEFAULT_STRENGTH = 0.8  # as diffusers' img2img has it
_CACHED_PROMPTS = 64
_PREVIEW_EDGE = 128


@dataclass(kw_only=True, slots=True)
class DiffusionRow:
    """One picture on its way."""

    noise_scheduler: NoiseScheduler
    timesteps: torch.Tensor  # (steps,): from the start step on
    embeddings: torch.Tensor  # (1, tokens, width), or (2, tokens, width) with guidance: negative first
    guidance_scale: float
    guidance_embedding: torch.Tensor | None  # (1, width) for distilled models
    latents: torch.Tensor  # (1, channels, height / 8, width / 8)
    step_options: Mapping[str, torch.Generator]
    note: str | None
    foreseen: torch.Tensor | None = None  # the finished latents as the last step foresaw them
    step: int = 0

    @property
    def steps(self) -> int:
        """Denoising steps in all."""
        return len(self.timesteps)

    @property
    def guided(self) -> bool:
        """Whether each forward also needs the row of the negative prompt."""
        return len(self.embeddings) == 2


class StableDiffusionFamily:
    """Folders that `StableDiffusionPipeline.from_pretrained` reads."""

    uses: ClassVar[tuple[str, ...]] = ()

    def load(self, card: ModelCard, *, device: str) -> LoadedStableDiffusion:
        """See `Family.load`."""
        return LoadedStableDiffusion(card, load_components(card, device=device))


class LoadedStableDiffusion:
    """See `LoadedModel`. Other families of this layout may build on it."""

    def __init__(self, card: ModelCard, components: Components) -> None:
        self.card = card
        self.components = components
        self._scale = 2 ** (len(components.vae.config.block_out_channels) - 1)  # pixels per latent
        self._encoded: OrderedDict[str, tuple[torch.Tensor, int]] = OrderedDict()
        self._color_map: torch.Tensor | None = None  # (channels + 1, 3)

    @torch.inference_mode()
    def prepare(self, request: ImageRequest, *, index: int, source: Pixels | None) -> DiffusionRow:
        """See `LoadedModel.prepare`."""
        if request.width % self._scale or request.height % self._scale:
            raise RequestLimitError(
                field="size",
                value=f"{request.width}x{request.height}",
                limit=f"edges must be multiples of {self._scale}",
            )
        guidance_width = self.components.unet.config.time_cond_proj_dim  # None unless it is a distilled model
        embeddings, ignored = self.encode(request.prompt)
        if request.guidance_scale > 1.0 and guidance_width is None:
            embeddings = torch.cat([self.encode(request.negative_prompt)[0], embeddings])
        generator = torch.Generator("cpu").manual_seed(request.seed + index)
        noise_scheduler = self._noise_scheduler(request)
        start = 0 if source is None else self.start_step(request) * noise_scheduler.order
        timesteps = noise_scheduler.timesteps[start:]
        if hasattr(noise_scheduler, "set_begin_index"):
            noise_scheduler.set_begin_index(start)  # spares a search that waits for the device
        if source is None:
            latents = self.noise(request, generator) * noise_scheduler.init_noise_sigma
        else:
            clean = self.encode_picture(source, request, generator)
            latents = noise_scheduler.add_noise(clean, self.noise(request, generator), timesteps[:1])
        return DiffusionRow(
            noise_scheduler=noise_scheduler,
            timesteps=timesteps,
            embeddings=embeddings,
            guidance_scale=request.guidance_scale,
            guidance_embedding=self._guidance_embedding(request.guidance_scale, guidance_width)
            if guidance_width
            else None,
            latents=latents,
            step_options={"generator": generator} if takes_generator(noise_scheduler) else {},
            note=f"The model does not read the last {ignored} tokens of this prompt." if ignored else None,
        )

    def compatibility(self, row: DiffusionRow) -> Hashable:
        """See `LoadedModel.compatibility`. Guided rows fill two rows of a forward, others one."""
        return (tuple(row.latents.shape), row.latents.dtype, row.embeddings.shape[1:], row.guided)

    @torch.inference_mode()
    def denoise(self, rows: Sequence[DiffusionRow], *, pad_to: int | None = None) -> None:
        """See `LoadedModel.denoise`."""
        filled = [*rows, *[rows[0]] * max(0, (pad_to or 0) - len(rows))]
        width = 2 if rows[0].guided else 1
        times = [row.timesteps[row.step] for row in filled]
        samples = [
            row.noise_scheduler.scale_model_input(torch.cat([row.latents] * width), time)
            for row, time in zip(rows, times, strict=False)
        ]
        scales = [row.guidance_embedding for row in filled if row.guidance_embedding is not None]
        predicted: torch.Tensor = self.components.unet(
            torch.cat(samples + samples[:1] * (len(filled) - len(rows))),
            # The pipeline passes one number for all rows, which the U-Net spreads.
            times[0] if len(filled) == 1 else _row_times(times, width),
            encoder_hidden_states=torch.cat([row.embeddings for row in filled]),
            timestep_cond=torch.cat(scales) if scales else None,
            return_dict=False,
        )[0]
        for row, own in zip(rows, predicted.chunk(len(filled)), strict=False):
            self._step(row, own)

    @torch.inference_mode()
    def preview(self, row: DiffusionRow) -> Pixels | None:
        """See `LoadedModel.preview`: the foreseen latents, mapped to color by a linear fit of the decoder."""
        if self._color_map is None:
            self._color_map = self._fit_colors()
        latents = row.latents if row.foreseen is None else row.foreseen
        colors = torch.einsum("chw,cr->hwr", latents[0].float(), self._color_map[:-1]) + self._color_map[-1]
        picture = Image.fromarray((colors.clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy())
        shrink = _PREVIEW_EDGE / max(picture.size)
        size = (max(1, round(picture.width * shrink)), max(1, round(picture.height * shrink)))
        return np.asarray(picture.resize(size, Image.Resampling.BICUBIC))

    @torch.inference_mode()
    def decode(self, row: DiffusionRow) -> Decoded:
        """See `LoadedModel.decode`."""
        vae = self.components.vae
        picture = vae.decode(row.latents / vae.config.scaling_factor, return_dict=False)[0]
        return Decoded(pixels=to_pixels(picture), note=row.note)

    def facts(self, row: DiffusionRow) -> Mapping[str, str | int | float | bool | None]:
        """See `LoadedModel.facts`."""
        return {
            "noise_scheduler": type(row.noise_scheduler).__name__,
            "noise_scheduler_sha256": config_sha256(row.noise_scheduler),
            "dtype": str(row.latents.dtype).removeprefix("torch."),
            "attention": type(next(iter(self.components.unet.attn_processors.values()))).__name__,
            "embeddings_sha256": tensor_sha256(row.embeddings),
            "latents_sha256": tensor_sha256(row.latents),
        }

    def encode(self, text: str) -> tuple[torch.Tensor, int]:
        """Encode a text, or find it among those encoded lately.

        Returns:
            Embeddings (1, tokens, width), and how many tokens at its end the model cannot read.
        """
        if text in self._encoded:
            self._encoded.move_to_end(text)
            return self._encoded[text]
        parts = self.components
        readable = text.encode("utf-8", "replace").decode()  # a lone surrogate is no text
        length = min(parts.tokenizer.model_max_length, parts.text_encoder.config.max_position_embeddings)
        tokens = parts.tokenizer(
            readable, padding="max_length", max_length=length, truncation=True, return_tensors="pt"
        )
        masked = getattr(parts.text_encoder.config, "use_attention_mask", False)
        embeddings: torch.Tensor = parts.text_encoder(
            tokens.input_ids.to(parts.device),
            attention_mask=tokens.attention_mask.to(parts.device) if masked else None,
        )[0]
        ignored = max(0, len(parts.tokenizer(readable).input_ids) - length)
        self._encoded[text] = embeddings, ignored
        while len(self._encoded) > _CACHED_PROMPTS:
            self._encoded.popitem(last=False)
        return embeddings, ignored

    def noise(self, request: ImageRequest, generator: torch.Generator) -> torch.Tensor:
        """Standard normal latents of the request's size, drawn on the CPU whatever the device."""
        from diffusers.utils.torch_utils import randn_tensor  # noqa: PLC0415 - after `quiet_and_offline`

        channels = self.components.unet.config.in_channels
        shape = (1, channels, request.height // self._scale, request.width // self._scale)
        drawn: torch.Tensor = randn_tensor(
            shape, generator=generator, device=self.components.device, dtype=self.components.dtype
        )
        return drawn

    def encode_picture(
        self, source: Pixels, request: ImageRequest, generator: torch.Generator
    ) -> torch.Tensor:
        """Clean latents of a picture, cropped around its center and scaled to the request's size."""
        picture = ImageOps.fit(
            Image.fromarray(source), (request.width, request.height), Image.Resampling.LANCZOS
        )
        # The very strides of diffusers' image processor: convolutions choose their arithmetic by them.
        values = torch.from_numpy(np.stack([np.asarray(picture, np.float32) / 255.0]).transpose(0, 3, 1, 2))
        vae = self.components.vae
        placed = (2.0 * values - 1.0).to(self.components.device, self.components.dtype)
        clean: torch.Tensor = vae.encode(placed).latent_dist.sample(generator)
        scaled: torch.Tensor = vae.config.scaling_factor * clean
        return scaled

    def start_step(self, request: ImageRequest) -> int:
        """How many of the steps img2img leaves out: all but the share `strength` of them, never the last."""
        strength = request.strength
        if strength is None:
            strength = float(self.card.options.get("strength", _DEFAULT_STRENGTH))
        return request.num_inference_steps - max(1, int(request.num_inference_steps * strength))

    def _noise_scheduler(self, request: ImageRequest) -> NoiseScheduler:
        noise_scheduler = make_noise_scheduler(self.components.noise_scheduler, request.noise_scheduler)
        try:
            noise_scheduler.set_timesteps(request.num_inference_steps, device=self.components.device)
        except ValueError as error:  # e.g. LCM cannot do more steps than it was distilled from
            raise RequestLimitError(
                field="num_inference_steps", value=request.num_inference_steps, limit=str(error)
            ) from error
        return noise_scheduler

    def _step(self, row: DiffusionRow, predicted: torch.Tensor) -> None:
        if row.guided:
            unconditional, conditional = predicted.chunk(2)
            predicted = unconditional + row.guidance_scale * (conditional - unconditional)
        time = row.timesteps[row.step]
        result = row.noise_scheduler.step(predicted, time, row.latents, **row.step_options)
        foreseen = getattr(result, "pred_original_sample", None)
        row.foreseen = getattr(result, "denoised", None) if foreseen is None else foreseen
        row.latents = result.prev_sample
        row.step += 1

    def _guidance_embedding(self, guidance_scale: float, width: int) -> torch.Tensor:
        """Sinusoidal embedding of the guidance scale for distilled models (arXiv:2303.00667, section 4.2)."""
        half = width // 2
        frequencies = torch.exp(torch.arange(half, dtype=torch.float32) * -(math.log(10000.0) / (half - 1)))
        angles = torch.tensor(guidance_scale - 1).to(torch.float32)[None, None] * 1000.0 * frequencies[None]
        embedding = torch.cat([torch.sin(angles), torch.cos(angles)], dim=1)
        if width % 2:
            embedding = torch.nn.functional.pad(embedding, (0, 1))
        return embedding.to(self.components.device, self.components.dtype)

    def _fit_colors(self) -> torch.Tensor:
        """(channels + 1, 3): the affine map from latents to color that fits the decoder best."""
        parts = self.components
        channels = parts.vae.config.latent_channels
        generator = torch.Generator("cpu").manual_seed(0)
        coarse = torch.randn((16, channels, 2, 2), generator=generator)  # latents of real pictures are smooth
        smooth = torch.nn.functional.interpolate(coarse, size=(8, 8), mode="bilinear")
        latents = smooth.to(parts.device, parts.dtype)
        pictures = parts.vae.decode(latents / parts.vae.config.scaling_factor, return_dict=False)[0]
        colors = torch.nn.functional.avg_pool2d(pictures.float() * 0.5 + 0.5, self._scale)
        known = latents.float().permute(0, 2, 3, 1).reshape(-1, channels).cpu()
        wanted = colors.permute(0, 2, 3, 1).reshape(-1, 3).cpu()
        ones = torch.ones((len(known), 1))
        fit: torch.Tensor = torch.linalg.lstsq(torch.cat([known, ones], dim=1), wanted).solution
        return fit.to(parts.device)


def _row_times(times: Sequence[torch.Tensor], width: int) -> torch.Tensor:
    """One timestep for each row of a forward; the U-Net embeds whole numbers as floats, too."""
    return torch.stack([time.to(torch.float32) for time in times]).repeat_interleave(width)


def to_pixels(picture: torch.Tensor) -> Pixels:
    """(1, 3, H, W) in -1..1 to (H, W, 3) 8-bit."""
    values = torch.nan_to_num(picture[0] * 0.5 + 0.5).clamp(0, 1).permute(1, 2, 0).float().cpu().numpy()
    pixels: Pixels = (values * 255).round().astype(np.uint8)
    return pixels


def tensor_sha256(tensor: torch.Tensor) -> str:
    """Hex SHA-256 of the tensor's bytes, row-major, little-endian as all our platforms are."""
    return hashlib.sha256(tensor.detach().cpu().contiguous().numpy().tobytes()).hexdigest()
