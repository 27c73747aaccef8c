"""Tells where a job stands in the fair order, and by the measured pace of the workers when it is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from generation.clock import NowMs
from generation.fairness import Lane, ahead_of
from generation.job import JobStatus
from generation.lanes import fair_order
from generation.pausing import paused
from generation.tables import jobs, lanes

_RECENT_JOBS = 20  # succeeded jobs over which the pace is measured


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where a job stands."""

    place: int  # 0: running or over; 1: served next
    eta_s: float | None  # until it is drawn; None: nothing has been measured, or the queue is paused
    paused: bool = False  # by the operator: nobody can say how long


@dataclass(frozen=True, kw_only=True, slots=True)
class Pace:
    """How fast jobs are drawn at present."""

    cost_per_s: float | None  # of one worker; None as long as no job has been measured
    workers: int  # at work now, at least 1
    remaining: float  # estimated cost that the running jobs still need

    def seconds(self, cost: float) -> float | None:
        """How long all workers together need for `cost`."""
        return cost / (self.cost_per_s * self.workers) if self.cost_per_s else None


async def measure_pace(connection: AsyncConnection) -> Pace:
    """Measure the pace over the jobs that succeeded last."""
    recent = (
        select(jobs.c.cost, (jobs.c.finished_ms - jobs.c.started_ms).label("ms"))
        .where(jobs.c.status == JobStatus.SUCCEEDED)
        .order_by(jobs.c.finished_ms.desc())
        .limit(_RECENT_JOBS)
        .subquery()
    )
    cost, ms = (await connection.execute(select(func.sum(recent.c.cost), func.sum(recent.c.ms)))).one()
    rate = cost / max(float(ms), 1.0) * 1000 if cost else None  # PostgreSQL sums integers as decimals
    elapsed = NowMs() - jobs.c.started_ms
    running = (
        await connection.execute(
            select(jobs.c.cost, elapsed.label("ms")).where(jobs.c.status == JobStatus.RUNNING)
        )
    ).all()
    remaining = sum(max(0.0, row.cost - (rate or 0.0) * row.ms / 1000) for row in running)
    return Pace(cost_per_s=rate, workers=max(1, len(running)), remaining=remaining)


async def place_of(connection: AsyncConnection, job_id: str) -> Place:
    """Where the job stands; place 0 and no wait for one that is unknown or over."""
    query = select(jobs, (NowMs() - jobs.c.started_ms).label("elapsed_ms")).where(jobs.c.id == job_id)
    job = (await connection.execute(query)).one_or_none()
    if job is None or JobStatus(job.status).final:
        return Place(place=0, eta_s=0.0)
    pace = await measure_pace(connection)
    if job.status == JobStatus.RUNNING:
        if pace.cost_per_s is None:
            return Place(place=0, eta_s=None)
        return Place(place=0, eta_s=max(0.0, job.cost / pace.cost_per_s - job.elapsed_ms / 1000))
    earlier = tuple_(*fair_order(jobs)) < tuple_(job.virtual_finish, job.created_ms, job.id)
    own = await _waiting_lanes(connection, jobs.c.workspace_id == job.workspace_id, earlier)
    others = await _waiting_lanes(connection, jobs.c.workspace_id != job.workspace_id)
    start = await connection.scalar(
        select(lanes.c.virtual_start).where(lanes.c.workspace_id == job.workspace_id)
    )
    nobody_before = Lane(virtual_start=start or 0.0, jobs=0, cost=0.0, weight=job.weight)
    ahead = ahead_of(own[0] if own else nobody_before, others)
    if await connection.scalar(select(paused(jobs)).select_from(jobs).where(jobs.c.id == job_id)):
        return Place(place=ahead.jobs + 1, eta_s=None, paused=True)
    return Place(place=ahead.jobs + 1, eta_s=pace.seconds(pace.remaining + ahead.cost + job.cost))


async def _waiting_lanes(connection: AsyncConnection, *conditions: ColumnElement[bool]) -> Sequence[Lane]:
    query = (
        select(lanes.c.virtual_start, func.count(), func.sum(jobs.c.cost), func.max(jobs.c.weight))
        .join(jobs, jobs.c.workspace_id == lanes.c.workspace_id)
        .where(jobs.c.status == JobStatus.QUEUED, *conditions)
        .group_by(lanes.c.workspace_id, lanes.c.virtual_start)
    )
    rows = (await connection.execute(query)).all()
    return [
        Lane(virtual_start=start, jobs=count, cost=cost, weight=weight) for start, count, cost, weight in rows
    ]
