"""The sheet for the eye: every prompt of the fixed list with both seeds side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from generation.sticker.colors import Pixels

EDGE = 256  # px of one picture: the size at which none may look broken
_LABEL = 26
_GAP = 10
_FONT = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class SheetEntry:
    """One prompt of the sheet."""

    number: int  # from 1
    prompt: str
    pictures: tuple[Pixels, ...]  # one for each seed, (EDGE, EDGE, 3)
    note: str | None  # what Verso says about it


def small(pixels: Pixels) -> Pixels:
    """A picture (H, W, 3) at the size of the sheet."""
    image = Image.fromarray(pixels).resize((EDGE, EDGE), Image.Resampling.LANCZOS)
    return np.asarray(image, np.uint8)


def draw_sheet(entries: Sequence[SheetEntry], *, columns: int) -> Image.Image:
    """All entries, `columns` in a row, each with its number and prompt below.

    The prompt is cut to the width of its pictures; letters that the font lacks are shown as "?".
    """
    font = ImageFont.load_default(_FONT)
    wide = max(len(entry.pictures) for entry in entries) * EDGE + _GAP
    high = EDGE + _LABEL
    image = Image.new("RGB", (wide * columns - _GAP, high * -(-len(entries) // columns)), "white")
    pen = ImageDraw.Draw(image)
    for i, entry in enumerate(entries):
        x, y = i % columns * wide, i // columns * high
        for k, picture in enumerate(entry.pictures):
            image.paste(Image.fromarray(picture), (x + k * EDGE, y))
        label = f"{entry.number}. {entry.prompt}".encode("latin-1", "replace").decode("latin-1")
        while pen.textlength(label, font=font) > wide - 2 * _GAP:
            label = label[:-1]
        pen.text((x + 4, y + EDGE + 3), label, fill="black", font=font)
    return image
