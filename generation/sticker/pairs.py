"""How two things stand to each other: one on, in, above, before the other, on its head or before its eyes."""

from __future__ import annotations

import random
from dataclasses import replace

from generation.sticker.geometry import SCALES, Box, Placement, Shape, fit, fitted
from generation.sticker.prompt import Layout

_FLAT_SEAT = 0.3  # a picture whose seat lies lower is flat: a plate, a rug, a pond
_SLENDER = 0.6  # aspect below which a standing thing is shortened, so that its base does not look tiny
_WIDE = 1.7  # aspect from which it is a row of things

_PROFILE = (0.13, 0.42)  # eyes of an animal seen from the side: below its highest part

FIRST, SECOND = 0, 1
"""The items of the placements that `pair` gives."""

Item = tuple[int, Shape]


def pair(first: Shape, second: Shape, relation: Layout, *, box: Box, rng: random.Random) -> list[Placement]:
    """Place two things, the first in `relation` to the second, inside `box`; back to front."""
    if relation is Layout.BEHIND:
        return _front((SECOND, second), (FIRST, first), box, rng)
    if relation is Layout.FRONT:
        return _front((FIRST, first), (SECOND, second), box, rng)
    if relation is Layout.WEARING:
        return _worn(first, second, box)
    if relation in {Layout.ABOVE, Layout.BELOW}:
        return _above(first, second, box, upside_down=relation is Layout.BELOW)
    return _stacked(first, second, box, inside=relation is Layout.IN and second.seat < _FLAT_SEAT)


def _above(first: Shape, second: Shape, box: Box, *, upside_down: bool) -> list[Placement]:
    """One over the other, with the room shared out by their sizes and shapes."""
    items = ((SECOND, second), (FIRST, first)) if upside_down else ((FIRST, first), (SECOND, second))
    needs = [min(1.0, box.width / shape.aspect / box.height) * _want(shape) for _, shape in items]
    shares = [0.98 * min(0.68, max(0.32, need / sum(needs))) for need in needs]
    shares = [share / sum(shares) * 0.98 for share in shares]
    top = box.y - box.height / 2
    upper = Box(x=box.x, y=top + box.height * shares[0] / 2, width=box.width, height=box.height * shares[0])
    lower_high = box.height * shares[1]
    lower = Box(x=box.x, y=top + box.height - lower_high / 2, width=box.width, height=lower_high)
    placed = [fit(*items[0], upper), fit(*items[1], lower)]
    gap = placed[1].top - placed[0].bottom - 0.03 * box.height
    if gap > 0:  # closer together
        placed = [placed[0].moved(0, gap / 2), placed[1].moved(0, -gap / 2)]
    return [placed[1], placed[0]]


def _want(shape: Shape) -> float:
    return {"small": 0.7, "normal": 1.0, "large": 1.3}[shape.size]


def _front(near: Item, far: Item, box: Box, rng: random.Random) -> list[Placement]:
    side = rng.choice((-1, 1))
    back = fit(far[0], replace(far[1], size="normal"), box.part(width=0.92, height=0.86))
    back = back.moved(-side * box.width * 0.04, box.y - box.height / 2 - back.top)
    wide = 0.8 if near[1].aspect > _WIDE else 0.54
    front = fit(near[0], near[1], box.part(width=wide, height=0.54))
    spread = 0.05 if near[1].aspect > _WIDE else 0.2
    front = front.moved(side * box.width * spread, back.bottom + box.height * 0.07 - front.bottom)
    return fitted([back, replace(front, shadow=0.5)], box, grow=True)


def _worn(first: Shape, second: Shape, box: Box) -> list[Placement]:
    if second.glasses:
        body = fit(FIRST, first, box)
        height, share = first.eyes or _PROFILE
        x = body.x if first.eyes else body.x + (first.crest - 0.5) * body.width
        wide = body.width * share
        y = body.top + height * body.height
        return [body, Placement(item=SECOND, x=x, y=y, width=wide, height=wide / second.aspect)]
    body = fit(FIRST, first, box.part(width=0.9, height=0.76))
    shares = (0.5, 0.4) if first.eyes is None else (0.66, 0.62)  # of an animal from the side, only the head
    wide = min(body.width * shares[0], body.height * shares[1], box.width)
    high = wide / second.aspect
    brim = body.top + body.height * 0.14
    x = body.x + (first.crest - 0.5) * body.width
    hat = Placement(item=SECOND, x=x, y=brim - high / 2, width=wide, height=high)
    return fitted([body, hat], box, grow=True)


def _stacked(first: Shape, second: Shape, box: Box, *, inside: bool) -> list[Placement]:
    """The first thing stands on, or sticks out of, the second."""
    flat = second.seat >= _FLAT_SEAT
    seat = 0.3 if inside else second.seat
    base = fit(SECOND, replace(second, size="normal"), box.part(height=0.62))
    if second.size == "small":
        base = replace(base, width=base.width * SCALES["small"], height=base.height * SCALES["small"])
    share = 0.66 if flat else 0.8
    wide = base.width * (0.94 if first.aspect > _WIDE else share)
    if first.size == "large" or second.size == "small":
        wide = max(wide, box.width * 0.9)
    high = min(
        (box.height - base.height * (1 - seat)) * 0.98,
        wide / first.aspect * (1 if first.aspect > _SLENDER else 0.85),
        box.height * 0.66,
    )
    high *= 0.6 if first.size == "small" or second.size == "large" else 1
    line = (
        base.top
        + base.height * (seat + (0.06 if flat else 0))
        + (0 if inside else high * (0.02 if flat else 0.05))
    )
    x = base.x if flat or inside else base.x + (second.crest - 0.5) * base.width * 0.5
    standing = Placement(
        item=FIRST,
        x=x,
        y=line - high / 2,
        width=high * first.aspect,
        height=high,
        shadow=0.0 if inside else 0.8,
    )
    return fitted([standing, base] if inside else [base, standing], box, grow=True)
