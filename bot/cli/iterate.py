"""`verso vary`, `upscale`, `blend` and `describe`: going on from a picture."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from bot import next_replies
from bot.cli.drawing import run_job
from bot.cli.imagine import terminal_origin
from bot.cli.output import Exit, print_json, show_reply
from bot.compose import open_app
from bot.composition.app import App
from bot.conversation import BlendCommand, DescribeCommand, ExtendCommand, VaryCommand
from bot.errors import UsageError
from bot.settings import load_settings
from bot.usecases.describe import Described
from bot.usecases.outcomes import ImagineOutcome
from bot.usecases.uploads import UploadRefusedError
from moderation.pictures import MAX_BYTES

User = Annotated[str | None, typer.Option(help="Who asks; default: the name of the shell's user.")]
Out = Annotated[Path, typer.Option(help="The folder for the pictures.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
BLOCKED = 3


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    for name, command in (("vary", vary), ("upscale", upscale), ("blend", blend), ("describe", describe)):
        app.command(name=name)(command)


def vary(
    image_id: Annotated[str, typer.Argument(help="The picture to start from.")],
    prompt: Annotated[str | None, typer.Option(help="Other words.")] = None,
    strength: Annotated[
        float | None,
        typer.Option(help="How much to redraw, above 0 to 1 (words alone); default: the model's own."),
    ] = None,
    mask: Annotated[
        Path | None, typer.Option(help="Redraw only where this picture is white (models that in-paint).")
    ] = None,
    extend: Annotated[
        str | None,
        typer.Option(
            help="Keep the picture, and draw so many px around it: left=64,right=64,top=0,bottom=0."
        ),
    ] = None,
    zoom_out: Annotated[
        float | None,
        typer.Option(help="Keep the picture so many times smaller, and draw what lies around it."),
    ] = None,
    extend_to: Annotated[
        str | None, typer.Option(help="Keep the picture, and draw what this aspect has more, e.g. 3:2.")
    ] = None,
    user: User = None,
    out: Out = Path("out"),
    as_json: AsJson = False,
) -> int:
    """Draw one more picture from this one with a new seed, or what lies around it."""
    origin = terminal_origin(user, out=out)
    wider = None
    if extend is not None or zoom_out is not None or extend_to is not None:
        if strength is not None or mask is not None:
            raise UsageError(
                "--strength and --mask go with the picture, not with what lies around it.", field="strength"
            )
        sides = None if extend is None else _sides(extend)
        wider = ExtendCommand(
            origin=origin, image_id=image_id, sides=sides, zoom=zoom_out, aspect=extend_to, prompt=prompt
        )

    white = None if mask is None else _read(mask)

    async def ask(app: App) -> ImagineOutcome:
        if wider is not None:
            return await app.next_steps.extend(wider)
        if white is not None:
            share: float | str = "strong" if strength is None else strength
            part = VaryCommand(origin=origin, image_id=image_id, prompt=prompt, strength=share)
            return await app.next_steps.inpaint(part, white)
        return await app.iterate.vary(
            origin, image_id, prompt=prompt, strength="strong" if strength is None else strength
        )

    return asyncio.run(run_job(ask, as_json=as_json, wait=False))


def upscale(
    image_id: Annotated[str, typer.Argument(help="The picture to enlarge.")],
    factor: Annotated[int, typer.Option(help="2 or 4.")] = 2,
    user: User = None,
    out: Out = Path("out"),
    as_json: AsJson = False,
) -> int:
    """Enlarge a picture with the network that ships with Verso (Real-ESRGAN)."""
    origin = terminal_origin(user, out=out)

    async def ask(app: App) -> ImagineOutcome:
        return await app.iterate.upscale(origin, image_id, factor=factor)

    return asyncio.run(run_job(ask, as_json=as_json, wait=False))


def blend(
    first: Annotated[str, typer.Argument(help="A picture's id, or a file.")],
    second: Annotated[str, typer.Argument(help="Another.")],
    prompt: Annotated[str, typer.Option(help="What they shall become; default: the words of both.")] = "",
    strength: Annotated[float | None, typer.Option(help="How much to redraw, above 0 to 1.")] = None,
    user: User = None,
    out: Out = Path("out"),
    as_json: AsJson = False,
) -> int:
    """Lay two pictures side by side and have them redrawn as one."""
    command = BlendCommand(
        origin=terminal_origin(user, out=out),
        first=_picture(first),
        second=_picture(second),
        prompt=prompt,
        strength=strength,
    )

    async def ask(app: App) -> ImagineOutcome:
        return await app.next_steps.blend(command)

    return asyncio.run(run_job(ask, as_json=as_json, wait=False))


def describe(
    file: Annotated[Path, typer.Argument(help="A PNG, JPEG, WebP, GIF or BMP.")],
    user: User = None,
    as_json: AsJson = False,
) -> None:
    """Say what can be told of a picture: size, colors, text, and which credited pictures it looks like."""
    command = DescribeCommand(origin=terminal_origin(user), image=_read(file))

    async def run() -> None:
        async with open_app(load_settings()) as app:
            try:
                found = await app.next_steps.describe(command)
            except UploadRefusedError as error:
                raise Exit(BLOCKED, str(error), error_code=error.code) from None
            if not isinstance(found, Described):
                raise Exit(1, app.replies.imagine(found).text, error_code="timed_out")
        if as_json:
            print_json(_json(found))
        else:
            show_reply(next_replies.described(found))

    asyncio.run(run())


def _sides(text: str) -> tuple[int, int, int, int]:
    """Left, top, right and bottom out of `left=64,right=64`."""
    found = dict.fromkeys(("left", "top", "right", "bottom"), 0)
    for part in text.split(","):
        name, _, value = part.strip().partition("=")
        if name not in found or not (value.isascii() and value.isdigit() and len(value) <= 5):
            raise UsageError(f"{part.strip()!r} is not such as left=64.", field="extend")
        found[name] = int(value)
    return found["left"], found["top"], found["right"], found["bottom"]


def _json(found: Described) -> dict[str, object]:
    return {
        "width": found.width,
        "height": found.height,
        "media_type": found.media_type,
        "bytes": found.size,
        "colors": [{"name": name, "share": share} for name, share in found.colors],
        "text": found.text,
        "text_withheld": found.text_withheld,
        "looks_like": [one.to_json() for one in found.likenesses],
        "cannot_tell": next_replies.CANNOT,
    }


def _picture(name: str) -> str | bytes:
    """A file's bytes where there is such a file, else an id."""
    path = Path(name)
    return _read(path) if path.is_file() else name


def _read(path: Path) -> bytes:
    if not path.is_file():
        raise UsageError(f"There is no file {path}.", field="file")
    with path.open("rb") as stream:
        return stream.read(MAX_BYTES + 1)  # one more than is looked at: larger files are refused by size
