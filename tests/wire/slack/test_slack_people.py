"""Buttons, forms behind buttons, App Home, the message shortcut, and goodbye."""

from __future__ import annotations

import json
import logging

import pytest

from bot.conversation import (
    AskCommand,
    Button,
    ButtonCommand,
    DescribeCommand,
    Reply,
    ReviewCommand,
    WhoMadeCommand,
)

BOT = "xoxb-verso"


@pytest.fixture
def ann(workspace):
    return {"user": workspace.users["ann"], "channel": workspace.channels["art"]}


@pytest.fixture
async def posted(workspace, slack_platform, origin, finished, witness):
    """A running platform that has posted a picture: (platform, sender, message, buttons by action id)."""
    async with slack_platform(moderator_groups=frozenset({"S1"})) as (platform, slack):
        post = await platform.placeholder(origin(), "...")
        await platform.fill(origin(), post, finished, key="j1")
        (message,) = (
            await workspace.ask("conversations.history", witness, channel=workspace.channels["art"])
        )["messages"]
        buttons = {one["action_id"]: one for one in message["blocks"][-1]["elements"]}
        workspace.said.clear()
        yield platform, slack, message, buttons


def answers(workspace):
    return [message for messages in workspace.said.values() for message in messages]


async def test_a_click_becomes_a_command(workspace, posted, brain, ann):
    _, slack, _, buttons = posted
    assert await slack.send(slack.click(buttons["v:vary:1"], **ann)) == (200, "")
    await workspace.until(lambda: workspace.said)
    (command,) = brain.commands
    assert isinstance(command, ButtonCommand)
    assert (command.name, command.target, command.text) == ("vary", "i2", "")


async def test_another_persons_click_is_theirs_and_answered_to_them_alone(workspace, posted, brain, ann):
    _, slack, _, buttons = posted
    before = len(workspace.made("chat.update"))
    bob = workspace.users["bob"]
    await slack.send(slack.click(buttons["v:delete"], user=bob, channel=ann["channel"]))
    await workspace.until(lambda: workspace.said)
    assert brain.commands[0].origin.user_id == bob
    assert not brain.commands[0].origin.is_moderator
    (message,) = answers(workspace)
    assert message["response_type"] == "ephemeral"
    assert message["replace_original"] is False
    assert len(workspace.made("chat.update")) == before


async def test_a_button_that_asks_opens_a_form_first(workspace, posted, brain, ann):
    _, slack, _, buttons = posted
    trigger = await slack.trigger(ann["user"], BOT)
    await slack.send(slack.click(buttons["v:appeal?"], trigger=trigger, **ann))
    await workspace.until(lambda: workspace.made("views.open"))
    assert brain.commands == []
    view = workspace.made("views.open")[0].answer["view"]
    assert view["title"]["text"] == "Appeal"
    assert view["blocks"][0]["label"]["text"] == "Why?"
    _, body = await slack.send(slack.submit(view, {"text": {"value": "  "}}, user=ann["user"]))
    assert "text" in json.loads(body)["errors"]
    form = slack.submit(view, {"text": {"value": "it is a <fruit>"}}, user=ann["user"])
    assert await slack.send(form) == (200, "")
    await slack.send(form, retry=1)
    await workspace.until(lambda: workspace.said)
    (command,) = brain.commands
    assert (command.name, command.target, command.text) == ("appeal", "d1", "it is a <fruit>")
    assert command.origin.channel_id == ann["channel"]


async def test_a_private_message_is_replaced_by_what_its_button_did(workspace, posted, ann):
    _, slack, _, buttons = posted
    await slack.send(slack.click(buttons["v:vary"], ephemeral=True, **ann))
    await workspace.until(lambda: workspace.said)
    (message,) = answers(workspace)
    assert message["replace_original"] is True


async def test_a_click_that_is_not_ours_is_ignored(workspace, posted, brain, ann):
    _, slack, _, buttons = posted
    stranger = buttons["v:vary"] | {"action_id": "other"}
    assert (await slack.send(slack.click(stranger, **ann)))[0] == 200
    await slack.send(slack.click(buttons["v:vary"], **ann))
    await workspace.until(lambda: workspace.said)
    assert len(brain.commands) == 1


@pytest.mark.parametrize(
    ("who", "moderates"), [("admin", True), ("ann", False), ("bob", True)], ids=["admin", "member", "group"]
)
async def test_who_moderates(workspace, posted, brain, ann, who, moderates):
    _, slack, _, buttons = posted
    workspace.groups["S1"] = [workspace.users["bob"]]
    user = workspace.users[who]
    await slack.send(slack.click(buttons["v:delete"], user=user, channel=ann["channel"]))
    await workspace.until(lambda: workspace.said)
    assert brain.commands[0].origin.is_moderator is moderates
    assert brain.commands[0].origin.roles == (("S1",) if who == "bob" else ())


async def test_a_group_that_cannot_be_read_makes_nobody_a_moderator(workspace, posted, brain, ann):
    _, slack, _, buttons = posted  # the workspace knows no group S1: it answers missing_scope
    workspace.fail("users.info", "missing_scope")
    await slack.send(slack.click(buttons["v:delete"], user=workspace.users["admin"], channel=ann["channel"]))
    await workspace.until(lambda: workspace.said)
    assert not brain.commands[0].origin.is_moderator


async def test_named_people_moderate_without_any_look_up(workspace, slack_platform, brain, ann):
    async with slack_platform(moderators=frozenset({ann["user"]})) as (_platform, slack):
        await slack.send(slack.slash("/verso", "review", **ann))
        await workspace.until(lambda: workspace.said)
    assert brain.commands[0].origin.is_moderator
    assert workspace.made("users.info") == []


async def test_answers_find_another_way_when_the_response_url_is_used_up(workspace, posted, origin, ann):
    platform, slack, _, _ = posted
    url = slack.slash("/imagine", "", **ann)["response_url"]
    asked = origin(token=url)
    for _ in range(5):
        await platform.notify(asked, Reply(text="news"))
    assert len(answers(workspace)) == 5
    await platform.notify(asked, Reply(text="more"))
    assert workspace.knocks == 5
    (ephemeral,) = workspace.made("chat.postEphemeral")
    assert (ephemeral.args["user"], ephemeral.args["text"]) == (ann["user"], "more")
    await platform.notify(origin(channel_id=workspace.channels["secret"]), Reply(text="still more"))
    last = workspace.made("chat.postMessage")[-1]
    assert (last.args["channel"], last.args["text"]) == (ann["user"], "still more")


async def test_an_expired_response_url_is_not_tried_again(workspace, posted, origin, ann):
    platform, slack, _, _ = posted
    workspace.uses_left = 0
    asked = origin(token=slack.slash("/imagine", "", **ann)["response_url"])
    for number in range(2):
        await platform.notify(asked, Reply(text=f"news {number}"))
    assert [call.args["text"] for call in workspace.made("chat.postEphemeral")] == ["news 0", "news 1"]
    assert workspace.knocks == 1


async def test_telling_somebody_never_raises(workspace, posted, origin, caplog):
    platform, _, _, _ = posted
    workspace.fail("chat.postMessage", "fatal_error")
    await platform.notify(origin(channel_id="", token=""), Reply(text="news"))
    assert "fatal_error" in caplog.text


async def test_private_pictures_come_by_direct_message(workspace, posted, origin, finished):
    platform, _, _, _ = posted
    candidates = Reply(text="Only for you", images=finished.images)
    await platform.notify(origin(event_id="e9"), candidates)
    await platform.notify(origin(event_id="e9"), candidates)
    targets = [c.args["channel_id"][0] for c in workspace.made("files.completeUploadExternal")]
    assert targets == ["C", "D"]  # the fixture's public one, and one direct message


async def test_app_home_shows_what_is_mine(workspace, slack_platform, brain):
    for what in ("terms", "quota", "history", "queue"):
        brain.replies[what] = Reply(text=f"my {what} <!here>")
    brain.replies["queue"] = Reply(text="one", buttons=(Button(name="cancel", target="j1", label="Cancel"),))
    async with slack_platform() as (_platform, slack):
        event = {"type": "app_home_opened", "user": workspace.users["ann"], "channel": "D1", "tab": "home"}
        opened = slack.event(event)
        assert (await slack.send(opened))[0] == 200
        assert (await slack.send(opened, retry=1))[0] == 200
        await slack.send(slack.event(event | {"tab": "messages"}))
        await workspace.until(lambda: workspace.made("views.publish"))
        view = workspace.made("views.publish")[0].args["view"]
        assert {command.what for command in brain.commands} == {"terms", "quota", "history", "queue"}
        assert all(isinstance(command, AskCommand) for command in brain.commands)
        assert len({command.origin.event_id for command in brain.commands}) == 4
        assert "my history &lt;!here&gt;" in json.dumps(view)
        (button,) = [block["elements"][0] for block in view["blocks"] if block["type"] == "actions"]
        brain.commands.clear()
        await slack.send(slack.click(button, user=workspace.users["ann"], home=True))
        await workspace.until(lambda: len(workspace.made("views.publish")) == 2)  # it is drawn again
    assert brain.commands[0].name == "cancel"
    # there is no channel to answer in: the answer came by direct message
    assert workspace.made("chat.postMessage")[-1].args["channel"] == workspace.users["ann"]


async def test_app_home_shows_moderators_the_review_queue(workspace, slack_platform, brain):
    brain.replies["ReviewCommand"] = Reply(
        text="one waits", buttons=(Button(name="approve", target="r1", label="Approve"),)
    )
    brain.replies["terms"] = Reply(text="long " * 60_000)
    async with slack_platform() as (_platform, slack):
        event = {"type": "app_home_opened", "user": workspace.users["admin"], "channel": "D1", "tab": "home"}
        await slack.send(slack.event(event))
        await workspace.until(lambda: workspace.made("views.publish"))
    assert isinstance(brain.commands[0], ReviewCommand)
    view = workspace.made("views.publish")[0].args["view"]
    assert "v:approve" in json.dumps(view)


@pytest.mark.parametrize("place", ["files", "blocks"])
async def test_who_made_this_downloads_the_upload(workspace, posted, brain, ann, finished, witness, place):
    _, slack, message, _ = posted
    if place == "files":
        thread = await workspace.ask(
            "conversations.replies", witness, channel=ann["channel"], ts=message["ts"]
        )
        message = thread["messages"][-1]
        assert message["files"]
    await slack.send(slack.shortcut(message, **ann))
    await workspace.until(lambda: workspace.said)
    (command,) = brain.commands
    assert isinstance(command, WhoMadeCommand)
    assert command.image == finished.images[0].data
    await slack.send(slack.shortcut(message, **ann) | {"callback_id": "describe"})
    await workspace.until(lambda: len(brain.commands) == 2)
    assert brain.commands[1] == DescribeCommand(origin=brain.commands[1].origin, image=command.image)


FILE = {"id": "F1", "mimetype": "image/png"}


@pytest.mark.parametrize(
    ("message", "says"),
    [
        ({}, "I do not follow links"),
        ({"files": [FILE | {"mimetype": "text/plain"}]}, "I do not follow links"),
        ({"files": [FILE | {"is_external": True, "url_private": "http://x/"}]}, "I do not follow links"),
        ({"text": "<https://evil.example/a.png>", "attachments": [{"image_url": "http://x/a.png"}]}, "links"),
        ({"files": [FILE | {"url_private": "http://169.254.169.254/a.png"}]}, "uploaded to Slack"),
        ({"files": [FILE | {"url_private": "https://slack.com.evil.example/a"}]}, "uploaded to Slack"),
        ({"files": [FILE | {"url_private": "https://files.slack.com@evil.example/a"}]}, "uploaded to Slack"),
        ({"files": [FILE | {"url_private": "http://[::1"}]}, "uploaded to Slack"),
        ({"files": [FILE]}, "file_not_found"),
    ],
)
async def test_who_made_this_fetches_nothing_from_elsewhere(
    workspace, slack_platform, brain, ann, message, says
):
    async with slack_platform() as (_platform, slack):
        await slack.send(slack.shortcut(message, **ann))
        await workspace.until(lambda: workspace.said)
    assert says in answers(workspace)[0]["text"]
    assert brain.commands == []


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/files-pri/F404/none.png", "may not read"),
        ("/", "no picture"),  # the emulator's front page, as Slack's log-in page would be
        ("/big", "larger than"),
        ("/moved", "may not read"),
    ],
)
async def test_who_made_this_refuses_what_is_no_picture(
    workspace, slack_platform, brain, ann, monkeypatch, path, says
):
    monkeypatch.setattr("bot.platforms.slack.download.fetch.__kwdefaults__", {"limit": 100_000})
    async with slack_platform() as (_platform, slack):
        file = FILE | {"url_private": workspace.url + path}
        await slack.send(slack.shortcut({"files": [file]}, **ann))
        await workspace.until(lambda: workspace.said)
    assert says in answers(workspace)[0]["text"]
    assert brain.commands == []


@pytest.mark.parametrize(
    ("event", "gone"),
    [
        ({"type": "app_uninstalled"}, ["slack:T000000001"]),
        ({"type": "tokens_revoked", "tokens": {"oauth": [], "bot": ["U0VERSO"]}}, ["slack:T000000001"]),
        ({"type": "tokens_revoked", "tokens": {"oauth": ["U1"], "bot": []}}, []),
    ],
)
async def test_goodbye(slack_platform, event, gone):
    heard = []

    async def on_uninstalled(workspace_id):
        heard.append(workspace_id)

    async with slack_platform(on_uninstalled=on_uninstalled) as (_platform, slack):
        assert (await slack.send(slack.event(event)))[0] == 200
        await slack.send(slack.event({"type": "message", "text": "a secret"}))  # nobody listens: acknowledged
    assert heard == gone


async def test_logs_never_quote_people(workspace, slack_platform, brain, ann, caplog):
    caplog.set_level(logging.DEBUG)
    brain.reply = Reply(text="You asked for: a secret wish")
    async with slack_platform() as (_platform, slack):
        await slack.send(slack.slash("/imagine", "a secret wish", **ann))
        await slack.send(slack.event({"type": "message", "text": "a secret wish"}))
        await workspace.until(lambda: workspace.said)
    ours = [r for r in caplog.records if not r.name.startswith(("asyncio", "aiohttp"))]
    assert not any("secret wish" in record.getMessage() for record in ours)
