"""Cuts a prompt's words at the words that connect things, and tells how the things stand to each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache

from generation.sticker.nouns import singular
from generation.sticker.phrases import Phrase, read_phrase
from generation.sticker.prompt import MAX_SUBJECTS, MOST, Layout, Subject
from generation.sticker.vocabulary import vocabulary

_HOLDING = "holding"  # "a basket full of apples": the second is in the first
_REVERSED = "<"  # ends a relation that stands after what it is about ("table on< cat")
_STILL = frozenset({"sitting", "standing", "lying", "looking", "posing", "being", "resting", "waiting"})
_OWNING = frozenset({"with", "has", "having", "in", "of", "wearing", "wears"})
_ARTICLED = frozenset({"a", "an", "the"})
_OPPOSITE = {
    Layout.LEFT: Layout.RIGHT,
    Layout.RIGHT: Layout.LEFT,
    Layout.ABOVE: Layout.BELOW,
    Layout.BELOW: Layout.ABOVE,
}
_SIDES = {"left": Layout.LEFT, "right": Layout.RIGHT, "top": Layout.ABOVE, "bottom": Layout.BELOW}


@dataclass(slots=True)
class Things:
    """What was found, while it is being found."""

    subjects: list[Subject] = field(default_factory=list)
    more: bool = False
    left_out: list[str] = field(default_factory=list)


@cache
def _by_first_word() -> Mapping[str, tuple[tuple[tuple[str, ...], str], ...]]:
    """First word -> its relations, the longest first."""
    out: dict[str, list[tuple[tuple[str, ...], str]]] = {}
    for phrase, name in vocabulary().relations.items():
        out.setdefault(phrase[0], []).append((phrase, name))
    return {word: tuple(sorted(found, key=lambda rule: -len(rule[0]))) for word, found in out.items()}


@cache
def connectors() -> frozenset[str]:
    """Words at which a noun phrase ends."""
    return frozenset(_by_first_word()) | {","}


def find_things(words: Sequence[str], *, foreign: bool = False) -> Things:
    """Find the things that `words` name; the first MAX_SUBJECTS of them are kept."""
    splitter = _Splitter(list(words), foreign=foreign)
    splitter.run()
    return splitter.things


class _Splitter:
    def __init__(self, words: list[str], *, foreign: bool) -> None:
        self.words = words
        self.foreign = foreign
        self.things = Things()
        self.chunk: list[str] = []
        self.joiner = ""  # the word before the chunk
        self.pending = Layout.BESIDE  # relation to the subject that comes next
        self.reversed: tuple[Layout, int] | None = None  # relation of the next subject to an earlier one
        self.sides: dict[int, Layout] = {}
        self.color: str | None = None  # of "red and blue balloons", until the noun comes

    def run(self) -> None:
        i = 0
        while i < len(self.words):
            i = self._step(i)
        self._close()
        if self.reversed and self.reversed[1] > 0:  # "cat table on<"
            layout, index = self.reversed
            self._replace(index, relation=layout)
        self._place_sides()
        self.things.subjects = _merged(self.things.subjects)[:MAX_SUBJECTS]

    def _step(self, i: int) -> int:
        word = self.words[i]
        side = _side(self.words, i)
        if side is not None:
            self._close()
            self._note_side(side[0])
            return i + side[1]
        if word.endswith(_REVERSED):
            self._close()
            self._turn_round(_layout(word[:-1]))
            return i + 1
        if word in vocabulary().negations:
            self._close()
            return self._skip(i + 1)
        relation, taken = self._relation(i)
        if relation is None:
            self._take(i)
        else:
            self._join(relation, word)
        return i + taken

    def _take(self, i: int) -> None:
        """Add a word to the phrase, unless it is a verb after its thing."""
        word = self.words[i]
        if not self._is_idle_verb(i):
            self.chunk.append(word)
        elif word not in _STILL:
            self.things.left_out.append(word)

    def _join(self, relation: str, word: str) -> None:
        """End the phrase at a connecting word, which says how the next thing stands to the last one."""
        self._close()
        if relation == _HOLDING:
            self._turn_round(Layout.IN)
        elif self.things.subjects:
            self.pending = self._kept(Layout(relation), word)
        self.joiner = word

    def _turn_round(self, layout: Layout) -> None:
        """Let the next thing stand in a relation to the last one."""
        if self.things.subjects:
            self.reversed = (layout, len(self.things.subjects) - 1)

    def _relation(self, i: int) -> tuple[str | None, int]:
        """The relation that starts at word i, and how many words it takes."""
        word = self.words[i]
        if word == ",":
            return Layout.BESIDE, 1
        for phrase, name in _by_first_word().get(word, ()):
            if tuple(self.words[i : i + len(phrase)]) == phrase:
                return name, len(phrase)
        if self._is_verb(i) and i + 1 < len(self.words) and not self._connects(i + 1):
            return Layout.BESIDE, 1
        return None, 1

    def _kept(self, relation: Layout, word: str) -> Layout:
        """The relation of a second thing that is worn: "wearing a hat and sunglasses"."""
        if word in {"and", ","} and self.things.subjects[-1].relation is Layout.WEARING:
            return Layout.WEARING
        return relation

    def _is_verb(self, i: int) -> bool:
        """Whether word i is a verb between two things."""
        known = vocabulary()
        word = self.words[i]
        if not self._has_content():
            return False
        if " " in word:
            return False
        return word in known.verbs or (
            word.endswith("ing") and len(word) > 4 and word not in known.verb_nouns
        )

    def _is_idle_verb(self, i: int) -> bool:
        """A verb after its thing, with nothing that it acts on: "a volcano erupting"."""
        return self._is_verb(i) and (i + 1 == len(self.words) or self._connects(i + 1))

    def _connects(self, i: int) -> bool:
        return self.words[i] in connectors() or self.words[i].endswith(_REVERSED)

    def _has_content(self) -> bool:
        return bool(read_phrase(self.chunk, foreign=self.foreign).subjects)

    def _skip(self, i: int) -> int:
        while i < len(self.words) and not self._connects(i):
            i += 1
        return i

    def _close(self) -> None:
        """Read the words since the last connecting word."""
        words, self.chunk = self.chunk, []
        if not words:
            return
        subjects = self.things.subjects
        if subjects and self._is_detail(words):
            self.things.left_out.append(" ".join(word for word in words if word not in vocabulary().fillers))
            return
        phrase = read_phrase(words, foreign=self.foreign)
        if not phrase.subjects:
            self.color = phrase.color or self.color
            return
        if subjects and phrase.subjects[0].text.isdigit():
            return  # a year, a size, a weight
        self.things.more = self.things.more or phrase.more
        found = self._colored(phrase)
        relation = self._worn(found[0], self.pending)
        if self.reversed is not None:
            layout, index = self.reversed
            self.reversed = None
            before = subjects[index].relation
            self._replace(index, relation=layout)
            subjects[index:index] = [replace(found[0], relation=before), *found[1:]]
        else:
            vague = found[0].vague and self.joiner == "," and bool(subjects)
            first = replace(found[0], relation=relation, joined=self.joiner == "and", vague=vague)
            subjects += [first, *_plainly(found[1:])]
        self.pending = Layout.BESIDE

    def _is_detail(self, words: Sequence[str]) -> bool:
        """Whether words are a part of the subject before them: "with blue eyes"."""
        parts = vocabulary().parts
        if self.joiner == ",":
            return words[-1] in parts and not _ARTICLED & set(words)
        if words[-1].rpartition(" ")[2] not in parts:
            return False
        return self.joiner in _OWNING or (self.joiner == "and" and bool(self.things.left_out))

    def _worn(self, subject: Subject, relation: Layout) -> Layout:
        known = vocabulary()
        last = subject.text.rpartition(" ")[2]
        wearable = bool({last, singular(last)} & (known.worn_on_head | known.worn_on_eyes))
        if wearable and (relation in {Layout.WEARING, Layout.IN} or self.joiner == "with"):
            return Layout.WEARING
        return Layout.BESIDE if relation is Layout.WEARING else relation

    def _colored(self, phrase: Phrase) -> tuple[Subject, ...]:
        """Share out the colors of "red and blue balloons"."""
        first, color = phrase.subjects[0], self.color
        self.color = None
        if color is None or first.color is None:
            return phrase.subjects if color is None else (replace(first, color=color), *phrase.subjects[1:])
        if {color, first.color} == {"black", "white"} and not first.plural and first.count == 1:
            if not vocabulary().two_colored & set(first.text.split()):
                self.things.left_out.append("black and white")
            return (replace(first, color=None), *phrase.subjects[1:])
        if first.plural or first.count > 1:
            each = max(1, first.count // 2)
            pair = [replace(first, color=name, count=each) for name in (color, first.color)]
            return (pair[0], replace(pair[1], joined=True), *phrase.subjects[1:])
        self.things.left_out.append(first.color)
        return (replace(first, color=color), *phrase.subjects[1:])

    def _note_side(self, side: Layout) -> None:
        """A place that closes a subject: "the fish on the right"."""
        subjects = self.things.subjects
        if not subjects:
            return
        place = next(k for k, known in enumerate(subjects) if known.text == subjects[-1].text)
        if place < len(subjects) - 1:  # named again only to say where
            subjects.pop()
        self.sides[place] = side

    def _place_sides(self) -> None:
        if len(self.things.subjects) < 2:
            return
        if 0 in self.sides:
            self._replace(1, relation=self.sides[0])
        elif 1 in self.sides:
            self._replace(1, relation=_OPPOSITE[self.sides[1]])

    def _replace(self, index: int, *, relation: Layout) -> None:
        self.things.subjects[index] = replace(self.things.subjects[index], relation=relation)


def _plainly(subjects: Sequence[Subject]) -> list[Subject]:
    return [replace(subject, vague=False) for subject in subjects]


def _layout(name: str) -> Layout:
    name = vocabulary().relations.get(tuple(name.split()), name)
    return Layout(name) if name in set(Layout) else Layout.BESIDE


def _merged(subjects: Sequence[Subject]) -> list[Subject]:
    """One subject for a thing that is named several times in a row."""
    out: list[Subject] = []
    for subject in subjects:
        last = out[-1] if out else None
        same = last is not None and (last.text, last.color, last.size) == (
            subject.text,
            subject.color,
            subject.size,
        )
        if last is not None and same and subject.relation is Layout.BESIDE:
            out[-1] = replace(last, count=min(MOST, last.count + subject.count))
        else:
            out.append(subject)
    return out


def _side(words: Sequence[str], i: int) -> tuple[Layout, int] | None:
    """A place that closes a subject: "on the left (side)", but not "on the left of"."""
    if words[i] not in {"on", "to", "at", "in"}:
        return None
    for size in (4, 3, 2):
        run = words[i : i + size]
        core = [word for word in run[1:] if word not in {"the", "side", "hand"}]
        if len(run) > 1 and len(core) == 1 and core[0] in _SIDES and run[-1] in {core[0], "side"}:
            after = words[i + size] if i + size < len(words) else ","
            if after not in {"of", "side"}:
                return _SIDES[core[0]], size
    return None
