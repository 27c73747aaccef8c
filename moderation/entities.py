"""Well-known names: persons, brands, characters and artists, matched in full, in any case and view."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from moderation.errors import PolicyError, RuleDataError
from moderation.name_forms import forms
from moderation.normalize import Normalized, plain
from moderation.policy_file import Table, parse
from moderation.terms import Entry, TermList
from moderation.types import Category

_KINDS = {
    "person": Category.REAL_PERSON,
    "brand": Category.TRADEMARK,
    "character": Category.TRADEMARK,
    "artist": Category.ARTIST_STYLE,
}
_LIVING, _DEAD, _PAST = "living", "dead", "historic"
_FOLDER = "entities"
_WORDS = re.compile(r"[^\w]+")
_SENTENCE = re.compile(r"[,;:!?\n|()]|\.\s")  # no name runs across one of these
_INITIAL = re.compile(r"\b(?:jr|sr|dr|mrs?|ms|st|[a-z])\.\s", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Named:
    """One name found in a text; `start` and `end` are places in the original."""

    kind: str  # person, brand, character or artist
    label: str  # for artists living or dead, for persons what they are known for
    category: Category
    name: str
    start: int
    end: int

    @property
    def living(self) -> bool:
        """Whether the rights of a living person are at stake."""
        return self.label not in {_DEAD, _PAST}


class EntityList:
    """The names that ship, or a folder's own."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._terms = TermList(entries)

    def __len__(self) -> int:
        return sum(len(entry.terms) for entry in self._terms.entries)

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The groups as they were read: `reason` holds "kind/label"."""
        return self._terms.entries

    def find(self, normalized: Normalized) -> tuple[Named, ...]:
        """Return the names in a text, the longest where one lies within another."""
        found: list[Named] = []
        for match in self._terms.find(normalized):
            between = _INITIAL.sub("", normalized.original[match.start : match.end])
            if _SENTENCE.search(between):
                continue
            kind, _, label = match.entry.reason.partition("/")
            found.append(
                Named(
                    kind=kind,
                    label=label,
                    category=match.entry.category,
                    name=match.term,
                    start=match.start,
                    end=match.end,
                )
            )
        return tuple(_longest(found))


def load_entities(folder: Path | None = None) -> EntityList:
    """Read every file of `entities/` in `folder`, or the lists that ship.

    Raises:
        RuleDataError: there is none, or one is malformed.
    """
    own = folder / _FOLDER if folder is not None else None
    place: Traversable = (
        own if own is not None and own.is_dir() else resources.files("moderation") / "data" / _FOLDER
    )
    name = _FOLDER
    try:
        tables: list[Table] = []
        for file in sorted(place.iterdir(), key=lambda file: file.name):
            name = f"{_FOLDER}/{file.name}"
            if file.name.endswith(".toml"):
                tables.append(parse(file.read_text("utf-8"), name))
        if not tables:
            raise RuleDataError(_FOLDER, "holds no list: put at least one .toml file with groups into it")
        return EntityList(_entries(tables))
    except (OSError, UnicodeDecodeError) as error:
        raise RuleDataError(name, f"cannot be read ({type(error).__name__})") from None
    except PolicyError as error:
        raise RuleDataError(name, str(error)) from None


def _entries(tables: Sequence[Table]) -> Iterator[Entry]:
    """The groups, then the names that other scripts have for their members."""
    known: dict[str, Entry] = {}
    for table in tables:
        table.only("schema", "group", "also")
        for row in table.rows("group"):
            entry, names = _group(row)
            known.update(dict.fromkeys(names, entry))
            yield entry
    for table in tables:
        for row in table.rows("also"):
            row.only("name", "names")
            name = row.text("name")
            if name not in known:
                raise row.error("name", f"{name!r} is in no group")
            yield replace(known[name], terms=_spellings(row.texts("names")))


def _group(row: Table) -> tuple[Entry, tuple[str, ...]]:
    row.only("kind", "label", "single", "before", "after", "near", "needs", "names")
    kind = row.text("kind")
    if kind not in _KINDS:
        raise row.error("kind", f"must be one of {', '.join(_KINDS)}")
    single = row.flag("single", default=False)
    names = row.texts("names")
    for name in names:
        if not single and len(_WORDS.split(name.strip(" .!"))) < 2:
            raise row.error(
                "names", f"{name!r} is a single word: only a group with single = true may hold it"
            )
    entry = Entry(
        category=_KINDS[kind],
        severity="note",
        terms=_spellings(names),
        reason=f"{kind}/{row.text('label')}",
        lang="xx",
        before=_context(row, "before"),
        after=_context(row, "after"),
        near=_context(row, "near"),
        needs=_context(row, "needs"),
    )
    return entry, names


def _spellings(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(form for name in names for form in forms(name)))


def _context(row: Table, key: str) -> frozenset[str]:
    return frozenset(plain(word) for word in row.texts(key))


def _longest(found: list[Named]) -> Iterator[Named]:
    """Leave out names that a longer one already says."""
    before: list[Named] = []  # those that reach as far as the next one's beginning
    for one in sorted(found, key=lambda named: (named.start, -named.end)):
        before = [other for other in before if other.end > one.start]
        if not any(_within(one, other) for other in before):
            yield one
        before.append(one)


def _within(inner: Named, outer: Named) -> bool:
    """Whether a longer name says what a shorter one in it means; a person stays a person."""
    return (
        (outer.start <= inner.start and inner.end <= outer.end)
        and (outer.end - outer.start > inner.end - inner.start)
        and (inner.kind != "person" or outer.kind == "person")
    )
