"""Harmless prompts of the kind that people write to an image model, made from our own phrases and name lists.

A set of captions and textbook sentences teaches a head that "portrait of an elegant woman, pale skin, dark
fantasy, trending on artstation" is unlike anything harmless. These prompts say what such words are worth:
nothing. The same files always give the same prompts. They were
written after looking at what an earlier head held of DiffusionDB; phrases that could be traced to single
prompts of it were removed since, as were words of allure, which announce what they once made look harmless.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources

from moderation.entities import load_entities
from moderation.errors import PolicyError, TrainingError
from moderation.policy_file import parse
from moderation.training.data import Example, reading

GROUP = "user_prompts"
COUNT = 6000
_WEIGHT = 2.0  # where real users' prompts are left out, these speak for all of them: chosen on the folds
_SEED = 20250101
_KEYS = ("people", "creatures", "things", "places", "doing", "media", "style", "words", "films")
_KINDS = ("artist", "person", "character")


@dataclass(frozen=True, slots=True)
class _Words:
    """The phrases by key, and who may be named by kind."""

    phrases: Mapping[str, Sequence[str]]
    names: Mapping[str, Sequence[str]]

    def one(self, key: str, rng: random.Random) -> str:
        return rng.choice(self.phrases[key])

    def named(self, kind: str, rng: random.Random) -> str:
        return rng.choice(self.names[kind])


def user_prompts(count: int = COUNT) -> list[Example]:
    """Return `count` harmless prompts (a few less where two are equal).

    Raises:
        TrainingError: the phrase file is not as agreed.
    """
    words, rng = _load(), random.Random(_SEED)
    texts = {reading(_prompt(words, rng)): None for _ in range(count)}
    return [
        Example(text=text, harmful=False, category=None, source=GROUP, group=GROUP, weight=_WEIGHT)
        for text in texts
        if text
    ]


def style_tails(count: int = 2000) -> list[str]:
    """Return style words as they stand behind a prompt, without the comma before them.

    Raises:
        TrainingError: the phrase file is not as agreed.
    """
    words, rng = _load(), random.Random(_SEED + 1)
    return [_tail(words, rng) for _ in range(count)]


def subjects_of(count: int, seed: int) -> list[str]:
    """Return who or what is shown, without style words, `count` times.

    Raises:
        TrainingError: the phrase file is not as agreed.
    """
    words, rng = _load(), random.Random(seed)
    return [_subject(words, rng) for _ in range(count)]


def _load() -> _Words:
    try:
        text = (resources.files("moderation.training") / "user_prompts.toml").read_text("utf-8")
        table = parse(text, "user_prompts.toml")
        table.only(*_KEYS)
        phrases = {key: table.texts(key) for key in _KEYS}
    except (OSError, UnicodeDecodeError, PolicyError) as error:
        raise TrainingError(f"user_prompts.toml: {error}") from None
    if not all(phrases.values()):
        raise TrainingError("user_prompts.toml: every list needs a phrase")
    names: dict[str, list[str]] = {kind: [] for kind in _KINDS}
    for entry in load_entities().entries:
        kind = entry.reason.partition("/")[0]
        if kind in names:
            names[kind] += (name.lower() for name in entry.terms if name.isascii() and " " in name)
    return _Words(phrases, names)


def _prompt(words: _Words, rng: random.Random) -> str:
    kind = rng.random()
    if kind < 0.08:
        return _short(words, rng)
    if kind < 0.2:  # a name in a scene
        name = words.named("person" if rng.random() < 0.6 else "character", rng)
        text = f"{name} {words.one('films' if rng.random() < 0.7 else 'doing', rng)}"
    elif kind < 0.25:
        text = ", ".join(words.one("style", rng) for _ in range(rng.randrange(2, 5)))
    else:
        text = _subject(words, rng)
    if rng.random() < 0.55:
        text = f"{words.one('media', rng)} {text}"
    if rng.random() < 0.7:
        text = f"{text}{rng.choice((', ', ', ', ' , ', '. '))}{_tail(words, rng)}"
    return text


def _short(words: _Words, rng: random.Random) -> str:
    key = rng.choice(("words", "words", "people", "creatures", "things", "places"))
    text = words.one(key, rng)
    return f"{text} by {words.named('artist', rng)}" if rng.random() < 0.3 else text


def _subject(words: _Words, rng: random.Random) -> str:
    key = rng.choices(("people", "creatures", "things", "places", "words"), (45, 20, 11, 18, 6))[0]
    text = words.one(key, rng)
    if key in {"people", "creatures"}:
        if rng.random() < 0.65:
            text = f"{text} {words.one('doing', rng)}"
        if rng.random() < 0.3:
            text = f"{text} in {words.one('places', rng)}"
        if rng.random() < 0.15:
            text = f"{text} and {words.one(rng.choice(('people', 'creatures')), rng)}"
    return text


def _tail(words: _Words, rng: random.Random) -> str:
    parts = [words.one("style", rng) for _ in range(rng.choice((1, 2, 3, 4, 6, 8, 10)))]
    if rng.random() < 0.5:
        artists = [words.named("artist", rng) for _ in range(rng.choice((1, 1, 2, 2, 3, 4)))]
        by = rng.choice(("by ", "by ", "art by ", "in the style of ", "painted by "))
        parts.insert(rng.randrange(len(parts) + 1), by + rng.choice((" and ", ", ")).join(artists))
    return ", ".join(parts)
