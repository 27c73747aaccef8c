"""`verso imagine`: one request through the whole path."""

from __future__ import annotations

import asyncio
import getpass
import json
import secrets
from pathlib import Path
from typing import Annotated

import typer

from bot.cli.drawing import run_job
from bot.cli.output import (
    errors,
)
from bot.composition.app import App
from bot.conversation import ImagineCommand, Origin
from bot.usecases.outcomes import ImagineOutcome


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command(name="imagine")(imagine)


def terminal_origin(user: str | None, *, out: Path | None = None) -> Origin:
    """The origin of a command typed into a terminal: whoever has the shell is the operator."""
    name = user or getpass.getuser()
    return Origin(
        platform="terminal",
        workspace_id="terminal",
        user_id=name,
        user_name=name,
        event_id=secrets.token_hex(16),
        token=json.dumps({"out": (out or Path("out")).absolute().as_posix()}),
        upload_limit=64 * 1024 * 1024,
        is_moderator=True,
    )


def imagine(
    prompt: Annotated[str, typer.Argument(help="What to draw.")],
    negative: Annotated[str, typer.Option(help="What not to draw.")] = "",
    model: Annotated[str | None, typer.Option(help="A model id; see 'verso models list'.")] = None,
    aspect: Annotated[str, typer.Option(help="Width to height, e.g. 3:2.")] = "1:1",
    seed: Annotated[int | None, typer.Option(help="The same seed draws the same picture.")] = None,
    count: Annotated[int, typer.Option(help="1 to 4 pictures; picture i uses seed + i.")] = 1,
    user: Annotated[str | None, typer.Option(help="Who asks; default: the name of the shell's user.")] = None,
    out: Annotated[Path, typer.Option(help="The folder for the pictures.")] = Path("out"),
    accept_terms: Annotated[bool, typer.Option("--accept-terms", help="Accept the model's terms.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="If held, wait for the moderator.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> int:
    """Draw a picture: screened, queued, drawn, checked, signed, recorded."""
    command = ImagineCommand(
        origin=terminal_origin(user, out=out),
        prompt=prompt,
        negative_prompt=negative,
        model_id=model,
        aspect=aspect,
        seed=seed,
        count=count,
        accept_terms=accept_terms,
    )

    async def ask(app: App) -> ImagineOutcome:
        if accept_terms and not as_json:
            license_ = app.licenses.get(app.catalog.get(model).license_id)
            errors.print(f"Terms of {license_.name} ({license_.url}):", style="bold")
            errors.print(license_.terms_text.strip(), markup=False, style="dim")
            errors.print("Accepted with --accept-terms.\n", style="green")
        return await app.imagine(command)

    return asyncio.run(run_job(ask, as_json=as_json, wait=wait))
