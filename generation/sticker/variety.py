"""What the seed decides: so spread that neighboring seeds, as the images of one request have them, differ."""

from __future__ import annotations

import random
from collections.abc import Sequence
from enum import IntEnum

_TURN = 1 << 64
_STEPS = (
    0x9E3779B97F4A7C15,  # odd shares of 2**64 that are badly approximable: 0.618,
    0xC13FA9A902A6328F,  # 0.755 and 0.570 (the R2 sequence, Roberts 2018),
    0x91E10DA5C79E7B1D,
    0x6A09E667F3BCC909,  # 0.414, the square root of two without its one
    0xB504F333F9DE6485,  # 0.707
)


class Choice(IntEnum):
    """What is chosen; each has a sequence of its own."""

    STYLE = 0
    GROUND = 1
    SIDE = 2
    TITLE = 3
    POSE = 4


class Variety:
    """The choices of one seed.

    A choice walks through [0, 1) by a fixed irrational step from seed to seed (a Weyl sequence), which keeps
    the shares of the alternatives and takes neighbors far apart. Whatever matters less comes from `rng`.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self.rng = random.Random(f"sticker {seed}")

    def share(self, choice: Choice) -> float:
        """A number in [0, 1)."""
        return (self._seed * _STEPS[choice] % _TURN) / _TURN

    def pick(self, choice: Choice, items: Sequence[str]) -> str:
        """One of `items`."""
        return items[int(self.share(choice) * len(items))]

    def weighted(self, choice: Choice, items: Sequence[tuple[str, float]]) -> str:
        """One of the names, each with its share."""
        left = self.share(choice) * sum(weight for _, weight in items)
        for name, weight in items:
            left -= weight
            if left < 0:
                return name
        return items[-1][0]
