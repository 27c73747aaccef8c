"""Migrations give exactly the tables that the code works with, on both databases."""

from __future__ import annotations

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text

from bot.database import open_database
from bot.errors import ConfigurationError
from bot.schema import METADATA, migrate, revision_of


def _differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(
        connection, opts={"target_metadata": list(METADATA), "compare_type": True, "render_as_batch": True}
    )
    return list(compare_metadata(context, list(METADATA)))


async def test_upgrading_gives_the_tables_of_the_code(database_url: str) -> None:
    engine = open_database(database_url)
    await migrate(engine)
    async with engine.connect() as connection:
        assert await connection.run_sync(_differences) == []
    await engine.dispose()


async def test_a_second_upgrade_changes_nothing(database_url: str) -> None:
    engine = open_database(database_url)
    await migrate(engine)
    before = await revision_of(engine)
    await migrate(engine)
    assert await revision_of(engine) == before
    await engine.dispose()


async def test_a_newer_database_is_refused_and_left_alone(database_url: str) -> None:
    engine = open_database(database_url)
    await migrate(engine)
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(ConfigurationError, match="newer than this program"):
        await migrate(engine)
    assert await revision_of(engine) == "9999"
    await engine.dispose()


async def test_a_damaged_file_is_refused_in_one_sentence(tmp_path) -> None:
    file = tmp_path / "verso.db"
    file.write_bytes(b"this is no database" * 500)
    engine = open_database(f"sqlite:///{file}")
    with pytest.raises(ConfigurationError, match="cannot be used") as caught:
        await migrate(engine)
    assert "\n" not in str(caught.value)
    await engine.dispose()
