"""Not one byte of personal data in a posted file: searched in what Discord and Slack really received."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import importlib.util
import io
import json
import sys
import zlib
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image, PngImagePlugin

from bot.compose import open_app
from bot.platforms.discord import DiscordPlatform
from bot.serve import draw
from bot.settings import Settings

PROMPT = "a zeppelin for Quibblestone over Brindlewick"
NEGATIVE = "murksome fogbanks"
NAME = "Marlowe Vandersnoot"
# What the words of the request are besides: each one alone is looked for as well.
WORDS = ("zeppelin", "Quibblestone", "Brindlewick", "murksome", "fogbanks", "Marlowe", "Vandersnoot")
TEAM = "T000000001"
HERE = Path(__file__)


def _load(name: str, file: Path) -> ModuleType:
    """A module of the wire suite: test folders are no packages."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, file)
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


_wire = HERE.parents[1] / "wire"
_search = _load("verso_personal_data", _wire / "personal_data.py")
_discord = _load("verso_discord_peers", _wire / "discord" / "conftest.py")
contract, discord_standin = _discord.contract, _discord.discord_standin


def words() -> dict[str, str]:
    """What must not be found: what was asked as a whole and word for word, and the name."""
    return {"prompt": PROMPT, "negative prompt": NEGATIVE, "name": NAME, **{word: word for word in WORDS}}


def assert_clean(data: bytes, secrets: dict[str, str]) -> None:
    """No secret in any layer; and the layers were really read: the metadata and the manifest are there."""
    seen = "\n".join(where for where, _ in _search.layers(data))
    for part in ("tEXt", "iTXt XML:com.adobe.xmp", "caBX > cbor string", "IDAT inflated", "> base64"):
        assert part in seen
    assert _search.leaks(data, secrets) == []


# -- the search itself: what it must be able to find


def _png(*chunks: tuple[bytes, bytes], **options: object) -> bytes:
    buffer, info = io.BytesIO(), PngImagePlugin.PngInfo()
    for kind, body in chunks:
        info.add(kind, body)
    Image.new("RGB", (4, 4), "white").save(buffer, "PNG", pnginfo=info, **options)
    return buffer.getvalue()


def _box(kind: bytes, body: bytes) -> bytes:
    return (len(body) + 8).to_bytes(4, "big") + kind + body


def _exif() -> bytes:
    exif = Image.Exif()
    exif[0x013B] = NAME  # Artist
    return exif.tobytes()


HIDDEN = {
    "tEXt": _png((b"tEXt", b"parameters\x00" + PROMPT.encode())),
    "zTXt": _png((b"zTXt", b"x\x00\x00" + zlib.compress(PROMPT.encode()))),
    "iTXt": _png((b"iTXt", b"x\x00\x01\x00\x00\x00" + zlib.compress(PROMPT.encode()))),
    "UTF-16": _png((b"tEXt", b"x\x00" + PROMPT.encode("utf-16-le"))),
    "EXIF": _png(exif=_exif()),
    "XML": _png((b"tEXt", b"x\x00" + "".join(f"&#{ord(c)};" for c in PROMPT).encode())),
    "base64": _png((b"tEXt", b"x\x00" + base64.b64encode(b"asked: " + PROMPT.encode()))),
    "base64 in base64": _png((b"tEXt", b"x\x00" + base64.b64encode(base64.b64encode(PROMPT.encode())))),
    "hex": _png((b"tEXt", b"x\x00" + PROMPT.encode().hex().encode())),
    "JSON": _png((b"tEXt", b"x\x00" + "".join(f"\\u{ord(c):04x}" for c in PROMPT).encode())),
    "digest": _png((b"tEXt", b"x\x00" + hashlib.sha256(PROMPT.encode()).hexdigest().encode())),
    "short digest": _png((b"tEXt", b"x\x00" + hashlib.sha256(PROMPT.encode()).digest()[:8])),
    "number": _png((b"prVt", int("900000000000000005").to_bytes(8, "little"))),
    "manifest": _png((b"caBX", _box(b"jumb", _box(b"cbor", b"\xa1\x61a\x7f\x65a zep\x64peli\x61n\xff")))),
    "pixels": _png(),
}
HIDDEN["pixels"] = Image.frombytes("RGB", (8, 2), PROMPT.encode().ljust(48)).tobytes()


@pytest.mark.parametrize("where", HIDDEN)
def test_the_search_finds_what_is_hidden(where: str) -> None:
    secrets = {**words(), "user": "900000000000000005", "start": "a zeppelin"}
    assert _search.leaks(HIDDEN[where], secrets)


def test_the_search_finds_nothing_in_an_innocent_file() -> None:
    assert (
        _search.leaks(_png((b"tEXt", b"x\x00" + b"a red apple")), {**words(), "user": "9000000000000005"})
        == []
    )


# -- what the platforms received

USER = "900000000000000777"


@contextlib.asynccontextmanager
async def running(*work: Coroutine[None, None, None], stop: asyncio.Event) -> AsyncIterator[None]:
    """Platform, courier and engine at work until the block ends."""
    async with asyncio.TaskGroup() as tasks:
        for one in work:
            tasks.create_task(one)
        try:
            yield
        finally:
            stop.set()


def button_of(message: dict, name: str) -> str:
    """The custom id of the first button of that name."""
    rows = [row["components"] for row in message["components"]]
    return next(one["custom_id"] for row in rows for one in row if f":{name}:" in one.get("custom_id", ""))


class Discord:
    """Marlowe at a Discord that keeps what it receives."""

    def __init__(self, server) -> None:
        self.server = server
        user = {
            "id": USER,
            "username": "vandersnoot",
            "discriminator": "0",
            "avatar": None,
            "global_name": NAME,
        }
        self.member = {
            "user": user,
            "roles": [],
            "joined_at": "2026-01-01T00:00:00+00:00",
            "deaf": False,
            "mute": False,
            "flags": 0,
            "permissions": "0",
        }

    async def imagine(self) -> dict:
        options = [("prompt", 3, PROMPT), ("negative", 3, NEGATIVE), ("seed", 4, 7)]
        data = {
            "id": self.server.command_id("imagine"),
            "name": "imagine",
            "type": 1,
            "options": [{"name": name, "type": kind, "value": value} for name, kind, value in options],
        }
        return await self.server.answered(await self.server.interact(2, data, member=self.member))

    async def click(self, message: dict, name: str) -> None:
        shown = {key: value for key, value in message.items() if key != "pending"}
        data = {"component_type": 2, "custom_id": button_of(message, name)}
        await self.server.interact(3, data, member=self.member, message=shown)

    def pictures(self) -> list[dict]:
        """The messages that show finished pictures."""
        return [
            message
            for message in self.server.messages.values()
            if any(file["filename"].startswith("verso-") for file in message["attachments"])
        ]


@pytest.mark.timeout(600)
async def test_the_files_in_discord_name_nobody(discord_standin, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)  # no .env of the developer's
    server, stop, marlowe = discord_standin, asyncio.Event(), Discord(discord_standin)
    async with open_app(Settings(data_dir=tmp_path / "data")) as app:
        platform = DiscordPlatform("test-token", handle=app.handle, command_state=tmp_path / "c.json")
        app.add_platform(platform)
        async with running(platform.run(stop), app.courier.run(stop), draw(app, stop), stop=stop):
            await server.online()
            await server.until(lambda: server.commands)
            await marlowe.click(await marlowe.imagine(), "accept")
            await drawn(marlowe.pictures)
            await marlowe.click(marlowe.pictures()[0], "vary")
            await drawn(lambda: marlowe.pictures()[1:])
        (subject,) = await app.vault.people()
        assert (await app.vault.identity(subject)).name == NAME  # it could have leaked
    person = {
        "user": USER,
        "name": NAME,
        "channel": server.CHANNEL,
        "workspace": server.GUILD,
        "subject": subject,
    }
    secrets = {**words(), **person}
    received = [file for request in server.requests for file in request.files.values()]
    signed = [data for name, data in received if name.startswith("verso-")]
    assert len(signed) == 2
    for data in signed:
        assert_clean(data, secrets)
    for name, data in received:  # previews too
        assert _search.leaks(name.encode(), secrets) == []
        assert _search.leaks(data, secrets) == []
    for file in (file for message in marlowe.pictures() for file in message["attachments"]):
        # The alt text is a part of the message, which shows the words anyway; it names no person.
        assert PROMPT in file["description"]
        assert _search.leaks(file["description"].encode(), person) == []
    assert server.problems == []


@pytest.mark.timeout(600)
async def test_the_files_in_slack_name_nobody(slack_house, workspace) -> None:
    app, slack, stop = slack_house.app, slack_house.sender, asyncio.Event()
    who = {"user": workspace.users["bob"], "channel": workspace.channels["art"]}

    def cards() -> list[dict]:
        return [one.args for one in workspace.made("chat.update") if "slack_file" in json.dumps(one.args)]

    async with running(draw(app, stop), stop=stop):
        asked = slack.slash("/imagine", f"{PROMPT} --no {NEGATIVE} --seed 7", **who) | {"user_name": NAME}
        card = await slack_house.ask(asked)
        await slack.send(named(slack.click(slack_house.buttons(card)["v:accept"], ephemeral=True, **who)))
        await drawn(cards)
        await slack.send(named(slack.click(slack_house.buttons(cards()[0])["v:vary"], **who)))
        await drawn(lambda: cards()[1:])
    (subject,) = await app.vault.people()
    assert (await app.vault.identity(subject)).name == NAME
    person = {
        "user": who["user"],
        "name": NAME,
        "channel": who["channel"],
        "workspace": TEAM,
        "subject": subject,
    }
    secrets = {**words(), **person}
    sent = workspace.uploaded
    assert len(sent) == 2
    for data in sent:
        assert_clean(data, secrets)
    for call in workspace.made("files.getUploadURLExternal"):
        told = {name: value for name, value in call.args.items() if name != "alt_txt"}
        assert _search.leaks(json.dumps(told).encode(), secrets) == []
        assert PROMPT in call.args["alt_txt"]
        assert _search.leaks(call.args["alt_txt"].encode(), person) == []
    for call in workspace.made("files.completeUploadExternal"):
        assert _search.leaks(json.dumps(call.args["files"]).encode(), secrets) == []


def named(click: dict) -> dict:
    """A click of Marlowe's."""
    return click | {"user": {**click["user"], "username": NAME}}


async def drawn(what: Callable[[], list]) -> None:
    """Wait until something has come."""
    async with asyncio.timeout(400):
        while not what():  # noqa: ASYNC110 - peers of two kinds, which nobody can wait for alike
            await asyncio.sleep(0.1)
