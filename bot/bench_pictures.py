"""Pictures for `verso bench lookup`: stickers of the credited set, and photographs from a folder."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from generation.sticker.references import Reference, References

Pixels = npt.NDArray[np.uint8]

EDGE = 512
_SEED = 20_261_124
_PHOTOS = frozenset({".jpg", ".jpeg", ".png", ".webp"})


def stickers(count: int) -> tuple[list[Pixels], frozenset[str]]:
    """Scenes of three references each, and the ids of the references in them."""
    chance = random.Random(_SEED)
    with References() as pack:
        chosen = chance.sample(pack.all, 3 * count)
        scenes = [_scene(pack, chosen[start : start + 3], chance) for start in range(0, len(chosen), 3)]
    return scenes, frozenset(reference.id for reference in chosen)


def strangers(count: int, *, without: frozenset[str]) -> Iterator[Pixels]:
    """Single references on white that are in none of the scenes; again on other grounds when they run out."""
    chance = random.Random(_SEED + 1)
    with References() as pack:
        others = [reference for reference in pack.all if reference.id not in without]
        for number in range(count):
            ground = (255, 255, 255) if number < len(others) else _color(chance)
            yield _on(pack.picture(others[number % len(others)], edge=EDGE // 2), ground)


def photographs(folder: Path, count: int) -> list[Pixels]:
    """The first photographs of a folder by name, cut square and shrunk to 512 px."""
    found: list[Pixels] = []
    for path in sorted(path for path in folder.rglob("*") if path.suffix.lower() in _PHOTOS):
        if len(found) == count:
            break
        with Image.open(path) as image:
            if min(image.size) < EDGE:
                continue
            edge = min(image.size)
            left, top = (image.width - edge) // 2, (image.height - edge) // 2
            square = image.convert("RGB").crop((left, top, left + edge, top + edge))
            found.append(np.asarray(square.resize((EDGE, EDGE), Image.Resampling.LANCZOS)))
    return found


def _scene(pack: References, chosen: list[Reference], chance: random.Random) -> Pixels:
    canvas = Image.new("RGB", (EDGE, EDGE), _color(chance))
    for place, reference in enumerate(chosen):
        edge = chance.randrange(180, 300)
        drawn = Image.fromarray(pack.picture(reference, edge=256))
        piece = drawn.resize((edge, edge), Image.Resampling.LANCZOS)
        left = chance.randrange(0, EDGE - edge) if place else (EDGE - edge) // 2
        canvas.paste(piece, (left, chance.randrange(0, EDGE - edge)), piece)
    return np.asarray(canvas)


def _on(rgba: Pixels, ground: tuple[int, int, int]) -> Pixels:
    canvas = Image.new("RGB", (EDGE, EDGE), ground)
    piece = Image.fromarray(rgba).resize((EDGE * 4 // 5, EDGE * 4 // 5), Image.Resampling.LANCZOS)
    canvas.paste(piece, (EDGE // 10, EDGE // 10), piece)
    return np.asarray(canvas)


def _color(chance: random.Random) -> tuple[int, int, int]:
    red, green, blue = (chance.randrange(90, 250) for _ in range(3))
    return red, green, blue
