"""The database as it is opened: what a cancelled task leaves behind."""

from __future__ import annotations

import asyncio
from pathlib import Path

from sqlalchemy import text

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
