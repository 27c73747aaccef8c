"""Migrations give exactly the tables that the code works with, on both databases."""

from __future__ import annotations

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError

from bot.database import open_database
from bot.errors import ConfigurationError
from bot.schema import METADATA, config_for, migrate, revision_of
from generation import outbox
from generation.tables import jobs


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


async def test_people_come_to_a_database_that_has_rows(database_url: str) -> None:
    engine = open_database(database_url)
    async with engine.connect() as connection:
        await connection.run_sync(lambda c: command.upgrade(config_for(c), "0001"))
        await connection.commit()
    job = {
        "user_id": "u",
        "workspace_id": "w",
        "model_id": "m",
        "status": "succeeded",
        "sealed_request": b"",
        "sealed_reply_to": b"",
        "images": 1,
        "cost": 1.0,
        "weight": 1.0,
        "virtual_finish": 0.0,
        "attempt": 0,
        "losses": 0,
        "fence": 0,
        "lease_until_ms": 0,
        "ready_ms": 0,
        "cancel_requested": False,
        "created_ms": 1,
    }
    async with engine.begin() as connection:
        await connection.execute(jobs.insert().values(id="j1", dedupe_sha256="d1", **job))
        await outbox.put(connection, "j1", "deliver")
    await migrate(engine)
    async with engine.begin() as connection:
        assert (await connection.execute(text("SELECT job_id, kind FROM outbox"))).all() == [
            ("j1", "deliver")
        ]
        await outbox.put(connection, "j1", "remove")
        await connection.execute(text("DELETE FROM jobs"))  # and what there was to tell goes with it
        assert (await connection.execute(text("SELECT kind FROM outbox"))).all() == []
        await connection.execute(jobs.insert().values(id="j2", dedupe_sha256="d2", **job))
    with pytest.raises(IntegrityError):
        async with engine.begin() as connection:
            await outbox.put(connection, "j2", "dance")
    await engine.dispose()


async def test_published_checkpoints_come_to_a_database_that_has_some(database_url: str) -> None:
    engine = open_database(database_url)
    async with engine.connect() as connection:
        await connection.run_sync(lambda c: command.upgrade(config_for(c), "0002"))
        await connection.commit()
    async with engine.begin() as connection:
        for number, (place, size) in enumerate((("a", 1), ("a", 1), ("a", 2), ("b", 1)), start=1):
            await connection.execute(
                text(
                    "INSERT INTO checkpoints (id, tree_size, note, place, published_ms) "
                    "VALUES (:number, :size, :note, :place, 7)"
                ),
                {"number": number, "size": size, "note": f"n{number}", "place": place},
            )
    await migrate(engine)
    async with engine.begin() as connection:
        rows = await connection.execute(text("SELECT note, due_ms, token FROM checkpoints ORDER BY id"))
        assert [tuple(row) for row in rows] == [("n1", None, None), ("n3", None, None), ("n4", None, None)]
    with pytest.raises(IntegrityError):
        async with engine.begin() as connection:
            await connection.execute(
                text(
                    "INSERT INTO checkpoints (id, tree_size, note, place, published_ms) "
                    "VALUES (9, 2, 'n', 'a', 7)"
                )
            )
    await engine.dispose()
