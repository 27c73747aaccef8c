"""Deficit round robin over users (Shreedhar and Varghese, 1995): who may enter the engine next. Pure.

Each user has a line of their own. In turn a user's deficit grows by a quantum, and whoever's first item costs
no more than the deficit goes in. Heavy users wait for their own items, not others for theirs.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

Item = TypeVar("Item")


class DeficitRoundRobin(Generic[Item]):
    """Lines of items; `quantum` is in the unit of their costs."""

    def __init__(self, *, quantum: float = 20.0) -> None:
        if quantum <= 0:
            raise ValueError("the quantum must be positive")
        self._quantum = quantum
        self._lines: OrderedDict[Hashable, deque[tuple[float, Item]]] = OrderedDict()
        self._deficits: dict[Hashable, float] = {}

    def __len__(self) -> int:
        return sum(len(line) for line in self._lines.values())

    def __iter__(self) -> Iterator[Item]:
        return (item for line in self._lines.values() for _, item in line)

    def put(self, user: Hashable, item: Item, *, cost: float) -> None:
        """Append to the user's line; `cost` is finite and positive."""
        self._lines.setdefault(user, deque()).append((cost, item))
        self._deficits.setdefault(user, 0.0)

    def pop(self) -> Item | None:
        """Take the next item, or None if all lines are empty."""
        if not self._lines:
            return None
        # Rounds in which nobody could enter are skipped at once: a huge cost must not spin here.
        rounds = min(
            (line[0][0] - self._deficits[user]) // self._quantum for user, line in self._lines.items()
        )
        if rounds > 0:
            for user in self._lines:
                self._deficits[user] += rounds * self._quantum
        while True:
            user, line = next(iter(self._lines.items()))
            cost, item = line[0]
            if self._deficits[user] >= cost:
                line.popleft()
                self._deficits[user] -= cost
                if not line:
                    self._forget(user)
                return item
            self._deficits[user] += self._quantum
            self._lines.move_to_end(user)

    def remove(self, item: Item) -> bool:
        """Take out an item that nobody wants any more; whether it was there."""
        for user, line in self._lines.items():
            for entry in line:
                if entry[1] is item:
                    line.remove(entry)
                    if not line:
                        self._forget(user)
                    return True
        return False

    def _forget(self, user: Hashable) -> None:
        del self._lines[user], self._deficits[user]  # rest earns no credit
