"""Well-known names: persons, brands, characters and artists, matched in full, in any case and view."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from moderation.errors import PolicyError, RuleDataError
from moderation.normalize import Normalized
from moderation.policy_file import parse
from moderation.terms import Entry, TermList
from moderation.types import Category

_KINDS = {
    "person": Category.REAL_PERSON,
    "brand": Category.TRADEMARK,
    "character": Category.TRADEMARK,
    "artist": Category.ARTIST_STYLE,
}
_LIVING, _DEAD, _PAST = "living", "dead", "historic"
_SOLID = 8  # characters
_SENTENCE = re.compile(r"[,;:!?\n|()]|\.\s")  # no name runs across one of these
_INITIAL = re.compile(r"\b(?:jr|sr|[a-z])\.\s", re.IGNORECASE)


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

    def __init__(self, entries: tuple[Entry, ...]) -> None:
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
        return tuple(one for one in found if not any(_within(one, other) for other in found))


def load_entities(folder: Path | None = None) -> EntityList:
    """Read `entities.toml` from `folder`, or the list that ships.

    Raises:
        RuleDataError: it is missing or malformed.
    """
    name = "entities.toml"
    try:
        if folder is not None and (folder / name).is_file():
            text = (folder / name).read_text("utf-8")
        else:
            text = (resources.files("moderation") / "data" / name).read_text("utf-8")
        return EntityList(tuple(_groups(text)))
    except (OSError, UnicodeDecodeError) as error:
        raise RuleDataError(name, f"cannot be read ({type(error).__name__})") from None
    except PolicyError as error:
        raise RuleDataError(name, str(error)) from None


def _groups(text: str) -> Iterator[Entry]:
    table = parse(text, "entities.toml")
    table.only("schema", "group")
    for row in table.rows("group"):
        row.only("kind", "label", "single", "names")
        kind = row.text("kind")
        if kind not in _KINDS:
            raise row.error("kind", f"must be one of {', '.join(_KINDS)}")
        single = row.flag("single", default=False)
        names = row.texts("names")
        for name in names:
            if not single and len(re.split(r"[^\w]+", name.strip())) < 2:
                raise row.error(
                    "names", f"{name!r} is a single word: only a group with single = true may hold it"
                )
        yield Entry(
            category=_KINDS[kind],
            severity="note",
            terms=tuple(dict.fromkeys(form for name in names for form in _spellings(name))),
            reason=f"{kind}/{row.text('label')}",
            lang="xx",
        )


def _spellings(name: str) -> Iterator[str]:
    """The name, without accents, and written as one word where that is long enough to mean nothing else."""
    plain = "".join(c for c in unicodedata.normalize("NFD", name) if not unicodedata.combining(c))
    yield name
    yield plain
    solid = "".join(c for c in plain if c.isalnum())
    if len(solid) >= _SOLID:
        yield solid


def _within(inner: Named, outer: Named) -> bool:
    return (
        (outer.start <= inner.start and inner.end <= outer.end)
        and (outer.end - outer.start > inner.end - inner.start)
        and inner.category is outer.category
    )
