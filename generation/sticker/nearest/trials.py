"""Pictures whose answer is known: changed copies of training pictures, and pictures that copy none.

All randomness comes from a seed; equal seeds give equal pictures.
"""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from generation.job import Credit
from generation.sticker.backgrounds import MORE_SCENES, SCENES, paint
from generation.sticker.colors import COLORS, GROUNDS, Pixels, recolor
from generation.sticker.nearest.index import TrainingIndex, TrainingPicture, subject

EDGE = 512  # px of a finished picture
_NATIVE = 128
_SCENES = (*SCENES, *MORE_SCENES)
_PLAIN = tuple(name for name in GROUNDS if name != "white")


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """One picture to be looked up."""

    kind: str
    pixels: Pixels  # (H, W, 3)
    references: tuple[Credit, ...] = ()
    copied: int | None = None  # row of the index; None: it copies nothing
    ignored: Collection[str] = ()  # authors whose pictures do not count


def credit_of(picture: TrainingPicture) -> Credit:
    """The credit that a result would name the picture with."""
    return Credit(
        title=picture.title,
        author=picture.author,
        license=picture.package.license,
        license_url=picture.package.license_url,
        source=picture.source,
        share=1.0,
    )


def lay(cutout: Pixels, ground: Pixels, *, share: float = 1.0, rng: random.Random | None = None) -> Pixels:
    """A cut-out (E, E, 4) on a ground (H, W, 3).

    Args:
        cutout: RGBA.
        ground: what it is laid on.
        share: edge of the cut-out's square by the ground's short edge.
        rng: chooses the place; None: the middle.
    """
    high, wide = ground.shape[:2]
    edge = round(min(high, wide) * share)
    over = Image.fromarray(cutout).resize((edge, edge), Image.Resampling.LANCZOS)
    x, y = (wide - edge) // 2, (high - edge) // 2
    if rng is not None:
        x, y = rng.randint(0, wide - edge), rng.randint(0, high - edge)
    image = Image.fromarray(ground)
    image.paste(over, (x, y), over)
    return np.asarray(image)


def _ground(names: Sequence[str], rng: random.Random) -> Pixels:
    return paint(rng.choice(names), width=EDGE, height=EDGE, rng=rng)


def _white() -> Pixels:
    return np.full((EDGE, EDGE, 3), 255, np.uint8)


def _jpeg(pixels: Pixels, quality: int) -> Pixels:
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "JPEG", quality=quality)
    with Image.open(data) as image:
        return np.asarray(image)


CHANGES: Mapping[str, Callable[[Pixels, random.Random], Pixels]] = {
    "verbatim": lambda cutout, _: lay(cutout, _white()),
    "on a color": lambda cutout, rng: lay(cutout, _ground(_PLAIN, rng)),
    "recolored": lambda cutout, rng: lay(recolor(cutout, rng.choice(list(COLORS))), _white()),
    "half size": lambda cutout, _: lay(cutout, _white(), share=0.5),
    "half size anywhere on a color": lambda c, rng: lay(c, _ground(_PLAIN, rng), share=0.5, rng=rng),
    "mirrored": lambda cutout, _: lay(cutout[:, ::-1], _white()),
    "JPEG 40": lambda cutout, _: _jpeg(lay(cutout, _white()), 40),
    "in a scene": lambda cutout, rng: lay(cutout, _ground(_SCENES, rng), share=0.8),
    "half size anywhere in a scene": lambda c, rng: lay(c, _ground(_SCENES, rng), share=0.5, rng=rng),
}
"""What is done to a training picture (128, 128, 4) to hide that it is a copy."""

LOOK_ALIKE = "verbatim, said to rest on a look-alike"


def copies(
    cutouts: Sequence[Pixels], index: TrainingIndex, rows: Sequence[int], *, seed: int
) -> Iterator[Trial]:
    """Each row's picture, changed in every way, said to rest on another one; at last on the most similar."""
    pictures = index.pictures
    for row in rows:
        rng = random.Random(f"copies {seed} {row}")
        strangers = [
            i for i, other in enumerate(pictures) if subject(other.title) != subject(pictures[row].title)
        ]
        other = rng.choice(strangers)
        alike = strangers[int((index.vectors[strangers] @ index.vectors[row]).argmax())]
        changed = [(kind, change(cutouts[row], rng), other) for kind, change in CHANGES.items()]
        for kind, pixels, reference in (*changed, (LOOK_ALIKE, lay(cutouts[row], _white()), alike)):
            yield Trial(kind=kind, pixels=pixels, references=(credit_of(pictures[reference]),), copied=row)


def by_other_hands(
    cutouts: Sequence[Pixels], pictures: Sequence[TrainingPicture], rows: Sequence[int], *, seed: int
) -> Iterator[Trial]:
    """Each row's picture as if its author had given nothing to the training set."""
    for row in rows:
        rng = random.Random(f"others {seed} {row}")
        ground = _white() if rng.random() < 0.5 else _ground(_PLAIN, rng)
        yield Trial(
            kind="drawn by others",
            pixels=lay(cutouts[row], ground, share=rng.uniform(0.6, 1)),
            references=(credit_of(pictures[row]),),
            ignored=(pictures[row].author,),
        )


def doodles(count: int, *, seed: int) -> Iterator[Trial]:
    """Drawings that nobody made before: faces, houses, flowers, fish and cars of random shapes and colors."""
    for number in range(count):
        rng = random.Random(f"doodles {seed} {number}")
        big = Image.fromarray(
            paint(rng.choice(("white", *_PLAIN, *_SCENES)), width=1024, height=1024, rng=rng)
        )
        _DOODLES[number % len(_DOODLES)](ImageDraw.Draw(big), rng)
        image = big.resize((EDGE, EDGE), Image.Resampling.LANCZOS)
        yield Trial(kind="own drawings", pixels=np.asarray(image, np.uint8))


def _hue(rng: random.Random) -> tuple[int, int, int]:
    red, green, blue = rng.choice(list(COLORS.values()))
    return red, green, blue


def _face(pen: ImageDraw.ImageDraw, rng: random.Random) -> None:
    r, x, y, line = rng.randint(260, 440), 512, 512, rng.randint(0, 16)
    pen.ellipse((x - r, y - r, x + r, y + r), fill=_hue(rng), outline=(40, 30, 30), width=line)
    apart, up, eye = rng.uniform(0.25, 0.5) * r, rng.uniform(0.1, 0.4) * r, rng.uniform(0.06, 0.16) * r
    for side in (-1, 1):
        cx, cy, high = x + side * apart, y - up, eye * rng.uniform(0.8, 1.6)
        pen.ellipse((cx - eye, cy - high, cx + eye, cy + high), fill=(40, 30, 30))
    wide, high = rng.uniform(0.3, 0.6) * r, rng.uniform(0.1, 0.5) * r
    mouth = (x - wide, y + 0.3 * r - high, x + wide, y + 0.3 * r + high)
    start = rng.choice((0, 180))
    if rng.random() < 0.5:
        pen.chord(mouth, start, start + 180, fill=(120, 30, 40))
    else:
        pen.arc(mouth, start, start + 180, fill=(60, 30, 30), width=rng.randint(14, 34))


def _house(pen: ImageDraw.ImageDraw, rng: random.Random) -> None:
    wide, high, roof = rng.randint(220, 400), rng.randint(160, 320), rng.randint(120, 280)
    base = 860
    pen.rectangle((512 - wide, base - high * 1.5, 512 + wide, base), fill=_hue(rng))
    eaves = wide + rng.randint(10, 80)
    top = base - high * 1.5
    pen.polygon(
        [(512 - eaves, top), (512 + eaves, top), (512 + rng.randint(-80, 80), top - roof)], fill=_hue(rng)
    )
    door = 512 + rng.randint(-wide + 100, wide - 100)
    pen.rectangle((door - 60, base - high * 0.8, door + 60, base), fill=_hue(rng))
    for column in range(rng.randint(1, 3)):
        left = 512 - wide + 40 + column * 150
        pen.rectangle(
            (left, top + 40, left + 90, top + 130), fill=(225, 240, 250), outline=_hue(rng), width=10
        )


def _flower(pen: ImageDraw.ImageDraw, rng: random.Random) -> None:
    pen.line((512, 430, 512 + rng.randint(-60, 60), 980), fill=(60, 140, 70), width=rng.randint(20, 44))
    petals, reach, r, color = rng.randint(4, 9), rng.randint(130, 220), rng.randint(70, 130), _hue(rng)
    for k in range(petals):
        turn = 2 * np.pi * k / petals + 0.2
        x, y = 512 + reach * float(np.cos(turn)), 400 + reach * float(np.sin(turn))
        pen.ellipse((x - r, y - r, x + r, y + r), fill=color, outline=(60, 50, 60), width=6)
    heart = rng.randint(70, 130)
    pen.ellipse((512 - heart, 400 - heart, 512 + heart, 400 + heart), fill=_hue(rng))


def _fish(pen: ImageDraw.ImageDraw, rng: random.Random) -> None:
    wide, high, color = rng.randint(230, 340), rng.randint(120, 250), _hue(rng)
    tail, spread = rng.randint(100, 190), rng.randint(90, 230)
    pen.polygon(
        [(512 + wide - 60, 512), (512 + wide + tail, 512 - spread), (512 + wide + tail, 512 + spread)],
        fill=_hue(rng),
    )
    pen.ellipse((512 - wide, 512 - high, 512 + wide, 512 + high), fill=color, outline=(40, 50, 70), width=8)
    for k in range(rng.randint(0, 4)):
        x = 512 - 60 + 80 * k
        pen.line((x, 512 - high * 0.7, x, 512 + high * 0.7), fill=_hue(rng), width=24)
    pen.ellipse(
        (512 - wide + 60, 440, 512 - wide + 130, 510), fill=(255, 255, 255), outline=(0, 0, 0), width=14
    )


def _car(pen: ImageDraw.ImageDraw, rng: random.Random) -> None:
    wide, high, color = rng.randint(320, 450), rng.randint(110, 200), _hue(rng)
    front, back = rng.randint(80, 200), rng.randint(60, 200)
    pen.polygon(
        [
            (512 - wide + front, 600 - high),
            (512 - wide + front + 120, 430 - high // 2),
            (512 + wide - back - 80, 430 - high // 2),
            (512 + wide - back, 600 - high),
        ],
        fill=_hue(rng),
        outline=color,
        width=20,
    )
    pen.rounded_rectangle((512 - wide, 600 - high, 512 + wide, 700), radius=rng.randint(20, 80), fill=color)
    r = rng.randint(70, 120)
    for x in (512 - wide * 0.55, 512 + wide * 0.55):
        pen.ellipse((x - r, 700 - r, x + r, 700 + r), fill=(40, 40, 46))
        pen.ellipse((x - r * 0.5, 700 - r * 0.5, x + r * 0.5, 700 + r * 0.5), fill=(190, 196, 204))


_DOODLES = (_face, _house, _flower, _fish, _car)
