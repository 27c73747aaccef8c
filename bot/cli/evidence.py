"""`verso whomade`, `evidence`, `verify`: the record, for disputes."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from attribution.images import DEFAULT_LIMITS
from attribution.standalone.verify import MAX_BUNDLE, read_container, when
from attribution.verify import Checklist, verify_bundle, verify_image
from bot import account_replies
from bot.cli.imagine import terminal_origin
from bot.cli.output import Exit, console, print_json, show_reply
from bot.compose import open_app
from bot.composition.configured import catalog_of
from bot.errors import UsageError
from bot.settings import load_settings
from bot.usecases.evidence import read_bounded
from bot.usecases.redraw import check_model, given_of, read_recorded, redraw

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
    image_id: Annotated[str, typer.Argument(help="The picture in dispute.")] = "",
    out: Annotated[
        Path | None, typer.Option(help="The bundle to write; without it the timeline is shown.")
    ] = None,
    found: Annotated[Path | None, typer.Option(help="The copy that was found, for a match report.")] = None,
    replay: Annotated[
        Path | None, typer.Option(help="A bundle whose job is drawn again, and its digests compared.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write the evidence bundle of a picture, show its timeline, or replay a bundle."""
    if replay is not None:
        if image_id or out or found:
            raise UsageError("--replay goes with no picture and no other file.", field="replay")
        asyncio.run(_replay(replay, as_json=as_json))
        return
    if not image_id:
        raise UsageError("Name a picture, or a bundle with --replay.", field="image_id")

    async def run() -> None:
        async with open_app(load_settings()) as app:
            copy = read_bounded(found, DEFAULT_LIMITS.max_bytes) if found else None
            origin = terminal_origin(None)
            bundle = await app.evidence.collect(origin, image_id, found=copy)
            story = json.loads(read_container(bundle)[0]["lineage.json"])
            if out is not None:
                await asyncio.to_thread(_write, out, bundle)
            if as_json:
                written = {"file": str(out), "bytes": len(bundle)} if out else {"lineage": story}
                print_json({"image_id": image_id, **written})
                return
            for line in timeline_lines(story):
                console.print(line, markup=False, soft_wrap=True)
            if out is not None:
                console.print(f"{out} ({len(bundle):,} bytes)", markup=False)
                console.print(
                    "Anyone can check it: verso verify, or the verify.py inside with only Python.",
                    style="dim",
                )

    asyncio.run(run())


def timeline_lines(story: Mapping[str, Any]) -> list[str]:
    """The timeline and the authorship statement of a bundle's `lineage.json`, for a terminal."""
    lines = ["What happened, in the order of the ledger:"]
    for step in story["steps"]:
        entry = step["entry"]
        about = entry["public"].get("image_id")
        lines.append(
            f"  {step['leaf_index']:>6}  {when(entry['at_ms'])}  {entry['kind'].replace('_', ' ')}"
            + (f"  image {about}" if about else "")
        )
    statement = story["authorship"]
    lines += ["", f"Human and machine contributions: {statement['summary']}"]
    for one in statement["contributions"]:
        details = f": {one['details']}" if one["details"] else ""
        lines.append(f"  {one['leaf_index']:>6}  {one['by']:<7}  {one['act']}{details}")
    return [_clean(line) for line in [*lines, "", statement["decides_no_law"], ""]]


def _clean(line: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in line)


async def _replay(file: Path, *, as_json: bool) -> None:
    settings = load_settings()
    recorded = read_recorded(read_bounded(file, MAX_BUNDLE))
    check_model(catalog_of(settings), recorded)
    async with open_app(settings) as app:
        given = await given_of(recorded, blobs=app.blobs, vault=app.vault)
        engine = await asyncio.to_thread(app.engine)
        try:
            result = await redraw(engine, recorded, given=given)
        finally:
            await engine.close()
    if as_json:
        print_json(
            {
                "image_id": result.image_id,
                "same": result.same,
                "recorded_pixels_sha256": result.recorded_sha256,
                "drawn_pixels_sha256": result.drawn_sha256,
                "differences": list(result.differences),
            }
        )
    else:
        console.print(f"Recorded pixels: {result.recorded_sha256}", soft_wrap=True)
        console.print(f"Drawn again:     {result.drawn_sha256}", soft_wrap=True)
        if result.same:
            console.print("The same, bit for bit.", style="bold green")
        else:
            console.print("They differ.", style="bold red")
        if result.differences:
            console.print("Not as recorded: " + ", ".join(result.differences), markup=False, soft_wrap=True)
    if not result.same:
        raise Exit(1)


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
