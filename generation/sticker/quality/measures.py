"""Figures taken from the pixels of a finished picture and its bare draft. Pure: arrays in, numbers out.

Colors are compared in CIELAB (CIE 15:2004, white point D65), where a distance (dE, CIE76) of 2 is just
visible.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from generation.sticker.colors import Pixels

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Names = npt.NDArray[np.str_]

CELL = 8  # px: what one latent of the model stands for
PLAIN_ERROR = 40  # largest error of a channel, of 255, at which a plain ground is the one asked for
PLAIN_SHARE = 0.9  # of the ground that must be
SCENE_ERROR = (
    18.0  # mean error, of 255: two paintings of one scene differ by less than 12, of two by more than 24
)
BLOTCH = 5.0  # dE
_APART = 12.0  # dE from which a pixel is no ground
_EVEN = 1.5  # deviation of lightness or of either color axis within an even cell
_ALIKE = 8.0  # dE between cells of one color
_EDGES = 0.07  # the share of the pixels that are strong edges
_STEEP = 8.0  # dE per px that a strong edge has at least

_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
_WHITE = np.array([0.95047, 1.0, 1.08883])


def lab(pixels: Pixels) -> Floats:
    """SRGB (..., 3) -> CIELAB (..., 3)."""
    rgb = pixels.astype(np.float64) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    ratio = linear @ _XYZ.T / _WHITE
    f = np.where(ratio > 216 / 24389, np.cbrt(ratio), (24389 / 27 * ratio + 16) / 116)
    out = np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], -1)
    return out.astype(np.float32)


def change(picture: Pixels, draft: Pixels) -> tuple[float, float]:
    """Mean absolute difference, of 255, and mean squared difference of two pictures of one size."""
    difference = picture.astype(np.float32) - draft.astype(np.float32)
    return float(np.abs(difference).mean()), float((difference**2).mean())


def decibels(squared: float) -> float:
    """A mean squared difference of 8-bit levels as peak signal-to-noise ratio, in dB; infinite at 0."""
    return 10 * math.log10(255**2 / squared) if squared else math.inf


def color_names(pixels: Pixels) -> Names:
    """The plain color name of each pixel (n, 3), by lightness, chroma and hue in CIELAB."""
    light, a, b = np.moveaxis(lab(pixels), -1, 0)
    chroma, hue = np.hypot(a, b), np.degrees(np.arctan2(b, a)) % 360
    names = np.array(["red", "orange", "yellow", "green", "teal", "blue", "purple", "pink"])
    named: Names = names[np.searchsorted([5, 48, 76, 112, 172, 235, 300, 332], hue, side="right") - 1]
    named[(hue < 30) & (light > 64) & (chroma < 55)] = "pink"  # a pale red
    named[(hue > 55) & (hue < 112) & (light > 72) & (chroma < 33)] = "beige"
    named[(hue > 42) & (hue < 100) & (light < 52) & (chroma < 48)] = "brown"
    gray = chroma < 8
    named[gray & (light < 40)] = "black"
    named[gray & (light >= 40)] = "gray"
    named[gray & (light > 84)] = "white"
    return named


def dominant_color(pixels: Pixels) -> str | None:
    """The most frequent color name among pixels (n, 3); None where there are none."""
    names, counts = np.unique(color_names(pixels), return_counts=True)
    return str(names[counts.argmax()]) if len(names) else None


def foreground(picture: Pixels, ground: Pixels, box: tuple[int, int, int, int]) -> Pixels:
    """The pixels (n, 3) in a box of a picture (H, W, 3) that differ visibly from the bare ground."""
    left, top, right, bottom = box
    inside, behind = picture[top:bottom, left:right], ground[top:bottom, left:right]
    apart = np.linalg.norm(lab(inside) - lab(behind), axis=-1) > _APART
    out: Pixels = inside[apart]
    return out


def plain_ground_agrees(picture: Pixels, bare: Mask, rgb: Pixels) -> bool:
    """Whether the ground (where `bare`, (H, W)) of a picture (H, W, 3) has the color `rgb` (3,)."""
    error = np.abs(picture[bare].astype(int) - rgb.astype(int)).max(-1)
    return bool(len(error) and (error <= PLAIN_ERROR).mean() >= PLAIN_SHARE)


def scene_agrees(picture: Pixels, bare: Mask, scene: Pixels) -> bool:
    """Whether the ground (where `bare`, (H, W)) of a picture (H, W, 3) shows the painted `scene`."""
    error = np.abs(picture[bare].astype(np.float32) - scene[bare])
    return bool(error.size and error.mean() <= SCENE_ERROR)


def blotches(native: Pixels, draft: Pixels) -> float:
    """The share of the draft's even cells that came out blotched: 0 to 1.

    A cell is even where the draft's color hardly varies in it. It is blotched if a tenth of its pixels are
    off by more than `BLOTCH`, after what happened to all cells of that color: a ground that turned a little
    lighter as a whole is no blotch.

    Args:
        native: the finished picture averaged down to (H, W, 3).
        draft: the enlarged draft averaged down to (H, W, 3).
    """
    cells = _cells(lab(draft))
    even = cells.std(1).max(-1) < _EVEN
    if not even.any():
        return 0.0
    shift = _cells(lab(native))[even] - cells[even]
    own, moved = cells[even].mean(1), shift.mean(1)
    alike = np.linalg.norm(own[:, None] - own[None], axis=-1) < _ALIKE
    common = np.stack([np.median(moved[row], 0) for row in alike])
    off = np.linalg.norm(shift - common[:, None], axis=-1)
    return float((np.quantile(off, 0.9, axis=1) > BLOTCH).mean())


def edges_kept(native: Pixels, draft: Pixels) -> float:
    """How sharp the draft's strong edges still are, in the same places: 1 as they were, 0 gone.

    The picture's gradient along the draft's own, summed over the draft's strong edges.

    Args:
        native: the finished picture averaged down to (H, W, 3).
        draft: the enlarged draft averaged down to (H, W, 3).
    """
    wanted, found = _gradients(draft), _gradients(native)
    steep = np.sqrt((wanted**2).sum((2, 3)))
    strong = steep > max(float(np.quantile(steep, 1 - _EDGES)), _STEEP)
    if not strong.any():
        return 1.0
    return float((found * wanted)[strong].sum() / (wanted[strong] ** 2).sum())


def _gradients(pixels: Pixels) -> Floats:
    """(H, W, 3) sRGB -> (H, W, 3, 2): dE per px, down and to the right."""
    down, right = np.gradient(lab(pixels), axis=(0, 1))
    out: Floats = np.stack([down, right], -1)
    return out


def _cells(values: Floats) -> Floats:
    """(H, W, k) -> (cells, CELL * CELL, k)."""
    rows, columns = values.shape[0] // CELL, values.shape[1] // CELL
    grid = values[: rows * CELL, : columns * CELL].reshape(rows, CELL, columns, CELL, -1)
    return grid.swapaxes(1, 2).reshape(rows * columns, CELL * CELL, -1)
