"""Chooses from which likeness on a picture is a near copy, and measures how often that is right.

Half of the trials choose, the other half, of other pictures, measure.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from rich.table import Table

from generation.sticker.nearest.search import Evidence, NearestPictures
from generation.sticker.nearest.thresholds import Thresholds
from generation.sticker.nearest.trials import Trial

_ALLOWED_FALSE = 0.01
_LIKENESS = tuple(np.arange(0.7, 0.9401, 0.005).tolist())
_MARGIN = (0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1)
_SPARE = 0.01  # both may be so much smaller before more are: the next pictures are other ones


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """One trial with what was found."""

    kind: str
    copied: int | None
    evidence: tuple[Evidence, ...]
    cpu_s: float

    def taken(self, thresholds: Thresholds) -> bool:
        """Whether it is taken for a near copy; of a copy, for one of the right picture."""
        return any(
            thresholds.near_copy(found.likeness, found.explained)
            for found in self.evidence
            if self.copied is None or found.row == self.copied
        )


def run(search: NearestPictures, trials: Iterable[Trial], *, tick: Callable[[], None]) -> list[Outcome]:
    """Look every trial up."""
    by_author: dict[str, list[int]] = defaultdict(list)
    for row, picture in enumerate(search.index.pictures):
        by_author[picture.author].append(row)
    outcomes = []
    for trial in trials:
        ignored = [row for author in trial.ignored for row in by_author[author]]
        own = np.union1d(search.left_out(trial.references), np.array(ignored, np.intp))
        started = time.process_time()
        _, evidence = search.examine(trial.pixels, own=own)
        cpu_s = time.process_time() - started
        if ignored:  # as if they were not there: they explain nothing either
            evidence = tuple(
                Evidence(
                    row=found.row,
                    likeness=found.likeness,
                    explained=-1.0,
                    agreement=found.agreement,
                    similarity=found.similarity,
                )
                for found in evidence
            )
        outcomes.append(Outcome(kind=trial.kind, copied=trial.copied, evidence=evidence, cpu_s=cpu_s))
        tick()
    return outcomes


def choose(outcomes: Sequence[Outcome]) -> Thresholds:
    """The figures that find the most copies while at most 1 % of other pictures are taken for copies."""
    copies = [outcome for outcome in outcomes if outcome.copied is not None]
    others = [o for o in outcomes if o.copied is None]
    best, most = Thresholds(likeness=max(_LIKENESS), margin=max(_MARGIN)), -1
    for likeness, margin in product(_LIKENESS, _MARGIN):
        offered = Thresholds(likeness=likeness, margin=margin)
        looser = Thresholds(likeness=likeness - _SPARE, margin=margin - _SPARE)
        if sum(outcome.taken(looser) for outcome in others) > _ALLOWED_FALSE * len(others):
            continue
        found = sum(outcome.taken(offered) for outcome in copies)
        if found >= most:  # of equals the strictest
            best, most = offered, found
    return best


def measure(outcomes: Sequence[Outcome], thresholds: Thresholds) -> Thresholds:
    """The thresholds with their rates on `outcomes`."""
    found, false = (
        {kind: float(np.mean([outcome.taken(thresholds) for outcome in members])) for kind, members in group}
        for group in (_by_kind(outcomes, copies=True).items(), _by_kind(outcomes, copies=False).items())
    )
    return Thresholds(likeness=thresholds.likeness, margin=thresholds.margin, found=found, false=false)


def _by_kind(outcomes: Sequence[Outcome], *, copies: bool) -> Mapping[str, list[Outcome]]:
    kinds: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        if (outcome.copied is not None) == copies:
            kinds[outcome.kind].append(outcome)
    return kinds


def tables(outcomes: Sequence[Outcome], thresholds: Thresholds) -> tuple[Table, Table]:
    """For the terminal: copies found, and other pictures taken for copies."""
    made = []
    for title, copies, rates in (
        ("Copies found", True, thresholds.found),
        ("Other pictures taken for copies", False, thresholds.false),
    ):
        table = Table("pictures", "number", "taken for a copy", title=title)
        for kind, members in _by_kind(outcomes, copies=copies).items():
            table.add_row(kind, str(len(members)), f"{rates[kind]:.1%}")
        made.append(table)
    return made[0], made[1]
