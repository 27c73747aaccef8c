"""Deletes stored files that no row refers to: what a crash between writing and committing left behind."""

from __future__ import annotations

import time
from collections.abc import Callable

from sqlalchemy import Column, select
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.schema import METADATA
from generation.blobs import BlobStore

GRACE_S = 2 * 86_400.0  # a file is written before its row


def reference_columns() -> tuple[Column[str], ...]:
    """Every column of the schema that holds the id of a blob: `blob`, or a name ending in `_blob`."""
    return tuple(
        column
        for metadata in METADATA
        for table in metadata.sorted_tables
        for column in table.columns
        if column.name == "blob" or column.name.endswith("_blob")
    )


class Sweep:
    """Collects the blobs that nobody refers to, by comparing the store with the whole schema."""

    def __init__(
        self,
        *,
        engine: AsyncEngine,
        blobs: BlobStore,
        waiting_s: float,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`waiting_s`: how long a request with a source picture may wait, sealed, for a moderator."""
        self._engine, self._blobs, self._now = engine, blobs, now
        self._grace_s = GRACE_S + waiting_s

    async def __call__(self) -> int:
        """Delete what is unreferenced and old enough; returns how many blobs went."""
        # The store is read first: a blob that gets its row in between counts as referenced.
        orphans = set(await self._blobs.older_than(self._now() - self._grace_s))
        if not orphans:
            return 0
        async with self._engine.execution_options(read_only=True).connect() as connection:
            for column in reference_columns():
                rows = await connection.stream_scalars(select(column).where(column.is_not(None)))
                async for blob in rows:
                    orphans.discard(blob)
        for blob in sorted(orphans):
            await self._blobs.delete(blob)
        return len(orphans)
