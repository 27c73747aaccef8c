"""Whole stories in Slack: the real house (moderation, ledger, queue, delivery) behind the real platform."""

from __future__ import annotations

import json
import re

import pytest

BOT = "xoxb-verso"


@pytest.fixture
def house(slack_house):
    """The running bot: (app, sender)."""
    return slack_house.app, slack_house.sender


async def _accept(slack_house, slack, who):
    """Accept the terms, asking for something that is refused afterwards: nothing is queued by it."""
    asked = slack.slash("/imagine", "how to build a bomb", **who)
    await slack.send(asked)
    card = await slack_house.answer(asked)
    clicked = slack.click(slack_house.buttons(card)["v:accept"], ephemeral=True, **who)
    await slack.send(clicked)
    await slack_house.answer(clicked)


async def test_terms_are_shown_once_and_accepted_by_the_asker_alone(workspace, slack_house, house, ann):
    _, slack = house
    asked = slack.slash("/imagine", "a red apple", **ann)
    await slack.send(asked)
    card = await slack_house.answer(asked)
    assert card["response_type"] == "ephemeral"
    accept = slack_house.buttons(card)["v:accept"]
    stranger = slack.click(accept, user=workspace.users["bob"], channel=ann["channel"])
    await slack.send(stranger)
    assert "gone" in (await slack_house.answer(stranger))["text"]
    mine = slack.click(accept, ephemeral=True, **ann)
    await slack.send(mine)
    outcome = await slack_house.answer(mine)
    assert outcome["replace_original"] is True
    assert "v:accept" not in slack_house.buttons(outcome)
    question = slack.slash("/verso", "terms", **ann)
    await slack.send(question)
    assert "You accepted these terms" in (await slack_house.answer(question))["text"]


async def test_a_refusal_is_private_appealed_and_decided_in_app_home(workspace, slack_house, house, ann):
    _, slack = house
    await _accept(slack_house, slack, ann)
    asked = slack.slash("/imagine", "how to build a bomb", **ann)
    await slack.send(asked)
    refusal = await slack_house.answer(asked)
    assert refusal["response_type"] == "ephemeral"
    assert "how to build a bomb" not in json.dumps(refusal)
    trigger = await slack.trigger(ann["user"], BOT)
    await slack.send(slack.click(slack_house.buttons(refusal)["v:appeal?"], trigger=trigger, **ann))
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
    assert not slack_house.buttons(await slack_house.answer(refused))

    shown = slack.slash("/verso", f"review show {review_id}", **moderator)
    await slack.send(shown)
    review = await slack_house.answer(shown)
    assert "it is for &lt;a&gt; chemistry &amp; safety class" in json.dumps(review)
    uphold = next(one for name, one in slack_house.buttons(review).items() if name.startswith("v:uphold"))
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


async def test_history_keeps_what_a_lost_message_said(workspace, slack_house, house, ann):
    _, slack = house
    await _accept(slack_house, slack, ann)
    asked = slack.slash("/imagine", "how to build a bomb", **ann)
    await slack.send(asked)
    await slack_house.answer(asked)
    await slack.send(
        slack.event({"type": "app_home_opened", "user": ann["user"], "channel": "D1", "tab": "home"})
    )
    await workspace.until(lambda: workspace.made("views.publish"), seconds=60)
    home = json.dumps(workspace.made("views.publish")[-1].args["view"])
    assert "block" in home.lower() or "refus" in home.lower()


async def test_a_drawn_picture_arrives_and_tells_who_made_it(
    workspace, slack_house, house, ann, witness, draw_by_hand
):
    app, slack = house
    await app.moderator.warm()
    await _accept(slack_house, slack, ann)
    asked = slack.slash("/imagine", "a red apple --seed 1", **ann)
    await slack.send(asked)
    await slack_house.answer(asked)
    assert len(workspace.made("chat.postMessage")) == 1  # the placeholder
    await draw_by_hand(app)
    await workspace.until(lambda: workspace.made("files.completeUploadExternal"), seconds=60)
    await workspace.until(
        lambda: "slack_file" in json.dumps(workspace.made("chat.update")[-1].args), seconds=60
    )
    (message,) = (await workspace.ask("conversations.history", witness, channel=ann["channel"]))["messages"]
    buttons = slack_house.buttons(message)
    who = slack.click(buttons["v:whomade"], user=workspace.users["bob"], channel=ann["channel"])
    await slack.send(who)
    assert "ann" in (await slack_house.answer(who))["text"]
    shortcut = slack.shortcut(message, user=workspace.users["bob"], channel=ann["channel"])
    await slack.send(shortcut)
    assert "ertain match" in json.dumps(await slack_house.answer(shortcut))
    stranger = slack.click(buttons["v:delete"], user=workspace.users["bob"], channel=ann["channel"])
    await slack.send(stranger)
    await slack_house.answer(stranger)
    assert workspace.made("chat.delete") == []
    mine = slack.click(buttons["v:delete"], **ann)
    await slack.send(mine)
    await slack_house.answer(mine)
    left = await workspace.ask("conversations.history", witness, channel=ann["channel"])
    assert left["messages"] == []
