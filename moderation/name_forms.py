"""How a listed name may be written: without accents, as one word, in the ways of its script."""

# ruff: noqa: RUF001 - letters that look like Latin ones are what this file is about

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator

from moderation.confusables import LOOKALIKES

_SOLID = 8  # Latin letters that a name needs to count when written as one word
_SOLID_UNSPACED = 4  # the same for scripts that put no spaces between words
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue"})
_LATIN = re.compile("[a-z\u00c0-\u024f]", re.IGNORECASE)
_CYRILLIC = re.compile("[\u0400-\u04ff]")
_ARABIC = re.compile("[\u0621-\u064a]")
_NUKTA = "\u093c"
_UNSPACED = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_INITIALS = re.compile(r"\b(?:[A-Z]\.[ ]?){2,}")
_SIGNS = re.compile(r"[\W_]+")
_HAMZA = str.maketrans("أإآٱ", "اااا")
_ARABIC_PREFIXES = ("", "و", "ل", "ب")  # and, to, with: written as part of the word


def forms(name: str) -> tuple[str, ...]:
    """Return the spellings under which a name is searched, itself first, each once."""
    return tuple(dict.fromkeys(_forms(name)))


def _forms(name: str) -> Iterator[str]:
    yield name
    if _UNSPACED.search(name):
        yield from _solid((name,), _SOLID_UNSPACED)
    elif _ARABIC.search(name):
        for spelling in (name, name.translate(_HAMZA)):
            yield from (prefix + spelling for prefix in _ARABIC_PREFIXES)
    elif _CYRILLIC.search(name):
        yield name.replace("ё", "е").replace("Ё", "Е")
    elif _LATIN.search(name):
        yield from _latin(name)
    elif _NUKTA in (apart := unicodedata.normalize("NFD", name)):
        yield apart.replace(_NUKTA, "")


def _latin(name: str) -> Iterator[str]:
    plain = without_accents(name)
    spelled = [plain]
    if (joined := _INITIALS.sub(lambda m: re.sub(r"\W", "", m.group()) + " ", plain)) != plain:
        spelled.append(joined)
    if " & " in plain:
        spelled.append(plain.replace(" & ", " and "))
    if not name.isascii() and (german := name.lower().translate(_UMLAUTS)) != name.lower():
        spelled.append(without_accents(german))
    yield from spelled
    yield from _solid(spelled, _SOLID)


def _solid(spellings: Iterable[str], least: int) -> Iterator[str]:
    """Each as one word, where that is long enough to mean nothing else."""
    for spelling in spellings:
        solid = _SIGNS.sub("", spelling)
        if len(solid) >= least:
            yield solid


def without_accents(name: str) -> str:
    """Return a Latin name in ASCII letters, as the folded view of a text shows it."""
    if name.isascii():
        return name
    bare = (c for c in unicodedata.normalize("NFD", name) if not unicodedata.combining(c))
    return "".join(c if c.isascii() else LOOKALIKES.get(c.lower(), c) for c in bare)
