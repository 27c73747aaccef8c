"""How often one member may ask who made a picture.

Looking people up costs about a second of processor time and tells names: neither is for browsing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from attribution.lookup_times import LookupTimes
from attribution.vault import Vault
from bot.conversation import Origin
from bot.usecases.request import subject_of


@dataclass(frozen=True, kw_only=True, slots=True)
class LookupsSpent:
    """The hour's look-ups are used up."""

    limit: int
    again_ms: int  # when the next one becomes free, Unix milliseconds


class LookupLimit:
    """A sliding hour for each member of a workspace; whoever has the operator's shell is not limited."""

    def __init__(
        self,
        times: LookupTimes,
        *,
        vault: Vault,
        per_hour: int,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._times, self._vault = times, vault
        self._per_hour, self._now_ms = per_hour, now_ms

    async def take(self, origin: Origin) -> LookupsSpent | None:
        """Count one look-up; the reason where it is one too many, and then it is not counted."""
        if origin.platform == "terminal":
            return None
        again_ms = await self._times.take(
            await subject_of(self._vault, origin), places=self._per_hour, now_ms=self._now_ms()
        )
        return None if again_ms is None else LookupsSpent(limit=self._per_hour, again_ms=again_ms)
