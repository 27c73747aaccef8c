"""`verso whomade`, `evidence`, `verify`: the record, for disputes."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from attribution.images import DEFAULT_LIMITS
from attribution.standalone.verify import MAX_BUNDLE
from attribution.verify import Checklist, verify_bundle, verify_image
from bot import account_replies
from bot.cli.imagine import terminal_origin
from bot.cli.output import Exit, console, print_json, show_reply
from bot.compose import open_app
from bot.settings import load_settings
from bot.usecases.evidence import read_bounded

AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command(name="whomade")(whomade)
    app.command(name="evidence")(evidence)
    app.command(name="verify")(verify)


def whomade(
    file: Annotated[Path, typer.Argument(help="A picture found anywhere.")],
    user: Annotated[
        str | None, typer.Option("--as", help="Who asks; looking somebody up is recorded.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Find who made a picture, from the file alone."""

    async def run() -> None:
        data = read_bounded(file, DEFAULT_LIMITS.max_bytes)
        async with open_app(load_settings()) as app:
            origin = terminal_origin(user)
            found = await app.who_made.find(data, origin=origin)
            result = found.result
            if not as_json:
                show_reply(account_replies.who_made(found))
                return
            print_json(
                {
                    "matches": [
                        {
                            "image_id": m.image_id,
                            "requester": name,
                            "confidence": m.confidence,
                            "evidence": list(m.evidence),
                            "false_match_rate": m.false_match_rate,
                        }
                        for m, name in zip(result.matches, found.requesters, strict=True)
                    ],
                    "searched": result.searched,
                    "ms": round(result.ms, 3),
                }
            )

    asyncio.run(run())


def evidence(
    image_id: Annotated[str, typer.Argument(help="The picture in dispute.")],
    out: Annotated[Path, typer.Option(help="The bundle to write.")],
    found: Annotated[Path | None, typer.Option(help="The copy that was found, for a match report.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write the evidence bundle of a picture."""

    async def run() -> None:
        async with open_app(load_settings()) as app:
            copy = read_bounded(found, DEFAULT_LIMITS.max_bytes) if found else None
            bundle = await app.evidence.collect(terminal_origin(None), image_id, found=copy)
            await asyncio.to_thread(_write, out, bundle)
            if as_json:
                print_json({"file": str(out), "image_id": image_id, "bytes": len(bundle)})
            else:
                console.print(f"{out} ({len(bundle):,} bytes)", markup=False)
                console.print(
                    "Anyone can check it: verso verify, or the verify.py inside with only Python.",
                    style="dim",
                )

    asyncio.run(run())


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def verify(
    file: Annotated[Path, typer.Argument(help="An evidence bundle, or a picture.")],
    trust: Annotated[
        Path | None, typer.Option(help="The operator's verifier key, got from elsewhere.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check a bundle or a picture, offline, without Verso's database."""
    started = time.monotonic()
    data = read_bounded(file, MAX_BUNDLE)
    key = read_bounded(trust, 65_536).decode("utf-8", "replace").strip() if trust else None
    checklist = verify_image(data, trust=key) if _is_picture(data) else verify_bundle(data, trust=key)
    if as_json:
        print_json(
            {
                "ok": checklist.ok,
                "self_certified": checklist.self_certified,
                "signer": checklist.signer,
                "steps": [
                    {"number": s.number, "title": s.title, "ok": s.ok, "detail": s.detail}
                    for s in checklist.steps
                ],
                "ms": round((time.monotonic() - started) * 1000, 1),
            }
        )
    else:
        _show(checklist)
    if not checklist.ok:
        raise Exit(1)


def _is_picture(data: bytes) -> bool:
    return data.startswith((b"\x89PNG", b"\xff\xd8\xff", b"GIF8")) or (
        data[:4] == b"RIFF" and data[8:12] == b"WEBP"
    )


def _show(checklist: Checklist) -> None:
    for step in checklist.steps:
        mark = Text("✓ " if step.ok else "✗ ", style="green" if step.ok else "bold red")
        detail = Text(f"  {step.detail}" if step.detail else "", style="dim")
        console.print(mark + Text(f"{step.number:>2}. {step.title}") + detail, soft_wrap=True)
    if checklist.ok:
        console.print("All steps hold.", style="bold green")
    else:
        console.print("Verification failed.", style="bold red")
    if checklist.self_certified:
        console.print(
            "The signer is self-certified: give the operator's published key with --trust to know who it is.",
            style="yellow",
        )
    if checklist.signer:
        console.print(f"Signer: {checklist.signer}", markup=False)
