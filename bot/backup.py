"""A consistent copy of everything: rows as JSON lines, blobs and keys as files; `bot.restore` brings it back.

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
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from sqlalchemy import Connection, Table, select
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.errors import ConfigurationError
from bot.schema import METADATA, revision_of

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
    copied = copy_tree(blobs, folder / "blobs")
    copy_tree(keys, folder / "keys", mode=0o600)
    files = {
        path.relative_to(folder).as_posix(): digest_of(path)
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


def tables() -> Iterator[Table]:
    """Every table, those that others refer to first."""
    for metadata in METADATA:
        yield from metadata.sorted_tables


def _dump_all(connection: Connection, folder: Path) -> dict[str, int]:
    counts = {}
    for table in tables():
        with (folder / f"{table.name}.jsonl").open("w", encoding="utf-8") as file:
            count = 0
            for row in connection.execution_options(yield_per=BATCH).execute(select(table)).mappings():
                file.write(json.dumps({k: _encoded(v) for k, v in row.items()}, ensure_ascii=False) + "\n")
                count += 1
        counts[table.name] = count
    return counts


def _encoded(value: object) -> object:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


def digest_of(path: Path) -> str:
    """SHA-256 of a file, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def copy_tree(source: Path, target: Path, *, mode: int | None = None, leave: Collection[str] = ()) -> int:
    """Copy a folder's files, but those of the names in `leave`, each to the disk; gives how many.

    `mode`: the files' permissions; None: those of any new file.
    """
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
    # A file whose folder is not on the disk yet is lost with it.
    for place in (target, *(path for path in target.rglob("*") if path.is_dir())):
        sync_folder(place)
    return count


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
