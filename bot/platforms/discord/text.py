"""Plain text made safe for Discord: no markdown, no mention, no link that a user typed, no overflow."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from urllib.parse import quote, urlsplit

ELLIPSIS = "…"
ZERO_WIDTH_SPACE = "\u200b"
BIDI_CONTROLS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_BAR_WIDTH = 12
_MAX_URL = 400

_TOKEN = re.compile(
    r"""
      (?P<url>https?://[^\s<>]+)
    | (?P<line>^[ \t]*(?:-\#|\#{1,3}|[>+-]))     # subtext, heading, quote, list
    | (?P<number>^[ \t]*\d+)(?=[.)][ \t])         # numbered list
    | (?P<at>@(?=everyone|here|[!&]?\d))          # what could ping
    | (?P<slash>(?<=:)//|(?<=\.gg)/|(?<=/invite)/)  # what the client would turn into a link or an invite
    | (?P<mark>[\\*_~`|\[\]<>])
    | (?P<rest>.)
    """,
    re.VERBOSE | re.MULTILINE | re.DOTALL,
)


def legible(text: str) -> str:
    """Drop control characters, direction overrides and lone surrogates."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(
        character
        for character in text
        if character in "\n\t"
        or (unicodedata.category(character) not in {"Cc", "Cs"} and character not in BIDI_CONTROLS)
    )


def plain(text: str, *, limit: int, links: bool = False) -> str:
    """Escape plain text so that Discord shows exactly these characters.

    Args:
        text: anything a user or a use case wrote.
        limit: the most characters the result may have; longer text ends in an ellipsis.
        links: whether http(s) addresses stay clickable (without a preview). Only for replies that
            the asker alone can see: in public, a bot must not lend its voice to a user's link.

    Returns:
        Markdown that renders as `text`.
    """
    pieces: list[str] = []
    size = 0
    for piece in _escaped(legible(text), links=links):
        if size + len(piece) > limit:
            while pieces and size + len(ELLIPSIS) > limit:
                size -= len(pieces.pop())
            return "".join(pieces).rstrip() + ELLIPSIS if limit > 0 else ""
        pieces.append(piece)
        size += len(piece)
    return "".join(pieces)


def unformatted(text: str, *, limit: int) -> str:
    """Trim text for the places where Discord renders no markdown: labels, alt texts, choices."""
    clean = legible(text)
    return clean if len(clean) <= limit else clean[: limit - len(ELLIPSIS)].rstrip() + ELLIPSIS


def link(label: str, url: str, *, limit: int) -> str:
    """A masked link to an address of ours; only the escaped label where `url` is no plain http(s) address."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return plain(label, limit=limit)
    if parts.scheme not in {"http", "https"} or not parts.netloc or len(url) > _MAX_URL:
        return plain(label, limit=limit)
    target = quote(url, safe=":/?#@!$&'*+,;=%~-._")
    frame = len(f"[]({target})")
    if frame + 2 > limit:
        return plain(label, limit=limit)
    return f"[{plain(label, limit=limit - frame)}]({target})"


def bar(fraction: float) -> str:
    """Draw how far a job is, e.g. `▰▰▰▱▱▱▱▱▱▱▱▱ 25%`."""
    share = min(1.0, max(0.0, fraction)) if fraction == fraction else 0.0  # noqa: PLR0124 - NaN
    done = round(share * _BAR_WIDTH)
    return f"{'▰' * done}{'▱' * (_BAR_WIDTH - done)} {share:.0%}"


def _escaped(text: str, *, links: bool) -> Iterator[str]:
    """Yield pieces that must not be cut in the middle."""
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:  # pragma: no cover - `rest` matches any character
            return
        kind, token = match.lastgroup or "rest", match[0]
        if kind == "url" and not links:
            token = token[: token.index(":") + 1]  # the slashes follow as tokens of their own
        elif kind == "url":
            token = token.rstrip(".,;:!?)'\"") or token
        position += len(token)
        escape = _ESCAPES.get(kind)
        yield token if escape is None else escape(token)


_ESCAPES: dict[str, Callable[[str], str]] = {
    "url": lambda token: f"<{token}>" if "//" in token else token,
    "line": lambda token: token.replace(token.lstrip(), "\\" + token.lstrip()),
    "number": lambda token: token + "\\",
    "at": lambda token: token + ZERO_WIDTH_SPACE,
    "slash": lambda token: "".join("\\" + character for character in token),
    "mark": lambda token: "\\" + token,
}
