"""Posting what was not ready at once: placeholders, progress, pictures, and later words in private."""

from __future__ import annotations

import base64
import hashlib
import io
import logging
from collections import OrderedDict
from collections.abc import Callable
from types import SimpleNamespace
from typing import cast

import discord

from bot.conversation import Origin, Progress, Reply
from bot.errors import PlatformError, PlatformForbiddenError, PlatformRateLimitError
from bot.platforms.discord import words
from bot.platforms.discord.failures import UNKNOWN_MESSAGE, translated
from bot.platforms.discord.messages import Draft, draft, sentence
from bot.platforms.discord.posts import Post, TrafficBoard
from bot.platforms.discord.text import bar
from bot.platforms.discord.translate import ReplyToken
from bot.platforms.discord.views import Questions

logger = logging.getLogger(__name__)

UPDATE_EVERY_S = 3.0
_ORIGINAL = cast("int", "@original")  # the SDK puts it into the path as it is; Discord takes it for the reply
_NOBODY = discord.AllowedMentions.none()
_REMEMBERED = 1024
_MAX_NONCE = 25
_MAX_PROGRESS = 1800  # characters of the sentence; the bar needs the rest
_MAX_WAIT_S = 7 * 86_400


class Delivery:
    """Messages that need no living interaction.

    Args:
        client: connected with the bot's token.
        questions: builds the buttons.
        now: Unix seconds.
        monotonic: seconds for spacing the edits.
    """

    def __init__(
        self,
        client: discord.Client,
        *,
        questions: Questions,
        now: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        self._client = client
        self._questions = questions
        self._now = now
        self._monotonic = monotonic
        self._traffic = TrafficBoard()
        self._sent: OrderedDict[str, str] = OrderedDict()

    async def placeholder(self, origin: Origin, text: str) -> str | None:
        """Post a public message; None where the bot may not, or where the asker wants none."""
        if origin.private or not origin.channel_id:
            return None
        try:
            with translated():
                message = await self._channel(int(origin.channel_id)).send(
                    sentence(text, public=True),
                    nonce=nonce(f"placeholder:{origin.event_id}"),
                    allowed_mentions=_NOBODY,
                )
        except PlatformForbiddenError:
            return None
        return Post(channel_id=int(origin.channel_id), message_id=message.id).to_json()

    async def update(self, post: str, progress: Progress) -> None:
        """Show progress; drops what comes within 3 s, during another edit, or after the pictures."""
        reference = Post.parse(post)
        traffic = self._traffic.of(reference)
        if traffic.closed or traffic.lock.locked() or self._monotonic() < traffic.next_update:
            return
        async with traffic.lock:
            try:
                with translated():
                    await self._show_progress(reference, progress)
            except PlatformRateLimitError as error:
                traffic.next_update = self._monotonic() + max(UPDATE_EVERY_S, error.retry_after_s)
            except PlatformError as error:
                traffic.closed = not error.retryable
                traffic.next_update = self._monotonic() + UPDATE_EVERY_S
                logger.info("progress could not be shown: %s", error)
            else:
                traffic.next_update = self._monotonic() + UPDATE_EVERY_S

    async def fill(self, origin: Origin, post: str | None, reply: Reply, *, key: str) -> str:
        """Show a finished reply; see `Platform.fill`."""
        if origin.private:
            with translated():
                return (await self._privately(origin, reply, key=key)).to_json()
        message = draft(reply, upload_limit=origin.upload_limit, public=True)
        if post is not None and await self._edit(Post.parse(post), message):
            return post
        if key in self._sent:
            return self._sent[key]
        with translated():
            sent = (await self._publicly(origin, message, key=key)).to_json()
        self._sent[key] = sent
        while len(self._sent) > _REMEMBERED:
            self._sent.popitem(last=False)
        return sent

    async def notify(self, origin: Origin, reply: Reply) -> None:
        """Say something to the asker alone: in the private reply while it can be edited, else by message."""
        try:
            with translated():
                await self._privately(origin, reply, key=f"notify:{origin.event_id}:{reply.text}")
        except PlatformError as error:
            logger.info("a private word did not arrive: %s (event %s)", error, origin.event_id)

    async def remove(self, post: str) -> None:
        """Delete a message of ours; gone already is fine."""
        reference = Post.parse(post)
        traffic = self._traffic.of(reference)
        traffic.closed = True
        async with traffic.lock:
            with translated():
                try:
                    if reference.token:
                        hook = self._hook(reference.application_id, reference.token)
                        await hook.delete_message(reference.message_id)
                    else:
                        await self._message(reference).delete()
                except discord.NotFound:
                    return

    async def _show_progress(self, post: Post, progress: Progress) -> None:
        content = self._progress(progress)
        if progress.preview is None:
            await self._message(post).edit(content=content, allowed_mentions=_NOBODY)
            return
        preview = discord.File(
            io.BytesIO(progress.preview), filename="preview.png", description=words.PREVIEW_ALT
        )
        await self._message(post).edit(content=content, attachments=[preview], allowed_mentions=_NOBODY)

    def _progress(self, progress: Progress) -> str:
        """The sentence, and a bar once the job runs; without a sentence, place and wait in figures."""
        lines = [sentence(progress.text, public=True)[:_MAX_PROGRESS]]
        figures = [f"#{progress.place}" if progress.place > 0 else bar(progress.fraction)]
        if not progress.text and progress.eta_s is not None and 0 <= progress.eta_s < _MAX_WAIT_S:
            figures.append(f"<t:{round(self._now() + progress.eta_s)}:R>")  # each client words it itself
        told = (
            progress.elsewhere_s is None or progress.fraction > 0
        )  # an empty bar would say that nothing happens
        if told and (not progress.text or progress.place <= 0):
            lines.append(" · ".join(figures))
        return "\n".join(lines).strip()

    async def _edit(self, post: Post, message: Draft) -> bool:
        """Put a draft into a message. False: somebody deleted that message."""
        traffic = self._traffic.of(post)
        traffic.closed = True
        async with traffic.lock:
            with translated():
                try:
                    view = self._questions.view(message.buttons)
                    if post.token:
                        await self._edit_reply(post, message)
                    else:
                        await self._message(post).edit(
                            content=message.content,
                            embeds=list(message.embeds),
                            attachments=message.files(),
                            view=view,
                            allowed_mentions=_NOBODY,
                        )
                except discord.NotFound as error:
                    if error.code != UNKNOWN_MESSAGE:
                        raise
                    return False
        return True

    async def _publicly(self, origin: Origin, message: Draft, *, key: str) -> Post:
        """A new public message: by the bot, or where it may not write, as an answer to the interaction."""
        refusal: discord.HTTPException | None = None
        if origin.channel_id:
            try:
                return await self._send(self._channel(int(origin.channel_id)), message, key=key)
            except discord.Forbidden as error:
                refusal = error
        token = self._living(origin)
        if token is None:
            if refusal is not None:
                raise refusal
            raise PlatformForbiddenError("there is no channel to post into")
        view = self._questions.view(message.buttons)
        sent = await self._hook(token.application_id, token.token).send(
            content=message.content or discord.utils.MISSING,
            embeds=list(message.embeds),
            files=message.files(),
            view=view if view is not None else discord.utils.MISSING,
            allowed_mentions=_NOBODY,
            wait=True,
        )
        return Post(message_id=sent.id, application_id=token.application_id, token=token.token)

    async def _privately(self, origin: Origin, reply: Reply, *, key: str) -> Post:
        """The private reply to the interaction, edited; once its token is dead, a direct message."""
        message = draft(reply, upload_limit=origin.upload_limit, public=False)
        token = self._living(origin)
        if token is not None:
            reply_post = Post(
                message_id=token.message_id or 0, application_id=token.application_id, token=token.token
            )
            try:
                edited = await self._edit_reply(reply_post, message)
            except discord.HTTPException as error:
                if error.status not in {401, 403, 404}:
                    raise
                logger.info("the private reply is gone (code %s); a direct message follows", error.code)
            else:
                return Post(message_id=edited, application_id=token.application_id, token=token.token)
        # The id goes out as text, as Discord's document wants it; the SDK's own objects would send a number.
        recipient = cast("discord.abc.Snowflake", SimpleNamespace(id=origin.user_id))
        channel = await self._client.create_dm(recipient)
        return await self._send(self._channel(channel.id), message, key=key)

    async def _edit_reply(self, post: Post, message: Draft) -> int:
        """Edit a message that belongs to an interaction; its id."""
        edited = await self._hook(post.application_id, post.token).edit_message(
            post.message_id or _ORIGINAL,
            content=message.content,
            embeds=list(message.embeds),
            attachments=message.files(),
            view=self._questions.view(message.buttons),
            allowed_mentions=_NOBODY,
        )
        return edited.id

    async def _send(self, channel: discord.PartialMessageable, message: Draft, *, key: str) -> Post:
        """A new message; Discord answers a repeated nonce with the first message."""
        view = self._questions.view(message.buttons)
        sent = await channel.send(
            message.content,
            embeds=list(message.embeds),
            files=message.files(),
            view=view if view is not None else discord.utils.MISSING,
            nonce=nonce(key),
            allowed_mentions=_NOBODY,
        )
        return Post(channel_id=channel.id, message_id=sent.id)

    def _living(self, origin: Origin) -> ReplyToken | None:
        """The interaction's token while it can still be used."""
        token = ReplyToken.parse(origin.token)
        return token if token is not None and self._now() < token.expires_at else None

    def _channel(self, channel_id: int) -> discord.PartialMessageable:
        return self._client.get_partial_messageable(channel_id)

    def _message(self, post: Post) -> discord.PartialMessage:
        return self._channel(post.channel_id).get_partial_message(post.message_id)

    def _hook(self, application_id: int, token: str) -> discord.Webhook:
        return discord.Webhook.partial(application_id, token, client=self._client)


def nonce(key: str) -> str:
    """At most 25 characters that are the same for the same key."""
    return base64.b32encode(hashlib.sha256(key.encode()).digest()).decode()[:_MAX_NONCE].lower()
