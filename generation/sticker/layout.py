"""Where the pictures of a scene go: pure geometry, in pixels of the native canvas (128 on the short edge)."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from generation.sticker.backgrounds import Scenery
from generation.sticker.prompt import Layout, Size

MAX_DRAWN = 9  # pictures in one scene; more would be too small to tell

_SCALES: dict[Size, float] = {"small": 0.55, "normal": 1.0, "large": 1.12}
_FLAT_SEAT = 0.3  # a picture whose seat lies lower is flat: a plate, a rug, a pond


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """What a layout knows of a cut-out, measured on its trimmed box."""

    aspect: float  # width / height
    seat: float = 0.06  # share of the height, from the top, where something on it touches
    soars: bool = False  # belongs in the sky
    mirrors: bool = False  # may be turned around
    size: Size = "normal"


@dataclass(frozen=True, kw_only=True, slots=True)
class Placement:
    """One picture on the canvas, px of the native canvas."""

    item: int  # index of the subject
    x: float  # center
    y: float  # center
    width: float
    height: float
    mirrored: bool = False
    shadow: float = 0.0  # strength of the soft contact shadow, 0 to 1
    waterline: float | None = None  # y below which water covers it

    @property
    def bottom(self) -> float:
        """Lowest y."""
        return self.y + self.height / 2

    def moved(self, dx: float, dy: float) -> Placement:
        """The same picture elsewhere."""
        return replace(self, x=self.x + dx, y=self.y + dy)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Box:
    x: float  # center
    y: float
    width: float
    height: float


def arrange(
    groups: Sequence[tuple[Shape, int]],
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
    groups = _limited(groups)
    units, relation = _units(groups, relation)
    if scenery.ground is None:
        whole = _Box(x=width / 2, y=height / 2, width=width * 0.9, height=height * 0.9)
        placed = _grid(units, groups, whole, relation, rng)
    else:
        placed = _on_ground(units, groups, relation, width, height, scenery, rng)
    return tuple(_jittered(placed, width, height, scenery, rng))


_Unit = tuple[tuple[int, ...], Layout | None]
"""Subjects that are laid out together, and the relation between them (None: side by side copies of one)."""


def _limited(groups: Sequence[tuple[Shape, int]]) -> list[tuple[Shape, int]]:
    left = MAX_DRAWN
    out = []
    for i, (shape, count) in enumerate(groups):
        taken = max(1, min(count, left - (len(groups) - i - 1)))
        out.append((shape, taken))
        left -= taken
    return out


def _units(groups: Sequence[tuple[Shape, int]], relation: Layout) -> tuple[list[_Unit], Layout]:
    count = len(groups)
    if count >= 2 and relation not in {Layout.BESIDE, Layout.LEFT, Layout.RIGHT}:  # noqa: PLR2004 - a pair
        return [((0, 1), relation), *(((i,), None) for i in range(2, count))], Layout.BESIDE
    order = list(range(count))
    if relation is Layout.RIGHT:
        order[:2] = [1, 0]
        relation = Layout.LEFT
    return [((i,), None) for i in order], relation


def _weight(unit: _Unit, groups: Sequence[tuple[Shape, int]]) -> float:
    return float(max(groups[i][1] for i in unit[0]) ** 0.6)


def _grid(
    units: Sequence[_Unit], groups: Sequence[tuple[Shape, int]], area: _Box, relation: Layout, rng: random.Random
) -> list[Placement]:
    """Units in rows that fill `area` best."""
    if len(units) == 1:
        return _unit(units[0], groups, area, rng)
    if relation is Layout.BESIDE and len(units) == 2 and 0.8 < area.width / area.height < 1.25 and rng.random() < 0.45:  # noqa: PLR2004
        return _diagonal(units, groups, area, rng)
    rows = _rows(len(units), area.width / area.height, one_row=relation is Layout.LEFT, rng=rng)
    placed: list[Placement] = []
    start = 0
    for row, count in enumerate(rows):
        members = units[start : start + count]
        start += count
        high = area.height / len(rows)
        y = area.y - area.height / 2 + (row + 0.5) * high
        total = sum(_weight(unit, groups) for unit in members)
        unit_width = area.width / max(total, max(rows) if len(rows) > 1 else total)
        x = area.x - unit_width * total / 2
        for unit in members:
            wide = unit_width * _weight(unit, groups)
            cell = _Box(x=x + wide / 2, y=y, width=wide * 0.95, height=high * (0.95 if len(rows) > 1 else 1))
            placed += _unit(unit, groups, cell, rng)
            x += wide
    return placed


def _diagonal(
    units: Sequence[_Unit], groups: Sequence[tuple[Shape, int]], area: _Box, rng: random.Random
) -> list[Placement]:
    rise = rng.choice((-1, 1)) * area.height * 0.14
    edge = area.width * 0.57
    placed: list[Placement] = []
    for sign, unit in zip((-1, 1), units, strict=True):
        cell = _Box(
            x=area.x + sign * (area.width - edge) / 2, y=area.y + sign * rise, width=edge * 0.94, height=edge
        )
        placed += _unit(unit, groups, cell, rng)
    return placed


def _rows(count: int, aspect: float, *, one_row: bool, rng: random.Random) -> list[int]:
    """How many units stand in each row."""
    if one_row:
        return [count]
    best = max(
        range(1, count + 1),
        key=lambda columns: (min(aspect / columns, 1 / math.ceil(count / columns)), -columns),
    )
    rows = math.ceil(count / best)
    sizes = [count // rows] * rows
    for i in range(count % rows):
        sizes[-1 - i] += 1
    if rng.random() < 0.35:  # noqa: PLR2004 - now and then the fuller row is on top
        sizes.reverse()
    return sizes


def _unit(unit: _Unit, groups: Sequence[tuple[Shape, int]], cell: _Box, rng: random.Random) -> list[Placement]:
    members, relation = unit
    if relation is None:
        shape, count = groups[members[0]]
        if count == 1:
            return [_fit(members[0], shape, cell)]
        copies: list[_Unit] = [((members[0],), None)] * count
        return _grid(copies, [(s, 1) for s, _ in groups], cell, Layout.ABOVE, rng)
    return _pair(members[0], members[1], groups, relation, cell, rng)


def _fit(item: int, shape: Shape, cell: _Box) -> Placement:
    scale = min(_SCALES[shape.size], 1.06)
    high = min(cell.height, cell.width / shape.aspect) * scale
    return Placement(item=item, x=cell.x, y=cell.y, width=high * shape.aspect, height=high)


def _pair(
    first: int, second: int, groups: Sequence[tuple[Shape, int]], relation: Layout, cell: _Box, rng: random.Random
) -> list[Placement]:
    a, b = groups[first][0], groups[second][0]
    if relation is Layout.BELOW:
        first, second, a, b, relation = second, first, b, a, Layout.ABOVE
    if relation is Layout.BEHIND:
        first, second, a, b, relation = second, first, b, a, Layout.FRONT
    if relation is Layout.IN and b.seat >= _FLAT_SEAT:
        relation = Layout.ON
    if relation is Layout.ABOVE:
        half = cell.height * 0.49
        top = _Box(x=cell.x, y=cell.y - cell.height * 0.255, width=cell.width, height=half)
        low = _Box(x=cell.x, y=cell.y + cell.height * 0.255, width=cell.width, height=half)
        return [
            *_unit(((second,), None), groups, low, rng),
            *_unit(((first,), None), groups, top, rng),
        ]
    if relation is Layout.FRONT:
        return _front(first, second, a, b, cell, rng)
    if relation is Layout.WEARING:
        return _worn(first, second, a, b, cell)
    return _stacked(first, second, groups, cell, inside=relation is Layout.IN)


def _front(first: int, second: int, a: Shape, b: Shape, cell: _Box, rng: random.Random) -> list[Placement]:
    side = rng.choice((-1, 1))
    back = _fit(second, b, _Box(x=cell.x, y=cell.y, width=cell.width * 0.86, height=cell.height * 0.8))
    back = back.moved(-side * cell.width * 0.05, cell.y - cell.height / 2 + back.height / 2 - back.y)
    front = _fit(first, a, _Box(x=cell.x, y=cell.y, width=cell.width * 0.52, height=cell.height * 0.52))
    front = front.moved(side * cell.width * 0.22, back.bottom + cell.height * 0.08 - front.bottom)
    return [back, replace(front, shadow=0.5)]


def _worn(first: int, second: int, a: Shape, b: Shape, cell: _Box) -> list[Placement]:
    body = _fit(first, a, _Box(x=cell.x, y=cell.y, width=cell.width * 0.8, height=cell.height * 0.74))
    wide = min(body.width * 0.66, body.height * 0.62, cell.width)
    hat = Placement(item=second, x=body.x, y=0, width=wide, height=wide / b.aspect)
    top = body.y - body.height / 2
    hat = hat.moved(0, top + body.height * 0.16 - hat.height / 2)
    return _centered([body, hat], cell)


def _stacked(
    first: int, second: int, groups: Sequence[tuple[Shape, int]], cell: _Box, *, inside: bool
) -> list[Placement]:
    """The first subject stands on, or sticks out of, the second."""
    (a, count), (b, _) = groups[first], groups[second]
    seat = 0.3 if inside else b.seat
    base_scale = _SCALES[b.size] if b.size == "small" else 1.0
    base = _fit(
        second, replace(b, size="normal"), _Box(x=cell.x, y=cell.y, width=cell.width, height=cell.height * 0.6)
    )
    base = replace(base, width=base.width * base_scale, height=base.height * base_scale)
    free = cell.height - base.height * (1 - seat)
    room = base.width * (0.9 if count > 1 else 0.62 if b.seat >= _FLAT_SEAT else 0.8)
    wide = room / count
    high = min(free * 0.98, wide / a.aspect * (1 if a.aspect > 0.6 else 0.85), cell.height * 0.66) * (  # noqa: PLR2004
        0.75 if a.size == "small" else 1.0
    )
    line = base.y - base.height / 2 + base.height * seat
    sink = 0.0 if inside else high * (0.02 if b.seat >= _FLAT_SEAT else 0.05)
    standing = [
        Placement(
            item=first,
            x=base.x + (i - (count - 1) / 2) * wide,
            y=line + sink - high / 2 + (base.height * 0.06 if b.seat >= _FLAT_SEAT else 0),
            width=high * a.aspect,
            height=high,
            shadow=0.0 if inside else 0.8,
        )
        for i in range(count)
    ]
    return _centered([*standing, base] if inside else [base, *standing], cell)


def _centered(placed: Sequence[Placement], cell: _Box) -> list[Placement]:
    top = min(p.y - p.height / 2 for p in placed)
    low = max(p.bottom for p in placed)
    left = min(p.x - p.width / 2 for p in placed)
    right = max(p.x + p.width / 2 for p in placed)
    return [p.moved(cell.x - (left + right) / 2, cell.y - (top + low) / 2) for p in placed]


def _on_ground(
    units: Sequence[_Unit],
    groups: Sequence[tuple[Shape, int]],
    relation: Layout,
    width: int,
    height: int,
    scenery: Scenery,
    rng: random.Random,
) -> list[Placement]:
    """Things stand on the ground line in one or two rows; what soars is in the sky."""
    ground = (scenery.ground or 0.87) * height
    soaring = [u for u in units if u[1] is None and groups[u[0][0]][0].soars]
    standing = [u for u in units if u not in soaring]
    placed: list[Placement] = []
    if soaring:
        share = 0.62 if not standing else 0.4
        y = height * (0.4 if not standing else 0.25)
        sky = _Box(x=width / 2, y=y, width=width * 0.84, height=height * share)
        placed += _grid(soaring, groups, sky, Layout.LEFT, rng)
    copies: list[_Unit] = []
    for unit in standing:
        copies += [unit] * (groups[unit[0][0]][1] if unit[1] is None else 1)
    singles = [(shape, 1) if any(u[0] == (i,) for u in standing) else (shape, n) for i, (shape, n) in enumerate(groups)]
    if copies:
        room = height * (0.5 if soaring else 0.68)
        if len(copies) <= 3 or relation is Layout.LEFT or width > 1.4 * height:  # noqa: PLR2004 - they fit in one row
            placed += _standing_row(copies, singles, width, room, ground, rng)
        else:
            half = len(copies) // 2
            placed += _standing_row(copies[:half], singles, width, room * 0.52, ground - height * 0.33, rng)
            placed += _standing_row(copies[half:], singles, width, room * 0.58, ground, rng)
    return [_grounded(p, ground, height, scenery) for p in placed]


def _standing_row(
    row: Sequence[_Unit], groups: Sequence[tuple[Shape, int]], width: int, room: float, ground: float, rng: random.Random
) -> list[Placement]:
    placed: list[Placement] = []
    cell_width = width * 0.92 / len(row)
    for i, unit in enumerate(row):
        tall = room * (1.12 if unit[1] is not None else 1)
        cell = _Box(
            x=width * 0.04 + (i + 0.5) * cell_width, y=ground - tall / 2, width=cell_width * 0.94, height=tall
        )
        members = _unit(unit, groups, cell, rng)
        low = max(p.bottom for p in members)
        placed += [p.moved(0, ground - low + rng.uniform(-0.01, 0.015) * width) for p in members]
    return placed


def _grounded(placement: Placement, ground: float, height: int, scenery: Scenery) -> Placement:
    near = abs(placement.bottom - ground) < 0.36 * height and placement.bottom > 0.4 * height
    if not near or placement.shadow:
        return placement
    if scenery.water:
        return replace(placement.moved(0, 0.06 * placement.height), waterline=placement.bottom - 0.1 * placement.height)
    return replace(placement, shadow=0.0 if scenery.dark else 0.75)


def _jittered(
    placed: Sequence[Placement], width: int, height: int, scenery: Scenery, rng: random.Random
) -> list[Placement]:
    """Move the whole picture a little, keeping it on the canvas and its relations as they are."""
    left = min(p.x - p.width / 2 for p in placed)
    right = max(p.x + p.width / 2 for p in placed)
    top = min(p.y - p.height / 2 for p in placed)
    low = max(p.bottom for p in placed)
    dx = _within(rng.uniform(-0.03, 0.03) * width, left, width - right)
    dy = 0.0 if scenery.ground is not None else _within(rng.uniform(-0.02, 0.02) * height, top, height - low)
    return [
        replace(p.moved(dx, dy), waterline=None if p.waterline is None else p.waterline + dy) for p in placed
    ]


def _within(delta: float, room_before: float, room_after: float) -> float:
    return max(-max(0.0, room_before - 2), min(max(0.0, room_after - 2), delta))
