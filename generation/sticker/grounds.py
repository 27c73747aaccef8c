"""Finds the background in a prompt's words: a color, or one of the painted scenes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from generation.sticker.backgrounds import by_night, is_background, is_plain
from generation.sticker.vocabulary import vocabulary

_NIGHT, _SUNSET = "night sky", "sunset"
_PHRASE = 5  # words of a phrase about the background at most
_GROUND_WORDS = frozenset({"background", "backdrop", "backround", "wall", "bg"})
_SCENERY = frozenset({"day", "landscape", "scene", "world", "place", "ground", "weather", "scenery"})
_LEADS = frozenset({"with", "on", "in", "at", "over", "against", "before", "under"})
_ALONE = {"outdoors": "grass", "outside": "grass", "underwater": "sea"}
_COLORS_OF_PLACES = frozenset({"blue", "green", "white"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Ground:
    """A background that was found, and the words that are left."""

    name: str | None
    words: list[str]
    place: str | None = None  # the word for it, where it was a place
    others: tuple[str, ...] = ()  # words of further backgrounds, which are not painted


def color_at(words: Sequence[str], i: int) -> tuple[str | None, int]:
    """The color that starts at word i, and how many words it takes."""
    known = vocabulary()
    if i + 1 < len(words) and words[i] in known.shades and words[i + 1] in known.colors:
        base = known.colors[words[i + 1]].split()[-1]
        return f"{known.shades[words[i]]} {base}".strip(), 2
    if i < len(words) and "-" in words[i]:
        shade, _, name = words[i].partition("-")
        if shade in known.shades and name in known.colors:
            return f"{known.shades[shade]} {known.colors[name].split()[-1]}".strip(), 1
        if name in {"colored", "coloured"} and shade in known.colors:
            return known.colors[shade], 1
    if i < len(words) and words[i] in known.colors:
        return known.colors[words[i]], 1
    return None, 0


def take_background(words: list[str], *, connectors: Collection[str]) -> Ground:
    """Find the background in a prompt and take its words out.

    "By the sea at night" is one background; of others that do not go together the first is painted.

    Args:
        words: the prompt's words, lower case, commas as words of their own.
        connectors: words at which a phrase about the background ends.
    """
    grounds: list[Ground] = []
    for find in (_by_name, _by_place, _by_place, _by_place):
        found = find(words, connectors)
        if found is not None and found.name is not None and is_background(found.name):
            grounds.append(found)
            words = found.words
    if not grounds:
        return Ground(name=None, words=words)
    name, shown = together([ground.name or "" for ground in grounds])
    others = tuple(ground.place or ground.name or "" for ground in grounds if ground.name not in shown)
    return Ground(name=name, words=words, place=grounds[0].place, others=others)


def together(names: Sequence[str]) -> tuple[str, frozenset[str]]:
    """The background for all of `names`, at least one, as far as there is one, and which of them it shows."""
    if is_plain(names[0]):
        return names[0], frozenset(names[:1])
    if _NIGHT in names:
        for name in names:
            dark = by_night(name)
            if dark:
                return dark, frozenset({_NIGHT, name})
    if _SUNSET in names:
        return _SUNSET, frozenset({_SUNSET, "sea", "beach", "light blue"})
    return names[0], frozenset({names[0], "light blue"})


def _ground_named(words: Sequence[str]) -> str | None:
    """The background that a few words name."""
    known = vocabulary()
    empty = known.fillers | (known.place_fillers - _COLORS_OF_PLACES - known.shades.keys())
    named = [word for word in words if word not in empty]
    color, taken = color_at(named, max(0, len(named) - 2))
    if color is None and named:
        color, taken = color_at(named, len(named) - 1)
    if color and taken == len(named):
        return color
    for size in (2, 1):
        for i in range(len(named) - size + 1):
            place = known.places.get(" ".join(named[i : i + size])) or known.place_adjectives.get(named[i])
            if place:
                return place
    return color


def _by_name(words: list[str], connectors: Collection[str]) -> Ground | None:
    """A named background: "on a yellow background", "background: yellow", "against a blue wall"."""
    for i, word in enumerate(words):
        if word in _GROUND_WORDS:
            found = _named_before(words, i, connectors)
            if found is None and word != "wall":
                found = _named_after(words, i)
            if found is not None:
                return found
    return None


def _named_before(words: list[str], at: int, connectors: Collection[str]) -> Ground | None:
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
    fillers = vocabulary().fillers
    while start > 0 and words[start - 1] in fillers - {"with"}:
        start -= 1
    if start > 0 and words[start - 1] in _LEADS:
        start -= 1
    if words[max(0, start - 2) : start] == ["in", "front"]:
        start -= 2
    return Ground(name=name, words=[*words[:start], ",", *words[at + 1 :]])


def _named_after(words: list[str], at: int) -> Ground | None:
    """The shortest run of words that is all color or place: "background: yellow"."""
    start = at + 2 if words[at + 1 : at + 2] == [","] else at + 1
    for end in range(start + 1, min(len(words), start + 3) + 1):
        run = words[start:end]
        following = words[end] if end < len(words) else ","
        name = _ground_named(run)
        color, taken = color_at(run, 0)
        whole = taken == len(run) if color else True
        if name is None or not whole or color_at([*run, following], 0)[1] > len(run):
            continue
        lead = at
        fillers = vocabulary().fillers
        while lead > 0 and words[lead - 1] in (fillers | _LEADS | {"and"}):
            lead -= 1
        return Ground(name=name, words=[*words[:lead], ",", *words[end:]])
    return None


def _by_place(words: list[str], connectors: Collection[str]) -> Ground | None:
    """A place: "in the snow", "under a starry sky", "at night", "during a snowy day"."""
    leads = vocabulary().place_leads
    for i, word in enumerate(words):
        if word in leads:
            found = _place_after(words, i, connectors)
            if found is not None:
                return found
    for i, word in enumerate(words):
        if word in _ALONE:
            return Ground(name=_ALONE[word], words=[*words[:i], *words[i + 1 :]], place=word)
    return None


def _place_after(words: list[str], at: int, connectors: Collection[str]) -> Ground | None:
    known = vocabulary()
    seen: list[str] = []
    for end in range(at + 1, min(len(words), at + 1 + _PHRASE)):
        step = words[end]
        seen.append(step)
        following = words[end + 1] if end + 1 < len(words) else ","
        both = " ".join(seen[-2:])
        place = both if both in known.places else step
        ends = following in connectors or following in _GROUND_WORDS
        longer = f"{step} {following}" in known.places or " ".join([*seen[-2:], following]) in known.places
        if place in known.places and ends and not longer:
            stop = end + 2 if following in _GROUND_WORDS else end + 1
            return Ground(name=known.places[place], words=_without(words, at, stop), place=place)
        adjective = next((word for word in seen if word in known.place_adjectives), None)
        if adjective and following in _SCENERY:
            name = known.place_adjectives[adjective]
            return Ground(name=name, words=_without(words, at, end + 2), place=adjective)
        leads_on = (
            step in known.place_fillers or step in known.place_adjectives or _starts_place(step, following)
        )
        if not leads_on:
            return None
    return None


def _starts_place(word: str, following: str) -> bool:
    places = vocabulary().places
    if f"{word} {following}" in places or (word in places and following in places):
        return True
    return any(place.startswith(f"{word} {following} ") for place in places)


def _without(words: list[str], start: int, stop: int) -> list[str]:
    """Drop words[start:stop] and a verb that leaned on them ("swimming in the sea")."""
    verb = words[start - 1] if start > 1 and words[start - 2] != "," else ""
    if verb.endswith("ing") and len(verb) > 5 and verb not in vocabulary().verb_nouns:
        start -= 1
    return [*words[:start], ",", *words[stop:]]
