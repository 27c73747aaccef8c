"""`verso protect`: names, marks and pictures that rights holders asked to protect."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from attribution.images import DEFAULT_LIMITS
from bot import rights_replies
from bot.cli import desk
from bot.cli.people import Actor, AsJson
from bot.usecases.evidence import read_bounded
from bot.usecases.protect import Protected, ProtectRequest
from bot.words import moment_ms
from moderation.protected import ProtectedEntry
from moderation.types import Action

protect_app = typer.Typer(
    help="The protected list: what rights holders asked not to be drawn.", no_args_is_help=True
)

Words = Annotated[str, typer.Argument(help="A person's full name; a brand, title or character.")]
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
    """The moment after `--received` as Unix milliseconds; None: now.

    Raises:
        UsageError: it is none.
    """
    return None if text is None else moment_ms(text)


def _add(request: ProtectRequest, *, workspace: str, actor: str | None, as_json: bool) -> None:
    desk.ask(
        actor,
        lambda app, origin: app.protect.add(origin, request, workspace_id=workspace),
        words=rights_replies.protected,
        document=_added_json if as_json else None,
    )


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


def _add_words(kind: Literal["name", "mark"], *, summary: str) -> None:
    """Add the command for one kind of words."""

    @protect_app.command(kind, help=summary)
    def add(
        text: Words,
        asker: Asker,
        reason: Why,
        block: Block = False,
        workspace: Workspace = "terminal",
        received: Received = None,
        actor: Actor = None,
        as_json: AsJson = False,
    ) -> None:
        request = ProtectRequest(
            kind=kind,
            term=text,
            action=_action(block),
            requested_by=asker,
            reason=reason,
            received_ms=received_ms(received),
        )
        _add(request, workspace=workspace, actor=actor, as_json=as_json)


_add_words("name", summary="Protect a person's name, and list the past pictures that it matches.")
_add_words("mark", summary="Protect a mark in words, and list the past pictures that it matches.")


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
    desk.ask(
        actor,
        lambda app, origin: app.protect.entries(origin, workspace_id=workspace),
        words=rights_replies.entries,
        document=(lambda found: [_entry_json(entry) for entry in found]) if as_json else None,
    )


@protect_app.command()
def remove(entry_id: str, actor: Actor = None) -> None:
    """End a protection; its row stays, with who ended it."""
    desk.ask(
        actor,
        lambda app, origin: app.protect.remove(origin, entry_id),
        words=rights_replies.unprotected,
    )


def _action(block: bool) -> Action:
    return Action.BLOCK if block else Action.HOLD
