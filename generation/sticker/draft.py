"""The draft of a picture: credited cut-outs, recolored and laid out on a background, all in code.

Diffusion starts from it. It is planned once, in numbers, and can then be drawn at any size.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from generation.sticker.backgrounds import SCENES, Scenery, paint
from generation.sticker.colors import Pixels, recolor
from generation.sticker.geometry import Placement, Shape
from generation.sticker.layout import arrange
from generation.sticker.prompt import Layout, Size
from generation.sticker.references import Reference, References
from generation.sticker.vocabulary import UPWARD

_MEASURED_EDGE = 128
_BITMAP_EDGE = 256  # bitmaps ship at this size
_LARGEST_EDGE = 512
_HALF = 127  # alpha: more than half covered
_SOLID = 24  # alpha from which a pixel counts as part of a cut-out
_MIRRORED_GROUPS = frozenset({3, 4})  # animals and food look right either way round
_MIRRORED_SHARE = 0.4


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """One subject as it will be drawn."""

    reference: Reference
    color: str | None = None  # to recolor it to
    count: int = 1
    size: Size = "normal"


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
    relation: Layout,
    *,
    background: str,
    width: int,
    height: int,
    references: References,
    rng: random.Random,
) -> Plan:
    """Lay out `parts` before `background` on a native canvas of `width` x `height` px."""
    placements: tuple[Placement, ...] = ()
    if parts:
        shapes = [(_shape(part, references), part.count) for part in parts]
        placements = arrange(
            shapes,
            relation,
            width=width,
            height=height,
            scenery=SCENES.get(background, Scenery()),
            rng=rng,
        )
        placements = tuple(
            replace(p, mirrored=shapes[p.item][0].mirrors and rng.random() < _MIRRORED_SHARE)
            for p in placements
        )
    return Plan(
        parts=tuple(parts),
        placements=placements,
        background=background,
        width=width,
        height=height,
        seed=rng.getrandbits(32),
    )


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
    left, top, right, bottom = box = _box(picture[..., 3])
    return Shape(
        aspect=(right - left) / (bottom - top),
        seat=_seat(picture[..., 3], seat, box),
        soars=bool(set(title.replace("-", " ").split()) & UPWARD),
        mirrors=group in _MIRRORED_GROUPS,
        size=size,
    )


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


def draw(planned: Plan, *, references: References, scale: int = 1) -> Draft:
    """Draw a plan at `scale` times its native size."""
    canvas = paint(
        planned.background,
        width=planned.width * scale,
        height=planned.height * scale,
        rng=random.Random(planned.seed),
    )
    cutouts = [_cutout(i, part, planned, scale, references) for i, part in enumerate(planned.parts)]
    pixels, owner = composite(canvas, cutouts, planned.placements, scale=scale)
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
    canvas: Pixels, cutouts: Sequence[Pixels], placements: Sequence[Placement], *, scale: int = 1
) -> tuple[Pixels, npt.NDArray[np.int16]]:
    """Lay cut-outs on a canvas.

    Args:
        canvas: (H, W, 3), `scale` times the native size.
        cutouts: trimmed RGBA pictures of any size; `Placement.item` is an index in it.
        placements: back to front, in native px.
        scale: canvas px per native px.

    Returns:
        The picture (H, W, 3), and for each pixel the item that covers it or -1 (H, W).
    """
    out = Image.fromarray(canvas).convert("RGBA")
    owner = np.full(canvas.shape[:2], -1, np.int16)
    for placement in placements:
        layer = _layer(cutouts[placement.item], placement, out.size, scale)
        if placement.shadow:
            out.alpha_composite(_shadow(placement, out.size, scale))
        out.alpha_composite(layer)
        owner[np.asarray(layer)[..., 3] > _HALF] = placement.item
    return np.asarray(out)[..., :3].copy(), owner


def _layer(cutout: Pixels, placement: Placement, size: tuple[int, int], scale: int) -> Image.Image:
    wide, high = max(2, round(placement.width * scale)), max(2, round(placement.height * scale))
    cut = Image.fromarray(cutout)
    if placement.mirrored:
        cut = cut.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    layer = Image.new("RGBA", size)
    corner = (round(placement.x * scale - wide / 2), round(placement.y * scale - high / 2))
    layer.paste(_resized(cut, wide, high), corner)
    if placement.waterline is not None:
        layer.putalpha(_above_water(layer.getchannel("A"), placement.waterline * scale, scale))
    return layer


def _resized(cut: Image.Image, width: int, height: int) -> Image.Image:
    """Resize with premultiplied alpha, so that no dark or bright fringe appears."""
    values = np.asarray(cut).astype(np.float32)
    values[..., :3] *= values[..., 3:] / 255
    channels = [
        np.asarray(Image.fromarray(values[..., k]).resize((width, height), Image.Resampling.LANCZOS))
        for k in range(4)
    ]
    alpha = np.clip(channels[3], 0, 255)
    safe = np.maximum(alpha, 1)
    rgb = [np.clip(channel / safe * 255, 0, 255) for channel in channels[:3]]
    return Image.fromarray(np.rint(np.stack([*rgb, alpha], -1)).astype(np.uint8))


def _above_water(alpha: Image.Image, line: float, scale: int) -> Image.Image:
    """Fade what lies below a wavy water line."""
    height, width = alpha.height, alpha.width
    y = np.arange(height, dtype=np.float32)[:, None]
    x = np.arange(width, dtype=np.float32)[None]
    wave = line + 1.1 * scale * np.sin(x / (5.5 * scale))
    keep = np.clip((wave - y) / scale + 0.5, 0.12, 1)
    return ImageChops.multiply(alpha, Image.fromarray(np.rint(keep * 255).astype(np.uint8)))


def _shadow(placement: Placement, size: tuple[int, int], scale: int) -> Image.Image:
    """A soft dark ellipse where the picture touches the ground."""
    half = placement.width * 0.4 * scale
    flat = max(1.2, placement.width * 0.065) * scale
    x, y = placement.x * scale, placement.bottom * scale - flat * 0.45
    mask = Image.new("L", size)
    ImageDraw.Draw(mask).ellipse((x - half, y - flat, x + half, y + flat), fill=round(105 * placement.shadow))
    mask = mask.filter(ImageFilter.GaussianBlur(flat * 0.5))
    shadow = Image.new("RGBA", size, (20, 24, 44, 0))
    shadow.putalpha(mask)
    return shadow
