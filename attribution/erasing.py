"""What an erasure does to the vault's rows, and to the files under them."""

from __future__ import annotations

from sqlalchemy import delete, text, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from attribution.errors import VaultError
from attribution.tables import openings, subjects


async def destroy(connection: AsyncConnection, subject: str, *, now_ms: int) -> None:
    """Destroy a person's key, look-up, identity and openings; a second time changes nothing."""
    await connection.execute(delete(openings).where(openings.c.subject == subject))
    await connection.execute(
        update(subjects)
        .where(subjects.c.subject == subject, subjects.c.erased_ms.is_(None))
        .values(lookup=None, wrapped_key=None, identity=None, erased_ms=now_ms)
    )


async def after_erase(engine: AsyncEngine) -> bool:
    """Remove what an erased row leaves in the database's files; False: readers are in the way, call again.

    On SQLite the write-ahead log still holds old pages: it is written back and cut to nothing (the erased
    cells themselves are overwritten by `secure_delete`). On PostgreSQL the table of keys is rewritten; its
    own write-ahead log expires by the server's settings.
    """
    if engine.dialect.name == "postgresql":
        async with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            await connection.execute(text("VACUUM (FULL) subjects"))
        return True
    async with engine.connect() as connection:
        # Through the driver: a transaction, which SQLAlchemy would begin, must not be open here.
        driver = (await connection.get_raw_connection()).driver_connection
        if driver is None:
            raise VaultError("the database connection is closed")
        rows = await driver.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")
    return not next(iter(rows))[0]
