"""Word lists: terms with a category, a severity and the contexts in which they mean something else.

All terms are searched at once (Aho-Corasick) in every view of a text, at word boundaries. A hit is
dropped where its entry's context says so ("nude lipstick", "chicken breast"), so that an ordinary
word used in its ordinary sense never counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import ahocorasick

from moderation.errors import PolicyError, RuleDataError
from moderation.normalize import RUN, Normalized, View, plain, words
from moderation.policy_file import Table, parse
from moderation.types import Category

_NEAR = 60  # characters on each side that count as near
_UNBOUNDED = 4  # letters that a term needs to count inside a run of letters that were pulled apart
_ADJACENT = 2  # words on each side that count as before and after
_UNSPACED = re.compile("[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")  # no spaces between words
_SEVERITIES = {"note": 0.3, "hold": 0.7, "block": 0.95}


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """Terms that share a meaning. Contexts are words or phrases."""

    category: Category
    severity: str  # note, hold or block
    terms: tuple[str, ...]
    reason: str = ""
    lang: str = "en"
    before: frozenset[str] = frozenset()  # one of these among the two words before: another sense
    after: frozenset[str] = frozenset()  # one of these among the two words after: another sense
    near: frozenset[str] = frozenset()  # one of these within 60 characters: another sense
    needs: frozenset[str] = frozenset()  # counts only with one of these within 60 characters

    @property
    def score(self) -> float:
        """The severity on the policy's scale."""
        return _SEVERITIES[self.severity]


@dataclass(frozen=True, kw_only=True, slots=True)
class Match:
    """One hit: `start` and `end` are places in the original text."""

    entry: Entry
    term: str
    view: str
    start: int
    end: int


class TermList:
    """Many entries, searched at once. Immutable once built, safe to share between threads."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self.entries = tuple(entries)
        table: dict[str, list[int]] = {}
        for index, entry in enumerate(self.entries):
            for term in _forms(entry):
                table.setdefault(term, []).append(index)
        self._by_length: dict[int, list[str]] = {}  # single words; any letter of a masked one may be hidden
        self._table = table
        self._automaton = ahocorasick.Automaton()
        for term, indices in table.items():
            self._automaton.add_word(term, (term, tuple(indices)))
            if " " not in term:
                self._by_length.setdefault(len(term), []).append(term)
        if table:
            self._automaton.make_automaton()

    def find(self, normalized: Normalized) -> tuple[Match, ...]:
        """Return the hits in every view; a hit seen in several views is returned once."""
        if not self._table:
            return ()
        found: dict[tuple[int, str, int], Match] = {}
        excused: set[tuple[int, str, int]] = set()  # by what stands beside them, in the words as written
        for number, view in enumerate(normalized.views):
            for match, counts in self._search(words(view), view.name):
                place = (id(match.entry), match.term, match.start)
                if counts and place not in excused:
                    found.setdefault(place, match)
                elif number == 0:
                    excused.add(place)
        for match in self._unmask(normalized):
            found.setdefault((id(match.entry), match.term, match.start), match)
        return tuple(found.values())

    def _search(self, view: View, name: str) -> Iterator[tuple[Match, bool]]:
        """Every listed term, and whether what stands beside it lets it count."""
        text = view.text
        for last, (term, indices) in self._automaton.iter(text):
            start, end = last + 1 - len(term), last + 1
            if not _bounded(text, start, end) and not (name == RUN and len(term) >= _UNBOUNDED):
                continue
            for index in indices:
                entry = self.entries[index]
                match = Match(
                    entry=entry, term=term, view=name, start=view.offsets[start], end=view.offsets[last] + 1
                )
                yield match, _counts(entry, text, start, end)

    def _unmask(self, normalized: Normalized) -> Iterator[Match]:
        for masked in normalized.masked:
            pattern = masked.pattern
            for term in self._by_length.get(len(pattern), ()):
                if all(p in {".", t} for p, t in zip(pattern, term, strict=True)):
                    for index in self._table[term]:
                        yield Match(
                            entry=self.entries[index],
                            term=term,
                            view="masked",
                            start=masked.offset,
                            end=masked.offset + len(pattern),
                        )


def load_terms(name: str, folder: Path | None = None) -> TermList:
    """Read a word list that ships as `data/<name>`, or the file of that name in `folder`.

    Raises:
        RuleDataError: it is missing or malformed; names field and line.
    """
    file = folder / name if folder is not None else None
    try:
        if file is not None and file.is_file():
            text = file.read_text("utf-8")
        else:
            text = (resources.files("moderation") / "data" / name).read_text("utf-8")
        return TermList(_entries(parse(text, name)))
    except (OSError, UnicodeDecodeError) as error:
        raise RuleDataError(name, f"cannot be read ({type(error).__name__})") from None
    except PolicyError as error:
        raise RuleDataError(name, str(error)) from None


def _entries(table: Table) -> Iterator[Entry]:
    table.only("schema", "contexts", "entry")
    contexts = table.table("contexts")
    for row in table.rows("entry"):
        row.only("category", "severity", "terms", "reason", "lang", "before", "after", "near", "needs")
        category = row.text("category")
        if category not in {c.value for c in Category}:
            raise row.error("category", f"no such category {category!r}")
        severity = row.text("severity", "hold")
        if severity not in _SEVERITIES:
            raise row.error("severity", f"must be one of {', '.join(_SEVERITIES)}")
        terms = row.texts("terms")
        if not terms:
            raise row.error("terms", "must name at least one term")
        yield Entry(
            category=Category(category),
            severity=severity,
            terms=terms,
            reason=row.text("reason", ""),
            lang=row.text("lang", "en"),
            before=_context(row, "before", contexts),
            after=_context(row, "after", contexts),
            near=_context(row, "near", contexts),
            needs=_context(row, "needs", contexts),
        )


def _context(row: Table, key: str, contexts: Table | None) -> frozenset[str]:
    found: set[str] = set()
    for item in row.texts(key):
        if item.startswith("@"):
            named = contexts.texts(item[1:]) if contexts is not None else ()
            if not named:
                raise row.error(key, f"no such context {item!r}")
            found.update(_spaced(word) for word in named)
        else:
            found.add(_spaced(item))
    return frozenset(found)


def _spaced(text: str) -> str:
    """The form in which views are searched: plain, signs as single spaces."""
    base = plain(text)
    return words(View(name="", text=base, offsets=tuple(range(len(base))))).text


def _forms(entry: Entry) -> Iterator[str]:
    for term in entry.terms:
        spaced = _spaced(term)
        if not spaced:
            continue
        yield spaced
        if entry.lang == "en" and spaced.isascii() and spaced[-1] not in "sy" and len(spaced) > 2:
            yield spaced + "s"


def _bounded(text: str, start: int, end: int) -> bool:
    left = start == 0 or text[start - 1] == " " or bool(_UNSPACED.match(text[start]))
    return left and (end == len(text) or text[end] == " " or bool(_UNSPACED.match(text[end - 1])))


def _counts(entry: Entry, text: str, start: int, end: int) -> bool:
    if entry.before and _has(
        entry.before, " ".join(text[max(0, start - _NEAR) : start].split()[-_ADJACENT:])
    ):
        return False
    if entry.after and _has(entry.after, " ".join(text[end : end + _NEAR].split()[:_ADJACENT])):
        return False
    if not entry.near and not entry.needs:
        return True
    left, right = text[max(0, start - _NEAR) : start], text[end : end + _NEAR]
    if entry.near and _has(entry.near, left + text[start:end] + right):  # "naked eye" holds the term itself
        return False
    return not entry.needs or _has(entry.needs, f"{left} {right}")


def _has(phrases: frozenset[str], text: str) -> bool:
    padded = f" {text} "
    return any(f" {phrase} " in padded for phrase in phrases)
