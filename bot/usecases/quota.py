"""How many pictures a person may still ask for today."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from generation.queue import JobQueue

DAY_MS = 24 * 3600 * 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class QuotaSpent:
    """The day's pictures are used up."""

    limit: int
    left: int
    refill_ms: int  # when the next picture becomes free, Unix milliseconds


class Quota:
    """A sliding day: pictures of jobs that failed or were cancelled cost nothing."""

    def __init__(
        self,
        queue: JobQueue,
        *,
        images_per_day: int,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._queue, self._limit, self._now_ms = queue, images_per_day, now_ms

    async def state(self, subject: str) -> QuotaSpent:
        """What is left, and when more comes."""
        usage = await self._queue.usage(subject, since_ms=self._now_ms() - DAY_MS)
        refill = usage[0][0] + DAY_MS if usage else self._now_ms()
        used = sum(images for _, images in usage)
        return QuotaSpent(limit=self._limit, left=max(0, self._limit - used), refill_ms=refill)

    async def spent(self, subject: str, *, images: int) -> QuotaSpent | None:
        """The state if `images` more are too many, else None."""
        state = await self.state(subject)
        return state if images > state.left else None
