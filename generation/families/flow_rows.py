"""One picture on its way through a flow-matching transformer: its words, its latents, its levels of noise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from generation.families.latents import Kept
from generation.job import ImageRequest


@dataclass(frozen=True, kw_only=True, slots=True)
class Words:
    """An encoded text: the family's own tensors, each with one row."""

    tensors: tuple[torch.Tensor, ...]
    ignored: int = 0  # tokens at its end that the model cannot read


@dataclass(kw_only=True, slots=True)
class FlowRow:
    """One picture on its way."""

    request: ImageRequest
    noise_scheduler: Any  # diffusers.FlowMatchEulerDiscreteScheduler
    timesteps: torch.Tensor  # (steps,): from the start step on
    levels: torch.Tensor  # (steps + 1,): sigma before each step, and 0
    words: tuple[torch.Tensor, ...]
    without: tuple[torch.Tensor, ...] | None  # the negative prompt, where there is guidance
    latents: torch.Tensor  # one row, as the transformer takes them
    step_options: Mapping[str, torch.Generator]
    note: str | None
    kept: Kept | None = None
    foreseen: torch.Tensor | None = None  # the finished latents as the last step foresaw them
    step: int = 0

    @property
    def steps(self) -> int:
        """Denoising steps in all."""
        return len(self.timesteps)

    @property
    def time(self) -> torch.Tensor:
        """The timestep of the next step, a scalar."""
        return self.timesteps[self.step]

    @property
    def guided(self) -> bool:
        """Whether each step also needs the negative prompt."""
        return self.without is not None


def flow_dtype(device: str) -> torch.dtype:
    """What these models compute in: bfloat16 on CUDA, because their values overflow float16."""
    return torch.bfloat16 if device.startswith("cuda") else torch.float32


def shift_of(noise_scheduler: Any, tokens: int) -> float:  # noqa: ANN401 - see `FlowRow`
    """How far the levels move towards noise for so many tokens (arXiv:2403.03206, section 5.3.2)."""
    config = noise_scheduler.config
    low, high = config.get("base_image_seq_len", 256), config.get("max_image_seq_len", 4096)
    base, top = config.get("base_shift", 0.5), config.get("max_shift", 1.15)
    slope = (top - base) / (high - low)
    shift: float = tokens * slope + (base - slope * low)
    return shift


def pack_patches(latents: torch.Tensor) -> torch.Tensor:
    """(1, c, h, w) -> (1, h/2 * w/2, 4c): a token for each patch of 2x2."""
    rows, channels, height, width = latents.shape
    patches = latents.reshape(rows, channels, height // 2, 2, width // 2, 2).permute(0, 2, 4, 1, 3, 5)
    return patches.reshape(rows, (height // 2) * (width // 2), channels * 4)


def unpack_patches(latents: torch.Tensor, request: ImageRequest) -> torch.Tensor:
    """The reverse of `pack_patches` for a picture of the request's size."""
    height, width = request.height // 16, request.width // 16
    patches = latents.reshape(len(latents), height, width, -1, 2, 2).permute(0, 3, 1, 4, 2, 5)
    return patches.reshape(len(latents), -1, 2 * height, 2 * width)
