"""Trains the autoencoder: the decoder on latents of the fixed patch PCA, the encoder to give them."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.progress import Progress

from generation.sticker.training.autoencoder import AutoencoderRun, open_autoencoder
from generation.sticker.training.latents import CHANNELS, SHIPPED, PatchLatents
from generation.sticker.training.pictures import EDGE, PictureFolder
from generation.sticker.training.run import Batches, without_subnormals

if TYPE_CHECKING:
    import torch

_BATCH = 16
_CROP = 64
_RATE = 1.5e-3
_LATENT_NOISE = 0.12  # the U-Net's latents will not be perfect either
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
    import diffusers  # noqa: PLC0415
    import torch  # noqa: PLC0415

    out.mkdir(parents=True, exist_ok=True)
    target = PatchLatents.open(latents, pictures)
    torch.manual_seed(0)
    hub: Any = diffusers  # it builds its classes at run time, so their types cannot be checked
    run = AutoencoderRun(
        out,
        hub.AutoencoderKL(**AUTOENCODER) if start is None else open_autoencoder(start),
        rate=_RATE,
        warm_up=_WARM_UP,
        steps=steps,
        minutes=minutes,
        history="history_vae.csv",
    )
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
            # The encoder has the easier task: it learns in one step of four.
            loss, squared = _losses(run.model, *batches.next(), with_encoder=run.step % 4 == 0)
            mean = run.descend(loss, shown=squared)
            if mean is not None:
                psnr = 10 * math.log10(4 / mean)  # of values in -1..1
                progress.update(task, completed=run.step, description=f"autoencoder {psnr:.2f} dB")
            if run.clock.save_due():
                run.save()
    batches.close()
    run.save()
    return run.step


def _losses(
    model: Any,  # noqa: ANN401 - diffusers builds its classes at run time
    planes: torch.Tensor,
    latent: torch.Tensor,
    *,
    with_encoder: bool,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The loss to descend, and the mean squared error of the decoded planes."""
    import torch  # noqa: PLC0415

    noise = torch.randn_like(latent) * torch.rand(len(latent), 1, 1, 1) * _LATENT_NOISE
    error = model.decode(latent + noise).sample - planes
    across = (error[..., 1:] - error[..., :-1]).abs().mean()
    down = (error[..., 1:, :] - error[..., :-1, :]).abs().mean()
    squared = (error**2).mean()
    loss = error.abs().mean() + 0.5 * (across + down) + 0.5 * squared
    if with_encoder:
        encoded = model.encode(planes).latent_dist
        loss = loss + ((encoded.mean - latent) ** 2).mean() + 0.001 * ((encoded.logvar + 12) ** 2).mean()
    return loss, squared
