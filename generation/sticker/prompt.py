"""Reads a prompt as a scene: subjects with number, color and size, their places, background and style.

Pure: words in, values out. Anything a person may type is read; what is not understood is left out or kept as
a subject's text, which the retrieval then judges.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from generation.sticker.grounds import color_at, take_background
from generation.sticker.vocabulary import (
    ADJECTIVE_PLACES,
    FILLERS,
    NOUN_COLORS,
    NUMBERS,
    SIZES,
    STYLES,
    WORN_ON_TOP,
)

MAX_SUBJECTS = 6
MAX_WORDS = 120  # a description is at the start; the rest of a very long prompt is left out
MAX_SUBJECT_WORDS = 8

Size = Literal["small", "normal", "large"]


class Layout(StrEnum):
    """How the second subject relates to the first one."""

    BESIDE = "beside"  # no order asked for
    LEFT = "left"  # the first one is on the left
    RIGHT = "right"  # the first one is on the right
    ABOVE = "above"  # the first one is above
    BELOW = "below"
    ON = "on"  # the first one stands on the second
    IN = "in"  # the second one hides the first one's lower part
    FRONT = "front"  # the first one is before the second
    BEHIND = "behind"
    WEARING = "wearing"  # the second one is on the first one's head


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """One thing to draw."""

    text: str  # without number, size and color; never empty
    color: str | None = None  # of `colors.COLORS`, with "light"/"dark" where said
    count: int = 1  # 1 to 4
    size: Size = "normal"


@dataclass(frozen=True, kw_only=True, slots=True)
class Scene:
    """What a prompt asks for."""

    subjects: tuple[Subject, ...]  # at most MAX_SUBJECTS; may be empty
    layout: Layout = Layout.BESIDE
    background: str | None = None  # of `backgrounds.paint`; None: not said
    style: str | None = None  # of `vocabulary.STYLE_CAPTIONS`; None: not said


_RELATIONS: tuple[tuple[tuple[str, ...], Layout], ...] = (
    (("to", "the", "left", "of"), Layout.LEFT),
    (("on", "the", "left", "of"), Layout.LEFT),
    (("left", "of"), Layout.LEFT),
    (("to", "the", "right", "of"), Layout.RIGHT),
    (("on", "the", "right", "of"), Layout.RIGHT),
    (("right", "of"), Layout.RIGHT),
    (("on", "top", "of"), Layout.ON),
    (("in", "front", "of"), Layout.FRONT),
    (("sitting", "on"), Layout.ON),
    (("standing", "on"), Layout.ON),
    (("lying", "on"), Layout.ON),
    (("sleeping", "on"), Layout.ON),
    (("placed", "on"), Layout.ON),
    (("flying", "over"), Layout.ABOVE),
    (("jumping", "over"), Layout.ABOVE),
    (("hovering", "over"), Layout.ABOVE),
    (("sitting", "in"), Layout.IN),
    (("next", "to"), Layout.BESIDE),
    (("close", "to"), Layout.BESIDE),
    (("together", "with"), Layout.BESIDE),
    (("along", "with"), Layout.BESIDE),
    (("playing", "with"), Layout.BESIDE),
    (("as", "well", "as"), Layout.BESIDE),
    (("looking", "at"), Layout.BESIDE),
    (("above",), Layout.ABOVE),
    (("over",), Layout.ABOVE),
    (("below",), Layout.BELOW),
    (("under",), Layout.BELOW),
    (("underneath",), Layout.BELOW),
    (("beneath",), Layout.BELOW),
    (("on",), Layout.ON),
    (("upon",), Layout.ON),
    (("atop",), Layout.ON),
    (("onto",), Layout.ON),
    (("riding",), Layout.ON),
    (("driving",), Layout.ON),
    (("in",), Layout.IN),
    (("inside",), Layout.IN),
    (("within",), Layout.IN),
    (("behind",), Layout.BEHIND),
    (("wearing",), Layout.WEARING),
    (("beside",), Layout.BESIDE),
    (("near",), Layout.BESIDE),
    (("by",), Layout.BESIDE),
    (("with",), Layout.BESIDE),
    (("and",), Layout.BESIDE),
    (("plus",), Layout.BESIDE),
    (("holding",), Layout.BESIDE),
    (("eating",), Layout.BESIDE),
    (("carrying",), Layout.BESIDE),
    (("playing",), Layout.BESIDE),
    (("reading",), Layout.BESIDE),
    (("drinking",), Layout.BESIDE),
    (("chasing",), Layout.BESIDE),
    (("watching",), Layout.BESIDE),
    (("for",), Layout.BESIDE),
    (("against",), Layout.BESIDE),
    (("at",), Layout.BESIDE),
    ((",",), Layout.BESIDE),
)
_BY_FIRST_WORD: dict[str, list[tuple[tuple[str, ...], Layout]]] = {}
for _rule in _RELATIONS:
    _BY_FIRST_WORD.setdefault(_rule[0][0], []).append(_rule)

_TAILS = frozenset(
    [
        "style",
        "styled",
        "look",
        "render",
        "rendering",
        "icon",
        "illustration",
        "drawing",
        "design",
        "art",
        "sticker",
    ]
)
_TOKEN = re.compile(r"[^\W_]+(?:['-][^\W_]+)*|,", re.UNICODE)
_DIGITS = re.compile(r"[0-9]{1,4}")


def parse(prompt: str, *, phrases: Collection[str] = frozenset()) -> Scene:
    """Read a prompt.

    Args:
        prompt: anything a person may type, in any script and of any length.
        phrases: titles that hold a connecting word ("bow and arrow", "house with garden"); kept whole.

    Returns:
        The scene; without subjects when the prompt names none.
    """
    words = _words(prompt)
    style, words = _take_style(words)
    background, words = take_background(words, connectors=frozenset(_BY_FIRST_WORD))
    words = _protect(words, phrases)
    subjects, layout = _split(words)
    return Scene(subjects=subjects, layout=layout, background=background, style=style)


def _words(prompt: str) -> list[str]:
    text = unicodedata.normalize("NFKC", prompt[:4000]).casefold()
    text = text.replace("\u2019", "'").replace("&", " and ").replace("+", " and ")
    text = "".join(_spelled(char) for char in text)
    for mark in (";", ".", "!", "?", ":", "\n", "|", "/"):
        text = text.replace(mark, " , ")
    return _TOKEN.findall(text)[:MAX_WORDS]


def _spelled(char: str) -> str:
    """An emoji as its Unicode name: U+1F34E is a "red apple"."""
    if char < "\u2600" or unicodedata.category(char) != "So":
        return char
    return f" , {unicodedata.name(char, '').casefold()} , "


def _take_style(words: list[str]) -> tuple[str | None, list[str]]:
    """Find a style word that stands at an edge or before "style"; a "flat tire" stays a tire."""
    for i, word in enumerate(words):
        style = STYLES.get(word)
        if style is None:
            continue
        following = words[i + 1] if i + 1 < len(words) else ","
        before = words[i - 1] if i else ","
        if (
            following in _TAILS
            or following == ","
            or word in {"3d", "2d", "3-d"}
            or (before in {"a", "an", "as", ","} and following in {"of", "showing"})
        ):
            start = i - 1 if before in {"a", "an", "in", "as"} and following != "of" else i
            if start > 0 and words[start] in {"a", "an"} and words[start - 1] in {"in", "as"}:
                start -= 1
            if word in {"3d", "2d", "3-d"} and following not in _TAILS and following != ",":
                start = i  # "a 3d cat": only the word itself goes
            end = i + 2 if following in _TAILS else i + 1
            return style, [*words[:start], *words[end:]]
    return None, words


def _protect(words: list[str], phrases: Collection[str]) -> list[str]:
    """Join the words of a known title that holds a connecting word, so that it is not cut there."""
    if not phrases:
        return words
    out, i = [], 0
    while i < len(words):
        for size in range(min(6, len(words) - i), 2, -1):
            phrase = " ".join(words[i : i + size])
            if phrase in phrases:
                out.append(phrase)
                i += size
                break
        else:
            out.append(words[i])
            i += 1
    return out


def _split(words: list[str]) -> tuple[tuple[Subject, ...], Layout]:
    subjects: list[Subject] = []
    layout = Layout.BESIDE
    pending = Layout.BESIDE
    sides: dict[int, Layout] = {}
    chunk: list[str] = []

    def close() -> None:
        nonlocal layout
        subject = _subject(chunk)
        chunk.clear()
        if subject is None or len(subjects) >= MAX_SUBJECTS:
            return
        if subjects and layout is Layout.BESIDE and len(subjects) == 1:
            layout = pending
        subjects.append(subject)

    i = 0
    while i < len(words):
        side = _side(words, i)
        if side is not None:
            close()
            if subjects:
                place = next(k for k, known in enumerate(subjects) if known.text == subjects[-1].text)
                if place < len(subjects) - 1:  # named again only to say where ("..., the fish on the right")
                    subjects.pop()
                sides[place] = side[0]
            i += side[1]
            continue
        match = next(
            (
                rule
                for rule in _BY_FIRST_WORD.get(words[i], ())
                if tuple(words[i : i + len(rule[0])]) == rule[0]
            ),
            None,
        )
        if match is None:
            chunk.append(words[i])
            i += 1
            continue
        close()
        if subjects:
            pending = match[1]
        i += len(match[0])
    close()
    return _arrange(subjects, layout, sides)


def _side(words: list[str], i: int) -> tuple[Layout, int] | None:
    """A place that closes a subject: "on the left (side)", but not "on the left of"."""
    for size in (4, 3, 2):
        run = words[i : i + size]
        if len(run) < 2 or run[0] not in {"on", "to", "at", "in"}:
            continue
        core = [word for word in run[1:] if word not in {"the", "side", "hand"}]
        where = {"left": Layout.LEFT, "right": Layout.RIGHT, "top": Layout.ABOVE, "bottom": Layout.BELOW}
        if len(core) == 1 and core[0] in where and run[-1] in {core[0], "side"}:
            after = words[i + size] if i + size < len(words) else ","
            if after not in {"of", "side"}:
                return where[core[0]], size
    return None


def _arrange(
    subjects: list[Subject], layout: Layout, sides: dict[int, Layout]
) -> tuple[tuple[Subject, ...], Layout]:
    if len(subjects) >= 2:
        if 0 in sides:
            layout = sides[0]
        elif 1 in sides:
            opposite = {
                Layout.LEFT: Layout.RIGHT,
                Layout.RIGHT: Layout.LEFT,
                Layout.ABOVE: Layout.BELOW,
                Layout.BELOW: Layout.ABOVE,
            }
            layout = opposite[sides[1]]
        if layout is Layout.WEARING and subjects[1].text.split()[-1] not in WORN_ON_TOP:
            layout = Layout.BESIDE
    else:
        layout = Layout.BESIDE
    return tuple(subjects), layout


def _subject(chunk: list[str]) -> Subject | None:
    """One noun phrase: [number] [size] [color] noun, in any order of the first three."""
    count, size, color, i = 1, "normal", None, 0
    kept: list[str] = []
    while i < len(chunk):
        word = chunk[i]
        last = i == len(chunk) - 1
        found, taken = color_at(chunk, i)
        if word in FILLERS:
            i += 1
        elif _DIGITS.fullmatch(word) and not last and not kept:
            count = max(1, min(4, int(word)))
            i += 1
        elif word in NUMBERS and not last and not kept:
            count = NUMBERS[word]
            i += 1
        elif word in SIZES and not last and not kept:
            size = SIZES[word]
            i += 1
        elif word in ADJECTIVE_PLACES and not last:
            i += 1
        elif (
            found
            and color is None
            and i + taken < len(chunk)
            and not (word in NOUN_COLORS and _only_fillers(chunk[i + taken :]))
        ):
            color = found
            i += taken
        elif found and kept and last and word not in NOUN_COLORS:  # "a cat that is red"
            color = color or found
            i += taken
        else:
            kept.append(word)
            i += 1
    if not kept:
        return None
    return Subject(
        text=" ".join(kept[:MAX_SUBJECT_WORDS])[:120],
        color=color,
        count=count,
        size="small" if size == "small" else "large" if size == "large" else "normal",
    )


def _only_fillers(words: list[str]) -> bool:
    return all(word in FILLERS for word in words)
