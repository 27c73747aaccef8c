"""Which colors a picture is made of, by name and share."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from generation.sticker.colors import COLORS, GROUNDS, Pixels, to_oklab

_EDGE = 96  # px to which a picture is shrunk: shares need no more
_LEAST = 0.06  # share below which a color is not named
_MOST = 5


def dominant_colors(pixels: Pixels) -> tuple[tuple[str, float], ...]:
    """The named colors of (H, W, 3) sRGB and their shares, the largest first; the rest is not named."""
    image = Image.fromarray(pixels)
    image.thumbnail((_EDGE, _EDGE))
    lab = to_oklab(np.asarray(image, np.float32).reshape(-1, 3) / np.float32(255))
    samples = [(name, rgb) for table in (COLORS, GROUNDS) for name, rgb in table.items()]
    known: npt.NDArray[np.float32] = to_oklab(np.array([rgb for _, rgb in samples], np.float32) / 255)
    nearest = ((lab[:, None] - known[None]) ** 2).sum(-1).argmin(1)
    shares: dict[str, float] = {}
    for place, count in zip(*np.unique(nearest, return_counts=True), strict=True):
        name = samples[int(place)][0]
        shares[name] = shares.get(name, 0.0) + float(count) / len(lab)
    found = sorted(shares.items(), key=lambda one: -one[1])
    return tuple((name, round(share, 3)) for name, share in found if share >= _LEAST)[:_MOST]
