"""What a process does while its database is away."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from generation.outage import Outage, is_away

SECRET = "SECRETWORDS"


@pytest.fixture
async def nowhere(tmp_path):
    """A PostgreSQL that is not there."""
    engine = create_async_engine(f"postgresql+asyncpg://u@/db?host={tmp_path}")
    yield engine
    await engine.dispose()


async def test_a_database_that_is_not_there_is_away(nowhere: AsyncEngine, tmp_path: Path) -> None:
    with pytest.raises(OSError) as missing:  # noqa: PT011 - the file of the socket is not there
        async with nowhere.connect():
            pass
    assert is_away(missing.value, database_only=False)
    with pytest.raises(FileNotFoundError) as no_file:
        (tmp_path / "no.file").read_bytes()
    assert not is_away(no_file.value)
    assert is_away(TimeoutError())
    assert not is_away(TimeoutError(), database_only=False)


async def test_a_refused_statement_is_no_outage(engine: AsyncEngine) -> None:
    with pytest.raises(DBAPIError) as refusal:
        async with engine.begin() as connection:
            await connection.execute(text("SELECT 1 FROM there_is_no_such_table"))
    assert not is_away(refusal.value)
    assert not is_away(ValueError("no"))


async def test_a_terminated_connection_is_an_outage(engine: AsyncEngine) -> None:
    if engine.dialect.name == "sqlite":
        assert is_away(DBAPIError("s", {}, sqlite3.OperationalError("database is locked")))
        return
    with pytest.raises(DBAPIError) as broken:
        async with engine.begin() as connection:
            await connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
    assert is_away(broken.value)


async def test_everybody_waits_together_and_the_log_says_so_once(
    engine: AsyncEngine, caplog, monkeypatch
) -> None:
    monkeypatch.setattr("generation.outage._FIRST_S", 0.05)
    caplog.set_level(logging.INFO)
    outage = Outage(engine)
    calls = []

    async def flaky(number: int) -> int:
        calls.append(number)
        if calls.count(number) == 1:
            raise DBAPIError(f"INSERT {SECRET}", {"p": SECRET}, ConnectionResetError(SECRET))
        return number

    results = await asyncio.gather(*(outage.outlast(lambda n=n: flaky(n)) for n in range(8)))
    assert results == list(range(8))
    lines = [record.message for record in caplog.records if record.name == "generation.outage"]
    assert len(lines) == 2
    assert lines[0] == "the database is away (ConnectionResetError): waiting until it is back"
    assert lines[1].startswith("the database is back after ")
    assert SECRET not in caplog.text


async def test_waiting_ends_with_the_stop_and_with_patience(nowhere: AsyncEngine) -> None:
    outage = Outage(nowhere)
    stop = asyncio.Event()
    waiting = asyncio.create_task(outage.wait(ConnectionRefusedError(), stop))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    stop.set()
    await asyncio.wait_for(waiting, 5)

    async def away() -> None:
        raise ConnectionRefusedError

    with pytest.raises(ConnectionRefusedError):
        await asyncio.wait_for(outage.outlast(away, give_up_s=0.1), 5)


async def test_another_error_is_not_waited_for(engine: AsyncEngine) -> None:
    async def wrong() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        await asyncio.wait_for(Outage(engine).outlast(wrong), 5)
