"""The database as it is opened: what a cancelled task leaves behind, and what a statement costs."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiosqlite
import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, OperationalError

from bot.database import open_database


async def test_a_closed_connection_gives_up_its_lock_at_once(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'verso.db'}")
    async with database.begin() as connection:
        await connection.execute(text("CREATE TABLE numbers (n INTEGER)"))
        await connection.execute(text("INSERT INTO numbers VALUES (1), (2), (3)"))
    async with database.connect() as connection:
        await connection.execute(text("UPDATE numbers SET n = n + 10"))
        raw = (await connection.get_raw_connection()).driver_connection
        assert raw is not None
        # An unfinished statement, as the traceback of a cancelled task holds one
        unfinished = await raw.execute("SELECT n FROM numbers")
        assert await unfinished.fetchone() == (11,)
        await connection.invalidate()
    async with asyncio.timeout(5), database.begin() as connection:
        await connection.execute(text("INSERT INTO numbers VALUES (4)"))
        assert (await connection.scalars(text("SELECT n FROM numbers ORDER BY n"))).all() == [1, 2, 3, 4]
    await database.dispose()


async def test_a_statement_is_one_trip_to_the_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'verso.db'}")
    async with database.begin() as connection:
        await connection.execute(text("CREATE TABLE numbers (n INTEGER PRIMARY KEY, word TEXT UNIQUE)"))
    trips: list[str] = []
    execute = aiosqlite.Connection._execute

    async def counted(self: aiosqlite.Connection, function: object, *arguments: object) -> object:
        trips.append(getattr(function, "__name__", ""))
        return await execute(self, function, *arguments)

    monkeypatch.setattr(aiosqlite.Connection, "_execute", counted)
    async with database.begin() as connection:
        many = [{"n": number, "word": str(number)} for number in range(3)]
        assert (await connection.execute(text("INSERT INTO numbers VALUES (:n, :word)"), many)).rowcount == 3
        changed = await connection.execute(
            text("UPDATE numbers SET word = 'x' WHERE n = 1 RETURNING n, word")
        )
        assert changed.mappings().one() == {"n": 1, "word": "x"}
        assert (await connection.execute(text("DELETE FROM numbers WHERE n > 1"))).rowcount == 1
        assert (await connection.scalars(text("SELECT n FROM numbers ORDER BY n"))).all() == [0, 1]
    assert trips == ["_run"] * 5 + ["commit"]  # with BEGIN
    with pytest.raises(IntegrityError, match="UNIQUE"):
        async with database.begin() as connection:
            await connection.execute(text("INSERT INTO numbers VALUES (7, 'x')"))
    with pytest.raises(OperationalError, match="no such table"):
        async with database.connect() as connection:
            await connection.execute(text("SELECT * FROM nowhere"))
    async with database.connect() as connection:
        streamed = [row.n async for row in await connection.stream(text("SELECT n FROM numbers ORDER BY n"))]
    assert streamed == [0, 1]
    await database.dispose()
