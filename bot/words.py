"""Names, advice and formats that sentences are made of. English for now: a locale is one more such file."""

from __future__ import annotations

import datetime as dt

from bot.conversation import Field
from bot.errors import UsageError
from moderation.types import Action, Category, Finding, Verdict

MODERATORS_ONLY = "Only moderators can do this."
"""Told at the door and by every use case of theirs."""

CATEGORY_NAMES = {
    Category.SEXUAL: "sexual content",
    Category.MINORS: "protection of minors",
    Category.REAL_PERSON: "a real person",
    Category.VIOLENCE: "graphic violence",
    Category.HATE: "hate or demeaning stereotypes",
    Category.SELF_HARM: "self-harm",
    Category.ILLEGAL: "illegal goods or acts",
    Category.DECEPTION: "deception",
    Category.TRADEMARK: "a brand or character",
    Category.ARTIST_STYLE: "an artist's style",
    Category.EVASION: "hidden spelling",
}
ADVICE = {
    "sexual": "Describe the scene without nudity or sexual acts.",
    "minors": "This cannot be drawn here in any wording.",
    "real_person": "Describe an invented person instead of naming a real one.",
    "violence": "Leave out blood, wounds and cruelty; tension works without them.",
    "hate": "Leave out what demeans a group of people, and its symbols.",
    "self_harm": "If you are struggling, please talk to someone you trust. Draw something that helps.",
    "illegal": "Leave out the making, selling or use of illegal goods.",
    "deception": "Leave out what would pass for a real document, message or news event.",
    "trademark": "Describe the look in your own words instead of naming the brand or character.",
    "artist_style": "Name a period or technique instead of a living artist.",
    "evasion": "Write the words plainly.",
    "protected": "Draw something of your own: a rights holder asked that this is not drawn here.",
    "unchecked": "A check could not finish, so a moderator takes a look.",
    "too_long": "Shorten the prompt.",
    "unreadable_image": "The picture cannot be read: try PNG or JPEG.",
    "blank_image": "The drawing came out blank: please try again.",
}
"""What to do about a finding, by `Finding.advice` or else by its category."""

UNJUDGED = frozenset({"unchecked", "too_long", "unreadable_image", "blank_image"})
"""Advice of findings that judge nothing: their category is no reason to name."""


def awaits_moderator(verdict: Verdict) -> bool:
    """Whether a moderator looks at it: a blank drawing is a failure, with nothing to look at."""
    finding = verdict.gravest
    blank = finding is not None and finding.advice == "blank_image"
    return verdict.action is Action.HOLD and not blank


def when(ms: int) -> str:
    """A moment, in UTC."""
    return dt.datetime.fromtimestamp(ms / 1000, tz=dt.UTC).strftime("%Y-%m-%d %H:%M UTC")


def moment_ms(text: str, *, field: str = "received") -> int:
    """An ISO 8601 moment as Unix milliseconds; without a zone it is UTC.

    Raises:
        UsageError: it is none.
    """
    try:
        moment = dt.datetime.fromisoformat(text.strip())
        moment = moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
        return round(moment.timestamp() * 1000)
    except (ValueError, OverflowError):
        raise UsageError(f"{text[:40]!r} is no moment such as 2026-03-01T10:00Z.", field=field) from None


def dated(field: Field) -> str:
    """A field's value with its moment, for platforms without a format of their own."""
    if field.at_ms is None:
        return field.value
    return f"{when(field.at_ms)}: {field.value}" if field.value else when(field.at_ms)


def iso(ms: int) -> str:
    """A moment as RFC 3339 writes it, in UTC."""
    return (
        dt.datetime.fromtimestamp(ms / 1000, tz=dt.UTC)
        .isoformat(timespec="milliseconds")
        .replace("+00:00", "Z")
    )


def duration(seconds: float) -> str:
    """A rough wait."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 5400:
        return f"{round(seconds / 60)} min"
    return f"{round(seconds / 3600)} h"


def plural(word: str, count: int) -> str:
    """English plural of a regular noun."""
    return word if count == 1 else word + "s"


def shorten(text: str, limit: int) -> str:
    """At most `limit` characters, with an ellipsis where something is cut."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def advice(finding: Finding) -> str:
    """The sentence that tells what to change."""
    return ADVICE.get(finding.advice or "", ADVICE[str(finding.category)])
