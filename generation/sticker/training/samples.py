"""Sample sheets of a training: fixed pictures, redrawn at several strengths."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from generation.sticker.export import NOISE_SCHEDULER
from generation.sticker.training.latents import PatchLatents
from generation.sticker.training.pictures import EDGE, PictureFolder

if TYPE_CHECKING:
    import torch

STRENGTHS = (0.15, 0.3, 0.45, 0.6, 1.0)
_PICTURES = 8
_STEPS = 16
_GUIDANCE = 1.2
_SEED = 1999  # of the pictures and of the noise
_LABEL = 14  # px under each row

Predict = Callable[["torch.Tensor", "torch.Tensor", Sequence[str]], "torch.Tensor"]
"""Noisy latents (n, 12, h, w), timesteps (n,), captions -> v (n, 12, h, w)."""


class SampleSheet:
    """Composes its pictures once; draws a sheet whenever it is asked.

    Args:
        pictures: training pictures.
        latents: the map to latents that the U-Net is trained on.
        vae: folder of an autoencoder anchored to the same latents, for decoding.
    """

    def __init__(self, pictures: PictureFolder, latents: PatchLatents, *, vae: Path) -> None:
        import diffusers  # noqa: PLC0415 - heavy
        import torch  # noqa: PLC0415

        hub: Any = diffusers  # it builds its classes at run time, so their types cannot be checked
        rng = random.Random(_SEED)
        samples = [pictures.sample(rng) for _ in range(_PICTURES)]
        self._pixels = np.stack([pixels for pixels, _ in samples])
        self._captions = [caption for _, caption in samples]
        self._clean = torch.from_numpy(latents.encode(self._pixels))
        self._noise = torch.randn(self._clean.shape, generator=torch.Generator().manual_seed(_SEED))
        self._vae = hub.AutoencoderKL.from_pretrained(vae, torch_dtype=torch.float32, local_files_only=True)
        self._scheduler_class = hub.DDIMScheduler

    def draw(self, predict: Predict) -> Image.Image:
        """One row a picture: as composed, then redrawn at each of `STRENGTHS`."""
        columns = [self._pixels, *(self._redrawn(predict, strength) for strength in STRENGTHS)]
        width, height = EDGE * len(columns), (EDGE + _LABEL) * _PICTURES + _LABEL
        sheet = Image.new("RGB", (width, height), "white")
        pen = ImageDraw.Draw(sheet)
        for x, name in enumerate(("composed", *(f"strength {strength}" for strength in STRENGTHS))):
            pen.text((x * EDGE + 2, 1), name, fill="black")
        for i, caption in enumerate(self._captions):
            top = _LABEL + i * (EDGE + _LABEL)
            for x, pixels in enumerate(columns):
                sheet.paste(Image.fromarray(pixels[i]), (x * EDGE, top))
            pen.text((2, top + EDGE + 1), caption[:120], fill="black")
        return sheet

    def _redrawn(self, predict: Predict, strength: float) -> npt.NDArray[np.uint8]:
        import torch  # noqa: PLC0415

        scheduler = self._scheduler_class(**NOISE_SCHEDULER)
        scheduler.set_timesteps(_STEPS)
        times = scheduler.timesteps[_STEPS - max(1, round(_STEPS * strength)) :]
        n = len(self._clean)
        with torch.inference_mode():
            latents = scheduler.add_noise(self._clean, self._noise, times[:1].repeat(n))
            for time in times:
                both = predict(
                    torch.cat([latents, latents]), time.repeat(2 * n), [*self._captions, *[""] * n]
                )
                with_words, without = both.chunk(2)
                predicted = without + _GUIDANCE * (with_words - without)
                latents = scheduler.step(predicted, time, latents).prev_sample
            planes = self._vae.decode(latents).sample.clamp(-1, 1)
        pixels: npt.NDArray[np.uint8] = np.rint((planes.numpy().transpose(0, 2, 3, 1) + 1) * 127.5).astype(
            np.uint8
        )
        return pixels
