"""The canvas of a picture, and what happens to its pixels after diffusion."""

from __future__ import annotations

import numpy as np
from PIL import Image

from generation.errors import RequestLimitError
from generation.sticker.colors import Pixels

NATIVE = 128  # px of the short edge that the U-Net is trained on
_STEP = 32  # the long edge in native px is a multiple of it: three levels below an 8 px latent cell
_LONGEST = 256
_BLOCK = 4  # px over which a change is averaged
_UNCHANGED = 8.0  # mean change, in 8-bit levels, up to which the whole detail is put back
_CHANGED = 28.0  # and from which on none is


def native_size(width: int, height: int) -> tuple[int, int]:
    """The canvas in native px for a finished picture of `width` x `height` px.

    Raises:
        RequestLimitError: one edge is more than twice the other.
    """
    short, long = sorted((width, height))
    if short < 1 or long > 2 * short:
        raise RequestLimitError(
            field="size", value=f"{width}x{height}", limit="one edge is at most twice as long as the other"
        )
    stretched = min(_LONGEST, round(NATIVE * long / short / _STEP) * _STEP)
    return (stretched, NATIVE) if width > height else (NATIVE, stretched)


def cover(pixels: Pixels, width: int, height: int) -> Pixels:
    """Scale a picture (H, W, 3) so that it covers `width` x `height` px, and cut off what stands over."""
    image = Image.fromarray(pixels)
    scale = max(width / image.width, height / image.height)
    box_width, box_height = width / scale, height / scale
    left, top = max(0.0, (image.width - box_width) / 2), max(0.0, (image.height - box_height) / 2)
    box = (left, top, min(left + box_width, image.width), min(top + box_height, image.height))
    return np.asarray(image.resize((width, height), Image.Resampling.LANCZOS, box=box), np.uint8).copy()


def restore_detail(pixels: Pixels, *, start: Pixels, rebuilt: Pixels, amount: float) -> Pixels:
    """Put back what the autoencoder lost of the start picture, where diffusion changed nothing.

    The difference between the start and its own reconstruction is the autoencoder's error. It is added to the
    result where result and reconstruction agree, and fades out where they differ: what diffusion drew anew
    stays.

    Args:
        pixels: (H, W, 3), the decoded result.
        start: (H, W, 3), what was encoded.
        rebuilt: (H, W, 3), `start` encoded and decoded without diffusion.
        amount: 0 to 1.
    """
    result, again = pixels.astype(np.float32), rebuilt.astype(np.float32)
    change = Image.fromarray(np.abs(result - again).max(-1))
    small = change.resize((change.width // _BLOCK, change.height // _BLOCK), Image.Resampling.BOX)
    smooth = np.asarray(small.resize(change.size, Image.Resampling.BILINEAR))
    keep = np.clip((_CHANGED - smooth) / (_CHANGED - _UNCHANGED), 0, 1)[..., None] * amount
    restored = result + keep * (start.astype(np.float32) - again)
    return np.rint(np.clip(restored, 0, 255)).astype(np.uint8)
