"""What moderators are told without having asked: once a day the figures, and who runs into many blocks.

Nobody is pinged for a single block. A workspace without a moderators' channel has `verso review digest`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from attribution.errors import ErasedError, VaultError
from attribution.vault import Vault
from bot.conversation import Origin, Reply
from bot.errors import PlatformError
from bot.notices import Notices
from bot.people_replies import alert, digest
from bot.platforms.base import Platform
from bot.usecases.request import now_ms
from bot.usecases.review import NotModerator, sees
from moderation.decisions import ContentKind, Decisions
from moderation.moderator import Moderator
from moderation.reviews import Review, Reviews
from moderation.takedowns import Takedown, Takedowns
from moderation.types import Action, Category

log = logging.getLogger(__name__)

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
DAILY = "digest"


@dataclass(frozen=True, kw_only=True, slots=True)
class Day:
    """One workspace's figures since `since_ms`, and what waits now."""

    workspace_id: str
    since_ms: int
    counts: Mapping[tuple[ContentKind, Action, Category | None], int]
    reviews: tuple[Review, ...]  # open, oldest first
    takedowns: tuple[Takedown, ...]  # unfinished, the nearest deadline first


@dataclass(frozen=True, kw_only=True, slots=True)
class Alert:
    """One person with many blocks."""

    workspace_id: str
    name: str
    blocks: int
    hours: float


class Digest:
    """Collects the figures, and sends them to the channels that the operator named."""

    def __init__(
        self,
        *,
        moderator: Moderator,
        decisions: Decisions,
        reviews: Reviews,
        takedowns: Takedowns,
        vault: Vault,
        notices: Notices,
        platforms: Mapping[str, Platform],
        channels: Mapping[str, str],
    ) -> None:
        """`channels`: workspace id -> id of its moderators' channel."""
        self._moderator, self._decisions = moderator, decisions
        self._reviews, self._takedowns = reviews, takedowns
        self._vault, self._notices = vault, notices
        self._platforms, self._channels = platforms, channels

    async def day(self, origin: Origin, workspace_id: str = "") -> Day | NotModerator:
        """The last 24 hours of one's own workspace; whoever has the shell may name any."""
        if not origin.is_moderator:
            return NotModerator()
        return await self._day(sees(origin) or workspace_id or origin.workspace_id)

    async def alerts_in(self, origin: Origin) -> tuple[Alert, ...]:
        """Those over the policy's threshold in a moderator's own workspace; nobody for anybody else."""
        if not origin.is_moderator:
            return ()
        return tuple(alert for _, alert in await self.alerts() if sees(origin) in {None, alert.workspace_id})

    async def alerts(self) -> tuple[tuple[str, Alert], ...]:
        """Everybody over the policy's threshold, as (subject, alert)."""
        policy = self._moderator.policy.alerts
        since = now_ms() - round(policy.hours * HOUR_MS)
        found = []
        for workspace, subject, blocks in await self._decisions.frequent(
            since_ms=since, blocks=policy.blocks
        ):
            name = await self._name(subject)
            found.append(
                (subject, Alert(workspace_id=workspace, name=name, blocks=blocks, hours=policy.hours))
            )
        return tuple(found)

    async def send(self) -> int:
        """Send what is due to the moderators' channels; returns how many messages went out."""
        sent = 0
        now = now_ms()
        for workspace in self._channels:
            # Once a day of the calendar (UTC), whichever process comes first.
            if await self._notices.claim(workspace, DAILY, now_ms=now, not_since_ms=now - now % DAY_MS):
                sent += await self._tell(workspace, DAILY, digest(await self._day(workspace)), now)
        for subject, one in await self.alerts():
            topic = f"alert:{subject}"
            horizon = now - round(one.hours * HOUR_MS)
            if one.workspace_id in self._channels and await self._notices.claim(
                one.workspace_id, topic, now_ms=now, not_since_ms=horizon
            ):
                sent += await self._tell(one.workspace_id, topic, alert(one), now)
        return sent

    async def _day(self, workspace_id: str) -> Day:
        since = now_ms() - DAY_MS
        return Day(
            workspace_id=workspace_id,
            since_ms=since,
            counts=await self._decisions.tally(workspace_id, since_ms=since),
            reviews=await self._reviews.pending(workspace_id),
            takedowns=await self._takedowns.unfinished(workspace_id),
        )

    async def _tell(self, workspace: str, topic: str, reply: Reply, now: int) -> bool:
        name = workspace.partition(":")[0]
        platform = self._platforms.get(name)
        if platform is None:  # another process serves that platform
            await self._notices.release(workspace, topic)
            return False
        origin = Origin(
            platform=name,
            workspace_id=workspace,
            channel_id=self._channels[workspace],
            user_id="",
            event_id=f"{topic}:{now}",
        )
        try:
            await platform.fill(origin, None, reply, key=f"{workspace}:{topic}:{now}")
        except PlatformError as error:
            log.warning("the moderators of %s could not be told: %s", workspace, error.code)
            if error.retryable:
                await self._notices.release(workspace, topic)
            return False
        return True

    async def _name(self, subject: str) -> str:
        try:
            identity = await self._vault.identity(subject)
        except (ErasedError, VaultError):
            return "somebody whose data were erased"
        return identity.name or identity.user_id
