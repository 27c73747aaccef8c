"""Two pictures laid into one, as the start of a blend: what img2img then redraws.

Both stand on one ground whose color runs from the first picture's edge to the second's. The mean of two
pictures, or of their latents, would show each as a ghost of itself.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from generation.families.base import Pixels

Floats = npt.NDArray[np.float32]

_PART = 0.56  # of the canvas's short edge that each picture takes
_FEATHER = 0.16  # of a picture's edge that fades into the ground
_RIM = 0.03  # of a picture's edge whose color is that of its ground


def collage(first: Pixels, second: Pixels, *, width: int, height: int) -> Pixels:
    """Lay two pictures side by side, or one above the other on a tall canvas, with soft edges.

    Args:
        first: (H, W, 3), on the left or above.
        second: (H, W, 3), on the right or below.
        width: px of the canvas.
        height: px of the canvas.

    Returns:
        (height, width, 3).
    """
    across = width >= height
    canvas = _ground(_edge_color(first), _edge_color(second), width=width, height=height, across=across)
    edge = max(8, round(_PART * min(width, height)))
    room = (width - edge, height - edge)
    # Side by side where there is room; on a square the two overlap a little, the first one higher.
    places = ((0, room[1] // 2 - room[1] // 6), (room[0], room[1] // 2 + room[1] // 6))
    if not across:
        places = ((room[0] // 2 - room[0] // 6, 0), (room[0] // 2 + room[0] // 6, room[1]))
    for picture, (left, top) in zip((first, second), places, strict=True):
        part = _square(picture, edge).astype(np.float32)
        mask = _soft(edge)[..., None]
        under = canvas[top : top + edge, left : left + edge]
        canvas[top : top + edge, left : left + edge] = under * (1 - mask) + part * mask
    return np.rint(np.clip(canvas, 0, 255)).astype(np.uint8)


def _edge_color(picture: Pixels) -> Floats:
    """The median color of a picture's rim."""
    rim = max(1, round(_RIM * min(picture.shape[:2])))
    sides = (picture[:rim], picture[-rim:], picture[:, :rim], picture[:, -rim:])
    middle = np.median(np.concatenate([side.reshape(-1, 3) for side in sides]), axis=0)
    return np.asarray(middle, np.float32)


def _ground(
    first: Floats,
    second: Floats,
    *,
    width: int,
    height: int,
    across: bool,
) -> Floats:
    along = _smooth(np.linspace(0, 1, width if across else height, dtype=np.float32))
    line = first + along[:, None] * (second - first)
    ground = line[None] if across else line[:, None]
    return np.broadcast_to(ground, (height, width, 3)).astype(np.float32).copy()


def _square(picture: Pixels, edge: int) -> Pixels:
    """The middle square of a picture, scaled."""
    image = Image.fromarray(picture)
    side = min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    box = (left, top, left + side, top + side)
    return np.asarray(image.resize((edge, edge), Image.Resampling.LANCZOS, box=box), np.uint8)


def _soft(edge: int) -> Floats:
    """(edge, edge), 1 in the middle and 0 at the rim."""
    at = (np.arange(edge, dtype=np.float32) + 0.5) / edge
    side = _smooth(np.clip(np.minimum(at, 1 - at) / _FEATHER, 0, 1))
    return np.minimum(side[:, None], side[None]).astype(np.float32)


def _smooth(x: Floats) -> Floats:
    return (x * x * (3 - 2 * x)).astype(np.float32)
