"""Finds the reference titles that fit a subject's words: by names, by word overlap and by embeddings."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from generation.sticker.aliases import aliases, kin
from generation.sticker.meaning import Embed, Match, Meaning
from generation.sticker.nouns import head, singular, tokens
from generation.sticker.references import PACK, References
from generation.sticker.spelling import Spelling, real_words
from generation.sticker.vocabulary import vocabulary

__all__ = ["KNOWN", "Embed", "Match", "Retrieval"]

KNOWN = 0.55
"""A match of at least this score shows the subject; below it Verso says that it knows no such picture."""

_SURE = 1.5  # score of a match by name
_NEAREST = KNOWN - 0.1  # score of a match by kin
_SIGN_PENALTY = 0.1  # signs and clock faces are seldom meant
_SIGNS = 8
_LONG = 7  # letters from which a corrected word may stand for one without a picture


class Retrieval:
    """An index over the titles of a reference pack."""

    def __init__(self, references: References, *, embed: Embed | None = None) -> None:
        self._titles = tuple(title for title in references.by_title if title not in vocabulary().not_meant)
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
        self._meaning = (
            Meaning(references, titles=self._titles, penalty=self._penalty, embed=embed) if embed else None
        )
        self.names = aliases()
        self._spelling: Spelling | None = None

    def find(self, text: str, *, color: str | None = None) -> Match | None:
        """The best title for a subject; None if nothing is like it at all.

        Args:
            text: the subject's words, without number and color.
            color: its color; a title that carries it is preferred ("red apple").
        """
        text = " ".join(text.lower().split())
        named = self._by_name(text, color)
        if named is not None:
            return (self._by_spelling(text, color) or named) if named.missing else named
        found = self._by_words(text, color=color)
        if found is not None and found.known:
            return found
        meant = self._meaning.find(text, english=self._idf) if self._meaning else None
        if meant is not None and meant.sure:
            return meant
        spelled = self._by_spelling(text, color)
        if spelled is not None and spelled.known and (found is None or found.score < _NEAREST):
            return spelled
        if meant is not None and meant.known:
            return meant
        if spelled is not None and len(text) < _LONG:
            spelled = None
        near = [match for match in (found, spelled, meant) if match is not None]
        return max(near, key=lambda match: match.score, default=None)

    def _by_name(self, text: str, color: str | None) -> Match | None:
        """The title of the whole text, or of the longest part of it at its end, else at its start."""
        words = text.split()
        whole = self._resolve(words, color)
        if whole is not None:
            return whole
        starts = ((start, self._resolve(words[start:], color)) for start in range(1, len(words)))
        start, end_part = next(((i, part) for i, part in starts if part is not None), (0, None))
        ends = (self._resolve(words[:end], color) for end in range(len(words) - 1, 0, -1))
        first_part = next((part for part in ends if part is not None), None)
        if first_part is not None and first_part.known and words[-1].endswith("ing"):
            return self._partly(first_part, words[1:])  # "kangaroo boxing"
        if end_part is not None and (end_part.known or first_part is None or not first_part.known):
            held = self._holding(words)
            before = self._resolve(words[:start], color)
            same = before is not None and before.title == end_part.title
            return held or self._partly(end_part, () if same else words[:start])
        middle = (self._resolve([word], color) for word in words[1:-1])
        part = first_part or next((part for part in middle if part is not None), None)
        return replace(part, score=_NEAREST, known=False) if part is not None else None

    def _resolve(self, words: Sequence[str], color: str | None) -> Match | None:
        names, near = aliases(), kin()
        for form in _forms(words):
            for shade in _spoken(color):
                for name in (f"{shade} {form}", f"{shade} {singular(form)}"):
                    title = names.get(name, name)
                    if title in self._set:
                        return Match(title=title, score=_SURE, known=True)
            for name in (form, singular(form)):
                title = names.get(name, name)
                if title in self._set:
                    return Match(title=title, score=_SURE, known=True)
            for name in (form, singular(form)):
                if near.get(name) in self._set:
                    return Match(title=near[name], score=_NEAREST, known=False)
        return None

    def _holding(self, words: Sequence[str]) -> Match | None:
        """A title of several of the words with the last one among them: "angry little face"."""
        wanted = {singular(word) for word in words}
        last = singular(words[-1])
        fits = [i for i, name in enumerate(self._names) if len(name) > 1 and last in name and name <= wanted]
        if not fits:
            return None
        best = max(fits, key=lambda i: (len(self._names[i]), -self._penalty[i]))
        missing = tuple(word for word in words if singular(word) not in self._names[best])
        return self._partly(Match(title=self._titles[best], score=_SURE, known=True), missing)

    def _partly(self, match: Match, missing: Collection[str]) -> Match:
        """The match of a part of the words; what the picture's keywords name is not missing."""
        i = self._titles.index(match.title)
        return replace(match, missing=self._unshown(i, " ".join(missing)))

    def _by_words(self, text: str, *, color: str | None) -> Match | None:
        wanted = [word for word in tokens(text) if len(word) > 1]
        if not wanted:
            return None
        words = self._word_scores(wanted, singular(head(text)))
        score = 1.05 * words - self._penalty
        if color:
            spoken = set(_spoken(color))
            score += 0.12 * np.array([bool(spoken & name) for name in self._names], np.float32)
        best = int(np.argmax(np.where(words > 0, score, -np.inf)))
        if words[best] <= 0:
            return None
        return Match(
            title=self._titles[best],
            score=float(score[best]),
            known=bool(words[best] >= KNOWN and score[best] >= KNOWN - 0.1),
            missing=self._unshown(best, text),
        )

    def _unshown(self, i: int, text: str) -> tuple[str, ...]:
        shown = self._names[i] | self._keywords[i]
        return tuple(
            word for word in text.split() if len(word) > 2 and tokens(word) and not set(tokens(word)) & shown
        )

    def _word_scores(self, wanted: Sequence[str], noun: str) -> npt.NDArray[np.float32]:
        """0..1: the idf-weighted share of the wanted words a title has, the head noun counting double."""
        weights = {word: self._idf.get(word, self._rare) * (2 if word == noun else 1) for word in wanted}
        total = sum(weights.values())
        scores = np.zeros(len(self._titles), np.float32)
        colors = vocabulary().colors
        for i, (name, more) in enumerate(zip(self._names, self._keywords, strict=True)):
            found = sum(
                weight * (1.0 if word in name else 0.6 if word in more else 0.0)
                for word, weight in weights.items()
            )
            if found:
                precision = len(name & weights.keys()) / len(name) if name else 0.0
                own = sum(word not in colors for word in name)
                if len(name & weights.keys()) < min(own, len(weights)):
                    found *= 0.6  # each says something the other does not: a fire engine is no steam engine
                scores[i] = 0.8 * found / total + 0.15 * precision + (0.05 if self._heads[i] == noun else 0.0)
        return scores

    def _by_spelling(self, text: str, color: str | None) -> Match | None:
        if self._spelling is None:
            real = real_words(PACK.parent / "model" / "tokenizer" / "tokenizer.json")
            self._spelling = Spelling([*self._titles, *aliases(), *kin()], real=real)
        words = text.split()
        right = [self._spelling.correct(word) or word for word in words]
        if right == words:
            return None
        found = self._by_name(" ".join(right), color)
        if found is None or found.missing:
            return None
        return replace(found, read_as=" ".join(right))


def _forms(words: Sequence[str]) -> tuple[str, ...]:
    """The ways a compound may be written: "ice cream", "icecream", "ice-cream"."""
    text = " ".join(words)
    forms = [text]
    if len(words) > 1:
        forms += ["".join(words), "-".join(words)]
    if "-" in text:
        forms += [text.replace("-", " "), text.replace("-", "")]
    if text.endswith("'s"):
        forms.append(text[:-2])
    return tuple(forms)


def _spoken(color: str | None) -> list[str]:
    if color is None:
        return []
    base = color.split()[-1]
    return [word for word, name in vocabulary().colors.items() if name.split()[-1] == base]
