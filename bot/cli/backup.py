"""`verso backup` and `verso restore`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from bot.backup import backup
from bot.cli.ledger import notes_of
from bot.cli.output import console, errors
from bot.compose import open_app
from bot.database import open_database
from bot.errors import ConfigurationError
from bot.restore import Restored, erased_since, restore
from bot.settings import load_settings

NO_LIST = (
    "the list of erasures (erasures-*.jsonl) is in none of these folders: {places}. It says who was erased "
    "after the backup and must not come back. Name its folder with --erasures, or add --erasures-lost"
)
FORKED = (
    "The leaves {first} to {last} of the ledger are lost: checkpoints over {published} leaves were "
    "published, the backup has {backup}. The ledger goes on from there, and so forks from what was "
    "published; it says so itself, in leaf {backup}. Publish that, keep the lost checkpoints, and see "
    "docs/ledger.md."
)


def backup_command(folder: Annotated[Path, typer.Argument(help="A new folder.")]) -> None:
    """Copy database, pictures and keys, consistently, while Verso runs."""

    async def run() -> None:
        settings = load_settings()
        async with open_app(settings) as app:
            counts = await backup(
                app.database,
                blobs=settings.blobs_dir,
                keys=settings.keys_dir,
                folder=folder,
                keep_days=settings.retention.backup_days,
            )
        console.print(
            f"Backup in {folder}: {counts['rows']} rows, {counts['blobs']} pictures, the keys. "
            f"It expires in {settings.retention.backup_days} days.",
            markup=False,
        )
        console.print(
            "It holds the keys that open all personal data: keep it as safe as the server.", style="yellow"
        )

    asyncio.run(run())


def restore_command(
    folder: Annotated[Path, typer.Argument(help="A folder that 'verso backup' made.")],
    erasures: Annotated[
        Path | None, typer.Option(help="Folder with the list of erasures, where it lies elsewhere.")
    ] = None,
    erasures_lost: Annotated[
        bool, typer.Option(help="The list is lost: bring back even people who were erased since.")
    ] = False,
    checkpoint: Annotated[
        list[Path] | None,
        typer.Option("--checkpoint", help="A published checkpoint, or a file of many; may repeat."),
    ] = None,
) -> None:
    """Bring a backup back, into an empty database and data folder; who was erased since stays erased.

    The ledger is compared with the checkpoints published since: in the file of the settings, beside the
    backup, and in those that are named.
    """

    async def run() -> None:
        settings = load_settings()
        places = [*settings.erasure_folders, folder.absolute().parent, *([erasures] if erasures else [])]
        erased = erased_since(folder, places)
        if erased is None and not erasures_lost:
            raise ConfigurationError(NO_LIST.format(places=", ".join(dict.fromkeys(map(str, places)))))
        known = [settings.checkpoints_file, folder.absolute().parent / settings.checkpoints_file.name]
        notes, unreadable = notes_of([*(file for file in known if file.is_file()), *(checkpoint or [])])
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        engine = open_database(settings.database_url)
        try:
            restored = await restore(
                engine,
                blobs=settings.blobs_dir,
                keys=settings.keys_dir,
                folder=folder,
                erased=erased,
                published=notes,
            )
        finally:
            await engine.dispose()
        console.print(
            f"Restored: {restored.rows} rows, {restored.blobs} pictures, the keys. "
            f"Erased again: {restored.erased_again}."
        )
        if erased is None:
            console.print("Repeat the erasures that came after the backup.", style="yellow")
        _compare(restored, compared=len(notes), unreadable=unreadable)

    asyncio.run(run())


def _compare(restored: Restored, *, compared: int, unreadable: int) -> None:
    """Say how the ledger stands to what was published."""
    backup_size, published_size = restored.ledger.backup_size, restored.ledger.published_size
    unusable = unreadable + restored.unknown_checkpoints
    if unusable:
        errors.print(
            f"{unusable} of the published checkpoints cannot be read, or no key of the backup signed them; "
            "they were left out.",
            style="yellow",
        )
    if published_size > backup_size:
        text = FORKED.format(
            first=backup_size, last=published_size - 1, published=published_size, backup=backup_size
        )
        console.print(text, style="yellow", markup=False)
    elif compared > unusable:
        console.print(f"No published checkpoint reaches beyond the {backup_size} leaves of the backup.")
    else:
        console.print(
            "No published checkpoint was found to compare the ledger with. If leaves were published or "
            "receipts given out since the backup, they are lost: see docs/ledger.md.",
            style="yellow",
        )
