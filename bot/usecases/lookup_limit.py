"""How often one member may ask who made a picture.

Looking people up costs about a second of processor time and tells names: neither is for browsing. The times
are kept in this process's memory alone: a further front end counts for itself, and a restart forgets them.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass

from bot.conversation import Origin

HOUR_MS = 3_600_000
_MEMBERS = 10_000  # remembered at most; who asked longest ago is forgotten first


@dataclass(frozen=True, kw_only=True, slots=True)
class LookupsSpent:
    """The hour's look-ups are used up."""

    limit: int
    again_ms: int  # when the next one becomes free, Unix milliseconds


class LookupLimit:
    """A sliding hour for each member of a workspace; whoever has the operator's shell is not limited."""

    def __init__(
        self, per_hour: int, *, now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000
    ) -> None:
        self._per_hour, self._now_ms = per_hour, now_ms
        self._asked: OrderedDict[tuple[str, str, str], deque[int]] = OrderedDict()

    def take(self, origin: Origin) -> LookupsSpent | None:
        """Count one look-up; the reason where it is one too many, and then it is not counted."""
        if origin.platform == "terminal":
            return None
        now = self._now_ms()
        member = (origin.platform, origin.workspace_id, origin.user_id)
        asked = self._asked.setdefault(member, deque())
        while asked and asked[0] <= now - HOUR_MS:
            asked.popleft()
        if len(asked) >= self._per_hour:
            return LookupsSpent(limit=self._per_hour, again_ms=asked[0] + HOUR_MS)
        asked.append(now)
        self._asked.move_to_end(member)
        if len(self._asked) > _MEMBERS:
            self._asked.popitem(last=False)
        return None
