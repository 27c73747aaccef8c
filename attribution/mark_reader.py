"""Reads the mark in a found picture: which of the copies of one original it is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from attribution.images import Pixels
from attribution.marks import MARGIN, SCORE, Luma, MarkKeys, canonical, chance, examine, luma
from attribution.registration import register, shrunk

Original = Callable[[str, int], Awaitable[Pixels | None]]
"""The unmarked picture at a place of a job; None where it is gone."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Copy:
    """One marked copy of an original."""

    image_id: str
    job_id: str
    index: int
    mark_id: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Named:
    """The copy whose mark a found picture carries."""

    image_id: str
    score: float
    false_match_rate: float  # proven bound of the chance that any of the absent marks scores this much


@dataclass(frozen=True, slots=True)
class MarkReader:
    """Lays a found picture on an original and looks which copy's mark is left in the difference."""

    marks: MarkKeys
    original: Original = field(repr=False)

    @staticmethod
    def views(pixels: Pixels) -> tuple[Luma, Luma]:
        """The found picture as it is tried: upright and mirrored."""
        gray = shrunk(luma(pixels))
        return gray, np.ascontiguousarray(gray[:, ::-1])

    async def read(self, views: Sequence[Luma], copies: Sequence[Copy]) -> Named | None:
        """Which of the copies of one original is shown.

        Args:
            views: of the found picture, see `views`.
            copies: all of the same original.

        Returns:
            None where no mark is found, or none that leads clearly: nobody is named by a guess.
        """
        signs = {copy.image_id: self.marks.signs(copy.mark_id) for copy in copies}
        known = {image_id: one for image_id, one in signs.items() if one is not None}
        if not known:
            return None
        for copy in copies:
            pixels = await self.original(copy.job_id, copy.index)
            if pixels is not None:
                return await asyncio.to_thread(_named, views, pixels, known)
        return None


def _named(views: Sequence[Luma], pixels: Pixels, signs: Mapping[str, np.ndarray]) -> Named | None:
    original = canonical(pixels)
    laid = register(views, original, pixels.shape[1] / pixels.shape[0])
    if laid is None:
        return None
    evidence = examine(laid.found, laid.valid, original)
    scores = sorted(((evidence.score(one), image_id) for image_id, one in signs.items()), reverse=True)
    score, image_id = scores[0]
    if score < SCORE or (len(scores) > 1 and score - scores[1][0] < MARGIN):
        return None
    return Named(image_id=image_id, score=score, false_match_rate=chance(score, copies=len(scores)))
