"""Fetches a picture that somebody uploaded to Slack, for "Who made this?".

Only file objects that Slack itself put into a payload or an answer are fetched, only from Slack's hosts (or
from the host that the Web API lives on), without following redirects, and only so many bytes. Addresses that
a person typed, previews of links and files hosted elsewhere are never fetched.
"""

from __future__ import annotations

from urllib.parse import urlsplit

import aiohttp
from slack_sdk.web.async_client import AsyncWebClient

from bot.errors import PlatformError, PlatformForbiddenError
from bot.platforms.slack.failures import translated
from bot.platforms.slack.payload import Payload, flag, table, tables, word

MAX_PICTURES = 4  # looked up per click
MAX_BYTES = 20 * 1024 * 1024
_TIMEOUT = aiohttp.ClientTimeout(total=60, sock_connect=10)
_CHUNK = 64 * 1024
_HOSTS = ("slack.com", "slack-files.com", "slack-gov.com")


def pictures_of(message: Payload) -> tuple[Payload, ...]:
    """The file objects of a message that may be pictures, at most four, uploaded ones and ones in blocks."""
    shown = [
        table(block, "slack_file") for block in tables(message, "blocks") if word(block, "type") == "image"
    ]
    found: dict[str, Payload] = {}
    for file in (*tables(message, "files"), *shown):
        kind = word(file, "mimetype")
        if word(file, "id") and not _hosted_elsewhere(file) and (not kind or kind.startswith("image/")):
            found.setdefault(word(file, "id"), file)
    return tuple(found.values())[:MAX_PICTURES]


async def fetch(client: AsyncWebClient, file: Payload, *, limit: int = MAX_BYTES) -> bytes:
    """The bytes of an uploaded picture.

    Raises:
        PlatformForbiddenError: the file is no picture, too large, hosted elsewhere, or not readable.
        PlatformError: Slack cannot be reached.
    """
    if not word(file, "url_private"):  # blocks and Slack Connect messages carry the id only
        with translated():
            answer = await client.files_info(file=word(file, "id"))
        file = table(answer.data, "file")
    url = word(file, "url_private_download") or word(file, "url_private")
    if _hosted_elsewhere(file) or not _is_slack(url, client.base_url):
        raise PlatformForbiddenError("I look only at pictures that were uploaded to Slack")
    with translated():
        return await _read(client, url, limit)


async def _read(client: AsyncWebClient, url: str, limit: int) -> bytes:
    data = bytearray()
    headers = {"Authorization": f"Bearer {client.token}"}
    async with (
        aiohttp.ClientSession(timeout=_TIMEOUT, headers=headers) as session,
        session.get(url, allow_redirects=False, proxy=client.proxy, ssl=client.ssl or True) as answer,
    ):
        if answer.status in {401, 403, 404} or 300 <= answer.status < 400:
            raise PlatformForbiddenError("I may not read that file: is it in a channel that I am in?")
        if answer.status != 200:
            raise PlatformError(f"Slack did not hand out the file (status {answer.status})")
        if not answer.content_type.startswith("image/"):
            raise PlatformForbiddenError("that file is no picture")
        async for chunk in answer.content.iter_chunked(_CHUNK):
            data += chunk
            if len(data) > limit:
                raise PlatformForbiddenError(f"that picture is larger than {limit // 2**20} MiB")
    return bytes(data)


def _hosted_elsewhere(file: Payload) -> bool:
    return flag(file, "is_external") or word(file, "mode") == "external"


def _is_slack(url: str, base_url: str) -> bool:
    try:
        parts, base = urlsplit(url), urlsplit(base_url)
    except ValueError:
        return False
    host = (parts.hostname or "").lower()
    if parts.username or parts.password or not host:
        return False
    if parts.scheme == "https" and any(host == one or host.endswith("." + one) for one in _HOSTS):
        return True
    return parts.scheme == base.scheme and host == (base.hostname or "").lower()
