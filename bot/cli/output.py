"""How the command line looks: results on standard output, progress and errors on standard error."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterable, Mapping
from typing import Final, Self

import numpy as np
from PIL import Image
from rich.console import Console
from rich.panel import Panel
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn
from rich.table import Table
from rich.text import Text

from bot import conversation
from bot.conversation import Field, Reply
from bot.words import dated, duration

PREVIEW_COLUMNS: Final = 40
TONES: Final = {"neutral": "default", "good": "green", "warning": "yellow", "bad": "red"}

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)


class Exit(Exception):  # noqa: N818 - it ends a command, it is not always a failure
    """Ends a command with an exit code, a sentence for people and a document for scripts."""

    def __init__(self, code: int, message: str = "", *, error_code: str = "failed") -> None:
        super().__init__(message)
        self.code, self.message, self.error_code = code, message, error_code


def print_json(document: Mapping[str, object] | list[object]) -> None:
    """One JSON document on standard output."""
    sys.stdout.write(json.dumps(document, ensure_ascii=False, indent=2) + "\n")
    sys.stdout.flush()


def failure(code: str, message: str) -> dict[str, object]:
    """The JSON document of a failed command."""
    return {"status": "failed", "error": {"code": code, "message": message}}


def half_blocks(png: bytes, *, columns: int = PREVIEW_COLUMNS) -> Text:
    """A picture as colored half blocks: two pixels a character cell."""
    with Image.open(io.BytesIO(png)) as image:
        rows = max(2, round(columns * image.height / image.width / 2) * 2)
        pixels = np.asarray(image.convert("RGB").resize((columns, rows), Image.Resampling.LANCZOS))
    text = Text()
    for upper, lower in zip(pixels[0::2], pixels[1::2], strict=True):
        for (r, g, b), (r2, g2, b2) in zip(upper.tolist(), lower.tolist(), strict=True):
            text.append("▀", style=f"rgb({r},{g},{b}) on rgb({r2},{g2},{b2})")
        text.append("\n")
    return text


def show_reply(reply: Reply, *, to: Console = console) -> None:
    """A reply as a panel; user-typed text is never read as markup."""
    body = Text(reply.text)
    if reply.fields:
        body.append("\n\n" if reply.text else "")
        for n, field in enumerate(reply.fields):
            body.append("\n" if n else "")
            body.append(f"{field.label}: ", style="bold")
            body.append(dated(field))
            if field.url:
                body.append(f"\n  {field.url}", style=f"cyan link {field.url}")
    to.print(Panel(body, title=Text(reply.title) if reply.title else None, border_style=TONES[reply.tone]))


def show_fields(title: str, fields: Iterable[Field]) -> None:
    """Labels and values as a two-column table."""
    table = Table(title=title or None, show_header=False, box=None, pad_edge=False, title_justify="left")
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for field in fields:
        value = Text(dated(field))
        if field.url:
            value.append(f"\n{field.url}", style=f"cyan link {field.url}")
        table.add_row(Text(field.label), value)
    console.print(table)


class JobProgress:
    """A progress bar with place and wait, on standard error."""

    def __init__(self, *, enabled: bool) -> None:
        self._bar = Progress(
            SpinnerColumn(finished_text="✓"),
            TextColumn("{task.description}"),
            BarColumn(bar_width=40),
            TextColumn("{task.percentage:>3.0f} %"),
            TextColumn("{task.fields[wait]}"),
            console=errors,
            transient=True,  # a finished bar says nothing that the picture does not
            disable=not enabled,
        )
        self._task = self._bar.add_task("waiting", total=1.0, wait="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, progress: conversation.Progress) -> None:
        """Show the newest state."""
        place = f"place {progress.place}" if progress.place else "drawing"
        wait = f"about {duration(progress.eta_s)} left" if progress.eta_s else ""
        if progress.elsewhere_s is not None:
            place, wait = "waiting for the image server", f"{duration(progress.elsewhere_s)} so far"
        self._bar.update(self._task, description=place, completed=progress.fraction, wait=wait)

    def done(self) -> None:
        """The picture is there."""
        self._bar.update(self._task, description="drawn", completed=1.0, wait="")
