"""How two subjects stand to each other: one on, in, above, before the other, or on its head."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

from generation.sticker.geometry import SCALES, Box, Group, Placement, Shape, centered, fit
from generation.sticker.prompt import Layout

_FLAT_SEAT = 0.3  # a picture whose seat lies lower is flat: a plate, a rug, a pond
_SLENDER = 0.6  # aspect below which a standing thing is shortened, so that its base does not look tiny

Item = tuple[int, Shape, int]
"""A subject's index, its shape and how often it is drawn."""


def pair(
    members: tuple[int, int], groups: Sequence[Group], relation: Layout, *, box: Box, rng: random.Random
) -> list[Placement]:
    """Place two subjects, the first in `relation` to the second, inside `box`.

    `Layout.ABOVE` and `Layout.BELOW` are not pairs in this sense: they are two boxes, see `layout`.
    """
    first, second = ((i, *groups[i]) for i in members)
    if relation is Layout.BEHIND:
        return _front(second, first, box, rng)
    if relation is Layout.FRONT:
        return _front(first, second, box, rng)
    if relation is Layout.WEARING:
        return _worn(first, second, box)
    inside = relation is Layout.IN and second[1].seat < _FLAT_SEAT
    return _stacked(first, second, box, inside=inside)


def _front(first: Item, second: Item, box: Box, rng: random.Random) -> list[Placement]:
    side = rng.choice((-1, 1))
    back = fit(second[0], second[1], box.part(width=0.86, height=0.8))
    back = back.moved(-side * box.width * 0.05, box.y - box.height / 2 - back.top)
    front = fit(first[0], first[1], box.part(width=0.52, height=0.52))
    front = front.moved(side * box.width * 0.22, back.bottom + box.height * 0.08 - front.bottom)
    return [back, replace(front, shadow=0.5)]


def _worn(first: Item, second: Item, box: Box) -> list[Placement]:
    body = fit(first[0], first[1], box.part(width=0.8, height=0.74))
    wide = min(body.width * 0.66, body.height * 0.62, box.width)
    high = wide / second[1].aspect
    brim = body.top + body.height * 0.16
    return centered(
        [body, Placement(item=second[0], x=body.x, y=brim - high / 2, width=wide, height=high)], box
    )


def _stacked(first: Item, second: Item, box: Box, *, inside: bool) -> list[Placement]:
    """The first subject stands on, or sticks out of, the second."""
    above, shape, count = first
    flat = second[1].seat >= _FLAT_SEAT
    seat = 0.3 if inside else second[1].seat
    base = fit(second[0], replace(second[1], size="normal"), box.part(height=0.6))
    if second[1].size == "small" and count == 1:
        base = replace(base, width=base.width * SCALES["small"], height=base.height * SCALES["small"])
    wide = base.width * (0.9 if count > 1 else 0.62 if flat else 0.8) / count
    high = min(
        (box.height - base.height * (1 - seat)) * 0.98,
        wide / shape.aspect * (1 if shape.aspect > _SLENDER else 0.85),
        box.height * 0.66,
    )
    high *= 0.75 if shape.size == "small" else 1
    line = (
        base.top
        + base.height * (seat + (0.06 if flat else 0))
        + (0 if inside else high * (0.02 if flat else 0.05))
    )
    standing = [
        Placement(
            item=above,
            x=base.x + (i - (count - 1) / 2) * wide,
            y=line - high / 2,
            width=high * shape.aspect,
            height=high,
            shadow=0.0 if inside else 0.8,
        )
        for i in range(count)
    ]
    return centered([*standing, base] if inside else [base, *standing], box)
