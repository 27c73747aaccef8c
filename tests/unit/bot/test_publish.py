"""Publication on a schedule: a real ledger, a chat room that remembers, a stand-in for no class of ours."""

from __future__ import annotations

import json
import runpy
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy.ext.asyncio import AsyncEngine

from attribution.checkpoint import VerifierKey, open_checkpoint
from attribution.ledger import Ledger
from attribution.publications import Publications
from attribution.record import EventKind
from attribution.signing import LedgerKeys
from attribution.standalone.verify import read_timestamp
from attribution.timestamp import TimestampAuthority
from attribution.vault import Vault
from bot.composition.configured import publisher_of
from bot.conversation import Reply
from bot.errors import ConfigurationError, PlatformError, PlatformRateLimitError
from bot.settings import Settings
from bot.usecases.publish import RETRY_MS, Publisher

HELPER = runpy.run_path(str(Path(__file__).parents[1] / "attribution" / "authority.py"))
HOUR = 3_600_000
CHANNEL = "room:1:public"


@dataclass
class Room:
    """A chat platform that remembers what was posted under which key, and can be made to fail."""

    name: str = "room"
    posted: dict[str, Reply] = field(default_factory=dict)
    failure: Exception | None = None

    async def fill(self, origin, post, reply, *, key):
        assert (origin.workspace_id, origin.channel_id, post) == ("room:1", "public", None)
        if self.failure:
            raise self.failure
        self.posted.setdefault(key, reply)
        return key


@dataclass
class Clock:
    ms: int = 1_790_000_000_000

    def __call__(self) -> int:
        return self.ms


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("bot.usecases.publish.now_ms", clock)
    return clock


@pytest.fixture
def ledger(engine: AsyncEngine) -> Ledger:
    keys = LedgerKeys(origin="verso/0123456789abcdef", signer=Ed25519PrivateKey.from_private_bytes(bytes(32)))
    return Ledger(engine, keys=keys, vault=Vault(engine, vault_key=bytes(32), lookup_key=bytes(32)))


@pytest.fixture
def a_publisher(engine: AsyncEngine, tmp_path: Path):
    def build(room: Room | None = None, authority: TimestampAuthority | None = None, hours: int = 1):
        return Publisher(
            Publications(engine),
            file=tmp_path / "checkpoints.jsonl",
            channels={CHANNEL: ("room:1", "public")},
            platforms={room.name: room} if room else {},
            authority=authority,
            period_ms=hours * HOUR,
        )

    return build


def published(tmp_path: Path) -> list[str]:
    file = tmp_path / "checkpoints.jsonl"
    return [json.loads(line)["checkpoint"] for line in file.read_text().splitlines()] if file.exists() else []


async def test_file_and_channel_get_each_checkpoint_once(ledger, a_publisher, clock, tmp_path) -> None:
    room = Room()
    publisher = a_publisher(room)
    assert await publisher.send() == ()
    await ledger.append(EventKind.POSTED, subject="")
    assert await publisher.send() == ("file", CHANNEL)
    assert await publisher.send() == ()
    assert await a_publisher(room).send() == ()  # after a restart
    clock.ms += 2 * HOUR
    assert await publisher.send() == ()  # nothing was recorded meanwhile
    await ledger.append(EventKind.POSTED, subject="")
    assert await publisher.send() == ("file", CHANNEL)
    sizes = [
        open_checkpoint(note, [VerifierKey.parse(ledger.verifier_key)]).tree_size
        for note in published(tmp_path)
    ]
    assert sizes == [1, 2]
    first, second = room.posted.values()
    assert first.title == "Ledger checkpoint at size 1"
    assert second.text.endswith(published(tmp_path)[1])
    assert not second.private


async def test_a_channel_that_fails_is_tried_again_and_keeps_nobody_waiting(
    ledger, a_publisher, clock, tmp_path
) -> None:
    room = Room(failure=PlatformRateLimitError(1.0))
    await ledger.append(EventKind.POSTED, subject="")
    assert await a_publisher(room).send() == ("file",)
    room.failure = None
    await ledger.append(EventKind.POSTED, subject="")
    assert await a_publisher(room).send() == ()
    clock.ms += RETRY_MS
    assert await a_publisher(room).send() == (CHANNEL,)
    (key,) = room.posted
    assert key.endswith(":1")  # the checkpoint that failed, under its own key
    room.failure = PlatformError("no such channel")
    clock.ms += HOUR
    assert await a_publisher(room).send() == ("file",)
    assert len(published(tmp_path)) == 2


async def test_a_platform_of_another_process_is_left_to_it(ledger, a_publisher, clock) -> None:
    del clock
    await ledger.append(EventKind.POSTED, subject="")
    assert await a_publisher().send() == ("file",)
    assert await a_publisher(Room()).send() == (CHANNEL,)


async def test_a_file_that_cannot_be_written_is_tried_again(ledger, a_publisher, clock, tmp_path) -> None:
    await ledger.append(EventKind.POSTED, subject="")
    (tmp_path / "checkpoints.jsonl").mkdir()
    assert await a_publisher().send() == ()
    (tmp_path / "checkpoints.jsonl").rmdir()
    clock.ms += RETRY_MS
    assert await a_publisher().send() == ("file",)


async def test_nothing_is_published_where_the_period_is_none(ledger, a_publisher, clock) -> None:
    del clock
    await ledger.append(EventKind.POSTED, subject="")
    assert await a_publisher(hours=0).send() == ()
    assert await a_publisher(hours=0).send(now=True) == ("file",)
    assert await a_publisher(hours=0).send(now=True) == ()  # it did not grow


@pytest.fixture
async def dating(tmp_path: Path) -> AsyncIterator[object]:
    if HELPER["OPENSSL"] is None:
        pytest.skip("needs the openssl program")
    authority = HELPER["Authority"](tmp_path / "tsa")
    app = web.Application()
    app.router.add_post("/", authority.handle)
    async with TestServer(app) as server:
        yield authority, TimestampAuthority(str(server.make_url("/")), roots=authority.root_pem)


async def test_an_authority_dates_each_published_checkpoint(
    engine, ledger, a_publisher, clock, dating, tmp_path
) -> None:
    del clock
    authority, client = dating
    await ledger.append(EventKind.POSTED, subject="")
    assert await a_publisher(authority=client).send() == ("file", f"rfc3161:{client.url}")
    assert await a_publisher(authority=client).send() == ()
    found = await Publications(engine).dated(0, 1)
    assert authority.accepts(found.token, found.note.encode())
    lines = [json.loads(line) for line in (tmp_path / "checkpoints.jsonl").read_text().splitlines()]
    assert [("timestamp" in line, line["checkpoint"]) for line in lines] == [
        (False, found.note),
        (True, found.note),
    ]
    assert lines[1]["authority"] == client.url
    read_timestamp(found.token, found.note.encode())


async def test_an_authority_that_answers_nonsense_dates_nothing(
    engine, ledger, a_publisher, clock, dating
) -> None:
    authority, client = dating
    authority.answer = lambda _: b"\x30\x00"
    await ledger.append(EventKind.POSTED, subject="")
    assert await a_publisher(authority=client).send() == ("file",)
    assert await Publications(engine).dated(0, 1) is None
    authority.answer = authority.reply
    clock.ms += 2 * HOUR
    assert await a_publisher(authority=client).send() == (f"rfc3161:{client.url}",)


def test_settings_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    def settings(**values: object) -> Settings:
        return Settings(data_dir=tmp_path, _env_file=None, ledger=values)

    for values, name in (
        ({"publish_channels": frozenset({"room"})}, "VERSO_LEDGER__PUBLISH_CHANNELS"),
        ({"timestamp_url": "https://tsa.example"}, "VERSO_LEDGER__TIMESTAMP_ROOTS"),
        (
            {"timestamp_url": "https://tsa.example", "timestamp_roots": tmp_path / "none.pem"},
            "VERSO_LEDGER__TIMESTAMP_ROOTS",
        ),
    ):
        with pytest.raises(ConfigurationError) as caught:
            publisher_of(settings(**values), None, platforms={})
        assert caught.value.setting == name
