"""Which pictures and jobs nobody may be shown any more: taken down, or in quarantine."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncEngine

from moderation.tables import quarantine, takedown_items
from moderation.takedowns import CONFIRMED

_CHUNK = 500  # bound parameters of one statement


class Withheld:
    """Asked before a stored picture or its words are shown, delivered, copied or drawn again."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._reader = engine.execution_options(read_only=True)

    async def images(self, image_ids: Sequence[str]) -> frozenset[str]:
        """Those of the images that were taken down or lie in quarantine."""
        taken = select(takedown_items.c.image_id).where(takedown_items.c.status == CONFIRMED)
        found: set[str] = set(await self.quarantined(image_ids))
        for chunk in _chunks(image_ids):
            found |= await self._all(taken.where(takedown_items.c.image_id.in_(chunk)))
        return frozenset(found)

    async def quarantined(self, image_ids: Sequence[str]) -> frozenset[str]:
        """Those of the images that lie in quarantine."""
        active = select(quarantine.c.image_id).where(quarantine.c.lifted_ms.is_(None))
        found: set[str] = set()
        for chunk in _chunks(image_ids):
            found |= await self._all(active.where(quarantine.c.image_id.in_(chunk)))
        return frozenset(found)

    async def jobs(self, job_ids: Sequence[str]) -> frozenset[str]:
        """Those of the jobs whose words or pictures lie in quarantine."""
        active = select(quarantine.c.job_id).where(quarantine.c.lifted_ms.is_(None))
        found: set[str] = set()
        for chunk in _chunks(job_ids):
            found |= await self._all(active.where(quarantine.c.job_id.in_(chunk)))
        return frozenset(found)

    async def _all(self, statement: Select[str]) -> set[str]:
        async with self._reader.connect() as connection:
            return set((await connection.scalars(statement)).all())


def _chunks(ids: Sequence[str]) -> list[Sequence[str]]:
    return [ids[start : start + _CHUNK] for start in range(0, len(ids), _CHUNK)]
