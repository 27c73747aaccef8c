"""Turns image bytes from strangers into pixels, within limits.

Everything that reads an uploaded picture goes through `decode`. The format is found from the bytes,
never from a name; dimensions are checked before any pixel is decompressed; only the first frame of
an animation is ever decoded.
"""

from __future__ import annotations

import hashlib
import io
import struct
import threading
import warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from attribution.errors import ImageError

Pixels = npt.NDArray[np.uint8]  # (H, W, 3), sRGB

_FORMATS = {"image/png": "PNG", "image/jpeg": "JPEG", "image/webp": "WEBP", "image/gif": "GIF"}
_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
_WIDE_MODES = {"I;16", "I;16B", "I;16L", "I;16N", "I"}  # 16 bits a sample: `convert` would clip, not scale
_ONE_AT_A_TIME = threading.Lock()  # bounds memory under load; and `catch_warnings` is process-wide


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageLimits:
    """How much of a stranger's picture is looked at."""

    max_bytes: int = 32 * 1024 * 1024
    max_pixels: int = 40_000_000
    max_side: int = 16_384


DEFAULT_LIMITS = ImageLimits()


def sniff(data: bytes) -> str | None:
    """Return the media type that the first bytes prove, or None where they prove none of ours."""
    if data.startswith(_PNG_MAGIC):
        return "image/png"
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    return None


def decode(data: bytes, limits: ImageLimits = DEFAULT_LIMITS) -> Pixels:
    """Decode a PNG, JPEG, WebP or GIF.

    The orientation tag of a camera is applied, since viewers do. Transparent pixels are laid over white.
    Embedded color profiles are not applied: our own pictures are sRGB, and a profile interpreter is not
    something to hand to strangers. Of an animation the first frame is taken.

    Args:
        data: the bytes of the file.
        limits: the largest file and picture to look at.

    Returns:
        (H, W, 3) 8-bit sRGB.

    Raises:
        ImageError: no such picture, too large, or damaged.
    """
    if len(data) > limits.max_bytes:
        raise ImageError(f"the file has {len(data):,} bytes, more than {limits.max_bytes:,}")
    media_type = sniff(data)
    if media_type is None:
        raise ImageError("the file is no PNG, JPEG, WebP or GIF")
    _check_declared_size(data, media_type, limits)
    try:
        with _ONE_AT_A_TIME, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow remarks on odd files; the limits here are stricter
            pixels = _load(data, _FORMATS[media_type], limits)
    except ImageError:
        raise
    except Image.DecompressionBombError:
        raise ImageError(f"the picture claims far more than {limits.max_pixels:,} pixels") from None
    except MemoryError:
        raise ImageError("the picture needs more memory than there is") from None
    except Exception as error:
        # A decoder fed by strangers raises nearly anything: struct.error, KeyError, SyntaxError, ...
        raise ImageError(f"the {_FORMATS[media_type]} is damaged or unusual: {_reason(error)}") from error
    return np.ascontiguousarray(pixels, dtype=np.uint8)


def encode_png(pixels: Pixels) -> bytes:
    """Write (H, W, 3) 8-bit RGB as a PNG without any metadata.

    Raises:
        ImageError: the array is no such picture.
    """
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or not pixels.size:
        raise ImageError(f"pixels of shape {pixels.shape} and type {pixels.dtype} are no RGB picture")
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def pixels_digest(pixels: Pixels) -> str:
    """SHA-256 in hex over the RGB bytes, row by row from the top left; independent of the file format."""
    return hashlib.sha256(np.ascontiguousarray(pixels, dtype=np.uint8).tobytes()).hexdigest()


def _load(data: bytes, name: str, limits: ImageLimits) -> Pixels:
    with Image.open(io.BytesIO(data), formats=[name]) as image:
        _check_size(image.size, limits)
        image.load()  # of an animation: the first frame
        return np.asarray(_to_rgb(image))


def _check_declared_size(data: bytes, media_type: str, limits: ImageLimits) -> None:
    """Refuse by the header alone, before Pillow reads a byte, where the header is at a fixed place."""
    if media_type == "image/png" and len(data) >= 24:
        _check_size(struct.unpack(">II", data[16:24]), limits)
    elif media_type == "image/gif" and len(data) >= 10:
        _check_size(struct.unpack("<HH", data[6:10]), limits)
    elif media_type == "image/webp" and len(data) >= 30:
        _check_size(_webp_size(data), limits)


def _webp_size(data: bytes) -> tuple[int, int]:
    """What the first chunk of a WebP declares (RFC 9649, 2.5 to 2.7): Pillow decodes it whole to ask.

    Raises:
        ImageError: it is none of the three kinds.
    """
    kind, head = data[12:16], data[20:30]
    if kind == b"VP8X":  # extended: 24 bits each, less one
        return int.from_bytes(head[4:7], "little") + 1, int.from_bytes(head[7:10], "little") + 1
    if kind == b"VP8L":  # lossless: 14 bits each, less one, behind a signature byte
        bits = int.from_bytes(head[1:5], "little")
        return bits % 2**14 + 1, (bits >> 14) % 2**14 + 1
    if kind == b"VP8 ":  # lossy: 14 bits each, behind the frame tag and the start code
        width, height = struct.unpack("<HH", head[6:10])
        return width % 2**14, height % 2**14
    raise ImageError("the WebP begins with an unknown kind of picture")


def _check_size(size: tuple[int, ...], limits: ImageLimits) -> None:
    width, height = size
    if width < 1 or height < 1:
        raise ImageError("the picture has no pixels")
    if max(width, height) > limits.max_side or width * height > limits.max_pixels:
        raise ImageError(f"the picture has {width:,} x {height:,} pixels, more than {limits.max_pixels:,}")


def _to_rgb(image: Image.Image) -> Image.Image:
    upright = ImageOps.exif_transpose(image)
    if upright.mode in _WIDE_MODES:
        wide = np.asarray(upright).astype(np.int64)
        return Image.fromarray(np.clip(wide >> 8, 0, 255).astype(np.uint8)).convert("RGB")
    if upright.has_transparency_data:
        shown = upright.convert("RGBA")
        paper = Image.new("RGBA", shown.size, (255, 255, 255, 255))
        return Image.alpha_composite(paper, shown).convert("RGB")
    return upright.convert("RGB")


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    return (text or type(error).__name__)[:120]
