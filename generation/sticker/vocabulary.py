"""The English words that parser and retrieval know, read from `data/words.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from generation.sticker.colors import COLORS

DATA = Path(__file__).parent / "data"

STYLE_CAPTIONS: Mapping[str, str] = {
    "3d": "3d style",
    "flat": "flat style",
    "shaded": "shaded style",
    "icon": "flat icon",
}
"""Style -> how captions name it in training."""

MORE_THAN_FOUR = 5
"""Stands in `Vocabulary.numbers` for every larger number."""

Phrase = tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Vocabulary:
    """Words by what they do in a prompt; lower case."""

    colors: Mapping[str, str]  # -> key of `colors.COLORS`, possibly with light/dark
    color_nouns: frozenset[str]  # colors that are also things: a color only before a noun
    shades: Mapping[str, str]  # word before a color -> "light", "dark" or ""
    numbers: Mapping[str, int]  # 1 to MORE_THAN_FOUR
    sizes: Mapping[str, str]  # -> "small" or "large"
    styles: Mapping[str, str]  # -> key of STYLE_CAPTIONS
    near_styles: Mapping[str, str]  # style that no set has -> the nearest one
    style_heads: frozenset[str]  # "style", "drawing": a style word before one of them is a style
    works: frozenset[str]  # "a drawing of": styles that are pictures
    style_anywhere: frozenset[str]  # style words that never name a thing
    fillers: frozenset[str]  # name nothing to draw
    junk: frozenset[Phrase]  # phrases that ask for no picture
    tails: frozenset[Phrase]  # phrases that go with all words up to the next comma
    places: Mapping[str, str]  # place, of one or two words -> background
    lone_places: frozenset[str]  # places that are a picture of their own
    place_leads: frozenset[str]  # prepositions of place
    place_fillers: frozenset[str]  # stand between one of them and the place
    place_adjectives: Mapping[str, str]
    companions: Mapping[str, tuple[str, ...]]  # background -> titles for it when nothing else is named
    anything: tuple[str, ...]  # titles to show when nothing fits
    sky: frozenset[str]  # title words of things that belong in the sky
    worn_on_head: frozenset[str]
    worn_on_eyes: frozenset[str]
    parts: frozenset[str]  # of a body
    measures: frozenset[str]  # "a slice of"
    crowds: frozenset[str]  # "a herd of"
    crowds_after: frozenset[str]  # "a robot army"
    holders: frozenset[str]  # "a basket of": drawn, with the thing in it
    one_plurals: frozenset[str]  # plural words for one picture
    verbs: frozenset[str]  # between two things
    verb_nouns: frozenset[str]  # end like a verb, but are things
    relations: Mapping[Phrase, str]  # -> a `Layout`, or "holding"
    negations: frozenset[str]
    containers: frozenset[str]  # titles in which something can be
    buildings: frozenset[str]  # titles before which it is, where "in" is said
    weather: frozenset[str]  # titles beside which it is
    not_meant: frozenset[str]  # titles that are signs with a thing's name
    two_colored: frozenset[str]  # things that are black and white by themselves
    unworn: frozenset[str]  # titles of animals' and people's groups that nothing can be put on
    seats: Mapping[str, float]  # title -> where things on it stand (share of its height)
    eyes: Mapping[str, tuple[float, float]]  # title -> height of its eyes, width of glasses (shares)

    @property
    def english(self) -> frozenset[str]:
        """Every word that tells that a prompt is English."""
        single = {word for phrase in self.relations for word in phrase}
        tables = (self.colors, self.shades, self.numbers, self.sizes, self.styles, self.near_styles)
        for table in (*tables, self.places, self.place_adjectives):
            single.update(word for key in table for word in key.split())
        groups = (
            self.fillers,
            self.negations,
            self.parts,
            self.measures,
            self.crowds,
            self.holders,
            self.verbs,
        )
        return frozenset(single).union(*groups, self.verb_nouns, self.style_heads)


@cache
def vocabulary() -> Vocabulary:
    """Read the words once."""
    with (DATA / "words.toml").open("rb") as stream:
        table: dict[str, dict[str, Any]] = tomllib.load(stream)
    places = _inverted(table["places"]) | _inverted_phrases(table["place_phrases"])
    measures = table["measures"]
    return Vocabulary(
        colors={**{name: name for name in COLORS}, **table["colors"]},
        color_nouns=_words(table["color_nouns"]["words"]),
        shades={
            word: "" if shade == "plain" else shade for word, shade in _inverted(table["shades"]).items()
        },
        numbers={word: int(number) for word, number in _inverted(table["numbers"]).items()},
        sizes=_inverted(table["sizes"]),
        styles=_inverted(table["styles"]),
        near_styles=_inverted(table["styles_near"]),
        style_heads=_words(table["style_use"]["heads"]),
        works=_words(table["style_use"]["works"]),
        style_anywhere=_words(table["style_use"]["anywhere"]),
        fillers=_words(table["fillers"]["words"]),
        junk=_phrases(table["junk"]["phrases"]),
        tails=_phrases(table["junk"]["tails"]),
        places=places,
        lone_places=_words(table["place_use"]["alone"]),
        place_leads=_words(table["place_use"]["leads"]),
        place_fillers=_words(table["place_use"]["fillers"]),
        place_adjectives=_inverted(table["place_adjectives"]),
        companions={key: _titles(value) for key, value in table["companions"].items()},
        anything=_titles(table["anything"]["titles"]),
        sky=_words(table["sky"]["words"]),
        worn_on_head=_words(table["worn"]["head"]),
        worn_on_eyes=_words(table["worn"]["eyes"]),
        parts=_words(table["parts"]["words"]),
        measures=_words(measures["single"]),
        crowds=_words(measures["crowd"]),
        crowds_after=_words(measures["after"]),
        holders=_words(measures["holder"]),
        one_plurals=_words(table["plural"]["one"]),
        verbs=_words(table["verbs"]["beside"]),
        verb_nouns=_words(table["verbs"]["nouns"]),
        relations={phrase: name for name, text in table["relations"].items() for phrase in _phrases(text)},
        negations=_words(table["negations"]["words"]),
        containers=frozenset(split_names(table["inside"]["containers"])),
        buildings=frozenset(split_names(table["inside"]["buildings"])),
        weather=frozenset(split_names(table["inside"]["weather"])),
        not_meant=frozenset(split_names(table["not_meant"]["titles"])),
        two_colored=_words(table["two_colored"]["words"]),
        unworn=frozenset(split_names(table["wearers"]["not"])),
        seats={title: float(height) for title, height in table["seats"].items()},
        eyes={title: (float(height), float(width)) for title, (height, width) in table["eyes"].items()},
    )


def split_names(text: str) -> list[str]:
    """The names in a comma-separated text, spaces collapsed."""
    return [" ".join(name.split()) for name in text.split(",") if name.strip()]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _titles(text: str) -> tuple[str, ...]:
    return tuple(split_names(text))


def _phrases(text: str) -> frozenset[Phrase]:
    return frozenset(tuple(name.split()) for name in split_names(text))


def _inverted(table: Mapping[str, str]) -> dict[str, str]:
    return {word: key for key, words in table.items() for word in words.split()}


def _inverted_phrases(table: Mapping[str, str]) -> dict[str, str]:
    return {name: key for key, names in table.items() for name in split_names(names)}
