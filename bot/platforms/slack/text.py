"""Text for Slack: what a person typed is shown as typed and never becomes a mention, link or control word.

Source: docs.slack.dev, "Formatting message text" (escaping) and the Block Kit reference (limits).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import quote, urlsplit

SECTION_LIMIT = 3000  # characters of a section's text
FIELD_LIMIT = 2000
HEADER_LIMIT = 150
VALUE_LIMIT = 2000  # of a button
LABEL_LIMIT = 75  # of a button's text
ALT_LIMIT = 2000
MESSAGE_LIMIT = 3500  # of the fallback text; Slack truncates far later, notifications far earlier

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_LOUD = re.compile(r"@(?=channel\b|here\b|everyone\b)", re.IGNORECASE)
_ENTITIES = {"&amp;": "&", "&lt;": "<", "&gt;": ">"}
_ENTITY = re.compile("|".join(_ENTITIES))
_JOINER = "\u2060"  # word joiner: invisible, keeps "@channel" from being a keyword


def clean(text: str) -> str:
    """`text` without control characters and direction overrides, which could disguise what is said."""
    return _CONTROLS.sub("", text)


def mrkdwn(text: str, limit: int = SECTION_LIMIT) -> str:
    """`text` escaped for an mrkdwn object, at most `limit` characters after escaping."""
    return _cut(escape(text), limit)


def escape(text: str) -> str:
    """`text` with `&`, `<`, `>` as entities: nothing in it can open a mention or a link."""
    quiet = _LOUD.sub("@" + _JOINER, clean(text))
    return quiet.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def unescape(text: str) -> str:
    """What a person typed, from the text of a Slack payload, where `&`, `<`, `>` arrive as entities."""
    return _ENTITY.sub(lambda match: _ENTITIES[match[0]], text)


def plain(text: str, limit: int) -> str:
    """`text` for a plain_text object, an alt text or a title: angle brackets become typographic ones.

    Slack interprets nothing there, so entities would be shown as typed; look-alikes read well and stay
    harmless wherever such a string is copied to.
    """
    quiet = _LOUD.sub("@" + _JOINER, clean(text)).replace("<", "\u2039").replace(">", "\u203a")
    return quiet if len(quiet) <= limit else quiet[: limit - 1].rstrip() + "\u2026"


def chunks(text: str, limit: int = SECTION_LIMIT) -> Iterator[str]:
    """The escaped `text` in pieces of at most `limit` characters, split at line ends or spaces."""
    rest = escape(text)
    while len(rest) > limit:
        window = rest[:limit]
        end = max(window.rfind("\n"), window.rfind(" "))
        if end < limit // 2:
            end = _entity_safe(window)
        yield rest[:end]
        rest = rest[end:].lstrip(" ").removeprefix("\n")
    if rest:
        yield rest


def link(url: str, label: str, limit: int = FIELD_LIMIT) -> str:
    """An mrkdwn link; only the escaped label where `url` is no web address."""
    if not _is_web_address(url):
        return mrkdwn(label, limit)
    safe = quote(url, safe=":/?#[]@!$&'()*+,;=%~-._").replace("&", "&amp;")
    if len(safe) + 3 >= limit:
        return mrkdwn(label, limit)
    return f"<{safe}|{mrkdwn(label.replace('|', '/'), limit - len(safe) - 3)}>"


def date(ms: int, *, fallback: str) -> str:
    """A moment (Unix ms) in the reader's own time zone, such as "tomorrow at 3:04 PM"."""
    return f"<!date^{ms // 1000}^{{date_short_pretty}} at {{time}}|{escape(fallback)}>"


def _is_web_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return url.isprintable() and parts.scheme in {"http", "https"} and bool(parts.netloc)


def _cut(escaped: str, limit: int) -> str:
    if len(escaped) <= limit:
        return escaped
    window = escaped[: limit - 1]
    return window[: _entity_safe(window)].rstrip() + "\u2026"


def _entity_safe(window: str) -> int:
    """A place to cut `window` that splits no entity."""
    start = window.rfind("&", len(window) - 4)
    return start if start > 0 and ";" not in window[start:] else len(window)
