"""Remembers a bounded number of recent things, the oldest forgotten first."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Recent(Generic[Value]):
    """A dictionary that keeps the last `size` keys that were set or read."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._kept: OrderedDict[str, Value] = OrderedDict()

    def get(self, key: str) -> Value | None:
        """The value of `key`, which becomes the newest; None where it is unknown."""
        if key not in self._kept:
            return None
        self._kept.move_to_end(key)
        return self._kept[key]

    def put(self, key: str, value: Value) -> None:
        """Remember `value` under `key`."""
        self._kept[key] = value
        self._kept.move_to_end(key)
        while len(self._kept) > self._size:
            self._kept.popitem(last=False)

    def first_time(self, key: str, value: Value) -> bool:
        """Remember `key`; False where it was known already, which makes it the newest."""
        known = self.get(key) is not None
        self.put(key, value)
        return not known
