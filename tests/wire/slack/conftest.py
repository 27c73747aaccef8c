"""A Slack workspace and a Verso that talks to it, by signed HTTP or by Socket Mode."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import io
import socket
import sys
from pathlib import Path

import pytest
import yaml
from PIL import Image
from slack_sdk.web.async_client import AsyncWebClient

from bot.conversation import Button, Field, ImageFile, Origin, Reply
from bot.platforms.slack.app import SlackPlatform

HERE = Path(__file__).parent
ROOT = HERE.parents[2]


def _sibling(name):
    """Import a helper beside this file: test folders are no packages."""
    full = f"verso_slack_{name}"
    if full not in sys.modules:
        spec = importlib.util.spec_from_file_location(full, HERE / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        sys.modules[full] = module
        spec.loader.exec_module(module)
    return sys.modules[full]


emulator, workspace_, sender = _sibling("emulator"), _sibling("workspace"), _sibling("sender")


@pytest.fixture(scope="session")
def manifest():
    return yaml.safe_load((ROOT / "slack-manifest.yaml").read_text())


@pytest.fixture(scope="session")
def slack_peer(manifest):
    """The emulated Web API, and the port that the adapter will have."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    peer = emulator.Emulator(f"http://127.0.0.1:{port}", manifest["oauth_config"]["scopes"]["bot"])
    yield peer, port
    peer.close()


@pytest.fixture
async def workspace(slack_peer, monkeypatch):
    """The workspace; the SDK's base URL is redirected to it from outside."""
    peer, port = slack_peer
    peer.reset()
    async with workspace_.Workspace(port, peer.url) as slack:
        monkeypatch.setattr(AsyncWebClient, "BASE_URL", f"{slack.url}/api/")
        people = await slack.ask("users.list", emulator.WITNESS)
        slack.users = {one["name"]: one["id"] for one in people["members"]}
        channels = await slack.ask(
            "conversations.list", emulator.WITNESS, types="public_channel,private_channel"
        )
        slack.channels = {one["name"]: one["id"] for one in channels["channels"]}
        yield slack
        assert slack.problems == []


class Brain:
    """Stands where the use cases will: remembers commands, gives scripted replies."""

    def __init__(self):
        self.commands, self.reply, self.gate = [], Reply(text="Queued: number 1."), None
        self.replies, self.asked = {}, asyncio.Event()

    async def __call__(self, command):
        self.commands.append(command)
        self.asked.set()
        if self.gate is not None:
            await self.gate.wait()
        reply = self.replies.get(getattr(command, "what", type(command).__name__), self.reply)
        if isinstance(reply, Exception):
            raise reply
        return reply


@pytest.fixture
def brain():
    return Brain()


@pytest.fixture
def slack_platform(workspace, brain):
    """Builds platforms and runs them until the test ends: `await slack_platform(app_token=...)`."""

    @contextlib.asynccontextmanager
    async def build(*, socket_mode=False, **options):
        how = {"app_token": emulator.APP} if socket_mode else {"signing_secret": sender.SECRET, "port": 0}
        platform = SlackPlatform(
            bot_token=emulator.BOT, handler=options.pop("handler", brain), **how, **options
        )
        stop = asyncio.Event()
        task = asyncio.create_task(platform.run(stop))
        try:
            async with asyncio.timeout(30):
                await platform.listening.wait()
                if socket_mode:
                    async with workspace.connected:
                        await workspace.connected.wait_for(lambda: workspace.sockets)
            yield platform, sender.Sender(workspace, port=None if socket_mode else platform.port)
        finally:
            stop.set()
            await task

    return build


@pytest.fixture
def picture():
    """A small PNG."""

    def make(color=(200, 30, 30), name="verso-1.png", alt="A red apple"):
        out = io.BytesIO()
        Image.new("RGB", (16, 16), color).save(out, "PNG")
        return ImageFile(name=name, data=out.getvalue(), alt_text=alt, width=16, height=16)

    return make


@pytest.fixture
def finished(picture):
    """A finished reply as the deliver use case makes it."""
    return Reply(
        title="Your picture",
        text="a red apple <!channel> & co",
        images=(picture(),),
        fields=(Field(label="License", value="MIT", url="https://spdx.org/licenses/MIT"),),
        buttons=(
            Button(name="vary", target="i1", label="Vary 1"),
            Button(name="vary", target="i2", label="Vary 2"),
            Button(name="delete", target="j1", label="Delete", style="danger"),
            Button(name="appeal", target="d1", label="Appeal", ask="Why?"),
        ),
        private=False,
    )


@pytest.fixture
def origin(workspace):
    """Ann asks in #art."""

    def make(**changes):
        values = {
            "platform": "slack",
            "workspace_id": "slack:T000000001",
            "channel_id": workspace.channels["art"],
            "user_id": workspace.users["ann"],
            "event_id": "1.1.a",
        }
        return Origin(**(values | changes))

    return make


@pytest.fixture
def witness():
    """The token that reads everything, for looking at what was posted."""
    return emulator.WITNESS
