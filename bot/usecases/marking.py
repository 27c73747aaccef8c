"""The copy of a drawn picture that is posted: marked, and small enough for its platform."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
from PIL import Image

from attribution.marks import MarkKeys, embed

Pixels = npt.NDArray[np.uint8]

_SMALLEST = 8  # px of the long edge of a picture that is not shrunk further


def pixels_of(png: bytes) -> Pixels:
    """The (H, W, 3) 8-bit pixels of one of our own PNGs."""
    with Image.open(io.BytesIO(png)) as image:
        return np.asarray(image.convert("RGB"))


def marked_copy(pixels: Pixels, marks: MarkKeys, mark_id: str, *, limit: int) -> tuple[bytes, Pixels]:
    """Mark a picture, and shrink it until its file fits; blocking.

    A mark makes the file of a flat drawing several times as large, so it is the marked file that has to fit;
    and shrinking would weaken the mark, so it comes first.

    Args:
        pixels: (H, W, 3) 8-bit sRGB as drawn.
        marks: the operator's keys.
        mark_id: of this copy.
        limit: bytes of the file, at most.

    Returns:
        The PNG, and its pixels.

    Raises:
        LookupError: the key of the mark is gone.
    """
    signs = marks.signs(mark_id)
    if signs is None:  # an id that was just made has a key
        raise LookupError(mark_id)
    while True:
        marked = embed(pixels, signs)
        png = _posted_png(marked)
        if len(png) <= limit or max(pixels.shape[:2]) <= _SMALLEST:
            return png, marked
        pixels = _smaller(pixels)


def _posted_png(pixels: Pixels) -> bytes:
    """Encode (H, W, 3) 8-bit sRGB in half the time that Pillow takes, which tries every filter on each row.

    A mark is a soft noise all over: the mean of the neighbors foretells it best, and of what is left zlib
    need look for runs alone.
    """
    import cv2  # noqa: PLC0415 - as in `attribution.marks`

    settings = (
        (cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_AVG),
        (cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE),
    )
    encoded, png = cv2.imencode(".png", pixels[..., ::-1], [value for pair in settings for value in pair])
    if not encoded:
        raise OSError("the posted copy cannot be encoded")
    return png.tobytes()


def _smaller(pixels: Pixels) -> Pixels:
    """Three quarters of each edge."""
    height, width = (max(1, edge * 3 // 4) for edge in pixels.shape[:2])
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS))
