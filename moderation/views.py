"""A reading of a text, in which every character knows its place in the original."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

# Marks that belong to their word: accents, Hebrew and Arabic points, Indic and Thai vowel signs.
POINTS = "\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u0670\u0900-\u0963\u0966-\u0fff"
_TOKEN = re.compile(rf"(?:[^\W_]|[{POINTS}])+")


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """One reading of a text; `offsets[i]` is the original's index of the character behind `text[i]`."""

    name: str
    text: str
    offsets: tuple[int, ...]


@lru_cache(maxsize=64)  # every rule that has a list asks for the same few
def words(view: View) -> View:
    """Return the view with every run of signs and spaces as one space: the form that names are matched on."""
    out: list[str] = []
    offsets: list[int] = []
    for match in _TOKEN.finditer(view.text):
        out += (match.group(), " ")
        offsets += view.offsets[match.start() : match.end()]
        offsets.append(view.offsets[match.end() - 1])
    return View(name="words", text="".join(out[:-1]), offsets=tuple(offsets[:-1]))


def substitute(
    name: str, view: View, pattern: re.Pattern[str], replace: Callable[[re.Match[str]], str]
) -> View:
    """Replace matches; the new characters take the places of those they stand for, in order."""
    out: list[str] = []
    offsets: list[int] = []
    last = 0
    for match in pattern.finditer(view.text):
        piece = replace(match)
        if piece == match.group():
            continue
        out += (view.text[last : match.start()], piece)
        offsets += view.offsets[last : match.start()]
        if piece:
            span = view.offsets[match.start() : match.end()]
            step = (len(span) - 1) / max(1, len(piece) - 1)
            offsets += [span[round(i * step)] for i in range(len(piece))]
        last = match.end()
    if last == 0:
        return View(name=name, text=view.text, offsets=view.offsets)
    out.append(view.text[last:])
    offsets += view.offsets[last:]
    return View(name=name, text="".join(out), offsets=tuple(offsets))
