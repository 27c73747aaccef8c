"""Finds a part of a picture again: key points that agree on one placement of it.

Key points and their 256-bit descriptions are ORB (Rublee et al., 2011); a placement is a similarity transform
that many of them agree on (RANSAC). Cut, scaled, turned, framed and moderately recolored parts are found;
of a mirrored part the mirror image has to be asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

import numpy as np
import numpy.typing as npt

from moderation.errors import RuleError

if TYPE_CHECKING:
    from cv2 import DMatch

POINTS: Final = 500  # of one picture, the strongest
_SIDE: Final = 512  # pixels of the longer side; larger pictures are shrunk to it
_LEAST: Final = 384  # and smaller ones enlarged to this
_BYTES: Final = 4 + 32  # of one point: its place, and 256 bits of what it looks like
_RATIO: Final = 0.8  # the best match must be so much nearer than the second best (Lowe, 2004)
_OFF_PX: Final = 4.0  # pixels that a point may lie beside its place
_SCALES: Final = (0.2, 5.0)  # anything else is no copy, but a chance


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class KeyPoints:
    """The key points of one picture, in pixels of the picture brought to 384 to 512."""

    places: npt.NDArray[np.float32]  # (n, 2)
    looks: npt.NDArray[np.uint8]  # (n, 32)

    @classmethod
    def of(cls, pixels: npt.NDArray[np.uint8]) -> Self:
        """Find the key points of (H, W, 3) 8-bit sRGB pixels; a smooth picture has few or none."""
        import cv2  # noqa: PLC0415 - 60 MB that only pictures need

        longer = max(pixels.shape[:2])
        scale = min(max(longer, _LEAST), _SIDE) / longer
        gray = cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2GRAY)
        if scale != 1:
            how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
            gray = cv2.resize(gray, None, fx=scale, fy=scale, interpolation=how)
        points, looks = cv2.ORB.create(nfeatures=POINTS, fastThreshold=10).detectAndCompute(gray, None)
        places = np.array([point.pt for point in points], dtype=np.float32).reshape(-1, 2)
        none = np.zeros((0, 32), dtype=np.uint8)
        return cls(places=places, looks=none if looks is None else np.asarray(looks, dtype=np.uint8))

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read what `to_bytes` gave.

        Raises:
            RuleError: it is damaged.
        """
        if len(data) % _BYTES or len(data) > _BYTES * 2 * POINTS:
            raise RuleError("protected_parts", "stored key points are damaged")
        rows = np.frombuffer(data, dtype=np.uint8).reshape(-1, _BYTES)
        places = rows[:, :4].copy().view("<u2").astype(np.float32) / np.float32(64)
        return cls(places=places, looks=rows[:, 4:].copy())

    def to_bytes(self) -> bytes:
        """36 bytes a point: x and y in 64ths of a pixel, then 256 bits."""
        places = np.clip(self.places * 64, 0, 65_535).astype("<u2").view(np.uint8).reshape(-1, 4)
        return np.concatenate([places, self.looks], axis=1).tobytes()

    def __len__(self) -> int:
        return len(self.places)

    def agreeing(self, other: KeyPoints) -> int:
        """How many points of this picture lie where one placement of it in the other would put them."""
        if len(self) < 2 or len(other) < 2:
            return 0
        import cv2  # noqa: PLC0415 - see `of`

        matcher = cv2.BFMatcher(cv2.NORM_HAMMING)
        pairs = matcher.knnMatch(self.looks, other.looks, k=2)
        near = [pair[0] for pair in pairs if len(pair) == 2 and pair[0].distance < _RATIO * pair[1].distance]
        good = _one_to_one(near)
        if len(good) < 4:
            return 0
        ours = self.places[[match.queryIdx for match in good]]
        theirs = other.places[[match.trainIdx for match in good]]
        placed, inliers = cv2.estimateAffinePartial2D(
            ours, theirs, method=cv2.RANSAC, ransacReprojThreshold=_OFF_PX, maxIters=500
        )
        if placed is None or not _SCALES[0] <= float(np.hypot(*placed[:, 0])) <= _SCALES[1]:
            return 0
        return int(inliers.sum())


def _one_to_one(matches: Sequence[DMatch]) -> list[DMatch]:
    """Keep the nearest of those that lead to the same point."""
    best: dict[int, DMatch] = {}
    for match in matches:
        known = best.get(match.trainIdx)
        if known is None or match.distance < known.distance:
            best[match.trainIdx] = match
    return list(best.values())
