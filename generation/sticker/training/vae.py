"""Trains the autoencoder: its decoder on latents of the fixed patch PCA, its encoder to give the same latents."""

from __future__ import annotations

import math
import random
from pathlib import Path

import numpy as np
from rich.progress import Progress

from generation.sticker.training.latents import CHANNELS, PatchLatents
from generation.sticker.training.pictures import EDGE, PictureFolder
from generation.sticker.training.run import Average, Batches, Clock, History, save_state

_BATCH = 16
_CROP = 64
_RATE = 1.5e-3
_LATENT_NOISE = 0.12  # the U-Net's latents will not be perfect either
_DECAY = 0.998


def train_vae(pictures: PictureFolder, out: Path, *, latents: Path, steps: int, minutes: float | None) -> int:
    """Train, or go on training, until `steps` steps are done in all or the time is up.

    The learning rate follows a cosine over `steps`, so it survives a stop and a resume.

    Args:
        pictures: training pictures.
        out: holds `last.pt` (all state) and `vae/` (the average, as diffusers reads it).
        latents: the PCA file, shared with the U-Net.
        steps: of the whole schedule.
        minutes: of this run at most; None: no limit.

    Returns:
        The number of steps done in all.
    """
    import torch  # noqa: PLC0415
    from diffusers import AutoencoderKL  # noqa: PLC0415

    out.mkdir(parents=True, exist_ok=True)
    target = PatchLatents.open(latents, pictures)
    torch.manual_seed(0)
    torch.set_flush_denormal(True)
    model = AutoencoderKL(
        block_out_channels=(16, 24, 48, 96),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        norm_num_groups=8,
        latent_channels=CHANNELS,
        mid_block_add_attention=False,
        sample_size=EDGE,
        scaling_factor=1.0,
    )
    parameters = list(model.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=_RATE, betas=(0.9, 0.98), weight_decay=0.0, fused=True)
    average = Average(parameters, decay=_DECAY)
    step, spent = 0, 0.0
    last = out / "last.pt"
    if last.exists():
        state = torch.load(last, weights_only=True)
        model.load_state_dict(state["m"])
        optimizer.load_state_dict(state["opt"])
        average.values = state["ema"]
        step, spent = state["step"], state["spent"]
    clock = Clock(minutes=minutes, spent=spent)
    history = History.open(out / "history_vae.csv")

    def make(rng: random.Random) -> tuple[torch.Tensor, torch.Tensor]:
        crops = []
        for _ in range(_BATCH):
            top, left = (8 * rng.randrange((EDGE - _CROP) // 8 + 1) for _ in range(2))
            crops.append(pictures.sample(rng)[0][top : top + _CROP, left : left + _CROP])
        stacked = np.stack(crops)
        planes = np.ascontiguousarray(stacked.transpose(0, 3, 1, 2)).astype(np.float32) / 127.5 - 1
        return torch.from_numpy(planes), torch.from_numpy(target.encode(stacked))

    def save() -> None:
        state = {
            "m": model.state_dict(),
            "opt": optimizer.state_dict(),
            "ema": average.values,
            "step": step,
            "spent": clock.spent,
        }
        save_state(state, last)
        with average.applied():
            model.save_pretrained(out / "vae")
        history.save()

    batches = Batches(make, seed=f"vae {step}")
    with clock.listening(), Progress() as progress:
        task = progress.add_task("autoencoder", total=steps, completed=step)
        while step < steps and not clock.over:
            rate = _RATE * min(1, (step + 1) / 50) * (0.5 * (1 + math.cos(math.pi * step / steps)) * 0.97 + 0.03)
            for group in optimizer.param_groups:
                group["lr"] = rate
            planes, latent = batches.next()
            noise = torch.randn_like(latent) * torch.rand(len(latent), 1, 1, 1) * _LATENT_NOISE
            error = model.decode(latent + noise).sample - planes
            edges = (error[..., 1:] - error[..., :-1]).abs().mean() + (
                error[..., 1:, :] - error[..., :-1, :]
            ).abs().mean()
            squared = (error**2).mean()
            loss = error.abs().mean() + 0.5 * edges + 0.5 * squared
            if step % 4 == 0:  # the encoder has the easier task
                encoded = model.encode(planes).latent_dist
                loss = loss + ((encoded.mean - latent) ** 2).mean() + 0.001 * ((encoded.logvar + 12) ** 2).mean()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            step += 1
            average.update(step)
            mean = history.add(step, float(squared.detach()))
            if mean is not None:
                progress.update(task, completed=step, description=f"autoencoder {10 * math.log10(4 / mean):.2f} dB")
            if clock.save_due():
                save()
    batches.close()
    save()
    return step
