"""Trains the autoencoder: the decoder on latents of the fixed patch PCA, the encoder to give them."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.progress import Progress

from generation.sticker.training.latents import CHANNELS, SHIPPED, PatchLatents
from generation.sticker.training.pictures import EDGE, PictureFolder
from generation.sticker.training.run import (
    Average,
    Batches,
    Clock,
    History,
    check_model,
    save_state,
    without_subnormals,
)

if TYPE_CHECKING:
    import torch

_BATCH = 16
_CROP = 64
_RATE = 1.5e-3
_LATENT_NOISE = 0.12  # the U-Net's latents will not be perfect either
_DECAY = 0.998
_WARM_UP = 50  # steps

AUTOENCODER: Mapping[str, object] = {
    "block_out_channels": (16, 24, 48, 96),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "layers_per_block": 1,
    "norm_num_groups": 8,
    "latent_channels": CHANNELS,
    "mid_block_add_attention": False,
    "sample_size": EDGE,
    "scaling_factor": 1.0,
}
"""The autoencoder's shape, 1.5 M parameters: 8 px per latent cell."""


def train_vae(
    pictures: PictureFolder,
    out: Path,
    *,
    steps: int,
    latents: Path = SHIPPED,
    start: Path | None = None,
    minutes: float | None = None,
) -> int:
    """Train, or go on training, until `steps` steps are done in all or the time is up.

    The learning rate follows a cosine over `steps`, so it survives a stop and a resume.

    Args:
        pictures: training pictures.
        out: holds `last.pt` (all state) and `vae/` (the average, as diffusers reads it).
        latents: the PCA file, shared with the U-Net.
        steps: of the whole schedule.
        start: an exported model to begin from where `out` holds no checkpoint; None: from scratch.
        minutes: of this run at most; None: no limit.

    Raises:
        DatasetError: `start` is no model folder.

    Returns:
        The number of steps done in all.
    """
    import torch  # noqa: PLC0415

    out.mkdir(parents=True, exist_ok=True)
    target = PatchLatents.open(latents, pictures)
    torch.manual_seed(0)
    run = _Run(out, start=start, steps=steps, minutes=minutes)
    torch.manual_seed(run.step)  # a resumed run draws other noise than the first one did

    def make(rng: random.Random) -> tuple[torch.Tensor, torch.Tensor]:
        crops = []
        for _ in range(_BATCH):
            top, left = (8 * rng.randrange((EDGE - _CROP) // 8 + 1) for _ in range(2))
            crops.append(pictures.sample(rng)[0][top : top + _CROP, left : left + _CROP])
        stacked = np.stack(crops)
        planes = np.ascontiguousarray(stacked.transpose(0, 3, 1, 2)).astype(np.float32) / 127.5 - 1
        return torch.from_numpy(planes), torch.from_numpy(target.encode(stacked))

    batches = Batches(make, seed=f"vae {run.step}")
    with run.clock.listening(), without_subnormals(), Progress() as progress:
        task = progress.add_task("autoencoder", total=steps, completed=run.step)
        while run.step < steps and not run.clock.over:
            mean = run.advance(*batches.next())
            if mean is not None:
                psnr = 10 * math.log10(4 / mean)  # of values in -1..1
                progress.update(task, completed=run.step, description=f"autoencoder {psnr:.2f} dB")
            if run.clock.save_due():
                run.save()
    batches.close()
    run.save()
    return run.step


class _Run:
    """The autoencoder with its optimizer, as a checkpoint keeps them."""

    def __init__(self, out: Path, *, start: Path | None, steps: int, minutes: float | None) -> None:
        import diffusers  # noqa: PLC0415
        import torch  # noqa: PLC0415

        hub: Any = diffusers  # it builds its classes at run time, so their types cannot be checked
        self._out = out
        self._steps = steps
        if start is None:
            self._model = hub.AutoencoderKL(**AUTOENCODER)
        else:
            check_model(start, "vae")
            self._model = hub.AutoencoderKL.from_pretrained(
                start / "vae", torch_dtype=torch.float32, local_files_only=True
            ).train()
        self._parameters = list(self._model.parameters())
        self._optimizer = torch.optim.AdamW(
            self._parameters, lr=_RATE, betas=(0.9, 0.98), weight_decay=0.0, fused=True
        )
        self._average = Average(self._parameters, decay=_DECAY)
        self.step, spent = 0, 0.0
        last = out / "last.pt"
        if last.exists():
            state = torch.load(last, weights_only=True)
            self._model.load_state_dict(state["m"])
            self._optimizer.load_state_dict(state["opt"])
            self._average.values = state["ema"]
            self.step, spent = state["step"], state["spent"]
        self.clock = Clock(minutes=minutes, spent=spent)
        self._history = History.open(out / "history_vae.csv")

    def advance(self, planes: torch.Tensor, latent: torch.Tensor) -> float | None:
        """Take one step; returns the mean squared error now and then."""
        import torch  # noqa: PLC0415

        done = 0.5 * (1 + math.cos(math.pi * self.step / self._steps)) * 0.97 + 0.03
        for group in self._optimizer.param_groups:
            group["lr"] = _RATE * min(1, (self.step + 1) / _WARM_UP) * done
        noise = torch.randn_like(latent) * torch.rand(len(latent), 1, 1, 1) * _LATENT_NOISE
        error = self._model.decode(latent + noise).sample - planes
        across = (error[..., 1:] - error[..., :-1]).abs().mean()
        down = (error[..., 1:, :] - error[..., :-1, :]).abs().mean()
        squared = (error**2).mean()
        loss = error.abs().mean() + 0.5 * (across + down) + 0.5 * squared
        if self.step % 4 == 0:  # the encoder has the easier task
            encoded = self._model.encode(planes).latent_dist
            loss = loss + ((encoded.mean - latent) ** 2).mean() + 0.001 * ((encoded.logvar + 12) ** 2).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._parameters, 1.0)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        self.step += 1
        self._average.update(self.step)
        return self._history.add(self.step, float(squared.detach()))

    def save(self) -> None:
        """Write the state, the averaged autoencoder and the history."""
        state = {
            "m": self._model.state_dict(),
            "opt": self._optimizer.state_dict(),
            "ema": self._average.values,
            "step": self.step,
            "spent": self.clock.spent,
        }
        save_state(state, self._out / "last.pt")
        with self._average.applied():
            self._model.save_pretrained(self._out / "vae")
        self._history.save()
