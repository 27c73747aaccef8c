"""Time stamps: asked of a real authority on this machine, judged by two implementations and by OpenSSL."""

from __future__ import annotations

import asyncio
import base64
import json
import random
import runpy
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from attribution import timestamp
from attribution.errors import TimestampError
from attribution.standalone import verify as standalone
from attribution.timestamp import TimestampAuthority

MESSAGE = b"verso/0123456789abcdef\n7\n"
AUTHORITY = runpy.run_path(str(Path(__file__).with_name("authority.py")))
VECTOR = json.loads((Path(__file__).parents[2] / "vectors" / "timestamp-v1.json").read_text())
Authority, OPENSSL = (AUTHORITY[name] for name in ("Authority", "OPENSSL"))
real = pytest.mark.skipif(OPENSSL is None, reason="needs the openssl program")


@pytest.fixture
async def serve() -> AsyncIterator[object]:
    servers = []

    async def start(handler: object) -> str:
        app = web.Application()
        app.router.add_post("/", handler)
        server = TestServer(app)
        await server.start_server()
        servers.append(server)
        return str(server.make_url("/"))

    yield start
    for server in servers:
        await server.close()


# -- the recorded token, which needs no openssl


def vector_token() -> bytes:
    return base64.b64decode(VECTOR["token"])


def test_a_recorded_token_verifies_for_ever() -> None:
    stamp = standalone.read_timestamp(vector_token(), VECTOR["checkpoint"].encode())
    assert stamp.at_ms == VECTOR["at_ms"]
    assert stamp.signer == "CN=Test authority"
    assert standalone.trusted_authority(stamp, f"# roots\n{VECTOR['root']}")
    assert not standalone.trusted_authority(stamp, "")
    with pytest.raises(standalone.FailedError, match="something else"):
        standalone.read_timestamp(vector_token(), VECTOR["checkpoint"].encode() + b"\n")


def test_no_altered_byte_of_what_is_signed_is_accepted() -> None:
    token, message = vector_token(), VECTOR["checkpoint"].encode()
    stamp = standalone.read_timestamp(token, message)
    for place in range(len(token)):
        altered = bytearray(token)
        altered[place] ^= 1 << (place % 8)
        try:
            other = standalone.read_timestamp(bytes(altered), message)
        except standalone.FailedError:
            continue
        # Versions and the list of digest algorithms are outside the signature, and say nothing here; so are
        # certificates besides the signer's.
        assert (other.at_ms, other.certificates[0]) == (stamp.at_ms, stamp.certificates[0]), place
    for end in random.Random(1).sample(range(len(token)), 40):
        with pytest.raises(standalone.FailedError):
            standalone.read_timestamp(token[:end], message)


@given(st.binary(max_size=200))
def test_garbage_is_refused_without_another_error(data: bytes) -> None:
    with pytest.raises(standalone.FailedError):
        standalone.read_timestamp(data, MESSAGE)


# -- a real authority


@real
@pytest.mark.parametrize(
    ("kind", "digest", "cert_digest"),
    [("ec", "sha256", "sha256"), ("rsa", "sha512", "sha1"), ("ec384", "sha384", "sha512")],
)
async def test_a_token_of_openssl_holds_for_all_three_readers(
    serve, tmp_path: Path, kind: str, digest: str, cert_digest: str
) -> None:
    authority = Authority(tmp_path / "tsa", kind=kind, digest=digest, cert_digest=cert_digest)
    client = TimestampAuthority(await serve(authority.handle), roots=authority.root_pem)
    token = await client.stamp(MESSAGE)
    stamp = standalone.read_timestamp(token, MESSAGE)
    assert standalone.trusted_authority(stamp, authority.root_pem)
    assert authority.accepts(token, MESSAGE)
    assert not authority.accepts(token, MESSAGE + b"x")
    assert MESSAGE not in authority.queries[0]  # only its digest goes out


@real
async def test_an_answer_to_another_question_is_refused(serve, tmp_path: Path) -> None:
    authority = Authority(tmp_path / "tsa")
    url = await serve(authority.handle)
    client = TimestampAuthority(url, roots=authority.root_pem)
    await client.stamp(MESSAGE)
    old = authority.reply(authority.queries[0])
    authority.answer = lambda _: old  # replayed: rightly signed, but the nonce is not ours
    with pytest.raises(TimestampError, match="does not hold") as caught:
        await client.stamp(MESSAGE)
    assert not caught.value.retryable
    authority.answer = authority.reply
    stranger = Authority(tmp_path / "stranger")
    with pytest.raises(TimestampError, match="does not hold"):
        await TimestampAuthority(url, roots=stranger.root_pem).stamp(MESSAGE)


@real
@pytest.mark.parametrize("changes", [{"usage": ExtendedKeyUsageOID.CODE_SIGNING}, {"expired": True}])
async def test_a_certificate_that_may_not_date_is_refused(serve, tmp_path: Path, changes) -> None:
    good = Authority(tmp_path / "good")
    bad = Authority(tmp_path / "bad", **changes)
    # OpenSSL refuses to sign with the first kind itself: its answer is a rejection.
    client = TimestampAuthority(await serve(bad.handle), roots=bad.root_pem + good.root_pem)
    with pytest.raises(TimestampError):
        await client.stamp(MESSAGE)


@pytest.mark.parametrize(
    ("status", "content_type", "body", "retryable"),
    [
        (503, "text/plain", b"later", True),
        (429, "text/plain", b"later", True),
        (404, "text/plain", b"gone", False),
        (302, "text/plain", b"", False),
        (200, "text/html", b"<html>", False),
        (200, "application/timestamp-reply", b"", False),
        (200, "application/timestamp-reply", b"\x30\x03\x02\x01\x02", False),
        (200, "application/timestamp-reply", b"\x30\x84\xff\xff\xff\xff" + b"x" * 100, False),
        (200, "application/timestamp-reply", b"x" * 70_000, False),
    ],
)
async def test_what_is_no_answer_is_one_error(serve, status, content_type, body, retryable) -> None:
    async def answer(_: web.Request) -> web.Response:
        headers = {"Location": "http://127.0.0.1:1/"}
        return web.Response(body=body, status=status, content_type=content_type, headers=headers)

    with pytest.raises(TimestampError) as caught:
        await TimestampAuthority(await serve(answer), roots=VECTOR["root"]).stamp(MESSAGE)
    assert caught.value.retryable is retryable


async def test_a_slow_or_absent_authority_is_given_up(serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timestamp, "TIMEOUT_S", 0.2)
    waiting = asyncio.Event()

    async def slow(_: web.Request) -> web.StreamResponse:
        await waiting.wait()
        return web.Response()

    for url in (await serve(slow), "http://127.0.0.1:9/"):
        with pytest.raises(TimestampError, match="cannot be reached") as caught:
            await TimestampAuthority(url, roots=VECTOR["root"]).stamp(MESSAGE)
        assert caught.value.retryable
    waiting.set()


@pytest.mark.parametrize("url", ["", "ftp://tsa.example/", "file:///etc/passwd", "https://u:p@tsa.example/"])
def test_only_http_addresses_are_taken(url: str) -> None:
    with pytest.raises(TimestampError, match="URL"):
        TimestampAuthority(url, roots=VECTOR["root"])


def test_an_authority_without_a_root_is_refused() -> None:
    with pytest.raises(TimestampError, match="root"):
        TimestampAuthority("https://tsa.example/", roots="none")
