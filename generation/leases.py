"""The worker's side of the queue: leasing a job, keeping the lease, and every way in which it ends.

    queued -- claim --> running -- finish --> succeeded
       ^                  |------- fail ----> failed, or queued again
       |                  |------- cancelled -> cancelled
       '-- reap, release -'

A claim grows the job's fence, and each write of a worker carries the fence that it got: a worker that was
paused past its lease touches no row any more and drops its work. Every end of a job writes, in the same
transaction, what the requester must be told (`outbox`).
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence

from sqlalchemy import ColumnElement, insert, select, true, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from generation import claiming, lanes, outbox
from generation.admission import QueueLimits
from generation.clock import NowMs
from generation.errors import JobCancelledError, LeaseLostError
from generation.job import Job, JobStatus, StoredImage
from generation.outage import Outage
from generation.queue_reader import QueueReader
from generation.sealing import Envelope
from generation.tables import jobs, results

_log = logging.getLogger(__name__)

OnFinish = Callable[[AsyncConnection, Job, Sequence[StoredImage]], Awaitable[None]]
"""Called inside the transaction that finishes a job, so that another trade's row stands or falls with it."""

_CLAIM_TRIES = 3  # a job that cannot be opened makes room for the next one
_REAP_AT_ONCE = 100
_MESSAGE_LENGTH = 500


class Leases(QueueReader):
    """Jobs in the hands of workers."""

    def __init__(self, engine: AsyncEngine, *, envelope: Envelope, limits: QueueLimits) -> None:
        super().__init__(engine, envelope=envelope)
        self.outage = Outage(engine)
        self._limits = limits
        self._lease_ms = round(limits.lease_s * 1000)

    async def claim(
        self, worker_id: str, *, models: Sequence[str] | None = None, workspace: str | None = None
    ) -> Job | None:
        """Lease the next job of the fair order.

        Args:
            worker_id: for the operator's eyes; the fence, not this, tells workers apart.
            models: ids of the models that this worker can draw; None: all.
            workspace: the only workspace that it serves; None: all.

        Returns:
            The job, running, with its new fence; None if nothing waits.
        """
        for _ in range(_CLAIM_TRIES):
            row = await claiming.claim(
                self._engine,
                worker_id=worker_id,
                lease_ms=self._lease_ms,
                models=models,
                workspace=workspace,
            )
            if row is None:
                return None
            try:
                return await self._envelope.open_job(row)
            except Exception:  # noqa: BLE001 - the vault is another trade's, so its errors are unknown here
                # The job must not hang until its lease runs out: it is tried again after a pause, and fails
                # when its attempts are used up.
                _log.exception("job %s cannot be opened", row["id"])
                await self._fail(row["id"], row["fence"], code="sealed", message="", retryable=True)
        return None

    async def beat(self, job: Job) -> bool:
        """Keep the lease; about once a second.

        Returns:
            Whether somebody wants the job cancelled.

        Raises:
            LeaseLostError: the job is no longer this worker's.
        """
        statement = (
            update(jobs)
            .where(*_held_by(job.id, job.fence))
            .values(lease_until_ms=NowMs() + self._lease_ms)
            .returning(jobs.c.cancel_requested)
        )
        async with self._engine.begin() as connection:
            cancel = await connection.scalar(statement)
        if cancel is None:
            raise _lost(job.id)
        return bool(cancel)

    async def finish(
        self, job: Job, images: Sequence[StoredImage], *, on_finish: OnFinish | None = None
    ) -> None:
        """End the job well: status, pictures, order to deliver, and `on_finish`'s rows in one transaction.

        Raises:
            LeaseLostError: the job is no longer this worker's; nothing is written.
            JobCancelledError: somebody cancelled it meanwhile; nothing is written.
        """
        rows = await self._envelope.close_images(job.user_id, images)
        async with self._engine.begin() as connection:
            ended = await _end(connection, job.id, job.fence, JobStatus.SUCCEEDED, unless_cancelled=True)
            if not ended:
                flag = await connection.scalar(
                    select(jobs.c.cancel_requested).where(*_held_by(job.id, job.fence))
                )
                raise _lost(job.id) if flag is None else JobCancelledError(f"job {job.id} was cancelled")
            if rows:
                await connection.execute(insert(results), [{"job_id": job.id, **row} for row in rows])
            await outbox.put(connection, job.id, "deliver")
            if on_finish is not None:
                await on_finish(connection, job, images)

    async def fail(self, job: Job, *, code: str, message: str, retryable: bool) -> bool:
        """End the job badly, or give it another try.

        Args:
            job: as claimed.
            code: of the error, e.g. "out_of_memory"; what the requester is told depends on it.
            message: for the operator; must hold nothing of the prompt.
            retryable: whether another attempt may succeed; see `QueueLimits.max_attempts`.

        Returns:
            Whether it will be tried again.

        Raises:
            LeaseLostError: the job is no longer this worker's.
        """
        return await self._fail(job.id, job.fence, code=code, message=message, retryable=retryable)

    async def release(self, job: Job) -> None:
        """Give the job back untouched, as if it had never been claimed: the worker is stopping.

        Raises:
            LeaseLostError: the job is no longer this worker's.
        """
        query = select(jobs.c.id).where(*_held_by(job.id, job.fence)).with_for_update()
        async with self._engine.begin() as connection:
            if await connection.scalar(query) is None:
                raise _lost(job.id)
            await _requeue(connection, job.id, job.workspace_id, {"attempt": jobs.c.attempt - 1})

    async def cancelled(self, job: Job) -> None:
        """Confirm that the worker has stopped drawing a job that somebody cancelled.

        Raises:
            LeaseLostError: the job is no longer this worker's.
        """
        async with self._engine.begin() as connection:
            if not await _end(connection, job.id, job.fence, JobStatus.CANCELLED):
                raise _lost(job.id)
            await outbox.put(connection, job.id, "cancelled")

    async def reap(self) -> int:
        """Take back the jobs whose workers have fallen silent: queued again, cancelled, or failed for good.

        Any process may call it at any time. Returns the number of jobs taken back.
        """
        expired = jobs.c.lease_until_ms < NowMs()
        query = select(jobs.c.id, jobs.c.fence).where(jobs.c.status == JobStatus.RUNNING, expired)
        async with self._reader.connect() as connection:
            silent = (await connection.execute(query.limit(_REAP_AT_ONCE))).all()
        reaped = 0
        for row in silent:  # one transaction each: a rival may have been faster, or the worker may be back
            try:
                await self._fail(
                    row.id,
                    row.fence,
                    code="worker_lost",
                    message="its worker fell silent",
                    retryable=True,
                    only_expired=True,
                )
            except LeaseLostError:
                continue
            reaped += 1
        async with self._reader.connect() as connection:
            crowded = await lanes.needs_tidying(connection)
        if crowded:
            async with self._engine.begin() as connection:
                await lanes.tidy(connection)
        return reaped

    async def _fail(
        self, job_id: str, fence: int, *, code: str, message: str, retryable: bool, only_expired: bool = False
    ) -> bool:
        expired = jobs.c.lease_until_ms < NowMs() if only_expired else true()
        query = select(jobs).where(*_held_by(job_id, fence), expired).with_for_update()
        error = {"error_code": code[:64], "error_message": message[:_MESSAGE_LENGTH]}
        async with self._engine.begin() as connection:
            row = (await connection.execute(query)).one_or_none()
            if row is None:
                raise _lost(job_id)
            if row.cancel_requested:
                await _end(connection, job_id, fence, JobStatus.CANCELLED)
                await outbox.put(connection, job_id, "cancelled")
                return False
            losses = row.losses + only_expired
            spent = row.attempt - losses >= self._limits.max_attempts or losses >= self._limits.max_losses
            if retryable and not spent:
                pause_s = min(self._limits.retry_pause_s * 2 ** (row.attempt - 1), self._limits.max_pause_s)
                values = {**error, "losses": losses, "ready_ms": NowMs() + round(1000 * pause_s)}
                await _requeue(connection, job_id, row.workspace_id, values)
                return True
            await _end(connection, job_id, fence, JobStatus.FAILED, error=error)
            await outbox.put(connection, job_id, "failed")
            return False


def _held_by(job_id: str, fence: int) -> tuple[ColumnElement[bool], ...]:
    return (jobs.c.id == job_id, jobs.c.fence == fence, jobs.c.status == JobStatus.RUNNING)


def _lost(job_id: str) -> LeaseLostError:
    return LeaseLostError(f"job {job_id} is no longer ours")


async def _end(
    connection: AsyncConnection,
    job_id: str,
    fence: int,
    status: JobStatus,
    *,
    error: Mapping[str, str] | None = None,
    unless_cancelled: bool = False,
) -> bool:
    """Write a final status if the fence still holds; returns whether it did."""
    statement = update(jobs).where(*_held_by(job_id, fence)).returning(jobs.c.id)
    if unless_cancelled:
        statement = statement.where(jobs.c.cancel_requested.is_(False))
    cleared = {"error_code": None, "error_message": None}  # of earlier attempts
    values = {"status": status, "finished_ms": NowMs(), "worker_id": None, **cleared, **(error or {})}
    return (await connection.execute(statement.values(values))).one_or_none() is not None


async def _requeue(
    connection: AsyncConnection, job_id: str, workspace_id: str, values: Mapping[str, object]
) -> None:
    """Put a running job, which this transaction has locked, back into its lane."""
    await lanes.enter(connection, workspace_id)
    await connection.execute(
        update(jobs).where(jobs.c.id == job_id).values(status=JobStatus.QUEUED, worker_id=None, **values)
    )
