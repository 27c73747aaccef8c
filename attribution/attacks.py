"""What becomes of a posted picture before somebody finds it again: the attacks of `verso bench lookup`."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
from PIL import Image, ImageDraw, ImageOps

from attribution.images import Pixels

_SEED = 20_261_124  # of the noise


def _saved(image: Image.Image, how: str = "JPEG", quality: int = 90) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, how, quality=quality)
    return buffer.getvalue()


def _cut(image: Image.Image, share: float) -> Image.Image:
    """Without `share` of the picture's area, as much from each side."""
    keep = (1 - share) ** 0.5
    width, height = image.size
    left, top = round(width * (1 - keep) / 2), round(height * (1 - keep) / 2)
    return image.crop((left, top, width - left, height - top))


def _half(image: Image.Image) -> Image.Image:
    return image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS)


def _screenshot(image: Image.Image) -> Image.Image:
    """A chat window around it, shown somewhat smaller."""
    shown = image.resize((image.width * 4 // 5, image.height * 4 // 5), Image.Resampling.BILINEAR)
    frame = Image.new("RGB", (shown.width + 120, shown.height + 160), (49, 51, 56))
    pen = ImageDraw.Draw(frame)
    for row in range(3):
        pen.rectangle((20, 20 + 24 * row, 220 - 50 * row, 34 + 24 * row), fill=(180, 182, 188))
    frame.paste(shown, (60, 110))
    return frame


def _noisy(image: Image.Image) -> Image.Image:
    pixels = np.asarray(image, dtype=np.float32)
    noise = np.random.default_rng(_SEED).normal(0, 8, pixels.shape)
    return Image.fromarray(np.clip(pixels + noise, 0, 255).astype(np.uint8))


ATTACKS: Final[Mapping[str, Callable[[Image.Image], bytes]]] = {
    "png": lambda image: _saved(image, "PNG"),
    "jpeg_75": lambda image: _saved(image, quality=75),
    "jpeg_50": lambda image: _saved(image, quality=50),
    "webp_80": lambda image: _saved(image, "WEBP", quality=80),
    "resize_50": lambda image: _saved(_half(image)),
    "crop_10": lambda image: _saved(_cut(image, 0.10)),
    "crop_25": lambda image: _saved(_cut(image, 0.25)),
    "screenshot": lambda image: _saved(_screenshot(image)),
    "brightness": lambda image: _saved(image.point(lambda value: min(255, round(value * 1.2)))),
    "noise": lambda image: _saved(_noisy(image)),
    "rotate_5": lambda image: _saved(image.rotate(5, Image.Resampling.BICUBIC)),
    "mirror": lambda image: _saved(ImageOps.mirror(image)),
}
"""The copy without its metadata, as bytes: from pixels alone it has to be found."""


def attacked(pixels: Pixels, attack: str) -> bytes:
    """The found file."""
    return ATTACKS[attack](Image.fromarray(pixels))
