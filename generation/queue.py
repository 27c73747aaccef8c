"""The queue of jobs, as the bot sees it: submit, look, cancel, forget. The worker's side is `leases`.

A submission is idempotent and durable: it is on the disk before the requester reads "queued", and the same
event submitted again finds the first job.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import ColumnElement, case, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from generation import lanes, outbox, pausing, retention
from generation.admission import QueueLimits, admit, place_or_refuse
from generation.clock import NowMs
from generation.fairness import cost_of
from generation.job import ImageRequest, Job, JobStatus
from generation.leases import Leases, OnFinish
from generation.loads import WorkspaceLoad
from generation.pausing import Pause, PauseMode
from generation.places import Place
from generation.queue_reader import ACTIVE, digest_of
from generation.sealing import Envelope, Seal, Unseal
from generation.tables import jobs

__all__ = [
    "Cancelled",
    "JobQueue",
    "OnFinish",
    "Pause",
    "PauseMode",
    "Place",
    "QueueLimits",
    "Submission",
    "WorkspaceLoad",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Cancelled:
    """What was stopped, waiting and running."""

    jobs: int
    images: int  # of them in all that count in a quota, and will count no more


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
        dedupe_sha256 = digest_of(dedupe_key)
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
        job = await self._open(row)
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

    async def cancel(self, job_id: str, *, user_id: str | None = None) -> bool:
        """Stop a job: at once if it waits, within about a second if it runs.

        Args:
            job_id: of the job.
            user_id: only if it is this user's; None: a moderator stops anybody's.

        Returns:
            Whether there was anything to stop.
        """
        which = jobs.c.id == job_id
        of_user = which if user_id is None else which & (jobs.c.user_id == user_id)
        return (await self._cancel(of_user)).jobs > 0

    async def cancel_user(self, user_id: str) -> Cancelled:
        """Stop all jobs of a user."""
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

    async def _again(self, job: Job) -> Submission:
        place = await self.place(job.id)
        return Submission(job=job, created=False, place=place.place, eta_s=place.eta_s, paused=place.paused)

    async def _cancel(self, which: ColumnElement[bool]) -> Cancelled:
        waits = jobs.c.status == JobStatus.QUEUED
        # One statement: between two, a job could change from one state to the other and escape both.
        statement = (
            update(jobs)
            .where(which, jobs.c.status.in_(ACTIVE))
            .values(
                cancel_requested=True,
                status=case((waits, JobStatus.CANCELLED), else_=jobs.c.status),
                finished_ms=case((waits, NowMs()), else_=jobs.c.finished_ms),
            )
            .returning(jobs.c.id, jobs.c.status, jobs.c.images)
        )
        async with self._engine.begin() as connection:
            stopped = (await connection.execute(statement)).all()
            for row in stopped:
                if row.status == JobStatus.CANCELLED:
                    await outbox.put(connection, row.id, "cancelled")
        return Cancelled(jobs=len(stopped), images=sum(row.images for row in stopped))
