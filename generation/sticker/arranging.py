"""How the pictures of a scene fill a box: one, several of a kind, rows, and pairs within pairs."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from generation.sticker.composition import Node, Pair, Row, indices
from generation.sticker.geometry import (
    BESIDE_SCALES,
    ROOM,
    SCALES,
    Box,
    Group,
    Placement,
    Shape,
    bounds,
    fit,
    fitted,
)
from generation.sticker.pairs import FIRST, pair

_SQUARE = (0.8, 1.25)
_TALL = 0.75  # aspect below which two things stand one above the other
_DIAGONAL_SHARE = 0.5  # of pictures with two things
_REVERSED_SHARE = 0.35  # of pictures with a fuller row above a less full one
_UNIT_EDGE = 100.0  # px of the box in which a composite is measured
_OVERLAP = 1.06  # of neighbors in a row, so that they look like a group


@dataclass(frozen=True, kw_only=True, slots=True)
class Arranger:
    """Places nodes of a composition in boxes; lists of placements are back to front."""

    groups: Sequence[Group]
    rng: random.Random  # chooses among good layouts
    several: bool  # things in all

    def node(self, node: Node, box: Box) -> list[Placement]:
        """Place a node in a box, back to front."""
        if isinstance(node, Row):
            return self.side_by_side(node.members, box)
        if isinstance(node, Pair):
            first, second = self._as_one(node.first), self._as_one(node.second)
            placed: list[Placement] = []
            for p in pair(first, second, node.relation, box=box, rng=self.rng):
                placed += self._expanded(p, node.first if p.item == FIRST else node.second)
            return placed
        shape, count = self.groups[node]
        if count == 1:
            return [fit(node, shape, box, scales=BESIDE_SCALES if self.several else SCALES)]
        single = replace(self, groups=[(shape, 1) for shape, _ in self.groups])
        return single.grid([node] * count, box, ordered=False)

    def _as_one(self, node: Node) -> Shape:
        """A node's shape, as if it were one picture."""
        if isinstance(node, int) and self.groups[node][1] == 1:
            return self.groups[node][0]
        placed = self._alone(node)
        left, top, right, bottom = bounds(placed)
        members = [self.groups[i][0] for i in indices(node)]
        sizes = {shape.size for shape in members}
        return Shape(
            aspect=(right - left) / (bottom - top),
            seat=members[0].seat,
            eyes=members[0].eyes if isinstance(node, Pair) else None,
            size=sizes.pop() if len(sizes) == 1 else "normal",
        )

    def _alone(self, node: Node) -> list[Placement]:
        steady = replace(self, rng=random.Random(0))
        box = Box(x=0, y=0, width=_UNIT_EDGE, height=_UNIT_EDGE)
        return steady.copies(node, box) if isinstance(node, int) else steady.node(node, box)

    def copies(self, item: int, box: Box) -> list[Placement]:
        """Copies of one thing in a row."""
        _shape, count = self.groups[item]
        plain = replace(self, groups=[(replace(shape, size="normal"), 1) for shape, _ in self.groups])
        return plain.side_by_side([item] * count, box)

    def _expanded(self, outer: Placement, node: Node) -> list[Placement]:
        """What stands in the place that `outer` keeps for a node."""
        if isinstance(node, int) and self.groups[node][1] == 1:
            return [replace(outer, item=node)]
        placed = self._alone(node)
        left, top, right, bottom = bounds(placed)
        scale = outer.width / (right - left)
        low = max(p.bottom for p in placed)
        return [
            replace(
                p,
                x=outer.x + (p.x - (left + right) / 2) * scale,
                y=outer.y + (p.y - (top + bottom) / 2) * scale,
                width=p.width * scale,
                height=p.height * scale,
                shadow=max(p.shadow, outer.shadow if low - p.bottom < 1 else 0.0),
            )
            for p in placed
        ]

    def grid(self, units: Sequence[Node], area: Box, *, ordered: bool) -> list[Placement]:
        """Units in rows that fill `area` best."""
        if len(units) == 1:
            return self.node(units[0], area)
        aspect = area.width / area.height
        square = _SQUARE[0] < aspect < _SQUARE[1]
        if len(units) == 2 and not ordered and aspect >= _TALL:
            diagonal = square and self.rng.random() < _DIAGONAL_SHARE
            return self._diagonal(units, area) if diagonal else self.side_by_side(units, area)
        counts = self._rows(len(units), aspect, one_row=ordered)
        if len(counts) == 1:
            return self.side_by_side(units, area)
        placed: list[Placement] = []
        start = 0
        high = area.height / len(counts)
        for row, count in enumerate(counts):
            y = area.y - area.height / 2 + (row + 0.5) * high
            cell = Box(x=area.x, y=y, width=area.width * count / max(counts), height=high * 0.96)
            placed += self.side_by_side(units[start : start + count], cell)
            start += count
        return placed

    def side_by_side(self, units: Sequence[Node], area: Box) -> list[Placement]:
        """A row that fills the area, with the feet on one line."""
        weights = [self._weight(unit) for unit in units]
        placed: list[list[Placement]] = []
        x = area.x - area.width / 2
        for unit, weight in zip(units, weights, strict=True):
            wide = area.width * weight / sum(weights)
            cell = Box(x=x + wide / 2, y=area.y, width=wide * _OVERLAP, height=area.height)
            placed.append(self.node(unit, cell))
            x += wide
        low = max(p.bottom for unit in placed for p in unit)
        out: list[Placement] = []
        for unit, members in zip(units, placed, strict=True):
            drop = low - max(p.bottom for p in members)
            soars = all(self.groups[i][0].soars for i in indices(unit))
            out += [p.moved(0, drop * (0.3 if soars else 1)) for p in members]
        return fitted(out, area)

    def _weight(self, unit: Node) -> float:
        """The share of a row's width that a unit gets."""
        shape = self._as_one(unit)
        members = indices(unit)
        many = max(self.groups[i][1] for i in members) if len(members) == 1 else 1
        room = ROOM[self.groups[members[0]][0].size] if len(members) == 1 else 1.0
        own = shape.aspect if many == 1 else 1.0
        return float(min(2.2, max(0.55, own**0.7)) * room * many**0.5)

    def _diagonal(self, units: Sequence[Node], area: Box) -> list[Placement]:
        rise = self.rng.choice((-1, 1)) * area.height * 0.17
        weights = [self._weight(unit) for unit in units]
        alike = len({self.groups[i][0].size for unit in units for i in indices(unit)}) == 1
        least = 0.42 if alike else 0.26  # share of the width
        placed: list[Placement] = []
        x = area.x - area.width / 2
        for sign, unit, weight in zip((-1, 1), units, weights, strict=True):
            share = min(1 - least, max(least, 1.12 * weight / sum(weights)))
            wide = area.width * share
            center = x + wide / 2 if sign < 0 else area.x + area.width / 2 - wide / 2
            high = area.height * (0.5 + 0.14 * (share > 0.55))
            placed += self.node(unit, Box(x=center, y=area.y + sign * rise, width=wide, height=high * 1.2))
        return fitted(placed, area)

    def _rows(self, count: int, aspect: float, *, one_row: bool) -> list[int]:
        """How many units stand in each row."""
        if one_row:
            return [count]
        columns = max(range(1, count + 1), key=lambda n: (min(aspect / n, 1 / math.ceil(count / n)), n))
        if aspect >= _TALL and count <= 2:
            columns = count
        rows = math.ceil(count / columns)
        sizes = [count // rows] * rows
        for i in range(count % rows):
            sizes[-1 - i] += 1
        return sizes[::-1] if self.rng.random() < _REVERSED_SHARE else sizes
