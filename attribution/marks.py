"""The keyed, invisible mark of a posted copy, and the test whether a found picture carries it.

Equal pixels look the same whoever asked for them; only a mark tells two copies of them apart. It is spread
spectrum with informed detection (Cox, Miller and Bloom, "Digital Watermarking", 2002): a pattern of signs
that only the operator's key gives is spread over the low and middle frequencies of the luma, stronger where
the picture is busy. The unmarked original is kept, so a found picture is laid on it and only their difference
is examined.

The bound. Let x be the weighted coefficients of the difference. For a mark that is not in the picture its
signs are independent of x and as good as fair coins, so by Hoeffding's inequality the score, the sum of signs
times x over the length of x, reaches t with probability at most exp(-t^2 / 2), whatever the picture. The
signs come from SHAKE-256 under a secret key, so the only assumption is that nobody without the key can tell
them from coins.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import math
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from attribution.errors import ImageError
from attribution.images import Pixels

SIDE: Final = 512  # of the square that every picture is brought to
PSNR_DB: Final = 42.5  # of a marked copy, at least and before rounding; usually 43 to 48
SCORE: Final = 6.0  # from which a mark counts as found: false with probability at most 1.6e-8 for each copy
MARGIN: Final = 6.0  # by which one copy has to lead the next to be named alone

_LOW, _HIGH = 6, 104  # DCT orders, radially: slower ones are lighting, faster ones die in a JPEG
_FLAT, _BUSY = 0.4, 2.8  # RMS of the mark in levels of 255, where nothing hides it and where a lot does
_BUSY_LEVELS = 6.0  # of local contrast at which the mark is at full strength
_SMALL, _SMALL_GAIN = 256, 1.6  # a picture of fewer pixels a side has room for less, so it is marked louder
_ROUND = 32  # bins of frequencies that are weighted alike
_ID_BYTES = 8
_LEAST_CHANCE = 2.0 ** (-8 * _ID_BYTES)  # that two ids are the same: no smaller bound would be honest

Luma = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class MarkKeys:
    """The operator's mark keys, by number; copies are marked with the newest, older ones are still read.

    `reload` reads them anew: another process may have rotated them while this one runs.
    """

    keys: Mapping[int, bytes] = field(repr=False)
    reload: Callable[[], Mapping[int, bytes]] | None = field(default=None, repr=False)

    @property
    def newest(self) -> int:
        """The number of the key in use."""
        return max(self._current())

    def new_id(self) -> str:
        """A fresh mark id: the key's number, a dash and 16 random hex digits."""
        return f"{self.newest}-{secrets.token_hex(_ID_BYTES)}"

    def signs(self, mark_id: str) -> npt.NDArray[np.float32] | None:
        """The signs (-1 or 1) of a mark, one for each frequency used; None where its key is gone.

        Raises:
            ImageError: it is no mark id.
        """
        number, _, random = mark_id.partition("-")
        if not number.isascii() or not number.isdigit() or len(random) != 2 * _ID_BYTES:
            raise ImageError("this is no mark id")
        key = self._current().get(int(number))
        return None if key is None else _signs(key, random)

    def _current(self) -> Mapping[int, bytes]:
        return self.keys if self.reload is None else self.reload()


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Evidence:
    """The difference of a found picture from an original, ready to be compared with any mark."""

    weighted: npt.NDArray[np.float32]  # (n,) of unit length; all zero where nothing can be seen

    def score(self, signs: npt.NDArray[np.float32]) -> float:
        """How well a mark fits; a mark that is not there reaches t with probability below exp(-t^2 / 2)."""
        return float(self.weighted @ signs)


def chance(score: float, *, copies: int = 1) -> float:
    """Bound of the probability that any of so many absent marks scores this much."""
    one = max(math.exp(-(max(score, 0.0) ** 2) / 2), _LEAST_CHANCE)
    return min(1.0, copies * one)


def embed(pixels: Pixels, signs: npt.NDArray[np.float32]) -> Pixels:
    """Mark a copy of (H, W, 3) 8-bit sRGB pixels; the PSNR is at least `PSNR_DB`.

    About 6 ms of processor time at 512 x 512.
    """
    import cv2  # noqa: PLC0415 - 60 MB that only pictures need

    pattern = _pattern(signs) * strength(canonical(pixels))
    height, width = pixels.shape[:2]
    how = cv2.INTER_AREA if min(height, width) < SIDE else cv2.INTER_CUBIC
    change = np.asarray(cv2.resize(pattern, (width, height), interpolation=how), dtype=np.float32)
    if min(height, width) <= _SMALL:
        change = change * np.float32(_SMALL_GAIN)
    rms = float(np.sqrt(np.mean(np.square(change))))
    change = change * np.float32(min(1.0, 255 / 10 ** (PSNR_DB / 20) / max(rms, 1e-6)))
    return np.asarray(np.clip(np.rint(pixels + change[:, :, None]), 0, 255), dtype=np.uint8)


def canonical(pixels: Pixels) -> Luma:
    """The luma of a picture, brought to the square that marks live in: (SIDE, SIDE), 0 to 255."""
    import cv2  # noqa: PLC0415 - see `embed`

    gray = luma(pixels)
    shrinks = min(gray.shape) > SIDE
    square = cv2.resize(gray, (SIDE, SIDE), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    return np.asarray(square, dtype=np.float32)


def luma(pixels: Pixels) -> Luma:
    """(H, W) luma of (H, W, 3) 8-bit pixels, 0 to 255."""
    import cv2  # noqa: PLC0415 - see `embed`

    return np.asarray(cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2GRAY), dtype=np.float32)


def strength(square: Luma) -> Luma:
    """How strong the mark is at each place of a canonical picture: RMS in levels of 255."""
    import cv2  # noqa: PLC0415 - see `embed`

    contrast = cv2.GaussianBlur(np.abs(square - cv2.GaussianBlur(square, (0, 0), 3)), (0, 0), 4)
    share = np.minimum(contrast / _BUSY_LEVELS, 1.0)
    return np.asarray(_FLAT + (_BUSY - _FLAT) * share, dtype=np.float32)


def examine(found: Luma, valid: Luma, original: Luma) -> Evidence:
    """Compare a registered picture with the original.

    Args:
        found: (SIDE, SIDE) luma, laid on the original.
        valid: (SIDE, SIDE), 1 where `found` shows something of the picture, 0 elsewhere.
        original: (SIDE, SIDE) luma of the unmarked picture.
    """
    import cv2  # noqa: PLC0415 - see `embed`

    difference = (found - original) * valid
    weight = cv2.GaussianBlur(valid, (0, 0), 24) + 1e-3
    difference = (difference - cv2.GaussianBlur(difference, (0, 0), 24) / weight) * valid
    # Where the difference is loud for other reasons than the mark it says little.
    loud = cv2.GaussianBlur(np.square(difference), (0, 0), 8) / (cv2.GaussianBlur(valid, (0, 0), 8) + 1e-3)
    hidden = strength(original)
    weighted = difference * hidden / (loud + np.square(hidden))
    places, orders, shape = _band()
    terms = cv2.dct(np.asarray(weighted, dtype=np.float32)).ravel()[places]
    power = np.bincount(orders, np.square(terms), minlength=_ROUND) / np.bincount(orders, minlength=_ROUND)
    terms = terms * shape / (power[orders] + 1e-12)
    length = float(np.linalg.norm(terms))
    return Evidence(weighted=np.asarray(terms / length if length > 0 else terms * 0, dtype=np.float32))


def _signs(key: bytes, random: str) -> npt.NDArray[np.float32]:
    count = len(_band()[0])
    seed = hmac.digest(key, b"verso-mark/1\n" + random.encode(), "sha256")
    stream = np.frombuffer(hashlib.shake_256(seed).digest(-(-count // 8)), dtype=np.uint8)
    return np.asarray(np.unpackbits(stream)[:count], dtype=np.float32) * 2 - 1


def _pattern(signs: npt.NDArray[np.float32]) -> Luma:
    """The mark as a picture, before it is fitted to one."""
    import cv2  # noqa: PLC0415 - see `embed`

    places, _, shape = _band()
    terms = np.zeros(SIDE * SIDE, dtype=np.float32)
    terms[places] = signs * shape
    pattern = cv2.idct(terms.reshape(SIDE, SIDE))
    return np.asarray(pattern / np.sqrt(np.mean(np.square(pattern))), dtype=np.float32)


@functools.cache
def _band() -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], npt.NDArray[np.float32]]:
    """The frequencies used: places in the flattened DCT, bins by radius, and the mark's shape over them."""
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    radius = np.hypot(y, x).ravel()
    places = np.flatnonzero((radius >= _LOW) & (radius < _HIGH))
    inside = radius[places]
    orders = np.minimum((inside - _LOW) * _ROUND / (_HIGH - _LOW), _ROUND - 1).astype(np.intp)
    shape = np.asarray(1 / np.sqrt(inside + 5), dtype=np.float32)
    for array in (places, orders, shape):
        array.flags.writeable = False
    return places, orders, shape
