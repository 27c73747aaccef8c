"""Asks an image server with OpenAI's interface (API reference, "Images"), and believes nothing it answers.

Every body has a limit, redirects are refused, a picture's address is fetched from the same server alone, and
certificates are verified. Neither prompts nor keys nor the server's own words go into errors: its words might
quote the prompt.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import email.utils
import json
import logging
import random
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final
from urllib.parse import urljoin

import aiohttp
from pydantic import SecretStr

from generation.errors import ImageServerError
from generation.image_server import ImageServer

Value = str | int | float
Body = Callable[[], Mapping[str, object] | aiohttp.FormData]
"""Makes the body anew for each attempt: a form can be sent once."""

TRIES: Final = 4
_CONNECT_S: Final = 10.0
_LISTING_S: Final = 5.0
_FIRST_PAUSE_S: Final = 1.0
_ERROR_BYTES: Final = 64 * 1024
_LISTING_BYTES: Final = 4 * 1024 * 1024
_CHUNK: Final = 64 * 1024
_BUSY: Final = frozenset({429, 503})
_PASSING: Final = frozenset({408, 425, 500, 502, 504})  # another attempt of the job may get through
_ERROR_CODE: Final = re.compile(r"[a-z][a-z0-9_.-]{0,63}")

_log = logging.getLogger(__name__)


class _BusyError(Exception):
    """The server cannot now; `wait_s` is what it asks for."""

    def __init__(self, reason: str, wait_s: float | None = None) -> None:
        super().__init__(reason)
        self.reason, self.wait_s = reason, wait_s


class ImageClient:
    """Asks one server. Lives on one event loop, and connects with the first request."""

    def __init__(
        self,
        server: ImageServer,
        *,
        key: SecretStr | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._server, self._key, self._sleep = server, key, sleep
        self._turn = asyncio.Semaphore(server.in_flight)
        self._session: aiohttp.ClientSession | None = None

    async def generate(self, values: Mapping[str, Value]) -> bytes:
        """A picture's file for a prompt; `values` are the fields beside `model`, `n` and `response_format`.

        Raises:
            ImageServerError: there is none; `retryable` says whether asking again may help.
        """
        return await self._draw("images/generations", lambda: self._values(values))

    async def edit(self, values: Mapping[str, Value], *, image: bytes, mask: bytes | None = None) -> bytes:
        """A picture's file drawn from another; both files are PNGs.

        Raises:
            ImageServerError: as `generate`.
        """

        def form() -> aiohttp.FormData:
            data = aiohttp.FormData({name: str(value) for name, value in self._values(values).items()})
            data.add_field("image", image, filename="image.png", content_type="image/png")
            if mask is not None:
                data.add_field("mask", mask, filename="mask.png", content_type="image/png")
            return data

        return await self._draw("images/edits", form)

    async def models(self) -> tuple[str, ...]:
        """The names of the models that the server lists.

        Raises:
            ImageServerError: it does not answer as such a server does.
        """
        try:
            async with asyncio.timeout(_LISTING_S):
                document = await self._json("GET", "models", None, most=_LISTING_BYTES)
        except TimeoutError:
            raise ImageServerError("does not answer in time", retryable=True) from None
        except _BusyError as busy:
            raise ImageServerError(busy.reason, retryable=True) from None
        entries = document.get("data") if isinstance(document, dict) else None
        if not isinstance(entries, list):
            raise ImageServerError("lists no models")
        names = (entry.get("id") for entry in entries if isinstance(entry, dict))
        return tuple(name for name in names if isinstance(name, str))

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    def _values(self, values: Mapping[str, Value]) -> dict[str, Value]:
        return {"model": self._server.model, "n": 1, "response_format": "b64_json", **values}

    async def _draw(self, path: str, body: Body) -> bytes:
        async with self._turn:
            try:
                async with asyncio.timeout(self._server.timeout_s) as limit:
                    document = await self._patiently(path, body, until=limit.when())
                    return await self._picture(document)
            except TimeoutError:
                reason = f"has not drawn the picture in {self._server.timeout_s:g} s"
                raise ImageServerError(reason, retryable=True) from None
            except _BusyError as busy:
                raise ImageServerError(busy.reason, retryable=True) from None

    async def _patiently(self, path: str, body: Body, *, until: float | None) -> object:
        """Ask, and ask again while the server is busy or not there yet."""
        loop = asyncio.get_running_loop()
        for attempt in range(1, TRIES + 1):
            try:
                return await self._json("POST", path, body(), most=self._server.max_bytes)
            except _BusyError as busy:
                backoff = _FIRST_PAUSE_S * 2 ** (attempt - 1) * random.uniform(0.75, 1.25)
                pause = backoff if busy.wait_s is None else busy.wait_s
                if attempt == TRIES or (until is not None and loop.time() + pause > until):
                    raise
                _log.info("an image server %s; asked again in %.1f s", busy.reason, pause)
                await self._sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    async def _json(
        self, method: str, path: str, body: Mapping[str, object] | aiohttp.FormData | None, *, most: int
    ) -> object:
        url = f"{self._server.base_url}/{path}"
        sent = (
            {"data": body} if isinstance(body, aiohttp.FormData) else {} if body is None else {"json": body}
        )
        data = await self._fetch(method, url, kind="application/json", most=most, sent=sent)
        try:
            document: object = json.loads(data)
        except (ValueError, RecursionError):
            raise ImageServerError("answers with damaged JSON") from None
        return document

    async def _picture(self, document: object) -> bytes:
        """The one picture of an answer."""
        entries = document.get("data") if isinstance(document, dict) else None
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise ImageServerError("answers without pictures")
        if len(entries) != 1:
            raise ImageServerError(f"answers with {len(entries)} pictures instead of one")
        encoded, url = entries[0].get("b64_json"), entries[0].get("url")
        if isinstance(encoded, str):
            try:
                return base64.b64decode(encoded, validate=True)
            except (binascii.Error, ValueError):
                raise ImageServerError("answers with damaged base64") from None
        if not isinstance(url, str):
            raise ImageServerError("answers without pictures")
        try:
            address = urljoin(f"{self._server.base_url}/", url)
        except ValueError:
            address = ""
        if not self._server.serves(address):
            raise ImageServerError("answers with an address on another server, which is not fetched")
        return await self._fetch("GET", address, kind="image/", most=self._server.max_bytes, sent={})

    async def _fetch(
        self, method: str, url: str, *, kind: str, most: int, sent: Mapping[str, object]
    ) -> bytes:
        """One exchange; the body of a good answer."""
        try:
            request = self._open().request(method, url, allow_redirects=False, **sent)  # type: ignore[arg-type]
            async with request as answer:
                if answer.status == 200:
                    return await _body(answer, kind=kind, most=most)
                raise await _refusal(answer)
        except aiohttp.ClientSSLError:
            raise ImageServerError("shows a certificate that cannot be trusted") from None
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
            raise _BusyError("cannot be reached") from None
        except (aiohttp.InvalidURL, ValueError):
            raise ImageServerError("has an address that cannot be asked") from None
        except aiohttp.ClientError as error:
            raise ImageServerError(f"broke off ({type(error).__name__})", retryable=True) from None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            headers = {"User-Agent": "verso", "Accept-Encoding": "identity"}
            if self._key is not None:
                headers["Authorization"] = f"Bearer {self._key.get_secret_value()}"
            self._session = aiohttp.ClientSession(
                headers=headers,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,  # a small body could become a huge one
                trust_env=False,
            )
        return self._session


async def _body(answer: aiohttp.ClientResponse, *, kind: str, most: int) -> bytes:
    media = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if not (media.startswith(kind) if kind.endswith("/") else media == kind):
        raise ImageServerError(f"answers with something else than {kind.rstrip('/')}")
    if answer.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise ImageServerError("compresses its answer, which was not asked for")
    if (answer.content_length or 0) > most:
        raise ImageServerError(f"answers with more than {most} bytes")
    data = bytearray()
    async for chunk in answer.content.iter_chunked(_CHUNK):
        data += chunk
        if len(data) > most:
            raise ImageServerError(f"answers with more than {most} bytes")
    return bytes(data)


async def _refusal(answer: aiohttp.ClientResponse) -> Exception:
    """What an answer other than 200 means."""
    status = answer.status
    if status in _BUSY:
        return _BusyError(f"is busy (HTTP {status})", _wait_s(answer.headers.get("Retry-After", "")))
    if 300 <= status < 400:
        return ImageServerError(f"sends us elsewhere (HTTP {status}), which is not followed")
    if status in {401, 403}:
        return ImageServerError(f"refuses the API key (HTTP {status})")
    code = await _code(answer)
    return ImageServerError(f"refuses (HTTP {status}{code})", retryable=status in _PASSING)


async def _code(answer: aiohttp.ClientResponse) -> str:
    """The error's code, such as content_policy_violation; never its message."""
    try:
        document = json.loads(await _body(answer, kind="application/json", most=_ERROR_BYTES))
        code = document["error"]["code"]
    except (ImageServerError, ValueError, RecursionError, LookupError, TypeError):
        return ""
    return f", {code}" if isinstance(code, str) and _ERROR_CODE.fullmatch(code) else ""


def _wait_s(value: str) -> float | None:
    """What `Retry-After` asks for: seconds, or a date (RFC 9110, section 10.2.3)."""
    if re.fullmatch(r"[0-9]{1,9}", value.strip()):
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None
