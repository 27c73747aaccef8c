"""Judges what a picture shows by the reference pictures that an independent embedding finds nearest."""

from __future__ import annotations

import hashlib
import math
import os
import random
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from generation.sticker.backgrounds import paint
from generation.sticker.colors import Pixels
from generation.sticker.draft import Plan
from generation.sticker.geometry import Placement
from generation.sticker.picture_encoder import DIMENSIONS, EDGE, PictureEncoder
from generation.sticker.quality.measures import lab
from generation.sticker.references import Reference, References

TOP = 5
Vectors = npt.NDArray[np.float32]
Tick = Callable[[int], None]
"""Told how many more pictures are done."""

_BATCH = 16
_SAME_VECTOR = 0.999  # cosine; kept vectors are rounded to float16
_MARGIN = 1.1  # edge of a cut-out's square by its longer side
_GROUND, _THING = 8.0, 16.0  # dE from the bare ground up to which a pixel is ground, and from which it is not
_VIEWS = frozenset({"face", "oncoming", "front-facing"})
_COMPONENTS = 512
_WHITENING = 0.75  # 0: directions keep their variance, 1: all have the same
"""With which most of the reference pictures find their own title, each with its maker's other version left
out (72 %; 64 % by the plain cosine): chosen on the reference pictures alone."""


def same_subject(asked: Collection[str], title: str) -> bool:
    """Whether a title is one of those asked for, but for the words that only say how a thing is seen.

    "cat face" is a cat and "oncoming taxi" a taxi; "lion" and "cat with wry smile" are no cat.
    """
    return _core(title) in map(_core, asked)


def _core(title: str) -> list[str]:
    words = title.split()
    return [word for word in words if word not in _VIEWS] or words


def cut_out(pixels: Pixels, plan: Plan, placement: Placement) -> Pixels:
    """Cut a subject out of a picture and lay it on white, as the gallery's pictures lie.

    What differs from the bare ground is kept, so that a smear beside the subject stays, too. A subject that
    was turned around is turned back.

    Args:
        pixels: (H, W, 3), a multiple of the native size.
        plan: which ground was painted.
        placement: where the subject was put, in native px.

    Returns:
        (224, 224, 3), the embedding's own size.
    """
    height, width = pixels.shape[:2]
    scale = width / plan.width
    ground = paint(plan.background, width=width, height=height, rng=random.Random(plan.seed))
    left, top, right, bottom = box_of(placement, plan, scale=scale)
    inside = pixels[top:bottom, left:right]
    apart = np.linalg.norm(lab(inside) - lab(ground[top:bottom, left:right]), axis=-1, keepdims=True)
    alpha = np.clip((apart - _GROUND) / (_THING - _GROUND), 0, 1)
    high, wide = inside.shape[:2]
    edge = round(max(high, wide) * _MARGIN)
    square = np.full((edge, edge, 3), 255, np.float32)
    y, x = (edge - high) // 2, (edge - wide) // 2
    square[y : y + high, x : x + wide] = inside * alpha + 255 * (1 - alpha)
    if placement.mirrored:
        square = square[:, ::-1]
    image = Image.fromarray(np.rint(square).astype(np.uint8))
    return np.asarray(image.resize((EDGE, EDGE), Image.Resampling.BICUBIC), np.uint8)


def box_of(placement: Placement, plan: Plan, *, scale: float) -> tuple[int, int, int, int]:
    """The left, top, right and bottom of a placement, in px of the picture, within the picture."""
    turn = math.radians(placement.angle)
    wide = placement.width * abs(math.cos(turn)) + placement.height * abs(math.sin(turn))
    high = placement.width * abs(math.sin(turn)) + placement.height * abs(math.cos(turn))
    left, right = (round((placement.x + side * wide / 2) * scale) for side in (-1, 1))
    top, bottom = (round((placement.y + side * high / 2) * scale) for side in (-1, 1))
    return (
        max(0, left),
        max(0, top),
        min(round(plan.width * scale), right),
        min(round(plan.height * scale), bottom),
    )


class Gallery:
    """Every reference picture on white, embedded.

    Args:
        references: the pack.
        vectors: (n, 1280), one unit row for each of `references.all`.
    """

    def __init__(self, references: References, vectors: Vectors) -> None:
        self._titles = [reference.title for reference in references.all]
        self._row = {reference.id: i for i, reference in enumerate(references.all)}
        self._mean = vectors.mean(0)
        centered = vectors - self._mean
        # Directions in which all pictures vary much say little about what they show; they are damped.
        variances, directions = np.linalg.eigh(centered.T @ centered / len(vectors))
        kept = slice(None, -_COMPONENTS - 1, -1)
        self._map = directions[:, kept] / np.maximum(variances[kept], 1e-9) ** (_WHITENING / 2)
        self._vectors = self._mapped(vectors)

    def _mapped(self, vectors: Vectors) -> Vectors:
        mapped = (vectors - self._mean) @ self._map
        out: Vectors = (mapped / np.linalg.norm(mapped, axis=-1, keepdims=True)).astype(np.float32)
        return out

    def nearest_titles(self, vector: Vectors, *, without: Collection[str]) -> tuple[str, ...]:
        """The `TOP` titles whose nearest picture is nearest to `vector` (1280,), best first.

        Args:
            vector: as `PictureEncoder.embed` returns it.
            without: ids of pictures to leave out.
        """
        return self._nearest(self._mapped(vector[None])[0], without)

    def nearest_to_reference(self, reference: str) -> tuple[str, ...]:
        """The same for a picture of the gallery itself, by its id, that picture left out."""
        return self._nearest(self._vectors[self._row[reference]], {reference})

    def _nearest(self, mapped: Vectors, without: Collection[str]) -> tuple[str, ...]:
        hidden = {self._row[reference] for reference in without}
        found: dict[str, None] = {}
        for i in np.argsort(-(self._vectors @ mapped), kind="stable"):
            if int(i) not in hidden:
                found[self._titles[i]] = None
            if len(found) == TOP:
                break
        return tuple(found)


def open_gallery(
    references: References, encoder: PictureEncoder, *, pack: Path, cache: Path, tick: Tick
) -> Gallery:
    """Embed the gallery, or take it from `cache`, where it is kept for each pack.

    A kept gallery counts only if the encoder still gives its first picture the same vector.

    Args:
        references: the opened pack.
        encoder: embeds the pictures.
        pack: the pack's file.
        cache: a folder for the embedded galleries; made where it is missing.
        tick: told about every picture.
    """
    path = cache / f"gallery-{hashlib.sha256(pack.read_bytes()).hexdigest()[:32]}.npy"
    if path.is_file():
        kept = np.load(path, allow_pickle=False).astype(np.float32)
        first = encoder.embed(_on_white(references, references.all[:1]))[0]
        if kept.shape == (len(references.all), DIMENSIONS) and float(kept[0] @ first) > _SAME_VECTOR:
            tick(len(kept))
            return Gallery(references, kept)
    rows = []
    for start in range(0, len(references.all), _BATCH):
        batch = references.all[start : start + _BATCH]
        rows.append(encoder.embed(_on_white(references, batch)).astype(np.float16))
        tick(len(batch))
    vectors = np.concatenate(rows)
    cache.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(f".{os.getpid()}.npy")
    np.save(fresh, vectors)
    fresh.replace(path)
    return Gallery(references, vectors.astype(np.float32))


def _on_white(references: References, batch: Sequence[Reference]) -> Pixels:
    pictures = np.stack([references.picture(reference, edge=EDGE) for reference in batch])
    alpha = pictures[..., 3:].astype(np.float32) / 255
    out: Pixels = np.rint(pictures[..., :3] * alpha + 255 * (1 - alpha)).astype(np.uint8)
    return out
