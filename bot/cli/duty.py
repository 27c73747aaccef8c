"""`verso review digest` and `verso review policies`: what moderators look at once a day."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from bot import people_replies
from bot.cli.output import print_json, show_reply
from bot.cli.people import Actor, AsJson, moderator, review_app
from bot.cli.takedown import takedown_json
from bot.compose import open_app
from bot.composition.app import App
from bot.settings import load_settings
from bot.usecases.digest import Day
from bot.usecases.review import NotModerator


def register(app: typer.Typer) -> None:
    """Add the commands to `verso review`."""
    del app
    review_app.command(name="digest")(digest)
    review_app.command(name="policies")(policies)


def digest(
    workspace: Annotated[str, typer.Option(help="discord:GUILD, slack:TEAM or terminal.")] = "terminal",
    actor: Actor = None,
    as_json: AsJson = False,
) -> None:
    """The last 24 hours: decisions by category, what waits, what is overdue, who has many blocks."""
    settings = load_settings()

    async def run() -> None:
        async with open_app(settings) as app:
            outcome = await app.digest.day(moderator(settings, actor), workspace)
            if as_json and isinstance(outcome, Day):
                print_json(await _json(app, outcome))
                return
            show_reply(people_replies.digest(outcome))
            for _, alert in await app.digest.alerts():
                if alert.workspace_id == workspace:
                    show_reply(people_replies.alert(alert))

    asyncio.run(run())


async def _json(app: App, day: Day) -> dict[str, object]:
    return {
        "workspace": day.workspace_id,
        "since_ms": day.since_ms,
        "counts": [
            {
                "content": kind,
                "action": action.name.lower(),
                "category": str(category) if category else None,
                "count": count,
            }
            for (kind, action, category), count in sorted(
                day.counts.items(), key=lambda item: tuple(map(str, item[0]))
            )
        ],
        "reviews": [{"id": r.id, "kind": r.kind, "deadline_ms": r.deadline_ms} for r in day.reviews],
        "takedowns": [takedown_json(takedown) for takedown in day.takedowns],
        "alerts": [
            {"name": alert.name, "blocks": alert.blocks, "hours": alert.hours}
            for _, alert in await app.digest.alerts()
            if alert.workspace_id == day.workspace_id
        ],
    }


def policies(actor: Actor = None, as_json: AsJson = False) -> None:
    """Which policy was in force from when; with --json also what each said."""
    settings = load_settings()

    async def run() -> None:
        async with open_app(settings) as app:
            outcome = await app.policies.history(moderator(settings, actor))
            if as_json and not isinstance(outcome, NotModerator):
                print_json(
                    [
                        {
                            "version": one.version,
                            "name": one.name,
                            "in_force_ms": one.in_force_ms,
                            "content": one.content,
                        }
                        for one in outcome
                    ]
                )
            else:
                show_reply(people_replies.policies(outcome))

    asyncio.run(run())
