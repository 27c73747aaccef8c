"""Finds a picture again by what it looks like: the PDQ hash and an exact index over it.

Source of the hash: Meta, "The TMK+PDQF Video-Hashing Algorithm and the PDQ Image-Hashing Algorithm" (2019),
chapter on PDQ. Equal pixels give equal hashes, so a fingerprint says which picture, never who made it.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from attribution.errors import ImageError
from attribution.images import Pixels

THRESHOLD = 31  # bits of 256 that two hashes of one picture may differ in
MIN_QUALITY = 50  # below this the picture is too flat for its hash to mean anything (of 100)
_GRID = 64
_TERMS = 16
_BAND = 128  # rows of a picture that are worked on at a time
_BYTES = 32

_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PdqHash:
    """256 bits, most significant first, as the reference prints them; `quality` is 0 to 100."""

    bits: bytes
    quality: int

    @property
    def hex(self) -> str:
        """The 64 hex digits that other PDQ tools read."""
        return self.bits.hex()


@dataclass(frozen=True, slots=True)
class Hit:
    """One stored picture within the threshold."""

    key: str
    distance: int


def pdq(pixels: Pixels) -> PdqHash:
    """Hash (H, W, 3) 8-bit sRGB pixels.

    Raises:
        ImageError: the array is no such picture.
    """
    grid = _grid(pixels)
    return PdqHash(_bits(grid), _quality(grid))


def mirrored(pixels: Pixels) -> PdqHash:
    """Hash the picture as seen in a mirror: one copy in many is posted flipped to dodge a search."""
    return pdq(pixels[:, ::-1])


def hamming(first: bytes, second: bytes) -> int:
    """Count the bits in which two hashes of equal length differ.

    Raises:
        ImageError: the lengths differ.
    """
    if len(first) != len(second):
        raise ImageError(f"hashes of {len(first)} and {len(second)} bytes cannot be compared")
    return (int.from_bytes(first) ^ int.from_bytes(second)).bit_count()


class PdqIndex:
    """Every stored hash in memory, searched exactly. Safe to use from several threads.

    32 bytes for each picture; a search is one XOR and one popcount over all of them.
    """

    def __init__(self) -> None:
        self._codes = np.zeros((1024, _BYTES // 8), dtype=np.uint64)
        self._keys: list[str] = []
        self._places: dict[str, int] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, key: str) -> bool:
        return key in self._places

    def add(self, entries: Iterable[tuple[str, bytes]]) -> None:
        """Put (key, 32-byte hash) pairs in; a key that is there already is replaced.

        Raises:
            ImageError: a hash is not 32 bytes long.
        """
        rows = [(key, _row(bits)) for key, bits in entries]
        with self._lock:
            for key, row in rows:
                place = self._places.get(key)
                if place is None:
                    place = len(self._keys)
                    self._reserve(place + 1)
                    self._keys.append(key)
                    self._places[key] = place
                self._codes[place] = row

    def remove(self, keys: Iterable[str]) -> None:
        """Take keys out; those that are not there are ignored."""
        with self._lock:
            for key in keys:
                place = self._places.pop(key, None)
                if place is None:
                    continue
                last = self._keys.pop()
                if last != key:  # the last one fills the gap
                    self._keys[place] = last
                    self._places[last] = place
                    self._codes[place] = self._codes[len(self._keys)]
                self._codes[len(self._keys)] = 0  # a removed hash leaves no trace in memory

    def search(self, queries: Sequence[bytes], threshold: int = THRESHOLD) -> tuple[Hit, ...]:
        """Find every key within `threshold` bits of any of `queries`, nearest first, each key once.

        Raises:
            ImageError: a hash is not 32 bytes long.
        """
        rows = [_row(bits) for bits in queries]
        with self._lock:
            count = len(self._keys)
            if not count or not rows:
                return ()
            codes = self._codes[:count]
            nearest = np.full(count, 8 * _BYTES + 1, dtype=np.uint16)
            for row in rows:
                distances = np.bitwise_count(codes ^ row).sum(axis=1, dtype=np.uint16)
                np.minimum(nearest, distances, out=nearest)
            hits = [
                Hit(self._keys[place], int(nearest[place])) for place in np.flatnonzero(nearest <= threshold)
            ]
        return tuple(sorted(hits, key=lambda hit: (hit.distance, hit.key)))

    def _reserve(self, count: int) -> None:
        if count > len(self._codes):
            grown = np.zeros((2 * len(self._codes), self._codes.shape[1]), dtype=np.uint64)
            grown[: len(self._codes)] = self._codes
            self._codes = grown


def _row(bits: bytes) -> npt.NDArray[np.uint64]:
    if len(bits) != _BYTES:
        raise ImageError(f"a PDQ hash has {_BYTES} bytes, not {len(bits)}")
    return np.frombuffer(bits, dtype=np.uint64)


def _grid(pixels: Pixels) -> _Floats:
    """Smooth the luma and take 64 x 64 samples of it.

    Both steps are linear and work on rows and columns apart, so together they are one matrix on each side.
    Bands of rows bound the memory: the largest picture costs a few megabytes more than its own bytes.
    """
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or not pixels.size:
        raise ImageError(f"pixels of shape {pixels.shape} and type {pixels.dtype} are no RGB picture")
    height, width = pixels.shape[:2]
    down, across = _sampler(height), _sampler(width)
    grid: _Floats = np.zeros((_GRID, _GRID))
    for top in range(0, height, _BAND):
        band = pixels[top : top + _BAND].astype(np.float32)
        luma = 0.299 * band[:, :, 0] + 0.587 * band[:, :, 1] + 0.114 * band[:, :, 2]
        grid += down[:, top : top + _BAND] @ (luma.astype(np.float64) @ across.T)
    return grid


@functools.lru_cache(maxsize=64)
def _sampler(length: int) -> _Floats:
    """(64, length): two passes of a moving mean, then every length/64-th sample (a Jarosz filter).

    The window is 1/128 of the length, rounded up, and cut off at the ends.
    """
    window = -(-length // (2 * _GRID))
    half = (window + 2) // 2
    place = np.arange(length)
    first = np.maximum(place - (window - half), 0)
    end = np.minimum(place + half, length)
    sampler = np.zeros((_GRID, length))
    for row, center in enumerate(((np.arange(_GRID) + 0.5) * length / _GRID).astype(int)):
        outer = 1.0 / (end[center] - first[center])
        for inner in range(first[center], end[center]):
            sampler[row, first[inner] : end[inner]] += outer / (end[inner] - first[inner])
    sampler.flags.writeable = False
    return sampler


@functools.cache
def _cosines() -> _Floats:
    """The rows 1 to 16 of the 64-point DCT; row 0, the mean brightness, is left out."""
    order = np.arange(1, _TERMS + 1)[:, None]
    cosines: _Floats = np.sqrt(2 / _GRID) * np.cos(np.pi / (2 * _GRID) * order * (2 * np.arange(_GRID) + 1))
    return cosines


def _bits(grid: _Floats) -> bytes:
    terms = (_cosines() @ grid @ _cosines().T).ravel()
    median = np.sort(terms)[terms.size // 2 - 1]  # the lower one of the two in the middle
    return np.packbits(terms[::-1] > median).tobytes()  # the reference prints its last word first


def _quality(grid: _Floats) -> int:
    """Sum of gradients, scaled so that 100 is a picture with plenty to go by."""
    steps = sum(float(np.abs(np.trunc(np.diff(grid, axis=axis) * (100 / 255))).sum()) for axis in (0, 1))
    return min(100, int(steps / 90))
