"""Brings a backup back: whole, or with a mark that keeps every command from using half of it."""

from __future__ import annotations

import asyncio
import json
import secrets
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from attribution import tree
from attribution.erasing import after_erase
from attribution.erasures import erased_people, file_name, living, read
from attribution.errors import ErasureListError
from attribution.key_index import INDEX as KEYS
from attribution.key_index import load_ledger_keys
from attribution.ledger import Ledger
from attribution.record import EventKind
from attribution.restored import Restoration, largest_published
from attribution.tables import leaves
from attribution.vault import Vault
from bot import restore_mark
from bot.backup import FORMAT, INDEX, copy_tree, digest_of
from bot.errors import ConfigurationError
from bot.restore_rows import drop_all, load_all
from bot.schema import revision_of, upgrade
from bot.usecases.forget import forget


@dataclass(frozen=True, kw_only=True, slots=True)
class Restored:
    """What came back."""

    rows: int
    blobs: int
    erased_again: int
    ledger: Restoration  # how many leaves came back, and how many had been published
    unknown_checkpoints: int  # that no key of the backup signed


async def restore(
    engine: AsyncEngine,
    *,
    blobs: Path,
    keys: Path,
    folder: Path,
    erased: Mapping[str, int] | None,
    published: Sequence[str] = (),
) -> Restored:
    """Bring a backup back into an empty database and empty folders, or where an interrupted restore began.

    Whoever was erased after the backup was made is erased again in the transaction that brings the rows, and
    their pictures are not copied: at no moment are they back. That transaction also records that the ledger
    was restored, and what was published beyond the backup.

    Args:
        engine: of the new database.
        blobs: the new folder of pictures.
        keys: the new folder of keys.
        folder: the backup.
        erased: everybody who was ever erased, and when (Unix ms); None: the list is lost, and the people of
            the backup come back as they were.
        published: checkpoints that were published (signed notes), of any age.

    Raises:
        ConfigurationError: the backup is damaged or newer than this program, something is not empty, the list
            lacks people whom the backup knows as erased, or an interrupted restore went elsewhere.
    """
    begun = await asyncio.to_thread(restore_mark.begun, keys, engine)
    revision, rows = await asyncio.to_thread(_checked, folder, () if begun else (blobs, keys))
    if not begun and await revision_of(engine) is not None:
        raise ConfigurationError("the database is not empty: restore into a new one")
    await asyncio.to_thread(restore_mark.begin, keys, engine)
    try:
        await asyncio.to_thread(_clear, [blobs, keys])
        await asyncio.to_thread(copy_tree, folder / "keys", keys, mode=0o600)
        async with engine.begin() as connection:  # begun: Alembic then leaves the commit to us
            if begun:
                await connection.run_sync(drop_all, rows.get(leaves.name, 0))
            await connection.run_sync(load_all, revision, folder / "rows")
            await connection.run_sync(upgrade)
            again, gone = await _erase_again(connection, erased)
            ledger, unknown = await _declare(engine, connection, keys, published)
    except Exception:
        if not begun:  # the database is as empty as it was: leave the rest so, too
            await asyncio.to_thread(_clear, [blobs, keys])
            await asyncio.to_thread(restore_mark.end, keys)
        raise
    await after_erase(engine)
    copied = await asyncio.to_thread(copy_tree, folder / "blobs", blobs, leave=gone)
    await asyncio.to_thread(restore_mark.end, keys)
    return Restored(
        rows=sum(rows.values()),
        blobs=copied,
        erased_again=again,
        ledger=ledger,
        unknown_checkpoints=unknown,
    )


async def _erase_again(connection: AsyncConnection, erased: Mapping[str, int] | None) -> tuple[int, set[str]]:
    """Erase who was erased since the backup: how many people, and the pictures that must not come back."""
    if erased is None:
        return 0, set()
    if not (await erased_people(connection)).keys() <= erased.keys():
        raise ConfigurationError("the list of erasures is older than the backup: name a newer one")
    again, gone = await living(connection, erased), set[str]()
    for subject in again:
        gone.update(await forget(connection, subject, erased_ms=erased[subject]))
    return len(again), gone


async def _declare(
    engine: AsyncEngine, connection: AsyncConnection, keys: Path, published: Sequence[str]
) -> tuple[Restoration, int]:
    """Record in the ledger that it came back, and from what; nothing if the backup's was empty."""
    head = await tree.read_head(connection) or tree.EMPTY
    signers = await asyncio.to_thread(load_ledger_keys, keys)
    largest, unknown = largest_published(published, signers.verifier_keys)
    found = Restoration(backup_size=head.tree_size, published_size=max(largest, head.tree_size))
    if found.published_size:
        # An entry without hidden fields asks nothing of the vault, so its own key may stay closed.
        vault = Vault(engine, vault_key=secrets.token_bytes(32), lookup_key=secrets.token_bytes(32))
        ledger = Ledger(engine, keys=signers, vault=vault)
        await ledger.append(EventKind.LEDGER_RESTORED, subject="", public=found.facts, connection=connection)
    return found, unknown


def _clear(folders: Iterable[Path]) -> None:
    """Empty folders that were empty when the restore began; they may be mount points."""
    for folder in folders:
        for path in folder.iterdir() if folder.is_dir() else ():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


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


def _checked(folder: Path, empty: Iterable[Path]) -> tuple[str, dict[str, int]]:
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
            or digest_of(path) != digest
        ):
            raise ConfigurationError(f"the backup is damaged: {name} is missing or altered")
    return str(index["revision"]), dict(index["rows"])
