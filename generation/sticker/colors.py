"""Color words, and giving a picture another color while its shading stays.

Recoloring works in OKLCh (Ottosson, "A perceptual color space for image processing", 2020), where hue,
lightness and chroma can be moved on their own: a yellow thing turned blue becomes a blue of normal depth.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Rgb = tuple[int, int, int]

COLORS: Mapping[str, Rgb] = {
    "red": (218, 50, 48),
    "orange": (243, 140, 44),
    "yellow": (250, 208, 60),
    "green": (76, 166, 76),
    "teal": (40, 156, 156),
    "blue": (58, 112, 214),
    "purple": (140, 84, 194),
    "pink": (244, 140, 184),
    "brown": (134, 88, 56),
    "beige": (232, 212, 176),
    "white": (240, 241, 245),
    "gray": (146, 148, 154),
    "black": (60, 60, 68),
}
"""What a color word means for a thing."""

GROUNDS: Mapping[str, Rgb] = {
    **COLORS,
    "red": (214, 60, 56),
    "yellow": (250, 215, 80),
    "green": (92, 176, 92),
    "blue": (70, 120, 210),
    "pink": (246, 160, 195),
    "beige": (240, 226, 200),
    "white": (255, 255, 255),
    "black": (20, 20, 22),
}
"""What a color word means for a background: as the model was trained."""

_NEUTRAL_CHROMA = 0.045
_PALE = 0.05
_OPAQUE = 60  # alpha
_SAME_HUE = 0.5  # radians
_OKLAB_LMS = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ],
    np.float32,
)
_OKLAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ],
    np.float32,
)
_OKLAB_INVERSE = np.linalg.inv(_OKLAB).astype(np.float32)
_LMS_INVERSE = np.linalg.inv(_OKLAB_LMS).astype(np.float32)


def shade(color: str, table: Mapping[str, Rgb]) -> Rgb:
    """The color called `color`, which may start with "light" or "dark".

    Raises:
        KeyError: `table` has no such color.
    """
    modifier, _, name = color.rpartition(" ")
    red, green, blue = table[name]
    if modifier == "light":
        return (
            red + (255 - red) * 11 // 20,
            green + (255 - green) * 11 // 20,
            blue + (255 - blue) * 11 // 20,
        )
    if modifier == "dark":
        return (red * 11 // 20, green * 11 // 20, blue * 11 // 20)
    return (red, green, blue)


def to_oklab(rgb: npt.NDArray[np.floating]) -> Floats:
    """sRGB, 0 to 1 -> OKLab; (..., 3) both."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)  # IEC 61966-2-1
    out: Floats = (np.cbrt(linear @ _OKLAB_LMS.T) @ _OKLAB.T).astype(np.float32)
    return out


def _to_rgb(lab: Floats) -> Floats:
    linear = np.clip((lab @ _OKLAB_INVERSE.T) ** 3 @ _LMS_INVERSE.T, 0, 1)
    out: Floats = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    return out.astype(np.float32)


def recolor(picture: Pixels, color: str) -> Pixels:
    """Give a cut-out another color.

    The pixels around the picture's main hue are moved to the new one; a leaf on an apple, eyes and outlines
    stay. A picture without color (a white plate) is tinted as a whole.

    Args:
        picture: (H, W, 4) RGBA.
        color: a key of `COLORS`, or one with "light" or "dark" before it.

    Raises:
        KeyError: there is no such color.
    """
    target = to_oklab(np.array(shade(color, COLORS), np.float32) / 255)
    target_chroma, target_hue = float(np.hypot(target[1], target[2])), np.arctan2(target[2], target[1])
    lab = to_oklab(picture[..., :3].astype(np.float32) / 255)
    light, chroma, hue = lab[..., 0], np.hypot(lab[..., 1], lab[..., 2]), np.arctan2(lab[..., 2], lab[..., 1])
    opaque = (picture[..., 3] > _OPAQUE).astype(np.float32)  # soft edges keep their alpha; they must not vote
    body, main_hue = _body(light, chroma, hue, opaque, target_hue=float(target_hue))
    total = float((body * opaque).sum()) + 1e-6
    mean_light = float((body * opaque * light).sum()) / total
    mean_chroma = max(float((body * opaque * chroma).sum()) / total, 1e-3)
    spread = 0.55 if target_chroma < _NEUTRAL_CHROMA else 0.8  # white and black have little room for shading
    new_light = np.clip(target[0] + spread * (light - mean_light), 0.02, 0.995)
    turn = np.angle(np.exp(1j * (hue - main_hue))) * 0.5
    if mean_chroma < _NEUTRAL_CHROMA:
        new_chroma, new_hue = np.full_like(chroma, target_chroma), np.full_like(hue, target_hue)
        new_chroma *= np.clip((0.99 - new_light) / 0.15, 0.25, 1)  # highlights stay near white
    else:
        new_chroma = np.clip(chroma / mean_chroma, 0, 1.35) * target_chroma
        new_hue = target_hue + turn
    moved = _to_rgb(np.stack([new_light, new_chroma * np.cos(new_hue), new_chroma * np.sin(new_hue)], -1))
    mixed = picture[..., :3] / np.float32(255) * (1 - body[..., None]) + moved * body[..., None]
    return np.dstack([np.rint(mixed * 255).astype(np.uint8), picture[..., 3]])


def _body(
    light: Floats, chroma: Floats, hue: Floats, opaque: Floats, *, target_hue: float
) -> tuple[Floats, float]:
    """How much each pixel belongs to the colored body (0..1), and the body's hue in radians.

    Where the largest of several areas has the wanted hue already (the windows of a bus to be blue), the
    second largest is taken.
    """
    weight = np.where(chroma > _NEUTRAL_CHROMA, chroma, 0) * opaque
    if float((chroma > _NEUTRAL_CHROMA)[opaque > 0].mean() if opaque.any() else 0) < 0.12:
        return _all_but_lines(light, opaque), 0.0
    bins = np.histogram(hue, bins=48, range=(-np.pi, np.pi), weights=weight)[0]
    smooth = (
        bins + 0.7 * (np.roll(bins, 1) + np.roll(bins, -1)) + 0.3 * (np.roll(bins, 2) + np.roll(bins, -2))
    )
    centers = (np.arange(48) + 0.5) / 48 * 2 * np.pi - np.pi
    peak = float(centers[smooth.argmax()])
    if abs(np.angle(np.exp(1j * (peak - target_hue)))) < _SAME_HUE:
        apart = np.abs(np.angle(np.exp(1j * (centers - peak))))
        others = np.where(apart > 1.2, smooth, 0)
        if bins[apart < 0.9].sum() < 0.5 * bins.sum() and others.max() > 0.3 * smooth.max():
            peak = float(centers[others.argmax()])
    away = np.abs(np.angle(np.exp(1j * (hue - peak))))
    if float(weight.sum()) < _PALE * float(opaque.sum()):  # pale: hues are noise, as in a white rabbit's fur
        return _all_but_lines(light, opaque), peak
    near = weight * (away < 0.9)
    main = float(np.angle((near * np.exp(1j * hue)).sum()))
    away = np.abs(np.angle(np.exp(1j * (hue - main))))
    if float((weight * (away < 1.2)).sum()) < 0.5 * float(weight.sum()):  # no main hue: turn everything
        similar = np.ones_like(away)
    else:
        similar = np.clip((1.35 - away) / 0.35, 0, 1)
    colored = np.clip((chroma - 0.02) / 0.03, 0, 1)
    return (similar * colored).astype(np.float32), main


def _all_but_lines(light: Floats, opaque: Floats) -> Floats:
    """Everything but dark outlines and eyes; on a dark thing, nearly everything."""
    dark = min(0.28, 0.6 * float(np.median(light[opaque > 0]))) if opaque.any() else 0.28
    out: Floats = np.clip((light - dark) / max(0.02, dark * 0.43), 0, 1).astype(np.float32)
    return out
