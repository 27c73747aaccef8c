"""`verso review quarantine`: what may be illegal, closed off and preserved. Nothing of it is ever printed."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from bot import people_replies
from bot.cli.output import console, print_json, show_reply
from bot.cli.people import Actor, AsJson, moderator, review_app
from bot.compose import open_app
from bot.locked_file import OPEN_WITH
from bot.platforms.terminal import TerminalPlatform
from bot.settings import load_settings
from bot.usecases.evidence import read_bounded
from bot.usecases.review import NotModerator
from moderation.quarantine import Case

quarantine_app = typer.Typer(
    help="What may be illegal: closed off, preserved, exported sealed.", no_args_is_help=True
)


def register(app: typer.Typer) -> None:
    """Add the commands to `verso review`."""
    del app
    review_app.add_typer(quarantine_app, name="quarantine")


def _json(case: Case) -> dict[str, object]:
    return {
        "id": case.id,
        "workspace": case.workspace_id,
        "what": "prompt" if case.index is None else "image",
        "subject": case.subject,
        "job_id": case.job_id,
        "image_id": case.image_id,
        "decision_id": case.decision_id,
        "category": str(case.category),
        "actor": case.actor,
        "digests": dict(case.digests),
        "created_ms": case.created_ms,
        "keep_until_ms": case.keep_until_ms,
        "lifted_ms": case.lifted_ms,
    }


@quarantine_app.command()
def add(
    target: Annotated[str, typer.Argument(help="The id of a picture, a review or a decision.")],
    actor: Actor = None,
    as_json: AsJson = False,
) -> None:
    """Close off a picture or a prompt at once; its post is removed."""
    settings = load_settings()

    async def run() -> None:
        async with open_app(settings, platforms=[TerminalPlatform()]) as app:
            outcome = await app.quarantine.mark(moderator(settings, actor), target)
            await app.courier.drain()  # posts on Discord and Slack go through the running server
            if as_json and isinstance(outcome, Case):
                print_json(_json(outcome))
            else:
                show_reply(people_replies.case(outcome))

    asyncio.run(run())


@quarantine_app.command("list")
def list_cases(actor: Actor = None, as_json: AsJson = False) -> None:
    """What lies in quarantine, oldest first."""
    settings = load_settings()

    async def run() -> None:
        async with open_app(settings) as app:
            outcome = await app.quarantine.cases(moderator(settings, actor))
            if as_json and not isinstance(outcome, NotModerator):
                print_json([_json(case) for case in outcome])
            else:
                show_reply(people_replies.cases(outcome))

    asyncio.run(run())


@quarantine_app.command()
def show(case_id: str, actor: Actor = None, as_json: AsJson = False) -> None:
    """One case: ids and digests, neither words nor picture."""
    settings = load_settings()

    async def run() -> None:
        async with open_app(settings) as app:
            outcome = await app.quarantine.show(moderator(settings, actor), case_id)
            if as_json and isinstance(outcome, Case):
                print_json(_json(outcome))
            else:
                show_reply(people_replies.case(outcome))

    asyncio.run(run())


@quarantine_app.command()
def lift(case_id: str, actor: Actor = None) -> None:
    """End a quarantine that was a mistake; a post that was removed stays removed."""
    settings = load_settings()

    async def run() -> None:
        async with open_app(settings) as app:
            outcome = await app.quarantine.lift(moderator(settings, actor), case_id)
            show_reply(people_replies.cases(outcome if isinstance(outcome, NotModerator) else ()))

    asyncio.run(run())


@quarantine_app.command()
def export(
    case_id: str,
    out: Annotated[Path, typer.Option(help="The file to write.")],
    confirm: Annotated[str, typer.Option(help="The id of the case once more; asked for if missing.")] = "",
    passphrase_file: Annotated[
        Path | None, typer.Option(help="A file whose first line is the passphrase; asked for if missing.")
    ] = None,
    actor: Actor = None,
) -> None:
    """Write what is preserved into a file that opens with a passphrase, for an authority that asks for it."""
    settings = load_settings()
    origin = moderator(settings, actor)
    confirmed = confirm or typer.prompt("This copies what may be illegal. Type the id of the case to go on")
    if passphrase_file is None:
        passphrase = typer.prompt("Passphrase", hide_input=True, confirmation_prompt=True)
    else:
        passphrase = read_bounded(passphrase_file, 4096).decode("utf-8", "replace").partition("\n")[0]

    async def run() -> None:
        async with open_app(settings) as app:
            data = await app.quarantine.export(origin, case_id, confirmed=confirmed, passphrase=passphrase)
            await asyncio.to_thread(_write, out, data)
            console.print(f"{out} ({len(data):,} bytes). It opens with:", markup=False)
            console.print(OPEN_WITH, markup=False, soft_wrap=True)

    asyncio.run(run())


def _write(path: Path, data: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(data)
