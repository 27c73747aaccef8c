"""`verso review takedown`: requests to remove pictures, with a 48-hour clock."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from bot import people_replies
from bot.cli.output import print_json, show_reply
from bot.cli.people import Actor, AsJson, moderator, review_app
from bot.cli.protect import Asker, Received, Why, received_ms
from bot.compose import open_app
from bot.platforms.terminal import TerminalPlatform
from bot.settings import load_settings
from bot.usecases.review import NotModerator
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
    settings = load_settings()

    async def run() -> None:
        async with open_app(settings) as app:
            outcome = await app.take_down.pending(moderator(settings, actor))
            if as_json and not isinstance(outcome, NotModerator):
                print_json([takedown_json(takedown) for takedown in outcome])
            else:
                show_reply(people_replies.takedowns(outcome))

    asyncio.run(run())


@takedown_app.command()
def show(takedown_id: str, actor: Actor = None, as_json: AsJson = False) -> None:
    """One take-down with its pictures."""
    settings = load_settings()

    async def run() -> None:
        async with open_app(settings) as app:
            outcome = await app.take_down.show(moderator(settings, actor), takedown_id)
            if as_json and isinstance(outcome, Takedown):
                print_json(takedown_json(outcome))
            else:
                show_reply(people_replies.takedown(outcome))

    asyncio.run(run())


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
    settings = load_settings()

    async def run() -> None:
        async with open_app(settings) as app:
            outcome = await app.take_down.open_(
                moderator(settings, actor),
                image_ids,
                requested_by=asker,
                reason=reason,
                received_ms=received_ms(received),
            )
            if as_json and isinstance(outcome, Takedown):
                print_json(takedown_json(outcome))
            else:
                show_reply(people_replies.takedown(outcome))

    asyncio.run(run())


@takedown_app.command()
def confirm(
    takedown_id: str,
    only: Annotated[list[str] | None, typer.Option(help="Only this picture; may repeat.")] = None,
    actor: Actor = None,
) -> None:
    """Remove the pictures and their identical copies; the others stand."""
    settings = load_settings()

    async def run() -> None:
        async with open_app(settings, platforms=[TerminalPlatform()]) as app:
            outcome = await app.take_down.confirm(moderator(settings, actor), takedown_id, only=only or ())
            await app.courier.drain()  # posts on Discord and Slack go through the running server
            show_reply(people_replies.taken_down(outcome))

    asyncio.run(run())


@takedown_app.command()
def dismiss(takedown_id: str, actor: Actor = None) -> None:
    """Let the pictures stand."""
    settings = load_settings()

    async def run() -> None:
        async with open_app(settings) as app:
            show_reply(
                people_replies.takedown(await app.take_down.dismiss(moderator(settings, actor), takedown_id))
            )

    asyncio.run(run())
