"""Says in words whose pictures a training folder holds, and which were left out."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.table import Table

from generation.sticker.entries import Entry
from generation.sticker.sources import CLIPART

_NOTICE = Path(__file__).parent / "NOTICE.md"
_SPECIAL = re.compile(r"([\\`*_\[\]<>|#])")


@dataclass(kw_only=True, slots=True)
class Summary:
    """What became of the pictures that were offered."""

    kept: Counter[tuple[str, str]] = field(default_factory=Counter)  # (style, license) -> pictures
    left_out: Counter[tuple[str, str]] = field(default_factory=Counter)  # (style, reason) -> pictures

    @property
    def pictures(self) -> int:
        """How many were kept."""
        return self.kept.total()

    def tables(self) -> tuple[Table, Table]:
        """For the terminal: kept by source and license, left out by source and reason."""
        kept = Table("source", "license", "pictures", title="Kept", show_footer=True)
        kept.columns[2].justify = "right"
        kept.columns[2].footer = f"{self.pictures:,}"
        for (style, license_id), count in sorted(self.kept.items()):
            kept.add_row(style, license_id, f"{count:,}")
        out = Table("source", "reason", "pictures", title="Left out", show_footer=True)
        out.columns[2].justify = "right"
        out.columns[2].footer = f"{self.left_out.total():,}"
        for (style, reason), count in sorted(self.left_out.items(), key=lambda row: (row[0][0], -row[1])):
            out.add_row(style, reason, f"{count:,}")
        return kept, out


def attribution_page(entries: Sequence[Entry]) -> str:
    """The credits of a training folder in Markdown, grouped by source; clip art by author."""
    groups: dict[tuple[str, str, str, str], list[Entry]] = defaultdict(list)
    for entry in entries:
        groups[entry.package, entry.version, entry.license, entry.license_url].append(entry)
    lines = [
        "# Whose pictures these are",
        "",
        f"`images_128.zip` holds {len(entries):,} pictures by the authors below; `attribution.jsonl` names",
        "title, author, license, package and file of each. **The pictures were changed**: drawn from vectors",
        "or scaled to 128 x 128 px, clip art cropped and centred, all stored as WebP. A model that learns",
        "from them changes them further: cut out, recolored, mirrored, composed with others.",
        "",
    ]
    for (package, version, license_id, url), members in sorted(groups.items()):
        lines += [
            f"## {_plain(package)} {_plain(version)}",
            "",
            f"* pictures: {len(members):,}",
            f"* license: [{_plain(license_id)}](<{url}>)",
            f"* from: {_plain(', '.join(sorted({entry.upstream for entry in members})))}",
        ]
        lines += _by_author(members) if package == CLIPART.origin else _authors(members)
        lines.append("")
    if any(entry.license == "MIT" for entry in entries):
        quoted = [line for line in _NOTICE.read_text(encoding="utf-8").splitlines() if line.startswith(">")]
        lines += ["## Terms of the MIT License", "", *quoted, ""]
    return "\n".join(lines)


def _authors(members: Sequence[Entry]) -> Iterator[str]:
    authors = Counter(entry.author for entry in members)
    yield f"* author: {', '.join(_plain(author) for author, _ in authors.most_common())}"


def _by_author(members: Sequence[Entry]) -> Iterator[str]:
    titles: dict[str, list[str]] = defaultdict(list)
    for entry in members:
        titles[entry.author].append(entry.title)
    yield from (f"* authors: {len(titles):,}", "", "| author | pictures | titles |", "|---|---:|---|")
    for author, own in sorted(titles.items(), key=lambda item: item[0].casefold()):
        shown = [
            f"{title} ({count})" if count > 1 else title for title, count in sorted(Counter(own).items())
        ]
        yield f"| {_plain(author)} | {len(own)} | {_plain(', '.join(shown))} |"


def _plain(text: str) -> str:
    """Text that Markdown shows as it is."""
    return _SPECIAL.sub(r"\\\1", text)
