"""Double clicks: the platform gives each of the two an id of its own, and both mean one thing."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace

from bot.conversation import Origin

_DOUBLE_CLICK_S = 3.0
_CLICKS = 2000


class Clicks:
    """Makes one event of a double click."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._last: OrderedDict[tuple[str, str, str, str], tuple[float, str]] = OrderedDict()

    def once(self, origin: Origin, what: str, target: str) -> Origin:
        """The origin, with the id of the first click where this is the second within three seconds."""
        key = (origin.workspace_id, origin.user_id, what, target)
        now = self._monotonic()
        at, event_id = self._last.get(key, (float("-inf"), ""))
        if now - at < _DOUBLE_CLICK_S:
            return replace(origin, event_id=event_id)
        self._last[key] = (now, origin.event_id)
        self._last.move_to_end(key)
        while len(self._last) > _CLICKS:
            self._last.popitem(last=False)
        return origin
