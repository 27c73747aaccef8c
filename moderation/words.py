"""Ordinary English words and how often they are used: what a disguised word most likely stands for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache, lru_cache
from importlib import resources

from moderation.errors import RuleDataError

LETTERS = "abcdefghijklmnopqrstuvwxyz"
_SWAP, _OTHER_LETTER = 2.5, 5.0  # what a correction costs, on the scale of the words' costs
_ENDING = 1.0
_ENDINGS = (
    ("ies", "y"),
    ("s", ""),
    ("es", ""),
    ("d", ""),
    ("ed", ""),
    ("ing", ""),
    ("ing", "e"),
    ("er", ""),
    ("ly", ""),
)


class Words:
    """Ordinary words, and what each costs."""

    def __init__(self, listed: Sequence[str]) -> None:
        """`listed`: most frequent first; costs follow from the place (Zipf's law)."""
        self._costs = {word: 2.5 + math.log(rank + 1) for rank, word in enumerate(listed)}

    def __contains__(self, word: str) -> bool:
        return self.get(word) is not None

    def __getitem__(self, word: str) -> float:
        cost = self.get(word)
        if cost is None:
            raise KeyError(word)
        return cost

    def get(self, word: str) -> float | None:
        """Return what a listed word, or a listed word with an ending, costs; None: it is neither."""
        cost = self._costs.get(word)
        if cost is None and len(word) > 4:
            stems = [word[: -len(old)] + new for old, new in _ENDINGS if word.endswith(old)]
            stems += [stem[:-1] for stem in stems if stem[-1:] == stem[-2:-1]]  # "penned"
            stem = min(
                (self._costs[stem] for stem in stems if len(stem) > 2 and stem in self._costs), default=None
            )
            cost = None if stem is None else stem + _ENDING
        return cost

    def listed(self, word: str) -> float | None:
        """Return what a word costs that stands in the list as it is."""
        return self._costs.get(word)


@cache
def load_words() -> Words:
    """Return the list that ships.

    Raises:
        RuleDataError: the list is missing or empty.
    """
    try:
        listed = (resources.files("moderation") / "data" / "words.txt").read_text("utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise RuleDataError("words.txt", f"cannot be read ({type(error).__name__})") from None
    if not listed:
        raise RuleDataError("words.txt", "is empty")
    return Words(listed)


@lru_cache(maxsize=4096)
def one_away(word: str) -> tuple[float, str] | None:
    """Return the likeliest word one swap, omission, insertion or other letter away, and its cost.

    The steps are Damerau's (1964).

    The first letter stays: hardly anybody mistypes it, and many real words differ there alone.
    """
    words = load_words()
    cuts = range(1, len(word))
    inserted = {word[:i] + letter + word[i:] for i in (*cuts, len(word)) for letter in LETTERS}
    swapped = {word[:i] + word[i + 1] + word[i] + word[i + 2 :] for i in cuts if i + 1 < len(word)}
    near = {word[:i] + word[i + 1 :] for i in cuts}
    near |= inserted
    near |= {word[:i] + letter + word[i + 1 :] for i in cuts for letter in LETTERS}
    found = [
        (cost + penalty, form)
        for forms, penalty in ((swapped, _SWAP), (near, _OTHER_LETTER))
        for form in forms
        if (cost := words.listed(form)) is not None
    ]
    return min(found, default=None)
