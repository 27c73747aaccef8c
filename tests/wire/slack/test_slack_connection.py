"""Socket Mode, signed HTTP, tokens that are refused, and who may knock."""

from __future__ import annotations

import asyncio
import json

import pytest
import slack_sdk.web.async_base_client
from slack_sdk.web.async_client import AsyncWebClient

from bot.conversation import ImagineCommand
from bot.errors import ConfigurationError
from bot.platforms.slack.app import SlackPlatform

BOT = "xoxb-verso"


@pytest.fixture
def ann(workspace):
    return {"user": workspace.users["ann"], "channel": workspace.channels["art"]}


async def connected(workspace, count):
    async with asyncio.timeout(30), workspace.connected:
        await workspace.connected.wait_for(lambda: len(workspace.sockets) >= count)


async def test_socket_mode_carries_commands_clicks_forms_and_events(
    workspace, slack_platform, brain, ann, origin, finished
):
    async with slack_platform(socket_mode=True) as (platform, slack):
        await slack.send(slack.slash("/imagine", "a red apple", **ann))
        await workspace.until(lambda: len(workspace.said) == 1)
        await platform.fill(origin(), await platform.placeholder(origin(), "..."), finished, key="j1")
        buttons = {
            one["action_id"]: one for one in workspace.made("chat.update")[-1].args["blocks"][-1]["elements"]
        }
        await slack.send(slack.click(buttons["v:vary"], **ann))
        await workspace.until(lambda: len(workspace.said) == 2)
        trigger = await slack.trigger(ann["user"], BOT)
        await slack.send(slack.slash("/imagine", "", trigger=trigger, **ann))
        await workspace.until(lambda: workspace.made("views.open"))
        view = workspace.made("views.open")[0].answer["view"]
        _, refusal = await slack.send(slack.submit(view, {"prompt": {"value": ""}}, user=ann["user"]))
        assert refusal["response_action"] == "errors"
        await slack.send(slack.submit(view, {"prompt": {"value": "a pear"}}, user=ann["user"]))
        await workspace.until(lambda: len(workspace.said) == 3)
        home = {"type": "app_home_opened", "user": ann["user"], "channel": "D1", "tab": "home"}
        await slack.send(slack.event(home))
        await workspace.until(lambda: workspace.made("views.publish"))
    drawn = [command.prompt for command in brain.commands if isinstance(command, ImagineCommand)]
    assert drawn == ["a red apple", "a pear"]


async def test_socket_mode_acknowledges_first_and_drops_repeats(workspace, slack_platform, brain, ann):
    brain.gate = asyncio.Event()
    async with slack_platform(socket_mode=True) as (_platform, slack):
        payload = slack.slash("/imagine", "a red apple", **ann)
        await slack.send(payload)  # returns when acknowledged
        await slack.send(payload, retry=1)
        assert not workspace.said
        brain.gate.set()
        await workspace.until(lambda: workspace.said)
    assert len(brain.commands) == 1


@pytest.mark.parametrize("how", ["told", "dropped"])
async def test_socket_mode_connects_again(workspace, slack_platform, brain, ann, how):
    async with slack_platform(socket_mode=True) as (_platform, slack):
        if how == "told":
            await workspace.sockets[0].send_json({"type": "disconnect", "reason": "refresh_requested"})
        else:
            await workspace.sockets[0].close()
        await connected(workspace, 2)
        await slack.send(slack.slash("/imagine", "a red apple", **ann))
        await workspace.until(lambda: workspace.said)
    assert len(workspace.made("apps.connections.open")) == 2
    assert len(brain.commands) == 1


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "application/json"),
        (b"{", "application/json"),
        (b"[]", "application/json"),
        (b'{"type": 5, "event": 7}', "application/json"),
        (b'{"type": "event_callback", "event": []}', "application/json"),
        (b"payload=%7B", "application/x-www-form-urlencoded"),
        (b"payload=[]", "application/x-www-form-urlencoded"),
        (b"\xff\xfe", "application/x-www-form-urlencoded"),
        (b"[" * 100_000, "application/json"),
        (b"command=%2Fimagine&text=x", "application/x-www-form-urlencoded"),
    ],
)
async def test_malformed_requests_do_no_harm(workspace, slack_platform, brain, ann, body, kind):
    async with slack_platform() as (_platform, slack):
        status, _ = await slack.post(body, content_type=kind)
        assert status in {200, 400, 401, 404}
        await slack.send(slack.slash("/imagine", "still there", **ann))
        await workspace.until(lambda: workspace.said)
    assert [command.prompt for command in brain.commands] == ["still there"]


async def test_forged_old_and_unsigned_requests_are_refused(workspace, slack_platform, brain, ann):
    async with slack_platform() as (_platform, slack):
        payload = slack.slash("/imagine", "a red apple", **ann)
        assert (await slack.send(payload, secret="another secret"))[0] == 401
        assert (await slack.send(payload, age=3600))[0] == 401
        assert (await slack.send(payload, age=-3600))[0] == 401
        async with workspace._session.post(
            f"http://127.0.0.1:{slack.port}/slack/events", data={"command": "/imagine"}
        ) as answer:
            assert answer.status == 401
        assert (await slack.send(payload))[0] == 200  # a refused request does not use up its event
        await workspace.until(lambda: workspace.said)
    assert len(brain.commands) == 1


async def test_slack_can_verify_the_address(slack_platform):
    async with slack_platform() as (_platform, slack):
        body = json.dumps({"type": "url_verification", "challenge": "abc"})
        status, text = await slack.post(body)
    assert (status, json.loads(text)) == (200, {"challenge": "abc"})


@pytest.mark.usefixtures("workspace")
@pytest.mark.parametrize(
    ("tokens", "setting"),
    [
        ({"bot_token": "xoxb-wrong", "app_token": "xapp-verso"}, "VERSO_SLACK__BOT_TOKEN"),
        ({"bot_token": BOT, "app_token": "xapp-wrong"}, "VERSO_SLACK__APP_TOKEN"),
    ],
)
async def test_refused_tokens_name_their_setting(brain, tokens, setting):
    platform = SlackPlatform(handler=brain, **tokens)
    with pytest.raises(ConfigurationError) as caught:
        await platform.run(asyncio.Event())
    assert caught.value.setting == setting
    assert "wrong" not in str(caught.value)


@pytest.mark.parametrize("tokens", [{"bot_token": "", "app_token": "a"}, {"bot_token": BOT}])
def test_missing_tokens_are_told_at_once(brain, tokens):
    with pytest.raises(ConfigurationError, match=r"VERSO_SLACK__|bot token"):
        SlackPlatform(handler=brain, **tokens)


async def test_a_taken_port_is_a_configuration_error(workspace, brain):
    platform = SlackPlatform(bot_token=BOT, handler=brain, signing_secret="s", port=workspace.port)
    with pytest.raises(ConfigurationError, match="cannot listen"):
        await platform.run(asyncio.Event())


async def test_slack_may_be_away_when_the_bot_starts(workspace, slack_platform):
    workspace.fail("auth.test", "internal_error")
    async with slack_platform() as (platform, _slack):
        assert platform.listening.is_set()
    assert len(workspace.made("auth.test")) == 1


async def test_stopping_while_slack_is_away(workspace, brain):
    workspace.fail("auth.test", "internal_error", times=100)
    stop = asyncio.Event()
    platform = SlackPlatform(bot_token=BOT, handler=brain, app_token="xapp-verso")
    task = asyncio.create_task(platform.run(stop))
    await workspace.until(lambda: any(call.method == "auth.test" for call in workspace.calls))
    stop.set()
    await task
    assert workspace.sockets == []


async def test_a_changed_default_of_the_sdk_redirects_too(workspace, brain, monkeypatch):
    monkeypatch.setattr(AsyncWebClient, "BASE_URL", "https://slack.com/api/")
    init = slack_sdk.web.async_base_client.AsyncBaseClient.__init__
    monkeypatch.setattr(
        init,
        "__defaults__",
        tuple(
            f"{workspace.url}/api/" if value == "https://slack.com/api/" else value
            for value in init.__defaults__
        ),
    )
    platform = SlackPlatform(bot_token=BOT, handler=brain, app_token="xapp-verso")
    assert await platform._who_am_i() == "U0VERSO"


def test_the_manifest_names_what_the_code_listens_to(manifest):
    commands = {one["command"] for one in manifest["features"]["slash_commands"]}
    assert commands == {"/imagine", "/verso"}
    assert [one["callback_id"] for one in manifest["features"]["shortcuts"]] == ["who_made", "describe"]
    events = set(manifest["settings"]["event_subscriptions"]["bot_events"])
    assert events == {"app_home_opened", "app_uninstalled", "tokens_revoked"}
    assert manifest["settings"]["socket_mode_enabled"]
    assert set(manifest["oauth_config"]["scopes"]) == {"bot"}
