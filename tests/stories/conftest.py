"""A whole house with a chat room at its door: the room is a stand-in, everything inside is real."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import importlib.util
import io
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image, ImageDraw
from sqlalchemy import text

from bot.compose import open_app
from bot.composition.app import App
from bot.conversation import Command, ImagineCommand, Origin, Progress, Reply
from bot.errors import PlatformError, PlatformRateLimitError
from bot.platforms.slack.app import SlackPlatform
from bot.serve import draw
from bot.settings import Settings
from generation.job import StoredImage


@dataclass
class Room:
    """A chat platform that remembers what it was told, and can be made to fail."""

    name: str = "room"
    placeholders: dict[str, str] = field(default_factory=dict)
    filled: dict[str, list[Reply]] = field(default_factory=dict)
    notices: list[tuple[Origin, Reply]] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    progress: list[Progress] = field(default_factory=list)
    rate_limits: int = 0  # fills to refuse first
    broken_removals: int = 0  # removals to fail first

    async def run(self, stop: asyncio.Event) -> None:
        await stop.wait()

    async def placeholder(self, origin: Origin, text: str) -> str | None:
        del origin
        post = f"m{len(self.placeholders) + 1}"
        self.placeholders[post] = text
        return json.dumps({"message": post})

    async def update(self, post: str, progress: Progress) -> None:
        del post
        self.progress.append(progress)

    async def fill(self, origin: Origin, post: str | None, reply: Reply, *, key: str) -> str:
        del origin
        if self.rate_limits:
            self.rate_limits -= 1
            raise PlatformRateLimitError(0.05)
        self.filled.setdefault(key, []).append(reply)
        return post or json.dumps({"message": f"new-{key}"})

    async def notify(self, origin: Origin, reply: Reply) -> None:
        self.notices.append((origin, reply))

    async def remove(self, post: str) -> None:
        if self.broken_removals:
            self.broken_removals -= 1
            raise PlatformError("out of order")
        self.removed.append(post)


@dataclass
class House:
    """An app, its room, and people who talk."""

    app: App
    room: Room
    settings: Settings
    events: int = 0

    def origin(self, user: str = "ada", *, moderator: bool = False, workspace: str = "room:1") -> Origin:
        self.events += 1
        return Origin(
            platform="room",
            workspace_id=workspace,
            channel_id="general",
            user_id=user,
            user_name=user.title(),
            event_id=f"e{self.events}",
            is_moderator=moderator,
        )

    async def say(self, command: Command) -> Reply:
        return await self.app.handle(command)

    async def imagine(self, prompt: str, *, user: str = "ada", **values: object) -> Reply:
        command = ImagineCommand(origin=self.origin(user), prompt=prompt, accept_terms=True)
        return await self.say(replace(command, **values))

    async def later(self) -> None:
        """Let the pauses of the outbox pass."""
        async with self.app.database.begin() as connection:
            await connection.execute(text("UPDATE outbox SET visible_ms = 0 WHERE done_ms IS NULL"))

    async def job_of(self, reply: Reply) -> str:
        return next(button.target for button in reply.buttons if button.name == "cancel")

    @contextlib.asynccontextmanager
    async def drawing(self) -> AsyncIterator[None]:
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(draw(self.app, stop))
            tasks.create_task(self.app.courier.run(stop))
            try:
                yield
            finally:
                stop.set()

    async def drawn(self, prompt: str, *, user: str = "ada", **values: object) -> tuple[str, Reply]:
        """Ask, wait, and return the job's id and the public reply."""
        job_id = await self.job_of(await self.imagine(prompt, user=user, **values))
        await self.app.courier.settled(job_id)
        return job_id, self.room.filled[job_id][0]


def settings_in(folder: Path, **values: object) -> Settings:
    return Settings(data_dir=folder, _env_file=None, **values)


@pytest.fixture
def settings_values() -> dict[str, object]:
    """What differs from the defaults; a file of stories may have its own."""
    return {}


@pytest.fixture
async def house(tmp_path: Path, settings_values: dict[str, object]) -> AsyncIterator[House]:
    room = Room()
    settings = settings_in(tmp_path / "data", **settings_values)
    async with open_app(settings, platforms=[room]) as app:
        yield House(app=app, room=room, settings=settings)


@pytest.fixture
def draw_by_hand() -> Callable[[App], Awaitable[str]]:
    """What a worker on another machine does: claim a job, draw, store sealed, finish. Gives the job's id."""

    async def draw_one(app: App) -> str:
        job = await app.queue.claim("worker")
        pixels = Image.new("RGB", (128, 128), (235, 240, 245))
        pen = ImageDraw.Draw(pixels)
        pen.ellipse((24, 32, 104, 112), fill=(200, 30, 30), outline=(90, 0, 0), width=4)
        pen.line((64, 36, 76, 14), fill=(90, 60, 20), width=5)
        out = io.BytesIO()
        pixels.save(out, "PNG")
        blob = await app.blobs.put(await app.vault.seal(job.user_id, out.getvalue()))
        stored = StoredImage(
            index=0,
            blob=blob,
            seed=1,
            width=pixels.width,
            height=pixels.height,
            pixels_sha256=hashlib.sha256(pixels.tobytes()).hexdigest(),
            credits=(),
            note=None,
            profile={},
        )
        await app.queue.finish(job, (stored,))
        return job.id

    return draw_one


def _slack_peers() -> ModuleType:
    """The fixtures of the wire suite: test folders are no packages."""
    name = "verso_slack_peers"
    if name not in sys.modules:
        file = Path(__file__).parents[1] / "wire" / "slack" / "conftest.py"
        spec = importlib.util.spec_from_file_location(name, file)
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


_peers = _slack_peers()
manifest, slack_peer, workspace = _peers.manifest, _peers.slack_peer, _peers.workspace
witness = _peers.witness


@dataclass
class SlackHouse:
    """The running bot behind the real Slack platform, and a sender that acts for people."""

    app: App
    workspace: object
    sender: object

    async def answer(self, payload: dict) -> dict:
        """The private answer to a payload."""
        token = payload["response_url"].rsplit("/", 1)[1]
        await self.workspace.until(lambda: self.workspace.said[token], seconds=60)
        return self.workspace.said[token][-1]

    async def ask(self, payload: dict) -> dict:
        """Send a payload; its private answer."""
        await self.sender.send(payload)
        return await self.answer(payload)

    @staticmethod
    def buttons(message: dict) -> dict[str, dict]:
        """The buttons of a message by action id."""
        found = [block["elements"] for block in message["blocks"] if block["type"] == "actions"]
        return {one["action_id"]: one for row in found for one in row}


@pytest.fixture
async def slack_house(workspace, tmp_path, monkeypatch) -> AsyncIterator[SlackHouse]:
    monkeypatch.chdir(tmp_path)  # no .env of the developer's
    stop = asyncio.Event()
    async with open_app(Settings(data_dir=tmp_path / "data")) as app:
        platform = SlackPlatform(
            bot_token=_peers.emulator.BOT, handler=app.handle, signing_secret=_peers.sender.SECRET, port=0
        )
        app.add_platform(platform)
        tasks = [asyncio.create_task(platform.run(stop)), asyncio.create_task(app.courier.run(stop))]
        async with asyncio.timeout(60):
            await platform.listening.wait()
        sender = _peers.sender.Sender(workspace, port=platform.port)
        yield SlackHouse(app=app, workspace=workspace, sender=sender)
        stop.set()
        await asyncio.gather(*tasks)


@pytest.fixture
def ann(workspace) -> dict[str, str]:
    return {"user": workspace.users["ann"], "channel": workspace.channels["art"]}
