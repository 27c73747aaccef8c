"""When people looked up who made a picture, within the last hour: what a limit counts.

Kept in the database, so that all front ends count together and a restart forgets nothing. Each look-up takes
one of a person's few places for an hour. A place is unique, so two look-ups at once never share one.
"""

from __future__ import annotations

from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from attribution.tables import lookups

HOUR_MS = 3_600_000


class LookupTimes:
    """Counts look-ups in a sliding hour."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def take(self, subject: str, *, places: int, now_ms: int) -> int | None:
        """Count one look-up; when the next place becomes free (Unix ms) if all are taken: not counted then.

        Args:
            subject: pseudonym of who asks.
            places: look-ups that an hour has, at least 1.
            now_ms: the time, Unix ms.
        """
        async with self._engine.begin() as connection:
            # Everybody's old ones: what is over tells nobody anything, and is not kept.
            await connection.execute(delete(lookups).where(lookups.c.at_ms <= now_ms - HOUR_MS))
            mine = select(lookups.c.place, lookups.c.at_ms).where(lookups.c.subject == subject)
            taken = {row.place: row.at_ms for row in await connection.execute(mine)}
            for place in range(places):
                if place in taken:
                    continue
                insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
                values = {"subject": subject, "place": place, "at_ms": now_ms}
                done = await connection.execute(insert(lookups).values(values).on_conflict_do_nothing())
                if done.rowcount:
                    return None
                taken[place] = now_ms  # a rival took it this very moment
        first: int = sorted(taken.values())[-places]
        return first + HOUR_MS


async def forget_lookups(connection: AsyncConnection, subject: str) -> None:
    """Delete what is counted of a person."""
    await connection.execute(delete(lookups).where(lookups.c.subject == subject))
