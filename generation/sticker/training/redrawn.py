"""Latents as the U-Net really makes them: composed pictures, noised and denoised as a request does it.

A decoder trained on them (`generation.sticker.training.decoder`) learns to mend what the U-Net gets wrong.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
import numpy.typing as npt
from rich.progress import Progress

from generation.errors import ModelLoadError
from generation.sticker.colors import Pixels
from generation.sticker.export import MODEL
from generation.sticker.network import Network
from generation.sticker.packages import DatasetError
from generation.sticker.training.pictures import PictureFolder
from generation.sticker.training.run import Clock

if TYPE_CHECKING:
    import torch

STEPS = 16  # of the whole schedule, as the card has it
TAKEN = (2, 3, 4, 5, 6, 7, 8)  # steps of it: strengths 0.125 to 0.5
_CHUNK = 64  # pictures of one file and one strength
_HELD_OUT = 20  # every so many pictures of the folder are only for judging
TRAIN, JUDGE = "train", "judge"


@dataclass(frozen=True, slots=True)
class Chunk:
    """Pictures and what the U-Net made of them."""

    pixels: Pixels  # (n, 128, 128, 3), as composed
    latents: npt.NDArray[np.float16]  # (n, 12, 16, 16), noised and denoised
    taken: int  # denoising steps, of `STEPS`

    @classmethod
    def open(cls, path: Path) -> Self:
        """Read a file of `redraw`.

        Raises:
            DatasetError: it is damaged.
        """
        try:
            with np.load(path, allow_pickle=False) as arrays:
                return cls(arrays["pixels"], arrays["latents"], int(arrays["taken"]))
        except (OSError, ValueError, KeyError) as error:
            raise DatasetError(f"{path} holds no redrawn pictures: {error}") from error

    def save(self, path: Path) -> None:
        """Write the file so that it is whole as soon as it is there."""
        fresh = path.with_name(f".{path.name}")
        with fresh.open("wb") as stream:
            np.savez_compressed(stream, pixels=self.pixels, latents=self.latents, taken=self.taken)
        fresh.replace(path)


def redraw(
    pictures: PictureFolder,
    out: Path,
    *,
    samples: int,
    start: Path | None = None,
    minutes: float | None = None,
) -> int:
    """Redraw composed pictures, or go on doing so, until there are `samples` or the time is up.

    Files `judge-*.npz` come first, one for each strength: they show only pictures that no other file shows.

    Args:
        pictures: training pictures.
        out: the folder of the files.
        samples: for training, rounded up to whole files.
        start: the model that redraws; None: the one that ships.
        minutes: of this run at most; None: no limit.

    Raises:
        DatasetError: `start` is no model folder.

    Returns:
        The number of pictures for training in all.
    """
    out.mkdir(parents=True, exist_ok=True)
    try:
        network = Network(start or MODEL, model_id="redrawn", device="cpu")
    except (ModelLoadError, OSError, ValueError) as error:
        raise DatasetError(f"{start or MODEL} is no model to redraw with: {error}") from error
    kept_apart = {TRAIN: pictures.part(_HELD_OUT, rest=True), JUDGE: pictures.part(_HELD_OUT, rest=False)}
    clock = Clock(minutes=minutes)
    with clock.listening(), Progress() as progress:
        task = progress.add_task("redrawn pictures", total=samples)
        for kind, number, taken in _files(samples):
            if clock.over:
                break
            path = out / f"{kind}-{number:05d}.npz"
            if not path.exists():
                _chunk(network, kept_apart[kind], taken=taken, seed=f"{path.stem}").save(path)
            progress.update(task, completed=_CHUNK * (number + 1) if kind == TRAIN else 0)
    return _CHUNK * len(list(out.glob(f"{TRAIN}-*.npz")))


def _files(samples: int) -> Iterator[tuple[str, int, int]]:
    yield from ((JUDGE, number, taken) for number, taken in enumerate(TAKEN))
    rng = random.Random(0)
    order: list[int] = []
    for number in range(-(-samples // _CHUNK)):
        order = order or rng.sample(TAKEN, len(TAKEN))
        yield TRAIN, number, order.pop()


def _chunk(network: Network, pictures: PictureFolder, *, taken: int, seed: str) -> Chunk:
    import torch  # noqa: PLC0415

    rng = random.Random(seed)
    composed = [pictures.sample(rng) for _ in range(_CHUNK)]
    clean = torch.cat([network.encode(pixels) for pixels, _ in composed])
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(rng.getrandbits(32)))
    words = torch.cat([network.read(caption) for _, caption in composed])
    latents = _img2img(network, clean, noise, words, taken=taken)
    return Chunk(np.stack([pixels for pixels, _ in composed]), latents.numpy().astype(np.float16), taken)


def _img2img(
    network: Network, clean: torch.Tensor, noise: torch.Tensor, words: torch.Tensor, *, taken: int
) -> torch.Tensor:
    """Without guidance: a small one makes no visible difference, and takes twice as long."""
    import torch  # noqa: PLC0415

    scheduler = network.noise_scheduler()
    timesteps = scheduler.start(STEPS, taken / STEPS)
    latents = scheduler.noised(clean, noise, timesteps[0])
    for timestep in timesteps:
        predicted = network.predict(latents, torch.full((len(latents),), timestep), words)
        latents, _ = scheduler.advance(predicted, timestep, latents)
    return latents
