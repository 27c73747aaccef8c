"""Workspaces that removed the app: when they did, and when everybody there is to be erased."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import delete, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncEngine

from attribution.tables import departures


@dataclass(frozen=True, kw_only=True, slots=True)
class Departure:
    """One workspace that left."""

    workspace_id: str
    left_ms: int  # Unix ms
    due_ms: int  # Unix ms


class Departures:
    """The schedule. Every step may be repeated: a platform may tell of a removal more than once."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._reader = engine.execution_options(read_only=True)

    async def left(self, workspace_id: str, *, at_ms: int, due_ms: int) -> bool:
        """Put a workspace on the schedule; False: it stands there already, and its day stays."""
        values = {"workspace_id": workspace_id, "left_ms": at_ms, "due_ms": due_ms, "done_ms": None}
        async with self._engine.begin() as connection:
            insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
            statement = insert(departures).values(values)
            done = await connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["workspace_id"],
                    set_=values,
                    where=departures.c.done_ms.is_not(None),  # back after an erasure, and gone again
                )
            )
        return done.rowcount > 0

    async def returned(self, workspace_id: str) -> bool:
        """Take a workspace off the schedule; False: it was not on it, or its day is over."""
        async with self._engine.begin() as connection:
            done = await connection.execute(
                delete(departures).where(
                    departures.c.workspace_id == workspace_id, departures.c.done_ms.is_(None)
                )
            )
        return done.rowcount > 0

    async def due(self, now_ms: int) -> tuple[Departure, ...]:
        """Those whose day has come, the earliest first."""
        return await self._pending(due_ms=now_ms)

    async def pending(self) -> tuple[Departure, ...]:
        """All that wait for their day, the earliest first."""
        return await self._pending()

    async def done(self, workspace_id: str, *, at_ms: int) -> None:
        """Note that everybody of a workspace is erased."""
        async with self._engine.begin() as connection:
            await connection.execute(
                update(departures).where(departures.c.workspace_id == workspace_id).values(done_ms=at_ms)
            )

    async def _pending(self, *, due_ms: int | None = None) -> tuple[Departure, ...]:
        columns = (departures.c.workspace_id, departures.c.left_ms, departures.c.due_ms)
        statement = select(*columns).where(departures.c.done_ms.is_(None)).order_by(departures.c.due_ms)
        if due_ms is not None:
            statement = statement.where(departures.c.due_ms <= due_ms)
        async with self._reader.connect() as connection:
            return tuple(Departure(**row) for row in (await connection.execute(statement)).mappings())
