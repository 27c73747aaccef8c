"""Thirteen ways in which people disguise a word, to measure what is still read after them.

Each transform takes a text and a random generator and returns the text as somebody would write it
who wants to slip past a word list while a reader still understands it. They are harsh on purpose
(every word of four letters or more is changed) and keep to Latin letters: other scripts pass through
unchanged where a trick does not exist there. Nothing here is used while screening.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

Transform = Callable[[str, random.Random], str]

_WORD = re.compile(r"[A-Za-z]{4,}")
_LEET = str.maketrans("aeiostAEIOST", "431057431057")
_CYRILLIC = str.maketrans("aceopxyiABCEHKMOPTX", "асеорхуіАВСЕНКМОРТХ")  # noqa: RUF001 - the trick itself
_ZERO_WIDTH = ("\u200b", "\u200c", "\u2060", "\ufeff")
_MARKS = ("\u0301", "\u0300", "\u0308", "\u0303", "\u0323")
_NEIGHBORS = MappingProxyType(
    dict(zip("qwertyuiopasdfghjklzxcvbnm", "wqwrtyuioosasdfghjkzxcvbnb", strict=True))
)
_SIGNS = ("!", ";", "^", "~", "'", "\\", "=")


def evade(name: str, text: str, *, seed: int = 0) -> str:
    """Return `text` under the transform called `name`; the same seed gives the same text.

    Raises:
        KeyError: no such transform.
    """
    return TRANSFORMS[name](text, random.Random(f"{name}:{seed}:{text}"))


def _words(change: Transform) -> Transform:
    def transform(text: str, rng: random.Random) -> str:
        return _WORD.sub(lambda match: change(match.group(), rng), text)

    return transform


def _leet(word: str, _rng: random.Random) -> str:
    return word.translate(_LEET)


def _homoglyph(word: str, _rng: random.Random) -> str:
    return word.translate(_CYRILLIC)


def _zero_width(word: str, rng: random.Random) -> str:
    return "".join(letter + rng.choice(_ZERO_WIDTH) for letter in word)


def _full_width(text: str, _rng: random.Random) -> str:
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)


def _math(text: str, _rng: random.Random) -> str:
    return "".join(
        chr(0x1D5EE + ord(c) - 97)
        if "a" <= c <= "z"
        else chr(0x1D5D4 + ord(c) - 65)
        if "A" <= c <= "Z"
        else c
        for c in text
    )


def _diacritics(word: str, rng: random.Random) -> str:
    return "".join(letter + (rng.choice(_MARKS) if letter in "aeioucnsy" else "") for letter in word)


def _case(text: str, rng: random.Random) -> str:
    return "".join(c.upper() if rng.random() < 0.5 else c.lower() for c in text)


def _repeats(word: str, rng: random.Random) -> str:
    place = rng.randrange(1, len(word))
    return word[:place] + word[place] * rng.randrange(2, 5) + word[place:]


def _spacing(word: str, _rng: random.Random) -> str:
    return " ".join(word)


def _split(word: str, rng: random.Random) -> str:
    place = rng.randrange(2, len(word) - 1)
    return f"{word[:place]} {word[place:]}"


def _typo(word: str, rng: random.Random) -> str:
    place = rng.randrange(1, len(word) - 1)
    kind = rng.randrange(4)
    if kind == 0:  # two letters swapped
        return word[:place] + word[place + 1] + word[place] + word[place + 2 :]
    if kind == 1:  # one left out
        return word[:place] + word[place + 1 :]
    if kind == 2:  # one doubled
        return word[:place] + word[place] + word[place:]
    return word[:place] + _NEIGHBORS.get(word[place].lower(), word[place]) + word[place + 1 :]


def _star(word: str, rng: random.Random) -> str:
    inner = range(1, len(word) - 1)
    vowels = [i for i in inner if word[i].lower() in "aeiou"] or list(inner)
    place = rng.choice(vowels)
    return f"{word[:place]}*{word[place + 1 :]}"


def _punctuation(word: str, rng: random.Random) -> str:
    sign = rng.choice((".", "-", "_", *_SIGNS))
    return sign.join(word)


#: Name -> transform; the names are those of the report's table.
TRANSFORMS: Mapping[str, Transform] = MappingProxyType(
    {
        "leet": _words(_leet),
        "homoglyph": _words(_homoglyph),
        "zero-width": _words(_zero_width),
        "full-width": _full_width,
        "math letters": _math,
        "diacritics": _words(_diacritics),
        "case": _case,
        "repeats": _words(_repeats),
        "spacing": _words(_spacing),
        "split": _words(_split),
        "typo": _words(_typo),
        "star": _words(_star),
        "punctuation": _words(_punctuation),
    }
)
