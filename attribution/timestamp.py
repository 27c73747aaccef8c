"""Time stamps of outside authorities over checkpoints: RFC 3161, with the HTTP transport of its section 3.4.

What an authority answers is judged by the script that goes into every evidence bundle, so that nothing is
kept that strangers could not check, and against the root certificates that the operator named. An authority
that the operator runs proves nothing against the operator.
"""

from __future__ import annotations

import asyncio
import secrets
from urllib.parse import urlsplit

import aiohttp

from attribution.errors import TimestampError
from attribution.standalone import verify as standalone

TIMEOUT_S = 15.0
MAX_RESPONSE = standalone.MAX_TOKEN + 1024  # bytes
_QUERY, _REPLY = "application/timestamp-query", "application/timestamp-reply"


class TimestampAuthority:
    """One authority, reached over HTTP."""

    def __init__(self, url: str, *, roots: str) -> None:
        """`roots`: certificates (PEM) that the authority's have to lead to.

        Raises:
            TimestampError: the URL is no HTTP URL, or there is no root.
        """
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username:
            raise TimestampError("the address of a time-stamping authority is an http or https URL")
        if not standalone.trusted_certificates(roots):
            raise TimestampError("a time-stamping authority needs a root certificate to be judged by")
        self.url = url
        self._roots = roots

    async def stamp(self, message: bytes) -> bytes:
        """Ask for a time stamp over `message`; gives the token (DER) once it holds.

        Only the SHA-256 of the message and a nonce leave this machine.

        Raises:
            TimestampError: the authority cannot be reached, refuses, or its answer does not hold.
        """
        nonce = secrets.randbits(63) + 1
        answer = await self._post(standalone.timestamp_request(message, nonce))
        return await asyncio.to_thread(self._checked, answer, message, nonce)

    async def _post(self, query: bytes) -> bytes:
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        headers = {"Content-Type": _QUERY, "Accept": _REPLY}
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout, auto_decompress=False) as session,
                session.post(self.url, data=query, headers=headers, allow_redirects=False) as response,
            ):
                if response.status != 200 or response.content_type != _REPLY:
                    raise TimestampError(
                        f"the authority answered {response.status} {response.content_type[:80]}",
                        retryable=response.status >= 500 or response.status == 429,
                    )
                answer = bytearray()
                async for chunk in response.content.iter_any():
                    answer += chunk
                    if len(answer) > MAX_RESPONSE:
                        raise TimestampError("the authority's answer is too large")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            reason = type(error).__name__
            raise TimestampError(f"the authority cannot be reached ({reason})", retryable=True) from error
        return bytes(answer)

    def _checked(self, answer: bytes, message: bytes, nonce: int) -> bytes:
        try:
            token = standalone.timestamp_token(answer)
            stamp = standalone.read_timestamp(token, message)
        except standalone.FailedError as error:
            raise TimestampError(f"the authority's answer does not hold: {error}") from error
        if stamp.nonce != nonce:
            raise TimestampError("the authority's answer does not hold: it is to another request")
        if not standalone.trusted_authority(stamp, self._roots):
            raise TimestampError(f"the authority's answer does not hold: no root vouches for {stamp.signer}")
        return token
