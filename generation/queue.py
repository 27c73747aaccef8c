"""The queue of jobs, as the bot sees it: submit, look, cancel, forget. The worker's side is `leases`.

A submission is idempotent and durable: it is on the disk before the requester reads "queued", and the same
event submitted again finds the first job.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import ColumnElement, case, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from generation import lanes, loads, outbox, pausing, retention
from generation.admission import QueueLimits, admit, place_or_refuse
from generation.clock import NowMs
from generation.fairness import cost_of
from generation.job import ImageRequest, Job, JobStatus, StoredImage
from generation.leases import Leases, OnFinish
from generation.loads import WorkspaceLoad
from generation.pausing import Pause, PauseMode
from generation.places import Place, place_of
from generation.sealing import Envelope, Seal, Unseal
from generation.tables import jobs, results

__all__ = [
    "JobQueue",
    "OnFinish",
    "Pause",
    "PauseMode",
    "Place",
    "QueueLimits",
    "Submission",
    "WorkspaceLoad",
]

_ACTIVE = (JobStatus.QUEUED, JobStatus.RUNNING)


@dataclass(frozen=True, kw_only=True, slots=True)
class Submission:
    """A job in the queue, and what to tell its requester."""

    job: Job
    created: bool  # False: the same event was submitted before
    place: int  # 0: running or over; 1: served next
    eta_s: float | None
    paused: bool = False  # by the operator; it keeps its place


class JobQueue(Leases):
    """The jobs of one database, shared by any number of processes."""

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        seal: Seal,
        unseal: Unseal,
        limits: QueueLimits | None = None,
        new_id: Callable[[], str] = lambda: secrets.token_hex(8),
    ) -> None:
        super().__init__(engine, envelope=Envelope(seal=seal, unseal=unseal), limits=limits or QueueLimits())
        self._new_id = new_id
        self._arrival = asyncio.Event()

    async def submit(
        self,
        request: ImageRequest,
        *,
        workspace_id: str,
        user_id: str,
        reply_to: bytes,
        dedupe_key: str,
        channel_id: str = "",
        weight: float = 1.0,
        user_weight: float = 1.0,
        user_jobs: int | None = None,
        free: bool = False,
        job_id: str | None = None,
    ) -> Submission:
        """Put a request into the queue; it is on the disk when this returns.

        Args:
            request: within the limits of its model card (`ModelCard.check`).
            workspace_id: the first level of fairness.
            user_id: the requester's pseudonym, the second level.
            reply_to: where the answer goes; opaque here and stored sealed.
            dedupe_key: the platform's id of the event. A second submission with the same key returns the job
                of the first one and is never refused.
            channel_id: where it was asked for; `usage` can count by it.
            weight: the workspace's share of the machine, by its plan.
            user_weight: the user's share within the workspace.
            user_jobs: how many jobs the user may have at a time; None: as the limits say.
            free: the pictures count in no quota.
            job_id: to choose the id; by default a new one.

        Raises:
            RequestLimitError: admission refuses; the error names the wait.
            QueueClosedError: the operator lets the queue run dry.
        """
        if (known := await self.find(dedupe_key)) is not None:
            return await self._again(known)
        job_id = job_id or self._new_id()
        cost = cost_of(request)
        dedupe_sha256 = _digest(dedupe_key)
        sealed = await self._envelope.close(user_id, request, reply_to)  # before the write lock is taken
        async with self._engine.begin() as connection:
            lane = await lanes.enter(connection, workspace_id)
            row = (
                await connection.execute(select(jobs).where(jobs.c.dedupe_sha256 == dedupe_sha256))
            ).one_or_none()
            place = None
            if row is None:
                await pausing.refuse_when_draining(connection, workspace_id)
                await admit(
                    connection,
                    self._limits,
                    workspace_id=workspace_id,
                    user_id=user_id,
                    user_jobs=user_jobs or self._limits.user_jobs,
                    cost=cost,
                )
                values = {
                    "id": job_id,
                    "dedupe_sha256": dedupe_sha256,
                    "workspace_id": workspace_id,
                    "channel_id": channel_id,
                    "user_id": user_id,
                    "model_id": request.model_id,
                    "status": JobStatus.QUEUED,
                    "images": 0 if free else request.count,
                    "source_blob": request.source_blob,
                    "mask_blob": request.mask_blob,
                    "cost": cost,
                    "weight": weight,
                    "virtual_finish": await lanes.finish_tag(
                        connection, lane, user_id=user_id, cost=cost, user_weight=user_weight
                    ),
                    "attempt": 0,
                    "losses": 0,
                    "fence": 0,
                    "lease_until_ms": 0,
                    "ready_ms": 0,
                    "cancel_requested": False,
                    "created_ms": NowMs(),
                    **sealed,
                }
                row = (await connection.execute(insert(jobs).values(values).returning(jobs))).one()
                place = await place_or_refuse(connection, self._limits, job_id)
        job = await self._envelope.open_job(row)
        if place is None:
            return await self._again(job)
        self._arrival.set()
        return Submission(job=job, created=True, place=place.place, eta_s=place.eta_s, paused=place.paused)

    async def arrival(self, timeout_s: float) -> None:
        """Wait until this process submits a job, or until `timeout_s` has passed."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._arrival.wait()
        except TimeoutError:
            return
        self._arrival.clear()

    async def get(self, job_id: str) -> Job | None:
        """The job, unsealed, or None."""
        return await self._one(jobs.c.id == job_id)

    async def find(self, dedupe_key: str) -> Job | None:
        """The job that was submitted for this event, or None."""
        return await self._one(jobs.c.dedupe_sha256 == _digest(dedupe_key))

    async def place(self, job_id: str) -> Place:
        """Where the job stands, and when it will be drawn."""
        async with self._reader.connect() as connection:
            return await place_of(connection, job_id)

    async def active(self, user_id: str) -> tuple[Job, ...]:
        """The user's queued and running jobs, oldest first."""
        query = select(jobs).where(jobs.c.user_id == user_id, jobs.c.status.in_(_ACTIVE))
        async with self._reader.connect() as connection:
            rows = (await connection.execute(query.order_by(jobs.c.created_ms, jobs.c.id))).all()
        return tuple([await self._envelope.open_job(row) for row in rows])

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

    async def cancel(self, job_id: str, *, user_id: str | None = None) -> bool:
        """Stop a job: at once if it waits, within about a second if it runs.

        Args:
            job_id: of the job.
            user_id: only if it is this user's; None: a moderator stops anybody's.

        Returns:
            Whether there was anything to stop.
        """
        which = jobs.c.id == job_id
        return await self._cancel(which if user_id is None else which & (jobs.c.user_id == user_id)) > 0

    async def cancel_user(self, user_id: str) -> int:
        """Stop all jobs of a user; returns how many there were."""
        return await self._cancel(jobs.c.user_id == user_id)

    async def pause(self, workspace_id: str, mode: PauseMode, *, reason: str = "") -> None:
        """Stop the drawing or the asking, for a workspace or `pausing.EVERYWHERE`."""
        async with self._engine.begin() as connection:
            await pausing.pause(connection, workspace_id, mode, reason=reason)

    async def resume(self, workspace_id: str) -> bool:
        """Undo `pause`; returns whether there was anything to undo."""
        async with self._engine.begin() as connection:
            resumed = await pausing.resume(connection, workspace_id)
        self._arrival.set()
        return resumed

    async def pauses(self) -> tuple[Pause, ...]:
        """All orders to stand still."""
        async with self._reader.connect() as connection:
            return await pausing.pauses_of(connection)

    async def load(self) -> tuple[WorkspaceLoad, ...]:
        """What waits and what is being drawn, by workspace."""
        async with self._reader.connect() as connection:
            return await loads.load(connection)

    async def purge(self, *, older_than_ms: int) -> list[str]:
        """Delete jobs that ended before this Unix time, and whose end has been told.

        Returns:
            Ids of the blobs that nobody refers to any more, for the caller to delete.
        """
        async with self._engine.begin() as connection:
            return await retention.purge(connection, older_than_ms=older_than_ms)

    async def forget(self, user_id: str, connection: AsyncConnection | None = None) -> list[str]:
        """Delete every job of a user, in the caller's transaction if one is given.

        Returns:
            Ids of the blobs of their pictures and source pictures, for the caller to delete.
        """
        if connection is not None:
            return await retention.forget(connection, user_id)
        async with self._engine.begin() as own:
            return await retention.forget(own, user_id)

    async def _one(self, which: ColumnElement[bool]) -> Job | None:
        async with self._reader.connect() as connection:
            row = (await connection.execute(select(jobs).where(which))).one_or_none()
        return await self._envelope.open_job(row) if row else None

    async def _again(self, job: Job) -> Submission:
        place = await self.place(job.id)
        return Submission(job=job, created=False, place=place.place, eta_s=place.eta_s, paused=place.paused)

    async def _cancel(self, which: ColumnElement[bool]) -> int:
        waits = jobs.c.status == JobStatus.QUEUED
        # One statement: between two, a job could change from one state to the other and escape both.
        statement = (
            update(jobs)
            .where(which, jobs.c.status.in_(_ACTIVE))
            .values(
                cancel_requested=True,
                status=case((waits, JobStatus.CANCELLED), else_=jobs.c.status),
                finished_ms=case((waits, NowMs()), else_=jobs.c.finished_ms),
            )
            .returning(jobs.c.id, jobs.c.status)
        )
        async with self._engine.begin() as connection:
            stopped = (await connection.execute(statement)).all()
            for row in stopped:
                if row.status == JobStatus.CANCELLED:
                    await outbox.put(connection, row.id, "cancelled")
        return len(stopped)


def _digest(dedupe_key: str) -> str:
    return hashlib.sha256(dedupe_key.encode("utf-8", "surrogatepass")).hexdigest()
