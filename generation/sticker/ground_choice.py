"""Chooses a plain ground where the prompt asks for none: one that the things on it stand out from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from generation.sticker.colors import GROUNDS, recolor, shade, to_oklab
from generation.sticker.draft import Part
from generation.sticker.references import References
from generation.sticker.variety import Choice, Variety

_WHITE = "white"
_TINTS = (
    "light blue",
    "beige",
    "light green",
    "light pink",
    "light yellow",
    "light purple",
    "light teal",
)
_WHITE_EVERY = 3  # seeds
_EDGE = 64  # px at which the things are looked at
_SOLID = 127
_ALIKE = 0.14  # distance in OKLab below which an edge is hard to see
_LOST = 0.35  # share of hard-to-see edge that a ground may have


def unsaid_ground(parts: Sequence[Part], *, references: References, variety: Variety) -> str:
    """A ground for `parts`; neighboring seeds get others."""
    rims = [_rim(part, references) for part in parts]
    start = int(variety.share(Choice.GROUND) * len(_TINTS))
    tints = [*_TINTS[start:], *_TINTS[:start]]
    white = int(variety.share(Choice.GROUND) * 997) % _WHITE_EVERY == 0
    order = [_WHITE, *tints] if white else [*tints, _WHITE]
    return min(order, key=lambda name: (_lost(rims, name) > _LOST, order.index(name)))


def _rim(part: Part, references: References) -> npt.NDArray[np.float32]:
    """The colors along a thing's edge (n, 3) in OKLab."""
    picture = references.picture(part.reference, edge=_EDGE)
    if part.color:
        picture = recolor(picture, part.color)
    solid = picture[..., 3] > _SOLID
    inner = solid.copy()
    for axis in (0, 1):
        for step in (-2, 2):
            inner &= np.roll(solid, step, axis)
    out: npt.NDArray[np.float32] = to_oklab(picture[solid & ~inner][:, :3].astype(np.float32) / 255)
    return out


def _lost(rims: Sequence[npt.NDArray[np.float32]], ground: str) -> float:
    """The largest share of an edge that is hard to see on a ground."""
    tone = to_oklab(np.array(shade(ground, GROUNDS), np.float32) / 255)
    return max(
        float((np.linalg.norm(rim - tone, axis=-1) < _ALIKE).mean()) if len(rim) else 0.0 for rim in rims
    )
