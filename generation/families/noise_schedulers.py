"""The noise schedulers on offer, by the names that users and cards give them."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Mapping
from typing import Protocol

import torch

from generation.errors import RequestLimitError

NAMES: Mapping[str, str] = {
    "ddim": "DDIMScheduler",
    "dpm++": "DPMSolverMultistepScheduler",
    "euler": "EulerDiscreteScheduler",
    "euler_a": "EulerAncestralDiscreteScheduler",
    "lcm": "LCMScheduler",
    "unipc": "UniPCMultistepScheduler",
}
"""Name in a request or card -> class in diffusers, for models that predict noise."""

FLOW_NAMES: Mapping[str, str] = {"flow_euler": "FlowMatchEulerDiscreteScheduler"}
"""The same for models that were trained by flow matching."""


class StepResult(Protocol):
    """What a step gives; some schedulers also tell the finished sample that they foresee."""

    prev_sample: torch.Tensor


class NoiseScheduler(Protocol):
    """What the loop uses of a diffusers scheduler."""

    timesteps: torch.Tensor
    order: int
    init_noise_sigma: float | torch.Tensor
    config: Mapping[str, object]

    def set_timesteps(self, num_inference_steps: int, *, device: torch.device) -> None:
        """Choose the timesteps of a run."""

    def set_begin_index(self, begin_index: int) -> None:
        """Say which timestep is the first one, which spares a search that waits for the device."""

    def scale_model_input(self, sample: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
        """Bring the latents to the scale that the U-Net was trained on."""

    def step(
        self,
        model_output: torch.Tensor,
        timestep: torch.Tensor,
        sample: torch.Tensor,
        **options: torch.Generator,
    ) -> StepResult:
        """Take one step; its index is counted inside."""

    def add_noise(
        self, original_samples: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor
    ) -> torch.Tensor:
        """Noise a clean sample up to a timestep."""


def make_noise_scheduler(
    base: NoiseScheduler, name: str | None, *, names: Mapping[str, str] = NAMES
) -> NoiseScheduler:
    """A fresh scheduler for one picture: schedulers carry state from step to step.

    Args:
        base: the model's own, whose configuration (betas, prediction type, ...) is kept.
        name: a key of `names`; None: the model's own class.
        names: what the model's family offers.

    Raises:
        RequestLimitError: unknown name.
    """
    if name is None:
        scheduler_class = type(base)
    else:
        if name not in names:
            raise RequestLimitError(field="noise_scheduler", value=name, limit=f"one of {', '.join(names)}")
        import diffusers  # noqa: PLC0415 - heavy, and only after `quiet_and_offline`

        scheduler_class = getattr(diffusers, names[name])
    scheduler: NoiseScheduler = scheduler_class.from_config(base.config)  # type: ignore[attr-defined]
    return scheduler


def takes_generator(scheduler: NoiseScheduler) -> bool:
    """Whether its steps draw noise, which must then come from the picture's own generator."""
    return "generator" in inspect.signature(scheduler.step).parameters


def config_sha256(scheduler: NoiseScheduler) -> str:
    """Hex digest of its configuration as canonical JSON."""
    values = {key: value for key, value in dict(scheduler.config).items() if not key.startswith("_")}
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()
