"""Claims a job in one trip to the database: the choice by the fair order, the lease and the lane's charge.

A claim is written through to the disk like every commit (`synchronous=FULL`). Little would be lost without:
SQLite's log is one file, so the first beat or the finish of a job makes its claim durable too. But a job that
takes the whole machine down within its first second must have used up an attempt when the machine is back.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from functools import lru_cache

import aiosqlite
from sqlalchemy import ClauseElement, Executable, bindparam, select, update
from sqlalchemy.dialects import sqlite
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.sql.dml import ReturningUpdate

from generation import lanes
from generation.clock import NowMs
from generation.job import JobStatus
from generation.sealing import Columns
from generation.tables import jobs

_TRIES = 3  # on PostgreSQL a rival may take the chosen job between the choice and the lock
_CHARGED_BY = ("workspace_id", "cost", "weight", "virtual_finish")
_STATEMENTS = 32  # a process serves one or two choices of models and workspace


async def claim(
    engine: AsyncEngine,
    *,
    worker_id: str,
    lease_ms: int,
    models: Sequence[str] | None,
    workspace: str | None,
) -> Columns | None:
    """Lease the next job of the fair order and move its lane on.

    If the calling task is cancelled meanwhile, a claim under way may still be committed; its lease runs out
    like that of a worker that died.

    Args:
        engine: of the database.
        worker_id: for the operator's eyes.
        lease_ms: how long the lease lasts, by the database's clock.
        models: ids of the models to choose from; None: all.
        workspace: the only workspace to choose from; None: all.

    Returns:
        The job's columns by name; None: nothing waits.
    """
    chosen = None if models is None else tuple(models)
    values = {"claimer": worker_id, "lease_ms": lease_ms}
    if engine.dialect.name == "postgresql":
        # One statement is a transaction of its own: no BEGIN, no COMMIT.
        single = engine.execution_options(isolation_level="AUTOCOMMIT")
        async with single.connect() as connection:
            for _ in range(_TRIES):
                row = (await connection.execute(_for_postgresql(chosen, workspace), values)).one_or_none()
                if row is not None:
                    return row._asdict()
                if not await connection.scalar(lanes.any_job(chosen, workspace)):
                    break
        return None
    async with engine.connect() as connection:
        driver = (await connection.get_raw_connection()).driver_connection
        if not isinstance(driver, aiosqlite.Connection):
            raise TypeError(f"not a connection of aiosqlite: {type(driver).__name__}")
        # The driver sends each call to a thread and back, which takes longer than SQLite takes for the whole
        # claim. So all of it goes there at once; the driver has no public name for that.
        statements = _for_sqlite(chosen, workspace)
        claimed: Columns | None = await driver._execute(  # type: ignore[no-untyped-call]  # noqa: SLF001
            _on_thread,
            driver._conn,  # noqa: SLF001
            statements,
            values,
        )
        return claimed


def _lease(models: tuple[str, ...] | None, workspace: str | None) -> ReturningUpdate[*tuple[object, ...]]:
    return (
        update(jobs)
        .where(jobs.c.id == lanes.next_job(models, workspace))
        .values(
            status=JobStatus.RUNNING,
            attempt=jobs.c.attempt + 1,
            fence=jobs.c.fence + 1,
            worker_id=bindparam("claimer", ""),
            started_ms=NowMs(),
            lease_until_ms=NowMs() + bindparam("lease_ms", 0, type_=jobs.c.lease_until_ms.type),
        )
        .returning(jobs)
    )


@lru_cache(maxsize=_STATEMENTS)
def _for_postgresql(models: tuple[str, ...] | None, workspace: str | None) -> Executable:
    claimed = _lease(models, workspace).cte("claimed")
    charged = lanes.charge(**{name: claimed.c[name] for name in _CHARGED_BY}).cte("charged")
    return select(claimed).add_cte(charged)


class _Text:
    """A statement as SQLite reads it."""

    def __init__(self, statement: ClauseElement) -> None:
        dialect = sqlite.dialect(paramstyle="named")
        compiled = statement.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
        self._sql = str(compiled)
        self._values: dict[str, object] = dict(compiled.params)

    def execute(self, connection: sqlite3.Connection, values: Mapping[str, object]) -> sqlite3.Cursor:
        return connection.execute(self._sql, {**self._values, **values})


@lru_cache(maxsize=_STATEMENTS)
def _for_sqlite(models: tuple[str, ...] | None, workspace: str | None) -> tuple[_Text, _Text, _Text]:
    charge = lanes.charge(
        **{name: bindparam(f"charged_{name}", 0, type_=jobs.c[name].type) for name in _CHARGED_BY}
    )
    return _Text(lanes.any_job(models, workspace)), _Text(_lease(models, workspace)), _Text(charge)


def _on_thread(
    connection: sqlite3.Connection, statements: tuple[_Text, _Text, _Text], values: Mapping[str, object]
) -> Columns | None:
    """The whole claim, on the connection's own thread."""
    any_job, lease, charge = statements
    if not any_job.execute(connection, {}).fetchone()[0]:
        return None  # an idle worker takes no write lock
    connection.execute("BEGIN IMMEDIATE")
    try:
        cursor = lease.execute(connection, values)
        names = [column[0] for column in cursor.description]
        found = cursor.fetchall()  # a statement that is not read to its end stays open
        job = dict(zip(names, found[0], strict=True)) if found else None
        if job is not None:
            charge.execute(connection, {f"charged_{name}": job[name] for name in _CHARGED_BY})
        connection.commit()
    except BaseException:
        connection.rollback()
        raise
    return job
