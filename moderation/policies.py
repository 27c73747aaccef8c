"""The change log of policies: which one was in force from when, and what exactly it said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncEngine

from moderation.decisions import now_ms
from moderation.policy import Policy
from moderation.tables import policies


@dataclass(frozen=True, kw_only=True, slots=True)
class PolicyRecord:
    """One line of the log."""

    version: str  # SHA-256 of `content`, in hex
    name: str
    content: str  # canonical JSON of the effective policy
    in_force_ms: int


class PolicyLog:
    """Appends a line whenever another policy comes into force."""

    def __init__(self, engine: AsyncEngine, *, now_ms: Callable[[], int] = now_ms) -> None:
        self._engine = engine
        self._reader = engine.execution_options(read_only=True)
        self._now_ms = now_ms

    async def enter(self, policy: Policy) -> str | None:
        """Note that a policy is in force; returns the version it follows ("": none), or None: no change."""
        latest = select(policies.c.id, policies.c.version).order_by(policies.c.id.desc()).limit(1)
        while True:
            async with self._reader.connect() as connection:
                last = (await connection.execute(latest)).one_or_none()
            if last is not None and last.version == policy.version:
                return None
            values = {
                "id": last.id + 1 if last else 1,  # of two processes at once, one gets the next line
                "version": policy.version,
                "name": policy.name[:200],
                "content": policy.content,
                "in_force_ms": self._now_ms(),
            }
            async with self._engine.begin() as connection:
                dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
                statement = dialect.insert(policies).values(values).on_conflict_do_nothing()
                made = (await connection.execute(statement)).rowcount > 0
            if made:
                return last.version if last else ""

    async def history(self) -> tuple[PolicyRecord, ...]:
        """Every change, oldest first."""
        async with self._reader.connect() as connection:
            rows = (await connection.execute(select(policies).order_by(policies.c.id))).all()
        return tuple(
            PolicyRecord(version=row.version, name=row.name, content=row.content, in_force_ms=row.in_force_ms)
            for row in rows
        )
