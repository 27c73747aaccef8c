"""Fetching a picture that is attached to a message: by Discord's own reference, within limits."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import aiohttp
import discord

from bot.conversation import Origin, Reply, WhoMadeCommand
from bot.platforms.discord import words

_TIMEOUT_S = 20.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Downloads:
    """Reads attachments. Addresses inside a message's text or previews are never fetched."""

    limit: int  # bytes

    async def who_made(self, origin: Origin, message: discord.Message) -> WhoMadeCommand | Reply:
        """The look-up of the first picture in a message, or the reply that says why there is none."""
        attachment = _first_picture(message)
        if attachment is None:
            return Reply(text=words.NO_PICTURE, tone="warning")
        data = await self.picture(attachment)
        return data if isinstance(data, Reply) else WhoMadeCommand(origin=origin, image=data)

    async def picture(self, attachment: discord.Attachment) -> bytes | Reply:
        """The bytes of an attachment, or the reply that says why they cannot be had."""
        too_large = Reply(
            text=words.PICTURE_TOO_LARGE.format(limit=self.limit // (1024 * 1024)), tone="warning"
        )
        if attachment.size > self.limit:
            return too_large
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                data = await attachment.read()
        except (discord.DiscordException, aiohttp.ClientError, OSError, TimeoutError):
            return Reply(text=words.DOWNLOAD_FAILED, tone="warning")
        if len(data) > self.limit:  # the size that came with the message was not true
            return too_large
        return data


def _first_picture(message: discord.Message) -> discord.Attachment | None:
    """The first attached picture, also of a forwarded message."""
    attached = [*message.attachments]
    for snapshot in message.message_snapshots:
        attached.extend(snapshot.attachments)
    for attachment in attached:
        if (attachment.content_type or "").startswith("image/") or attachment.width:
            return attachment
    return None
