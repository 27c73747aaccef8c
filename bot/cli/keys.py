"""`verso keys`: where the keys lie, what losing each means, rotation and backup."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.table import Table
from rich.text import Text

from attribution.erasing import after_erase
from attribution.key_index import INDEX, drop_retired, rotate_ledger_key
from attribution.key_service import service_of
from attribution.renewal import add_vault_key, rotate_image_signer, rotate_mark_key
from bot.cli.output import console, print_json
from bot.compose import open_app
from bot.composition.configured import open_keys
from bot.settings import load_settings
from bot.words import when

keys_app = typer.Typer(help="Signing, vault and mark keys.", no_args_is_help=True)
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
_DAY_MS = 86_400_000


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.add_typer(keys_app, name="keys")


@keys_app.command("show")
def show_keys(as_json: AsJson = False) -> None:
    """Where the keys lie, what each is for, what losing it means; never the keys themselves."""
    settings = load_settings()
    keys = open_keys(settings)
    if as_json:
        print_json(
            {
                "verifier_key": keys.ledger_verifier_key,
                "verifier_keys": [str(key) for key in keys.ledger.verifier_keys],
                "endorsements": [str(endorsement) for endorsement in keys.ledger.endorsements],
                "keys": [
                    {"name": k.name, "path": str(k.path), "purpose": k.purpose, "loss": k.loss}
                    for k in keys.describe()
                ],
            }
        )
        return
    table = Table(show_lines=True)
    for title in ("key", "file", "purpose", "if it is lost"):
        table.add_column(title, overflow="fold")
    for key in keys.describe():
        table.add_row(key.name, Text(str(key.path)), key.purpose, key.loss)
    console.print(table)
    console.print("Verifier key of the ledger, for 'verso verify --trust' (publish it):", style="bold")
    for text in (*map(str, keys.ledger.verifier_keys), *map(str, keys.ledger.endorsements)):
        console.print(text, soft_wrap=True, markup=False)


@keys_app.command("rotate")
def rotate(
    which: Annotated[Literal["ledger", "vault", "mark", "c2pa"], typer.Argument(help="The key to replace.")],
    overlap_days: Annotated[
        float,
        typer.Option(help="Of the ledger: how long the old key signs beside the new one.", min=0, max=3650),
    ] = 30,
    as_json: AsJson = False,
) -> None:
    """Replace a key: of the ledger, of the vault, of the marks, or of the image signer (c2pa)."""
    if which == "ledger":
        _rotate_ledger(overlap_days, as_json=as_json)
    elif which == "vault":
        _rotate_vault(as_json=as_json)
    elif which == "mark":
        _rotate_mark(as_json=as_json)
    else:
        _rotate_image_signer(as_json=as_json)


def _rotate_vault(*, as_json: bool) -> None:
    """Every person's key is wrapped anew; the old vault key goes only when nothing needs it any more."""
    settings = load_settings()

    async def run() -> None:
        async with open_app(settings) as app:
            if len(app.keys.vault_keys) == 1:  # else an earlier rotation was cut off: it is finished
                add_vault_key(settings.keys_dir, service_of(settings.keys.command))
            changed = await app.vault.rewrap()
            await after_erase(app.database)  # the old wrapped keys leave the database's files
            dropped = drop_retired(settings.keys_dir, "vault")
        if as_json:
            print_json({"wrapped": changed, "deleted": [str(path) for path in dropped]})
            return
        console.print(f"The vault has a new key; {changed} people's keys are wrapped by it.", markup=False)
        console.print(f"Deleted: {', '.join(str(path) for path in dropped)}", soft_wrap=True, markup=False)
        console.print("Make a new backup: older backups hold the old key.", style="yellow")

    asyncio.run(run())


def _rotate_mark(*, as_json: bool) -> None:
    settings = load_settings()
    open_keys(settings)
    path = rotate_mark_key(settings.keys_dir)
    if as_json:
        print_json({"file": str(path)})
        return
    console.print(f"New mark key: {path}. Copies carry it from now on.", soft_wrap=True, markup=False)
    console.print("The older keys stay: they read the marks of copies that were posted before.")
    console.print("Make a new backup of the keys: verso keys backup", style="yellow")


def _rotate_image_signer(*, as_json: bool) -> None:
    settings = load_settings()
    open_keys(settings)
    path = rotate_image_signer(settings.keys_dir, settings.organisation)
    if as_json:
        print_json({"file": str(path)})
        return
    console.print(
        f"New image signer: {path}. Running servers take it up when they start again.", markup=False
    )
    console.print("Images that the old one signed still verify: the root is the same.")


def _rotate_ledger(overlap_days: float, *, as_json: bool) -> None:
    """The old key endorses the new one, and the ledger records that."""
    settings = load_settings()

    async def run() -> None:
        async with open_app(settings) as app:  # completes a rotation that was cut off
            endorsement = rotate_ledger_key(
                settings.keys_dir,
                now_ms=time.time_ns() // 1_000_000,
                overlap_ms=round(overlap_days * _DAY_MS),
            )
            app.ledger.reload_keys()
            await app.ledger.record_rotations()
            checkpoint = await app.ledger.head()
        if as_json:
            print_json(
                {
                    "verifier_key": str(endorsement.new),
                    "endorsement": str(endorsement),
                    "overlap_until_ms": endorsement.overlap_until_ms,
                    "checkpoint": checkpoint,
                }
            )
            return
        until = when(endorsement.overlap_until_ms)
        console.print(f"The ledger has a new key. Both sign until {until}; the old file may go then.")
        console.print("Publish the new key and its endorsement beside the old key:", style="bold")
        for text in (endorsement.new, endorsement):
            console.print(str(text), soft_wrap=True, markup=False)
        console.print("Make a new backup of the keys: verso keys backup", style="yellow")

    asyncio.run(run())


@keys_app.command("backup")
def backup_keys(folder: Annotated[Path, typer.Argument(help="A new folder, on other media.")]) -> None:
    """Copy the keys alone."""
    settings = load_settings()
    keys = open_keys(settings)
    folder.mkdir(parents=True, mode=0o700)
    for path in (*(key.path for key in keys.describe()), settings.keys_dir / INDEX):
        copy = folder / path.name
        copy.touch(mode=0o600)
        copy.write_bytes(path.read_bytes())
    console.print(
        f"{len(keys.describe())} keys copied to {folder}. Whoever has them can read and sign everything.",
        markup=False,
    )
