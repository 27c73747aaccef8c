"""Reads Hindi for an encoder that does not know it: word by word into English, the rest by sound.

The shipped sentence encoder places Hindi anywhere (similarity of translations: 0.08), so a Hindi text
is handed to it as its words' English senses, from a list of our own. A word that is not in the list is
written in Latin letters much as ISO 15919 would, without its marks: many are loan words, and the
head's character n-grams read them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from types import MappingProxyType

from moderation.errors import RuleDataError

_HINDI = re.compile("[\u0900-\u0963\u0966-\u097f\u200c\u200d]+")
_JOINERS = re.compile("[\u200c\u200d]")
# Endings of number, gender and case, longest first; what is left of a word is looked up.
_ENDINGS = (
    "ियों",
    "ियां",
    "ियाँ",
    "ाओं",
    "ुओं",
    "ाएं",
    "ाएँ",
    "ओं",
    "ों",
    "ें",
    "ां",
    "ीं",
    "ा",
    "े",
    "ी",
    "ि",
    "ो",
    "ं",
    "ँ",
)
_NUKTA = "\u093c"
_VIRAMA = "\u094d"
_CONSONANTS = MappingProxyType(
    dict(
        zip(
            "कखगघङचछजझञटठडढणतथदधनपफबभमयरलवशषसहळ",
            "k kh g gh n ch chh j jh n t th d dh n t th d dh n p ph b bh m y r l v sh sh s h l".split(),  # noqa: SIM905
            strict=True,
        )
    )
)
_SOUNDS = ("a", "i", "i", "u", "u", "ri", "e", "ai", "o", "au", "o", "e")
_VOWELS = MappingProxyType(
    {"अ": "a"} | dict(zip("आइईउऊऋएऐओऔऑऍ", _SOUNDS, strict=True)) | dict(zip("ािीुूृेैोौॉॅ", _SOUNDS, strict=True))
)
_SIGNS = MappingProxyType(
    {"ं": "n", "ँ": "n", "\u0903": "h"} | dict(zip("०१२३४५६७८९", "0123456789", strict=True))
)


def read(text: str) -> str:
    """Return the text with every Hindi word as English, or in Latin letters; other words stay."""
    senses = load_senses()
    out = _HINDI.sub(lambda match: f" {_word(match.group(), senses)} ", text)
    return text if out == text else " ".join(out.split())


def transliterate(word: str) -> str:
    """Return a Devanagari word in plain Latin letters, without the inherent vowel at its end."""
    out: list[str] = []
    inherent = False  # whether the last consonant still carries its "a"
    for char in word:
        if char in _CONSONANTS:
            out.append(("a" if inherent else "") + _CONSONANTS[char])
            inherent = True
        elif char in _VOWELS:
            out.append(_VOWELS[char])
            inherent = False
        elif char == _VIRAMA:
            inherent = False
        elif char in _SIGNS:
            out.append(("a" if inherent else "") + _SIGNS[char])
            inherent = False
    return "".join(out)


@cache
def load_senses() -> Mapping[str, str]:
    """Return the English sense of each stem in the list that ships.

    Raises:
        RuleDataError: the list is missing or a line has no sense.
    """
    try:
        lines = (resources.files("moderation") / "data" / "hindi.txt").read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise RuleDataError("hindi.txt", f"cannot be read ({type(error).__name__})") from None
    senses: dict[str, str] = {}
    for line in lines:
        word, _, sense = (part.strip() for part in line.partition("="))
        if line.startswith("#") or not line.strip():
            continue
        if not sense:
            raise RuleDataError("hindi.txt", f"no sense in {line!r}")
        senses.setdefault(_spelled(word), sense)
        senses.setdefault(_stem(word), sense)
    return MappingProxyType(senses)


def _word(word: str, senses: Mapping[str, str]) -> str:
    spelled = _spelled(word)
    sense = senses.get(spelled) or senses.get(_stem(word))
    if sense is None:
        return transliterate(spelled)
    return "" if sense == "-" else sense


def _spelled(word: str) -> str:
    """One spelling of each word: nasal signs and the dots of borrowed sounds vary from writer to writer."""
    return _JOINERS.sub("", word).replace(_NUKTA, "").replace("ँ", "ं")


def _stem(word: str) -> str:
    spelled = _spelled(word)
    for ending in _ENDINGS:
        if spelled.endswith(ending) and len(spelled) > len(ending) + 1:
            return spelled[: -len(ending)]
    return spelled
