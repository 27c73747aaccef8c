"""Statements on the ledger's hot paths, in as few trips to the database as there can be.

The asynchronous driver of SQLite runs on a thread of its own. SQLAlchemy's cursor hands over to it three or
four times a statement (open, execute, fetch, close), which costs more than the statements themselves. So a
statement here is one handover, and a procedure of many statements is one as well: it is written as a
generator that yields `(step, parameters)` and is sent the rows. On PostgreSQL each step is a round trip.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Generator, Mapping, Sequence
from functools import cached_property
from typing import Any

import aiosqlite
from sqlalchemy import Column, Delete, Insert, Select, String, Table, Update, bindparam, func, insert, select
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.types import TypeEngine
from sqlalchemy.util import greenlet_spawn

from attribution.errors import LedgerError

Row = tuple[Any, ...]
Clause = Select[Row] | Insert | Update | Delete


class Statement:
    """A statement with named parameters."""

    def __init__(self, clause: Clause, *, on_postgresql: Clause | None = None) -> None:
        """`on_postgresql`: for what the two databases spell alike, but SQLAlchemy in a dialect of each."""
        self._clause = clause
        self._on_postgresql = clause if on_postgresql is None else on_postgresql

    @cached_property
    def _compiled(self) -> tuple[str, tuple[str, ...]]:
        compiled = self._clause.compile(dialect=sqlite.dialect(paramstyle="qmark"))
        return str(compiled), tuple(compiled.positiontup or ())

    def on_thread(self, connection: sqlite3.Connection, parameters: Mapping[str, Any]) -> Sequence[Row]:
        """Run it on SQLite, on the connection's own thread."""
        text, names = self._compiled
        return connection.execute(text, [parameters[name] for name in names]).fetchall()

    def many_on_thread(self, connection: sqlite3.Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run it on SQLite once for each of `rows`."""
        text, names = self._compiled
        connection.executemany(text, [[row[name] for name in names] for row in rows])

    async def on(self, connection: AsyncConnection, parameters: Mapping[str, Any]) -> Sequence[Row]:
        """Run it on PostgreSQL."""
        result = await connection.execute(self._on_postgresql, dict(parameters))
        return [tuple(row) for row in result] if result.returns_rows else []

    async def rows(self, connection: AsyncConnection, parameters: Mapping[str, Any]) -> Sequence[Row]:
        """Read rows; outside a transaction on SQLite if none is open, which suits rows that never change.

        Raises:
            OperationalError: the database cannot be used.
        """
        if connection.dialect.name != "sqlite":
            return await self.on(connection, parameters)
        driver = (await connection.get_raw_connection()).driver_connection
        rows: Sequence[Row] = await _hand_over(driver, self.on_thread, parameters)
        return rows


class Writes:
    """Rows for several tables and an update that goes with them: one statement on PostgreSQL, for any number.

    Parameters are those of the update, and by table name the rows (a sequence of mappings of `columns`).
    """

    def __init__(self, columns: Mapping[Table, Sequence[str]], closing: Update) -> None:
        self._columns = {table.name: tuple(names) for table, names in columns.items()}
        self._inserts = {
            table.name: Statement(insert(table).values({name: bindparam(name) for name in names}))
            for table, names in columns.items()
        }
        self._update = Statement(closing)
        self._at_once = closing.add_cte(*(_unnested(table, names) for table, names in columns.items()))

    def on_thread(self, connection: sqlite3.Connection, parameters: Mapping[str, Any]) -> Sequence[Row]:
        """As `Statement`."""
        for name, statement in self._inserts.items():
            statement.many_on_thread(connection, parameters[name])
        return self._update.on_thread(connection, parameters)

    async def on(self, connection: AsyncConnection, parameters: Mapping[str, Any]) -> Sequence[Row]:
        """As `Statement`."""
        values = {key: value for key, value in parameters.items() if key not in self._columns}
        for table, names in self._columns.items():
            for name in names:
                values[f"{table}_{name}"] = [row[name] for row in parameters[table]]
        await connection.execute(self._at_once, values)
        return []


Steps = Generator[tuple[Statement | Writes, Mapping[str, Any]], Sequence[Row], Any]


async def perform(connection: AsyncConnection, steps: Steps) -> Any:  # noqa: ANN401 - what the steps return
    """Run a procedure inside the connection's transaction, begun if there is none; gives what it returns.

    Raises:
        IntegrityError: a constraint refuses a row.
        OperationalError: the database cannot be used.
    """
    if not connection.in_transaction():
        await connection.begin()  # on SQLite this takes the lock
    return await query(connection, steps)


async def query(connection: AsyncConnection, steps: Steps) -> Any:  # noqa: ANN401 - as `perform`
    """As `perform`, but on SQLite outside a transaction if none is open: for steps that only read."""
    if connection.dialect.name == "sqlite":
        return await _hand_over((await connection.get_raw_connection()).driver_connection, _run, steps)
    answer: Sequence[Row] | None = None
    while True:
        try:
            step, parameters = next(steps) if answer is None else steps.send(answer)
        except StopIteration as end:
            return end.value
        answer = await step.on(connection, parameters)


async def transact(engine: AsyncEngine, steps: Steps) -> Any:  # noqa: ANN401 - as `perform`
    """Run a procedure as a transaction of its own; on SQLite that takes one trip, COMMIT included.

    If the calling task is cancelled meanwhile, the transaction may still be committed. Errors as `perform`.
    """
    if engine.dialect.name != "sqlite":
        async with engine.begin() as connection:
            return await perform(connection, steps)
    pooled = await engine.raw_connection()
    try:
        return await _hand_over(pooled.driver_connection, _transaction, steps)
    finally:
        await greenlet_spawn(pooled.close)


def _unnested(table: Table, names: Sequence[str]) -> Any:  # noqa: ANN401 - a CTE of an INSERT has no public type
    """The INSERT of as many rows as there are in arrays, one array for each column."""
    arrays = [bindparam(f"{table.name}_{name}", type_=ARRAY(_unbounded(table.c[name]))) for name in names]
    rows = func.unnest(*arrays).table_valued(*names).render_derived(name=f"new_{table.name}")
    return insert(table).from_select(list(names), select(*(rows.c[name] for name in names))).cte()


def _unbounded(column: Column[Any]) -> TypeEngine[Any]:
    """The column's type; of text without its length, to which a cast would cut what is too long."""
    return String() if isinstance(column.type, String) else column.type


async def _hand_over(driver: object, function: Callable[..., Any], *arguments: object) -> Any:  # noqa: ANN401
    """Call a function on the driver's thread, with SQLite's own connection first."""
    if not isinstance(driver, aiosqlite.Connection):
        raise LedgerError("the database connection is closed")
    # The driver has no public name for this; `execute_fetchall`, which is public, is no more than that.
    try:
        return await driver._execute(function, driver._conn, *arguments)  # type: ignore[no-untyped-call]  # noqa: SLF001
    except sqlite3.IntegrityError as error:
        raise IntegrityError(str(error), None, error) from error
    except sqlite3.Error as error:
        raise OperationalError(str(error), None, error) from error


def _run(connection: sqlite3.Connection, steps: Steps) -> Any:  # noqa: ANN401 - as `perform`
    answer: Sequence[Row] | None = None
    while True:
        try:
            step, parameters = next(steps) if answer is None else steps.send(answer)
        except StopIteration as end:
            return end.value
        answer = step.on_thread(connection, parameters)


def _transaction(connection: sqlite3.Connection, steps: Steps) -> Any:  # noqa: ANN401 - as `perform`
    connection.execute("BEGIN IMMEDIATE")
    try:
        result = _run(connection, steps)
        connection.commit()
    except BaseException:
        connection.rollback()
        raise
    return result
