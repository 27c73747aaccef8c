"""One cut-out as a layer of a picture: resized, turned, sunk in water, with a shadow or a line around it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from generation.sticker.colors import Pixels, to_oklab
from generation.sticker.geometry import Placement

_HALF = 127  # alpha: more than half covered
_ALIKE = 0.13  # distance in OKLab below which an edge is hard to see
_LOST = 0.4  # share of an edge that must be hard to see for a line around it
_BRIGHT = 0.62  # lightness from which a ground is bright
_LINE = 1.3  # native px
_DARK_LINE = np.array([74, 86, 112], np.float32)
_BRIGHT_LINE = np.array([244, 246, 252], np.float32)


def layer(cutout: Pixels, placement: Placement, size: tuple[int, int], scale: int) -> Image.Image:
    """The cut-out where `placement` puts it, on an empty canvas of `size` px."""
    wide, high = max(2, round(placement.width * scale)), max(2, round(placement.height * scale))
    cut = Image.fromarray(cutout)
    if placement.mirrored:
        cut = cut.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    cut = _resized(cut, wide, high)
    if placement.angle:
        cut = cut.rotate(placement.angle, resample=Image.Resampling.BICUBIC, expand=True)
    out = Image.new("RGBA", size)
    out.paste(cut, (round(placement.x * scale - cut.width / 2), round(placement.y * scale - cut.height / 2)))
    if placement.waterline is not None:
        out.putalpha(_above_water(out.getchannel("A"), placement.waterline * scale, scale))
    return out


def _resized(cut: Image.Image, width: int, height: int) -> Image.Image:
    """Resize with premultiplied alpha, so that no dark or bright fringe appears."""
    values = np.asarray(cut).astype(np.float32)
    values[..., :3] *= values[..., 3:] / 255
    channels = [
        np.asarray(Image.fromarray(values[..., k]).resize((width, height), Image.Resampling.LANCZOS))
        for k in range(4)
    ]
    alpha = np.clip(channels[3], 0, 255)
    safe = np.maximum(alpha, 1)
    rgb = [np.clip(channel / safe * 255, 0, 255) for channel in channels[:3]]
    return Image.fromarray(np.rint(np.stack([*rgb, alpha], -1)).astype(np.uint8))


def _above_water(alpha: Image.Image, line: float, scale: int) -> Image.Image:
    """Fade what lies below a wavy water line."""
    height, width = alpha.height, alpha.width
    y = np.arange(height, dtype=np.float32)[:, None]
    x = np.arange(width, dtype=np.float32)[None]
    wave = line + 1.1 * scale * np.sin(x / (5.5 * scale))
    keep = np.clip((wave - y) / scale + 0.5, 0.12, 1)
    return ImageChops.multiply(alpha, Image.fromarray(np.rint(keep * 255).astype(np.uint8)))


def shadow(placement: Placement, size: tuple[int, int], scale: int) -> Image.Image:
    """A soft dark ellipse where the picture touches the ground."""
    half = placement.width * 0.4 * scale
    flat = max(1.2, placement.width * 0.065) * scale
    x, y = placement.x * scale, placement.bottom * scale - flat * 0.45
    mask = Image.new("L", size)
    ImageDraw.Draw(mask).ellipse((x - half, y - flat, x + half, y + flat), fill=round(105 * placement.shadow))
    mask = mask.filter(ImageFilter.GaussianBlur(flat * 0.5))
    out = Image.new("RGBA", size, (20, 24, 44, 0))
    out.putalpha(mask)
    return out


def outline(over: Image.Image, ground: Image.Image, scale: int) -> Image.Image | None:
    """A thin line around a layer that could not be told from the ground below it; None where none is needed.

    Args:
        over: RGBA, the layer.
        ground: RGB or RGBA, what is below it.
        scale: px per native px.
    """
    solid = over.getchannel("A").point(lambda value: 255 if value > _HALF else 0)
    reach = 2 * round(1.5 * scale) + 1
    rim = np.asarray(ImageChops.subtract(solid, solid.filter(ImageFilter.MinFilter(reach)))) > 0
    around = np.asarray(ImageChops.subtract(solid.filter(ImageFilter.MaxFilter(reach)), solid)) > 0
    if not rim.any() or not around.any():
        return None
    below = np.asarray(ground.convert("RGB"))
    tone = below[around].astype(np.float32).mean(0)
    if _share_alike(np.asarray(over)[rim][:, :3], tone) < _LOST:
        return None
    bright = float(to_oklab(tone / 255)[0]) > _BRIGHT
    color = 0.45 * tone + 0.55 * _DARK_LINE if bright else 0.15 * tone + 0.85 * _BRIGHT_LINE
    grown = over.getchannel("A").filter(ImageFilter.MaxFilter(2 * max(1, round(_LINE * scale / 2)) + 1))
    line = Image.new("RGBA", over.size, tuple(int(value) for value in np.rint(color)))
    line.putalpha(grown.filter(ImageFilter.GaussianBlur(0.35 * scale)))
    return line


def _share_alike(edge: npt.NDArray[np.uint8], tone: npt.NDArray[np.float32]) -> float:
    away = to_oklab(edge.astype(np.float32) / 255) - to_oklab(tone / 255)
    return float((np.linalg.norm(away, axis=-1) < _ALIKE).mean())


def covered(over: Image.Image) -> npt.NDArray[np.bool_]:
    """Where a layer covers more than half of a pixel."""
    out: npt.NDArray[np.bool_] = np.asarray(over)[..., 3] > _HALF
    return out
