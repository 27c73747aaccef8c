"""Finds a picture again by parts of it: the key points that it shares with one that was released.

Key points and their 256-bit descriptions are ORB (Rublee et al., 2011). Descriptions are looked up by
multi-index hashing: several tables, each by other bits of them (after Norouzi, Punjani and Fleet, 2012), so
that a few differing bits do not hide a point. What the tables bring up is compared in full, and pictures with
many points in common have to agree on one placement.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from attribution.errors import ImageError
from attribution.images import Pixels
from attribution.marks import luma

AGREEING: Final = 6  # points on one placement from which a picture is worth a closer look: no proof
STORED: Final = 64  # points kept of a released picture
ASKED: Final = 400  # points looked for in a found one
_SIDE: Final = 512  # pixels of the longer side that key points are looked for at
_CELLS: Final = 4  # the kept points come from all over the picture: it may be cut
_ROW: Final = 4 + 32  # bytes of a point
_NEAR: Final = 56  # of 256 bits, within which two descriptions may be of one point
_TABLES, _BITS = 6, 18
_CROWD: Final = 256  # a bucket with more points than this tells pictures apart too poorly to be read
_TRIED: Final = 12  # pictures whose placement is tried
_OFF_PX: Final = 5.0
_AREA: Final = (0.04, 25.0)

_Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class KeyPoints:
    """The key points of one picture, in pixels of the picture with a longer side of 512."""

    places: npt.NDArray[np.float32]  # (n, 2)
    looks: _Bytes  # (n, 32)

    @classmethod
    def of(cls, pixels: Pixels, *, count: int = STORED) -> Self:
        """The best key points of (H, W, 3) 8-bit sRGB pixels, from all over; a flat one has few."""
        import cv2  # noqa: PLC0415 - 60 MB that only pictures need

        gray = luma(pixels)
        scale = _SIDE / max(gray.shape)
        if scale != 1:
            how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
            size = (max(1, round(gray.shape[1] * scale)), max(1, round(gray.shape[0] * scale)))
            gray = np.asarray(cv2.resize(gray, size, interpolation=how), dtype=np.float32)
        detector = cv2.ORB.create(nfeatures=max(ASKED, count), fastThreshold=6)
        found, looks = detector.detectAndCompute(np.clip(gray, 0, 255).astype(np.uint8), None)
        if not found:
            return cls(places=np.zeros((0, 2), np.float32), looks=np.zeros((0, 32), np.uint8))
        places = np.array([point.pt for point in found], dtype=np.float32).reshape(-1, 2)
        chosen = _spread(places, np.array([point.response for point in found]), gray.shape)[:count]
        return cls(places=places[chosen], looks=np.asarray(looks, dtype=np.uint8)[chosen])

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read what `to_bytes` gave.

        Raises:
            ImageError: it is damaged.
        """
        if len(data) % _ROW or len(data) > _ROW * ASKED:
            raise ImageError("stored key points are damaged")
        rows = np.frombuffer(data, dtype=np.uint8).reshape(-1, _ROW)
        places = rows[:, :4].copy().view("<u2").astype(np.float32) / np.float32(64)
        return cls(places=places, looks=rows[:, 4:].copy())

    def to_bytes(self) -> bytes:
        """36 bytes a point: x and y in 64ths of a pixel, then 256 bits."""
        places = np.clip(self.places * 64, 0, 65_535).astype("<u2").view(np.uint8).reshape(-1, 4)
        return np.concatenate([places, self.looks], axis=1).tobytes()

    def __len__(self) -> int:
        return len(self.places)


@dataclass(frozen=True, slots=True)
class KeyPointHit:
    """One stored picture that shares a part with the found one."""

    key: str
    agreeing: int  # key points that agree on one placement


class KeyPointIndex:
    """The key points of every picture in memory. Safe to use from several threads.

    About 5 kB for each picture of 64 points. New pictures go into segments of their own; small segments are
    merged as they pile up, so that there are never more than about log2 of the pictures.
    """

    def __init__(self) -> None:
        self._segments: list[_Segment] = []
        self._lock = threading.Lock()
        self._gone: set[str] = set()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, entries: Iterable[tuple[str, KeyPoints]]) -> None:
        """Put pictures in that are not there yet; those without a key point are left out.

        A key that was removed may not be added again: what is erased stays so.
        """
        pictures = [(key, points) for key, points in entries if len(points)]
        if not pictures:
            return
        with self._lock:
            segment = _Segment.of(
                [key for key, _ in pictures],
                np.repeat(np.arange(len(pictures), dtype=np.int32), [len(points) for _, points in pictures]),
                np.concatenate([points.places for _, points in pictures]),
                np.concatenate([points.looks for _, points in pictures]),
            )
            while self._segments and len(self._segments[-1].looks) < 2 * len(segment.looks):
                segment = self._segments.pop().joined(segment)
            self._segments.append(segment)
            self._count += len(pictures)

    def remove(self, keys: Iterable[str]) -> None:
        """Take pictures out: their points are overwritten at once."""
        with self._lock:
            for key in set(keys) - self._gone:
                for segment in self._segments:
                    if segment.blank(key):
                        self._gone.add(key)
                        self._count -= 1

    def search(self, queries: Sequence[KeyPoints], *, least: int = AGREEING) -> tuple[KeyPointHit, ...]:
        """Every picture with at least `least` points on one placement in any of `queries`, best first."""
        best: dict[str, int] = {}
        for query in queries:
            if len(query) < least:
                continue
            with self._lock:
                found = [hit for segment in self._segments for hit in segment.search(query, least)]
            for key, ours, theirs in sorted(found, key=lambda one: -len(one[1]))[:_TRIED]:
                agreeing = _agreeing(ours, theirs)
                if agreeing >= least and key not in self._gone:
                    best[key] = max(best.get(key, 0), agreeing)
        return tuple(
            KeyPointHit(key, count) for key, count in sorted(best.items(), key=lambda one: (-one[1], one[0]))
        )


_Pairs = tuple[str, npt.NDArray[np.float32], npt.NDArray[np.float32]]


@dataclass(frozen=True, slots=True, eq=False)
class _Segment:
    """A part of the index; its arrays are never moved, only blanked."""

    keys: list[str]
    owners: npt.NDArray[np.int32]  # (n,) place in `keys`
    places: npt.NDArray[np.float32]  # (n, 2)
    looks: _Bytes  # (n, 32)
    starts: npt.NDArray[np.uint32]  # (tables, buckets + 1)
    order: npt.NDArray[np.uint32]  # (tables, n): rows by bucket

    @classmethod
    def of(
        cls,
        keys: list[str],
        owners: npt.NDArray[np.int32],
        places: npt.NDArray[np.float32],
        looks: _Bytes,
    ) -> Self:
        """Build the tables."""
        bits = max(8, min(_BITS, len(looks).bit_length() - 2))
        buckets = _buckets(looks, bits)
        order = np.empty((_TABLES, len(looks)), dtype=np.uint32)
        starts = np.zeros((_TABLES, 2**bits + 1), dtype=np.uint32)
        for table in range(_TABLES):
            order[table] = np.argsort(buckets[table], kind="stable")
            starts[table, 1:] = np.cumsum(np.bincount(buckets[table], minlength=2**bits))
        return cls(keys, owners, places, looks, starts, order)

    def joined(self, other: _Segment) -> _Segment:
        """Both in one, without what was blanked."""
        owners = np.concatenate([self.owners, other.owners + np.int32(len(self.keys))])
        kept = np.concatenate([self.owners >= 0, other.owners >= 0])
        return _Segment.of(
            [*self.keys, *other.keys],
            owners[kept],
            np.concatenate([self.places, other.places])[kept],
            np.concatenate([self.looks, other.looks])[kept],
        )

    def blank(self, key: str) -> bool:
        """Overwrite a picture's points; False where it is not here."""
        if key not in self.keys:
            return False
        rows = self.owners == self.keys.index(key)
        self.looks[rows] = 0
        self.places[rows] = 0
        self.owners[rows] = np.iinfo(np.int32).min
        return True

    def search(self, query: KeyPoints, least: int) -> list[_Pairs]:
        """Pictures with at least `least` near points, each with their places in both."""
        bits = (self.starts.shape[1] - 1).bit_length() - 1
        asked, rows = [], []
        for table, buckets in enumerate(_buckets(query.looks, bits)):
            starts, ends = self.starts[table, buckets], self.starts[table, buckets + 1]
            lengths = (ends - starts).astype(np.int64)
            lengths[lengths > _CROWD] = 0
            total = int(lengths.sum())
            if total:
                first = np.repeat(starts.astype(np.int64) - (np.cumsum(lengths) - lengths), lengths)
                rows.append(self.order[table, first + np.arange(total)])
                asked.append(np.repeat(np.arange(len(query)), lengths))
        if not rows:
            return []
        pairs = np.unique(np.stack([np.concatenate(asked), np.concatenate(rows).astype(np.int64)]), axis=1)
        apart = np.bitwise_count(
            query.looks[pairs[0]].view(np.uint64) ^ self.looks[pairs[1]].view(np.uint64)
        ).sum(axis=1, dtype=np.uint16)
        near = (apart <= _NEAR) & (self.owners[pairs[1]] >= 0)
        points, stored, apart = pairs[0][near], pairs[1][near], apart[near]
        owners = self.owners[stored]
        found: list[_Pairs] = []
        counts = np.bincount(owners, minlength=1)
        candidates = np.flatnonzero(counts >= least)
        for owner in candidates[np.argsort(-counts[candidates], kind="stable")][: 4 * _TRIED]:
            mine = np.flatnonzero(owners == owner)
            mine = mine[np.argsort(apart[mine], kind="stable")]
            _, first = np.unique(stored[mine], return_index=True)  # each point once, by its nearest
            mine = mine[np.sort(first)]
            _, first = np.unique(points[mine], return_index=True)
            mine = mine[np.sort(first)]
            if len(mine) >= least:
                found.append((self.keys[owner], query.places[points[mine]], self.places[stored[mine]]))
        return found


def _agreeing(ours: npt.NDArray[np.float32], theirs: npt.NDArray[np.float32]) -> int:
    import cv2  # noqa: PLC0415 - see `KeyPoints.of`

    placed, inliers = cv2.estimateAffinePartial2D(
        ours, theirs, method=cv2.RANSAC, ransacReprojThreshold=_OFF_PX, maxIters=500
    )
    if placed is None or not _AREA[0] <= abs(float(np.linalg.det(placed[:, :2]))) <= _AREA[1]:
        return 0
    # Points that lie (nearly) on one another count once: a drawing repeats itself.
    inside = theirs[inliers.ravel() > 0]
    return len(np.unique((inside / 6).astype(np.int64), axis=0))


def _buckets(looks: _Bytes, bits: int) -> npt.NDArray[np.int64]:
    """(tables, n) bucket numbers: each table goes by bits of its own, taken at equal distances."""
    unpacked = np.empty((_TABLES, len(looks)), dtype=np.int64)
    for table in range(_TABLES):
        number = np.zeros(len(looks), dtype=np.int64)
        for place in range(bits):
            bit = (table * 41 + place * 83) % 256  # 83 is odd, so no table asks for one bit twice
            number = (number << 1) | (looks[:, bit >> 3] >> (7 - (bit & 7)) & 1)
        unpacked[table] = number
    return unpacked


def _spread(
    places: npt.NDArray[np.float32], strength: npt.NDArray[np.float64], shape: tuple[int, ...]
) -> npt.NDArray[np.intp]:
    """The order in which points are kept: the strongest of each part of the picture, then the second, ..."""
    cell = np.minimum(places * _CELLS / [shape[1], shape[0]], _CELLS - 1).astype(np.int64)
    part = cell[:, 1] * _CELLS + cell[:, 0]
    rank = np.zeros(len(places), dtype=np.int64)
    for one in range(_CELLS * _CELLS):
        mine = np.flatnonzero(part == one)
        rank[mine[np.argsort(-strength[mine], kind="stable")]] = np.arange(len(mine))
    return np.lexsort((-strength, rank))
