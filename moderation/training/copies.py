"""Copies of examples as screening meets them: disguised and read again, or without their style words.

What screening makes of a misspelled or split prompt is a guess, and a guess at a harmless sentence
is seldom a sentence that anybody would write. A head that never saw one finds it odd, and what is
odd looks harmful. So both sides are disguised here, in the ways that cannot be undone letter by letter.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace

from moderation.evasions import evade
from moderation.normalize import normalize
from moderation.rules.classifier import SEGMENT
from moderation.subject import subject
from moderation.training.data import Example

_WAYS = ("typo", "split", "punctuation", "repeats", "star", "typo", "split")
_HARMLESS, _HARMFUL = 5000, 2500
_SEED = 20250102  # never the seed of a measurement
_WEIGHT = 0.5  # of a copy: one text more, not twice the text


def disguised(examples: Sequence[Example]) -> list[Example]:
    """Return disguised copies of some English examples, as written and as screening reads them again.

    What a text becomes depends on it alone, so that embeddings can be kept between runs.
    """
    english = [e for e in examples if e.language == "en" and e.text.isascii()]
    found: list[Example] = []
    for harmful, count in ((False, _HARMLESS), (True, _HARMFUL)):
        part = [e for e in english if e.harmful == harmful]
        for example in sorted(part, key=_rank)[:count]:
            found += _disguised(example)
    return found


def _rank(example: Example) -> tuple[bool, int]:
    """Texts labeled with care first, and no order beyond that."""
    return example.weight < 1.0, zlib.crc32(example.text.encode())


def _disguised(example: Example) -> Iterator[Example]:
    way = random.Random(zlib.crc32(example.text.encode())).choice(_WAYS)
    seen = normalize(evade(way, example.text, seed=_SEED))
    for text in dict.fromkeys((seen.recovered, seen.reading)):
        yield replace(example, text=text[:SEGMENT].strip(), weight=_WEIGHT * example.weight, copied=True)


def subjects(examples: Sequence[Example]) -> list[Example]:
    """Return copies without style words of the examples that have such words."""
    found = []
    for example in examples:
        text = subject(example.text)
        if text != example.text and text:
            found.append(replace(example, text=text, weight=_WEIGHT * example.weight, copied=True))
    return found
