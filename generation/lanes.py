"""Keeps the fair order in the database: entering a lane, choosing the next job, charging for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import (
    ColumnElement,
    Exists,
    FromClause,
    ScalarSelect,
    Select,
    Update,
    case,
    delete,
    exists,
    func,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from generation import fairness
from generation.clock import NowMs
from generation.job import JobStatus
from generation.pausing import paused
from generation.tables import jobs, lanes

_TIDY_AT_ONCE = 500


@dataclass(frozen=True, kw_only=True, slots=True)
class Entered:
    """A lane that this transaction has locked."""

    workspace_id: str
    virtual_time: float


async def enter(connection: AsyncConnection, workspace_id: str) -> Entered:
    """Lock the workspace's lane, and after a rest move it up to the present virtual time.

    The lock makes the submissions of one workspace take turns on PostgreSQL too.
    """
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(lanes).values(workspace_id=workspace_id, virtual_start=0.0, virtual_time=0.0)
    lane = (
        await connection.execute(
            statement.on_conflict_do_update(
                index_elements=[lanes.c.workspace_id], set_={"workspace_id": statement.excluded.workspace_id}
            ).returning(lanes.c.virtual_start, lanes.c.virtual_time)
        )
    ).one()
    waits = _waits()
    own = lanes.c.workspace_id == workspace_id
    if not await connection.scalar(select(waits).select_from(lanes).where(own)):
        # The first waiting lane in the order of the index: no aggregate over all of them.
        lowest = select(lanes.c.virtual_start).where(waits).order_by(lanes.c.virtual_start).limit(1)
        highest = select(func.max(lanes.c.virtual_start))
        start = fairness.virtual_start(
            own=lane.virtual_start,
            lowest_waiting=await connection.scalar(lowest),
            highest=await connection.scalar(highest),
        )
        await connection.execute(update(lanes).where(own).values(virtual_start=start))
    return Entered(workspace_id=workspace_id, virtual_time=lane.virtual_time)


async def finish_tag(
    connection: AsyncConnection, lane: Entered, *, user_id: str, cost: float, user_weight: float
) -> float:
    """The virtual finish of a new job of this user in the lane."""
    last = await connection.scalar(
        select(func.max(jobs.c.virtual_finish)).where(
            jobs.c.user_id == user_id,
            jobs.c.status == JobStatus.QUEUED,
            jobs.c.workspace_id == lane.workspace_id,
        )
    )
    return fairness.virtual_finish(
        cost=cost, weight=user_weight, last_finish=last, virtual_time=lane.virtual_time
    )


def fair_order(of: FromClause) -> tuple[ColumnElement[object], ...]:
    """The order of service within a workspace; users with equal tags are served as they came."""
    return (of.c.virtual_finish, of.c.created_ms, of.c.id)


def _claimable(
    waiting: FromClause, models: Sequence[str] | None, workspace: str | None
) -> list[ColumnElement[bool]]:
    conditions = [waiting.c.status == JobStatus.QUEUED, waiting.c.ready_ms <= NowMs()]
    if models is not None:
        conditions.append(waiting.c.model_id.in_(models))
    if workspace is not None:
        conditions.append(waiting.c.workspace_id == workspace)
    return conditions


def any_job(models: Sequence[str] | None, workspace: str | None) -> Select[bool]:
    """Asks whether there is a job to claim."""
    return select(exists(_next_lane(models, workspace)))


def next_job(models: Sequence[str] | None, workspace: str | None) -> ScalarSelect[str]:
    """The id of the job to serve next: the first one of the lowest lane that has one.

    Two walks along indexes; on PostgreSQL it locks the job and passes over those that a rival has locked.
    """
    waiting = jobs.alias("waiting")
    lane = _next_lane(models, workspace).scalar_subquery()
    return (
        select(waiting.c.id)
        .where(waiting.c.workspace_id == lane, *_claimable(waiting, models, workspace))
        .order_by(*fair_order(waiting))
        .limit(1)
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )


def _next_lane(models: Sequence[str] | None, workspace: str | None) -> Select[str]:
    rival = jobs.alias("rival")
    claimable = exists().where(
        rival.c.workspace_id == lanes.c.workspace_id, *_claimable(rival, models, workspace)
    )
    return (
        select(lanes.c.workspace_id)
        .where(claimable, ~paused(lanes))
        .order_by(lanes.c.virtual_start, lanes.c.workspace_id)
        .limit(1)
    )


def charge(
    *,
    workspace_id: ColumnElement[str],
    cost: ColumnElement[float],
    weight: ColumnElement[float],
    virtual_finish: ColumnElement[float],
) -> Update:
    """Moves the lane on by a job that is claimed from it; the job is described by parameters or columns."""
    return (
        update(lanes)
        .where(lanes.c.workspace_id == workspace_id)
        .values(
            virtual_start=lanes.c.virtual_start + cost / weight,
            virtual_time=case(
                (lanes.c.virtual_time < virtual_finish, virtual_finish), else_=lanes.c.virtual_time
            ),
        )
    )


async def tidy(connection: AsyncConnection) -> None:
    """Drop the resting lanes that stand behind the present virtual time: they remember nothing that counts.

    Without it the claim would have to step over each of them.
    """
    # Locked first and then looked at again: a job that entered in between is seen by the second statement.
    locked = (await connection.scalars(_resting().with_for_update(skip_locked=True))).all()
    if locked:
        await connection.execute(delete(lanes).where(lanes.c.workspace_id.in_(locked), ~_waits()))


async def needs_tidying(connection: AsyncConnection) -> bool:
    """Whether `tidy` has anything to do; needs no write lock."""
    return await connection.scalar(_resting().limit(1)) is not None


def _resting() -> Select[str]:
    front = lanes.alias("front")
    waits_in_front = exists().where(
        jobs.c.status == JobStatus.QUEUED, jobs.c.workspace_id == front.c.workspace_id
    )
    lowest = (
        select(front.c.virtual_start)
        .where(waits_in_front)
        .order_by(front.c.virtual_start)
        .limit(1)
        .scalar_subquery()
    )
    return select(lanes.c.workspace_id).where(lanes.c.virtual_start <= lowest, ~_waits()).limit(_TIDY_AT_ONCE)


def _waits() -> Exists:
    return exists().where(jobs.c.status == JobStatus.QUEUED, jobs.c.workspace_id == lanes.c.workspace_id)
