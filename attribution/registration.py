"""Lays a found picture on an original: where does each of its pixels belong, and does it really show it?

Key points (ORB; Rublee et al., 2011) give the rough placement, also of cut, turned, scaled and framed
pictures; maximizing the enhanced correlation (ECC; Evangelidis and Psarakis, 2008) then makes it exact to a
small part of a pixel, which a spread-spectrum mark needs. That is dear, so it is done on a small copy first:
what does not look like the original there is given up, and only the best placement is made exact.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from attribution.marks import SIDE, Luma

Placement = npt.NDArray[np.float64]  # (2, 3): canonical place of the original <- pixel of the found picture

_POINTS: Final = 800
_RATIO: Final = 0.85  # the best match must be so much nearer than the second best (Lowe, 2004)
_OFF_PX: Final = 4.0
_LEAST: Final = 6  # points that have to agree before a placement is tried
_AREA: Final = (0.04, 25.0)  # by which a copy may have been scaled; anything else is no copy, but a chance
_LEAST_SHARE: Final = 0.15  # of the original that has to be in view
_WORK_SIDE: Final = 1024  # found pictures are shrunk to it first
_COARSE: Final = 4  # the small copy's scale
_HOPELESS: Final = 0.65  # likeness on the small copy below which it is another picture; of 480 copies: 0.797
_STEPS: Final = 50  # of ECC
_PASSES: Final = 2


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Registered:
    """A found picture, laid on an original."""

    found: Luma  # (SIDE, SIDE), brightness and contrast matched to the original
    valid: Luma  # (SIDE, SIDE): 1 where the found picture shows something
    likeness: float  # correlation of the two over the valid part, -1 to 1
    share: float  # of the original that is in view, 0 to 1
    agreeing: int  # key points that agree on the placement; 0 where none were needed


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Points:
    """Key points of one picture, in pixels of what they were found on."""

    places: npt.NDArray[np.float32]  # (n, 2)
    looks: npt.NDArray[np.uint8]  # (n, 32)


def points(gray: Luma, *, count: int = _POINTS) -> Points:
    """Find key points in (H, W) luma, 0 to 255."""
    import cv2  # noqa: PLC0415 - 60 MB that only pictures need

    detector = cv2.ORB.create(nfeatures=count, fastThreshold=6)
    found, looks = detector.detectAndCompute(np.clip(gray, 0, 255).astype(np.uint8), None)
    places = np.array([point.pt for point in found], dtype=np.float32).reshape(-1, 2)
    return Points(
        places=places,
        looks=np.zeros((0, 32), np.uint8) if looks is None else np.asarray(looks, dtype=np.uint8),
    )


def shrunk(gray: Luma) -> Luma:
    """A found picture's luma, at most `_WORK_SIDE` pixels on the longer side."""
    return _resized(gray, min(1.0, _WORK_SIDE / max(gray.shape)))


def register(views: Sequence[Luma], original: Luma, aspect: float) -> Registered | None:
    """Lay the likeliest of a found picture's views on `original`; None where none fits.

    Args:
        views: (H, W) luma of the found picture, as `shrunk` gives it, upright and mirrored.
        original: (SIDE, SIDE) canonical luma of the unmarked picture.
        aspect: width / height of the original.
    """
    small = _resized(original, 1 / _COARSE)
    likeness, best = _HOPELESS, None
    for found in views:
        for placement, agreeing in _tries(found, original, aspect):
            rough = _aligned(found, small, _grown(placement, 1 / _COARSE))
            if rough is not None and (alike := _likeness(found, small, rough)) > likeness:
                likeness, best = alike, (found, _grown(rough, _COARSE), agreeing)
    return None if best is None else _exact(*best, original)


def _tries(found: Luma, original: Luma, aspect: float) -> Iterator[tuple[Placement, int]]:
    """Placements worth trying, each with the number of key points that agree on it."""
    by_points = _by_points(found, original, aspect)
    if by_points is not None:
        yield by_points
    height, width = found.shape
    if abs(np.log((width / height) / aspect)) < 0.05:  # the whole picture, perhaps resized
        whole = np.array([[SIDE / width, 0, 0], [0, SIDE / height, 0]], dtype=np.float64)
        whole[:, 2] = (whole[:, 0] + whole[:, 1] - 1) / 2  # pixel centers
        yield whole, 0


def _by_points(found: Luma, original: Luma, aspect: float) -> tuple[Placement, int] | None:
    import cv2  # noqa: PLC0415 - see `points`

    # Key points are looked for in the picture's true proportions, at a like scale on both sides.
    size = (SIDE, max(1, round(SIDE / aspect))) if aspect >= 1 else (max(1, round(SIDE * aspect)), SIDE)
    upright = cv2.resize(original, size, interpolation=cv2.INTER_AREA) if size != (SIDE, SIDE) else original
    scale = SIDE / max(found.shape)
    ours, theirs = points(_resized(found, scale)), points(np.asarray(upright, dtype=np.float32))
    if len(ours.places) < _LEAST or len(theirs.places) < _LEAST:
        return None
    pairs = cv2.BFMatcher(cv2.NORM_HAMMING).knnMatch(ours.looks, theirs.looks, k=2)
    good = [pair[0] for pair in pairs if len(pair) == 2 and pair[0].distance < _RATIO * pair[1].distance]
    if len(good) < _LEAST:
        return None
    source = ours.places[[match.queryIdx for match in good]]
    target = theirs.places[[match.trainIdx for match in good]]
    placed, inliers = cv2.estimateAffinePartial2D(
        source, target, method=cv2.RANSAC, ransacReprojThreshold=_OFF_PX, maxIters=1000
    )
    if placed is None or not _AREA[0] <= abs(float(np.linalg.det(placed[:, :2]))) <= _AREA[1]:
        return None
    agreeing = int(inliers.sum())
    if agreeing < _LEAST:
        return None
    shrink = np.diag([scale, scale, 1.0])
    stretch = np.diag([SIDE / size[0], SIDE / size[1]])
    return stretch @ np.asarray(placed, dtype=np.float64) @ shrink, agreeing


def _grown(placement: Placement, scale: float) -> Placement:
    """The same placement on an original that is `scale` times as large."""
    shift = (scale - 1) / 2  # pixel centers
    return np.asarray(placement * scale + np.array([[0, 0, shift], [0, 0, shift]]))


def _aligned(found: Luma, original: Luma, placement: Placement) -> Placement | None:
    """Make a placement exact by ECC; None where too little of the original is in view."""
    import cv2  # noqa: PLC0415 - see `points`

    laid, valid = _laid(found, placement, len(original))
    if valid.mean() < _LEAST_SHARE:
        return None
    rules = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, _STEPS, 1e-5)
    try:
        _, moved = cv2.findTransformECC(
            original,
            laid,
            np.eye(2, 3, dtype=np.float32),
            cv2.MOTION_AFFINE,
            rules,
            (valid > 0.5).astype(np.uint8),
            5,
        )
    except cv2.error:  # a flat picture, or one that does not fit: the rough placement has to do
        return placement
    whole = np.vstack([np.asarray(moved, dtype=np.float64), [0, 0, 1]])
    return np.asarray((np.linalg.inv(whole) @ np.vstack([placement, [0, 0, 1]]))[:2])


def _likeness(found: Luma, original: Luma, placement: Placement) -> float:
    """Correlation over the part in view, -1 to 1."""
    laid, valid = _laid(found, placement, len(original))
    inside = valid > 0.5
    if inside.mean() < _LEAST_SHARE:
        return -1.0
    ours, theirs = laid[inside], original[inside]
    spread = float(ours.std() * theirs.std())
    return float(np.mean((ours - ours.mean()) * (theirs - theirs.mean())) / spread) if spread > 0 else 0.0


def _exact(found: Luma, placement: Placement, agreeing: int, original: Luma) -> Registered | None:
    """Make the chosen placement exact, and apply it."""
    for _ in range(_PASSES):
        moved = _aligned(found, original, placement)
        # ECC may wander off on the large picture: what it makes worse is not taken.
        if moved is None or _likeness(found, original, moved) <= _likeness(found, original, placement):
            break
        placement = moved
    laid, valid = _laid(found, placement, len(original))
    inside = valid > 0.5
    share = float(inside.mean())
    if share < _LEAST_SHARE:
        return None
    return Registered(
        found=_matched(laid, original, inside),
        valid=valid,
        likeness=_likeness(found, original, placement),
        share=share,
        agreeing=agreeing,
    )


def _laid(found: Luma, placement: Placement, side: int) -> tuple[Luma, Luma]:
    """`found` on a square of `side` px, and 1 where it shows something."""
    import cv2  # noqa: PLC0415 - see `points`

    area = abs(float(np.linalg.det(placement[:, :2])))
    if 0 < area < 0.7:  # smooth before sampling more coarsely
        blur = float(0.45 * np.sqrt(1 / area - 0.5))
        found = np.asarray(cv2.GaussianBlur(found, (0, 0), blur), dtype=np.float32)
    laid = cv2.warpAffine(found, placement, (side, side), flags=cv2.INTER_CUBIC)
    shown = cv2.warpAffine(np.ones_like(found), placement, (side, side), flags=cv2.INTER_LINEAR)
    inside = cv2.erode(
        (shown > 0.99).astype(np.uint8), np.ones((5, 5), np.uint8), borderType=cv2.BORDER_REPLICATE
    )
    return np.asarray(laid, dtype=np.float32), inside.astype(np.float32)


def _matched(laid: Luma, original: Luma, inside: npt.NDArray[np.bool_]) -> Luma:
    """Undo a change of brightness or contrast: a straight line through pairs of pixels."""
    ours, theirs = laid[inside], original[inside]
    usable = (ours > 2) & (ours < 253)  # what was clipped lies on no line
    if usable.sum() > 1000:
        ours, theirs = ours[usable], theirs[usable]
    variance = float(ours.var())
    gain = float(np.mean((ours - ours.mean()) * (theirs - theirs.mean())) / variance) if variance > 1 else 1.0
    return np.asarray((laid - ours.mean()) * gain + theirs.mean(), dtype=np.float32)


def _resized(gray: Luma, scale: float) -> Luma:
    import cv2  # noqa: PLC0415 - see `points`

    if scale == 1:
        return gray
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    size = (max(1, round(gray.shape[1] * scale)), max(1, round(gray.shape[0] * scale)))
    return np.asarray(cv2.resize(gray, size, interpolation=how), dtype=np.float32)
