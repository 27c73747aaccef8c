"""The draft of a picture: credited cut-outs, recolored and laid out on a background, all in code.

Diffusion starts from it. It is planned once, in numbers, and can then be drawn at any size.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from PIL import Image

from generation.sticker.backgrounds import paint, scenery
from generation.sticker.colors import Pixels, recolor
from generation.sticker.composition import compose
from generation.sticker.geometry import Placement, Shape
from generation.sticker.layers import covered, layer, outline, shadow
from generation.sticker.layout import arrange
from generation.sticker.prompt import Layout, Size
from generation.sticker.references import Reference, References
from generation.sticker.variety import Choice, Variety
from generation.sticker.vocabulary import vocabulary

_MEASURED_EDGE = 128
_BITMAP_EDGE = 256  # bitmaps ship at this size
_LARGEST_EDGE = 512
_SOLID = 24  # alpha from which a pixel counts as part of a cut-out
_PEOPLE = 1
_ANIMALS = 3
_THING_EYES = (0.4, 0.66)
_PERSON_EYES = (0.34, 0.44)  # of a bust; heads have their own
_MIRRORED_GROUPS = frozenset({1, 3, 4, 5})  # people, animals, food and vehicles look right either way round
_LETTERED = frozenset(
    ["clock", "o'clock", "thirty", "sign", "stop", "map", "station", "bank", "hotel", "atm"]
)
_TILTED_GROUPS = frozenset({0, 4, 6, 7})  # faces, food, toys and objects may lean
_TILTS = (-8.0, 0.0, 6.0, 0.0, -4.0, 10.0)  # degrees
_TILTED_SCALE = 0.9  # so that corners stay on the canvas
_SMALLEST = 0.84  # of a thing that stands alone
_CREST = 0.1  # share of the height in which the highest part is looked for


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """One subject as it will be drawn."""

    reference: Reference
    color: str | None = None  # to recolor it to
    count: int = 1
    size: Size = "normal"
    relation: Layout = Layout.BESIDE  # of the part before it to this one
    joined: bool = False  # by "and" to the part before it


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """A draft in numbers."""

    parts: tuple[Part, ...]
    placements: tuple[Placement, ...]  # back to front, native px; `item` is an index in `parts`
    background: str
    width: int  # native px
    height: int
    seed: int  # of the background's details


@dataclass(frozen=True, kw_only=True, slots=True)
class Draft:
    """A drawn draft."""

    pixels: Pixels  # (height, width, 3)
    shares: tuple[float, ...]  # visible share of the drawn area of each part; sums to 1, or all 0


def plan(
    parts: Sequence[Part],
    *,
    background: str,
    width: int,
    height: int,
    references: References,
    variety: Variety,
) -> Plan:
    """Lay out `parts`, at least one, before `background` on a native canvas of `width` x `height` px."""
    rng = variety.rng
    around = scenery(background)
    shapes = [_shape(part, references) for part in parts]
    turned = [shape.mirrors and _turned(variety, i) for i, shape in enumerate(shapes)]
    shapes = [
        replace(shape, crest=1 - shape.crest) if mirrored else shape
        for shape, mirrored in zip(shapes, turned, strict=True)
    ]
    composition = compose([part.relation for part in parts], joined=[part.joined for part in parts])
    placements = arrange(
        [(shape, part.count) for shape, part in zip(shapes, parts, strict=True)],
        Layout.BESIDE,
        width=width,
        height=height,
        scenery=around,
        rng=rng,
        composition=composition,
    )
    placements = tuple(
        replace(
            p,
            mirrored=turned[p.item]
            != (k > 0 and parts[p.item].count > 1 and rng.random() < 0.5 and shapes[p.item].mirrors),
        )
        for k, p in enumerate(placements)
    )
    if around.ground is None and all(isinstance(unit, int) for unit in composition.units):
        placements = tuple(_posed(p, k, placements, shapes, variety) for k, p in enumerate(placements))
    return Plan(
        parts=tuple(parts),
        placements=placements,
        background=background,
        width=width,
        height=height,
        seed=rng.getrandbits(32),
    )


def _turned(variety: Variety, i: int) -> bool:
    return (variety.share(Choice.SIDE) + 0.37 * i) % 1 < 0.5


def _posed(
    p: Placement, k: int, placements: Sequence[Placement], shapes: Sequence[Shape], variety: Variety
) -> Placement:
    """Let a thing that floats lean a little, and stand alone at another size, as the seed wants it."""
    if shapes[p.item].tilts:
        angle = _TILTS[int((variety.share(Choice.POSE) + 0.3 * k) % 1 * len(_TILTS))]
        scale = _TILTED_SCALE if angle else 1.0
        p = replace(p, angle=angle, width=p.width * scale, height=p.height * scale)
    if len(placements) == 1 and shapes[p.item].size == "normal":
        scale = _SMALLEST + (1 - _SMALLEST) * variety.share(Choice.TITLE)
        p = replace(p, width=p.width * scale, height=p.height * scale)
    return p


def _shape(part: Part, references: References) -> Shape:
    reference = part.reference
    return measure(
        references.picture(reference, edge=_MEASURED_EDGE),
        title=reference.title,
        group=reference.group,
        seat=reference.seat,
        size=part.size,
    )


def measure(
    picture: Pixels, *, title: str, group: int | None, seat: float | None = None, size: Size = "normal"
) -> Shape:
    """What a layout must know of a picture.

    Args:
        picture: (E, E, 4) RGBA.
        title: its title, which tells whether it belongs in the sky.
        group: its emojibase group.
        seat: height of the surface things stand on, as a share of E, where known.
        size: as it was asked for.
    """
    known = vocabulary()
    left, top, right, bottom = box = _box(picture[..., 3])
    words = set(title.replace("-", " ").split())
    return Shape(
        aspect=(right - left) / (bottom - top),
        seat=known.seats.get(title) or _seat(picture[..., 3], seat, box),
        crest=_crest(picture[..., 3], box),
        eyes=known.eyes.get(title, _eyes(group)),
        glasses=title.rpartition(" ")[2] in known.worn_on_eyes,
        soars=bool(words & known.sky),
        mirrors=group in _MIRRORED_GROUPS and not words & _LETTERED,
        tilts=group in _TILTED_GROUPS and seat is None,
        size=size,
    )


def _eyes(group: int | None) -> tuple[float, float] | None:
    """Where glasses sit on a thing of a group; None on an animal seen from the side."""
    if group == _ANIMALS:
        return None
    return _PERSON_EYES if group == _PEOPLE else _THING_EYES


def _box(alpha: npt.NDArray[np.uint8]) -> tuple[int, int, int, int]:
    """The trimmed box (left, top, right, bottom) of a cut-out; the whole square if it is empty."""
    box = Image.fromarray(np.where(alpha > _SOLID, np.uint8(255), np.uint8(0))).getbbox()
    return box or (0, 0, alpha.shape[1], alpha.shape[0])


def trim(picture: Pixels) -> Pixels:
    """Cut the empty border off a picture (E, E, 4)."""
    left, top, right, bottom = _box(picture[..., 3])
    return picture[top:bottom, left:right]


def _seat(alpha: npt.NDArray[np.uint8], known: float | None, box: tuple[int, int, int, int]) -> float:
    """Where something standing on the cut-out touches it, as a share of the trimmed height."""
    left, top, right, bottom = box
    if known is not None:
        return float(np.clip((known * alpha.shape[0] - top) / (bottom - top), 0, 0.9))
    middle = alpha[top:bottom, left + (right - left) // 4 : right - (right - left) // 4] > _SOLID
    wide = np.flatnonzero(middle.mean(1) >= 0.5) if middle.size else np.zeros(0)  # half of the middle bears
    return float(min(0.5, wide[0] / (bottom - top))) if wide.size else 0.1


def _crest(alpha: npt.NDArray[np.uint8], box: tuple[int, int, int, int]) -> float:
    """Where the highest part of the cut-out is, as a share of the trimmed width."""
    left, top, right, bottom = box
    rows = max(1, round((bottom - top) * _CREST))
    columns = np.flatnonzero((alpha[top : top + rows, left:right] > _SOLID).any(0))
    return float((columns.mean() + 0.5) / (right - left)) if columns.size else 0.5


def draw(planned: Plan, *, references: References, scale: int = 1) -> Draft:
    """Draw a plan at `scale` times its native size."""
    canvas = paint(
        planned.background,
        width=planned.width * scale,
        height=planned.height * scale,
        rng=random.Random(planned.seed),
    )
    cutouts = [_cutout(i, part, planned, scale, references) for i, part in enumerate(planned.parts)]
    pixels, owner = composite(canvas, cutouts, planned.placements, scale=scale, outlined=True)
    counted = np.array([(owner == i).sum() for i in range(len(planned.parts))], np.float64)
    total = counted.sum()
    shares = counted / total if total else counted
    return Draft(pixels=pixels, shares=tuple(float(share) for share in shares))


def _cutout(index: int, part: Part, planned: Plan, scale: int, references: References) -> Pixels:
    """A part's trimmed and recolored picture, drawn large enough for its largest place."""
    largest = max(
        (max(p.width, p.height) * scale for p in planned.placements if p.item == index),
        default=_MEASURED_EDGE,
    )
    edge = _MEASURED_EDGE if part.reference.vector else _BITMAP_EDGE
    while edge < largest and edge < _LARGEST_EDGE:
        edge *= 2
    picture = trim(references.picture(part.reference, edge=edge))
    return recolor(picture, part.color) if part.color else picture


def composite(
    canvas: Pixels,
    cutouts: Sequence[Pixels],
    placements: Sequence[Placement],
    *,
    scale: int = 1,
    outlined: bool = False,
) -> tuple[Pixels, npt.NDArray[np.int16]]:
    """Lay cut-outs on a canvas.

    Args:
        canvas: (H, W, 3), `scale` times the native size.
        cutouts: trimmed RGBA pictures of any size; `Placement.item` is an index in it.
        placements: back to front, in native px.
        scale: canvas px per native px.
        outlined: put a thin line around what cannot be told from what is below it.

    Returns:
        The picture (H, W, 3), and for each pixel the item that covers it or -1 (H, W).
    """
    out = Image.fromarray(canvas).convert("RGBA")
    owner = np.full(canvas.shape[:2], -1, np.int16)
    for placement in placements:
        over = layer(cutouts[placement.item], placement, out.size, scale)
        line = outline(over, out, scale) if outlined else None
        if placement.shadow:
            out.alpha_composite(shadow(placement, out.size, scale))
        if line is not None:
            out.alpha_composite(line)
        out.alpha_composite(over)
        owner[covered(over)] = placement.item
    return np.asarray(out)[..., :3].copy(), owner
