"""Trains the autoencoder's decoder to restore: from latents as the U-Net makes them to the picture behind.

The U-Net's small mistakes (a flat ground that is mottled, an edge that wavers) cost little in latents and
show much in pixels. The decoder sees them with the picture that was meant, beside clean latents, so that it
stays the decoder of its encoder, which is left as it was.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image
from rich.progress import Progress

from generation.sticker.colors import Pixels
from generation.sticker.export import MODEL
from generation.sticker.packages import DatasetError
from generation.sticker.training.autoencoder import AutoencoderRun, open_autoencoder
from generation.sticker.training.latents import SHIPPED, PatchLatents
from generation.sticker.training.pictures import PictureFolder
from generation.sticker.training.redrawn import JUDGE, STEPS, TRAIN, Chunk
from generation.sticker.training.run import Batches, without_subnormals

if TYPE_CHECKING:
    import torch

_REDRAWN, _CLEAN = 5, 1  # pictures of each kind in a batch
_RATE = 1e-3
_WARM_UP = 100  # steps
_LATENT_NOISE = 0.12  # on the clean ones, as in the training before
_LOOK_AGAIN = 200  # batches after which new files are looked for
_SHOWN = 6  # held-out pictures of each strength on the sheet


def train_decoder(
    pictures: PictureFolder,
    out: Path,
    *,
    redrawn: Path,
    steps: int,
    latents: Path = SHIPPED,
    start: Path | None = None,
    minutes: float | None = None,
    bfloat16: bool = False,
) -> int:
    """Train, or go on training, until `steps` steps are done in all or the time is up.

    The learning rate follows a cosine over `steps`. Files that `redraw` adds meanwhile are taken in.

    Args:
        pictures: training pictures; only for the PCA where that is missing.
        out: holds `last.pt` (all state), `vae/` (the average, as diffusers reads it), `held_out.csv`
            (mean absolute error, of 255, on the held-out pictures by strength) and `samples/` (their looks).
        redrawn: the folder that `redraw` fills.
        steps: of the whole schedule.
        latents: the PCA file, shared with the U-Net.
        start: an exported model to begin from where `out` holds no checkpoint; None: the one that ships.
        minutes: of this run at most; None: no limit.
        bfloat16: mixed precision.

    Raises:
        DatasetError: `start` is no model folder, or `redrawn` holds no pictures yet.

    Returns:
        The number of steps done in all.
    """
    import torch  # noqa: PLC0415

    out.mkdir(parents=True, exist_ok=True)
    material = Material(redrawn, PatchLatents.open(latents, pictures))
    torch.manual_seed(0)
    model = open_autoencoder(start or MODEL)
    model.encoder.requires_grad_(requires_grad=False)
    model.quant_conv.requires_grad_(requires_grad=False)
    run = AutoencoderRun(
        out,
        model,
        rate=_RATE,
        warm_up=_WARM_UP,
        steps=steps,
        minutes=minutes,
        history="history_decoder.csv",
    )
    torch.manual_seed(run.step)  # a resumed run draws other noise than the first one did
    if not run.step:
        _judge(run, material)
    batches = Batches(material.batch, seed=f"decoder {run.step}")
    with run.clock.listening(), without_subnormals(), Progress() as progress:
        task = progress.add_task("decoder", total=steps, completed=run.step)
        while run.step < steps and not run.clock.over:
            planes, made = batches.next()
            with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
                decoded = model.decode(made).sample
            loss = restoring_loss(decoded.float(), planes)
            mean = run.descend(loss, shown=loss)
            if mean is not None:
                progress.update(task, completed=run.step, description=f"decoder, loss {mean:.4f}")
            if run.clock.save_due():
                run.save()
                _judge(run, material)
    batches.close()
    run.save()
    _judge(run, material)
    return run.step


class Material:
    """The redrawn pictures in memory, those for training and those held out.

    Args:
        folder: that `redraw` fills; it may go on filling it.
        target: the map to clean latents.

    Raises:
        DatasetError: there is nothing to train on or to judge by yet, or a file is damaged.
    """

    def __init__(self, folder: Path, target: PatchLatents) -> None:
        self._folder = folder
        self._target = target
        self._chunks: dict[str, Chunk] = {}
        self._taken = 0  # batches
        self.held_out = [Chunk.open(path) for path in sorted(folder.glob(f"{JUDGE}-*.npz"))]
        self._look()
        if not (self._chunks and self.held_out):
            raise DatasetError(f"{folder} holds no redrawn pictures yet: make them first")

    def _look(self) -> None:
        for path in sorted(self._folder.glob(f"{TRAIN}-*.npz")):
            if path.name not in self._chunks:
                self._chunks[path.name] = Chunk.open(path)

    def batch(self, rng: random.Random) -> tuple[torch.Tensor, torch.Tensor]:
        """Pictures (n, 3, 128, 128) in -1..1 and their latents (n, 12, 16, 16), most of them redrawn."""
        import torch  # noqa: PLC0415

        self._taken += 1
        if self._taken % _LOOK_AGAIN == 0:
            self._look()
        chunks = list(self._chunks.values())
        pixels, latents = [], []
        for i in range(_REDRAWN + _CLEAN):
            chunk = rng.choice(chunks)
            k = rng.randrange(len(chunk.pixels))
            pixels.append(chunk.pixels[k])
            latents.append(
                chunk.latents[k].astype(np.float32) if i < _REDRAWN else self._noisy(chunk.pixels[k], rng)
            )
        return planes_of(np.stack(pixels)), torch.from_numpy(np.stack(latents))

    def _noisy(self, pixels: Pixels, rng: random.Random) -> npt.NDArray[np.float32]:
        clean = self._target.encode(pixels[None])[0]
        noise = np.random.default_rng(rng.getrandbits(32)).standard_normal(clean.shape, np.float32)
        noisy: npt.NDArray[np.float32] = clean + noise * np.float32(rng.random() * _LATENT_NOISE)
        return noisy


def planes_of(pixels: Pixels) -> torch.Tensor:
    """(n, H, W, 3) sRGB -> (n, 3, H, W) in -1..1."""
    import torch  # noqa: PLC0415

    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)).astype(np.float32) / 127.5 - 1)


def restoring_loss(out: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """How far decoded planes (n, 3, H, W) are from the wanted ones.

    Absolute differences of colors and of gradients, fine and coarse, and of the steepest gradient nearby: an
    edge that is sharp but a pixel off costs less than one that is washed out between two places.
    """
    import torch  # noqa: PLC0415

    pool = torch.nn.functional
    loss = (out - wanted).abs().mean() + 0.25 * ((out - wanted) ** 2).mean()
    for scale in (1, 2, 4):
        small, aim = (pool.avg_pool2d(planes, scale) for planes in (out, wanted))
        (across, down), (aim_across, aim_down) = _gradients(small), _gradients(aim)
        loss = loss + 0.5 * ((across - aim_across).abs().mean() + (down - aim_down).abs().mean())
    steep, aim_steep = (
        pool.max_pool2d((x**2 + y**2 + 1e-6).sqrt(), 3, 1) for x, y in (_gradients(out), _gradients(wanted))
    )
    return loss + 0.5 * (steep - aim_steep).abs().mean()


def _gradients(planes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    corner = planes[..., :-1, :-1]
    return planes[..., :-1, 1:] - corner, planes[..., 1:, :-1] - corner


def _judge(run: AutoencoderRun, material: Material) -> None:
    """Note the averaged decoder's error on the held-out pictures, and draw some of them."""
    import torch  # noqa: PLC0415

    errors, rows = [], []
    with run.average.applied(), torch.inference_mode():
        for chunk in material.held_out:
            latents = torch.from_numpy(chunk.latents.astype(np.float32))
            planes = torch.cat([run.model.decode(part).sample for part in torch.split(latents, 16)])
            decoded = np.rint((planes.clamp(-1, 1).numpy().transpose(0, 2, 3, 1) + 1) * 127.5)
            errors.append(float(np.abs(decoded - chunk.pixels).mean()))
            shown = (chunk.pixels[:_SHOWN], decoded[:_SHOWN].astype(np.uint8))
            rows += [np.concatenate(list(pixels), axis=1) for pixels in shown]
    table = run.out / "held_out.csv"
    if not table.exists():
        names = ",".join(f"strength {chunk.taken / STEPS:g}" for chunk in material.held_out)
        table.write_text(f"step,{names}\n", encoding="utf-8")
    with table.open("a", encoding="utf-8") as stream:
        stream.write(f"{run.step}," + ",".join(f"{error:.4f}" for error in errors) + "\n")
    folder = run.out / "samples"
    folder.mkdir(exist_ok=True)
    Image.fromarray(np.vstack(rows)).save(folder / f"{run.step:06d}.png")
