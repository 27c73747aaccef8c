"""`verso screen --recorded`: the recorded prompts under another policy, as a table of what would change."""

from __future__ import annotations

import asyncio
import datetime as dt
import re
from pathlib import Path

from rich.table import Table
from rich.text import Text

from bot.cli.output import console, print_json
from bot.compose import open_app
from bot.errors import UsageError
from bot.settings import load_settings
from bot.usecases.replay import Change, Replayed
from bot.usecases.request import now_ms
from bot.words import iso, when
from moderation.policy import Policy

_DAYS = re.compile(r"(\d{1,5})d")
_DAY_MS = 86_400_000


def since_ms(text: str | None) -> int:
    """`7d` or an ISO 8601 moment (UTC where it names no zone) as Unix milliseconds; None: the beginning.

    Raises:
        UsageError: it is neither.
    """
    if text is None:
        return 0
    if days := _DAYS.fullmatch(text):
        return now_ms() - int(days[1]) * _DAY_MS
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text!r} is neither days such as 7d nor a date.", field="since") from None
    return round((moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).timestamp() * 1000)


def replay(
    *, policy: Path | None, since: str | None, workspace: str, show_prompts: bool, as_json: bool
) -> None:
    """Screen the recorded prompts again, and show what would change."""

    async def run() -> None:
        settings = load_settings()
        async with open_app(settings) as app:
            moderator = app.screener(Policy.load(policy) if policy else app.moderator.policy)
            try:
                replayed = await app.replay.run(
                    moderator, since_ms=since_ms(since), workspace_id=workspace or None
                )
            finally:
                moderator.close()
        if as_json:
            print_json(_json(replayed, show_prompts=show_prompts))
        else:
            _show(replayed, show_prompts=show_prompts)

    asyncio.run(run())


def _json(replayed: Replayed, *, show_prompts: bool) -> dict[str, object]:
    return {
        "policy": replayed.policy_version,
        "screened": sum(replayed.counts.values()),
        "skipped": replayed.skipped,
        "counts": [
            {"old": old.name.lower(), "new": new.name.lower(), "prompts": count}
            for (old, new), count in sorted(replayed.counts.items())
        ],
        "changes": [_change_json(change, show_prompts=show_prompts) for change in replayed.changes],
    }


def _change_json(change: Change, *, show_prompts: bool) -> dict[str, object]:
    return {
        "decision_id": change.decision_id,
        "workspace": change.workspace_id,
        "at": iso(change.created_ms),
        "old": change.old.name.lower(),
        "new": change.new.name.lower(),
        "category": str(change.category) if change.category else None,
        "rule": change.rule,
        **({"prompt": change.prompt} if show_prompts else {}),
    }


def _show(replayed: Replayed, *, show_prompts: bool) -> None:
    counts = Table(box=None, pad_edge=False)
    for title in ("recorded", "would be", "prompts"):
        counts.add_column(title)
    for (old, new), count in sorted(replayed.counts.items()):
        style = None if old is new else "yellow"
        counts.add_row(old.name.lower(), new.name.lower(), str(count), style=style)
    console.print(counts)
    if replayed.skipped:
        console.print(f"{replayed.skipped} can no longer be opened and were skipped.", style="dim")
    if not replayed.changes:
        console.print("Nothing would change.", style="green")
        return
    changes = Table(box=None, pad_edge=False)
    for title in ("decision", "when", "change", "category", "rule", *(["prompt"] if show_prompts else [])):
        changes.add_column(title, overflow="fold")
    for change in replayed.changes:
        changes.add_row(
            change.decision_id,
            when(change.created_ms),
            f"{change.old.name.lower()} -> {change.new.name.lower()}",
            str(change.category or ""),
            change.rule or "",
            *([Text(change.prompt)] if show_prompts else []),
        )
    console.print(changes)
