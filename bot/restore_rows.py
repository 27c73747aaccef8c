"""The rows of a backup, back into a database; each function runs inside the caller's transaction."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from alembic import command
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, Integer, LargeBinary, Table, func, insert, select, text

from attribution.tables import leaves
from bot.backup import BATCH, tables
from bot.errors import ConfigurationError
from bot.schema import METADATA, config_for


def load_all(connection: Connection, revision: str, folder: Path) -> None:
    """Make the tables of the backup's revision and fill them; `folder` holds its rows.

    Raises:
        ConfigurationError: this program does not know the revision.
    """
    try:
        command.upgrade(config_for(connection), revision)
    except Exception as error:  # Alembic has no narrower error for an unknown revision
        raise ConfigurationError(
            f"the backup stands at revision {revision}, which this program does not know: upgrade Verso"
        ) from error
    for table in tables():
        file = folder / f"{table.name}.jsonl"
        if not file.is_file():  # the table is younger than the backup
            continue
        binary = {column.name for column in table.columns if isinstance(column.type, LargeBinary)}
        with file.open(encoding="utf-8") as lines:
            batch = []
            for line in lines:
                row = json.loads(line)
                batch.append(
                    {k: base64.b64decode(v) if k in binary and v is not None else v for k, v in row.items()}
                )
                if len(batch) == BATCH:
                    connection.execute(insert(table), batch)
                    batch = []
            if batch:
                connection.execute(insert(table), batch)
        _advance_sequence(connection, table)


def _advance_sequence(connection: Connection, table: Table) -> None:
    """PostgreSQL numbers new rows by a sequence, which explicit numbers do not move."""
    column = table.autoincrement_column
    if connection.dialect.name != "postgresql" or column is None or not isinstance(column.type, Integer):
        return
    highest = connection.execute(select(func.max(column))).scalar()
    name = connection.execute(
        text("SELECT pg_get_serial_sequence(:table, :column)"), {"table": table.name, "column": column.name}
    ).scalar()
    if highest is not None and name is not None:
        connection.execute(text("SELECT setval(:name, :value)"), {"name": name, "value": highest})


def drop_all(connection: Connection, leaves_in_backup: int) -> None:
    """Take back what an interrupted restore committed; the database was empty when it began.

    Raises:
        ConfigurationError: there is more in the ledger than a restore leaves.
    """
    if MigrationContext.configure(connection).get_current_revision() is None:
        return
    if (connection.scalar(select(func.count()).select_from(leaves)) or 0) > leaves_in_backup + 1:
        raise ConfigurationError("the database was used since the interrupted restore: name a new one")
    for metadata in METADATA:
        metadata.drop_all(connection)
    connection.execute(text("DROP TABLE alembic_version"))
