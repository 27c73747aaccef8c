"""Public messages: a placeholder, its progress, and the pictures that fill it.

A delivery that is repeated after a crash changes nothing: the placeholder is edited again, and `uploads.py`
finds the pictures that were shared before. At worst an empty placeholder is left over.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.conversation import Origin, Progress, Reply
from bot.platforms.slack.blocks import (
    MESSAGE_BLOCKS,
    Block,
    SharedImage,
    card,
    context,
    progress_blocks,
    progress_text,
    summary,
    waiting,
)
from bot.platforms.slack.failures import GONE, NOT_THERE, UNREACHABLE, error_code, translate, translated
from bot.platforms.slack.payload import flag, word, words
from bot.platforms.slack.recent import Recent
from bot.platforms.slack.text import MESSAGE_LIMIT, mrkdwn
from bot.platforms.slack.uploads import Uploads, file_names

log = logging.getLogger(__name__)

PROGRESS_EVERY_S = 3.0
_POSTS = 2000
_ASTRAY = "I am not in the channel where you asked, so this came here. Invite me there with /invite @verso."


@dataclass(frozen=True, kw_only=True, slots=True)
class Post:
    """A public message of ours: its place, and the files shown in it with the messages that share them."""

    channel: str
    ts: str
    files: tuple[str, ...] = ()
    shares: tuple[str, ...] = ()
    astray: bool = False  # a direct message instead of the channel that was meant

    def dump(self) -> str:
        """Serialise for storage."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def parse(cls, text: str) -> Post | None:
        """Read what `dump` wrote; None where it is something else."""
        try:
            values = json.loads(text)
        except ValueError:
            return None
        channel, ts = word(values, "channel"), word(values, "ts")
        if not channel or not ts:
            return None
        return cls(
            channel=channel,
            ts=ts,
            files=words(values, "files"),
            shares=words(values, "shares"),
            astray=flag(values, "astray"),
        )


class _Pace:
    """When a placeholder was last edited, and whether its picture has come."""

    def __init__(self) -> None:
        self.edited = float("-inf")
        self.filled = False
        self.lock = asyncio.Lock()


class Poster:
    """Posts, edits and deletes the bot's public messages."""

    def __init__(
        self,
        client: AsyncWebClient,
        *,
        lossy: AsyncWebClient,
        uploads: Uploads,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`lossy` is a client that never waits and retries: late progress is worthless."""
        self._client, self._lossy, self._uploads, self._clock = client, lossy, uploads, clock
        self._paces: Recent[_Pace] = Recent(_POSTS)

    async def placeholder(self, origin: Origin, text: str) -> Post:
        """Post a message to be filled later; by direct message where the app is not in the channel.

        Raises:
            PlatformForbiddenError: not even a direct message can be posted.
        """
        return await self._create(origin, mrkdwn(text, MESSAGE_LIMIT), waiting(text))

    async def update(self, post: Post, progress: Progress) -> None:
        """Show progress at most every three seconds; whatever fails or comes too late is dropped."""
        pace = self._pace(post)
        if pace.filled or pace.lock.locked() or self._clock() - pace.edited < PROGRESS_EVERY_S:
            return
        async with pace.lock:
            pace.edited = self._clock()
            text = mrkdwn(progress_text(progress), MESSAGE_LIMIT)
            try:
                await self._lossy.chat_update(
                    channel=post.channel, ts=post.ts, text=text, blocks=progress_blocks(progress)
                )
            except UNREACHABLE as error:
                log.debug("progress was dropped (%s)", type(error).__name__)

    async def fill(self, origin: Origin, post: Post | None, reply: Reply, *, key: str) -> Post:
        """Show the finished reply in the message. The file's docstring tells what a repeat does.

        Raises:
            PlatformRateLimitError, PlatformForbiddenError, PlatformError.
        """
        names = file_names(reply.images, key)
        known = await self._uploads.find(names, since_ts=post.ts if post else "") if names else ()
        if post is None:
            post = await self._found_again(known) or await self.placeholder(origin, reply.title or reply.text)
        pace = self._pace(post)
        pace.filled = True
        async with pace.lock:  # an edit that is under way must not overwrite the picture
            if names and not known:
                images = dict(zip(names, reply.images, strict=True))
                known = await self._uploads.upload(images, channel=post.channel, thread_ts=post.ts)
            shares = await self._uploads.shares(known, channel=post.channel)
            post = replace(post, files=known, shares=tuple(dict.fromkeys(share.ts for share in shares)))
            shown = {share.file_id for share in shares}
            pictures = tuple(
                SharedImage(file_id=file_id, image=image)
                for file_id, image in zip(known, reply.images, strict=True)
                if file_id in shown
            )
            return await self._show(origin, post, reply, pictures)

    async def hand_over(self, origin: Origin, reply: Reply) -> Post:
        """Send a reply with its documents to the asker, in a direct message.

        Raises:
            PlatformRateLimitError, PlatformForbiddenError, PlatformError.
        """
        post = await self._create(replace(origin, private=True), summary(reply), card(reply))
        files = await self._uploads.attach(reply.documents, channel=post.channel, thread_ts=post.ts)
        return replace(post, files=files)

    async def remove(self, post: Post) -> None:
        """Delete the message, its files and the messages that share them; gone already is fine.

        Raises:
            PlatformRateLimitError, PlatformForbiddenError, PlatformError.
        """
        for ts in (*post.shares, post.ts):
            with _gone_is_fine():
                await self._client.chat_delete(channel=post.channel, ts=ts)
        for file_id in post.files:
            with _gone_is_fine():
                await self._client.files_delete(file=file_id)

    async def _found_again(self, file_ids: Sequence[str]) -> Post | None:
        """The message whose thread holds these files: what an earlier, interrupted delivery posted."""
        for file_id in file_ids:
            for channel, share in await self._uploads.everywhere(file_id):
                if share.thread_ts:
                    return Post(channel=channel, ts=share.thread_ts)
        return None

    async def _show(self, origin: Origin, post: Post, reply: Reply, pictures: Sequence[SharedImage]) -> Post:
        note = [context(mrkdwn(_ASTRAY))] if post.astray else []
        blocks = [*card(reply, pictures), *note][:MESSAGE_BLOCKS]
        try:
            await self._client.chat_update(
                channel=post.channel, ts=post.ts, text=summary(reply), blocks=blocks, parse="none"
            )
        except SlackApiError as error:
            if error_code(error) == "invalid_blocks" and pictures:
                # The file stays readable in the thread; a card without its copy beats no card.
                log.warning("Slack refuses to show a shared picture in a card")
                return await self._show(origin, post, reply, ())
            if error_code(error) != "message_not_found":
                raise translate(error) from error
            fresh = await self._create(origin, summary(reply), blocks)  # somebody deleted the placeholder
            return replace(fresh, files=post.files, shares=post.shares)
        except UNREACHABLE as error:
            raise translate(error) from error
        return post

    async def _create(self, origin: Origin, text: str, blocks: list[Block]) -> Post:
        if origin.channel_id and not origin.private:
            try:
                return await self._send(origin.channel_id, text, blocks)
            except SlackApiError as error:
                if error_code(error) not in NOT_THERE:
                    raise translate(error) from error
            except UNREACHABLE as error:
                raise translate(error) from error
            blocks = [*blocks, context(mrkdwn(_ASTRAY))]
            with translated():
                return replace(await self._send(origin.user_id, text, blocks), astray=True)
        with translated():
            return await self._send(origin.user_id, text, blocks)

    async def _send(self, channel: str, text: str, blocks: list[Block]) -> Post:
        answer = await self._client.chat_postMessage(
            channel=channel,
            text=text,
            blocks=blocks,
            parse="none",
            link_names=False,
            unfurl_links=False,
            unfurl_media=False,
        )
        return Post(channel=word(answer.data, "channel"), ts=word(answer.data, "ts"))

    def _pace(self, post: Post) -> _Pace:
        key = f"{post.channel}/{post.ts}"
        pace = self._paces.get(key)
        if pace is None:
            pace = _Pace()
            self._paces.put(key, pace)
        return pace


@contextlib.contextmanager
def _gone_is_fine() -> Iterator[None]:
    try:
        yield
    except SlackApiError as error:
        if error_code(error) not in GONE:
            raise translate(error) from error
    except UNREACHABLE as error:
        raise translate(error) from error
