"""Reads a prompt as a scene: which subjects, how many, what color and size, where, before what, in which style.

Pure: words in, values out. Anything a person may type is read; what is not understood is left out or kept as a
subject's text, which the retrieval then judges.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from generation.sticker.backgrounds import is_background
from generation.sticker.vocabulary import (
    ADJECTIVE_PLACES,
    COLOR_WORDS,
    FILLERS,
    NOUN_COLORS,
    NUMBERS,
    PLACES,
    SHADES,
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
for _words, _layout in _RELATIONS:
    _BY_FIRST_WORD.setdefault(_words[0], []).append((_words, _layout))
_CONNECTORS = frozenset(_BY_FIRST_WORD)

_PREPOSITIONS = frozenset("in on at by under near against over above across into through before during beneath".split())  # noqa: SIM905
_PLACE_FILLERS = frozenset(
    "a an the at of with deep big calm blue green fresh white soft open wide busy beautiful quiet clear wild sunny".split()  # noqa: SIM905
)
_GROUND_WORDS = frozenset({"background", "backdrop", "backround", "wall", "bg"})
_LEADS = frozenset({"with", "on", "in", "at", "over", "against", "before", "under"})
_TAILS = frozenset({"style", "styled", "look", "render", "rendering", "icon", "illustration", "drawing", "design", "art", "sticker"})
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
    background, words = _take_background(words)
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
        if following in _TAILS or following == "," or word in {"3d", "2d", "3-d"} or (
            before in {"a", "an", "as", ","} and following in {"of", "showing"}
        ):
            start = i - 1 if before in {"a", "an", "in", "as"} and following != "of" else i
            if start > 0 and words[start] in {"a", "an"} and words[start - 1] in {"in", "as"}:
                start -= 1
            if word in {"3d", "2d", "3-d"} and following not in _TAILS and following != ",":
                start = i  # "a 3d cat": only the word itself goes
            end = i + 2 if following in _TAILS else i + 1
            return style, [*words[:start], *words[end:]]
    return None, words


def _color_at(words: list[str], i: int) -> tuple[str | None, int]:
    """The color that starts at word i, and how many words it takes."""
    if i + 1 < len(words) and words[i] in SHADES and words[i + 1] in COLOR_WORDS:
        base = COLOR_WORDS[words[i + 1]].split()[-1]
        return f"{SHADES[words[i]]} {base}".strip(), 2
    if i < len(words) and "-" in words[i]:
        shade, _, name = words[i].partition("-")
        if shade in SHADES and name in COLOR_WORDS:
            return f"{SHADES[shade]} {COLOR_WORDS[name].split()[-1]}".strip(), 1
    if i < len(words) and words[i] in COLOR_WORDS:
        return COLOR_WORDS[words[i]], 1
    return None, 0


def _ground_named(words: list[str]) -> str | None:
    """The background that a few words name."""
    named = [word for word in words if word not in FILLERS and word not in _PLACE_FILLERS - {"blue", "green", "white"}]
    color, taken = _color_at(named, max(0, len(named) - 2))
    if color is None and named:
        color, taken = _color_at(named, len(named) - 1)
    if color and taken == len(named):
        return color
    for size in (2, 1):
        for i in range(len(named) - size + 1):
            place = PLACES.get(" ".join(named[i : i + size])) or ADJECTIVE_PLACES.get(named[i])
            if place:
                return place
    return color


def _take_background(words: list[str]) -> tuple[str | None, list[str]]:
    """The first background named; words of further ones go too ("by the sea at night")."""
    background: str | None = None
    for find in (_background_word, _background_place, _background_place):
        found = find(words)
        if found is not None and is_background(found[0]):
            background = background or found[0]
            words = found[1]
    return background, words


def _background_word(words: list[str]) -> tuple[str, list[str]] | None:
    """ "on a yellow background", "yellow background", "background: yellow", "against a blue wall"."""
    for i, word in enumerate(words):
        if word not in _GROUND_WORDS:
            continue
        start = i
        while start > 0 and i - start < 5 and words[start - 1] not in (_CONNECTORS - {"at"}):
            start -= 1
        name = _ground_named(words[start:i])
        if name:
            # Only the words from the color on belong to the background ("a cat, yellow background" has no lead).
            while start < i and _ground_named(words[start + 1 : i]) == name:
                start += 1
            while start > 0 and words[start - 1] in FILLERS - {"with"}:
                start -= 1
            if start > 0 and words[start - 1] in _LEADS:
                start -= 1
            if words[max(0, start - 2) : start] == ["in", "front"]:
                start -= 2
            return name, [*words[:start], ",", *words[i + 1 :]]
        if word == "wall":
            continue
        end = i + 1
        while end < len(words) and end - i < 5 and (words[end] != "," or end == i + 1):
            end += 1
        name = _ground_named([w for w in words[i + 1 : end] if w != ","])
        if name:
            start = i - 1 if i and words[i - 1] in FILLERS | {"and"} else i
            return name, [*words[:start], *words[end:]]
    return None


def _background_place(words: list[str]) -> tuple[str, list[str]] | None:
    """ "in the snow", "under a starry sky", "at night", or an adjective: "a snowy cat"."""
    for i, word in enumerate(words):
        if word not in _PREPOSITIONS and not (word == "during" and i):
            continue
        end = i + 1
        seen: list[str] = []
        while end < len(words) and end - i < 6:
            step = words[end]
            seen.append(step)
            pair = " ".join(seen[-2:])
            place = PLACES.get(pair) or PLACES.get(step)
            following = words[end + 1] if end + 1 < len(words) else ","
            if place and (following in _CONNECTORS or following in _GROUND_WORDS):
                if PLACES.get(f"{step} {following}"):
                    end += 1
                    continue
                stop = end + 2 if following in _GROUND_WORDS else end + 1
                return place, _without(words, i, stop)
            if step not in _PLACE_FILLERS and step not in ADJECTIVE_PLACES and not _starts_place(step, following):
                break
            end += 1
        adjective = next((w for w in seen if w in ADJECTIVE_PLACES), None)
        if adjective and end < len(words) and words[end] in {"day", "landscape", "scene", "world", "place", "ground"}:
            return ADJECTIVE_PLACES[adjective], _without(words, i, end + 1)
    for i, word in enumerate(words):
        if word in {"outdoors", "outside"}:
            return "grass", [*words[:i], *words[i + 1 :]]
        if word == "underwater":
            return "sea", [*words[:i], *words[i + 1 :]]
    return None


def _starts_place(word: str, following: str) -> bool:
    return f"{word} {following}" in PLACES or (word in PLACES and following in PLACES)


def _without(words: list[str], start: int, stop: int) -> list[str]:
    """Drop words[start:stop] and a verb that leaned on them ("swimming in the sea")."""
    if start > 0 and words[start - 1].endswith("ing") and len(words[start - 1]) > 5 and start > 1:  # noqa: PLR2004 - not "ring"
        start -= 1
    return [*words[:start], ",", *words[stop:]]


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
            (rule for rule in _BY_FIRST_WORD.get(words[i], ()) if tuple(words[i : i + len(rule[0])]) == rule[0]), None
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
    """ "on the left (side)" that closes a subject, not "on the left of"."""
    for size in (4, 3, 2):
        run = words[i : i + size]
        if len(run) < 2 or run[0] not in {"on", "to", "at", "in"}:  # noqa: PLR2004
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
    if len(subjects) >= 2:  # noqa: PLR2004 - a relation needs two
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
        found, taken = _color_at(chunk, i)
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
        elif found and color is None and i + taken < len(chunk) and not (
            word in NOUN_COLORS and _only_fillers(chunk[i + taken :])
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
