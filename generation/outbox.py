"""What people must be told about their jobs: written with the end of the job, delivered at least once.

A deliverer leases one item at a time. The lease and the fence keep two deliverers from telling the same
thing; the receiving side must still be idempotent by job id, because a deliverer may die after telling.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import ColumnElement, exists, false, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from generation.clock import NowMs
from generation.errors import LeaseLostError
from generation.tables import jobs, outbox

OutboxKind = Literal["deliver", "failed", "cancelled", "approved", "remove"]
"""The end of a job: drawn, failed, cancelled. Later: pictures that a person let pass, posts to take back."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OutboxItem:
    """One thing to tell, leased to its deliverer."""

    id: int
    job_id: str
    kind: OutboxKind
    attempt: int  # claims so far
    fence: int


async def put(connection: AsyncConnection, job_id: str, kind: OutboxKind) -> None:
    """Add an item within the caller's transaction. UNIQUE(job_id, kind) refuses a second one."""
    await connection.execute(
        insert(outbox).values(
            job_id=job_id, kind=kind, attempt=0, fence=0, visible_ms=NowMs(), created_ms=NowMs()
        )
    )


async def put_again(connection: AsyncConnection, job_id: str, kind: OutboxKind) -> None:
    """Add an item that may come up more than once: one that was done is to be done once more.

    A job that is gone has nobody to tell, and nothing is added.
    """
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    if await connection.scalar(select(jobs.c.id).where(jobs.c.id == job_id)) is None:
        return
    fresh = dialect.insert(outbox).values(
        job_id=job_id, kind=kind, attempt=0, fence=0, visible_ms=NowMs(), created_ms=NowMs()
    )
    again = {
        "done_ms": None,
        "visible_ms": fresh.excluded.visible_ms,
        "attempt": 0,
        "fence": outbox.c.fence + 1,
    }
    await connection.execute(fresh.on_conflict_do_update(index_elements=["job_id", "kind"], set_=again))


class Outbox:
    """Hands items to deliverers, oldest first."""

    def __init__(self, engine: AsyncEngine, *, lease_s: float = 30.0) -> None:
        self._engine = engine
        self._lease_ms = round(lease_s * 1000)

    async def claim(self, *, platforms: Sequence[str] | None = None) -> OutboxItem | None:
        """Lease the oldest item that nobody holds, or None.

        Args:
            platforms: beginnings of workspace ids (`slack` of `slack:T1`) that this deliverer reaches;
                None: all.
        """
        waiting = outbox.alias("waiting")
        is_waiting = [waiting.c.done_ms.is_(None), waiting.c.visible_ms <= NowMs()]
        if platforms is not None:
            within = [jobs.c.workspace_id.like(f"{p}:%") | (jobs.c.workspace_id == p) for p in platforms]
            is_waiting.append(exists().where(jobs.c.id == waiting.c.job_id, or_(false(), *within)))
        query = select(waiting.c.id).where(*is_waiting).order_by(waiting.c.visible_ms, waiting.c.id).limit(1)
        async with self._engine.execution_options(read_only=True).connect() as connection:
            if await connection.scalar(query) is None:
                return None  # an idle deliverer takes no write lock
        statement = (
            update(outbox)
            .where(outbox.c.id == query.with_for_update(skip_locked=True).scalar_subquery())
            .values(
                visible_ms=NowMs() + self._lease_ms, fence=outbox.c.fence + 1, attempt=outbox.c.attempt + 1
            )
            .returning(outbox.c.id, outbox.c.job_id, outbox.c.kind, outbox.c.attempt, outbox.c.fence)
        )
        async with self._engine.begin() as connection:
            row = (await connection.execute(statement)).one_or_none()
        return OutboxItem(**row._mapping) if row else None  # noqa: SLF001 - the public name of a row's mapping

    async def is_done(self, job_id: str) -> bool:
        """Whether everything that there was to tell about a job has been told."""
        open_ = exists().where(outbox.c.job_id == job_id, outbox.c.done_ms.is_(None))
        async with self._engine.execution_options(read_only=True).connect() as connection:
            return not await connection.scalar(select(open_))

    async def beat(self, item: OutboxItem) -> None:
        """Keep the lease while the delivery takes its time.

        Raises:
            LeaseLostError: somebody else delivers it now.
        """
        await self._settle(item, {"visible_ms": NowMs() + self._lease_ms})

    async def done(self, item: OutboxItem, *, connection: AsyncConnection | None = None) -> None:
        """Record that it has been told, in the caller's transaction if one is given.

        Raises:
            LeaseLostError: somebody else delivers it now.
        """
        await self._settle(item, {"done_ms": NowMs()}, connection)

    async def retry(self, item: OutboxItem, after_s: float) -> None:
        """Give it back, to be tried again after a pause.

        Raises:
            LeaseLostError: somebody else delivers it now.
        """
        await self._settle(item, {"visible_ms": NowMs() + round(after_s * 1000), "fence": outbox.c.fence + 1})

    async def _settle(
        self,
        item: OutboxItem,
        values: dict[str, ColumnElement[int]],
        connection: AsyncConnection | None = None,
    ) -> None:
        if connection is None:
            async with self._engine.begin() as own:
                return await self._settle(item, values, own)
        held = (outbox.c.id == item.id, outbox.c.fence == item.fence, outbox.c.done_ms.is_(None))
        result = await connection.execute(update(outbox).where(*held).values(values).returning(outbox.c.id))
        if result.one_or_none() is None:
            raise LeaseLostError(f"outbox item {item.id} is no longer ours")
        return None
