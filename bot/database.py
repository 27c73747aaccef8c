"""Opens the database: SQLite in a file by default, PostgreSQL for many processes.

Writers use `engine.begin()`; readers `engine.execution_options(read_only=True).connect()`. On SQLite
a write transaction takes the write lock at once (BEGIN IMMEDIATE): with the default, deferred
transaction two writers can both read a state and both build on it.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from sqlalchemy import event, make_url
from sqlalchemy.dialects.sqlite.aiosqlite import AsyncAdapt_aiosqlite_connection, AsyncAdapt_aiosqlite_cursor
from sqlalchemy.engine import Connection, Dialect
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, PoolResetState
from sqlalchemy.util import immutabledict

from bot.errors import ConfigurationError

_SQLITE_PRAGMAS = (
    "PRAGMA busy_timeout = 30000",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",  # a commit is on the disk before anybody reads "queued"
    "PRAGMA foreign_keys = ON",
    "PRAGMA wal_autocheckpoint = 10000",  # pages: fewer, longer checkpoints; measured 9 % faster appends
    "PRAGMA secure_delete = ON",  # an erased row leaves no bytes behind in the file
)


def open_database(url: str) -> AsyncEngine:
    """Create the engine for `url`; no connection is made yet.

    Raises:
        ConfigurationError: the URL is not one of sqlite or postgresql.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ConfigurationError("the database URL cannot be read", setting="VERSO_DATABASE__URL") from None
    if parsed.get_backend_name() == "postgresql":
        return create_async_engine(parsed.set(drivername="postgresql+asyncpg"), pool_pre_ping=True)
    if parsed.get_backend_name() != "sqlite":
        raise ConfigurationError(
            f"the database {parsed.get_backend_name()!r} is not supported: use sqlite or postgresql",
            setting="VERSO_DATABASE__URL",
        )
    if parsed.database and parsed.database != ":memory:":
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_async_engine(
        parsed.set(drivername="sqlite+aiosqlite"),
        connect_args={"factory": _SQLiteConnection},
        pool_reset_on_return=None,  # `_reset_sqlite` does it
    )
    event.listen(engine.sync_engine, "do_connect", _connect_sqlite)
    event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    event.listen(engine.sync_engine, "reset", _reset_sqlite)
    event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine


class _SQLiteConnection(sqlite3.Connection):
    """A connection whose closing ends its transaction.

    A task that is cancelled inside a transaction has its connection closed, but SQLite keeps a closed
    connection, and its write lock, for as long as a statement is unfinished; the cancelled task's traceback
    holds one. Nobody could write until the garbage collector came by.
    """

    def close(self) -> None:
        with contextlib.suppress(sqlite3.ProgrammingError):  # closed already
            self.rollback()
        super().close()


@dataclass(frozen=True, kw_only=True, slots=True)
class _Done:
    """What is left of a cursor: SQLAlchemy reads the first three of it."""

    description: Any = None
    rowcount: int = -1
    lastrowid: int | None = None
    rows: Sequence[Any] = ()


class _OneTripCursor(AsyncAdapt_aiosqlite_cursor):
    """Goes to the connection's thread once for a statement.

    SQLAlchemy's own goes there to make the cursor, to execute, to fetch and to close. Each trip takes longer
    than SQLite takes for most statements, and a request runs a hundred of them.
    """

    __slots__ = ()

    def __init__(self, adapt_connection: AsyncAdapt_aiosqlite_connection) -> None:
        # In place of the inherited one, which opens a cursor.
        self._adapt_connection = adapt_connection
        self._connection = adapt_connection._connection  # noqa: SLF001 - as the inherited one
        self._cursor: Any = _Done()
        self._soft_closed_memoized = immutabledict()
        self._rows = deque()

    async def _execute_async(self, operation: Any, parameters: Any) -> Any:  # noqa: ANN401 - as inherited
        return await self._trip(sqlite3.Cursor.execute, operation, () if parameters is None else parameters)

    async def _executemany_async(self, operation: Any, seq_of_parameters: Any) -> Any:  # noqa: ANN401
        return await self._trip(sqlite3.Cursor.executemany, operation, seq_of_parameters)

    async def _trip(self, call: Callable[..., object], operation: str, parameters: object) -> None:
        driver: Any = self._connection  # aiosqlite has no public name for a trip to its thread
        async with self._adapt_connection._execute_mutex:  # noqa: SLF001
            self._cursor = await driver._execute(_run, driver._conn, call, operation, parameters)  # noqa: SLF001
        self._rows = deque(self._cursor.rows)

    async def _async_soft_close(self) -> None:
        """Nothing: the driver's cursor is closed."""

    def close(self) -> None:
        """See the inherited one."""
        self._rows.clear()


def _run(
    connection: sqlite3.Connection, call: Callable[..., object], operation: str, parameters: object
) -> _Done:
    with contextlib.closing(connection.cursor()) as cursor:
        call(cursor, operation, parameters)
        return _Done(
            description=cursor.description,
            rows=cursor.fetchall() if cursor.description else (),
            rowcount=cursor.rowcount,
            lastrowid=cursor.lastrowid,
        )


class _OneTripConnection(AsyncAdapt_aiosqlite_connection):
    __slots__ = ()
    _cursor_cls = _OneTripCursor  # type: ignore[assignment]  # declared as exactly the inherited one


def _connect_sqlite(
    dialect: Dialect, _record: ConnectionPoolEntry, arguments: list[Any], options: dict[str, Any]
) -> DBAPIConnection:
    opened: Any = dialect.loaded_dbapi.connect(*arguments, **options)
    return cast("DBAPIConnection", _OneTripConnection(opened.dbapi, opened.driver_connection))


def _prepare_sqlite(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    raw: Any = connection
    raw.isolation_level = None  # SQLAlchemy's events, not the driver, begin transactions
    cursor = connection.cursor()
    for pragma in _SQLITE_PRAGMAS:
        cursor.execute(pragma)
    cursor.close()


def _reset_sqlite(connection: DBAPIConnection, _record: ConnectionPoolEntry, state: PoolResetState) -> None:
    """End what a returned connection left open; where nothing is, no trip to its thread is spent on it."""
    raw: Any = connection
    if state.asyncio_safe and raw.driver_connection.in_transaction:
        raw.rollback()


def _begin_sqlite(connection: Connection) -> None:
    read_only = connection.get_execution_options().get("read_only", False)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")
