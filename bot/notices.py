"""Remembers what moderators were told on the house's own account, so that many processes tell it once."""

from __future__ import annotations

from sqlalchemy import delete
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.tables import notices


class Notices:
    """One row for each workspace and topic."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def claim(self, workspace_id: str, topic: str, *, now_ms: int, not_since_ms: int) -> bool:
        """Take the task of telling something; False: somebody told it after `not_since_ms`."""
        async with self._engine.begin() as connection:
            dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
            fresh = dialect.insert(notices).values(
                workspace_id=workspace_id, topic=topic[:128], sent_ms=now_ms
            )
            claimed = await connection.execute(
                fresh.on_conflict_do_update(
                    index_elements=["workspace_id", "topic"],
                    set_={"sent_ms": now_ms},
                    where=notices.c.sent_ms < not_since_ms,
                ).returning(notices.c.topic)
            )
            return claimed.one_or_none() is not None

    async def release(self, workspace_id: str, topic: str) -> None:
        """Give the task back: telling failed, and is to be tried again."""
        async with self._engine.begin() as connection:
            await connection.execute(
                delete(notices).where(notices.c.workspace_id == workspace_id, notices.c.topic == topic[:128])
            )
