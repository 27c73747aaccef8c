"""Knows who moderates: named people, members of named user groups, and workspace admins.

Every look-up needs a scope that an operator may leave out; without it the answer is "no moderator".
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from slack_sdk.web.async_client import AsyncWebClient

from bot.platforms.slack.failures import UNREACHABLE, translate
from bot.platforms.slack.payload import flag, words
from bot.platforms.slack.recent import Recent

log = logging.getLogger(__name__)

_FRESH_S = 300.0  # a new moderator waits at most five minutes
_PEOPLE = 2000


class People:
    """Answers, with a cache, whether a person may moderate."""

    def __init__(
        self,
        client: AsyncWebClient,
        *,
        moderators: frozenset[str],
        moderator_groups: frozenset[str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client, self._clock = client, clock
        self._moderators, self._groups = moderators, moderator_groups
        self._members: dict[str, tuple[float, frozenset[str]]] = {}
        self._admins: Recent[tuple[float, bool]] = Recent(_PEOPLE)

    async def groups_of(self, user_id: str) -> tuple[str, ...]:
        """Those of the moderators' user groups that this person is in."""
        return tuple([group for group in sorted(self._groups) if user_id in await self._group(group)])

    async def is_moderator(self, user_id: str) -> bool:
        """Whether this person is named, in a named group, or an admin of the workspace."""
        if user_id in self._moderators or await self.groups_of(user_id):
            return True
        return await self._is_admin(user_id)

    async def _group(self, group_id: str) -> frozenset[str]:
        known = self._members.get(group_id)
        if known is not None and self._clock() - known[0] < _FRESH_S:
            return known[1]
        try:
            answer = await self._client.usergroups_users_list(usergroup=group_id)
            members = frozenset(words(answer.data, "users"))
        except UNREACHABLE as error:
            log.warning(
                "cannot read user group %s (%s): its members are no moderators", group_id, translate(error)
            )
            members = frozenset()
        self._members[group_id] = (self._clock(), members)
        return members

    async def _is_admin(self, user_id: str) -> bool:
        known = self._admins.get(user_id)
        if known is not None and self._clock() - known[0] < _FRESH_S:
            return known[1]
        try:
            user = (await self._client.users_info(user=user_id)).data
            admin = flag(user, "user", "is_admin") or flag(user, "user", "is_owner")
        except UNREACHABLE as error:
            log.debug("cannot read a person's rights (%s)", translate(error))
            admin = False
        self._admins.put(user_id, (self._clock(), admin))
        return admin
