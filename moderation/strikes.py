"""Strikes fade, time-outs grow: what repeated refusals lead to, per person and workspace."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from moderation.decisions import new_id, now_ms
from moderation.policy_parts import StrikePolicy
from moderation.tables import standings, strikes, timeouts
from moderation.types import Category

_DAY_MS = 86_400_000
AUTOMATIC = "automatic"


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """Where a person stands in a workspace."""

    live: int  # strikes that have neither faded nor led to a time-out yet
    timeouts: int  # in the same span, which makes the next one longer
    timeout_until_ms: int | None  # None: may ask
    new_timeout: bool = False  # this strike led to it: their waiting jobs are to be cancelled


class Strikes:
    """Counts strikes under the policy's numbers."""

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        policy: StrikePolicy | None = None,
        new_id: Callable[[], str] = new_id,
        now_ms: Callable[[], int] = now_ms,
    ) -> None:
        self._engine = engine
        self._policy = policy or StrikePolicy()
        self._new_id = new_id
        self._now_ms = now_ms

    def use(self, policy: StrikePolicy) -> None:
        """Count by other numbers from now on."""
        self._policy = policy

    async def add(
        self, subject: str, workspace_id: str, *, category: Category, decision_id: str | None = None
    ) -> Standing:
        """Add a strike; enough live ones lead to a time-out. The same decision never strikes twice."""
        async with self._engine.begin() as connection:
            await self._lock(connection, subject, workspace_id)
            dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
            made = await connection.scalar(
                dialect.insert(strikes)
                .values(
                    id=self._new_id(),
                    subject=subject,
                    workspace_id=workspace_id,
                    category=str(category),
                    decision_id=decision_id,
                    created_ms=self._now_ms(),
                )
                .on_conflict_do_nothing(index_elements=["decision_id"])
                .returning(strikes.c.id)
            )
            standing = await self._standing(connection, subject, workspace_id)
            if made is None or standing.live < self._policy.per_timeout:
                return standing
            return await self._time_out(connection, subject, workspace_id, AUTOMATIC, standing)

    async def time_out(self, subject: str, workspace_id: str, *, actor: str) -> Standing:
        """Time somebody out at once, for as long as their history calls for."""
        async with self._engine.begin() as connection:
            await self._lock(connection, subject, workspace_id)
            standing = await self._standing(connection, subject, workspace_id)
            return await self._time_out(connection, subject, workspace_id, actor, standing)

    async def standing(self, subject: str, workspace_id: str) -> Standing:
        """Return where a person stands."""
        async with self._engine.execution_options(read_only=True).connect() as connection:
            return await self._standing(connection, subject, workspace_id)

    async def timeout_until(self, subject: str, workspace_id: str) -> int | None:
        """Return when a running time-out ends, in Unix milliseconds; None where there is none."""
        return (await self.standing(subject, workspace_id)).timeout_until_ms

    async def lift(self, subject: str, workspace_id: str) -> bool:
        """End running time-outs; returns whether there was one."""
        now = self._now_ms()
        statement = (
            update(timeouts)
            .where(
                timeouts.c.subject == subject,
                timeouts.c.workspace_id == workspace_id,
                timeouts.c.until_ms > now,
            )
            .values(until_ms=now)
        )
        async with self._engine.begin() as connection:
            return bool((await connection.execute(statement)).rowcount)

    async def _lock(self, connection: AsyncConnection, subject: str, workspace_id: str) -> None:
        """Make and lock the person's row, so that two strikes at once are counted one after the other."""
        dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
        statement = dialect.insert(standings).values(
            subject=subject, workspace_id=workspace_id, updated_ms=self._now_ms()
        )
        await connection.execute(
            statement.on_conflict_do_update(
                index_elements=["subject", "workspace_id"], set_={"updated_ms": statement.excluded.updated_ms}
            )
        )

    async def _standing(self, connection: AsyncConnection, subject: str, workspace_id: str) -> Standing:
        now = self._now_ms()
        horizon = now - int(self._policy.decay_days * _DAY_MS)
        past = (
            await connection.execute(
                select(func.count(), func.max(timeouts.c.created_ms), func.max(timeouts.c.until_ms)).where(
                    timeouts.c.subject == subject,
                    timeouts.c.workspace_id == workspace_id,
                    timeouts.c.until_ms > horizon,
                )
            )
        ).one()
        count, last, until = past
        live = await connection.scalar(
            select(func.count()).where(
                strikes.c.subject == subject,
                strikes.c.workspace_id == workspace_id,
                strikes.c.created_ms > max(horizon, last or 0),
            )
        )
        return Standing(
            live=int(live or 0),
            timeouts=int(count),
            timeout_until_ms=int(until) if until is not None and until > now else None,
        )

    async def _time_out(
        self, connection: AsyncConnection, subject: str, workspace_id: str, actor: str, standing: Standing
    ) -> Standing:
        now = self._now_ms()
        level = min(standing.timeouts, len(self._policy.timeouts_s) - 1)
        until = now + self._policy.timeouts_s[level] * 1000
        await connection.execute(
            timeouts.insert().values(
                id=self._new_id(),
                subject=subject,
                workspace_id=workspace_id,
                level=level,
                actor=actor[:128],
                created_ms=now,
                until_ms=until,
            )
        )
        return Standing(
            live=0,
            timeouts=standing.timeouts + 1,
            timeout_until_ms=max(until, standing.timeout_until_ms or 0),
            new_timeout=True,
        )
