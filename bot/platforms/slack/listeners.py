"""Hears what Slack sends: acknowledges first, always, and does the work afterwards."""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace

from slack_bolt.async_app import AsyncAck, AsyncApp, AsyncBoltRequest
from slack_bolt.error import BoltUnhandledRequestError
from slack_bolt.response import BoltResponse

from bot.conversation import ButtonCommand, Command, DescribeCommand, Origin, Reply, WhoMadeCommand
from bot.errors import PlatformError, UsageError
from bot.platforms.slack.blocks import ACTION, split_action
from bot.platforms.slack.desk import Desk
from bot.platforms.slack.download import fetch, pictures_of
from bot.platforms.slack.modals import (
    ASK_VIEW,
    IMAGINE_VIEW,
    Memo,
    ask_view,
    imagine_view,
    read_ask,
    read_imagine,
)
from bot.platforms.slack.moderation import (
    PROTECT_VIEW,
    AddProtection,
    protect,
    protect_view,
    read_protect,
)
from bot.platforms.slack.options import USAGE, parse_options
from bot.platforms.slack.payload import Payload, event_id, flag, table, tables, word, words, workspace_of
from bot.platforms.slack.recent import Recent
from bot.platforms.slack.text import unescape
from bot.platforms.slack.translate import imagine, verso
from bot.platforms.slack.work import where
from bot.words import MODERATORS_ONLY

log = logging.getLogger(__name__)

SHORTCUT, DESCRIBE = "who_made", "describe"
Next = Callable[[], Awaitable[None]]
_EVENTS = 10_000  # remembered against repeats


class Listeners:
    """Connects a Bolt app to the desk."""

    def __init__(
        self,
        desk: Desk,
        *,
        models: tuple[str, ...],
        aspects: tuple[str, ...],
        seen: Callable[[str], Awaitable[bool]] | None,
        on_uninstalled: Callable[[str], Awaitable[None]] | None,
    ) -> None:
        self._desk, self._models, self._aspects = desk, models, aspects
        self._seen, self._on_uninstalled = seen, on_uninstalled
        self._recent: Recent[bool] = Recent(_EVENTS)

    def register(self, app: AsyncApp) -> None:
        """Tell Bolt what to call. Commands may carry a prefix, where the plain name is taken."""
        app.error(self.failed)
        app.use(self.once)
        app.command(re.compile(r"^/[\w-]*imagine$"))(self.on_imagine)
        app.command(re.compile(r"^/[\w-]*verso$"))(self.on_verso)
        app.action(ACTION)(self.on_click)
        app.view(IMAGINE_VIEW)(self.on_imagine_form)
        app.view(ASK_VIEW)(self.on_answer)
        app.view(PROTECT_VIEW)(self.on_protect_form)
        app.shortcut(SHORTCUT)(self.on_shortcut)
        app.shortcut(DESCRIBE)(self.on_describe)
        app.event("app_home_opened")(self.on_home)
        app.event("app_uninstalled")(self.on_gone)
        app.event("tokens_revoked")(self.on_gone)

    async def once(self, req: AsyncBoltRequest, next: Next) -> BoltResponse | None:  # noqa: A002 - Bolt's name
        """Drop an event that was delivered before. A form may be sent again after a correction: not here."""
        if word(req.body, "type") != "view_submission":
            identity = event_id(req.body)
            retried = bool(req.headers.get("x-slack-retry-num"))
            if not self._recent.first_time(identity, value=True):
                return BoltResponse(status=200)
            if retried and self._seen is not None and await self._seen(identity):
                return BoltResponse(status=200)
        await next()
        return None

    async def failed(self, error: Exception) -> BoltResponse:
        """Acknowledge what nobody listens to; log failures without what people wrote."""
        if not isinstance(error, BoltUnhandledRequestError):
            log.error("an event was not handled: %s", where(error))
        return BoltResponse(status=200)

    async def on_imagine(self, ack: AsyncAck, body: Payload) -> None:
        """`/imagine TEXT`, or the form."""
        await ack()
        self._desk.start(body, self._imagine)

    async def on_verso(self, ack: AsyncAck, body: Payload) -> None:
        """`/verso SUBCOMMAND`."""
        await ack()
        self._desk.start(body, self._verso)

    async def on_click(self, ack: AsyncAck, body: Payload) -> None:
        """A button."""
        await ack()
        self._desk.start(body, self._click)

    async def on_imagine_form(self, ack: AsyncAck, body: Payload) -> None:
        """The form of `/imagine`."""
        options, errors = read_imagine(table(body, "view"))
        if options is None:
            await ack(response_action="errors", errors=errors)
            return
        await ack()
        if not self._recent.first_time(event_id(body), value=True):
            return
        memo = Memo.parse(word(body, "view", "private_metadata"))

        async def draw(origin: Origin) -> None:
            asked = _remember(replace(origin, private=options.private), memo)
            await self._desk.answer(imagine(asked, options))

        self._desk.start(body, lambda _payload, origin: draw(origin))

    async def on_answer(self, ack: AsyncAck, body: Payload) -> None:
        """The sentence that a button asked for."""
        text = read_ask(table(body, "view"))
        if not text:
            await ack(response_action="errors", errors={"text": "Please write a sentence."})
            return
        await ack()
        if not self._recent.first_time(event_id(body), value=True):
            return
        memo = Memo.parse(word(body, "view", "private_metadata"))

        async def press(origin: Origin) -> None:
            clicker = await self._desk.with_rights(_remember(origin, memo))
            command = ButtonCommand(origin=clicker, name=memo.name, target=memo.target, text=text)
            await self._desk.answer(command, replaces=memo.replaces)

        self._desk.start(body, lambda _payload, origin: press(origin))

    async def on_protect_form(self, ack: AsyncAck, body: Payload) -> None:
        """The form of `/verso moderation protect add`."""
        sent, errors = read_protect(table(body, "view"))
        if sent is None:
            await ack(response_action="errors", errors=errors)
            return
        await ack()
        if not self._recent.first_time(event_id(body), value=True):
            return
        memo = Memo.parse(word(body, "view", "private_metadata"))

        async def add(origin: Origin) -> None:
            asker = await self._desk.with_rights(_remember(origin, memo))
            if not asker.is_moderator:
                await self._desk.tell(asker, Reply(text=MODERATORS_ONLY, tone="warning"))
                return
            try:
                image = await fetch(self._desk.client, sent.file) if sent.file is not None else None
            except PlatformError as error:
                text = f"I cannot look at that picture: {error}."
                await self._desk.tell(asker, Reply(text=text, tone="warning"))
                return
            await self._desk.answer(protect(asker, sent, image=image))

        self._desk.start(body, lambda _payload, origin: add(origin))

    async def on_shortcut(self, ack: AsyncAck, body: Payload) -> None:
        """The message shortcut "Who made this?"."""
        await ack()
        self._desk.start(body, self._who_made)

    async def on_describe(self, ack: AsyncAck, body: Payload) -> None:
        """The message shortcut "Describe"."""
        await ack()
        self._desk.start(body, self._describe)

    async def on_home(self, body: Payload) -> None:
        """Somebody opened the app's Home tab. Bolt acknowledges events by itself, before this runs."""
        if word(body, "event", "tab") == "home":
            self._desk.start(body, self._home)

    async def on_gone(self, body: Payload) -> None:
        """The app was removed from a workspace, or its bot token was revoked."""
        revoked = word(body, "event", "type") == "tokens_revoked"
        if revoked and not words(body, "event", "tokens", "bot"):
            return  # people's own tokens, which Verso does not use
        if self._on_uninstalled is not None and (workspace := workspace_of(body)):
            self._desk.work.start(_finish(self._on_uninstalled(workspace)))

    async def _imagine(self, body: Payload, origin: Origin) -> None:
        text = unescape(word(body, "text")).strip()
        if not text:
            memo = Memo(channel=origin.channel_id, response_url=origin.token)
            view = imagine_view(memo, models=self._models, aspects=self._aspects)
            await self._desk.open(origin, word(body, "trigger_id"), view)
            return
        options = parse_options(text)
        if options.help:
            raise UsageError(USAGE)
        if not options.prompt:
            raise UsageError(f"Please say what to draw.\n{USAGE}", field="prompt")
        await self._desk.answer(imagine(replace(origin, private=options.private), options))

    async def _verso(self, body: Payload, origin: Origin) -> None:
        asked = verso(await self._desk.with_rights(origin), unescape(word(body, "text")))
        if isinstance(asked, AddProtection):
            memo = Memo(channel=origin.channel_id, response_url=origin.token)
            view = protect_view(memo, term=asked.term)
            await self._desk.open(origin, word(body, "trigger_id"), view)
            return
        await self._desk.answer(asked)

    async def _click(self, body: Payload, origin: Origin) -> None:
        action = next(iter(tables(body, "actions")), {})
        found = split_action(word(action, "action_id"), word(action, "value"))
        if found is None:
            return
        name, target, ask = found
        replaces = flag(body, "container", "is_ephemeral")
        if ask:
            memo = Memo(
                channel=origin.channel_id,
                response_url=origin.token,
                name=name,
                target=target,
                replaces=replaces,
            )
            view = ask_view(memo, label=word(action, "text", "text") or "Verso", ask=ask)
            await self._desk.open(origin, word(body, "trigger_id"), view)
            return
        clicker = await self._desk.with_rights(origin)
        await self._desk.answer(ButtonCommand(origin=clicker, name=name, target=target), replaces=replaces)
        if word(body, "container", "type") == "view":
            await self._desk.show_home(clicker)

    async def _who_made(self, body: Payload, origin: Origin) -> None:
        await self._look(body, origin, lambda asker, image: WhoMadeCommand(origin=asker, image=image))

    async def _describe(self, body: Payload, origin: Origin) -> None:
        await self._look(body, origin, lambda asker, image: DescribeCommand(origin=asker, image=image))

    async def _look(self, body: Payload, origin: Origin, command: Callable[[Origin, bytes], Command]) -> None:
        """Ask about each picture of a message."""
        pictures = pictures_of(table(body, "message"))
        if not pictures:
            raise UsageError("That message has no picture that was uploaded to Slack. I do not follow links.")
        for number, file in enumerate(pictures):
            asker = replace(origin, event_id=f"{origin.event_id}:{number}") if number else origin
            try:
                image = await fetch(self._desk.client, file)
            except PlatformError as error:
                await self._desk.tell(
                    asker, Reply(text=f"I cannot look at that picture: {error}.", tone="warning")
                )
                continue
            await self._desk.answer(command(asker, image))

    async def _home(self, _body: Payload, origin: Origin) -> None:
        await self._desk.show_home(await self._desk.with_rights(origin))


def _remember(origin: Origin, memo: Memo) -> Origin:
    return replace(origin, channel_id=memo.channel, token=memo.response_url)


async def _finish(job: Awaitable[None]) -> None:
    await job
