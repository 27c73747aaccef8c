"""Reads labeled prompts and maps their sources' categories to the policy's own."""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from moderation import hindi
from moderation.errors import TrainingError
from moderation.normalize import plain
from moderation.rules.classifier import SEGMENT
from moderation.types import Category

#: What the head scores; spelling, names and ages are other rules' work.
OUTPUTS = (
    Category.SEXUAL,
    Category.VIOLENCE,
    Category.HATE,
    Category.SELF_HARM,
    Category.ILLEGAL,
    Category.DECEPTION,
    Category.REAL_PERSON,
    Category.TRADEMARK,
)

_MAPPED = {
    "sexual": Category.SEXUAL,
    "violence": Category.VIOLENCE,
    "violent": Category.VIOLENCE,
    "hate": Category.HATE,
    "bias": Category.HATE,
    "selfharm": Category.SELF_HARM,
    "self_harm": Category.SELF_HARM,
    "illegal": Category.ILLEGAL,
    "deception": Category.DECEPTION,
    "person": Category.REAL_PERSON,
    "real_person": Category.REAL_PERSON,
    "ip": Category.TRADEMARK,
    "trademark": Category.TRADEMARK,
}
_COLUMNS = {"text", "label_unsafe", "category", "source"}
_MAX_FIELD = 100_000
_CONCEPT_WEIGHT = 0.15  # labels of a concept are noisier than labels of a prompt, and there are many


@dataclass(frozen=True, kw_only=True, slots=True)
class Example:
    """One labeled text. `category` None: harmless, or harmful without a known category."""

    text: str  # the reading that the head sees
    harmful: bool
    category: Category | None
    source: str
    group: str  # data set: what a held-out split leaves out as a whole
    language: str = "en"
    weight: float = 1.0
    copied: bool = False  # another example with style words behind it, or in disguise


def read_folder(folder: Path) -> list[Example]:
    """Read every `*.csv` and `*.csv.gz` of a folder.

    Raises:
        TrainingError: the folder has no such file, or a file's columns or labels are not as agreed.
    """
    files = sorted(path for path in folder.glob("*.csv*") if path.name.endswith((".csv", ".csv.gz")))
    if not files:
        raise TrainingError(f"no CSV file in {folder}")
    return [example for file in files for example in read_file(file)]


def read_file(path: Path) -> Iterator[Example]:
    """Read one file with the columns text, label_unsafe, category and source (language is optional).

    Raises:
        TrainingError: it cannot be read, or its columns or labels are not as agreed.
    """
    group = path.name.split(".")[0]
    opener = gzip.open if path.name.endswith(".gz") else open
    csv.field_size_limit(_MAX_FIELD)
    try:
        with opener(path, "rt", encoding="utf-8", newline="") as stream:
            reader = csv.DictReader(stream)
            if not set(reader.fieldnames or ()) >= _COLUMNS:
                raise TrainingError(f"{path.name}: the columns must be {', '.join(sorted(_COLUMNS))}")
            for row in reader:
                example = _example(row, group)
                if example is not None:
                    yield example
    except (OSError, UnicodeDecodeError, csv.Error, EOFError) as error:
        raise TrainingError(f"{path.name}: cannot be read ({type(error).__name__})") from None


def _example(row: dict[str, str], group: str) -> Example | None:
    label, name = row["label_unsafe"], row["category"] or ""
    if label not in {"0", "1"}:
        raise TrainingError(f"{group}: label_unsafe must be 0 or 1")
    text = reading(row["text"] or "")
    if not text or (label == "0" and name.startswith("implicit")):
        return None  # harmless words whose picture was not: neither example
    return Example(
        text=text,
        harmful=label == "1",
        category=_MAPPED.get(name) if label == "1" else None,
        source=row["source"] or group,
        group=group,
        language=row.get("language") or "en",
        weight=_CONCEPT_WEIGHT if name.startswith("concept") else 1.0,
    )


def reading(text: str) -> str:
    """Return what the head sees of a text: its base view, Hindi as English, at most one segment long."""
    return hindi.read(plain(text))[:SEGMENT].strip()


def styled(examples: Sequence[Example], tails: Sequence[str], *, count: int) -> list[Example]:
    """Return copies of about `count` examples with the style words that users append to any prompt.

    Without them the head would learn that a prompt ending in "trending on artstation" is harmless,
    because nothing else that ends so is harmful. What a text becomes depends on
    the text and the tails alone, so that embeddings can be kept between runs.
    """
    endings = sorted({tail[:160] for tail in tails if tail})
    if not endings or not examples:
        return []
    ranked = sorted(examples, key=lambda item: zlib.crc32(item.text.encode()))
    return [
        replace(
            item, text=f"{item.text.rstrip('. ')}, {_pick(endings, item.text)}"[:SEGMENT].strip(), copied=True
        )
        for item in ranked[:count]
    ]


def _pick(endings: Sequence[str], text: str) -> str:
    return endings[zlib.crc32(text[::-1].encode()) % len(endings)]


def distinct(examples: Iterable[Example]) -> list[Example]:
    """Drop repeated texts; a text that is labeled both ways is dropped altogether."""
    table: dict[str, Example | None] = {}
    for example in examples:
        known = table.get(example.text, example)
        table[example.text] = example if known is not None and known.harmful == example.harmful else None
    return [example for example in table.values() if example is not None]
