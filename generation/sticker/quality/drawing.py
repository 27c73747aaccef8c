"""Draws the pictures that are judged, beside their bare drafts."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from generation.card import ModelCard
from generation.families.sticker import StickerFamily, StickerModel, StickerRow
from generation.job import ImageRequest
from generation.sticker.colors import Pixels
from generation.sticker.draft import Plan
from generation.sticker.retrieval import Embed
from generation.sticker.upscale import FACTOR, Upscaler


@dataclass(frozen=True, kw_only=True, slots=True)
class Drawn:
    """A finished picture and what it started from."""

    pixels: Pixels  # (4 H, 4 W, 3)
    start: Pixels  # (H, W, 3): the bare draft
    plan: Plan
    note: str | None
    strength: float
    cpu_s: float  # of the model, from the prompt to the finished picture; 0 where several were drawn together
    wall_s: float  # the same by the clock on the wall


def shrunk(pixels: Pixels) -> Pixels:
    """Average (4 H, 4 W, 3) down to (H, W, 3)."""
    height, width = pixels.shape[0] // FACTOR, pixels.shape[1] // FACTOR
    blocks = pixels.reshape(height, FACTOR, width, FACTOR, 3).astype(np.float32)
    out: Pixels = np.rint(blocks.mean((1, 3))).astype(np.uint8)
    return out


class Artist:
    """A sticker model that draws 1:1 pictures with its card's defaults.

    Args:
        card: of the sticker family.
        embed: the multilingual sentence encoder, as in `StickerFamily`.

    Raises:
        ModelLoadError: the card's folder holds no whole model.
    """

    def __init__(self, card: ModelCard, *, embed: Embed | None) -> None:
        self.card = card
        self._model: StickerModel = StickerFamily(embed=embed).load(card, device="cpu")
        self._upscaler = Upscaler(card.folder / "upscaler")

    def draw(self, prompt: str, *, seed: int) -> Drawn:
        """Draw one picture as a request without a strength of its own gets it."""
        started, cpu_started = time.perf_counter(), time.process_time()
        row = self._prepare(prompt, seed=seed, strength=None)
        while row.step < row.steps:
            self._model.denoise([row])
        pixels = self._model.decode(row).pixels
        wall_s, cpu_s = time.perf_counter() - started, time.process_time() - cpu_started
        return _drawn(row, pixels, cpu_s=cpu_s, wall_s=wall_s)

    def draw_at(self, prompt: str, *, seed: int, strengths: Sequence[float]) -> Iterator[Drawn]:
        """Draw one prompt at several strengths, denoised together."""
        rows = [self._prepare(prompt, seed=seed, strength=strength) for strength in strengths]
        while waiting := [row for row in rows if row.step < row.steps]:
            self._model.denoise(waiting)
        for row in rows:
            yield _drawn(row, self._model.decode(row).pixels)

    def enlarged_draft(self, drawn: Drawn) -> Pixels:
        """The bare draft at the finished size (4 H, 4 W, 3), enlarged as finished pictures are."""
        return self._upscaler.enlarge(drawn.start)

    def megabytes(self) -> dict[str, float]:
        """The sizes of weights, reference pictures and upscaler, in MB of a million bytes."""
        folder = self.card.folder
        files = {
            "weights": (folder / "model").rglob("*.safetensors"),
            "references": [folder / "references.zip"],
            "upscaler": (folder / "upscaler").iterdir(),
        }
        sizes = {name: sum(path.stat().st_size for path in found) / 1e6 for name, found in files.items()}
        return {**sizes, "total": sum(sizes.values())}

    def _prepare(self, prompt: str, *, seed: int, strength: float | None) -> StickerRow:
        width, height = self.card.aspects["1:1"]
        request = ImageRequest(
            prompt=prompt,
            model_id=self.card.id,
            width=width,
            height=height,
            seed=seed,
            num_inference_steps=self.card.default_steps,
            guidance_scale=self.card.default_guidance,
            strength=strength,
        )
        return self._model.prepare(request, index=0, source=None)


def _drawn(row: StickerRow, pixels: Pixels, *, cpu_s: float = 0.0, wall_s: float = 0.0) -> Drawn:
    if row.plan is None:
        raise ValueError("only pictures that start from a plan can be judged")
    return Drawn(
        pixels=pixels,
        start=row.start,
        plan=row.plan,
        note=row.note,
        strength=row.strength,
        cpu_s=cpu_s,
        wall_s=wall_s,
    )


def other_model(card: ModelCard, model: Path, *, folder: Path) -> ModelCard:
    """`card` with another exported model and its own references and upscaler, linked together in `folder`.

    Args:
        card: of the sticker family.
        model: a Stable Diffusion folder that `generation.sticker.export` wrote.
        folder: empty, must outlive the loaded model.
    """
    (folder / "model").symlink_to(model.resolve(), target_is_directory=True)
    for name in ("references.zip", "upscaler"):
        (folder / name).symlink_to(card.folder / name)
    return replace(card, folder=folder)
