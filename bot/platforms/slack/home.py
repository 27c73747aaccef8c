"""App Home: what is waiting, quota, history with refusals, terms; for moderators the review queue.

Ephemeral messages may be lost, so everything a person must be able to read is here, too.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace

from slack_sdk.web.async_client import AsyncWebClient

from bot.conversation import AskCommand, Command, Origin, Reply, ReviewCommand
from bot.platforms.slack.blocks import Block, card, context, section
from bot.platforms.slack.failures import UNREACHABLE, translate
from bot.platforms.slack.text import mrkdwn
from bot.platforms.slack.translate import Ask

log = logging.getLogger(__name__)

VIEW_BLOCKS = 100
_PART_BLOCKS = 22  # of one part, so that a long history leaves room for the others
_PARTS: tuple[tuple[Ask, str], ...] = (
    ("queue", "Waiting"),
    ("quota", "Quota"),
    ("history", "History"),
    ("terms", "Terms"),
)


class Home:
    """Draws the Home tab of one person."""

    def __init__(self, client: AsyncWebClient, *, answer: Callable[[Command], Awaitable[Reply]]) -> None:
        self._client, self._answer = client, answer

    async def publish(self, origin: Origin) -> None:
        """Ask for everything of this person and show it; best effort."""
        asker = replace(origin, private=True, channel_id="", token="")
        blocks: list[Block] = []
        if origin.is_moderator:
            command = ReviewCommand(origin=_part(asker, "review"), step="list")
            blocks += _titled("Review", await self._answer(command))
        for what, title in _PARTS:
            blocks += _titled(title, await self._answer(AskCommand(origin=_part(asker, what), what=what)))
        blocks.append(context(mrkdwn("Draw with /imagine. Everything else is under /verso help.")))
        view = {"type": "home", "blocks": blocks[:VIEW_BLOCKS]}
        try:
            await self._client.views_publish(user_id=origin.user_id, view=view)
        except UNREACHABLE as error:
            log.warning("App Home cannot be shown: %s", translate(error))


def _part(origin: Origin, name: str) -> Origin:
    return replace(origin, event_id=f"{origin.event_id}:{name}")


def _titled(title: str, reply: Reply) -> list[Block]:
    blocks = card(replace(reply, title=reply.title or title, images=()))
    if len(blocks) > _PART_BLOCKS:
        blocks = [*blocks[: _PART_BLOCKS - 1], section("\u2026")]
    return [*blocks, {"type": "divider"}]
