"""Trains the U-Net and the text encoder: v-prediction (Salimans and Ho, 2022) on the fixed patch latents."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.progress import Progress

from generation.sticker.export import NOISE_SCHEDULER
from generation.sticker.training.latents import CHANNELS, PatchLatents
from generation.sticker.training.pictures import EDGE, PictureFolder
from generation.sticker.training.run import Average, Batches, Clock, History, save_state
from generation.sticker.training.text_table import LENGTH, build_text_encoder

if TYPE_CHECKING:
    import torch

_BATCH = 16
_RATE = 8e-4
_TEXT_RATE = 4e-4
_WARM_UP = 200  # steps
_FLAT_UNTIL = 150_000  # samples; from then on the rate falls with the inverse square root: no end date needed
_DECAY = 0.9985
_NO_WORDS = 0.1  # share of samples without a caption, for classifier-free guidance
_LOW_SHARE, _LOW_UNTIL = 0.65, 600  # low noise is learned first: it is what redrawing needs
_TIMESTEPS = 1000


def train_unet(
    pictures: PictureFolder, out: Path, *, latents: Path, minutes: float | None, steps: int | None = None
) -> int:
    """Train, or go on training, until the time is up.

    Args:
        pictures: training pictures.
        out: holds `last.pt` (all state), `tokenizer/`, and `unet/` and `text_encoder/` (the average).
        latents: the PCA file, shared with the autoencoder.
        minutes: of this run at most; None: until it is interrupted.
        steps: in all at most; None: no limit.

    Returns:
        The number of samples seen in all.
    """
    import torch  # noqa: PLC0415
    from diffusers import DDPMScheduler, UNet2DConditionModel  # noqa: PLC0415
    from transformers import BertTokenizer, CLIPTextModel  # noqa: PLC0415

    out.mkdir(parents=True, exist_ok=True)
    target = PatchLatents.open(latents, pictures)
    if not (out / "tokenizer").exists():
        build_text_encoder(pictures, out)
    tokenizer = BertTokenizer.from_pretrained(out / "tokenizer", local_files_only=True)
    text_encoder = CLIPTextModel.from_pretrained(out / "text_encoder", local_files_only=True)
    text_encoder.get_input_embeddings().weight.requires_grad_(False)
    torch.manual_seed(0)
    torch.set_flush_denormal(True)
    unet = UNet2DConditionModel(
        sample_size=EDGE // 8,
        in_channels=CHANNELS,
        out_channels=CHANNELS,
        block_out_channels=(64, 128, 176),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        layers_per_block=1,
        cross_attention_dim=text_encoder.config.hidden_size,
        attention_head_dim=4,
        norm_num_groups=16,
        resnet_time_scale_shift="scale_shift",
        addition_embed_type="text",
        addition_embed_type_num_heads=4,
    )
    torch.nn.init.zeros_(unet.conv_out.weight)
    torch.nn.init.zeros_(unet.conv_out.bias)
    text_parameters = [p for p in text_encoder.parameters() if p.requires_grad]
    parameters = [*unet.parameters(), *text_parameters]
    optimizer = torch.optim.AdamW(
        [{"params": list(unet.parameters()), "lr": _RATE}, {"params": text_parameters, "lr": _TEXT_RATE}],
        betas=(0.9, 0.98),
        weight_decay=0.01,
        eps=1e-7,
        fused=True,
    )
    average = Average(parameters, decay=_DECAY)
    kept = DDPMScheduler(
        num_train_timesteps=_TIMESTEPS, beta_schedule=NOISE_SCHEDULER["beta_schedule"]
    ).alphas_cumprod
    step, seen, spent = 0, 0, 0.0
    last = out / "last.pt"
    if last.exists():
        state = torch.load(last, weights_only=True)
        unet.load_state_dict(state["un"])
        text_encoder.load_state_dict(state["te"])
        optimizer.load_state_dict(state["opt"])
        average.values = state["ema"]
        step, seen, spent = state["step"], state["seen"], state["spent"]
    torch.manual_seed(step)  # a resumed run draws other noise than the first one did
    clock = Clock(minutes=minutes, spent=spent)
    history = History.open(out / "history_unet.csv")

    def make(rng: random.Random) -> tuple[torch.Tensor, torch.Tensor]:
        samples = [pictures.sample(rng) for _ in range(_BATCH)]
        words = ["" if rng.random() < _NO_WORDS else caption for _, caption in samples]
        ids = tokenizer(words, padding="max_length", truncation=True, max_length=LENGTH, return_tensors="pt")
        return torch.from_numpy(target.encode(np.stack([pixels for pixels, _ in samples]))), ids.input_ids

    def save() -> None:
        state = {
            "un": unet.state_dict(),
            "te": text_encoder.state_dict(),
            "opt": optimizer.state_dict(),
            "ema": average.values,
            "step": step,
            "seen": seen,
            "spent": clock.spent,
        }
        save_state(state, last)
        with average.applied():
            unet.save_pretrained(out / "unet")
            text_encoder.save_pretrained(out / "text_encoder")
        history.save()

    batches = Batches(make, seed=f"unet {step}")
    with clock.listening(), Progress() as progress:
        task = progress.add_task("U-Net", total=steps, completed=step)
        while not clock.over and (steps is None or step < steps):
            rate = min(1, (step + 1) / _WARM_UP) / math.sqrt(max(1, seen / _FLAT_UNTIL))
            optimizer.param_groups[0]["lr"], optimizer.param_groups[1]["lr"] = _RATE * rate, _TEXT_RATE * rate
            clean, ids = batches.next()
            times = _timesteps(len(clean))
            noise = torch.randn_like(clean)
            signal = kept[times].view(-1, 1, 1, 1)
            noisy = signal.sqrt() * clean + (1 - signal).sqrt() * noise
            wanted = signal.sqrt() * noise - (1 - signal).sqrt() * clean
            words = text_encoder(ids).last_hidden_state
            loss = ((unet(noisy, times, words).sample - wanted) ** 2).mean()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            step += 1
            seen += len(clean)
            average.update(step)
            mean = history.add(step, float(loss.detach()))
            if mean is not None:
                progress.update(task, completed=step, description=f"U-Net {seen} samples, loss {mean:.4f}")
            if clock.save_due():
                save()
    batches.close()
    save()
    return seen


def _timesteps(count: int) -> torch.Tensor:
    """Stratified timesteps, most of them at low noise."""
    import torch  # noqa: PLC0415

    even = ((torch.arange(count) + torch.rand(1)) / count) % 1
    low = even / _LOW_SHARE * _LOW_UNTIL
    high = _LOW_UNTIL + (even - _LOW_SHARE) / (1 - _LOW_SHARE) * (_TIMESTEPS - _LOW_UNTIL)
    times = torch.where(even < _LOW_SHARE, low, high).long().clamp(0, _TIMESTEPS - 1)
    return times[torch.randperm(count)]
