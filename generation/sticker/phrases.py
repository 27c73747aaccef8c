"""Reads one noun phrase: number, size, color and the thing itself, in whatever order they come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from generation.sticker.grounds import color_at
from generation.sticker.nouns import singular
from generation.sticker.prompt import MOST, Layout, Size, Subject
from generation.sticker.vocabulary import vocabulary

MAX_WORDS = 8  # of a thing's name
_MAX_CHARS = 120
_ARTICLES = frozenset(
    ["a", "an", "the", "my", "your", "his", "her", "its", "our", "their", "this", "that", "these", "those"]
)
_CROWD = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Phrase:
    """What a noun phrase says."""

    subjects: tuple[Subject, ...] = ()  # more than one for a thing in its container
    color: str | None = None  # of a phrase that names a color only
    count: int = 0  # of the same phrase; 0: not said
    more: bool = False  # more than MOST were asked for


def read_phrase(words: Sequence[str], *, foreign: bool = False) -> Phrase:
    """Read a noun phrase.

    Args:
        words: lower case, without connecting words.
        foreign: colors, sizes and numbers may stand after their noun.
    """
    known = vocabulary()
    if "of" in words[1:-1]:
        at = list(words).index("of", 1)
        kind = singular(words[at - 1])
        left, right = words[: at - 1], words[at + 1 :]
        if words[at - 1] in known.numbers or kind in known.numbers:
            return _measured(words[:at], right, foreign=foreign)
        if kind in known.holders:
            return _held(words[:at], right, foreign=foreign)
        if kind in known.crowds:
            thing = _measured(left, right, foreign=foreign)
            crowd = tuple(
                replace(s, count=max(s.count, _CROWD), plural=False) if i == 0 else s
                for i, s in enumerate(thing.subjects)
            )
            return replace(thing, subjects=crowd)
        if kind in known.measures:
            return _measured(left, right, foreign=foreign)
    return _thing(words, foreign=foreign)


def _measured(left: Sequence[str], right: Sequence[str], *, foreign: bool) -> Phrase:
    """Number and size of the left, the thing of the right: "two big slices of pizza"."""
    thing = read_phrase(right, foreign=foreign)
    said = _thing([*left, "thing"], foreign=False)
    if not thing.subjects or not said.subjects:
        return thing
    first, about = thing.subjects[0], said.subjects[0]
    first = replace(
        first,
        count=about.count if about.count > 1 else first.count,
        size=about.size if about.size != "normal" else first.size,
        plural=first.plural and about.count == 1 and not said.count,
    )
    return replace(thing, subjects=(first, *thing.subjects[1:]), more=thing.more or said.more)


def _held(left: Sequence[str], right: Sequence[str], *, foreign: bool) -> Phrase:
    """Read "a basket of apples" as apples in a basket."""
    holder, thing = _thing(left, foreign=False), read_phrase(right, foreign=foreign)
    if not thing.subjects or not holder.subjects:
        return thing if thing.subjects else holder
    first = thing.subjects[0]
    first = replace(first, count=_CROWD if first.plural else first.count, plural=False)
    return Phrase(
        subjects=(first, replace(holder.subjects[0], relation=Layout.IN, plural=False)), more=thing.more
    )


def _thing(words: Sequence[str], *, foreign: bool) -> Phrase:
    known = vocabulary()
    count, size, color, i = 0, "normal", None, 0
    more = False
    kept: list[str] = []
    while i < len(words):
        word = words[i]
        last = i == len(words) - 1
        found, taken = color_at(words, i)
        number = _number(word)
        if word in known.fillers:
            i += 1
        elif (number and not kept and not last) or (number and kept and foreign):
            more = more or number > MOST
            count = min(MOST, number)
            i += 1
        elif word in known.sizes and (not last or (kept and foreign)):
            size = known.sizes[word]
            i += 1
        elif word in known.place_adjectives and not last:
            i += 1
        elif found and color is None and _is_color(words, i, taken, kept=bool(kept), foreign=foreign):
            color = found
            i += taken
        else:
            kept.append(word)
            i += 1
    if not kept:
        return Phrase(color=color, count=count, more=more)
    kept = [word for word in kept if not word.isdigit()] or kept  # a year, a size
    kept, repeated = _once(kept)
    plural = not count and _is_plural(kept[-1])
    subject = Subject(
        text=" ".join(kept[:MAX_WORDS])[:_MAX_CHARS],
        color=color,
        count=min(MOST, max(count, repeated)),
        size=_size(size),
        plural=plural,
        vague=not (count or color or size != "normal" or bool(_ARTICLES & set(words))),
    )
    return Phrase(subjects=(subject,), count=count, more=more or repeated > MOST)


def _number(word: str) -> int:
    if word.isascii() and word.isdigit():
        return max(1, int(word[:4]))
    return vocabulary().numbers.get(word, 0)


def _is_color(words: Sequence[str], i: int, taken: int, *, kept: bool, foreign: bool) -> bool:
    """Whether the color word at i colors something: a noun follows, or came before ("a cat that is red")."""
    known = vocabulary()
    rest = words[i + taken :]
    noun_follows = any(
        word not in known.fillers and color_at(rest, k)[0] is None and not _number(word)
        for k, word in enumerate(rest)
    )
    if words[i] in known.color_nouns and taken == 1:
        return noun_follows or (kept and foreign)
    return noun_follows or not rest or kept or all(word in known.fillers for word in rest)


def _once(kept: list[str]) -> tuple[list[str], int]:
    """Read "dog dog dog" as three dogs."""
    if len(kept) > 1 and len({singular(word) for word in kept}) == 1:
        return kept[:1], len(kept)
    return kept, 1


def _is_plural(word: str) -> bool:
    last = word.rsplit(maxsplit=1)[-1]
    return singular(last) != last and last not in vocabulary().one_plurals


def _size(size: str) -> Size:
    return "small" if size == "small" else "large" if size == "large" else "normal"
