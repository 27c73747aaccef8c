"""How the picture fares as diffusion is given more to do, and the strength that a model has earned."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from generation.errors import GenerationError

SUBJECT_BAR = 0.8
BLOTCHED = 0.10  # share of blotched cells from which a picture looks smeared at 256 px
SOFT = 0.76  # sharpness of its edges below which it does
BROKEN_BAR = 0.05  # share of such pictures
"""Set by looking at pictures of every strength of the grid at 256 px: where a stranger would not notice the
redrawing, all stay on the good side; where eyes and thin lines smudge here and there, a tenth do not."""

GROWTH = Path(__file__).parent / "growth.csv"


class GrowthFileError(GenerationError):
    """The file of earlier figures cannot be read."""

    code = "growth_file"


@dataclass(frozen=True, kw_only=True, slots=True)
class StrengthRow:
    """What was measured at one strength, over the prompts of the grid."""

    strength: float
    subject_top5: float
    blotches: float  # mean share of blotched cells
    edges: float  # mean sharpness kept
    broken: float  # share of pictures that are smeared or soft
    change: float  # from the enlarged draft: mean absolute difference, of 255
    change_db: float  # the same as peak signal-to-noise ratio

    @property
    def passes(self) -> bool:
        """Whether pictures at this strength can be shown."""
        return self.subject_top5 >= SUBJECT_BAR and self.broken <= BROKEN_BAR


def is_broken(*, blotches: float, edges: float) -> bool:
    """Whether a picture with these figures looks smeared or soft."""
    return blotches > BLOTCHED or edges < SOFT


def earned_strength(rows: Iterable[StrengthRow]) -> float:
    """The largest strength up to which every row passes; 0.0 if the smallest one does not."""
    earned = 0.0
    for row in sorted(rows, key=lambda row: row.strength):
        if not row.passes:
            break
        earned = row.strength
    return earned


def read_growth(path: Path = GROWTH) -> dict[int, tuple[StrengthRow, ...]]:
    """Training samples -> the rows that were measured after them, in order; empty without a file.

    Raises:
        GrowthFileError: the file is damaged.
    """
    if not path.is_file():
        return {}
    found: dict[int, list[StrengthRow]] = {}
    with path.open(newline="", encoding="utf-8") as file:
        for line in csv.DictReader(file):
            try:
                row = StrengthRow(**{field.name: float(line[field.name]) for field in fields(StrengthRow)})
                found.setdefault(int(line["samples"]), []).append(row)
            except (KeyError, TypeError, ValueError) as error:
                raise GrowthFileError(f"{path} is damaged, restore or delete it: {error}") from error
    return {samples: tuple(found[samples]) for samples in sorted(found)}


def add_growth(samples: int, rows: Sequence[StrengthRow], path: Path = GROWTH) -> None:
    """Keep the rows of a model that has seen `samples` pictures; rows for the same number are replaced."""
    grown = {**read_growth(path), samples: tuple(rows)}
    names = ["samples", *(field.name for field in fields(StrengthRow))]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names, lineterminator="\n")
        writer.writeheader()
        for seen in sorted(grown):
            for row in grown[seen]:
                writer.writerow({"samples": seen, **asdict(row)})
