"""Decodes an untrusted picture file within limits: bytes, pixels, frames and the real content type.

The type is found from the bytes, never from a name or from what the sender declares. Sizes are read from the
header before any decoder sees the file, since some decoders reserve the whole canvas when they open one.
"""

from __future__ import annotations

import io
import struct
import threading
import warnings
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from moderation.errors import ModerationError

MAX_BYTES: Final = 32 * 1024 * 1024
MAX_PIXELS: Final = 40_000_000
MAX_SIDE: Final = 16_384
MAX_SCANS: Final = 64  # of a progressive JPEG: each is a pass over the whole picture; cameras make about ten
_SCAN: Final = b"\xff\xda"  # begins a scan, and cannot occur inside one
_WIDE_MODES: Final = frozenset({"I;16", "I;16B", "I;16L", "I;16N", "I"})  # 16 bits a sample
_FORMATS: Final = {
    "image/png": "PNG",
    "image/jpeg": "JPEG",
    "image/webp": "WEBP",
    "image/gif": "GIF",
    "image/bmp": "BMP",
}
_ONE_AT_A_TIME = threading.Lock()  # bounds memory under load; and `catch_warnings` is process-wide


class PictureError(ModerationError):
    """The file is no picture that can be read within the limits."""

    code = "unreadable_image"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def media_type(data: bytes) -> str | None:
    """Return the media type that the first bytes prove, or None where they prove none that is read here."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    return "image/bmp" if data.startswith(b"BM") else None


def decode(data: bytes) -> npt.NDArray[np.uint8]:
    """Return the upright picture as (H, W, 3) 8-bit RGB, transparent parts on white.

    Raises:
        PictureError: not a PNG, JPEG, WebP, GIF or BMP, too large, more than one frame, or damaged.
    """
    if not data or len(data) > MAX_BYTES:
        raise PictureError("the file is empty or larger than 32 MiB")
    kind = media_type(data)
    if kind is None:
        raise PictureError("the file is no PNG, JPEG, WebP, GIF or BMP")
    _check_header(data, kind)
    try:
        with _ONE_AT_A_TIME, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of damaged metadata; the pixels decide
            with Image.open(io.BytesIO(data), formats=[_FORMATS[kind]]) as image:
                upright = _upright(image)
            background = Image.new("RGBA", upright.size, (255, 255, 255, 255))
            return np.asarray(Image.alpha_composite(background, upright).convert("RGB"), dtype=np.uint8)
    except PictureError:
        raise
    except Exception as error:  # noqa: BLE001 - decoders raise whatever a damaged file leads them to
        raise PictureError(f"the picture cannot be decoded ({type(error).__name__})") from None


def _check_header(data: bytes, kind: str) -> None:
    """Refuse by the header alone, before a decoder reserves anything."""
    size: tuple[int, int] | None = None
    if kind == "image/png" and len(data) >= 24:
        size = struct.unpack(">II", data[16:24])
    elif kind == "image/gif" and len(data) >= 10:
        size = struct.unpack("<HH", data[6:10])
    elif kind == "image/webp":
        size = _webp_size(data)
    elif kind == "image/jpeg" and data.count(_SCAN) > MAX_SCANS:
        raise PictureError("the JPEG is drawn in more passes than any camera or program makes")
    if size is not None:
        _check_size(*size)


def _webp_size(data: bytes) -> tuple[int, int] | None:
    """Width and height that a WebP declares (RFC 9649); None where its first chunk is none of the three."""
    if len(data) < 30:
        return None
    if data[12:16] == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if data[12:16] == b"VP8L":
        packed = int.from_bytes(data[21:25], "little")
        return 1 + (packed & 0x3FFF), 1 + (packed >> 14 & 0x3FFF)
    if data[12:16] == b"VP8 ":
        width, height = struct.unpack("<HH", data[26:30])
        return width & 0x3FFF, height & 0x3FFF
    return None


def _check_size(width: int, height: int) -> None:
    if width < 1 or height < 1:
        raise PictureError("the picture has no pixels")
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
        raise PictureError("the picture has more than 40 million pixels, or a side of more than 16,384")


def _upright(image: Image.Image) -> Image.Image:
    _check_size(*image.size)
    # A photo may carry a second view behind the first (a gain map): viewers show the first, and so do we.
    if image.format != "MPO" and getattr(image, "is_animated", False):
        raise PictureError("the picture has more than one frame")
    image.load()
    upright = ImageOps.exif_transpose(image)
    if upright.mode in _WIDE_MODES:  # converting would clip what has to be scaled
        wide = np.asarray(upright).astype(np.int64) >> 8
        return Image.fromarray(np.clip(wide, 0, 255).astype(np.uint8)).convert("RGBA")
    return upright.convert("RGBA")
