"""Trains the U-Net and the text encoder: v-prediction (Salimans and Ho, 2022) on the fixed patch latents."""

from __future__ import annotations

import math
import random
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from rich.progress import Progress

from generation.sticker.export import MODEL, NOISE_SCHEDULER
from generation.sticker.training.latents import SHIPPED, PatchLatents
from generation.sticker.training.pictures import PictureFolder
from generation.sticker.training.run import (
    Average,
    Batches,
    Clock,
    History,
    check_model,
    save_state,
    without_subnormals,
)
from generation.sticker.training.samples import SampleSheet
from generation.sticker.training.text_table import LENGTH, build_text_encoder
from generation.sticker.training.widen import NARROW, widen

if TYPE_CHECKING:
    import torch

_BATCH = 32
_RATE = 8e-4
_TEXT_RATE = 4e-4
_WARM_UP = 200  # steps
_FLAT_UNTIL = 150_000  # samples; from then on the rate falls with the inverse square root: no end date needed
_DECAY = 0.9985
_HUBER = 0.3  # of a cell's error (12 channels of v), where a pseudo-Huber loss turns from square to linear
_NO_WORDS = 0.1  # share of samples without a caption, for classifier-free guidance
_LOW_SHARE, _LOW_UNTIL = 0.95, 500  # low noise is learned first: it is what redrawing needs
_TIMESTEPS = 1000


def train_unet(
    pictures: PictureFolder,
    out: Path,
    *,
    latents: Path = SHIPPED,
    start: Path | None = None,
    seen: int = 0,
    wide: bool = False,
    minutes: float | None = None,
    samples: int | None = None,
    cool: int | None = None,
    bfloat16: bool = False,
    vae: Path = MODEL / "vae",
) -> int:
    """Train, or go on training, until the time is up.

    The rate is level, then falls slowly, so a run needs no end date; weights that are to be used are cooled
    first: the rate then falls to 0 (warm-up, stable, decay; Hu et al., 2024).

    Args:
        pictures: training pictures.
        out: holds `last.pt` (all state), `tokenizer/`, `unet/` and `text_encoder/` (the average),
            `history_unet.png` (the loss) and `samples/` (a sheet every so many minutes and at the end).
        latents: the PCA file, shared with the autoencoder.
        start: an exported model to begin from where `out` holds no checkpoint; None: from scratch.
        seen: samples that `start` has seen: the count and the rate go on from there.
        wide: widen the U-Net of `start` first (see `widen`).
        minutes: of this run at most; None: until it is interrupted.
        samples: in all at most; None: no limit.
        cool: samples over which to let the rate fall to 0; the training ends with it. A resumed run goes on
            cooling.
        bfloat16: mixed precision, a third faster on processors that multiply in it.
        vae: decodes the sample sheets.

    Raises:
        DatasetError: `start` is no model folder, or not one that can be widened.

    Returns:
        The number of samples seen in all.
    """
    import torch  # noqa: PLC0415

    out.mkdir(parents=True, exist_ok=True)
    target = PatchLatents.open(latents, pictures)
    if not (out / "tokenizer").exists():
        if start is None:
            build_text_encoder(pictures, out)
        else:
            check_model(start, "unet", "text_encoder", "tokenizer")
            # The tokenizer comes last: a copy that was cut off is then made anew.
            for part in ("unet", "text_encoder", "tokenizer"):
                shutil.copytree(start / part, out / part, dirs_exist_ok=True)
                if wide and part == "unet":
                    widen(start / part, out / part)
    torch.manual_seed(0)
    run = _Run(out, target.weights(), seen=seen, minutes=minutes, cool=cool, bfloat16=bfloat16)
    torch.manual_seed(run.step)  # a resumed run draws other noise than the first one did

    def make(rng: random.Random) -> tuple[torch.Tensor, torch.Tensor]:
        samples = [pictures.sample(rng) for _ in range(_BATCH)]
        words = ["" if rng.random() < _NO_WORDS else caption for _, caption in samples]
        return torch.from_numpy(target.encode(np.stack([pixels for pixels, _ in samples]))), run.tokenize(
            words
        )

    sheet = SampleSheet(pictures, target, vae=vae)
    batches = Batches(make, seed=f"unet {run.step}")
    with run.clock.listening(), without_subnormals(), Progress() as progress:
        end = min((x for x in (samples, run.cold_at) if x is not None), default=None)
        task = progress.add_task("U-Net", total=end, completed=run.seen)
        while not run.clock.over and (end is None or run.seen < end):
            mean = run.advance(*batches.next())
            if mean is not None:
                progress.update(
                    task, completed=run.seen, description=f"U-Net {run.seen} samples, loss {mean:.4f}"
                )
            if run.clock.save_due():
                run.save()
            if run.clock.sheet_due():
                run.draw(sheet)
    batches.close()
    run.save()
    run.draw(sheet)
    return run.seen


class _Run:
    """The networks with their optimizer, as a checkpoint keeps them."""

    def __init__(
        self,
        out: Path,
        weights: npt.NDArray[np.float32],
        *,
        seen: int,
        minutes: float | None,
        cool: int | None,
        bfloat16: bool,
    ) -> None:
        import diffusers  # noqa: PLC0415
        import torch  # noqa: PLC0415
        import transformers  # noqa: PLC0415

        # The libraries build their classes at run time, so their types cannot be checked.
        hub: Any = diffusers
        words: Any = transformers
        self._out = out
        self._tokenizer = words.BertTokenizer.from_pretrained(out / "tokenizer", local_files_only=True)
        self._text_encoder = words.CLIPTextModel.from_pretrained(
            out / "text_encoder", dtype=torch.float32, local_files_only=True
        ).train()
        self._text_encoder.get_input_embeddings().weight.requires_grad_(requires_grad=False)
        if (out / "unet").exists():
            self._unet = hub.UNet2DConditionModel.from_pretrained(
                out / "unet", torch_dtype=torch.float32, local_files_only=True
            )
        else:
            self._unet = hub.UNet2DConditionModel(
                **NARROW, cross_attention_dim=self._text_encoder.config.hidden_size
            )
            torch.nn.init.zeros_(self._unet.conv_out.weight)
            torch.nn.init.zeros_(self._unet.conv_out.bias)
        self._unet = self._unet.train().to(memory_format=torch.channels_last)
        text_parameters = [p for p in self._text_encoder.parameters() if p.requires_grad]
        self._parameters = [*self._unet.parameters(), *text_parameters]
        self._optimizer = torch.optim.AdamW(
            [
                {"params": list(self._unet.parameters()), "lr": _RATE},
                {"params": text_parameters, "lr": _TEXT_RATE},
            ],
            betas=(0.9, 0.98),
            weight_decay=0.01,
            eps=1e-7,
            fused=True,
        )
        self._average = Average(self._parameters, decay=_DECAY)
        self._kept: torch.Tensor = hub.DDPMScheduler(
            num_train_timesteps=_TIMESTEPS, beta_schedule=NOISE_SCHEDULER["beta_schedule"]
        ).alphas_cumprod
        self._weights = torch.from_numpy(weights)
        self._bfloat16 = bfloat16
        self.step, self.seen, spent = 0, seen, 0.0
        self._cool: tuple[int, int] | None = None  # samples at its begin, and its length
        last = out / "last.pt"
        if last.exists():
            state = torch.load(last, weights_only=True)
            self._unet.load_state_dict(state["un"])
            self._text_encoder.load_state_dict(state["te"])
            self._optimizer.load_state_dict(state["opt"])
            self._average.values = state["ema"]
            self.step, self.seen, spent = state["step"], state["seen"], state["spent"]
            self._cool = state.get("cool")
        if self._cool is None and cool is not None:
            self._cool = (self.seen, cool)
        self.clock = Clock(minutes=minutes, spent=spent)
        self._history = History.open(out / "history_unet.csv")

    @property
    def cold_at(self) -> int | None:
        """The number of samples at which the rate reaches 0; None: it is not falling to it."""
        return sum(self._cool) if self._cool else None

    def tokenize(self, texts: list[str]) -> torch.Tensor:
        """Texts -> token ids (n, 32)."""
        ids: torch.Tensor = self._tokenizer(
            texts, padding="max_length", truncation=True, max_length=LENGTH, return_tensors="pt"
        ).input_ids
        return ids

    def advance(self, clean: torch.Tensor, ids: torch.Tensor) -> float | None:
        """Take one step; returns the mean squared error of v now and then."""
        import torch  # noqa: PLC0415

        rate = min(1, (self.step + 1) / _WARM_UP) / math.sqrt(max(1, self.seen / _FLAT_UNTIL))
        if self._cool:
            begin, length = self._cool
            rate *= max(0.0, 1 - (self.seen - begin) / length)
        for group, full in zip(self._optimizer.param_groups, (_RATE, _TEXT_RATE), strict=True):
            group["lr"] = full * rate
        times = _timesteps(len(clean))
        noise = torch.randn_like(clean)
        signal = self._kept[times].view(-1, 1, 1, 1)
        noisy = signal.sqrt() * clean + (1 - signal).sqrt() * noise
        wanted = signal.sqrt() * noise - (1 - signal).sqrt() * clean
        with torch.autocast("cpu", torch.bfloat16, enabled=self._bfloat16):
            words = self._text_encoder(ids).last_hidden_state
            predicted = self._unet(noisy, times, words).sample
        squared = (predicted.float() - wanted) ** 2
        # Squares alone leave the many small errors of an even ground, which show as blotches, without weight.
        loss = (((squared * self._weights[:, None, None]).sum(1) + _HUBER**2).sqrt() - _HUBER).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._parameters, 1.0)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        self.step += 1
        self.seen += len(clean)
        self._average.update(self.step)
        return self._history.add(self.step, float(squared.detach().mean()))

    def draw(self, sheet: SampleSheet) -> None:
        """Write a sample sheet of the averaged networks."""

        def predict(latents: torch.Tensor, times: torch.Tensor, captions: Sequence[str]) -> torch.Tensor:
            words = self._text_encoder(self.tokenize(list(captions))).last_hidden_state
            predicted: torch.Tensor = self._unet(latents, times, words).sample
            return predicted

        folder = self._out / "samples"
        folder.mkdir(exist_ok=True)
        with self._average.applied():
            sheet.draw(predict).save(folder / f"{self.seen:09d}.png")

    def save(self) -> None:
        """Write the state, the averaged networks and the history."""
        state = {
            "un": self._unet.state_dict(),
            "te": self._text_encoder.state_dict(),
            "opt": self._optimizer.state_dict(),
            "ema": self._average.values,
            "step": self.step,
            "seen": self.seen,
            "spent": self.clock.spent,
            "cool": self._cool,
        }
        save_state(state, self._out / "last.pt")
        with self._average.applied():
            self._unet.save_pretrained(self._out / "unet")
            self._text_encoder.save_pretrained(self._out / "text_encoder")
        self._history.save()


def _timesteps(count: int) -> torch.Tensor:
    """Stratified timesteps, most of them at low noise."""
    import torch  # noqa: PLC0415

    even = ((torch.arange(count) + torch.rand(1)) / count) % 1
    low = even / _LOW_SHARE * _LOW_UNTIL
    high = _LOW_UNTIL + (even - _LOW_SHARE) / (1 - _LOW_SHARE) * (_TIMESTEPS - _LOW_UNTIL)
    times = torch.where(even < _LOW_SHARE, low, high).long().clamp(0, _TIMESTEPS - 1)
    return times[torch.randperm(count)]
