"""Stops and starts the queue, as a whole or for one workspace, in every process that shares the database.

*Pause* stops the drawing: requests are taken and keep their place. *Drain* stops the asking: what waits is
drawn, and then the machine can be switched off with nothing lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import ColumnElement, FromClause, delete, exists, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from generation.clock import NowMs
from generation.errors import QueueClosedError
from generation.tables import pauses

EVERYWHERE = "*"
"""Stands for all workspaces where one is asked for."""

_REASON_LENGTH = 200  # characters


class PauseMode(StrEnum):
    """What stands still."""

    PAUSE = "pause"  # nothing is drawn
    DRAIN = "drain"  # nothing new is taken


@dataclass(frozen=True, kw_only=True, slots=True)
class Pause:
    """One order to stand still."""

    workspace_id: str  # or EVERYWHERE
    mode: PauseMode
    reason: str  # told to whoever asks for a picture meanwhile; may be empty
    since_ms: int


async def pause(connection: AsyncConnection, workspace_id: str, mode: PauseMode, *, reason: str = "") -> None:
    """Let a workspace stand still; a second order replaces the first."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    values = {"mode": mode, "reason": reason[:_REASON_LENGTH], "since_ms": NowMs()}
    statement = dialect.insert(pauses).values(workspace_id=workspace_id, **values)
    await connection.execute(
        statement.on_conflict_do_update(index_elements=[pauses.c.workspace_id], set_=values)
    )


async def resume(connection: AsyncConnection, workspace_id: str) -> bool:
    """Let it go on; returns whether it stood still."""
    statement = delete(pauses).where(pauses.c.workspace_id == workspace_id)
    return (await connection.execute(statement)).rowcount > 0


async def pauses_of(connection: AsyncConnection, workspace_id: str | None = None) -> tuple[Pause, ...]:
    """The orders that hold for a workspace, the general one first; None: all orders."""
    query = select(pauses).order_by(pauses.c.workspace_id)
    if workspace_id is not None:
        query = query.where(pauses.c.workspace_id.in_((EVERYWHERE, workspace_id)))
    return tuple(
        Pause(
            workspace_id=row.workspace_id, mode=PauseMode(row.mode), reason=row.reason, since_ms=row.since_ms
        )
        for row in (await connection.execute(query)).all()
    )


def paused(of: FromClause) -> ColumnElement[bool]:
    """Whether the drawing stands still for the workspace of a row."""
    return exists().where(
        pauses.c.workspace_id.in_((EVERYWHERE, of.c.workspace_id)), pauses.c.mode == PauseMode.PAUSE
    )


async def refuse_when_draining(connection: AsyncConnection, workspace_id: str) -> None:
    """Take nothing new while the queue is drained.

    Raises:
        QueueClosedError: it is.
    """
    for order in await pauses_of(connection, workspace_id):
        if order.mode is PauseMode.DRAIN:
            raise QueueClosedError(reason=order.reason)
