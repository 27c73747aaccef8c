"""Says something to one person: by the response URL, by an ephemeral message, or by direct message.

A response URL takes five answers within 30 minutes and works in every conversation. Ephemeral messages need
the app in the channel and are best effort at Slack; a direct message reaches everybody.
"""

from __future__ import annotations

import logging

from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.webhook.async_client import AsyncWebhookClient

from bot.conversation import Origin, Reply
from bot.platforms.slack.blocks import card, summary
from bot.platforms.slack.failures import UNREACHABLE, translate
from bot.platforms.slack.recent import Recent

log = logging.getLogger(__name__)

_USES = 5  # of one response URL
_URLS = 5000


class Whisper:
    """Answers people in private, and in public where the answer is for all."""

    def __init__(self, client: AsyncWebClient) -> None:
        self._client = client
        self._used: Recent[int] = Recent(_URLS)

    async def say(self, origin: Origin, reply: Reply, *, replaces: bool = False) -> bool:
        """Deliver `reply` (without its pictures) by the first way that works; False where none did.

        `replaces`: the answer takes the place of the private message whose button was clicked.
        """
        public = not reply.private and not origin.private
        if await self._respond(origin.token, reply, public=public, replaces=replaces):
            return True
        if origin.channel_id and not origin.private and await self._post(origin, reply, public=public):
            return True
        return await self._message(origin.user_id, reply)

    async def _respond(self, url: str, reply: Reply, *, public: bool, replaces: bool) -> bool:
        used = self._used.get(url) or 0
        if not url or used >= _USES:
            return False
        self._used.put(url, used + 1)
        hook = AsyncWebhookClient(
            url, proxy=self._client.proxy, ssl=self._client.ssl, logger=self._client.logger
        )
        message = {
            "text": summary(reply),
            "blocks": card(reply),
            "response_type": "in_channel" if public else "ephemeral",
            "replace_original": replaces,
            "unfurl_links": False,
            "unfurl_media": False,
        }
        try:
            answer = await hook.send_dict(message)
        except UNREACHABLE as error:
            log.info("a response URL cannot be reached (%s)", type(error).__name__)
            return False
        if answer.status_code != 200 or answer.body.startswith('{"ok":false'):
            self._used.put(url, _USES)  # used up or expired: it will not recover
            return False
        return True

    async def _post(self, origin: Origin, reply: Reply, *, public: bool) -> bool:
        if public:
            return await self._message(origin.channel_id, reply)
        try:
            await self._client.chat_postEphemeral(
                channel=origin.channel_id,
                user=origin.user_id,
                text=summary(reply),
                blocks=card(reply),
                parse="none",
                link_names=False,
            )
        except UNREACHABLE as error:
            log.info("cannot answer in the channel: %s", translate(error))
            return False
        return True

    async def _message(self, channel: str, reply: Reply) -> bool:
        try:
            await self._client.chat_postMessage(
                channel=channel,
                text=summary(reply),
                blocks=card(reply),
                parse="none",
                link_names=False,
                unfurl_links=False,
                unfurl_media=False,
            )
        except UNREACHABLE as error:
            log.warning("cannot answer by message: %s", translate(error))
            return False
        return True
