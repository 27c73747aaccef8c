"""One picture on its way through a U-Net, and its step: what Stable Diffusion 1, 2 and XL have in common."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch

from generation.families.latents import Kept
from generation.families.noise_schedulers import NoiseScheduler


@dataclass(frozen=True, kw_only=True, slots=True)
class Conditions:
    """What the words of a request tell the U-Net; each tensor has the negative prompt's row first."""

    embeddings: torch.Tensor  # (1, tokens, width), or (2, tokens, width) with guidance
    added: Mapping[str, torch.Tensor] = field(default_factory=dict)  # `added_cond_kwargs`, (1 or 2, ...)
    ignored: int = 0  # tokens at the end of the prompt that the model cannot read


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
    added: Mapping[str, torch.Tensor] = field(default_factory=dict)
    kept: Kept | None = None  # in-painting with a model that does not see the mask
    seen: torch.Tensor | None = None  # (1, 5, h, w), mask and masked source, for one that does
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


def advance(row: DiffusionRow, predicted: torch.Tensor) -> None:
    """One step of the row's own scheduler, from what the U-Net predicted for its one or two rows."""
    if row.guided:
        unconditional, conditional = predicted.chunk(2)
        predicted = unconditional + row.guidance_scale * (conditional - unconditional)
    time = row.timesteps[row.step]
    result = row.noise_scheduler.step(predicted, time, row.latents, **row.step_options)
    foreseen = getattr(result, "pred_original_sample", None)
    row.foreseen = getattr(result, "denoised", None) if foreseen is None else foreseen
    row.latents = result.prev_sample
    row.step += 1
    if row.kept is not None:
        kept = row.kept.clean
        if row.step < row.steps:
            level = row.timesteps[row.step : row.step + 1]
            kept = row.noise_scheduler.add_noise(kept, row.kept.noise, level)
        row.latents = row.kept.blend(row.latents, kept)


def model_input(row: DiffusionRow, time: torch.Tensor, width: int) -> torch.Tensor:
    """What the U-Net sees of the row, `width` times: scaled latents, and the mask if it wants it."""
    sample = row.noise_scheduler.scale_model_input(torch.cat([row.latents] * width), time)
    return sample if row.seen is None else torch.cat([sample, torch.cat([row.seen] * width)], dim=1)


def row_times(times: Sequence[torch.Tensor], width: int) -> torch.Tensor:
    """One timestep for each row of a forward; the U-Net embeds whole numbers as floats, too."""
    return torch.stack([time.to(torch.float32) for time in times]).repeat_interleave(width)


def guidance_embedding(guidance_scale: float, width: int) -> torch.Tensor:
    """(1, width) sinusoids of the guidance scale for distilled models (arXiv:2303.00667, section 4.2)."""
    half = width // 2
    frequencies = torch.exp(torch.arange(half, dtype=torch.float32) * -(math.log(10000.0) / (half - 1)))
    angles = torch.tensor(guidance_scale - 1).to(torch.float32)[None, None] * 1000.0 * frequencies[None]
    embedding = torch.cat([torch.sin(angles), torch.cos(angles)], dim=1)
    return torch.nn.functional.pad(embedding, (0, 1)) if width % 2 else embedding
