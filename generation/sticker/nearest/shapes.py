"""How alike two cut-outs are drawn: outline and shading together, whatever the ground, hue or contrast.

Two cut-outs are laid on each other, each scaled to one square. Their lightness is correlated where both are
opaque, their opacity everywhere; the two covariances are added before they are normalized. So a plain
silhouette is judged by its outline, a face by its features, and a change of brightness counts for little.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

_OUTLINE = 0.18**2  # what the outline counts: as much as that contrast (0 to 1) of lightness
_NOISE = (5 / 255) ** 2  # variance of lightness that means nothing
_PLAIN = 0.0005  # damps what varies little: that two discs are alike proves nothing
_ROUGH, _TOO_PLAIN = 0.03, 0.055


@dataclass(frozen=True, slots=True)
class Shapes:
    """Cut-outs prepared for comparison; n rows of d cells."""

    weight: Floats  # (n, d)
    light: Floats  # weighted
    square: Floats  # of lightness, weighted
    outline: Floats  # opacity less its mean
    variance: Floats  # (n,), of the outline

    @classmethod
    def of(cls, light: Floats, opacity: Floats) -> Self:
        """Prepare lightness and opacity, (n, e, e) each, 0 to 1."""
        light, opacity = light.reshape(len(light), -1), opacity.reshape(len(light), -1)
        weight = opacity**2
        outline = opacity - opacity.mean(1, keepdims=True)
        return cls(weight, weight * light, weight * light**2, outline, (outline**2).mean(1))

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """All rows of several."""
        return cls(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(cls)))


def compare(first: Shapes, second: Shapes) -> Floats:
    """Correlate every cut-out of `first` (n) with every one of `second` (m): (n, m), -1 to 1."""
    common = first.weight @ second.weight.T + np.float32(1e-6)
    cells = first.weight.shape[1]
    mean_1, mean_2 = first.light @ second.weight.T / common, first.weight @ second.light.T / common
    light_1 = np.maximum(first.square @ second.weight.T / common - mean_1**2, 0) + np.float32(_NOISE)
    light_2 = np.maximum(first.weight @ second.square.T / common - mean_2**2, 0) + np.float32(_NOISE)
    shading = first.light @ second.light.T / common - mean_1 * mean_2
    share = common / cells
    both = shading * share + _OUTLINE * (first.outline @ second.outline.T / cells)
    scale_1 = light_1 * share + _OUTLINE * first.variance[:, None] + _PLAIN
    scale_2 = light_2 * share + _OUTLINE * second.variance[None] + _PLAIN
    correlation: Floats = (both / np.sqrt(scale_1 * scale_2)).astype(np.float32)
    return correlation


def too_plain(light: Floats, opacity: Floats) -> npt.NDArray[np.bool_]:
    """Which cut-outs, (n, e, e) each, are so plain that likeness to them proves nothing: discs, hearts, bars.

    Contrast within and the roughness of the outline (its squared length by that of a disc of the same area)
    are weighed against each other.
    """
    cells = light.shape[1] ** 2
    weight = opacity**2
    area = opacity.sum((1, 2)) + 1e-6
    total = weight.sum((1, 2)) + 1e-6
    mean = (weight * light).sum((1, 2)) / total
    contrast = np.sqrt((weight * (light - mean[:, None, None]) ** 2).sum((1, 2)) / total * area / cells)
    framed = np.pad(opacity, ((0, 0), (1, 1), (1, 1)))
    slopes = np.hypot(np.diff(framed, axis=1)[:, :, 1:], np.diff(framed, axis=2)[:, 1:])
    roughness = slopes.sum((1, 2)) ** 2 / (4 * np.pi * area)
    plain: npt.NDArray[np.bool_] = contrast + _ROUGH * (roughness - 1) < _TOO_PLAIN
    return plain


def halved(light: Floats, opacity: Floats) -> tuple[Floats, Floats]:
    """Both (n, e, e) at half the edge; lightness is weighted by opacity."""
    blocks = (len(light), light.shape[1] // 2, 2, light.shape[2] // 2, 2)
    thin = opacity.reshape(blocks).mean((2, 4))
    mixed = (light * opacity).reshape(blocks).mean((2, 4))
    return mixed / np.maximum(thin, np.float32(1e-3)), thin
