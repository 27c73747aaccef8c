"""Brings a database to the program's schema, and refuses one that a newer program has written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, text
from sqlalchemy.exc import DatabaseError, OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine

import attribution.tables
import bot.tables
import generation.tables
import migrations
import moderation.tables
from bot.errors import ConfigurationError

METADATA: Sequence[MetaData] = (
    generation.tables.metadata,
    moderation.tables.metadata,
    attribution.tables.metadata,
    bot.tables.metadata,
)


def config_for(connection: Connection | None = None) -> Config:
    """Alembic's configuration without a file."""
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    config.attributes["target_metadata"] = list(METADATA)
    return config


async def migrate(engine: AsyncEngine) -> None:
    """Upgrade the database to the newest schema; does nothing where it is there already.

    Raises:
        ConfigurationError: the database is newer than this program, damaged, or out of reach.
    """
    try:
        async with engine.connect() as connection:
            await connection.run_sync(upgrade)
            await connection.commit()
    except (OperationalError, DatabaseError, OSError) as error:
        reason = str(getattr(error, "orig", error)).splitlines()[0]
        raise ConfigurationError(
            f"the database cannot be used: {reason}. If it is damaged, restore a backup: 'verso restore'.",
            setting="VERSO_DATABASE__URL",
        ) from error


async def revision_of(engine: AsyncEngine) -> str | None:
    """The revision that the database stands at; None where it is empty."""
    async with engine.execution_options(read_only=True).connect() as connection:
        return await connection.run_sync(lambda c: MigrationContext.configure(c).get_current_revision())


def upgrade(connection: Connection) -> None:
    """Upgrade inside the caller's transaction; errors as `migrate`."""
    if connection.dialect.name == "postgresql":  # two processes that start at once take turns
        connection.execute(text("SELECT pg_advisory_xact_lock(860770)"))
    config = config_for(connection)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    current = MigrationContext.configure(connection).get_current_revision()
    if current is not None and current not in known:
        raise ConfigurationError(
            f"the database stands at revision {current}, which is newer than this program: upgrade Verso, "
            "or restore a backup that this version made",
            setting="VERSO_DATABASE__URL",
        )
    if current != ScriptDirectory.from_config(config).get_current_head():
        command.upgrade(config, "head")
