"""Draws replies and progress as Block Kit, inside Slack's limits.

Source: docs.slack.dev, Block Kit reference: 50 blocks a message, 100 a view; a section has 3000 characters
or 10 fields of 2000; an actions block has 25 elements; an action id is unique within its block.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bot.conversation import Button, Field, ImageFile, Progress, Reply
from bot.platforms.slack.text import (
    ALT_LIMIT,
    FIELD_LIMIT,
    LABEL_LIMIT,
    MESSAGE_LIMIT,
    VALUE_LIMIT,
    chunks,
    date,
    link,
    mrkdwn,
    plain,
)
from bot.words import when

Block = dict[str, object]

MESSAGE_BLOCKS = 50
BUTTONS_A_ROW = 5  # what a narrow window shows in one line
FIELDS_A_SECTION = 10
ACTION = re.compile(r"^v:(?P<name>[a-z_]+[0-9]?)(?P<ask>\?)?(?::\d+)?$")
_TITLE_LIMIT = 250
_LABEL_PART = 200  # of a field's label
_BAR = 12  # cells of the progress bar
_DONE, _TO_DO = "\u25b0", "\u25b1"
_STAR = "\u2217"  # looks like an asterisk and makes nothing bold
_TONES = {"neutral": "", "good": "\u2705 ", "warning": "\u26a0\ufe0f ", "bad": "\u26d4 "}


@dataclass(frozen=True, kw_only=True, slots=True)
class SharedImage:
    """A picture that Slack already shows somewhere in the conversation, so a block may name it."""

    file_id: str
    image: ImageFile


def card(reply: Reply, shared: Sequence[SharedImage] = ()) -> list[Block]:
    """The blocks of a reply: title, text, pictures, fields, buttons; at most 50."""
    tail = [*_fields(reply.fields), *_actions(reply.buttons)]
    head = [*_words(reply)]
    pictures = [_picture(one) for one in shared]
    room = MESSAGE_BLOCKS - len(pictures)
    tail = tail[-room:] if room < len(tail) else tail  # buttons come last and are never cut off
    return [*head[: max(0, room - len(tail))], *pictures, *tail]


def summary(reply: Reply) -> str:
    """The plain line for notifications and screen readers, escaped."""
    words = "\n".join(part for part in (reply.title, reply.text) if part)
    return mrkdwn(_TONES[reply.tone] + words, MESSAGE_LIMIT) or "Verso"


def waiting(text: str) -> list[Block]:
    """The blocks of a placeholder."""
    return [section(mrkdwn(text))] if text.strip() else []


def progress_text(progress: Progress) -> str:
    """One plain sentence of progress."""
    if progress.text:
        return progress.text
    if progress.place > 0:
        return f"Waiting, number {progress.place} in the queue{_eta(progress.eta_s)}."
    return f"Drawing{_eta(progress.eta_s)}."


def progress_blocks(progress: Progress) -> list[Block]:
    """The blocks of a placeholder while the job waits or runs, with a button that stops it."""
    words = mrkdwn(progress_text(progress))
    if progress.fraction > 0:
        fraction = min(1.0, progress.fraction)
        full = round(fraction * _BAR)
        words += f"\n`{_DONE * full}{_TO_DO * (_BAR - full)}` {fraction:.0%}"
    stop = Button(name="cancel", target=progress.job_id, label="Cancel")
    return [section(words), *_actions((stop,))]


def section(text: str) -> Block:
    """A section with mrkdwn that is escaped already; `verbatim` keeps Slack from linking words in it."""
    return {"type": "section", "text": _mrkdwn_object(text)}


def context(text: str) -> Block:
    """A small gray line of escaped mrkdwn."""
    return {"type": "context", "elements": [_mrkdwn_object(text)]}


def plain_object(text: str, limit: int = LABEL_LIMIT) -> dict[str, object]:
    """A plain_text object."""
    return {"type": "plain_text", "text": plain(text, limit) or "\u2026", "emoji": True}


def split_action(action_id: str, value: str) -> tuple[str, str, str] | None:
    """Read (button name, target, question to ask first) from a click; None where it is not ours."""
    match = ACTION.fullmatch(action_id)
    if match is None:
        return None
    if not match["ask"]:
        return match["name"], value, ""
    target, _, ask = value.partition("\n")
    return match["name"], target, ask


def _words(reply: Reply) -> Iterator[Block]:
    tone = _TONES[reply.tone]
    if reply.title:
        yield section(f"*{tone}{mrkdwn(reply.title, _TITLE_LIMIT).replace('*', _STAR)}*")
        tone = ""
    for piece in chunks(tone + reply.text):
        if piece.strip():
            yield section(piece)


def _picture(shared: SharedImage) -> Block:
    return {
        "type": "image",
        "slack_file": {"id": shared.file_id},
        "alt_text": plain(shared.image.alt_text, ALT_LIMIT) or "A generated picture",
    }


def _fields(fields: Sequence[Field]) -> Iterator[Block]:
    drawn = [_mrkdwn_object(_field(one)) for one in fields]
    for start in range(0, len(drawn), FIELDS_A_SECTION):
        yield {"type": "section", "fields": drawn[start : start + FIELDS_A_SECTION]}


def _field(field: Field) -> str:
    label = mrkdwn(field.label, _LABEL_PART).replace("*", _STAR)
    room = FIELD_LIMIT - len(label) - 3
    if field.at_ms is not None:
        moment = date(field.at_ms, fallback=when(field.at_ms))
        value = f"{moment}: {mrkdwn(field.value, room - len(moment) - 2)}" if field.value else moment
    else:
        value = link(field.url, field.value, room) if field.url else mrkdwn(field.value, room)
    return f"*{label}*\n{value or '-'}"


def _actions(buttons: Sequence[Button]) -> Iterator[Block]:
    rows: dict[int, list[Button]] = {}
    for button in buttons:
        rows.setdefault(button.row, []).append(button)
    for row in (
        part[start : start + BUTTONS_A_ROW]
        for part in rows.values()
        for start in range(0, len(part), BUTTONS_A_ROW)
    ):
        names: list[str] = []
        elements: list[dict[str, object]] = []
        for button in row:
            elements.append(_button(button, names.count(button.name)))
            names.append(button.name)
        yield {"type": "actions", "elements": elements}


def _button(button: Button, twin: int) -> dict[str, object]:
    ask = button.ask.replace("\n", " ")
    value = f"{button.target}\n{ask}" if ask else button.target
    element: dict[str, object] = {
        "type": "button",
        "action_id": f"v:{button.name}{'?' if ask else ''}{f':{twin}' if twin else ''}",
        "text": plain_object(button.label),
        "value": value[:VALUE_LIMIT],
    }
    if button.style != "secondary":
        element["style"] = button.style
    return element


def _mrkdwn_object(text: str) -> dict[str, object]:
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _eta(seconds: float | None) -> str:
    if seconds is None:
        return ""
    if seconds < 90:
        return f", about {max(1, round(seconds))} s"
    return f", about {round(seconds / 60)} min"
