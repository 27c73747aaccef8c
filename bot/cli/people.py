"""`verso review` and `verso account`: moderators' decisions and the per-user usage log."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from bot import review_replies
from bot.account_copy import account_json, copy_files, names_of, write_copy
from bot.cli.drawing import working
from bot.cli.imagine import terminal_origin
from bot.cli.output import Exit, console, print_json, show_reply
from bot.compose import open_app
from bot.composition.app import App
from bot.conversation import Origin
from bot.errors import NotFoundError
from bot.platforms.terminal import TerminalPlatform
from bot.settings import Settings, load_settings
from bot.usecases.request import now_ms
from bot.usecases.review import Decided, ReviewList, ReviewView
from bot.words import when

review_app = typer.Typer(
    help="The moderators' queue; every decision records its actor.", no_args_is_help=True
)
account_app = typer.Typer(help="The per-user usage log.", no_args_is_help=True)

Reason = Annotated[str, typer.Option(help="Why; the requester reads it.")]
Actor = Annotated[str | None, typer.Option("--as", help="Who decides; default: the shell's user.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.add_typer(review_app, name="review")
    app.add_typer(account_app, name="account")


def moderator(settings: Settings, actor: str | None) -> Origin:
    """The origin of whoever decides at this shell.

    Raises:
        Exit: the settings name the moderators, and this is none of them.
    """
    origin = terminal_origin(actor)
    if settings.moderators and origin.user_name not in settings.moderators:
        raise Exit(1, f"{origin.user_name} is not among VERSO_MODERATORS.", error_code="not_moderator")
    return origin


@review_app.command("list")
def list_reviews(actor: Actor = None, as_json: AsJson = False) -> None:
    """What waits for a decision, in all workspaces."""
    settings = load_settings()

    async def run() -> None:
        async with open_app(settings) as app:
            outcome = await app.review_room.pending(moderator(settings, actor))
            if as_json:
                views = outcome.views if isinstance(outcome, ReviewList) else ()
                print_json(
                    [
                        {
                            "review_id": v.review.id,
                            "kind": v.review.kind,
                            "workspace": v.review.workspace_id,
                            "prompt": v.command.prompt,
                            "appeal": v.appeal,
                            "deadline_ms": v.review.deadline_ms,
                        }
                        for v in views
                    ]
                )
            else:
                show_reply(review_replies.reviews(outcome))

    asyncio.run(run())


@review_app.command("show")
def show_review(
    review_id: str,
    out: Annotated[Path | None, typer.Option(help="A file for the picture that is held.")] = None,
    actor: Actor = None,
) -> None:
    """One review with its prompt; the picture that is held goes to a file."""
    settings = load_settings()

    async def run() -> None:
        async with open_app(settings) as app:
            view = await app.review_room.show(moderator(settings, actor), review_id)
            show_reply(review_replies.review(view))
            if out is not None and isinstance(view, ReviewView) and view.picture is not None:
                await asyncio.to_thread(out.write_bytes, view.picture)

    asyncio.run(run())


def _decide(step: str, review_id: str, *, reason: str, actor: str | None, wait: bool, as_json: bool) -> None:
    settings = load_settings()

    async def run() -> None:
        async with open_app(settings, platforms=[TerminalPlatform()]) as app:
            outcome = await app.review_room.decide(
                moderator(settings, actor), review_id, step=step, reason=reason
            )
            drawn = 0
            if isinstance(outcome, Decided) and outcome.view.held is not None:
                await app.courier.drain()
            elif isinstance(outcome, Decided) and outcome.accepted is not None and wait:
                async with working(app):
                    drawn = len((await app.courier.settled(outcome.accepted.job.id)).images)
            if as_json:
                print_json({"review_id": review_id, "outcome": step, "drawn": drawn})
            else:
                show_reply(review_replies.decided(outcome))

    asyncio.run(run())


Wait = Annotated[bool, typer.Option("--wait", help="Draw an approved request now.")]


@review_app.command()
def approve(
    review_id: str, reason: Reason = "", actor: Actor = None, wait: Wait = False, as_json: AsJson = False
) -> None:
    """Let the request run with its original parameters."""
    _decide("approve", review_id, reason=reason, actor=actor, wait=wait, as_json=as_json)


@review_app.command()
def uphold(review_id: str, reason: Reason = "", actor: Actor = None, as_json: AsJson = False) -> None:
    """Keep the block."""
    _decide("uphold", review_id, reason=reason, actor=actor, wait=False, as_json=as_json)


@review_app.command()
def warn(review_id: str, reason: Reason = "", actor: Actor = None, as_json: AsJson = False) -> None:
    """Keep the block, and count a strike."""
    _decide("warn", review_id, reason=reason, actor=actor, wait=False, as_json=as_json)


@review_app.command()
def timeout(review_id: str, reason: Reason = "", actor: Actor = None, as_json: AsJson = False) -> None:
    """Keep the block, and let the person pause."""
    _decide("timeout", review_id, reason=reason, actor=actor, wait=False, as_json=as_json)


async def subject_named(app: App, name: str) -> str:
    """The pseudonym of `NAME` (terminal user), `discord:GUILD:USER`, `slack:TEAM:USER`, or a pseudonym.

    Raises:
        NotFoundError: nobody of that name has been here.
    """
    if len(name) == 32 and all(c in "0123456789abcdef" for c in name):
        return name
    parts = name.split(":")
    platform, workspace, user = (
        (parts[0], f"{parts[0]}:{parts[1]}", parts[2]) if len(parts) == 3 else ("terminal", "terminal", name)
    )
    subject = await app.vault.find(platform, workspace, user)
    if subject is None:
        raise NotFoundError("user", name)
    return subject


@account_app.command("show")
def show_account(
    user: str,
    reason: Annotated[str, typer.Option(help="Why; the person reads it in their own log.")] = "not given",
    actor: Actor = None,
    as_json: AsJson = False,
) -> None:
    """All that is recorded of a person: a name, discord:GUILD:ID or slack:TEAM:ID. The look is recorded."""

    async def run() -> None:
        async with open_app(load_settings()) as app:
            subject = await subject_named(app, user)
            await app.accounts.looked_up(terminal_origin(actor), subject, reason=reason)
            view = await app.accounts.show(subject)
            if as_json:
                print_json(account_json(view, await app.accounts.pictures(subject)))
                return
            table = Table(title=Text(f"{view.name or user} ({view.workspace_id})"), title_justify="left")
            for title in ("when", "what", "details", "leaf"):
                table.add_column(title, overflow="fold")
            for line in view.lines:
                details = ", ".join(
                    f"{k}: {v}" for k, v in {**line.private, **line.public}.items() if v != ""
                )
                table.add_row(when(line.at_ms), line.kind, Text(details), str(line.leaf_index))
            console.print(table)

    asyncio.run(run())


@account_app.command()
def export(
    user: str,
    out: Annotated[Path, typer.Option(help="The folder for the copy.")],
    as_json: AsJson = False,
) -> None:
    """A copy for the person: the usage log as JSON, a gallery to look at, and the signed pictures."""

    async def run() -> None:
        async with open_app(load_settings()) as app:
            subject = await subject_named(app, user)
            view, pictures = await app.accounts.show(subject), await app.accounts.pictures(subject)
            files = await asyncio.to_thread(
                copy_files, view, pictures, license_of=names_of(app.licenses), made_ms=now_ms()
            )
            await asyncio.to_thread(write_copy, files, out)
            if as_json:
                print_json({"folder": str(out), "files": sorted(files), "events": len(view.lines)})
                return
            shown = sum(picture.png is not None for picture in pictures)
            console.print(
                f"{len(view.lines)} events and {shown} pictures in {out}; open gallery.html.", markup=False
            )

    asyncio.run(run())


@account_app.command()
def withdraw(user: str) -> None:
    """Withdraw a person's acceptance of all terms: no further pictures until accepted again."""

    async def run() -> None:
        async with open_app(load_settings()) as app:
            count = await app.accounts.withdraw(await subject_named(app, user))
            console.print(f"Withdrawn: {count}.")

    asyncio.run(run())


@account_app.command()
def erase(user: str, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Erase a person: words, names and pictures become unreadable for good; the ledger still audits."""
    if not yes:
        typer.confirm(f"Erase everything of {user}? This cannot be undone.", abort=True)

    async def run() -> None:
        async with open_app(load_settings()) as app:
            await app.accounts.erase(await subject_named(app, user))
            console.print("Erased.", style="green")

    asyncio.run(run())
