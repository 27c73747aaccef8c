"""Puts words of every script into the report: which letters which font draws, and in which order they stand.

Text that the PDF's standard fonts have is left to them. For other text the fonts in `fonts/` are embedded,
only the letters used. HarfBuzz joins and orders the letters of a word; lines of Arabic and Hebrew are broken
here and their words put in visual order: rule L2 of the Unicode Bidirectional Algorithm (UAX #9) by whole
words. Letters that no font has, and invisible ones, are shown as code points.
"""

from __future__ import annotations

import functools
import io
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from importlib import resources
from xml.sax.saxutils import escape

_FONTS = (
    "DejaVuSans",
    "NotoSansDevanagari",
    "NotoSansThai",
    "DroidSansFallbackFull",
    "NanumSquareR",
    "NotoEmoji",
)
BASE = _FONTS[0]
_BEFORE = "\u0e40\u0e41\u0e42\u0e43\u0e44"  # Thai vowels that stand before their consonant
_AFTER = "\u0e30\u0e32\u0e33\u0e45\u0e46"  # Thai signs that stand after it
_JOINERS = "\u200c\u200d"  # ordinary letters of Persian and Hindi, though nobody sees them
_SELECTORS = frozenset(map(chr, range(0xFE00, 0xFE10)))
_PICTURE = "\ufe0f"  # asks for the picture of a sign: a part of emoji, and nothing by itself
_KEYCAP = "\u20e3"
_RIGHT_TO_LEFT = {"R", "AL"}
_MIRRORED = str.maketrans("()[]{}<>\u00ab\u00bb\u2039\u203a", ")(][}{><\u00bb\u00ab\u203a\u2039")
_MARKS = "()[]{}<>\u00ab\u00bb\u2039\u203a\"'.,;:!?\u060c\u061b\u061f-\u2013\u2014"
_LEFT_TO_RIGHT = {"L", "EN", "AN"}  # of a word of digits, too, the digits stay in order


def standard(text: str) -> bool:
    """Whether the PDF's standard fonts have every letter (after `printable`)."""
    try:
        text.encode("cp1252")
    except UnicodeEncodeError:
        return False
    return True


def printable(text: str) -> str:
    """The text as it can be shown: letters of no font, and invisible ones, as their code points."""
    shown: list[str] = []
    before = ""
    for letter in text.replace("\r\n", "\n").replace("\t", " "):
        if letter in _JOINERS:
            known = before != "" and _complex(before)
        elif letter in _SELECTORS:
            known = letter == _PICTURE and before != "" and (before in "0123456789#*" or _symbol(before))
        else:
            drawn = letter.isprintable() and (standard(letter) or _font(letter) is not None)
            known = letter == "\n" or drawn
        shown.append(letter if known else f"[U+{ord(letter):04X}]")
        before = letter if known else ""
    return "".join(shown)


def shaped(text: str) -> bool:
    """Whether letters of a word depend on their neighbors: Arabic, Hebrew with points, Hindi, Thai, emoji."""
    return any(map(_complex, text))


def right_to_left(text: str) -> bool:
    """Whether any of it is read from right to left."""
    return any(unicodedata.bidirectional(letter) in _RIGHT_TO_LEFT for letter in text)


def markup(text: str, *, joined: bool) -> str:
    """One line as reportlab reads it, each run in its font.

    Args:
        text: what `printable` gave.
        joined: it will be shaped, by the font of a word's first letter: where the font changes inside a word,
            a space is put.
    """
    between = " " if joined else ""
    return " ".join(between.join(_tagged(*run) for run in _runs(word)) for word in text.split(" "))


def visual_lines(text: str, width: float, measure: Callable[[str], float]) -> list[str]:
    """Break a line that holds words from right to left, and put its words in the order in which they stand.

    Args:
        text: one line, in the order in which it is read.
        width: points that a line may have.
        measure: points that a word or a space takes.
    """
    base = next(filter(None, (_direction(word) for word in text.split(" "))), "L")
    space = measure(" ")
    lines: list[list[str]] = [[]]
    used = 0.0
    for word in text.split(" "):
        wide = measure(word)
        if lines[-1] and used + space + wide > width:
            lines.append([])
            used = 0.0
        used += wide + (space if lines[-1] else 0.0)
        lines[-1].append(word)
    return [" ".join(_visual(line, base)) for line in lines]


def spaced_lines(text: str, width: float, measure: Callable[[str], float]) -> list[str]:
    """Break a line at spaces; a word that is too long for a line, as Thai writes them, between its letters.

    Marks stay with their letters, and the parts of an emoji together. Where the words of Thai begin only a
    dictionary could tell. Arguments as `visual_lines`.
    """
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if measure(longer) <= width:
            lines[-1] = longer
        elif measure(word) <= width:
            lines.append(word)
        else:
            lines[-1] += " " if lines[-1] else ""
            for cluster in _clusters(word):
                if lines[-1] and measure(lines[-1] + cluster) > width:
                    lines.append("")
                lines[-1] += cluster
    return lines


def width_of(text: str, size: float) -> float:
    """Points that a word takes before it is shaped: joined letters are no wider."""
    from reportlab.pdfbase import pdfmetrics  # noqa: PLC0415 - a large library, for the few who export

    return float(sum(pdfmetrics.stringWidth(part, font, size) for font, part in _runs(text)))


def use_fonts() -> None:
    """Make the fonts known to reportlab."""
    _coverage()


def _clusters(word: str) -> Iterator[str]:
    """What no line may break inside: letters with their marks, emoji of several signs (UAX #29, in short)."""
    start = 0
    for place in range(1, len(word) + 1):
        if place < len(word) and (
            _follows(word[place]) or word[place - 1] in _JOINERS or word[place - 1] in _BEFORE
        ):
            continue
        yield word[start:place]
        start = place


def _follows(letter: str) -> bool:
    skin = "\U0001f3fb" <= letter <= "\U0001f3ff"
    return skin or letter in _JOINERS or letter in _AFTER or unicodedata.category(letter).startswith("M")


def _visual(words: Sequence[str], base: str) -> list[str]:
    """One line's words in visual order; marks alone go with their neighbors, or with the line (N1, N2)."""
    known = [_direction(word) for word in words]
    ways = []
    for place, way in enumerate(known):
        before = next(filter(None, reversed(known[:place])), base)
        after = next(filter(None, known[place:]), base)
        ways.append(way or (before if before == after else base))
    order: list[str] = []
    for way, start, end in _groups(ways):
        group = list(words[start:end])
        if base == "R":
            order = [*(group[::-1] if way == "R" else _turned(group)), *order]
        else:
            order += group[::-1] if way == "R" else group
    return order


def _turned(words: list[str]) -> list[str]:
    """Words from left to right in a line from right to left: the marks around them change sides (N2)."""
    first = words[0]
    lead = len(first) - len(first.lstrip(_MARKS))
    words[0], before = first[lead:], first[:lead]
    last = words[-1]
    tail = len(last.rstrip(_MARKS))
    words[-1], after = last[:tail], last[tail:]
    words[0] = after[::-1].translate(_MIRRORED) + words[0]
    words[-1] += before[::-1].translate(_MIRRORED)
    return words


def _groups(ways: Sequence[str]) -> Iterator[tuple[str, int, int]]:
    start = 0
    for place in range(1, len(ways) + 1):
        if place == len(ways) or ways[place] != ways[start]:
            yield ways[start], start, place
            start = place


def _direction(word: str) -> str:
    """R or L, as the first letter with a direction has it; empty for a word of marks alone."""
    for letter in word:
        kind = unicodedata.bidirectional(letter)
        if kind in _RIGHT_TO_LEFT:
            return "R"
        if kind in _LEFT_TO_RIGHT:
            return "L"
    return ""


def _complex(letter: str) -> bool:
    indic = "\u0900" <= letter <= "\u097f" or "\u0e00" <= letter <= "\u0e7f"
    emoji = letter >= "\U0001f000" or letter in {_PICTURE, _KEYCAP}
    return indic or emoji or unicodedata.bidirectional(letter) in _RIGHT_TO_LEFT


def _symbol(letter: str) -> bool:
    return unicodedata.category(letter) in {"So", "Sk", "Sm", "Po"} and not letter.isascii()


def _runs(word: str) -> list[tuple[str, str]]:
    """A word as (font, part): in one font where one has it all, else each letter in the first that has it."""
    whole = next((name for name, letters in _coverage().items() if letters.issuperset(word)), None)
    if whole is not None:
        return [(whole, word)]
    runs: list[tuple[str, str]] = []
    for letter in word:
        font = _font(letter) or BASE
        mark = letter in _JOINERS or unicodedata.category(letter).startswith("M")
        if runs and mark and letter in _coverage()[runs[-1][0]]:
            font = runs[-1][0]
        if runs and runs[-1][0] == font:
            runs[-1] = (font, runs[-1][1] + letter)
        else:
            runs.append((font, letter))
    return runs


def _tagged(font: str, part: str) -> str:
    return escape(part) if font == BASE else f'<font name="{font}">{escape(part)}</font>'


def _font(letter: str) -> str | None:
    return next((name for name, letters in _coverage().items() if letter in letters), None)


@functools.cache
def _coverage() -> dict[str, frozenset[str]]:
    """The letters of each font, in the order in which fonts are tried; registers them with reportlab."""
    from reportlab.pdfbase import pdfmetrics  # noqa: PLC0415 - see `width_of`
    from reportlab.pdfbase.ttfonts import TTFont  # noqa: PLC0415

    found: dict[str, frozenset[str]] = {}
    for name in _FONTS:
        data = (resources.files("attribution") / "fonts" / f"{name}.ttf").read_bytes()
        font = TTFont(name, io.BytesIO(data))
        pdfmetrics.registerFont(font)
        # Before any shaping: reportlab adds glyphs without a letter to the private use area later.
        found[name] = frozenset(map(chr, font.face.charToGlyph)) | frozenset(_JOINERS)
    return found
