"""Finds reference titles by the meaning of words: whatever the encoder's languages call them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from generation.sticker.aliases import aliases, kin
from generation.sticker.name_vectors import name_vectors
from generation.sticker.references import References

Embed = Callable[[Sequence[str]], npt.NDArray[np.float32]]
"""Texts -> (n, 512) float32 unit vectors of the encoder that made the shipped title vectors."""

Floats = npt.NDArray[np.float32]

KNOWN_BY_MEANING = 0.74
"""Cosine from which a title means the same though it shares no word."""

_MEANT = 0.82  # cosine that leaves no doubt
_NEAR = 0.6  # cosine from which the nearest title is worth showing
_NEAR_ASCII = 0.7  # the same for words that may be English: their letters alone make them alike
_SCALE = 0.6  # score of a match by meaning per cosine
_PHRASE = 6  # words of a foreign phrase that are looked for one by one
_NOISE = frozenset(
    ["zzz", "om", "ox", "ewe", "hut", "ng button", "sake", "hamsa", "mate", "jar", "moai", "oden"]
)
"""Short titles whose vectors lie near any unknown word."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Match:
    """A title and how well it fits."""

    title: str
    score: float  # about 0 to 1.5
    known: bool
    missing: tuple[str, ...] = ()  # words of the subject that the picture does not show
    read_as: str | None = None  # the word that a misspelled one was taken for
    sure: bool = False  # no other way of finding can be better


class Meaning:
    """The vectors of titles and of the names that people have for them.

    Args:
        references: whose titles are looked for.
        titles: those that may be found.
        penalty: (n,) how much less each of `titles` is meant than its vector says.
        embed: the encoder.
    """

    def __init__(
        self, references: References, *, titles: Sequence[str], penalty: Floats, embed: Embed
    ) -> None:
        vectors = references.vectors
        rows = np.array([vectors.titles.index(title) for title in titles])
        self._titles = titles
        self._title, self._described = vectors.title[rows], vectors.described[rows]
        self._penalty = penalty + np.array([title in _NOISE for title in titles], np.float32)
        self._embed = embed
        names, named = name_vectors()
        known = frozenset(titles)
        shown = [i for i, name in enumerate(names) if (kin().get(name) or aliases().get(name)) in known]
        self._names, self._named = [names[i] for i in shown], named[shown]

    def find(self, text: str, *, english: Collection[str]) -> Match | None:
        """The title that is nearest in meaning, if it is near enough to be shown.

        Args:
            text: the words; those of a foreign phrase are looked for one by one, too.
            english: words that tell that a phrase is not foreign.
        """
        words = text.split()[:_PHRASE]
        foreign = len(words) > 1 and not any(word in english for word in words)
        vectors = np.asarray(self._embed([text, *words] if foreign else [text]), np.float32)
        whole = self._nearest(vectors[0])
        single = [self._nearest(vector) for vector in vectors[1:]]
        if single and not whole.known:
            i = max(range(len(single)), key=lambda k: single[k].score)
            if single[i].known:
                return replace(single[i], missing=tuple(word for k, word in enumerate(words) if k != i))
        least = _NEAR_ASCII if text.isascii() else _NEAR
        return whole if whole.known or whole.score >= _SCALE * least else None

    def _nearest(self, asked: Floats) -> Match:
        titles = np.maximum(self._title @ asked, self._described @ asked) - self._penalty
        others = self._named @ asked
        best = int(titles.argmax())
        title, cosine, is_kin = self._titles[best], float(titles[best]), False
        if len(others) and others.max() > cosine:
            name, cosine = self._names[int(others.argmax())], float(others.max())
            title, is_kin = kin().get(name) or aliases()[name], name in kin()
        known = cosine >= KNOWN_BY_MEANING and not is_kin
        return Match(title=title, score=_SCALE * cosine, known=known, sure=known and cosine >= _MEANT)
