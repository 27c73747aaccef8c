"""Chooses which pictures in flight share the next forward pass. Pure: imports no torch and touches no pixels.

Newcomers first get the few steps that a first preview needs. Then comes whoever has the lowest
`0.3 x arrival + remaining work`: short jobs pass long ones, but age always wins in the end (pure
shortest-first starves long jobs).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Literal

Mode = Literal["exact", "bucket"]
"""exact: one picture per forward, the bits of a plain pipeline. bucket: every forward has the same number of
rows, filled up if need be, so a picture's bits do not depend on its neighbors either."""

PREVIEW_STEPS = 2
_AGING = 0.3


@dataclass(frozen=True, kw_only=True, slots=True)
class Flight:
    """What the choice needs to know about one picture in flight."""

    id: int
    key: Hashable  # equal keys may share a forward
    arrival: float  # s, on any clock
    step: int  # done
    steps: int
    step_s: float  # estimated duration of one step
    rows: int = 1  # how many may share its forward: the measured knee, chosen at its admission


def next_batch(flights: Sequence[Flight]) -> tuple[Flight, ...]:
    """The pictures that advance next, most urgent first.

    Args:
        flights: all pictures in flight that are not done; may be empty. Equal keys have equal rows.

    Returns:
        The most urgent picture and those that can share its forward; empty only if there are none.
    """
    ordered = sorted(flights, key=_urgency)
    if not ordered:
        return ()
    lead = ordered[0]
    return tuple(flight for flight in ordered if flight.key == lead.key)[: max(1, lead.rows)]


def _urgency(flight: Flight) -> tuple[bool, float, int]:
    if flight.step < PREVIEW_STEPS:
        return (False, flight.arrival, flight.id)
    remaining_s = (flight.steps - flight.step) * flight.step_s
    return (True, _AGING * flight.arrival + remaining_s, flight.id)
