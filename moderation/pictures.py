"""Decodes an untrusted picture file within limits: bytes, pixels, frames and the real content type."""

from __future__ import annotations

import io
import warnings
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from moderation.errors import ModerationError

MAX_BYTES: Final = 32 * 1024 * 1024
MAX_PIXELS: Final = 40_000_000
_FORMATS: Final = ("PNG", "JPEG", "WEBP", "GIF", "BMP")


class PictureError(ModerationError):
    """The file is no picture that can be read within the limits."""

    code = "unreadable_image"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def decode(data: bytes) -> npt.NDArray[np.uint8]:
    """Return the upright picture as (H, W, 3) 8-bit RGB, transparent parts on white.

    Raises:
        PictureError: not a picture, too large, more than one frame, or damaged.
    """
    if not data or len(data) > MAX_BYTES:
        raise PictureError("the file is empty or larger than 32 MiB")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of damaged metadata; the pixels decide
            with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
                upright = _upright(image)
    except PictureError:
        raise
    except Exception as error:  # noqa: BLE001 - decoders raise whatever a damaged file leads them to
        raise PictureError(f"the picture cannot be decoded ({type(error).__name__})") from None
    background = Image.new("RGBA", upright.size, (255, 255, 255, 255))
    return np.asarray(Image.alpha_composite(background, upright).convert("RGB"), dtype=np.uint8)


def _upright(image: Image.Image) -> Image.Image:
    if image.width * image.height > MAX_PIXELS:
        raise PictureError("the picture has more than 40 million pixels")
    if getattr(image, "n_frames", 1) != 1:
        raise PictureError("the picture has more than one frame")
    image.load()
    return ImageOps.exif_transpose(image).convert("RGBA")
