"""Shows checkpoints of the ledger to the public on a schedule: in a file, in channels, to an authority.

A checkpoint that others hold is what a rewritten history is caught by. Each place gets the newest one every
few hours, and only when the ledger has grown; after a restart, and beside other processes, each one once.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path

from attribution import checkpoint_file
from attribution.checkpoint import Checkpoint, parse_checkpoint, parse_note
from attribution.errors import TimestampError
from attribution.publications import MAX_PLACE, Publication, Publications
from attribution.timestamp import TimestampAuthority
from bot.conversation import Origin, Reply
from bot.errors import PlatformError
from bot.platforms.base import Platform
from bot.usecases.request import now_ms

log = logging.getLogger(__name__)

FILE = "file"
LEASE_MS = 120_000  # longer than any attempt takes
RETRY_MS = 600_000


class Publisher:
    """Publishes what is due."""

    def __init__(
        self,
        publications: Publications,
        *,
        file: Path,
        channels: Mapping[str, tuple[str, str]],
        platforms: Mapping[str, Platform],
        authority: TimestampAuthority | None,
        period_ms: int,
    ) -> None:
        """`channels`: name of the place -> workspace and channel; `period_ms` 0: only on demand."""
        self._publications = publications
        self._file, self._channels, self._platforms = file, channels, platforms
        self._authority, self._period_ms = authority, period_ms

    async def send(self, *, now: bool = False) -> tuple[str, ...]:
        """Publish wherever it is due; `now` does not wait for the period. Gives the places that were reached.

        A place that fails is tried again later, and never keeps the others from being reached.

        Raises:
            LedgerError: the stored head is damaged.
        """
        if not self._period_ms and not now:
            return ()
        places = [FILE, *self._channels, *([_place_of(self._authority)] if self._authority else [])]
        return tuple([place for place in places if await self._send(place, now=now)])

    async def _send(self, place: str, *, now: bool) -> bool:
        platform = None
        if place in self._channels:
            platform = self._platforms.get(self._channels[place][0].partition(":")[0])
            if platform is None:  # another process serves that platform
                return False
        publication = await self._publications.claim(
            place, now_ms=now_ms(), period_ms=0 if now else self._period_ms, lease_ms=LEASE_MS
        )
        if publication is None:
            return False
        token = None
        try:
            if platform is not None:
                await self._post(platform, publication)
            elif self._authority is not None and place == _place_of(self._authority):
                token = await self._stamp(self._authority, publication)
            else:
                await self._append(publication.note)
        except (PlatformError, TimestampError, OSError) as error:
            reason = getattr(error, "code", None) or type(error).__name__
            log.warning("a checkpoint could not be published (%s): %s", place, reason)
            pause = RETRY_MS if getattr(error, "retryable", True) else max(self._period_ms, RETRY_MS)
            await self._publications.postpone(publication, until_ms=now_ms() + pause)
            return False
        await self._publications.done(publication, now_ms=now_ms(), token=token)
        return True

    async def _append(self, note: str, *, authority: str = "", token: bytes | None = None) -> None:
        await asyncio.to_thread(
            checkpoint_file.append,
            self._file,
            note,
            published_ms=now_ms(),
            authority=authority,
            token=token,
        )

    async def _post(self, platform: Platform, publication: Publication) -> None:
        workspace, channel = self._channels[publication.place]
        key = f"checkpoint:{publication.place}:{publication.tree_size}"  # a repeat is the same message
        origin = Origin(
            platform=platform.name,
            workspace_id=workspace,
            channel_id=channel,
            user_id="",
            event_id=key,
        )
        await platform.fill(origin, None, checkpoint_reply(publication.note), key=key)

    async def _stamp(self, authority: TimestampAuthority, publication: Publication) -> bytes:
        token = await authority.stamp(publication.note.encode())
        await self._append(publication.note, authority=authority.url, token=token)
        return token


def checkpoint_reply(note: str) -> Reply:
    """The message that shows a checkpoint."""
    head: Checkpoint = parse_checkpoint(parse_note(note).text)
    return Reply(
        title=f"Ledger checkpoint at size {head.tree_size:,}",
        text=f"Kept elsewhere, this text shows whether the record was rewritten later.\n\n{note}",
        private=False,
    )


def _place_of(authority: TimestampAuthority) -> str:
    place = f"rfc3161:{authority.url}"
    if len(place) <= MAX_PLACE:
        return place
    return f"rfc3161:{hashlib.sha256(authority.url.encode()).hexdigest()}"
