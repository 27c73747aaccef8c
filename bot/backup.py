"""A consistent copy of everything, and back: rows as JSON lines, blobs and keys as files.

The copy is logical, so one made on SQLite restores into PostgreSQL and the other way round. All rows are
read in one transaction; blobs are content-addressed and never change, so they may be copied after it.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import shutil
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

from alembic import command
from sqlalchemy import Connection, Integer, LargeBinary, Table, func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from attribution.erasing import after_erase
from attribution.erasures import erased_people, file_name, living, read
from attribution.errors import ErasureListError
from attribution.key_index import INDEX as KEYS
from bot.errors import ConfigurationError
from bot.schema import METADATA, config_for, revision_of, upgrade
from bot.usecases.forget import forget

FORMAT = 1
BATCH = 500
INDEX = "backup.json"


async def backup(
    engine: AsyncEngine, *, blobs: Path, keys: Path, folder: Path, keep_days: int = 35
) -> Mapping[str, int]:
    """Copy database, blobs and keys into `folder`, which must be new or empty; returns counts.

    `keep_days` says when the backup expires: it still holds people who are erased after it is made.

    Raises:
        ConfigurationError: the folder is not empty.
    """
    rows = await asyncio.to_thread(_new_folder, folder)
    revision = await revision_of(engine)
    if engine.dialect.name == "postgresql":
        reader = engine.execution_options(isolation_level="REPEATABLE READ")
    else:
        reader = engine.execution_options(read_only=True)
    async with reader.connect() as connection:
        counts = await connection.run_sync(_dump_all, rows)
    copied = await asyncio.to_thread(
        _complete, folder, revision, counts, blobs=blobs, keys=keys, keep_days=keep_days
    )
    return {"tables": len(counts), "rows": sum(counts.values()), "blobs": copied}


async def restore(
    engine: AsyncEngine, *, blobs: Path, keys: Path, folder: Path, erased: Mapping[str, int] | None
) -> Mapping[str, int]:
    """Bring a backup back into an empty database and empty folders; returns counts.

    Whoever was erased after the backup was made is erased again in the transaction that brings the rows, and
    their pictures are not copied: at no moment are they back.

    Args:
        engine: of the new database.
        blobs: the new folder of pictures.
        keys: the new folder of keys.
        folder: the backup.
        erased: everybody who was ever erased, and when (Unix ms); None: the list is lost, and the people of
            the backup come back as they were.

    Raises:
        ConfigurationError: the backup is damaged or newer than this program, something is not empty, or the
            list lacks people whom the backup knows as erased.
    """
    revision, counts = await asyncio.to_thread(_checked, folder, blobs, keys)
    if await revision_of(engine) is not None:
        raise ConfigurationError("the database is not empty: restore into a new one")
    gone: set[str] = set()
    again: tuple[str, ...] = ()
    async with engine.begin() as connection:  # begun: Alembic then leaves the commit to us
        await connection.run_sync(_load_all, revision, folder / "rows")
        await connection.run_sync(upgrade)
        if erased is not None:
            if not (await erased_people(connection)).keys() <= erased.keys():
                raise ConfigurationError("the list of erasures is older than the backup: name a newer one")
            again = await living(connection, erased)
            for subject in again:
                gone.update(await forget(connection, subject, erased_ms=erased[subject]))
    await after_erase(engine)
    copied = await asyncio.to_thread(_copy_tree, folder / "blobs", blobs, leave=gone)
    await asyncio.to_thread(_copy_tree, folder / "keys", keys, mode=0o600)
    return {
        "tables": len(counts),
        "rows": sum(counts.values()),
        "blobs": copied,
        "erased again": len(again),
    }


def erased_since(folder: Path, places: Iterable[Path]) -> dict[str, int] | None:
    """Everybody on the lists of erasures that lie in these folders; None where there is no list.

    Args:
        folder: the backup that is to come back; it says whose lists count.
        places: folders; one that is not there is passed over.

    Raises:
        ConfigurationError: the backup has no keys, or a list is damaged.
    """
    try:
        origin = str(json.loads((folder / "keys" / KEYS).read_text(encoding="utf-8"))["origin"])
        files = [place / file_name(origin) for place in places]
        lists = [read(file, origin=origin) for file in files if file.is_file()]
    except ErasureListError as error:
        raise ConfigurationError(str(error)) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(f"{folder} holds no complete backup") from error
    return {subject: at for one in lists for subject, at in one.items()} if lists else None


def _new_folder(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if any(folder.iterdir()):
        raise ConfigurationError(f"the folder {folder} is not empty: name a new one")
    rows = folder / "rows"
    rows.mkdir()
    return rows


def _complete(
    folder: Path,
    revision: str | None,
    counts: Mapping[str, int],
    *,
    blobs: Path,
    keys: Path,
    keep_days: int,
) -> int:
    """Copy the files, and write the index last: a copy without it is no backup."""
    copied = _copy_tree(blobs, folder / "blobs")
    _copy_tree(keys, folder / "keys", mode=0o600)
    files = {
        path.relative_to(folder).as_posix(): _digest(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    now = time.time_ns() // 1_000_000
    index = {
        "format": FORMAT,
        "revision": revision,
        "made_ms": now,
        "expires_ms": now + keep_days * 86_400_000,
        "rows": counts,
        "files": files,
    }
    temporary = folder / f"{INDEX}.tmp"
    temporary.write_text(json.dumps(index, indent=1), encoding="utf-8")
    temporary.replace(folder / INDEX)
    return copied


def _checked(folder: Path, *empty: Path) -> tuple[str, dict[str, int]]:
    for place in empty:
        if place.is_dir() and any(place.iterdir()):
            raise ConfigurationError(f"{place} is not empty: restore into a new data folder")
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        files: dict[str, str] = index["files"]
        known = index["format"] == FORMAT and isinstance(index["rows"], dict) and "revision" in index
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(f"{folder} holds no complete backup") from error
    if not known:
        raise ConfigurationError(f"the backup in {folder} was made by another version of Verso")
    for name, digest in files.items():
        path = folder / name
        if (
            not path.resolve().is_relative_to(folder.resolve())
            or not path.is_file()
            or _digest(path) != digest
        ):
            raise ConfigurationError(f"the backup is damaged: {name} is missing or altered")
    return str(index["revision"]), dict(index["rows"])


def _tables() -> Iterator[Table]:
    for metadata in METADATA:
        yield from metadata.sorted_tables


def _dump_all(connection: Connection, folder: Path) -> dict[str, int]:
    counts = {}
    for table in _tables():
        with (folder / f"{table.name}.jsonl").open("w", encoding="utf-8") as file:
            count = 0
            for row in connection.execution_options(yield_per=BATCH).execute(select(table)).mappings():
                file.write(json.dumps({k: _encoded(v) for k, v in row.items()}, ensure_ascii=False) + "\n")
                count += 1
        counts[table.name] = count
    return counts


def _load_all(connection: Connection, revision: str, folder: Path) -> None:
    try:
        command.upgrade(config_for(connection), revision)
    except Exception as error:  # Alembic has no narrower error for an unknown revision
        raise ConfigurationError(
            f"the backup stands at revision {revision}, which this program does not know: upgrade Verso"
        ) from error
    for table in _tables():
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


def _encoded(value: object) -> object:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _copy_tree(source: Path, target: Path, *, mode: int | None = None, leave: Collection[str] = ()) -> int:
    count = 0
    target.mkdir(parents=True, exist_ok=True, mode=0o700)
    for path in sorted(source.rglob("*")) if source.is_dir() else ():
        if not path.is_file() or path.suffix == ".tmp" or path.name in leave:
            continue
        copy = target / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        shutil.copyfile(path, copy)
        if mode is not None:
            copy.chmod(mode)
        with copy.open("rb") as file:
            os.fsync(file.fileno())
        count += 1
    return count
