"""Out-painting: a picture on a larger canvas, whose border a model draws, and whose inside stays as it is.

The request says how much is added on each side. The picture is laid in its place, the border is filled with
what its edges suggest, and the mask is white there and on a narrow strip of the picture, over which the
border fades into it. What lies inside that strip is the picture's own pixels, bit for bit, in the result.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter, ImageOps

from generation.families.base import Mask, Pixels
from generation.job import ImageRequest

GRID: Final = 16  # px: what every family's latents divide
_WIDEST_FEATHER: Final = 32  # px
_CALM: Final = 4  # px to one, where what is small is left out
_BLURS: Final = (6, 12)  # px: the further from the picture, the less its edge tells

Values = npt.NDArray[np.float32]
AnyFloats = npt.NDArray[np.floating[Any]]

Sides = tuple[int, int, int, int]
"""Left, top, right and bottom, in px of the finished picture."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Canvas:
    """A picture in its place on a larger one."""

    pixels: Pixels = field(repr=False)  # (H, W, 3), with a border to start from
    mask: Mask = field(repr=False)  # (H, W), 255 where to draw
    keep: Values = field(repr=False)  # (H, W), share of the picture in the result, 0..1

    def joined(self, drawn: Pixels) -> Pixels:
        """What a model drew, with the picture in it.

        Args:
            drawn: (H, W, 3), of the canvas's size.
        """
        keep = self.keep[..., None]
        mixed = np.rint(drawn * (1 - keep) + self.pixels * keep).astype(np.uint8)
        return np.where(keep == 1, self.pixels, mixed)


def lay_out(source: Pixels, request: ImageRequest) -> Canvas:
    """Lay a picture on the canvas that a request with `extend` describes.

    Args:
        source: (h, w, 3); cropped around its center and scaled where it does not fill the place left to it.
        request: its size is the canvas's.
    """
    left, top, right, bottom = _sides(request)
    width, height = request.width - left - right, request.height - top - bottom
    if source.shape[1::-1] != (width, height):
        fitted = ImageOps.fit(Image.fromarray(source), (width, height), Image.Resampling.LANCZOS)
        source = np.asarray(fitted, np.uint8)
    keep = _keep(width, height, (left, top, right, bottom))
    return Canvas(
        pixels=_filled(source, (left, top, right, bottom)),
        mask=np.where(keep < 1, 255, 0).astype(np.uint8),
        keep=keep,
    )


def widened(size: tuple[int, int], sides: Sides) -> tuple[tuple[int, int], Sides]:
    """The canvas for a picture with so much added, a little more where the latents need it.

    Returns:
        (width, height), multiples of 16 on each axis to which anything is added; and the sides.
    """
    left, top, right, bottom = sides
    (width, left, right), (height, top, bottom) = (
        _snapped(size[0], left, right),
        _snapped(size[1], top, bottom),
    )
    return (width, height), (left, top, right, bottom)


def placed(size: tuple[int, int], canvas: tuple[int, int], *, scale: float = 1.0) -> Sides:
    """What surrounds a picture, scaled by `scale` or less so that it fits, in the middle of a canvas."""
    scale = min(scale, canvas[0] / size[0], canvas[1] / size[1])
    inside = [_near(edge * scale, most=most) for edge, most in zip(size, canvas, strict=True)]
    before = [_near((most - edge) / 2, most=most - edge) for edge, most in zip(inside, canvas, strict=True)]
    after = [most - edge - first for most, edge, first in zip(canvas, inside, before, strict=True)]
    return before[0], before[1], after[0], after[1]


def _near(value: float, *, most: int) -> int:
    """The nearest multiple of 8 px, at most `most`."""
    return min(most, round(value / 8) * 8)


def _snapped(edge: int, before: int, after: int) -> tuple[int, int, int]:
    if not before and not after:
        return edge, 0, 0
    more = -(edge + before + after) % GRID
    return (
        (edge + before + after + more, before, after + more)
        if after
        else (edge + before + more, before + more, 0)
    )


def _sides(request: ImageRequest) -> Sides:
    left, top, right, bottom = request.extend
    return left, top, right, bottom


def _keep(width: int, height: int, sides: Sides) -> Values:
    """1 inside the picture, falling to 0 at the edges beyond which the canvas goes on."""
    feather = max(8, min(_WIDEST_FEATHER, min(width, height) // 64 * 8))
    left, top, right, bottom = sides
    keep = np.zeros((top + height + bottom, left + width + right), np.float32)
    across = _ramp(width, feather, before=left > 0, after=right > 0)
    down = _ramp(height, feather, before=top > 0, after=bottom > 0)
    keep[top : top + height, left : left + width] = np.minimum(across[None, :], down[:, None])
    return keep


def _ramp(length: int, feather: int, *, before: bool, after: bool) -> Values:
    places = np.arange(length, dtype=np.float32) + 0.5
    share = np.ones(length, np.float32)
    if before:
        share = np.minimum(share, places / feather)
    if after:
        share = np.minimum(share, places[::-1] / feather)
    return share * share * (3 - 2 * share)


def _filled(picture: Pixels, sides: Sides) -> Pixels:
    """The canvas with a border to start from: the edge's colors, the smoother the further out."""
    left, top, right, bottom = sides
    around = ((top, bottom), (left, right))
    wide = np.pad(picture, (*around, (0, 0)), mode="edge")
    calm = np.pad(_calmed(picture), (*around, (0, 0)), mode="edge").astype(np.float32)
    outside = _distance(picture.shape[:2], around)[..., None]
    border = outside > 0
    filled = _turned(wide.astype(np.float32), calm, outside / _BLURS[0])
    weight = border.astype(np.float32)
    for radius in _BLURS:
        # Of the border alone: the picture's subject must not bleed into what lies around it.
        blurred = _smooth(calm * weight, radius) / np.maximum(_smooth(weight, radius), 1e-6)
        filled = _turned(filled, blurred, outside / (2 * radius))
    return np.where(border, np.rint(filled).astype(np.uint8), wide)


def _calmed(picture: Pixels) -> Pixels:
    """Without what is small: a star at the edge would draw a trail over the whole border."""
    image = Image.fromarray(picture)
    small = image.reduce(_CALM).filter(ImageFilter.MedianFilter(9))
    return np.asarray(small.resize(image.size, Image.Resampling.BICUBIC), np.uint8)


def _turned(near: Values, far: AnyFloats, share: AnyFloats) -> Values:
    """From one to the other; a share above 1 counts as 1."""
    part = np.clip(share, 0, 1)
    return np.asarray(near * (1 - part) + far * part, np.float32)


def _smooth(values: Values, radius: int) -> Values:
    """(H, W, n) averaged over squares of 2 radius + 1 px, three times: nearly a Gaussian."""
    for _ in range(3):
        for axis in (0, 1):
            around = [(radius + 1, radius) if one == axis else (0, 0) for one in range(values.ndim)]
            total = np.cumsum(np.pad(values, around, mode="edge").astype(np.float64), axis=axis)
            last, first = np.arange(2 * radius + 1, total.shape[axis]), np.arange(values.shape[axis])
            taken = np.take(total, last, axis) - np.take(total, first, axis)
            values = np.asarray(taken / (2 * radius + 1), np.float32)
    return values


def _distance(inside: tuple[int, ...], around: tuple[tuple[int, int], ...]) -> Values:
    """(H, W): how many px a place lies outside the picture; 0 in it."""
    lines = []
    for length, (before, after) in zip(inside, around, strict=True):
        places = np.arange(-before, length + after, dtype=np.float32)
        lines.append(np.maximum(np.maximum(-places, places - (length - 1)), 0))
    return np.maximum(lines[0][:, None], lines[1][None, :])
