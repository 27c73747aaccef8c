"""`verso ledger`: checkpoints, proofs, publication, audit."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from attribution.checkpoint_file import MAX_BYTES, notes_in
from attribution.standalone.verify import trusted_keys
from bot.cli.output import Exit, console, errors, print_json
from bot.compose import open_app
from bot.settings import load_settings
from bot.usecases.evidence import read_bounded

ledger_app = typer.Typer(
    help="The Merkle ledger: checkpoints, proofs, publication, audit.", no_args_is_help=True
)
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.add_typer(ledger_app, name="ledger")


@ledger_app.command()
def head() -> None:
    """The newest signed checkpoint."""

    async def run() -> None:
        async with open_app(load_settings()) as app:
            console.print(await app.ledger.head(), end="", markup=False, soft_wrap=True)

    asyncio.run(run())


@ledger_app.command()
def prove(leaf: Annotated[int, typer.Argument(help="The index of a leaf.", min=0)]) -> None:
    """The inclusion proof of a leaf against the newest checkpoint, as JSON."""

    async def run() -> None:
        async with open_app(load_settings()) as app:
            print_json((await app.ledger.prove(leaf)).to_json())

    asyncio.run(run())


@ledger_app.command()
def publish(as_json: AsJson = False) -> None:
    """Show the newest checkpoint in the file and to the time-stamping authority, if the ledger grew.

    'verso serve' does so on a schedule, and in the channels, too.
    """

    async def run() -> None:
        async with open_app(load_settings()) as app:
            places = await app.publisher.send(now=True)
            file = app.settings.checkpoints_file
        if as_json:
            print_json({"places": list(places), "file": str(file)})
            return
        for place in places:
            console.print(f"✓ {file if place == 'file' else place}", markup=False, soft_wrap=True)
        if not places:
            console.print("Nothing was published: the ledger has not grown, or no place could be reached.")

    asyncio.run(run())


@ledger_app.command()
def audit(
    checkpoint: Annotated[
        list[Path] | None,
        typer.Option(
            "--checkpoint",
            "--against",
            help="A checkpoint published earlier, or a file of many; may repeat.",
        ),
    ] = None,
    trust: Annotated[
        Path | None, typer.Option(help="The operator's verifier key of any age, got from elsewhere.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compute the whole ledger again, and compare it with every checkpoint that is given."""

    async def run() -> None:
        notes, unreadable = notes_of(checkpoint or [])
        keys = trusted_keys(read_bounded(trust, 65_536).decode("utf-8", "replace")) if trust else []
        if trust and not keys:
            raise Exit(1, f"{trust} holds no verifier key.", error_code="verification")
        async with open_app(load_settings()) as app:
            published = await app.publications.notes()
            report = await app.ledger.audit(tuple(dict.fromkeys([*notes, *published])), verifier_keys=keys)
        if unreadable:
            errors.print(
                f"{unreadable} lines of the files cannot be read; they were left out.", style="yellow"
            )
        if as_json:
            print_json(
                {
                    "ok": report.ok,
                    "size": report.size,
                    "root_hash": report.root_hash.hex(),
                    "checkpoints": report.checkpoints,
                    "unreadable_lines": unreadable,
                    "problems": [
                        {"kind": one.kind, "leaf_index": one.leaf_index, "detail": one.detail}
                        for one in report.problems
                    ],
                }
            )
        else:
            for problem in report.problems:
                console.print(f"✗ {problem.detail}", style="red", markup=False)
            if {problem.kind for problem in report.problems} == {"restored"}:
                console.print(
                    "Not consistent: leaves that were published are lost, in a restore that the ledger "
                    "declares. Nothing else is wrong.",
                    style="yellow",
                )
            if report.ok:
                console.print(
                    f"✓ {report.size} leaves, {report.checkpoints} checkpoints: consistent", style="green"
                )
        if not report.ok:
            raise Exit(1)

    asyncio.run(run())


def notes_of(files: list[Path]) -> tuple[list[str], int]:
    """The checkpoints in the files, and how many lines are none."""
    notes: list[str] = []
    unreadable = 0
    for path in files:
        found, skipped = notes_in(read_bounded(path, MAX_BYTES))
        if not found:
            raise Exit(1, f"{path} holds no checkpoint.", error_code="verification")
        notes += found
        unreadable += skipped
    return notes, unreadable
