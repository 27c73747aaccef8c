"""Cut-outs of the asked subjects, waiting for the embedding."""

from __future__ import annotations

import numpy as np

from generation.sticker.colors import Pixels
from generation.sticker.draft import Plan
from generation.sticker.geometry import Placement
from generation.sticker.picture_encoder import EDGE
from generation.sticker.quality.drawing import Drawn
from generation.sticker.quality.prompts import Asked
from generation.sticker.quality.subjects import cut_out


class Looks:
    """Cut-outs, each with what it must show and the pictures it rests on."""

    def __init__(self) -> None:
        self.cuts: list[Pixels] = []
        self.asked: list[tuple[Asked, tuple[str, ...], frozenset[str]]] = []

    def add(self, one: Asked, drawn: Drawn, pixels: Pixels) -> None:
        """Cut out each asked subject where the plan put it; one that was not drawn is empty."""
        references = frozenset(part.reference.id for part in drawn.plan.parts)
        for item, titles in enumerate(one.subjects):
            placement = main_placement(drawn.plan, item)
            empty = np.full((EDGE, EDGE, 3), 255, np.uint8)
            self.cuts.append(cut_out(pixels, drawn.plan, placement) if placement else empty)
            self.asked.append((one, titles, references))


def main_placement(plan: Plan, item: int) -> Placement | None:
    """The largest place of a subject."""
    places = [placement for placement in plan.placements if placement.item == item]
    return max(places, key=lambda placement: placement.width * placement.height, default=None)
