"""`verso review takedown`: requests to remove pictures, with a 48-hour clock."""

from __future__ import annotations

from typing import Annotated

import typer

from bot import rights_replies
from bot.cli import desk
from bot.cli.people import Actor, AsJson, review_app
from bot.cli.protect import Asker, Received, Why, received_ms
from bot.usecases.takedown import overdue
from moderation.takedowns import Takedown

takedown_app = typer.Typer(help="Take-downs: the overdue first.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands to `verso review`."""
    del app
    review_app.add_typer(takedown_app, name="takedown")


def takedown_json(takedown: Takedown) -> dict[str, object]:
    """A take-down as JSON."""
    return {
        "id": takedown.id,
        "workspace": takedown.workspace_id,
        "status": takedown.status,
        "requested_by": takedown.requested_by,
        "reason": takedown.reason,
        "created_ms": takedown.created_ms,
        "deadline_ms": takedown.deadline_ms,
        "overdue": takedown.open and overdue(takedown),
        "items": [
            {"image_id": item.image_id, "why": item.why, "status": item.status, "removed_ms": item.removed_ms}
            for item in takedown.items
        ],
    }


@takedown_app.command("list")
def list_takedowns(actor: Actor = None, as_json: AsJson = False) -> None:
    """What waits for a decision or for a platform, the nearest deadline first."""
    desk.ask(
        actor,
        lambda app, origin: app.take_down.pending(origin),
        words=rights_replies.takedowns,
        document=(lambda found: [takedown_json(one) for one in found]) if as_json else None,
    )


@takedown_app.command()
def show(takedown_id: str, actor: Actor = None, as_json: AsJson = False) -> None:
    """One take-down with its pictures."""
    desk.ask(
        actor,
        lambda app, origin: app.take_down.show(origin, takedown_id),
        words=rights_replies.takedown,
        document=takedown_json if as_json else None,
    )


@takedown_app.command("open")
def open_takedown(
    image_ids: Annotated[list[str], typer.Argument(help="The pictures.")],
    asker: Asker,
    reason: Why,
    received: Received = None,
    actor: Actor = None,
    as_json: AsJson = False,
) -> None:
    """Take in a request about known pictures, without protecting anything for the future."""
    asked_ms = received_ms(received)
    desk.ask(
        actor,
        lambda app, origin: app.take_down.open_(
            origin, image_ids, requested_by=asker, reason=reason, received_ms=asked_ms
        ),
        words=rights_replies.takedown,
        document=takedown_json if as_json else None,
    )


@takedown_app.command()
def confirm(
    takedown_id: str,
    only: Annotated[list[str] | None, typer.Option(help="Only this picture; may repeat.")] = None,
    actor: Actor = None,
) -> None:
    """Remove the pictures and their identical copies; the others stand."""
    desk.ask(
        actor,
        lambda app, origin: app.take_down.confirm(origin, takedown_id, only=only or ()),
        words=rights_replies.taken_down,
        deliver=True,
    )


@takedown_app.command()
def dismiss(takedown_id: str, actor: Actor = None) -> None:
    """Let the pictures stand."""
    desk.ask(
        actor,
        lambda app, origin: app.take_down.dismiss(origin, takedown_id),
        words=rights_replies.takedown,
    )
