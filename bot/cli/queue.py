"""`verso queue`: what waits, and the operator's hand on the tap."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated

import typer

from bot.cli.imagine import terminal_origin
from bot.cli.output import console, print_json, show_fields
from bot.cli.people import AsJson, subject_named
from bot.compose import open_app
from bot.composition.app import App
from bot.conversation import Field
from bot.settings import load_settings
from bot.usecases.request import subject_of
from bot.words import plural, when
from generation.pausing import EVERYWHERE, PauseMode

Workspace = Annotated[
    str, typer.Option("--workspace", help="discord:GUILD, slack:TEAM or terminal; without it: all of them.")
]
Reason = Annotated[str, typer.Option("--reason", help="Told to whoever asks meanwhile.")]

_STANDS = {PauseMode.PAUSE: "paused: nothing is drawn", PauseMode.DRAIN: "draining: nothing new is taken"}

queue_app = typer.Typer(no_args_is_help=True, help="What waits; pause, drain, resume, cancel.")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(queue_app, name="queue")


@queue_app.command(name="show")
def show(as_json: AsJson = False) -> None:
    """What waits and what is being drawn, by workspace."""

    async def body(app: App) -> None:
        load, pauses = await app.queue.load(), await app.queue.pauses()
        if as_json:
            print_json(
                {
                    "workspaces": [
                        {
                            "workspace": one.workspace_id,
                            "queued": one.queued,
                            "running": one.running,
                            "oldest_ms": one.oldest_ms,
                        }
                        for one in load
                    ],
                    "pauses": [
                        {
                            "workspace": order.workspace_id,
                            "mode": order.mode,
                            "reason": order.reason,
                            "since_ms": order.since_ms,
                        }
                        for order in pauses
                    ],
                }
            )
            return
        waiting = [
            Field(
                label=one.workspace_id,
                value=f"{one.queued} waiting, {one.running} being drawn; oldest from {when(one.oldest_ms)}",
            )
            for one in load
        ]
        standing = [
            Field(
                label="all workspaces" if order.workspace_id == EVERYWHERE else order.workspace_id,
                value=f"{_STANDS[order.mode]} since {when(order.since_ms)}"
                + (f" ({order.reason})" if order.reason else ""),
            )
            for order in pauses
        ]
        if waiting or standing:
            show_fields("", [*standing, *waiting])
        else:
            console.print("Nothing waits, and nothing stands still.")

    _run(body)


@queue_app.command(name="pause")
def pause(workspace: Workspace = EVERYWHERE, reason: Reason = "") -> None:
    """Stop drawing; requests are still taken and keep their place. Running ones are finished."""
    _run(lambda app: _stand(app, workspace, PauseMode.PAUSE, reason))


@queue_app.command(name="drain")
def drain(workspace: Workspace = EVERYWHERE, reason: Reason = "") -> None:
    """Take nothing new and draw what waits: then the machine can be switched off."""
    _run(lambda app: _stand(app, workspace, PauseMode.DRAIN, reason))


@queue_app.command(name="resume")
def resume(workspace: Workspace = EVERYWHERE) -> None:
    """Undo pause or drain."""

    async def body(app: App) -> None:
        resumed = await app.queue.resume(workspace)
        console.print("The queue goes on." if resumed else "It was not standing still.")

    _run(body)


@queue_app.command(name="cancel")
def cancel(
    user: Annotated[str, typer.Argument(help="A terminal user name, or PLATFORM:WORKSPACE:USER.")],
    reason: Annotated[str, typer.Option("--reason", help="Kept with the entry.")] = "",
) -> None:
    """Cancel all jobs of a user, waiting and running; the ledger notes who did it, and why."""

    async def body(app: App) -> None:
        subject = await subject_named(app, user)
        actor = await subject_of(app.vault, terminal_origin(None))
        count = (await app.people.cancel_all(subject, actor=actor, reason=reason)).jobs
        console.print(f"Cancelled: {count} {plural('request', count)}.")

    _run(body)


async def _stand(app: App, workspace: str, mode: PauseMode, reason: str) -> None:
    await app.queue.pause(workspace, mode, reason=reason)
    where = "everywhere" if workspace == EVERYWHERE else f"in {workspace}"
    effect = _STANDS[mode].partition(": ")[2]
    console.print(f"From now on, {where}: {effect}. `verso queue resume` undoes it.")


def _run(body: Callable[[App], Awaitable[None]]) -> None:
    async def run() -> None:
        async with open_app(load_settings()) as app:
            await body(app)

    asyncio.run(run())
