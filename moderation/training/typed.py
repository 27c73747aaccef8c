"""Harmless prompts strung together from phrases that users of image models typed.

Our own phrases (`user_prompts.py`) are those of one author. The package `clip-interrogator` (MIT) lists
100,000 short phrases collected from what people wrote to image models, beside artists and media. Its wheel
is read from a path that the caller names, and none of it is kept in the repository. Phrases that stand in
the training data as they are get left out, so that a source that is held out stays unseen; so do listed
words, and what a first head, of our own sentences alone, finds most harmful: nobody labeled these phrases.
"""

from __future__ import annotations

import hashlib
import random
import re
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from moderation.errors import TrainingError
from moderation.head import Floats
from moderation.normalize import normalize
from moderation.terms import load_terms
from moderation.training.data import Example, reading
from moderation.training.user_prompts import subjects_of

GROUP = "typed_phrases"
COUNT = 9000
_WEIGHT = 1.0  # half of our own: nobody looked at them
_SEED = 20250103
_DOUBTFUL = 0.12  # share of the prompts that is dropped
_PHRASES = 30_000  # of the list's; more give no more variety to so many prompts
_MAX_FILE = 8 << 20
_FOLDER = "clip_interrogator/data/"
_CLAUSE = re.compile(r"[,.;|]")
_SIGNS = (", ", ", ", ", ", " , ", ". ", " ")
_BY = ("by ", "art by ", "in the style of ")


def typed_prompts(wheel: Path, known: Sequence[Example], count: int = COUNT) -> list[Example]:
    """Return about `count` harmless prompts; the same wheel and data always give the same ones.

    Args:
        wheel: a `clip_interrogator` wheel as its package index serves it.
        known: the training data; phrases that are a clause of one of its texts are not used.
        count: how many are made, before equal ones are dropped.

    Raises:
        TrainingError: the wheel cannot be read.
    """
    clauses = {clause.strip() for example in known for clause in _CLAUSE.split(example.text)}
    rng = random.Random(_SEED)
    phrases = sorted(set(_lines(wheel, "flavors.txt")) - clauses, key=_rank)[:_PHRASES]
    listed, ages = load_terms("lexicon.toml"), load_terms("minors.toml")

    def harmless(phrase: str) -> bool:
        text = normalize(phrase)
        if any(True for _ in ages.find(text)):
            return False
        return all(match.entry.severity == "note" for match in listed.find(text))

    phrases = [phrase for phrase in phrases if harmless(phrase)]
    artists = _lines(wheel, "artists.txt")
    media = [medium for medium in _lines(wheel, "mediums.txt") if harmless(medium)]
    if not (phrases and artists and media):
        raise TrainingError(f"{wheel.name}: too few phrases")
    subjects = subjects_of(count, _SEED)
    texts = {reading(_prompt(phrases, artists, media, subject, rng)): None for subject in subjects}
    return [
        Example(text=text, harmful=False, category=None, source=GROUP, group=GROUP, weight=_WEIGHT)
        for text in texts
        if text
    ]


def trusted(examples: Sequence[Example], score: Callable[[Sequence[int]], Floats]) -> list[int]:
    """Return the rows to keep: all but the share of these prompts that scores highest.

    Args:
        examples: the whole training set.
        score: of rows, the (n,) raw values of a head that saw none of the shared data.
    """
    rows = [i for i, e in enumerate(examples) if e.group == GROUP]
    dropped = set()
    if rows:
        order = np.argsort(-score(rows), kind="stable")
        dropped = {rows[i] for i in order[: int(_DOUBTFUL * len(rows))]}
    return [i for i in range(len(examples)) if i not in dropped]


def _prompt(
    phrases: Sequence[str], artists: Sequence[str], media: Sequence[str], subject: str, rng: random.Random
) -> str:
    kind = rng.random()
    if kind < 0.2:
        return rng.choice(phrases)
    parts = [rng.choice(phrases) for _ in range(rng.choice((1, 2, 3, 4, 5, 6, 8, 10)))]
    if kind < 0.55:
        parts.insert(0, subject)
    elif kind < 0.7:
        parts[0] = f"{rng.choice(media)} of {parts[0]}"
    if rng.random() < 0.35:
        names = " and ".join(rng.choice(artists) for _ in range(rng.choice((1, 1, 2, 3))))
        parts.insert(rng.randrange(1, len(parts) + 1), rng.choice(_BY) + names)
    if rng.random() < 0.06:  # the weights that some programs read
        place = rng.randrange(len(parts))
        parts[place] = f"({parts[place]}:1.{rng.randrange(1, 6)})"
    return rng.choice(_SIGNS).join(parts)


def _rank(phrase: str) -> bytes:
    """An order that says nothing of the phrase, and does not change when others are left out."""
    return hashlib.blake2b(phrase.encode(), digest_size=8).digest()


def _lines(wheel: Path, name: str) -> list[str]:
    try:
        with zipfile.ZipFile(wheel) as archive:
            if archive.getinfo(_FOLDER + name).file_size > _MAX_FILE:
                raise TrainingError(f"{wheel.name}: {name} is too large")
            text = archive.read(_FOLDER + name).decode("utf-8")
    except (OSError, zipfile.BadZipFile, KeyError, ValueError, NotImplementedError) as error:
        raise TrainingError(f"{wheel.name}: cannot be read ({type(error).__name__})") from None
    return [line for line in (line.strip().lower() for line in text.splitlines()) if line]
