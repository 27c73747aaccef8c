"""`verso serve`, `worker`, `migrate`, `backup`, `restore`, `models`: what operators run."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Annotated

import typer
from rich.logging import RichHandler
from rich.table import Table
from rich.text import Text

from bot.backup import backup, erased_since, restore
from bot.cli.doctor import doctor
from bot.cli.output import console, errors, print_json, show_fields
from bot.compose import open_app
from bot.composition.configured import catalog_of, licenses_of
from bot.conversation import Field
from bot.database import open_database
from bot.errors import ConfigurationError
from bot.gates import Gate
from bot.platforms.terminal import TerminalPlatform
from bot.schema import migrate, revision_of
from bot.serve import NO_TOKENS, serve
from bot.settings import Settings, load_settings

models_app = typer.Typer(help="The catalog, with licenses.", no_args_is_help=True)
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]


NO_LIST = (
    "the list of erasures (erasures-*.jsonl) is in none of these folders: {places}. It says who was erased "
    "after the backup and must not come back. Name its folder with --erasures, or add --erasures-lost"
)


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command(name="serve")(serve_command)
    app.command(name="worker")(worker_command)
    app.command(name="doctor")(doctor)
    app.command(name="migrate")(migrate_command)
    app.command(name="backup")(backup_command)
    app.command(name="restore")(restore_command)
    app.add_typer(models_app, name="models")


def start_logging(settings: Settings) -> None:
    """Log to standard error. Prompts and secrets are never logged at info level."""
    handler = RichHandler(console=errors, show_path=False, markup=False, rich_tracebacks=False)
    logging.basicConfig(level=settings.log_level, handlers=[handler], format="%(name)s: %(message)s")
    if settings.log_level != "DEBUG":  # the SDKs' own chatter
        for name in ("discord", "slack_bolt", "slack_sdk", "aiohttp.access", "alembic"):
            logging.getLogger(name).setLevel(logging.WARNING)


def serve_command(
    engine: Annotated[bool, typer.Option(help="Draw in this process, too.")] = True,
) -> None:
    """Serve the platforms that have tokens, and draw."""
    settings = load_settings()
    start_logging(settings)
    if settings.discord.token is None and settings.slack.bot_token is None:
        errors.print(NO_TOKENS, style="yellow", markup=False, highlight=False)
    asyncio.run(_serve(settings, engine=engine, platforms=True))


def worker_command() -> None:
    """Draw only: one engine over the shared database. Run one for each device."""
    settings = load_settings()
    start_logging(settings)
    asyncio.run(_serve(settings, engine=True, platforms=False))


async def _serve(settings: Settings, *, engine: bool, platforms: bool) -> None:
    from bot.cli import stop_on_signals  # noqa: PLC0415 - the package imports this module

    stop = asyncio.Event()
    stop_on_signals(stop)
    async with open_app(settings, platforms=[TerminalPlatform()]) as app:
        try:
            await serve(app, stop, engine=engine, platforms=platforms)
        except ExceptionGroup as group:
            raise _first(group) from None  # one clear reason; the others were cancelled by it
    errors.print("Stopped; what was queued stays queued.", style="dim")


def _first(group: ExceptionGroup[Exception]) -> Exception:
    reason = group.exceptions[0]
    return _first(reason) if isinstance(reason, ExceptionGroup) else reason


def migrate_command() -> None:
    """Bring the database to this version's schema."""

    async def run() -> None:
        engine = open_database(load_settings().database_url)
        try:
            before = await revision_of(engine)
            await migrate(engine)
            after = await revision_of(engine)
        finally:
            await engine.dispose()
        console.print(f"Schema: {after}" + ("" if before == after else f" (was {before or 'empty'})"))

    asyncio.run(run())


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
) -> None:
    """Bring a backup back, into an empty database and data folder; who was erased since stays erased."""

    async def run() -> None:
        settings = load_settings()
        places = [*settings.erasure_folders, folder.absolute().parent, *([erasures] if erasures else [])]
        erased = erased_since(folder, places)
        if erased is None and not erasures_lost:
            raise ConfigurationError(NO_LIST.format(places=", ".join(dict.fromkeys(map(str, places)))))
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        engine = open_database(settings.database_url)
        try:
            counts = await restore(
                engine, blobs=settings.blobs_dir, keys=settings.keys_dir, folder=folder, erased=erased
            )
        finally:
            await engine.dispose()
        console.print(
            f"Restored: {counts['rows']} rows, {counts['blobs']} pictures, the keys. "
            f"Erased again: {counts['erased again']}."
        )
        if erased is None:
            console.print("Repeat the erasures that came after the backup.", style="yellow")

    asyncio.run(run())


@models_app.command("list")
def list_models(as_json: AsJson = False) -> None:
    """The models, with family and license."""
    settings = load_settings()
    licenses = licenses_of(settings)
    catalog, gate = catalog_of(settings), Gate(licenses, **dict(settings.workspace))
    closed = {c.id: gate(c) for c in catalog}
    if as_json:
        print_json(
            [
                {
                    "id": c.id,
                    "name": c.name,
                    "family": c.family,
                    "license": c.license_id,
                    "enabled": c.enabled,
                    "closed": closed[c.id],
                }
                for c in catalog
            ]
        )
        return
    table = Table(box=None, pad_edge=False)
    for title in ("id", "name", "family", "license", "usable"):
        table.add_column(title, overflow="fold")
    for card in catalog:
        table.add_row(
            card.id,
            Text(card.name),
            card.family,
            licenses.get(card.license_id).name,
            Text(f"no: {closed[card.id]}" if closed[card.id] else "yes"),
        )
    console.print(table)


@models_app.command("show")
def show_model(
    model_id: Annotated[str | None, typer.Argument(help="Default: the embedded model.")] = None,
) -> None:
    """One model: card, license, terms."""
    settings = load_settings()
    card = catalog_of(settings).get(model_id)
    license_ = licenses_of(settings).get(card.license_id)
    show_fields(
        card.name,
        [
            Field(label="Id", value=f"{card.id}, revision {card.revision}"),
            Field(label="Family", value=card.family),
            Field(label="About", value=card.description),
            Field(label="Weights", value=f"sha256 {card.weights_sha256}"),
            Field(label="Sizes", value=", ".join(f"{a}: {w} x {h}" for a, (w, h) in card.aspects.items())),
            Field(label="License", value=license_.name, url=license_.url),
            Field(label="Notice", value=license_.notice or "none required"),
        ],
    )
    console.print(license_.terms_text, markup=False)
    if license_.full_text is None:
        console.print(f"\nThe full text is not stored here. It is at {license_.url}", markup=False)
        return
    console.print(f"\nFULL TEXT OF THE LICENSE, sha256 {license_.full_text_sha256}", markup=False)
    if license_.full_text_source:
        console.print(f"Taken from: {license_.full_text_source}", markup=False)
    console.print()
    console.print(license_.full_text, markup=False, highlight=False, soft_wrap=True)
