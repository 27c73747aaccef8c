"""The unmodified SDK over real sockets, every request judged by Discord's own document."""

from __future__ import annotations

import asyncio
import dataclasses
import json

import pytest

from bot.conversation import Button, ButtonCommand, Field, ImageFile, Origin, Reply, WhoMadeCommand
from bot.errors import ConfigurationError, PlatformError, PlatformRateLimitError
from bot.platforms.discord import platform as module

PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 64


async def test_a_picture_from_the_first_word_to_the_last_button(
    discord_standin, serve, desk, clock, progress
):
    server = discord_standin
    async with serve() as platform:
        desk.answer = Reply(text="You are first.")
        asked = await server.slash("imagine", prompt="a red apple", count=4, seed=7)
        private = await server.answered(asked)
        assert private["content"] == "You are first."
        origin = Origin.from_bytes(desk.last.origin.to_bytes())
        assert (origin.locale, origin.age_restricted, origin.user_name) == ("de", True, "Ada")
        assert origin.roles == (server.ROLE,)

        post = await platform.placeholder(origin, "Ada asked for @everyone")
        await platform.update(post, progress(fraction=0.5, preview=PNG, eta_s=3.0))
        await platform.fill(origin, post, _result(), key="job-1")
        message = server.messages[json.loads(post)["message"]]
        assert [file["description"] for file in message["attachments"]] == [f"Apple {i}" for i in range(4)]
        assert server.blobs[message["attachments"][3]["id"]] == PNG + b"3"
        assert message["embeds"][0]["title"] == "a red apple"

        clicked = await server.click(message, "v:vary:i0")
        await server.answered(clicked)
        assert isinstance(desk.last, ButtonCommand)

        asking = await server.click(message, "v:appeal?:i0")
        modal = await server.until(
            lambda: [r.body for r in server.sent("POST", f"/interactions/{asking['id']}/.*")]
        )
        assert modal[0]["type"] == 9
        submitted = await server.interact(5, _submission(modal[0]["data"], "It is an apple."))
        await server.answered(submitted)
        assert (desk.last.name, desk.last.target, desk.last.text) == ("appeal", "i0", "It is an apple.")

        desk.answer = Reply(text="", fields=(Field(label="sticker-v1", value="small"),))
        typing = await server.interact(4, _typing(server.command_id("imagine")))
        offered = await server.until(
            lambda: [r.body for r in server.sent("POST", f"/interactions/{typing['id']}/.*")]
        )
        assert offered[0]["data"]["choices"] == [{"name": "sticker-v1: small", "value": "sticker-v1"}]

        desk.answer = Reply(text="Ada asked for it.", private=False)
        found = await server.interact(2, _menu(server, message))
        await server.until(lambda: server.sent("POST", f"/webhooks/[^/]+/{found['token']}"))
        assert isinstance(desk.last, WhoMadeCommand)
        assert desk.last.image == PNG + b"0"

        clock.seconds += 900
        await platform.notify(origin, Reply(text="It was approved.", tone="good"))
        await platform.remove(post)
        assert message["id"] not in server.messages

    assert server.problems == []
    callbacks = server.sent("POST", "/interactions/.*")
    commands = [r for r in callbacks if r.body["type"] == 5]
    assert all(r.body["data"] == {"flags": 64} for r in commands)
    assert len(commands) == 4
    assert not [r for r in server.requests if "/webhooks/" in r.path and "Authorization" in r.headers]
    assert server.identifies[0]["intents"] == 1
    texts = [r.body for r in server.requests if isinstance(r.body, dict) and r.body.get("content")]
    assert texts
    assert all(body["allowed_mentions"]["parse"] == [] for body in texts)


async def test_a_click_on_a_message_that_comes_without_its_buttons(discord_standin, serve, desk):
    server = discord_standin
    async with serve():
        await server.answered(await server.slash("queue"))
        message = {**next(iter(server.messages.values())), "components": []}
        await server.answered(await server.click(message, "v:vary:i0"))
    assert (desk.last.name, desk.last.target) == ("vary", "i0")


async def test_a_private_reply_of_unknown_id_is_edited_by_its_alias(discord_standin, serve, desk):
    server = discord_standin
    async with serve() as platform:
        asked = await server.slash("queue")
        await server.answered(asked)
        origin = desk.last.origin
        token = json.dumps(json.loads(origin.token) | {"message": ""})
        await platform.notify(dataclasses.replace(origin, token=token), Reply(text="Cancelled."))
        assert server.reply(asked)["content"] == "Cancelled."
    assert server.problems == []


async def test_an_empty_acknowledgement_is_an_acknowledgement(discord_standin, serve, desk):
    server = discord_standin
    async with serve():
        server.fault("POST", "/interactions/.*", 200, {})
        asked = await server.slash("queue")
        await server.until(lambda: server.sent("PATCH", f"/webhooks/.*/{asked['token']}/.*"))
        server.fault("POST", "/interactions/.*", 200, {})
        await server.click({**_bare_message(server), "components": []}, "v:appeal?:i0")
        await server.until(
            lambda: [r for r in server.sent("POST", "/interactions/.*") if r.body["type"] == 9]
        )
    assert [command.origin.event_id for command in desk.asked] == [asked["id"]]


async def test_a_dropped_connection_resumes_and_loses_nothing(discord_standin, serve, desk):
    server = discord_standin
    async with serve():
        await server.answered(await server.slash("queue"))
        await server.drop(4000)
        missed = await server.slash("quota", live=False)
        await server.answered(missed)
        assert desk.last.what == "quota"
        assert server.resumes[0]["session_id"] == "session-1"

        await server.ask_to_reconnect()
        await server.online()
        await server.answered(await server.slash("terms"))
        assert len(server.resumes) == 2
        assert len(server.identifies) == 1
    assert server.problems == []


async def test_a_forgotten_session_identifies_again(discord_standin, serve, desk):
    server = discord_standin
    async with serve():
        server.forget_sessions = True
        await server.drop(4000)
        await server.until(lambda: len(server.identifies) == 2)
        await server.online()
        await server.answered(await server.slash("terms"))
    assert desk.last.what == "terms"


async def test_the_gateway_hears_heartbeats(discord_standin, serve):
    discord_standin.heartbeat_ms = 50
    async with serve():
        await discord_standin.until(lambda: discord_standin.heartbeats >= 2)


async def test_a_rate_limit_is_waited_out(discord_standin, serve, desk):
    server = discord_standin
    async with serve() as platform:
        await server.answered(await server.slash("queue"))
        origin = desk.last.origin
        server.fault(
            "POST",
            "/channels/.*",
            429,
            {"message": "slow down", "retry_after": 0.05, "global": False},
            {"Retry-After": "1", "Via": "1.1 google"},
        )

        post = await platform.placeholder(origin, "Soon")

        assert post is not None
        assert len(server.sent("POST", "/channels/[^/]+/messages")) == 2
        assert len([m for m in server.messages.values() if m["content"] == "Soon"]) == 1


async def test_a_refused_rate_limit_says_how_long(discord_standin, serve, desk):
    server = discord_standin
    async with serve() as platform:
        await server.answered(await server.slash("queue"))
        server.fault("POST", "/channels/.*", 429, {"message": "banned"}, {"Retry-After": "17"})
        with pytest.raises(PlatformRateLimitError) as caught:
            await platform.fill(desk.last.origin, None, _result(), key="k")
        assert caught.value.retry_after_s == 17
        server.fault(
            "POST",
            "/channels/.*",
            429,
            {"message": "later", "retry_after": 400.0, "global": False},
            {"Retry-After": "400", "Via": "1.1 google"},
        )
        with pytest.raises(PlatformRateLimitError) as caught:
            await platform.fill(desk.last.origin, None, _result(), key="k")
        assert caught.value.retry_after_s == 400


async def test_a_repeat_after_a_crash_posts_one_message(discord_standin, serve, desk):
    server = discord_standin
    async with serve() as platform:
        await server.answered(await server.slash("queue"))
        origin = desk.last.origin
        first = await platform.fill(origin, None, _result(), key="job-1")
        placed = await platform.placeholder(origin, "Soon")
    async with serve() as platform:
        assert await platform.fill(origin, None, _result(), key="job-1") == first
        assert await platform.placeholder(origin, "Soon") == placed
    assert len([m for m in server.messages.values() if m["attachments"]]) == 1
    assert server.problems == []


async def test_commands_are_registered_only_when_they_changed(discord_standin, serve, tmp_path):
    server = discord_standin
    for _ in range(2):
        async with serve():
            pass
    assert len(server.sent("PUT", "/applications/.*")) == 1

    (tmp_path / "commands.json").write_text("damaged")
    async with serve():
        pass
    assert len(server.sent("PUT", "/applications/.*")) == 2


async def test_moving_the_commands_into_one_server_removes_the_global_ones(discord_standin, serve):
    server = discord_standin
    async with serve():
        assert server.commands[""]
    async with serve(guild_id=int(server.GUILD)):
        assert server.commands[""] == []
        assert [c["name"] for c in server.commands[server.GUILD]]
        await server.answered(await server.slash("queue"))
    async with serve():
        assert server.commands[server.GUILD] == []
        assert server.commands[""]
    assert server.problems == []


async def test_a_server_that_does_not_know_the_bot_is_named(discord_standin, build_platform):
    discord_standin.fault("PUT", "/applications/.*", 403, {"message": "Missing Access", "code": 50001})
    with pytest.raises(ConfigurationError, match="Invite it there") as caught:
        await build_platform(guild_id=42).run(asyncio.Event())
    assert caught.value.setting == "VERSO_DISCORD__GUILD_ID"


async def test_commands_that_cannot_be_registered_now_do_not_stop_the_bot(discord_standin, serve, tmp_path):
    discord_standin.fault("PUT", "/applications/.*", 400, {"message": "odd", "code": 1})
    async with serve():
        assert not (tmp_path / "commands.json").exists()


async def test_a_wrong_token_is_a_configuration_error(discord_standin, build_platform):
    discord_standin.fault("GET", "/users/@me", 401, {"message": "401: Unauthorized", "code": 0})
    with pytest.raises(ConfigurationError, match="Reset Token") as caught:
        await build_platform().run(asyncio.Event())
    assert caught.value.setting == "VERSO_DISCORD__TOKEN"
    assert "test-token" not in str(caught.value)


async def test_a_token_refused_by_the_gateway_is_a_configuration_error(discord_standin, build_platform):
    running = asyncio.create_task(build_platform().run(asyncio.Event()))
    await discord_standin.online()
    await discord_standin.drop(4004)
    with pytest.raises(ConfigurationError, match="Reset Token"):
        await running


async def test_a_discord_that_is_down_is_tried_again(discord_standin, serve):
    discord_standin.fault("GET", "/users/@me", 503, {"message": "down", "code": 0})
    async with serve():
        assert len(discord_standin.sent("GET", "/users/@me")) == 2


async def test_stopping_lets_a_running_answer_finish(discord_standin, build_platform, desk):
    gate = asyncio.Event()

    async def slow(command):
        await gate.wait()
        return await desk(command)

    stop = asyncio.Event()
    running = asyncio.create_task(build_platform(handle=slow).run(stop))
    await discord_standin.online()
    asked = await discord_standin.slash("queue")
    await discord_standin.until(lambda: discord_standin.reply(asked))
    stop.set()
    await asyncio.sleep(0)
    gate.set()
    await running
    assert discord_standin.reply(asked)["content"] == "Done."


async def test_nothing_is_sent_before_the_connection_stands(build_platform, monkeypatch, progress):
    monkeypatch.setattr(module, "_CONNECT_WAIT_S", 0.01)
    origin = Origin(platform="discord", workspace_id="discord:1", channel_id="1", user_id="1", event_id="1")
    lonely = build_platform()
    with pytest.raises(PlatformError, match="not connected"):
        await lonely.fill(origin, None, _result(), key="k")
    await lonely.notify(origin, Reply(text="x"))
    await lonely.update("{}", progress())


def _result() -> Reply:
    return Reply(
        text="Ada asked for it.",
        title="a red apple",
        tone="good",
        fields=(Field(label="License", value="MIT", url="https://example.org/mit"),),
        images=tuple(
            ImageFile(
                name=f"apple-{i}.png", data=PNG + str(i).encode(), alt_text=f"Apple {i}", width=8, height=8
            )
            for i in range(4)
        ),
        buttons=(
            Button(name="vary", target="i0", label="Vary", style="primary"),
            Button(name="appeal", target="i0", label="Appeal", ask="Why should a person look at it again?"),
            Button(name="delete", target="i0", label="Delete", style="danger"),
        ),
        private=False,
    )


def _bare_message(server) -> dict[str, object]:
    return server._new_message(server.CHANNEL, {}, {})


def _submission(modal: dict[str, object], value: str) -> dict[str, object]:
    label = modal["components"][0]
    field = {"type": 4, "custom_id": label["component"]["custom_id"], "value": value}
    return {"custom_id": modal["custom_id"], "components": [{"type": 18, "component": field}]}


def _typing(command_id: str) -> dict[str, object]:
    focused = {"name": "model", "type": 3, "value": "st", "focused": True}
    return {"id": command_id, "name": "imagine", "type": 1, "options": [focused]}


def _menu(server, message: dict[str, object]) -> dict[str, object]:
    public = {key: value for key, value in message.items() if key != "pending"}
    return {
        "id": server.command_id("Who made this?"),
        "name": "Who made this?",
        "type": 3,
        "target_id": message["id"],
        "resolved": {"messages": {message["id"]: public}},
    }
