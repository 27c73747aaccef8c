"""`verso doctor`: looks at everything that must be right, and says what to do where it is not."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated

import typer
from rich.text import Text
from sqlalchemy.exc import SQLAlchemyError

from attribution.errors import AttributionError
from bot.cli.output import Exit, console, print_json
from bot.composition.configured import catalog_of, licenses_of, open_keys, policy_of
from bot.composition.image_servers import answer_of
from bot.database import open_database
from bot.error_words import sentence
from bot.errors import BotError
from bot.gates import Gate
from bot.schema import migrate, revision_of
from bot.serve import alive
from bot.settings import Settings, load_settings
from generation.errors import GenerationError, ImageServerError, ModelLoadError
from moderation.errors import ModerationError
from moderation.moderator import Moderator

LEAST_FREE = 2 * 1024**3  # bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    ok: bool
    detail: str


def doctor(
    health: Annotated[
        bool, typer.Option("--health", help="Only: is the server here alive? For health checks.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> None:
    """Check tokens, database, disk, device, models, keys; say what to do."""
    settings = load_settings()
    if health:
        if not alive(settings):
            raise Exit(1, "No server has been alive on this data folder within the last minute.")
        return
    checks = asyncio.run(_checks(settings))
    if as_json:
        print_json(
            {
                "ok": all(c.ok for c in checks),
                "checks": [{"name": c.name, "ok": c.ok, "detail": c.detail} for c in checks],
            }
        )
    else:
        for check in checks:
            console.print(
                Text("✓ " if check.ok else "✗ ", style="green" if check.ok else "red")
                + Text(check.name, style="bold")
                + Text(f"  {check.detail}")
            )
    if not all(check.ok for check in checks):
        raise Exit(1)


async def _checks(settings: Settings) -> list[Check]:
    looks: list[tuple[str, Callable[[Settings], Awaitable[str]]]] = [
        ("data folder", _disk),
        ("database", _database),
        ("keys", _keys),
        ("models", _models),
        ("policy", _policy),
        ("picture checks", _picture_checks),
        ("device", _device),
        ("Discord", _discord),
        ("Slack", _slack),
    ]
    checks = []
    for name, look in looks:
        try:
            checks.append(Check(name=name, ok=True, detail=await look(settings)))
        except (BotError, GenerationError, ModerationError, AttributionError) as error:
            checks.append(Check(name=name, ok=False, detail=sentence(error)))
        except (OSError, SQLAlchemyError) as error:
            reason = str(getattr(error, "orig", None) or error).splitlines()[0]
            checks.append(Check(name=name, ok=False, detail=reason))
    return checks


async def _disk(settings: Settings) -> str:
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    free = shutil.disk_usage(settings.data_dir).free
    if free < LEAST_FREE:
        raise BotError(
            f"only {free / 1024**3:.1f} GiB free in {settings.data_dir}: make room, or set VERSO_DATA_DIR"
        )
    return f"{settings.data_dir.absolute()}, {free / 1024**3:.0f} GiB free"


async def _database(settings: Settings) -> str:
    engine = open_database(settings.database_url)
    try:
        await migrate(engine)
        return f"{engine.dialect.name}, schema {await revision_of(engine)}"
    finally:
        await engine.dispose()


async def _keys(settings: Settings) -> str:
    keys = open_keys(settings)
    return f"{len(keys.describe())} in {settings.keys_dir.absolute()}; ledger {keys.origin}"


async def _models(settings: Settings) -> str:
    gate, known = Gate(licenses_of(settings), **dict(settings.workspace)), []
    for card in catalog_of(settings):
        closed = gate(card)
        if card.digest() != card.weights_sha256:
            raise ModelLoadError(card.id, "its files differ from its card: install it again")
        try:
            said = "" if card.server is None else f" (its server {await answer_of(card)})"
        except ImageServerError as error:
            raise ModelLoadError(card.id, sentence(error)) from error
        known.append(f"{card.id}{said} (closed: {closed})" if closed else f"{card.id}{said}")
    return ", ".join(known)


async def _policy(settings: Settings) -> str:
    return f"version {policy_of(settings).version[:12]}"


async def _picture_checks(settings: Settings) -> str:
    moderator = Moderator.open(policy_of(settings))  # refuses a policy that demands what is not installed
    try:
        await moderator.warm()
        checks = [*sorted(set(moderator.ready) & set(moderator.policy.rules))]
        off = [f"{name} is off: {needed}" for name, needed in moderator.off.items()]
        missing = sorted(set(moderator.wanted) - set(moderator.ready))
    finally:
        moderator.close()
    if missing:
        raise BotError(f"everything is held, as these cannot be loaded: {', '.join(missing)}")
    return "; ".join([", ".join(checks), *off])


async def _device(settings: Settings) -> str:
    import torch  # noqa: PLC0415 - only this look needs it

    if settings.engine.device:
        return settings.engine.device
    return (
        torch.cuda.get_device_name()
        if torch.cuda.is_available()
        else f"CPU, {torch.get_num_threads()} threads"
    )


async def _discord(settings: Settings) -> str:
    if settings.discord.token is None:
        return "not configured; docs/discord.md tells how to get VERSO_DISCORD__TOKEN"
    from bot.platforms.discord.check import check  # noqa: PLC0415 - loads the SDK

    return await check(settings.discord.token.get_secret_value())


async def _slack(settings: Settings) -> str:
    if settings.slack.bot_token is None:
        return "not configured; docs/slack.md tells how to get VERSO_SLACK__BOT_TOKEN"
    from bot.platforms.slack.check import check  # noqa: PLC0415 - loads the SDK

    return await check(settings.slack.bot_token.get_secret_value())
