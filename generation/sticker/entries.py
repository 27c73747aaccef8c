"""What a training folder says of one picture: what it shows, and whose it is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from generation.sticker.packages import Record
from generation.sticker.sources import ALL_SOURCES, Source
from generation.sticker.svg import plain

_LONGEST = 500  # characters of any text of a row
_MAIL = re.compile(r"\s*(?:[\[(<][^\])>]*@[^\])>]*[\])>]|- \S+@\S+)")
_FROM: Mapping[str, Source] = {source.origin: source for source in ALL_SOURCES}


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A picture's caption and credit."""

    title: str
    keywords: tuple[str, ...]
    group: int | None  # emojibase's group number
    style: str  # key of the source, by which training chooses style words
    author: str
    license: str  # SPDX id
    license_url: str
    package: str  # with its registry: npm:..., deb:...
    version: str
    file: str  # inside the package
    upstream: str

    @classmethod
    def of_record(cls, record: Record) -> Self:
        """The entry of a picture that was read from a package."""
        source = record.source
        return cls(
            title=record.title,
            keywords=record.keywords,
            group=record.group,
            style=source.key,
            author=source.author,
            license=source.license,
            license_url=source.license_url,
            package=source.origin,
            version=source.version,
            file=record.file,
            upstream=source.upstream,
        )

    @classmethod
    def of_rows(cls, caption: Mapping[str, object], credit: Mapping[str, object]) -> Self:
        """The entry of a picture of a training folder.

        Args:
            caption: its row of captions.jsonl.
            credit: its row of attribution.jsonl. A row without `license_url` gets that of its package's
                recipe, or the SPDX page of the license.

        Raises:
            ValueError: a field is missing, empty, too long or of another type.
        """
        keywords, group = caption.get("keywords"), caption.get("group")
        if not isinstance(keywords, list) or not all(isinstance(word, str) for word in keywords):
            raise ValueError("keywords are no list of words")
        if group is not None and not isinstance(group, int):
            raise ValueError("group is no number")
        package, license_id = _text(credit, "source_package"), _text(credit, "license")
        known = _FROM.get(package)
        url = known.license_url if known else f"https://spdx.org/licenses/{license_id}.html"
        return cls(
            title=plain(_text(caption, "title")),
            keywords=tuple(plain(word) for word in keywords),
            group=group,
            style=_text(caption, "style"),
            author=without_mail(plain(_text(credit, "author"))),
            license=license_id,
            license_url=_text(credit, "license_url") if "license_url" in credit else url,
            package=package,
            version=_text(credit, "source_version"),
            file=_text(credit, "source_file"),
            upstream=_text(credit, "upstream"),
        )

    def caption(self, number: int, file: str) -> dict[str, object]:
        """Its row of captions.jsonl."""
        return {
            "id": number,
            "file": file,
            "title": self.title,
            "keywords": list(self.keywords),
            "style": self.style,
            "group": self.group,
        }

    def credit(self, number: int, file: str) -> dict[str, object]:
        """Its row of attribution.jsonl."""
        return {
            "id": number,
            "file": file,
            "title": self.title,
            "author": self.author,
            "license": self.license,
            "license_url": self.license_url,
            "source_package": self.package,
            "source_version": self.version,
            "source_file": self.file,
            "upstream": self.upstream,
        }


def without_mail(author: str) -> str:
    """An author's name without the mail address behind it; what is an address only stays."""
    return _MAIL.sub("", author).strip() or author


def _text(row: Mapping[str, object], key: str) -> str:
    value = row.get(key)
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"no {key}")
    if len(value) > _LONGEST or not value.isprintable():
        raise ValueError(f"{key} is no line of text")
    return value


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """A picture that may go into the training set."""

    entry: Entry
    pixels: npt.NDArray[np.uint8]  # (128, 128, 4) RGBA, straight alpha
    webp: bytes  # as it is stored


@dataclass(frozen=True, kw_only=True, slots=True)
class LeftOut:
    """A picture that may not, and why."""

    style: str
    what: str
    reason: str
