"""`verso serve`, `worker`, `migrate`, `backup`, `restore`, `models`: what operators run."""

from __future__ import annotations

import asyncio
import logging
from typing import Annotated

import typer
from rich.logging import RichHandler
from rich.table import Table
from rich.text import Text

from bot.cli.backup import backup_command, restore_command
from bot.cli.doctor import doctor
from bot.cli.output import console, errors, print_json, show_fields
from bot.compose import open_app
from bot.composition.configured import catalog_of, licenses_of
from bot.composition.image_servers import answer_of
from bot.conversation import Field
from bot.database import open_database
from bot.error_words import sentence
from bot.gates import Gate
from bot.platforms.terminal import TerminalPlatform
from bot.restore_mark import refuse_half_restored
from bot.schema import migrate, revision_of
from bot.serve import NO_TOKENS, serve
from bot.settings import Settings, load_settings
from generation.card import ModelCard
from generation.errors import GenerationError

models_app = typer.Typer(help="The catalog, with licenses.", no_args_is_help=True)
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]


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
        settings = load_settings()
        refuse_half_restored(settings.keys_dir)
        engine = open_database(settings.database_url)
        try:
            before = await revision_of(engine)
            await migrate(engine)
            after = await revision_of(engine)
        finally:
            await engine.dispose()
        console.print(f"Schema: {after}" + ("" if before == after else f" (was {before or 'empty'})"))

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


def _origin(card: ModelCard) -> list[Field]:
    """The weights, or the server that draws in their place and what it says now."""
    if card.server is None:
        return [Field(label="Weights", value=f"sha256 {card.weights_sha256}")]
    try:
        said = asyncio.run(answer_of(card))
    except GenerationError as error:
        said = sentence(error)
    return [
        Field(label="Weights", value="on the image server, not known here; its pictures cannot be replayed"),
        Field(label="Server", value=f"{card.server.base_url}, model {card.server.model}"),
        Field(label="It", value=said),
    ]


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
            *_origin(card),
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
