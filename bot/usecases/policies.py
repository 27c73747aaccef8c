"""The policy in force: noted when it changes, read again while the server runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from attribution.ledger import Ledger
from attribution.record import EventKind
from bot.conversation import Origin
from bot.replies import Replies
from bot.usecases.review import NotModerator
from moderation.moderator import Moderator
from moderation.policies import PolicyLog, PolicyRecord
from moderation.policy import Policy
from moderation.rules import require
from moderation.strikes import Strikes


class Policies:
    """Brings a policy into force everywhere in this process at once."""

    def __init__(
        self,
        *,
        load: Callable[[], Policy],
        moderator: Moderator,
        strikes: Strikes,
        replies: Replies,
        log: PolicyLog,
        ledger: Ledger,
    ) -> None:
        self._load, self._moderator, self._strikes = load, moderator, strikes
        self._replies, self._log, self._ledger = replies, log, ledger

    async def enter(self) -> None:
        """Note which policy this process works under."""
        policy = self._moderator.policy
        before = await self._log.enter(policy)
        if before:  # the first policy of all changes nothing
            public = {"change": "policy", "policy": policy.version, "previous": before}
            await self._ledger.append(EventKind.POLICY_CHANGED, subject="", public=public)

    async def reload(self) -> Policy | None:
        """Read the policy again; None where it says what it said before.

        Raises:
            PolicyError: the new one cannot be used; the old one stays in force.
        """
        policy = await asyncio.to_thread(self._load)
        if policy.version == self._moderator.policy.version:
            return None
        require(policy)
        self._replies.use(policy)  # first: a finding of the new policy may name a new clause
        self._strikes.use(policy.strikes)
        self._moderator.use(policy)
        await self.enter()
        return policy

    async def history(self, origin: Origin) -> tuple[PolicyRecord, ...] | NotModerator:
        """Every change, oldest first."""
        if not origin.is_moderator:
            return NotModerator()
        return await self._log.history()
