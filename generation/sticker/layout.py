"""Where the pictures of a scene go: pure geometry."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from generation.sticker.arranging import Arranger
from generation.sticker.backgrounds import Scenery
from generation.sticker.composition import Composition, Node, Pair, compose
from generation.sticker.geometry import (
    Box,
    Group,
    Placement,
    bounds,
)
from generation.sticker.prompt import Layout

MAX_DRAWN = 9  # pictures in one scene; more would be too small to tell
_ONE_ROW = 3  # so many stand side by side on the ground of a square picture
_WIDE = 1.4  # aspect from which all stand in one row
_MARGIN = 2.0  # px kept free by jitter


def arrange(
    groups: Sequence[Group],
    relation: Layout,
    *,
    width: int,
    height: int,
    scenery: Scenery,
    rng: random.Random,
    composition: Composition | None = None,
) -> tuple[Placement, ...]:
    """Lay out a scene.

    Args:
        groups: each subject's shape and how often it is drawn; at least one.
        relation: of the second subject to the first; the others stand beside them.
        width: native px.
        height: native px.
        scenery: what the background asks for.
        rng: chooses among good layouts.
        composition: how all subjects stand to each other, in place of `relation`.

    Returns:
        Placements in painting order, back to front.
    """
    if composition is None:
        composition = compose([Layout.BESIDE, relation, *[Layout.BESIDE] * len(groups)][: len(groups)])
    limited = _limited(groups)
    arranger = _Canvas(
        groups=limited,
        width=width,
        height=height,
        scenery=scenery,
        rng=rng,
        several=sum(count for _, count in limited) > 1,
    )
    if scenery.ground is None:
        whole = Box(x=width / 2, y=height / 2, width=width * 0.9, height=height * 0.9)
        placed = arranger.grid(composition.units, whole, ordered=composition.ordered)
    else:
        placed = arranger.ground(composition.units, ordered=composition.ordered)
    return tuple(arranger.jittered(placed))


def _limited(groups: Sequence[Group]) -> list[Group]:
    left = MAX_DRAWN
    out = []
    for i, (shape, count) in enumerate(groups):
        taken = max(1, min(count, left - (len(groups) - i - 1)))
        out.append((shape, taken))
        left -= taken
    return out


@dataclass(frozen=True, kw_only=True, slots=True)
class _Canvas(Arranger):
    width: int
    height: int
    scenery: Scenery

    def ground(self, units: Sequence[Node], *, ordered: bool) -> list[Placement]:
        """Things stand on the ground in one or two rows; what soars is in the sky."""
        line = (self.scenery.ground or 1.0) * self.height
        soaring = [unit for unit in units if isinstance(unit, int) and self.groups[unit][0].soars]
        standing = [unit for unit in units if unit not in soaring]
        placed: list[Placement] = []
        if soaring:
            sky = Box(
                x=self.width / 2,
                y=self.height * (0.24 if standing else 0.4),
                width=self.width * (0.84 if not standing or len(soaring) > 1 else 0.6),
                height=self.height * (0.38 if standing else 0.66),
            )
            placed += self.grid(soaring, sky, ordered=True)
        copies = [
            unit for unit in standing for _ in range(self.groups[unit][1] if isinstance(unit, int) else 1)
        ]
        alone = {unit for unit in standing if isinstance(unit, int)}
        single = replace(
            self, groups=[(shape, 1 if i in alone else count) for i, (shape, count) in enumerate(self.groups)]
        )
        room = self.height * (0.5 if soaring else 0.72)
        if len(copies) <= _ONE_ROW or ordered or self.width > _WIDE * self.height:
            return placed + single.row(copies, room, line)
        half = len(copies) // 2
        placed += single.row(copies[:half], room * 0.52, line - self.height * 0.31)
        return placed + single.row(copies[half:], room * 0.58, line)

    def row(self, units: Sequence[Node], room: float, line: float) -> list[Placement]:
        """Units side by side with their feet on `line`."""
        if not units:
            return []
        weights = [self._weight(unit) for unit in units]
        placed: list[Placement] = []
        x = self.width * 0.04
        for unit, weight in zip(units, weights, strict=True):
            wide = self.width * 0.92 * weight / sum(weights)
            tall = room * (1.1 if isinstance(unit, Pair) else 1.0)
            members = self.node(unit, Box(x=x + wide / 2, y=line - tall / 2, width=wide * 0.98, height=tall))
            low = bounds(members)[3]
            shift = line - low + self.rng.uniform(-0.01, 0.015) * self.width
            placed += [self._grounded(p, low).moved(0, shift) for p in members]
            x += wide
        return placed

    def _grounded(self, placement: Placement, low: float) -> Placement:
        """Give what touches the ground its shadow, or let it sink into the water."""
        if low - placement.bottom > 0.05 * self.height:  # it stands on another thing
            return placement
        if self.scenery.water:
            sunk = placement.moved(0, 0.06 * placement.height)
            return replace(sunk, waterline=placement.bottom - 0.1 * placement.height)
        return replace(placement, shadow=0.0 if self.scenery.dark else 0.75)

    def jittered(self, placed: Sequence[Placement]) -> list[Placement]:
        """Move the whole picture a little, keeping it on the canvas and its relations as they are."""
        left, top, right, bottom = bounds(placed)
        dx = _within(self.rng.uniform(-0.03, 0.03) * self.width, left, self.width - right)
        dy = _within(self.rng.uniform(-0.02, 0.02) * self.height, top, self.height - bottom)
        return [p.moved(dx, 0 if self.scenery.ground else dy) for p in placed]


def _within(delta: float, room_before: float, room_after: float) -> float:
    return max(-max(0.0, room_before - _MARGIN), min(max(0.0, room_after - _MARGIN), delta))
