"""Counts jobs: what somebody has asked for since a time, and what each workspace waits for now."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from generation.job import JobStatus
from generation.tables import jobs

_ACTIVE = (JobStatus.QUEUED, JobStatus.RUNNING)


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkspaceLoad:
    """The jobs of one workspace that are not over."""

    workspace_id: str
    queued: int
    running: int
    oldest_ms: int  # when the oldest of them was submitted, Unix ms


async def usage(
    connection: AsyncConnection,
    *,
    since_ms: int,
    user_id: str | None = None,
    channel_id: str | None = None,
    workspace_id: str | None = None,
) -> tuple[tuple[int, int], ...]:
    """What a user, a channel or a workspace has asked for since a time, as (Unix ms, pictures).

    Oldest first. Jobs that failed or were cancelled do not count, nor do free ones.
    """
    whose = {jobs.c.user_id: user_id, jobs.c.channel_id: channel_id, jobs.c.workspace_id: workspace_id}
    query = select(jobs.c.created_ms, jobs.c.images).where(
        *(column == wanted for column, wanted in whose.items() if wanted is not None),
        jobs.c.created_ms >= since_ms,
        jobs.c.images > 0,
        jobs.c.status.in_((*_ACTIVE, JobStatus.SUCCEEDED)),
    )
    rows = (await connection.execute(query.order_by(jobs.c.created_ms))).all()
    return tuple((row.created_ms, row.images) for row in rows)


async def load(connection: AsyncConnection) -> tuple[WorkspaceLoad, ...]:
    """What waits and what is being drawn, by workspace, in the order of their names."""
    waiting = func.count().filter(jobs.c.status == JobStatus.QUEUED)
    running = func.count().filter(jobs.c.status == JobStatus.RUNNING)
    query = (
        select(jobs.c.workspace_id, waiting, running, func.min(jobs.c.created_ms))
        .where(jobs.c.status.in_(_ACTIVE))
        .group_by(jobs.c.workspace_id)
        .order_by(jobs.c.workspace_id)
    )
    return tuple(
        WorkspaceLoad(workspace_id=workspace, queued=queued, running=drawn, oldest_ms=oldest)
        for workspace, queued, drawn, oldest in (await connection.execute(query)).all()
    )
