"""What Unicode itself says is the same, and letters that only look the same: each keeps its place."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from moderation.confusables import EMOJI_WORDS, LOOKALIKES
from moderation.views import View

MAX_CHARS = 4000  # of the original; longer texts are cut here and the moderator holds them

_MARKS = re.compile("[\u0300-\u036f\u0483-\u0487\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]")
INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\uffff\U000e0000-\U000e0fff]"
)
_DROPPED = frozenset({"Cf", "Cs", "Co", "Cn"})
_WORD = re.compile(r"\S+")
# Cyrillic and Greek letters that look exactly like a Latin one: only these make a whole foreign word suspect.
_EXACT = frozenset("асԁеһіјӏорԛѕтυѵԝхукмнвονραικτυχϲϳ")


def plain(text: str) -> str:
    """Return the NFKC, case-folded text without invisible characters; applying it twice changes nothing."""
    return base_view(text[:MAX_CHARS])[0].text


def base_view(text: str) -> tuple[View, bool]:
    """Return the base view, and whether expanding took it over the limit."""
    if text.isascii():
        return _collapse(text.lower(), list(range(len(text)))), False
    chars, offsets = _expand(text, list(range(len(text))))
    for _ in range(4):  # composing can make letters that fold again; rarely more than one round
        if unicodedata.is_normalized("NFKC", chars) and chars == chars.casefold():
            break
        chars, offsets = _expand(*_compose(chars, offsets))
    unread = len(chars) >= MAX_CHARS and offsets[-1] < len(text) - 1
    return _collapse(chars, offsets), unread


def _expand(text: str, places: list[int]) -> tuple[str, list[int]]:
    out: list[str] = []
    offsets: list[int] = []
    for char, place in zip(text, places, strict=True):
        piece = _piece(char)
        out.append(piece)
        offsets += [place] * len(piece)
        if len(offsets) > MAX_CHARS:
            break
    return "".join(out)[:MAX_CHARS], offsets[:MAX_CHARS]


@lru_cache(maxsize=8192)
def _piece(char: str) -> str:
    """What one character becomes on its own: folded, a word, a space, or nothing."""
    if char in EMOJI_WORDS:
        return f" {EMOJI_WORDS[char]} "
    category = unicodedata.category(char)
    if category in _DROPPED or INVISIBLE.match(char):
        return ""
    if category in {"Cc", "Zs", "Zl", "Zp"}:
        return " "
    piece = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", char).casefold())
    return INVISIBLE.sub("", piece)


def _compose(text: str, offsets: list[int]) -> tuple[str, list[int]]:
    """NFC over base-and-marks clusters, each keeping the place of its base."""
    out: list[str] = []
    places: list[int] = []
    start = 0
    for index in range(1, len(text) + 1):
        if index < len(text) and (unicodedata.combining(text[index]) or _joins(text[index])):
            continue
        piece = text[start:index]
        if not piece.isascii():
            piece = unicodedata.normalize("NFC", piece)
        out.append(piece)
        places += offsets[start : start + 1] * len(piece)
        start = index
    return "".join(out), places


def _joins(char: str) -> bool:
    """Whether a character without combining class may still compose with the one before it."""
    return "\u1160" < char < "\u1200" or (char > "\u0900" and unicodedata.category(char) == "Mc")


def _collapse(text: str, offsets: list[int]) -> View:
    if " ".join(text.split()) == text:
        return View(name="base", text=text, offsets=tuple(offsets))
    out: list[str] = []
    places: list[int] = []
    for match in _WORD.finditer(text):
        out += (match.group(), " ")
        places += offsets[match.start() : match.end()]
        places.append(offsets[match.end() - 1])
    return View(name="base", text="".join(out[:-1]), offsets=tuple(places[:-1]))


def fold(base: View) -> tuple[View, int, int]:
    """Return look-alikes and accents as plain letters; how many words mix scripts, how many marks are odd."""
    lookalikes = marks = 0
    if base.text.isascii():
        return View(name="folded", text=base.text, offsets=base.offsets), 0, 0
    out: list[str] = []
    offsets: list[int] = []
    last = 0
    for match in _WORD.finditer(base.text):
        out.append(base.text[last : match.start()])
        offsets += base.offsets[last : match.start()]
        word = match.group()
        last = match.end()
        if word.isascii():
            out.append(word)
            offsets += base.offsets[match.start() : last]
            continue
        latin = any("a" <= c <= "z" for c in word)
        foreign = [c for c in word if c in LOOKALIKES]
        whole = not latin and all(c in _EXACT or not c.isalpha() for c in word)
        if latin and any(c > "\u0370" for c in foreign):
            lookalikes += 1
        folds = bool(foreign) and (latin or whole)
        for index, char in enumerate(word):
            piece = _MARKS.sub("", unicodedata.normalize("NFD", char)) if char > "\x7f" else char
            if char > "\x7f" and len(piece) > 1:
                piece = char  # Hangul and Indic letters stay composed
            elif _MARKS.match(char):
                marks += 1
            if folds:
                piece = LOOKALIKES.get(char, LOOKALIKES.get(piece, piece))
            out.append(piece)
            offsets += [base.offsets[match.start() + index]] * len(piece)
    out.append(base.text[last:])
    offsets += base.offsets[last:]
    folded = View(name="folded", text="".join(out), offsets=tuple(offsets))
    return folded, lookalikes, max(0, marks - 2)  # one or two stray marks are somebody's spelling
