"""How many pictures may still be asked for today: by a person, in a channel, in a workspace."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from bot.conversation import Origin
from bot.plans import Plan, Plans, channel_key
from generation.queue import JobQueue

DAY_MS = 24 * 3600 * 1000


class Whose(StrEnum):
    """Whose pictures a quota counts."""

    PERSON = "person"
    CHANNEL = "channel"
    WORKSPACE = "workspace"


@dataclass(frozen=True, kw_only=True, slots=True)
class QuotaSpent:
    """The day's pictures are used up."""

    limit: int
    left: int
    refill_ms: int  # when the next picture becomes free, Unix milliseconds
    whose: Whose = Whose.PERSON


class Quota:
    """Sliding days: pictures of jobs that failed or were cancelled cost nothing, nor do approved ones."""

    def __init__(
        self,
        queue: JobQueue,
        *,
        plans: Plans,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._queue, self._plans, self._now_ms = queue, plans, now_ms

    def plan(self, origin: Origin) -> Plan:
        """What the person may ask for here."""
        return self._plans.of(origin)

    def weight(self, origin: Origin) -> float:
        """The workspace's share of the machine."""
        return self._plans.workspace(origin).weight

    async def state(self, subject: str, origin: Origin) -> QuotaSpent:
        """What is left of the tightest quota, and when more comes."""
        person = await self._left(Whose.PERSON, self._plans.of(origin).images_per_day, user_id=subject)
        states = [person]
        if (limit := self._plans.channel(origin).images_per_day) is not None:
            states.append(await self._left(Whose.CHANNEL, limit, channel_id=channel_key(origin)))
        if (limit := self._plans.workspace(origin).images_per_day) is not None:
            states.append(await self._left(Whose.WORKSPACE, limit, workspace_id=origin.workspace_id))
        return min(states, key=lambda state: state.left)

    async def spent(self, subject: str, origin: Origin, *, images: int) -> QuotaSpent | None:
        """The state if `images` more are too many, else None."""
        state = await self.state(subject, origin)
        return state if images > state.left else None

    async def _left(
        self,
        whose: Whose,
        limit: int,
        *,
        user_id: str | None = None,
        channel_id: str | None = None,
        workspace_id: str | None = None,
    ) -> QuotaSpent:
        usage = await self._queue.usage(
            user_id=user_id,
            channel_id=channel_id,
            workspace_id=workspace_id,
            since_ms=self._now_ms() - DAY_MS,
        )
        refill = usage[0][0] + DAY_MS if usage else self._now_ms() + DAY_MS
        used = sum(images for _, images in usage)
        return QuotaSpent(limit=limit, left=max(0, limit - used), refill_ms=refill, whose=whose)
