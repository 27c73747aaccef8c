"""Finds the background in a prompt's words: a color, or one of the painted scenes."""

from __future__ import annotations

from collections.abc import Collection

from generation.sticker.backgrounds import is_background
from generation.sticker.vocabulary import ADJECTIVE_PLACES, COLOR_WORDS, FILLERS, PLACES, SHADES

_PHRASE = 5  # words of a phrase about the background at most
_PREPOSITIONS = frozenset(
    [
        "in",
        "on",
        "at",
        "by",
        "under",
        "near",
        "against",
        "over",
        "above",
        "across",
        "into",
        "through",
        "before",
        "during",
        "beneath",
    ]
)
_PLACE_FILLERS = frozenset(
    [
        "a",
        "an",
        "the",
        "at",
        "of",
        "with",
        "deep",
        "big",
        "calm",
        "blue",
        "green",
        "fresh",
        "white",
        "soft",
        "open",
        "wide",
        "busy",
        "beautiful",
        "quiet",
        "clear",
        "wild",
        "sunny",
    ]
)
_GROUND_WORDS = frozenset({"background", "backdrop", "backround", "wall", "bg"})
_SCENERY = frozenset({"day", "landscape", "scene", "world", "place", "ground"})
_LEADS = frozenset({"with", "on", "in", "at", "over", "against", "before", "under"})
_LONE_PLACES = {"outdoors": "grass", "outside": "grass", "underwater": "sea"}


def color_at(words: list[str], i: int) -> tuple[str | None, int]:
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
    named = [
        word
        for word in words
        if word not in FILLERS and word not in _PLACE_FILLERS - {"blue", "green", "white"}
    ]
    color, taken = color_at(named, max(0, len(named) - 2))
    if color is None and named:
        color, taken = color_at(named, len(named) - 1)
    if color and taken == len(named):
        return color
    for size in (2, 1):
        for i in range(len(named) - size + 1):
            place = PLACES.get(" ".join(named[i : i + size])) or ADJECTIVE_PLACES.get(named[i])
            if place:
                return place
    return color


def take_background(words: list[str], *, connectors: Collection[str]) -> tuple[str | None, list[str]]:
    """Find the background in a prompt and take its words out.

    Words of further backgrounds go too ("by the sea at night": the sea).

    Args:
        words: the prompt's words, lower case, commas as words of their own.
        connectors: words at which a phrase about the background ends.

    Returns:
        The background or None, and the words that are left.
    """
    background: str | None = None
    for find in (_by_name, _by_place, _by_place):
        found = find(words, connectors)
        if found is not None and is_background(found[0]):
            background = background or found[0]
            words = found[1]
    return background, words


_Found = tuple[str, list[str]]


def _by_name(words: list[str], connectors: Collection[str]) -> _Found | None:
    """A named background: "on a yellow background", "background: yellow", "against a blue wall"."""
    for i, word in enumerate(words):
        if word in _GROUND_WORDS:
            found = _named_before(words, i, connectors)
            if found is None and word != "wall":
                found = _named_after(words, i)
            if found is not None:
                return found
    return None


def _named_before(words: list[str], at: int, connectors: Collection[str]) -> _Found | None:
    start = at
    while (
        start > 0
        and at - start < _PHRASE
        and (words[start - 1] not in connectors or words[start - 1] == "at")
    ):
        start -= 1
    name = _ground_named(words[start:at])
    if name is None:
        return None
    while start < at and _ground_named(words[start + 1 : at]) == name:
        start += 1  # only the words from the color on belong to it: "a cat, yellow background"
    while start > 0 and words[start - 1] in FILLERS - {"with"}:
        start -= 1
    if start > 0 and words[start - 1] in _LEADS:
        start -= 1
    if words[max(0, start - 2) : start] == ["in", "front"]:
        start -= 2
    return name, [*words[:start], ",", *words[at + 1 :]]


def _named_after(words: list[str], at: int) -> _Found | None:
    end = at + 1
    while end < len(words) and end - at < _PHRASE and (words[end] != "," or end == at + 1):
        end += 1
    name = _ground_named([word for word in words[at + 1 : end] if word != ","])
    if name is None:
        return None
    start = at - 1 if at and words[at - 1] in FILLERS | {"and"} else at
    return name, [*words[:start], *words[end:]]


def _by_place(words: list[str], connectors: Collection[str]) -> _Found | None:
    """A place: "in the snow", "under a starry sky", "at night", "during a snowy day"."""
    for i, word in enumerate(words):
        if word in _PREPOSITIONS:
            found = _place_after(words, i, connectors)
            if found is not None:
                return found
    for i, word in enumerate(words):
        if word in _LONE_PLACES:
            return _LONE_PLACES[word], [*words[:i], *words[i + 1 :]]
    return None


def _place_after(words: list[str], at: int, connectors: Collection[str]) -> _Found | None:
    seen: list[str] = []
    for end in range(at + 1, min(len(words), at + 1 + _PHRASE)):
        step = words[end]
        seen.append(step)
        following = words[end + 1] if end + 1 < len(words) else ","
        place = PLACES.get(" ".join(seen[-2:])) or PLACES.get(step)
        ends = following in connectors or following in _GROUND_WORDS
        if place and ends and f"{step} {following}" not in PLACES:
            return place, _without(words, at, end + 2 if following in _GROUND_WORDS else end + 1)
        adjective = next((word for word in seen if word in ADJECTIVE_PLACES), None)
        if adjective and following in _SCENERY:
            return ADJECTIVE_PLACES[adjective], _without(words, at, end + 2)
        leads_on = step in _PLACE_FILLERS or step in ADJECTIVE_PLACES or _starts_place(step, following)
        if not leads_on:
            return None
    return None


def _starts_place(word: str, following: str) -> bool:
    return f"{word} {following}" in PLACES or (word in PLACES and following in PLACES)


def _without(words: list[str], start: int, stop: int) -> list[str]:
    """Drop words[start:stop] and a verb that leaned on them ("swimming in the sea")."""
    if start > 0 and words[start - 1].endswith("ing") and len(words[start - 1]) > 5 and start > 1:
        start -= 1
    return [*words[:start], ",", *words[stop:]]
