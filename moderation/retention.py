"""Deletes the records of moderation: what the retention period no longer covers, and an erased person's."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.reviews import OPEN
from moderation.tables import decisions, reviews, standings, strikes, timeouts


async def forget(connection: AsyncConnection, subject: str) -> None:
    """Delete a person's decisions, reviews, strikes and time-outs."""
    for table in (decisions, reviews, strikes, timeouts, standings):
        await connection.execute(delete(table).where(table.c.subject == subject))


async def expire(connection: AsyncConnection, *, older_than_ms: int, keep: Sequence[str] = ()) -> int:
    """Delete decisions and decided reviews from before `older_than_ms` (Unix ms); returns how many.

    `keep` names the pseudonyms under legal hold. A review that still waits keeps itself and its decision.
    """
    waiting = reviews.select().with_only_columns(reviews.c.decision_id).where(reviews.c.status == OPEN)
    gone = 0
    for table, also in (
        (reviews, reviews.c.status != OPEN),
        (decisions, decisions.c.id.not_in(waiting)),
    ):
        result = await connection.execute(
            delete(table).where(table.c.created_ms < older_than_ms, table.c.subject.not_in(keep), also)
        )
        gone += result.rowcount
    return gone
