"""Pictures as bytes: PNG out, and hostile files in."""

from __future__ import annotations

import io
import warnings
import zlib

import numpy as np
from PIL import Image

from generation.errors import SourceImageError
from generation.families.base import Mask, Pixels

_FORMATS = ("PNG", "JPEG", "WEBP")
_MAX_BYTES = 64 * 1024 * 1024
_MAX_PIXELS = 64_000_000


def to_png(pixels: Pixels) -> bytes:
    """Encode (H, W, 3) 8-bit pixels, with no metadata.

    Of what the filters leave of a picture, zlib need look for runs alone (Z_RLE): a quarter of the time of
    its default, and for most pictures the smaller file.
    """
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", compress_type=zlib.Z_RLE)
    return stream.getvalue()


def decode_source(data: bytes) -> Pixels:
    """Read the first frame of a PNG, JPEG or WebP file; transparent parts become white.

    Raises:
        SourceImageError: it is none of these, damaged, or larger than 64 MB or 64 megapixels.
    """
    if len(data) > _MAX_BYTES:
        raise SourceImageError("the source picture is larger than 64 MB")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=_FORMATS) as picture:
                fits = picture.width * picture.height <= _MAX_PIXELS  # known from the header alone
                layered = picture.convert("RGBA") if fits else None
    except Exception as error:  # Pillow raises whatever a damaged file makes it stumble over
        raise SourceImageError("the source picture cannot be read") from error
    if layered is None:
        raise SourceImageError("the source picture has more than 64 megapixels")
    paper = Image.new("RGBA", layered.size, "white")
    return np.asarray(Image.alpha_composite(paper, layered).convert("RGB"))


def decode_mask(data: bytes, source: Pixels) -> Mask:
    """Read a mask as gray; it is scaled to its picture's size.

    Raises:
        SourceImageError: as `decode_source`; or it marks nothing.
    """
    height, width, _ = source.shape
    gray = Image.fromarray(decode_source(data)).convert("L")
    if gray.size != (width, height):
        gray = gray.resize((width, height), Image.Resampling.BILINEAR)
    mask = np.asarray(gray)
    if not (mask >= 128).any():
        raise SourceImageError("the mask marks nothing to draw: it must be white somewhere")
    return mask
