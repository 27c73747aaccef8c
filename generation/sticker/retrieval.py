"""Finds the reference titles that fit a subject's words, by word overlap with idf and by embeddings."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from generation.sticker.aliases import ALIASES, KIN
from generation.sticker.references import References
from generation.sticker.vocabulary import COLOR_WORDS, FILLERS

Embed = Callable[[Sequence[str]], npt.NDArray[np.float32]]
"""Texts -> (n, 512) float32 unit vectors of the encoder that made the shipped title vectors."""

KNOWN = 0.55
"""A match of at least this score shows the subject; below it Verso says that it knows no such picture."""

KNOWN_BY_MEANING = 0.74
"""Cosine above which a title means the same though it shares no word."""

_WORDS = re.compile(r"[^\W_]+(?:'[a-z]+)?", re.UNICODE)
_SPLIT = re.compile(r" (?:with|on|in|at|to|of|for|from|near|flying|by|that|who|which) ")
_COLOR_NAMES = frozenset(COLOR_WORDS)
_SIGN_PENALTY = 0.1  # signs and clock faces are seldom meant
_SIGNS = 8
_PEOPLE = 1


_IRREGULAR = {
    "mice": "mouse", "geese": "goose", "wolves": "wolf", "leaves": "leaf", "knives": "knife",
    "feet": "foot", "teeth": "tooth", "children": "child", "men": "man", "women": "woman",
    "people": "person", "loaves": "loaf", "buses": "bus", "potatoes": "potato", "tomatoes": "tomato",
    "octopi": "octopus", "cacti": "cactus", "shoes": "shoe", "cookies": "cookie", "scarves": "scarf",
    "fairies": "fairy", "elves": "elf", "lens": "lens",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Match:
    """A title and how well it fits."""

    title: str
    score: float  # about 0 to 1.15
    known: bool


def singular(word: str) -> str:
    """The likely singular of an English word, in lower case."""
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("shes", "ches", "xes", "sses", "zes")):
        return word[:-2]
    if word.endswith("s") and not word.endswith(("ss", "us", "is")) and len(word) > 3:
        return word[:-1]
    return word


def tokens(text: str) -> list[str]:
    """The meaning words of a text, singular."""
    return [singular(word) for word in _WORDS.findall(text.lower()) if word not in FILLERS]


def head(text: str) -> str:
    """The noun that a phrase is about: the last word before a preposition."""
    words = _SPLIT.split(text)[0].split()
    return words[-1] if words else ""


def alias(text: str, titles: Collection[str]) -> str:
    """`text` with the name that the reference sets use, where people say another."""
    plain = " ".join(singular(word) for word in text.split())
    for candidate in (text, plain):
        if candidate in titles:
            return candidate
        if candidate in ALIASES:
            return ALIASES[candidate]
    words = plain.split()
    if len(words) > 1 and " " not in ALIASES.get(words[-1], " "):  # "race car", but no "dragon red apple"
        return " ".join([*words[:-1], ALIASES[words[-1]]])
    return text


class Retrieval:
    """An index over the titles of a reference pack."""

    def __init__(self, references: References, *, embed: Embed | None = None) -> None:
        self._embed = embed
        self._titles = tuple(references.by_title)
        self._set = frozenset(self._titles)
        firsts = [references.by_title[title][0] for title in self._titles]
        self._names = [frozenset(tokens(title)) for title in self._titles]
        self._heads = [singular(head(title)) for title in self._titles]
        self._keywords = [frozenset(t for word in first.keywords for t in tokens(word)) for first in firsts]
        counted = Counter(
            word for name, more in zip(self._names, self._keywords, strict=True) for word in name | more
        )
        self._idf = {word: math.log(1 + len(self._titles) / (1 + n)) for word, n in counted.items()}
        self._rare = math.log(1 + len(self._titles))
        self._penalty: npt.NDArray[np.float32] = np.array(
            [
                _SIGN_PENALTY
                if first.group == _SIGNS or "o'clock" in first.title or "-thirty" in first.title
                else 0.0
                for first in firsts
            ],
            np.float32,
        )
        # Single-person pictures have many variants ("man: red hair"); the plain one comes first.
        self._penalty += np.array([0.02 * max(0, len(name) - 1) for name in self._names], dtype=np.float32)
        self._vectors = references.vectors if embed else None
        self._rows = (
            np.array([self._vectors.titles.index(title) for title in self._titles]) if self._vectors else None
        )

    def find(self, text: str, *, color: str | None = None, limit: int = 3) -> tuple[Match, ...]:
        """The best titles for a subject, best first.

        Args:
            text: the subject's words, without number and color.
            color: its color; a title that carries it is preferred ("red apple").
            limit: how many at most.
        """
        named = alias(text.lower().strip(), self._set)
        wanted = tokens(named)
        if not wanted:
            return ()
        kin = KIN.get(text.lower().strip()) or KIN.get(singular(head(named)), "")
        if named not in self._set and kin in self._set:
            return (Match(title=kin, score=KNOWN - 0.1, known=kin == named),)
        exact = named if named in self._titles else None
        words = self._word_scores(wanted, singular(head(named)))
        meaning = self._meaning_scores(text, named)
        if self._vectors is None:
            score = 1.05 * words - self._penalty
        else:
            score = 0.62 * words + 0.55 * np.maximum(0, meaning) - self._penalty
        if color:
            spoken = {word for word, name in COLOR_WORDS.items() if name.split()[-1] == color.split()[-1]}
            score += 0.12 * np.array([bool(spoken & name) for name in self._names], np.float32)
        if exact:
            score[self._titles.index(exact)] += 0.5
        if not words.any() and not meaning.any():
            return ()
        order = np.argsort(-score, kind="stable")[:limit]
        return tuple(
            Match(
                title=self._titles[i],
                score=float(score[i]),
                known=bool(words[i] >= 0.5 and score[i] >= KNOWN - 0.1)
                or bool(meaning[i] >= KNOWN_BY_MEANING and words[i] > 0)
                or bool(meaning[i] >= KNOWN_BY_MEANING + 0.12),
            )
            for i in order
        )

    def _word_scores(self, wanted: Sequence[str], noun: str) -> npt.NDArray[np.float32]:
        """0..1: the idf-weighted share of the wanted words a title has, the head noun counting double."""
        weights = {word: self._idf.get(word, self._rare) * (2 if word == noun else 1) for word in wanted}
        total = sum(weights.values())
        scores = np.zeros(len(self._titles), np.float32)
        for i, (name, more) in enumerate(zip(self._names, self._keywords, strict=True)):
            found = sum(
                weight * (1.0 if word in name else 0.6 if word in more else 0.0)
                for word, weight in weights.items()
            )
            if found:
                precision = len(name & weights.keys()) / len(name) if name else 0.0
                if len(name & weights.keys()) < min(len(name - _COLOR_NAMES), len(weights)):
                    found *= 0.6  # each says something the other does not: a fire engine is no steam engine
                scores[i] = 0.8 * found / total + 0.15 * precision + (0.05 if self._heads[i] == noun else 0.0)
        return scores

    def _meaning_scores(self, text: str, named: str) -> npt.NDArray[np.float32]:
        if self._embed is None or self._vectors is None or self._rows is None:
            return np.zeros(len(self._titles), np.float32)
        asked = np.asarray(self._embed([text, named] if named != text else [text]), np.float32)
        best = np.maximum((self._vectors.title @ asked.T).max(1), (self._vectors.described @ asked.T).max(1))
        out: npt.NDArray[np.float32] = best[self._rows]
        return out
