"""Finds the things in a picture: what is neither its ground nor joined to it.

Two guesses about the ground are followed: that it has the color which the border shows most (a plain ground),
and that it has all colors of the border (a painted scene). Each gives the things together and one by one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from generation.sticker.colors import Pixels, to_oklab

EDGE = 128
"""px of the short edge at which things are looked for."""

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

_NEAR = 0.055  # OKLab distance up to which a color counts as the ground's
_REST = 0.015  # of the border may have a color of its own
_MOST_COLORS = 20
_OPENING = 5  # px: what is thinner joins no two things
_LEAST = 0.004  # of the picture: what is smaller is a speck
_LEAST_ALONE = 0.01
_MOST_ALONE = 3  # things of one guess that are looked at one by one
_MOST = 6
_SAME = 0.92  # intersection over union of two frames that show the same
_RIM = 0.2  # weight of the pixels at a thing's edge: they are mixed with the ground
_LONGEST = 4  # long edge by the short one; a still longer picture is squeezed


class Frame(NamedTuple):
    """A square in px of the small picture; it may reach beyond the picture."""

    x: float
    y: float
    edge: float

    def moved(self, dx: float, dy: float, scale: float) -> Frame:
        """The frame moved by shares of its edge and scaled about its middle."""
        grown = self.edge * scale
        shift = (self.edge - grown) / 2
        return Frame(self.x + dx * self.edge + shift, self.y + dy * self.edge + shift, grown)

    def overlap(self, other: Frame) -> float:
        """Intersection over union."""
        wide = min(self.x + self.edge, other.x + other.edge) - max(self.x, other.x)
        high = min(self.y + self.edge, other.y + other.edge) - max(self.y, other.y)
        both = max(0.0, wide) * max(0.0, high)
        return both / (self.edge**2 + other.edge**2 - both)


@dataclass(frozen=True, slots=True)
class Thing:
    """Part of a picture that may have been copied from somewhere."""

    frame: Frame
    mask: Mask  # (H, W), of the small picture


def shrink(pixels: Pixels, *, edge: int = EDGE) -> Pixels:
    """A picture (H, W, 3), its short edge scaled to `edge` px, the other to four times as much at most."""
    image = Image.fromarray(pixels)
    scale = edge / min(image.size)
    width, height = (min(_LONGEST * edge, max(edge, round(side * scale))) for side in image.size)
    method = Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC
    return np.asarray(image.resize((width, height), method), np.uint8)


def find_things(small: Pixels) -> tuple[Thing, ...]:
    """All of a picture that `shrink` gave, and up to five things that stand out in it."""
    smooth = np.asarray(Image.fromarray(small).filter(ImageFilter.MedianFilter(3)), np.float32)
    lab = to_oklab(smooth / 255)
    whole = np.ones(small.shape[:2], np.bool_)
    found = [Thing(_framed(whole), whole)]
    for mask in _masks(lab):
        if mask.mean() < _LEAST:
            continue
        frame = _framed(mask)
        if all(frame.overlap(thing.frame) < _SAME for thing in found[1:]):
            found.append(Thing(frame, mask))
    return tuple(found[:_MOST])


def _masks(lab: Floats) -> Iterator[Mask]:
    """Things together, then alone, by the one guess and by the other."""
    border = np.zeros(lab.shape[:2], np.bool_)
    border[[0, -1]] = border[:, [0, -1]] = True
    colors = list(_colors(lab[border]))
    for guess in (colors[:1], colors) if len(colors) > 1 else (colors,):
        ground = np.zeros_like(border)
        for color in guess:
            ground |= np.linalg.norm(lab - color, axis=-1) < _NEAR
        things = ~_grown(border, within=ground)
        yield things
        solid = (
            np.asarray(
                Image.fromarray(things)
                .convert("L")
                .filter(ImageFilter.MinFilter(_OPENING))
                .filter(ImageFilter.MaxFilter(_OPENING))
            )
            > 0
        )
        for part in _parts(solid):
            wide = Image.fromarray(part).convert("L").filter(ImageFilter.MaxFilter(_OPENING))
            yield (np.asarray(wide) > 0) & things


def _colors(pixels: Floats) -> Iterator[Floats]:
    """Colors that between them are near to nearly all of (n, 3): greedily, the most frequent first."""
    left = pixels
    for _ in range(_MOST_COLORS):
        if len(left) <= _REST * len(pixels):
            return
        offered = left[::7]
        near = np.linalg.norm(left[:, None] - offered, axis=-1) < _NEAR
        best = int(near.sum(0).argmax())
        yield offered[best]
        left = left[~near[:, best]]


def _grown(seed: Mask, *, within: Mask) -> Mask:
    """What of `within` hangs together with `seed`."""
    grown, count = seed & within, -1
    while (total := int(grown.sum())) != count:
        count = total
        for _ in range(2):
            wider = grown.copy()
            wider[1:] |= grown[:-1]
            wider[:-1] |= grown[1:]
            wider[:, 1:] |= grown[:, :-1]
            wider[:, :-1] |= grown[:, 1:]
            grown = wider & within
    return grown


def _parts(mask: Mask) -> list[Mask]:
    """The largest parts that do not hang together, the largest first; found from their thickest places."""
    parts: list[Mask] = []
    rest = mask.copy()
    while len(parts) < _MOST_ALONE and rest.mean() > _LEAST_ALONE:
        core = rest
        while core.any():
            inner = core
            core = np.zeros_like(inner)
            core[1:-1, 1:-1] = (
                inner[1:-1, 1:-1] & inner[2:, 1:-1] & inner[:-2, 1:-1] & inner[1:-1, 2:] & inner[1:-1, :-2]
            )
        seed = np.zeros_like(mask)
        seed[tuple(np.argwhere(inner)[0])] = True
        part = _grown(seed, within=rest)
        if part.mean() >= _LEAST_ALONE:
            parts.append(part)
        rest &= ~part
    return sorted(parts, key=lambda part: -int(part.sum()))


def _framed(mask: Mask) -> Frame:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    edge = float(max(bottom - top, right - left))
    return Frame(float(left + right - edge) / 2, float(top + bottom - edge) / 2, edge)


class Sampler:
    """Reads a thing through square frames, small."""

    def __init__(self, small: Pixels, mask: Mask) -> None:
        inner = Image.fromarray(mask).convert("L").filter(ImageFilter.MinFilter(3))
        weight = np.where(np.asarray(inner) > 0, 1.0, _RIM * mask).astype(np.float32)
        light = np.asarray(Image.fromarray(small).convert("L"), np.float32) / 255
        planes = (mask.astype(np.float32), weight, weight * light)
        self._pad = max(mask.shape)  # a frame is at most so large, and in part within the picture
        self._planes = [Image.fromarray(np.pad(plane, self._pad)) for plane in planes]

    def read(self, frames: Sequence[Frame], *, edge: int) -> tuple[Floats, Floats]:
        """Lightness and opacity, (n, edge, edge) each, 0 to 1."""
        out = np.empty((3, len(frames), edge, edge), np.float32)
        for i, (x, y, size) in enumerate(frames):
            left, top = x + self._pad, y + self._pad
            box = (left, top, left + size, top + size)
            for plane, image in zip(out, self._planes, strict=True):
                plane[i] = np.asarray(image.resize((edge, edge), Image.Resampling.BOX, box=box))
        opacity, weight, light = out
        return np.divide(light, np.maximum(weight, 1e-3), dtype=np.float32), opacity


def on_white(pixels: Pixels, thing: Thing, *, edge: int, margin: float) -> Pixels:
    """A thing alone on a white square (edge, edge, 3), with a margin around it.

    Args:
        pixels: (H, W, 3), the picture it was found in, at any size.
        thing: what to show.
        edge: px of the square.
        margin: edge of what is shown by that of the thing's frame.
    """
    image = Image.fromarray(pixels)
    scale_x, scale_y = image.width / thing.mask.shape[1], image.height / thing.mask.shape[0]
    mask = Image.fromarray(thing.mask).convert("L").resize(image.size, Image.Resampling.BILINEAR)
    pad = max(image.size)
    wide = Image.new("RGB", (image.width + 2 * pad, image.height + 2 * pad), (255, 255, 255))
    wide.paste(image, (pad, pad), mask)
    x, y, size = thing.frame.moved(0, 0, margin)
    left, top = pad + x * scale_x, pad + y * scale_y
    box = (left, top, left + size * scale_x, top + size * scale_y)
    return np.asarray(wide.resize((edge, edge), Image.Resampling.BICUBIC, box=box), np.uint8)
