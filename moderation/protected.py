"""One workspace's protected names, marks and pictures, ready to be searched."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from moderation.name_forms import forms
from moderation.normalize import Normalized
from moderation.terms import Entry, TermList
from moderation.types import Action, Category

Kind = Literal["name", "mark", "image"]
Fingerprint = Callable[[npt.NDArray[np.uint8]], tuple[bytes, ...]]
"""(H, W, 3) 8-bit pixels -> 32-byte PDQ hashes of the picture and its mirror; none where it is too flat."""

CATEGORIES = {"name": Category.REAL_PERSON, "mark": Category.TRADEMARK, "image": Category.TRADEMARK}
THRESHOLD = 31  # bits of 256 that two PDQ hashes of one picture may differ in
_SENTENCE = re.compile(r"[,;:!?\n|()]|\.\s")  # no name runs across one of these


@dataclass(frozen=True, kw_only=True, slots=True)
class ProtectedEntry:
    """One name, mark or picture that a rights holder asked for; `term` calls it by its name."""

    id: str
    workspace_id: str
    kind: Kind
    term: str
    pdq: bytes | None  # of an image, 32 bytes
    action: Action  # HOLD or BLOCK
    requested_by: str
    reason: str
    actor: str  # the moderator's pseudonym
    created_ms: int
    keypoints: bytes | None = None  # of an image: `KeyPoints.to_bytes`

    @property
    def category(self) -> Category:
        """The category that its findings are reported under."""
        return CATEGORIES[self.kind]


class ProtectedList:
    """Searches texts and fingerprints for the entries. Immutable, safe to share between threads."""

    def __init__(self, entries: Sequence[ProtectedEntry] = (), *, version: int = 0) -> None:
        self.version = version
        self._by_id = {entry.id: entry for entry in entries}
        self._terms = TermList(
            Entry(
                category=entry.category,
                severity="hold",
                terms=forms(entry.term),
                reason=entry.id,
                lang="xx",
            )
            for entry in entries
            if entry.kind != "image"
        )
        self._images = [entry for entry in entries if entry.pdq is not None]
        codes = b"".join(entry.pdq or b"" for entry in self._images)
        self._codes = np.frombuffer(codes, dtype=np.uint64).reshape(-1, 4)

    def __len__(self) -> int:
        return len(self._by_id)

    @property
    def parts(self) -> tuple[ProtectedEntry, ...]:
        """The pictures that are protected in parts, too."""
        return tuple(entry for entry in self._images if entry.keypoints)

    @property
    def has_images(self) -> bool:
        """Whether a picture needs to be fingerprinted at all."""
        return bool(self._images)

    def find(self, normalized: Normalized) -> tuple[ProtectedEntry, ...]:
        """The names and marks in a text: in full, in any case, in every view."""
        found = {
            match.entry.reason: None
            for match in self._terms.find(normalized)
            if not _SENTENCE.search(normalized.original[match.start : match.end])
        }
        return tuple(self._by_id[entry_id] for entry_id in found)

    def alike(self, hashes: Sequence[bytes]) -> tuple[ProtectedEntry, ...]:
        """The pictures within 31 of 256 bits of one of the 32-byte PDQ hashes."""
        if not self._images or not hashes:
            return ()
        queries = np.frombuffer(b"".join(hashes), dtype=np.uint64).reshape(-1, 1, 4)
        distances = np.bitwise_count(self._codes[None] ^ queries).sum(axis=2, dtype=np.uint16).min(axis=0)
        return tuple(self._images[place] for place in np.flatnonzero(distances <= THRESHOLD))


NOTHING = ProtectedList()
