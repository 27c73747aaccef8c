"""`verso protect`: names, marks and pictures that rights holders asked to protect."""

from __future__ import annotations

import asyncio
import datetime as dt
from pathlib import Path
from typing import Annotated

import typer

from attribution.images import DEFAULT_LIMITS
from bot import people_replies
from bot.cli.output import print_json, show_reply
from bot.cli.people import Actor, AsJson, moderator
from bot.compose import open_app
from bot.errors import UsageError
from bot.settings import load_settings
from bot.usecases.evidence import read_bounded
from bot.usecases.protect import Protected, ProtectRequest
from bot.usecases.review import NotModerator
from moderation.protected import ProtectedEntry
from moderation.types import Action

protect_app = typer.Typer(
    help="The protected list: what rights holders asked not to be drawn.", no_args_is_help=True
)

Asker = Annotated[str, typer.Option("--for", help="Who asked: the person or rights holder.")]
Why = Annotated[str, typer.Option("--reason", help="Why.")]
Block = Annotated[bool, typer.Option("--block", help="Refuse instead of asking a moderator.")]
Workspace = Annotated[str, typer.Option(help="discord:GUILD, slack:TEAM or terminal.")]
Received = Annotated[
    str | None, typer.Option(help="When they asked, e.g. 2026-03-01T10:00Z; the 48 hours run from then.")
]


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.add_typer(protect_app, name="protect")


def received_ms(text: str | None) -> int | None:
    """An ISO 8601 moment as Unix milliseconds; without a zone it is UTC.

    Raises:
        UsageError: it is none.
    """
    if text is None:
        return None
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text!r} is no moment such as 2026-03-01T10:00Z.", field="received") from None
    return round((moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).timestamp() * 1000)


def _add(request: ProtectRequest, *, workspace: str, actor: str | None, as_json: bool) -> None:
    settings = load_settings()

    async def run() -> None:
        async with open_app(settings) as app:
            outcome = await app.protect.add(moderator(settings, actor), request, workspace_id=workspace)
            if as_json and isinstance(outcome, Protected):
                print_json(_added_json(outcome))
            else:
                show_reply(people_replies.protected(outcome))

    asyncio.run(run())


def _added_json(outcome: Protected) -> dict[str, object]:
    takedown = outcome.takedown
    return {
        **_entry_json(outcome.entry),
        "searched": outcome.searched,
        "takedown_id": takedown.id if takedown else None,
        "candidates": [item.image_id for item in takedown.items] if takedown else [],
    }


def _entry_json(entry: ProtectedEntry) -> dict[str, object]:
    return {
        "id": entry.id,
        "workspace": entry.workspace_id,
        "kind": entry.kind,
        "term": entry.term,
        "action": entry.action.name.lower(),
        "requested_by": entry.requested_by,
        "reason": entry.reason,
        "actor": entry.actor,
        "created_ms": entry.created_ms,
    }


@protect_app.command()
def name(
    text: Annotated[str, typer.Argument(help="The full name of a person.")],
    asker: Asker,
    reason: Why,
    block: Block = False,
    workspace: Workspace = "terminal",
    received: Received = None,
    actor: Actor = None,
    as_json: AsJson = False,
) -> None:
    """Protect a person's name, and list the past pictures that it matches."""
    request = ProtectRequest(
        kind="name",
        term=text,
        action=_action(block),
        requested_by=asker,
        reason=reason,
        received_ms=received_ms(received),
    )
    _add(request, workspace=workspace, actor=actor, as_json=as_json)


@protect_app.command()
def mark(
    text: Annotated[str, typer.Argument(help="A brand, title or character.")],
    asker: Asker,
    reason: Why,
    block: Block = False,
    workspace: Workspace = "terminal",
    received: Received = None,
    actor: Actor = None,
    as_json: AsJson = False,
) -> None:
    """Protect a mark in words, and list the past pictures that it matches."""
    request = ProtectRequest(
        kind="mark",
        term=text,
        action=_action(block),
        requested_by=asker,
        reason=reason,
        received_ms=received_ms(received),
    )
    _add(request, workspace=workspace, actor=actor, as_json=as_json)


@protect_app.command()
def image(
    file: Annotated[Path, typer.Argument(help="The picture; only a fingerprint of it is kept.")],
    asker: Asker,
    reason: Why,
    title: Annotated[str, typer.Option(help="What it is called; default: the name of the file.")] = "",
    block: Block = False,
    workspace: Workspace = "terminal",
    received: Received = None,
    actor: Actor = None,
    as_json: AsJson = False,
) -> None:
    """Protect a picture, and list the past pictures that look like it."""
    request = ProtectRequest(
        kind="image",
        term=title or file.stem,
        image=read_bounded(file, DEFAULT_LIMITS.max_bytes),
        action=_action(block),
        requested_by=asker,
        reason=reason,
        received_ms=received_ms(received),
    )
    _add(request, workspace=workspace, actor=actor, as_json=as_json)


@protect_app.command("list")
def list_entries(
    workspace: Annotated[str, typer.Option(help="Only this workspace.")] = "",
    actor: Actor = None,
    as_json: AsJson = False,
) -> None:
    """What is protected, with who asked and why."""
    settings = load_settings()

    async def run() -> None:
        async with open_app(settings) as app:
            outcome = await app.protect.entries(moderator(settings, actor), workspace_id=workspace)
            if as_json and not isinstance(outcome, NotModerator):
                print_json([_entry_json(entry) for entry in outcome])
            else:
                show_reply(people_replies.entries(outcome))

    asyncio.run(run())


@protect_app.command()
def remove(entry_id: str, actor: Actor = None) -> None:
    """End a protection; its row stays, with who ended it."""
    settings = load_settings()

    async def run() -> None:
        async with open_app(settings) as app:
            show_reply(
                people_replies.unprotected(await app.protect.remove(moderator(settings, actor), entry_id))
            )

    asyncio.run(run())


def _action(block: bool) -> Action:
    return Action.BLOCK if block else Action.HOLD
