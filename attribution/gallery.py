"""Walks over the released images that can still be seen: those neither taken back nor blanked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncEngine

from attribution.fingerprints import MIN_QUALITY
from attribution.tables import releases

PAGE = 500
_SEEN = (releases.c.deleted_ms.is_(None), releases.c.blob != "", releases.c.leaf_index >= 0)


@dataclass(frozen=True, kw_only=True, slots=True)
class GalleryImage:
    """What a search needs to know of one image."""

    image_id: str
    job_id: str
    subject: str
    pixels_sha256: str  # hex, of the drawn RGB
    pdq: bytes | None  # None: too flat to be compared
    leaf_index: int


class Gallery:
    """Reads pages of images, oldest first."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._reader = engine.execution_options(read_only=True)

    async def page(self, *, after: int = -1, limit: int = PAGE) -> tuple[GalleryImage, ...]:
        """The next images whose leaf index is greater than `after`."""
        return await self._select(releases.c.leaf_index > after, limit=limit)

    async def get(self, image_id: str) -> GalleryImage | None:
        """One image, if it can still be seen."""
        found = await self._select(releases.c.image_id == image_id)
        return found[0] if found else None

    async def identical(self, pixels_sha256: Sequence[str]) -> tuple[GalleryImage, ...]:
        """Every image with exactly these pixels."""
        found: list[GalleryImage] = []
        for start in range(0, len(pixels_sha256), PAGE):
            which = releases.c.pixels_sha256.in_(pixels_sha256[start : start + PAGE])
            found += await self._select(which)
        return tuple(found)

    async def _select(self, which: ColumnElement[bool], limit: int | None = None) -> tuple[GalleryImage, ...]:
        statement = select(
            releases.c.image_id,
            releases.c.job_id,
            releases.c.subject,
            releases.c.pixels_sha256,
            releases.c.pdq,
            releases.c.pdq_quality,
            releases.c.leaf_index,
        ).where(which, *_SEEN)
        async with self._reader.connect() as connection:
            rows = (await connection.execute(statement.order_by(releases.c.leaf_index).limit(limit))).all()
        return tuple(
            GalleryImage(
                image_id=row.image_id,
                job_id=row.job_id,
                subject=row.subject,
                pixels_sha256=row.pixels_sha256,
                pdq=bytes.fromhex(row.pdq) if row.pdq and row.pdq_quality >= MIN_QUALITY else None,
                leaf_index=row.leaf_index,
            )
            for row in rows
        )
