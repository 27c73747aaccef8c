"""What the queue tells without changing anything: jobs, their places and pictures, the load."""

from __future__ import annotations

import hashlib

from sqlalchemy import ColumnElement, Row, select
from sqlalchemy.ext.asyncio import AsyncEngine

from generation import loads, pausing
from generation.job import Job, JobStatus, StoredImage
from generation.loads import WorkspaceLoad
from generation.pausing import Pause
from generation.places import Place, place_of
from generation.sealing import Envelope
from generation.tables import jobs, results

ACTIVE = (JobStatus.QUEUED, JobStatus.RUNNING)


class QueueReader:
    """Looks into the queue of one database."""

    def __init__(self, engine: AsyncEngine, *, envelope: Envelope) -> None:
        self._engine = engine
        self._reader = engine.execution_options(read_only=True)
        self._envelope = envelope

    async def get(self, job_id: str) -> Job | None:
        """The job, unsealed, or None."""
        return await self._one(jobs.c.id == job_id)

    async def find(self, dedupe_key: str) -> Job | None:
        """The job that was submitted for this event, or None."""
        return await self._one(jobs.c.dedupe_sha256 == digest_of(dedupe_key))

    async def place(self, job_id: str) -> Place:
        """Where the job stands, and when it will be drawn."""
        async with self._reader.connect() as connection:
            return await place_of(connection, job_id)

    async def active(self, user_id: str) -> tuple[Job, ...]:
        """The user's queued and running jobs, oldest first."""
        query = select(jobs).where(jobs.c.user_id == user_id, jobs.c.status.in_(ACTIVE))
        async with self._reader.connect() as connection:
            rows = (await connection.execute(query.order_by(jobs.c.created_ms, jobs.c.id))).all()
        return tuple([await self._open(row) for row in rows])

    async def usage(
        self,
        *,
        since_ms: int,
        user_id: str | None = None,
        channel_id: str | None = None,
        workspace_id: str | None = None,
    ) -> tuple[tuple[int, int], ...]:
        """See `loads.usage`."""
        async with self._reader.connect() as connection:
            return await loads.usage(
                connection,
                since_ms=since_ms,
                user_id=user_id,
                channel_id=channel_id,
                workspace_id=workspace_id,
            )

    async def results(self, job_id: str) -> tuple[StoredImage, ...]:
        """The stored pictures of a job, by index; empty if there are none."""
        query = (
            select(results, jobs.c.user_id)
            .join(jobs, jobs.c.id == results.c.job_id)
            .where(results.c.job_id == job_id)
            .order_by(results.c.index)
        )
        async with self._reader.connect() as connection:
            rows = (await connection.execute(query)).all()
        return tuple([await self._envelope.open_image(row.user_id, row) for row in rows])

    async def pauses(self) -> tuple[Pause, ...]:
        """All orders to stand still."""
        async with self._reader.connect() as connection:
            return await pausing.pauses_of(connection)

    async def load(self) -> tuple[WorkspaceLoad, ...]:
        """What waits and what is being drawn, by workspace."""
        async with self._reader.connect() as connection:
            return await loads.load(connection)

    async def _one(self, which: ColumnElement[bool]) -> Job | None:
        async with self._reader.connect() as connection:
            row = (await connection.execute(select(jobs).where(which))).one_or_none()
        return await self._open(row) if row else None

    async def _open(self, row: Row[*tuple[object, ...]]) -> Job:
        return await self._envelope.open_job(row._asdict())


def digest_of(dedupe_key: str) -> str:
    """What the queue keeps of the platform's id of an event."""
    return hashlib.sha256(dedupe_key.encode("utf-8", "surrogatepass")).hexdigest()
