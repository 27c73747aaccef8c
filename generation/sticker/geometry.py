"""Boxes and placements, in pixels of the native canvas (128 on the short edge)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from generation.sticker.prompt import Size

SCALES: dict[Size, float] = {"small": 0.55, "normal": 1.0, "large": 1.06}
"""How much of its box a thing fills."""

ROOM: dict[Size, float] = {"small": 0.62, "normal": 1.0, "large": 1.8}
"""How much of a row a thing gets beside others."""

BESIDE_SCALES: dict[Size, float] = {"small": 0.8, "normal": 1.0, "large": 1.0}
"""How much of its box it then fills."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """What a layout knows of a cut-out, measured on its trimmed box."""

    aspect: float  # width / height
    seat: float = 0.06  # share of the height, from the top, where something on it touches
    crest: float = 0.5  # share of the width, from the left, where its highest part is
    eyes: tuple[float, float] | None = None  # height of its eyes, width of glasses; shares
    glasses: bool = False  # is worn before the eyes
    soars: bool = False  # belongs in the sky
    mirrors: bool = False  # may be turned around
    tilts: bool = False  # may lean to a side
    size: Size = "normal"


Group = tuple[Shape, int]
"""A subject's shape and how often it is drawn."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Placement:
    """One picture on the canvas, px of the native canvas."""

    item: int  # index of the subject
    x: float  # center
    y: float  # center
    width: float
    height: float
    mirrored: bool = False
    angle: float = 0.0  # degrees, counterclockwise
    shadow: float = 0.0  # strength of the soft contact shadow, 0 to 1
    waterline: float | None = None  # y below which water covers it

    @property
    def top(self) -> float:
        """Highest y."""
        return self.y - self.height / 2

    @property
    def bottom(self) -> float:
        """Lowest y."""
        return self.y + self.height / 2

    def moved(self, dx: float, dy: float) -> Placement:
        """The same picture elsewhere."""
        line = None if self.waterline is None else self.waterline + dy
        return replace(self, x=self.x + dx, y=self.y + dy, waterline=line)


@dataclass(frozen=True, kw_only=True, slots=True)
class Box:
    """A rectangle to fill."""

    x: float  # center
    y: float
    width: float
    height: float

    def part(self, *, width: float = 1, height: float = 1, dy: float = 0) -> Box:
        """A share of the box around its center, moved down by a share of its height."""
        return Box(
            x=self.x, y=self.y + dy * self.height, width=self.width * width, height=self.height * height
        )


def fit(item: int, shape: Shape, box: Box, *, scales: Mapping[Size, float] = SCALES) -> Placement:
    """The largest placement in `box`, smaller where a small one was asked for."""
    high = min(box.height, box.width / shape.aspect) * scales[shape.size]
    return Placement(item=item, x=box.x, y=box.y, width=high * shape.aspect, height=high)


def bounds(placed: Sequence[Placement]) -> tuple[float, float, float, float]:
    """The left, top, right and bottom of some placements together."""
    return (
        min(p.x - p.width / 2 for p in placed),
        min(p.top for p in placed),
        max(p.x + p.width / 2 for p in placed),
        max(p.bottom for p in placed),
    )


def centered(placed: Sequence[Placement], box: Box) -> list[Placement]:
    """Move placements together so that they are centered in `box`."""
    left, top, right, bottom = bounds(placed)
    return [p.moved(box.x - (left + right) / 2, box.y - (top + bottom) / 2) for p in placed]


def fitted(placed: Sequence[Placement], box: Box, *, grow: bool = False) -> list[Placement]:
    """Shrink placements together until they fit in `box` (or grow them to fill it), and center them there."""
    left, top, right, bottom = bounds(placed)
    scale = min(box.width / max(right - left, 1e-6), box.height / max(bottom - top, 1e-6))
    scale = scale if grow else min(1.0, scale)
    return centered([scaled(p, scale) for p in placed], box)


def scaled(placement: Placement, scale: float) -> Placement:
    """The same picture on a canvas that is `scale` times as large."""
    line = None if placement.waterline is None else placement.waterline * scale
    return replace(
        placement,
        x=placement.x * scale,
        y=placement.y * scale,
        width=placement.width * scale,
        height=placement.height * scale,
        waterline=line,
    )
