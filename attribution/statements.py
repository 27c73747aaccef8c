"""Statements on the ledger's hot paths: compiled once, and one handover to the driver's thread each.

The asynchronous driver of SQLite runs on a thread of its own. SQLAlchemy's cursor hands over to it three or
four times a statement (open, execute, fetch, close), which costs more than the statements themselves: a proof
at 10^5 leaves took 1.8 ms at best so, and takes 0.45 ms with one. PostgreSQL gets ordinary statements.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Any

from sqlalchemy import Delete, Insert, Select, Table, Update, bindparam, insert
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection

from attribution.errors import LedgerError

_AT_ONCE = 32  # rows in one INSERT; larger batches go through the driver's executemany


class Statement:
    """A statement with named parameters."""

    def __init__(self, clause: Select[tuple[Any, ...]] | Insert | Update | Delete) -> None:
        self._clause = clause

    @cached_property
    def _compiled(self) -> tuple[str, tuple[str, ...]]:
        compiled = self._clause.compile(dialect=sqlite.dialect(paramstyle="qmark"))
        return str(compiled), tuple(compiled.positiontup or ())

    async def write(self, connection: AsyncConnection, parameters: Mapping[str, object]) -> None:
        """Run it inside the connection's transaction.

        Raises:
            IntegrityError: a constraint refuses it.
            OperationalError: the database cannot be used.
        """
        if connection.dialect.name != "sqlite":
            await connection.execute(self._clause, dict(parameters))
            return
        if not connection.in_transaction():
            await connection.begin()  # as SQLAlchemy does before a first statement
        await self._fetch(connection, parameters)

    async def rows(
        self, connection: AsyncConnection, parameters: Mapping[str, object]
    ) -> Sequence[tuple[Any, ...]]:
        """Read rows; outside a transaction on SQLite if none is open, which suits rows that never change."""
        if connection.dialect.name != "sqlite":
            return [tuple(row) for row in await connection.execute(self._clause, dict(parameters))]
        return await self._fetch(connection, parameters)

    async def _fetch(
        self, connection: AsyncConnection, parameters: Mapping[str, object]
    ) -> Sequence[tuple[Any, ...]]:
        text, names = self._compiled
        driver = (await connection.get_raw_connection()).driver_connection
        if driver is None:
            raise LedgerError("the database connection is closed")
        values = [parameters[name] for name in names]
        try:
            return list(await driver.execute_fetchall(text, values))
        except sqlite3.IntegrityError as error:
            raise IntegrityError(text, None, error) from error
        except sqlite3.Error as error:
            raise OperationalError(text, None, error) from error


async def insert_rows(
    connection: AsyncConnection, table: Table, rows: Sequence[Mapping[str, object]]
) -> None:
    """Insert rows that all have the same columns.

    Raises:
        IntegrityError: a constraint refuses one.
    """
    if not rows:
        return
    if connection.dialect.name != "sqlite" or len(rows) > _AT_ONCE:
        await connection.execute(insert(table), [dict(row) for row in rows])
        return
    names = tuple(rows[0])
    parameters = {f"{name}_{number}": row[name] for number, row in enumerate(rows) for name in names}
    await _insert(table, names, len(rows)).write(connection, parameters)


@lru_cache(maxsize=256)
def _insert(table: Table, names: tuple[str, ...], count: int) -> Statement:
    return Statement(
        insert(table).values(
            [{name: bindparam(f"{name}_{number}") for name in names} for number in range(count)]
        )
    )
