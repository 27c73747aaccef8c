"""Databases that need not survive a power cut: these tests judge the logic, `tests/crash` the durability."""

from __future__ import annotations

import pytest
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncEngine

from generation.card import ModelCard
from generation.families.tiny import build_tiny_model


async def _unsynced(engine: AsyncEngine) -> AsyncEngine:
    if engine.dialect.name == "postgresql":
        async with engine.begin() as connection:
            name = await connection.scalar(text("SELECT current_database()"))
            await connection.execute(text(f'ALTER DATABASE "{name}" SET synchronous_commit = off'))
        await engine.dispose()  # for new connections
        return engine

    @event.listens_for(engine.sync_engine, "checkout")
    def relax(connection, _record, _proxy) -> None:
        connection.cursor().execute("PRAGMA synchronous = OFF")

    return engine


@pytest.fixture
async def engine(engine: AsyncEngine) -> AsyncEngine:
    return await _unsynced(engine)


@pytest.fixture
async def sqlite_engine(sqlite_engine: AsyncEngine) -> AsyncEngine:
    return await _unsynced(sqlite_engine)


@pytest.fixture(scope="session")
def tiny_card(tmp_path_factory: pytest.TempPathFactory) -> ModelCard:
    """A random model of the real architecture."""
    return build_tiny_model(tmp_path_factory.mktemp("tiny") / "model")
