"""Reads misspelled words: the known word that is one slip away, or two slips in a long word.

A slip is a letter too many, too few, wrong, or swapped with its neighbor (Damerau, 1964). First letters are
seldom wrong, so only words with the same one are compared.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from pathlib import Path

_SHORTEST = 4  # shorter words are too much alike
_LONG = 7  # letters from which two slips are forgiven
_VERY_LONG = 9  # letters from which both may be wrong letters: a hipster is no hamster
_LONGEST = 24


class Spelling:
    """An index over the words of some names.

    Args:
        names: what can be meant.
        real: words of the language that are right as they are, though no name has them.
    """

    def __init__(self, names: Iterable[str], *, real: Collection[str] = frozenset()) -> None:
        self._real = real
        self._words: dict[str, set[str]] = {}
        for name in names:
            for word in name.split():
                if word.isalpha() and len(word) >= _SHORTEST - 1:
                    self._words.setdefault(word[0], set()).add(word)

    def correct(self, word: str) -> str | None:
        """The known word that `word` was probably meant to be; None if it is known, or nothing is near."""
        if not word.isalpha() or not _SHORTEST <= len(word) <= _LONGEST or word in self._real:
            return None
        alike = self._words.get(word[0], set())
        if word in alike:
            return None
        slips = 2 if len(word) >= _LONG else 1
        near = [known for known in alike if abs(len(known) - len(word)) <= slips]
        ranked = sorted(
            (distance, _single(word) != _single(known), abs(len(known) - len(word)), known)
            for known in near
            if (distance := _distance(word, known)) == 1
            or (distance <= slips and (len(word) >= _VERY_LONG or len(known) != len(word)))
        )
        return ranked[0][-1] if ranked else None


def _single(word: str) -> str:
    """A word with its doubled letters written once: the commonest slip."""
    return "".join(letter for i, letter in enumerate(word) if word[i - 1 : i] != letter)


def real_words(tokenizer: Path) -> frozenset[str]:
    """The words of a WordPiece vocabulary (tokenizers' JSON); none if there is no such file."""
    try:
        vocabulary = json.loads(tokenizer.read_text(encoding="utf-8"))["model"]["vocab"]
    except (OSError, ValueError, KeyError, TypeError):
        return frozenset()
    return frozenset(word for word in vocabulary if word.isalpha())


def _distance(one: str, other: str) -> int:
    """Slips between two words (optimal string alignment)."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        older, before, row = before, row, [i]
        for j, b in enumerate(other, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                cost = min(cost, older[j - 2] + 1)
            row.append(cost)
    return row[-1]
