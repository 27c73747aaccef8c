"""Between listeners and handler: asks the handler, shows the answer, and apologizes when something breaks."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import replace

from slack_sdk.web.async_client import AsyncWebClient

from bot.conversation import Command, Origin, Reply
from bot.errors import BotError, UsageError
from bot.platforms.base import Handler
from bot.platforms.slack.failures import translated
from bot.platforms.slack.home import Home
from bot.platforms.slack.modals import View
from bot.platforms.slack.payload import Payload
from bot.platforms.slack.people import People
from bot.platforms.slack.posting import Poster
from bot.platforms.slack.private import Whisper
from bot.platforms.slack.translate import origin_of
from bot.platforms.slack.work import Work, where

log = logging.getLogger(__name__)

Step = Callable[[Payload, Origin], Awaitable[None]]


class Desk:
    """Answers one person at a time."""

    def __init__(
        self, client: AsyncWebClient, *, handler: Handler, people: People, poster: Poster, whisper: Whisper
    ) -> None:
        self.client = client
        self.work = Work()
        self._handler, self._people, self._poster, self._whisper = handler, people, poster, whisper
        self._home = Home(client, answer=self._ask)

    def start(self, payload: Payload, step: Step) -> None:
        """Run `step` in the background for the person behind `payload`; nothing it raises is lost."""
        try:
            origin = origin_of(payload)
        except UsageError as error:
            log.warning("an event cannot be answered: %s", error)
            return
        self.work.start(self._guarded(payload, origin, step))

    async def answer(self, command: Command, *, replaces: bool = False) -> None:
        """Have the command handled and show the reply."""
        reply = await self._ask(command)
        await self.tell(command.origin, reply, replaces=replaces)

    async def tell(self, origin: Origin, reply: Reply, *, replaces: bool = False) -> None:
        """Show a reply; one with pictures becomes a message, in private a direct one."""
        if reply.images:
            place = replace(origin, private=origin.private or reply.private)
            await self._poster.fill(place, None, reply, key=origin.event_id)
            return
        if reply.documents:
            await self._poster.hand_over(replace(origin, private=True), reply)
            text = "I have sent it to you in a direct message."
            await self._whisper.say(origin, Reply(text=text, tone="good"), replaces=replaces)
            return
        await self._whisper.say(origin, reply, replaces=replaces)

    async def open(self, origin: Origin, trigger_id: str, view: View) -> None:
        """Open a form, and say so where that fails: a trigger lives for three seconds."""
        try:
            with translated():
                await self.client.views_open(trigger_id=trigger_id, view=view)
        except BotError as error:
            log.warning("a form cannot be opened: %s", error)
            text = "I could not open the form in time. Please try again."
            await self.tell(origin, Reply(text=text, tone="warning"))

    async def with_rights(self, origin: Origin) -> Origin:
        """The origin with the person's user groups and whether they moderate."""
        return replace(
            origin,
            roles=await self._people.groups_of(origin.user_id),
            is_moderator=await self._people.is_moderator(origin.user_id),
        )

    async def show_home(self, origin: Origin) -> None:
        """Draw the person's Home tab."""
        await self._home.publish(origin)

    async def _ask(self, command: Command) -> Reply:
        try:
            return await self._handler(command)
        except Exception as error:  # noqa: BLE001 - a person waits for an answer, whatever broke
            return _apology(error, type(command).__name__)

    async def _guarded(self, payload: Payload, origin: Origin, step: Step) -> None:
        try:
            await step(payload, origin)
        except UsageError as error:
            await self._whisper.say(origin, Reply(text=str(error)))
        except Exception as error:  # noqa: BLE001 - same: no failure may leave a person without an answer
            await self._whisper.say(origin, _apology(error, "event"))


def _apology(error: Exception, what: str) -> Reply:
    code = secrets.token_hex(3)
    log.error("failure %s while handling %s: %s", code, what, where(error))
    return Reply(
        text=f"Sorry, something broke on my side. Tell the operator the code {code}.", tone="warning"
    )
