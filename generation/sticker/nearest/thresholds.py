"""From which likeness on a picture counts as a near copy, with the rates that were measured at it."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from generation.sticker.nearest.index import TrainingIndexError

THRESHOLDS = Path(__file__).parent / "thresholds.toml"


@dataclass(frozen=True, kw_only=True, slots=True)
class Thresholds:
    """When a picture is a near copy of a training picture."""

    likeness: float  # at least; at most 1
    margin: float  # at least so much above what the job's own references explain
    found: Mapping[str, float] = field(
        default_factory=dict
    )  # share of copies found, by how they were changed
    false: Mapping[str, float] = field(
        default_factory=dict
    )  # share of other pictures taken for copies, by kind

    def near_copy(self, likeness: float, explained: float) -> bool:
        """Whether what was measured is that of a near copy."""
        return likeness >= self.likeness and likeness - explained >= self.margin

    @classmethod
    def read(cls, path: Path = THRESHOLDS) -> Self:
        """Read a file that `write` wrote.

        Raises:
            TrainingIndexError: it is missing or damaged.
        """
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8"))
            return cls(
                likeness=float(table["likeness"]),
                margin=float(table["margin"]),
                found={str(key): float(value) for key, value in table["found"].items()},
                false={str(key): float(value) for key, value in table["false"].items()},
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise TrainingIndexError(f"the thresholds {path} cannot be read: {error}") from error

    def write(self, path: Path = THRESHOLDS) -> None:
        """Write them as TOML."""
        lines = [
            "# Written by `python -m generation.sticker.nearest calibrate`. The rates are those on pictures",
            "# that took no part in choosing the two figures.",
            f"likeness = {self.likeness:.3f}",
            f"margin = {self.margin:.3f}",
        ]
        for name, rates in (("found", self.found), ("false", self.false)):
            lines += ["", f"[{name}]", *(f'"{key}" = {value:.4f}' for key, value in rates.items())]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
