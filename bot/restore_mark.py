"""The mark of a restore that is under way, beside the key folder, from its first file until after its last.

A start that overlooked it would find no keys and make new ones, and nothing that was sealed with the old ones
could be opened again.
"""

from __future__ import annotations

import os
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncEngine

from bot.backup import sync_folder
from bot.errors import ConfigurationError

_AGAIN = "a restore into {folder} was interrupted: run 'verso restore' again, with the same settings"


def mark_of(keys: Path) -> Path:
    """The mark of a restore that is under way or was interrupted, beside the key folder."""
    return keys.with_name(f"{keys.name}.restoring")


def refuse_half_restored(keys: Path) -> None:
    """Refuse to use what an interrupted restore left.

    Raises:
        ConfigurationError: it did; with what to do.
    """
    if os.path.lexists(mark_of(keys)):
        raise ConfigurationError(_AGAIN.format(folder=keys.parent))


def begun(keys: Path, engine: AsyncEngine) -> bool:
    """Whether a restore to these places was interrupted.

    Raises:
        ConfigurationError: one was, but into another database.
    """
    mark = mark_of(keys)
    if not os.path.lexists(mark):
        return False
    try:
        database = mark.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"the mark of an interrupted restore cannot be read: {mark}") from error
    if database != _database_of(engine):
        raise ConfigurationError(
            f"{mark} is of an interrupted restore into another database, {database}: name that one in "
            "VERSO_DATABASE__URL, or restore into a new data folder and database"
        )
    return True


def begin(keys: Path, engine: AsyncEngine) -> None:
    """Set the mark, whole or not at all."""
    mark = mark_of(keys)
    mark.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = mark.with_name(f"{mark.name}.tmp")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(f"{_database_of(engine)}\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(mark)
    sync_folder(mark.parent)


def end(keys: Path) -> None:
    """Take the mark away, once everything else is on the disk."""
    mark_of(keys).unlink()
    sync_folder(keys.parent)


def _database_of(engine: AsyncEngine) -> str:
    """The database's address without its password."""
    return engine.url.render_as_string(hide_password=True)
