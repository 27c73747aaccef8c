"""A small desk that answers commands, and a platform in front of it, on a simulated Discord."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import discord
import pytest
import yarl

from bot.conversation import Command, Origin, Progress, Reply
from bot.platforms.discord import DiscordPlatform


@dataclass
class Desk:
    """A handler: remembers what it was asked and answers what the test says."""

    answer: Reply | Callable[[Command], Reply] = field(default_factory=lambda: Reply(text="Done."))
    asked: list[Command] = field(default_factory=list)

    async def __call__(self, command: Command) -> Reply:
        self.asked.append(command)
        return self.answer if isinstance(self.answer, Reply) else self.answer(command)

    @property
    def last(self) -> Command:
        return self.asked[-1]


@dataclass
class Clock:
    """Both clocks of the platform; they move when a test moves them."""

    seconds: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def build_platform(desk: Desk, clock: Clock, tmp_path: Path) -> Callable[..., DiscordPlatform]:
    """Make a platform as a fresh process would: same files, same handler."""

    def build(**options: object) -> DiscordPlatform:
        values = {
            "handle": desk,
            "command_state": tmp_path / "commands.json",
            "now": clock,
            "monotonic": clock,
            **options,
        }
        return DiscordPlatform("test-token", **values)

    return build


@pytest.fixture
def platform(build_platform) -> DiscordPlatform:
    return build_platform()


@pytest.fixture
def simcord_bot(platform):
    return platform.client


@pytest.fixture
def town(simcord_env) -> SimpleNamespace:
    """A server with one channel and two members; Ada asks, Bo only clicks."""
    guild = simcord_env.create_guild()
    channel = guild.create_text_channel("art")
    ada = guild.add_member(simcord_env.create_user("ada"))
    bo = guild.add_member(simcord_env.create_user("bo"))
    return SimpleNamespace(env=simcord_env, guild=guild, channel=channel, ada=ada, bo=bo)


@pytest.fixture
def progress() -> Callable[..., Progress]:
    def a_progress(**values: object) -> Progress:
        return Progress(**{"job_id": "0123456789abcdef", "text": "Drawing", **values})

    return a_progress


@pytest.fixture
def origin_of(desk: Desk) -> Callable[[], Origin]:
    """The origin of the last command, as the outbox reads it back from its row."""

    def last() -> Origin:
        return Origin.from_bytes(desk.last.origin.to_bytes())

    return last


def _sibling(name: str):
    """Load a helper beside this file: test folders are not packages."""
    spec = importlib.util.spec_from_file_location(f"discord_{name}", Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def contract():
    return _sibling("contract").Contract()


@pytest.fixture
async def discord_standin(contract, monkeypatch):
    """A Discord on the loopback, to which the SDK is redirected from outside."""
    module = _sibling("standin")
    server = module.StandIn(contract.problems)
    await server.start()
    monkeypatch.setattr(discord.http.Route, "BASE", f"{server.base}/api/v10")
    monkeypatch.setattr(discord.gateway.DiscordWebSocket, "DEFAULT_GATEWAY", yarl.URL(server.gateway))
    yield server
    await server.close()


@pytest.fixture
def serve(discord_standin, build_platform):
    """Run a platform against the stand-in for the length of a block."""

    @contextlib.asynccontextmanager
    async def serving(**options: object) -> AsyncIterator[DiscordPlatform]:
        stop = asyncio.Event()
        platform = build_platform(**options)
        running = asyncio.create_task(platform.run(stop))
        online = asyncio.create_task(discord_standin.online())
        try:
            await asyncio.wait({running, online}, return_when=asyncio.FIRST_COMPLETED)
            await (running if running.done() else online)
            yield platform
        finally:
            online.cancel()
            stop.set()
            await running

    return serving
