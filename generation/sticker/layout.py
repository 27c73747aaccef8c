"""Where the pictures of a scene go: pure geometry."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from generation.sticker.backgrounds import Scenery
from generation.sticker.geometry import Box, Group, Placement, bounds, fit
from generation.sticker.pairs import pair
from generation.sticker.prompt import Layout

MAX_DRAWN = 9  # pictures in one scene; more would be too small to tell
_PAIR = 2
_ONE_ROW = 3  # so many stand side by side on the ground of a square picture
_WIDE = 1.4  # aspect from which all stand in one row
_SQUARE = (0.8, 1.25)
_DIAGONAL_SHARE = 0.45  # of pictures with two subjects
_REVERSED_SHARE = 0.35  # of pictures with a fuller row above a less full one
_MARGIN = 2.0  # px kept free by jitter

_Unit = tuple[tuple[int, ...], Layout | None]
"""Subjects that are laid out together, and the relation between them (None: one subject and its copies)."""


def arrange(
    groups: Sequence[Group],
    relation: Layout,
    *,
    width: int,
    height: int,
    scenery: Scenery,
    rng: random.Random,
) -> tuple[Placement, ...]:
    """Lay out a scene.

    Args:
        groups: each subject's shape and how often it is drawn; at least one.
        relation: of the second subject to the first.
        width: native px.
        height: native px.
        scenery: what the background asks for.
        rng: chooses among good layouts.

    Returns:
        Placements in painting order, back to front.
    """
    units, relation = _units(len(groups), relation)
    arranger = _Arranger(groups=_limited(groups), width=width, height=height, scenery=scenery, rng=rng)
    if scenery.ground is None:
        whole = Box(x=width / 2, y=height / 2, width=width * 0.9, height=height * 0.9)
        placed = arranger.grid(units, whole, relation)
    else:
        placed = arranger.ground(units, relation)
    return tuple(arranger.jittered(placed))


def _limited(groups: Sequence[Group]) -> list[Group]:
    left = MAX_DRAWN
    out = []
    for i, (shape, count) in enumerate(groups):
        taken = max(1, min(count, left - (len(groups) - i - 1)))
        out.append((shape, taken))
        left -= taken
    return out


def _units(count: int, relation: Layout) -> tuple[list[_Unit], Layout]:
    if count >= _PAIR and relation not in {Layout.BESIDE, Layout.LEFT, Layout.RIGHT}:
        return [((0, 1), relation), *(((i,), None) for i in range(2, count))], Layout.BESIDE
    order = list(range(count))
    if relation is Layout.RIGHT and count >= _PAIR:
        order[:2] = [1, 0]
        relation = Layout.LEFT
    return [((i,), None) for i in order], relation


@dataclass(frozen=True, kw_only=True, slots=True)
class _Arranger:
    groups: Sequence[Group]
    width: int
    height: int
    scenery: Scenery
    rng: random.Random

    def grid(self, units: Sequence[_Unit], area: Box, relation: Layout) -> list[Placement]:
        """Units in rows that fill `area` best."""
        if len(units) == 1:
            return self._unit(units[0], area)
        square = _SQUARE[0] < area.width / area.height < _SQUARE[1]
        diagonal = relation is Layout.BESIDE and len(units) == _PAIR and square
        if diagonal and self.rng.random() < _DIAGONAL_SHARE:
            return self._diagonal(units, area)
        rows = self._rows(len(units), area.width / area.height, one_row=relation is Layout.LEFT)
        placed: list[Placement] = []
        start = 0
        for row, count in enumerate(rows):
            members = units[start : start + count]
            start += count
            high = area.height / len(rows)
            total = sum(self._weight(unit) for unit in members)
            unit_width = area.width / max(total, max(rows) if len(rows) > 1 else total)
            x = area.x - unit_width * total / 2
            for unit in members:
                wide = unit_width * self._weight(unit)
                cell = Box(
                    x=x + wide / 2,
                    y=area.y - area.height / 2 + (row + 0.5) * high,
                    width=wide * 0.95,
                    height=high * (0.95 if len(rows) > 1 else 1),
                )
                placed += self._unit(unit, cell)
                x += wide
        return placed

    def ground(self, units: Sequence[_Unit], relation: Layout) -> list[Placement]:
        """Things stand on the ground in one or two rows; what soars is in the sky."""
        line = (self.scenery.ground or 1.0) * self.height
        soaring = [unit for unit in units if unit[1] is None and self.groups[unit[0][0]][0].soars]
        standing = [unit for unit in units if unit not in soaring]
        placed: list[Placement] = []
        if soaring:
            sky = Box(
                x=self.width / 2,
                y=self.height * (0.25 if standing else 0.4),
                width=self.width * 0.84,
                height=self.height * (0.4 if standing else 0.62),
            )
            placed += self.grid(soaring, sky, Layout.LEFT)
        copies: list[_Unit] = []
        for unit in standing:
            copies += [unit] * (self.groups[unit[0][0]][1] if unit[1] is None else 1)
        alone = {unit[0][0] for unit in standing if unit[1] is None}
        groups = [(shape, 1 if i in alone else count) for i, (shape, count) in enumerate(self.groups)]
        single = replace(self, groups=groups)
        room = self.height * (0.5 if soaring else 0.68)
        if len(copies) <= _ONE_ROW or relation is Layout.LEFT or self.width > _WIDE * self.height:
            return placed + single.row(copies, room, line)
        half = len(copies) // 2
        placed += single.row(copies[:half], room * 0.52, line - self.height * 0.33)
        return placed + single.row(copies[half:], room * 0.58, line)

    def row(self, units: Sequence[_Unit], room: float, line: float) -> list[Placement]:
        """Units side by side with their feet on `line`."""
        placed: list[Placement] = []
        cell_width = self.width * 0.92 / max(1, len(units))
        for i, unit in enumerate(units):
            tall = room * (1.0 if unit[1] is None else 1.12)
            cell = Box(
                x=self.width * 0.04 + (i + 0.5) * cell_width,
                y=line - tall / 2,
                width=cell_width * 0.94,
                height=tall,
            )
            members = self._unit(unit, cell)
            low = bounds(members)[3]
            shift = line - low + self.rng.uniform(-0.01, 0.015) * self.width
            placed += [self._grounded(p, low).moved(0, shift) for p in members]
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

    def _weight(self, unit: _Unit) -> float:
        return float(max(self.groups[i][1] for i in unit[0]) ** 0.6)

    def _diagonal(self, units: Sequence[_Unit], area: Box) -> list[Placement]:
        rise = self.rng.choice((-1, 1)) * area.height * 0.14
        edge = area.width * 0.57
        placed: list[Placement] = []
        for sign, unit in zip((-1, 1), units, strict=True):
            x = area.x + sign * (area.width - edge) / 2
            placed += self._unit(unit, Box(x=x, y=area.y + sign * rise, width=edge * 0.94, height=edge))
        return placed

    def _rows(self, count: int, aspect: float, *, one_row: bool) -> list[int]:
        """How many units stand in each row."""
        if one_row:
            return [count]
        columns = max(range(1, count + 1), key=lambda n: (min(aspect / n, 1 / math.ceil(count / n)), -n))
        rows = math.ceil(count / columns)
        sizes = [count // rows] * rows
        for i in range(count % rows):
            sizes[-1 - i] += 1
        return sizes[::-1] if self.rng.random() < _REVERSED_SHARE else sizes

    def _unit(self, unit: _Unit, box: Box) -> list[Placement]:
        members, relation = unit
        if relation is None:
            shape, count = self.groups[members[0]]
            if count == 1:
                return [fit(members[0], shape, box)]
            single = replace(self, groups=[(shape, 1) for shape, _ in self.groups])
            return single.grid([((members[0],), None)] * count, box, Layout.ABOVE)
        first, second = members
        if relation is Layout.BELOW:
            first, second, relation = second, first, Layout.ABOVE
        if relation is Layout.ABOVE:
            return [
                *self._unit(((second,), None), box.part(height=0.49, dy=0.255)),
                *self._unit(((first,), None), box.part(height=0.49, dy=-0.255)),
            ]
        return pair((first, second), self.groups, relation, box=box, rng=self.rng)


def _within(delta: float, room_before: float, room_after: float) -> float:
    return max(-max(0.0, room_before - _MARGIN), min(max(0.0, room_after - _MARGIN), delta))
