"""Whole stories in Slack: the real house (moderation, ledger, queue, delivery) behind the real platform."""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import io
import json
import re
import sys
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from bot.compose import open_app
from bot.platforms.slack.app import SlackPlatform
from bot.settings import Settings
from generation.job import StoredImage


def _slack_peers():
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
BOT, SECRET, Sender = _peers.emulator.BOT, _peers.sender.SECRET, _peers.sender.Sender


@pytest.fixture
async def house(workspace, tmp_path, monkeypatch):
    """The running bot: (app, sender)."""
    monkeypatch.chdir(tmp_path)  # no .env of the developer's
    settings = Settings(data_dir=tmp_path / "data")
    stop = asyncio.Event()
    async with open_app(settings) as app:
        platform = SlackPlatform(bot_token=BOT, handler=app.handle, signing_secret=SECRET, port=0)
        app.add_platform(platform)
        tasks = [asyncio.create_task(platform.run(stop)), asyncio.create_task(app.courier.run(stop))]
        async with asyncio.timeout(60):
            await platform.listening.wait()
        yield app, Sender(workspace, port=platform.port)
        stop.set()
        await asyncio.gather(*tasks)


def _buttons(message):
    found = [block["elements"] for block in message["blocks"] if block["type"] == "actions"]
    return {one["action_id"]: one for row in found for one in row}


async def _answer(workspace, payload):
    """The private answer to a payload."""
    token = payload["response_url"].rsplit("/", 1)[1]
    await workspace.until(lambda: workspace.said[token], seconds=60)
    return workspace.said[token][-1]


async def _accept(workspace, slack, who):
    """Accept the terms, asking for something that is refused afterwards: nothing is queued by it."""
    asked = slack.slash("/imagine", "how to build a bomb", **who)
    await slack.send(asked)
    card = await _answer(workspace, asked)
    clicked = slack.click(_buttons(card)["v:accept"], ephemeral=True, **who)
    await slack.send(clicked)
    await _answer(workspace, clicked)


@pytest.fixture
def ann(workspace):
    return {"user": workspace.users["ann"], "channel": workspace.channels["art"]}


async def test_terms_are_shown_once_and_accepted_by_the_asker_alone(workspace, house, ann):
    _, slack = house
    asked = slack.slash("/imagine", "a red apple", **ann)
    await slack.send(asked)
    card = await _answer(workspace, asked)
    assert card["response_type"] == "ephemeral"
    accept = _buttons(card)["v:accept"]
    stranger = slack.click(accept, user=workspace.users["bob"], channel=ann["channel"])
    await slack.send(stranger)
    assert "gone" in (await _answer(workspace, stranger))["text"]
    mine = slack.click(accept, ephemeral=True, **ann)
    await slack.send(mine)
    outcome = await _answer(workspace, mine)
    assert outcome["replace_original"] is True
    assert "v:accept" not in _buttons(outcome)
    question = slack.slash("/verso", "terms", **ann)
    await slack.send(question)
    assert "You accepted these terms" in (await _answer(workspace, question))["text"]


async def test_a_refusal_is_private_appealed_and_decided_in_app_home(workspace, house, ann):
    _, slack = house
    await _accept(workspace, slack, ann)
    asked = slack.slash("/imagine", "how to build a bomb", **ann)
    await slack.send(asked)
    refusal = await _answer(workspace, asked)
    assert refusal["response_type"] == "ephemeral"
    assert "how to build a bomb" not in json.dumps(refusal)
    trigger = await slack.trigger(ann["user"], BOT)
    await slack.send(slack.click(_buttons(refusal)["v:appeal?"], trigger=trigger, **ann))
    await workspace.until(lambda: workspace.made("views.open"))
    view = workspace.made("views.open")[-1].answer["view"]
    await slack.send(
        slack.submit(view, {"text": {"value": "it is for <a> chemistry & safety class"}}, user=ann["user"])
    )
    await workspace.until(lambda: len(workspace.said) >= 4, seconds=60)

    moderator = {"user": workspace.users["admin"], "channel": ann["channel"]}
    home_opened = {"type": "app_home_opened", "user": moderator["user"], "channel": "D1", "tab": "home"}
    await slack.send(slack.event(home_opened))
    await workspace.until(lambda: workspace.made("views.publish"), seconds=60)
    home = json.dumps(workspace.made("views.publish")[-1].args["view"])
    review_id = re.search(r"([0-9a-f]{16}) \(appeal", home)[1]

    refused = slack.slash("/verso", f"review show {review_id}", **ann)  # ann does not moderate
    await slack.send(refused)
    assert not _buttons(await _answer(workspace, refused))

    shown = slack.slash("/verso", f"review show {review_id}", **moderator)
    await slack.send(shown)
    review = await _answer(workspace, shown)
    assert "it is for &lt;a&gt; chemistry &amp; safety class" in json.dumps(review)
    uphold = next(one for name, one in _buttons(review).items() if name.startswith("v:uphold"))
    before = len(workspace.made("chat.postEphemeral"))
    trigger = await slack.trigger(moderator["user"], BOT)
    await slack.send(slack.click(uphold, trigger=trigger, ephemeral=True, **moderator))
    if uphold["action_id"].endswith("?"):
        await workspace.until(lambda: len(workspace.made("views.open")) == 2)
        view = workspace.made("views.open")[-1].answer["view"]
        form = slack.submit(view, {"text": {"value": "no bombs here"}}, user=moderator["user"])
        await slack.send(form)
    # the requester's first message is long closed: the decision comes as a new one
    await workspace.until(
        lambda: len(workspace.made("chat.postEphemeral")) + len(workspace.made("chat.postMessage")) > before,
        seconds=60,
    )
    notice = [*workspace.made("chat.postEphemeral"), *workspace.made("chat.postMessage")][-1].args
    assert ann["user"] in {notice.get("user"), notice["channel"]}


async def test_history_keeps_what_a_lost_message_said(workspace, house, ann):
    _, slack = house
    await _accept(workspace, slack, ann)
    asked = slack.slash("/imagine", "how to build a bomb", **ann)
    await slack.send(asked)
    await _answer(workspace, asked)
    await slack.send(
        slack.event({"type": "app_home_opened", "user": ann["user"], "channel": "D1", "tab": "home"})
    )
    await workspace.until(lambda: workspace.made("views.publish"), seconds=60)
    home = json.dumps(workspace.made("views.publish")[-1].args["view"])
    assert "block" in home.lower() or "refus" in home.lower()


async def test_a_drawn_picture_arrives_and_tells_who_made_it(workspace, house, ann, witness):
    app, slack = house
    await app.moderator.warm()
    if not app.moderator._warm:
        pytest.skip("this checkout lacks data of a moderation rule: everything is held")
    await _accept(workspace, slack, ann)
    asked = slack.slash("/imagine", "a red apple --seed 1", **ann)
    await slack.send(asked)
    await _answer(workspace, asked)
    assert len(workspace.made("chat.postMessage")) == 1  # the placeholder
    await _draw(app)
    await workspace.until(lambda: workspace.made("files.completeUploadExternal"), seconds=60)
    await workspace.until(
        lambda: "slack_file" in json.dumps(workspace.made("chat.update")[-1].args), seconds=60
    )
    (message,) = (await workspace.ask("conversations.history", witness, channel=ann["channel"]))["messages"]
    buttons = _buttons(message)
    who = slack.click(buttons["v:whomade"], user=workspace.users["bob"], channel=ann["channel"])
    await slack.send(who)
    assert "ann" in (await _answer(workspace, who))["text"]
    shortcut = slack.shortcut(message, user=workspace.users["bob"], channel=ann["channel"])
    await slack.send(shortcut)
    assert "ertain match" in json.dumps(await _answer(workspace, shortcut))
    stranger = slack.click(buttons["v:delete"], user=workspace.users["bob"], channel=ann["channel"])
    await slack.send(stranger)
    await _answer(workspace, stranger)
    assert workspace.made("chat.delete") == []
    mine = slack.click(buttons["v:delete"], **ann)
    await slack.send(mine)
    await _answer(workspace, mine)
    left = await workspace.ask("conversations.history", witness, channel=ann["channel"])
    assert left["messages"] == []


async def _draw(app):
    """What a worker on another machine does: claim, draw, store sealed, finish."""
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
