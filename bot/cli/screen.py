"""`verso screen` and `verso screen-image`: dry runs of moderation."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from bot.cli.drawing import verdict_json
from bot.cli.output import console, print_json
from bot.cli.replay import replay
from bot.compose import open_moderator
from bot.errors import UsageError
from bot.settings import load_settings
from moderation.moderator import Moderator, screen_row
from moderation.pictures import PictureError, decode
from moderation.types import Action, Content, ImageContent, PromptContent, Scope, Verdict

MAX_LINE = 64 * 1024  # characters of one JSON line


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command(name="screen")(screen)
    app.command(name="screen-image")(screen_image)


def screen(
    text: Annotated[str | None, typer.Argument(help="The prompt to screen.")] = None,
    negative: Annotated[str, typer.Option(help="Its negative prompt.")] = "",
    policy: Annotated[Path | None, typer.Option(help="Another policy file.")] = None,
    jsonl: Annotated[bool, typer.Option("--jsonl", help="Read JSON lines from standard input.")] = False,
    recorded: Annotated[
        bool,
        typer.Option("--recorded", help="Screen the recorded prompts again, and show what would change."),
    ] = False,
    since: Annotated[str | None, typer.Option(help="With --recorded: 7d, or a date.")] = None,
    workspace: Annotated[str, typer.Option(help="With --recorded: only this workspace.")] = "",
    show_prompts: Annotated[
        bool, typer.Option("--show-prompts", help="With --recorded: show the words, too.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> None:
    """Say what moderation would decide about a prompt; nothing is recorded."""
    if (jsonl, text is not None, recorded).count(True) != 1:
        raise UsageError("Give one of a text, --jsonl and --recorded.", field="text")
    if recorded:
        replay(policy=policy, since=since, workspace=workspace, show_prompts=show_prompts, as_json=as_json)
        return
    asyncio.run(_screen(text or "", negative=negative, policy=policy, jsonl=jsonl, as_json=as_json))


async def _screen(text: str, *, negative: str, policy: Path | None, jsonl: bool, as_json: bool) -> None:
    async with open_moderator(load_settings(), policy_path=policy) as moderator:
        if jsonl:
            async for name, content in _lines():
                verdict = await moderator.review(content, Scope())
                sys.stdout.write(json.dumps({"id": name, **screen_row(verdict)}, ensure_ascii=False) + "\n")
                sys.stdout.flush()
            return
        verdict = await moderator.review(PromptContent(text=text, negative=negative), Scope())
        if as_json:
            print_json({"id": None, **screen_row(verdict)})
        else:
            _table(verdict, moderator)


async def _lines() -> AsyncIterator[tuple[object, Content]]:
    number = 0
    while line := await asyncio.to_thread(sys.stdin.readline, MAX_LINE):
        number += 1
        if not line.strip():
            continue
        try:
            values = json.loads(line)
            text, negative = values["text"], values.get("negative") or ""
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            text = None
        if not isinstance(text, str) or not isinstance(negative, str):
            raise UsageError(f'Line {number} is not {{"id", "text", "negative"?}}.', field="jsonl")
        yield values.get("id"), PromptContent(text=text, negative=negative)


def _table(verdict: Verdict, moderator: Moderator) -> None:
    colors = {Action.ALLOW: "green", Action.HOLD: "yellow", Action.BLOCK: "red"}
    console.print(verdict.action.name.lower(), style=f"bold {colors[verdict.action]}")
    if verdict.findings:
        table = Table(box=None, pad_edge=False)
        for title in ("rule", "category", "score", "action", "clause"):
            table.add_column(title, overflow="fold")
        for f in sorted(verdict.findings, key=lambda f: (-f.action, -f.score)):
            clause = moderator.policy.clause(f.clause).text if f.clause else ""
            table.add_row(f.rule, str(f.category), f"{f.score:.2f}", f.action.name.lower(), Text(clause))
        console.print(table)


def screen_image(
    files: Annotated[list[Path], typer.Argument(help="Pictures to screen.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> None:
    """Say what moderation would decide about pictures; a file that cannot be opened is held."""
    asyncio.run(_screen_images(files, as_json=as_json))


async def _screen_images(files: list[Path], *, as_json: bool) -> None:
    documents: list[object] = []
    async with open_moderator(load_settings(), policy_path=None) as moderator:
        for file in files:
            try:
                pixels = await asyncio.to_thread(decode, await asyncio.to_thread(file.read_bytes))
            except PictureError as error:
                documents.append({"file": str(file), "action": "hold", "findings": [], "error": str(error)})
                if not as_json:
                    console.print(f"{file}: hold: {error}", markup=False, style="yellow")
                continue
            verdict = await moderator.review(ImageContent(pixels=pixels), Scope())
            times = {name: round(ms, 3) for name, ms in verdict.rule_ms.items()}
            ms = round(verdict.elapsed_ms, 3)
            documents.append({"file": str(file), **verdict_json(verdict), "ms": ms, "rule_ms": times})
            if not as_json:
                console.print(str(file), markup=False, style="bold", end=": ")
                _table(verdict, moderator)
    if as_json:
        print_json(documents)
