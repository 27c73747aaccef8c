"""Uploads pictures so that a repeat after a crash finds them again and uploads none twice.

How it is idempotent: Slack creates and shares a file in one step (files.completeUploadExternal), so a picture
either lies in the conversation or does not exist. Each file's name ends in a digest of the delivery's key.
Before uploading, the bot's own recent files are listed (files.list) and those with these names are used. This
needs `files:read` and no right to read anybody's messages, which looking through the thread would need.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.conversation import Document, ImageFile
from bot.errors import PlatformError
from bot.platforms.slack.failures import UNREACHABLE, error_code, passes, translate, translated
from bot.platforms.slack.payload import Payload, table, tables, word
from bot.platforms.slack.recent import Recent
from bot.platforms.slack.text import ALT_LIMIT, plain

log = logging.getLogger(__name__)

_PAGES = 5  # of files.list, 100 files each
_DAY_S = 86_400
_REMEMBERED = 2000  # deliveries of this process
_SLACK_CLOCK_S = 120  # our clock and Slack's may differ by this much
_WAITS_S = (0.1, 0.2, 0.4, 0.8, 1.5, 2.0, 2.0, 2.0)  # nine looks within nine seconds


@dataclass(frozen=True, kw_only=True, slots=True)
class Share:
    """Where a file was shared: its message, and the message whose thread that is in."""

    file_id: str
    ts: str
    thread_ts: str = ""


class Uploads:
    """The pictures of deliveries at Slack."""

    def __init__(
        self,
        client: AsyncWebClient,
        *,
        bot_user: Callable[[], Awaitable[str]],
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._client, self._bot_user, self._pause = client, bot_user, pause
        self._uploaded: Recent[tuple[str, ...]] = Recent(_REMEMBERED)

    async def find(self, names: Sequence[str], *, since_ts: str = "") -> tuple[str, ...]:
        """The ids of the bot's files with these names, in their order; empty unless all are there.

        Raises:
            PlatformError: Slack cannot be asked now. An answer is needed: guessing could post twice.
        """
        if (remembered := self._uploaded.get("\n".join(names))) is not None:
            return remembered
        since = float(since_ts) - _SLACK_CLOCK_S if since_ts else time.time() - _DAY_S
        found: dict[str, str] = {}
        bot_user = await self._bot_user()
        for page in range(1, _PAGES + 1):
            try:
                with translated():
                    answer = await self._list(user=bot_user, ts_from=str(int(since)), page=page)
            except _CannotListError:
                return ()
            for file in tables(answer, "files"):
                found.setdefault(word(file, "name"), word(file, "id"))
            if all(name in found for name in names):
                return tuple(found[name] for name in names)
            pages = table(answer, "paging").get("pages")
            if not isinstance(pages, int) or page >= pages:
                break
        return ()

    async def upload(
        self, images: Mapping[str, ImageFile], *, channel: str, thread_ts: str
    ) -> tuple[str, ...]:
        """Upload the pictures (by file name) and share them in a thread, in one step; their file ids."""
        uploads = [
            {
                "filename": name,
                "file": image.data,
                "title": plain(PurePath(image.name).stem, 100),
                "alt_txt": plain(image.alt_text, ALT_LIMIT),
            }
            for name, image in images.items()
        ]
        with translated():
            answer = await self._client.files_upload_v2(
                file_uploads=uploads, channel=channel, thread_ts=thread_ts
            )
        ids = tuple(word(file, "id") for file in tables(answer.data, "files"))
        if len(ids) != len(images) or not all(ids):
            raise PlatformError("Slack took the pictures but did not name them")
        self._uploaded.put("\n".join(images), ids)
        return ids

    async def attach(self, documents: Sequence[Document], *, channel: str, thread_ts: str) -> tuple[str, ...]:
        """Upload documents into a thread; their file ids."""
        uploads = [{"filename": one.name, "file": one.data, "title": one.name} for one in documents]
        with translated():
            answer = await self._client.files_upload_v2(
                file_uploads=uploads, channel=channel, thread_ts=thread_ts
            )
        return tuple(word(file, "id") for file in tables(answer.data, "files"))

    async def shares(self, file_ids: Sequence[str], *, channel: str) -> tuple[Share, ...]:
        """Wait, at most nine seconds, until every file is shared in `channel`; those that are by then."""
        found: dict[str, Share] = {}
        for wait in (*_WAITS_S, None):
            for file_id in file_ids:
                if file_id in found:
                    continue
                for place, share in await self.everywhere(file_id):
                    if place == channel:
                        found[file_id] = share
            if len(found) == len(file_ids) or wait is None:
                break
            await self._pause(wait)
        return tuple(found[file_id] for file_id in file_ids if file_id in found)

    async def everywhere(self, file_id: str) -> tuple[tuple[str, Share], ...]:
        """Every (channel, share) of a file, as far as Slack tells."""
        file = await self._info(file_id)
        return tuple(
            (channel, Share(file_id=file_id, ts=ts, thread_ts=word(share, "thread_ts")))
            for kind in ("public", "private")
            for channel in table(file, "shares", kind)
            for share in tables(file, "shares", kind, channel)
            if (ts := word(share, "ts"))
        )

    async def _list(self, *, user: str, ts_from: str, page: int) -> Payload:
        try:
            answer = await self._client.files_list(user=user, ts_from=ts_from, count=100, page=page)
        except SlackApiError as error:
            if not passes(error):
                log.warning(
                    "files cannot be listed (%s): a crash may post a picture twice", error_code(error)
                )
                raise _CannotListError from None
            raise
        return answer.data if isinstance(answer.data, dict) else {}

    async def _info(self, file_id: str) -> Payload:
        try:
            answer = await self._client.files_info(file=file_id)
        except SlackApiError as error:
            if not passes(error):  # not known there yet, or not for us to read
                return {}
            raise translate(error) from error
        except UNREACHABLE as error:
            raise translate(error) from error
        return table(answer.data, "file")


class _CannotListError(Exception):
    """This token may not list files."""


def file_names(images: Sequence[ImageFile], key: str) -> tuple[str, ...]:
    """A name for each picture that no other delivery's picture has."""
    digest = hashlib.sha256(key.encode(errors="replace")).hexdigest()[:12]
    names: list[str] = []
    for number, image in enumerate(images, 1):
        path = PurePath(image.name)
        names.append(f"{plain(path.stem, 60) or 'verso'}-{digest}-{number}{path.suffix or '.png'}")
    return tuple(names)
