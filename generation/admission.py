"""Decides whether a request may join the queue; a refusal names the wait."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from generation.clock import NowMs
from generation.errors import RequestLimitError
from generation.job import JobStatus
from generation.places import Place, place_of
from generation.tables import jobs

_HOUR_MS = 3_600_000
_ACTIVE = (JobStatus.QUEUED, JobStatus.RUNNING)


@dataclass(frozen=True, kw_only=True, slots=True)
class QueueLimits:
    """How much may wait, and how long a worker may be silent."""

    user_jobs: int = 3  # queued and running jobs of one user
    workspace_jobs: int = 60  # the same of one workspace
    workspace_cost_per_hour: float | None = None  # in steps of one 512x512 px row; None: unlimited
    eta_s: float = 1800.0  # a request that would wait longer is refused
    max_attempts: int = 3  # of one job that end with an error
    max_losses: int = 20  # of one job that end with its worker: a kill or a power cut is seldom its fault
    lease_s: float = 15.0  # a worker that has been silent for so long has lost its job
    retry_pause_s: float = 2.0  # before the second attempt; doubles with each further one
    max_pause_s: float = 30.0  # and ends here: others are served meanwhile


async def admit(
    connection: AsyncConnection,
    limits: QueueLimits,
    *,
    workspace_id: str,
    user_id: str,
    user_jobs: int,
    cost: float,
) -> None:
    """Refuse a request that would go beyond the shares of its user or workspace.

    The caller holds the workspace's lane: two requests of one workspace are never counted at the same time.

    Raises:
        RequestLimitError: `retry_after_s` tells when it is worth trying again, where that is known.
    """
    of_user = jobs.c.user_id == user_id
    if (active := await _active(connection, of_user)) >= user_jobs:
        raise RequestLimitError(
            field="user_jobs",
            value=active,
            limit=f"at most {user_jobs} at a time",
            retry_after_s=await _first_eta(connection, of_user),
        )
    of_workspace = jobs.c.workspace_id == workspace_id
    if (active := await _active(connection, of_workspace)) >= limits.workspace_jobs:
        raise RequestLimitError(
            field="workspace_jobs",
            value=active,
            limit=f"at most {limits.workspace_jobs} at a time",
            retry_after_s=await _first_eta(connection, of_workspace),
        )
    if limits.workspace_cost_per_hour is not None:
        await _check_hour(connection, of_workspace, cost=cost, bucket=limits.workspace_cost_per_hour)


async def place_or_refuse(connection: AsyncConnection, limits: QueueLimits, job_id: str) -> Place:
    """The place of a job that this transaction has just put into the queue.

    Raises:
        RequestLimitError: it would wait too long; the transaction must be rolled back.
    """
    place = await place_of(connection, job_id)
    if place.eta_s is not None and place.eta_s > limits.eta_s:
        raise RequestLimitError(
            field="queue",
            value=f"{place.eta_s:.0f} s",
            limit=f"at most {limits.eta_s:.0f} s of waiting",
            retry_after_s=place.eta_s - limits.eta_s,
        )
    return place


async def _active(connection: AsyncConnection, whose: ColumnElement[bool]) -> int:
    query = select(func.count()).select_from(jobs).where(whose, jobs.c.status.in_(_ACTIVE))
    return await connection.scalar(query) or 0


async def _first_eta(connection: AsyncConnection, whose: ColumnElement[bool]) -> float | None:
    """When the first of these jobs will be over and so leave room."""
    query = (
        select(jobs.c.id)
        .where(whose, jobs.c.status.in_(_ACTIVE))
        .order_by(jobs.c.status.desc(), jobs.c.started_ms, jobs.c.virtual_finish)  # "running" before "queued"
        .limit(1)
    )
    first = await connection.scalar(query)
    return (await place_of(connection, first)).eta_s if first else None


async def _check_hour(
    connection: AsyncConnection, of_workspace: ColumnElement[bool], *, cost: float, bucket: float
) -> None:
    age = (NowMs() - jobs.c.created_ms).label("age")
    query = (
        select(jobs.c.cost, age)
        .where(of_workspace, jobs.c.created_ms > NowMs() - _HOUR_MS, jobs.c.status != JobStatus.FAILED)
        .order_by(jobs.c.created_ms)
    )
    spent = (await connection.execute(query)).all()
    excess = sum(row.cost for row in spent) + cost - bucket
    if excess <= 0:
        return
    retry_after_s: float | None = None  # a request above the whole bucket never fits
    for row in spent:
        excess -= row.cost
        if excess <= 0:
            retry_after_s = max(0.0, (_HOUR_MS - row.age) / 1000)
            break
    raise RequestLimitError(
        field="workspace_cost", value=cost, limit=f"at most {bucket:g} an hour", retry_after_s=retry_after_s
    )
