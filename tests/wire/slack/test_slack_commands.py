"""Slash commands and the form, over signed HTTP."""

from __future__ import annotations

import asyncio
import json
import logging

import pytest

from bot.conversation import (
    AskCommand,
    CancelCommand,
    ImagineCommand,
    Reply,
    ReviewCommand,
)

BOT = "xoxb-verso"


@pytest.fixture
def ann(workspace):
    """Who asks, and where."""
    return {"user": workspace.users["ann"], "channel": workspace.channels["art"]}


def the_only(workspace):
    """The one private answer that was given."""
    ((message,),) = workspace.said.values()
    return message


async def test_imagine_reaches_the_handler_and_is_answered_in_private(workspace, slack_platform, brain, ann):
    async with slack_platform() as (_platform, slack):
        text = "a red apple &amp; a pear --seed 5 --aspect 3:2"
        payload = slack.slash("/imagine", text, **ann)
        status, body = await slack.send(payload)
        assert (status, body) == (200, "")
        await workspace.until(lambda: workspace.said)
    (command,) = brain.commands
    assert isinstance(command, ImagineCommand)
    assert (command.prompt, command.seed, command.aspect) == ("a red apple & a pear", 5, "3:2")
    assert command.origin.workspace_id == "slack:T000000001"
    assert command.origin.channel_id == ann["channel"]
    assert command.origin.user_id == ann["user"]
    assert command.origin.token == payload["response_url"]
    message = the_only(workspace)
    assert message["response_type"] == "ephemeral"
    assert message["text"] == "Queued: number 1."


async def test_the_acknowledgment_does_not_wait_for_the_handler(workspace, slack_platform, brain, ann):
    brain.gate = asyncio.Event()
    async with slack_platform() as (_platform, slack):
        status, _ = await slack.send(slack.slash("/imagine", "a red apple", **ann))
        assert status == 200  # answered while the handler still waits at the gate
        assert not workspace.said
        brain.gate.set()
        await workspace.until(lambda: workspace.said)


async def test_stopping_lets_running_work_finish(workspace, slack_platform, brain, ann):
    brain.gate = asyncio.Event()
    async with slack_platform() as (_platform, slack):
        await slack.send(slack.slash("/imagine", "a red apple", **ann))
        await brain.asked.wait()
        asyncio.get_running_loop().call_later(0.05, brain.gate.set)
    assert the_only(workspace)["text"] == "Queued: number 1."


async def test_a_retried_delivery_is_handled_once(workspace, slack_platform, brain, ann):
    async with slack_platform() as (_platform, slack):
        payload = slack.slash("/imagine", "a red apple", **ann)
        await slack.send(payload)
        for number in (1, 2, 3):
            assert (await slack.send(payload, retry=number))[0] == 200
        await slack.send(slack.slash("/verso", "quota", **ann))
        await workspace.until(lambda: len(workspace.said) == 2)
    assert [type(command) for command in brain.commands] == [ImagineCommand, AskCommand]


async def test_a_retry_that_another_process_handled_is_dropped(workspace, slack_platform, brain, ann):
    asked = []

    async def seen(event_id):
        asked.append(event_id)
        return True

    async with slack_platform(seen=seen) as (_platform, slack):
        payload = slack.slash("/imagine", "a red apple", **ann)
        assert (await slack.send(payload, retry=1))[0] == 200
        await slack.send(slack.slash("/verso", "quota", **ann))
        await workspace.until(lambda: workspace.said)
    assert asked == [payload["trigger_id"]]
    assert [type(command) for command in brain.commands] == [AskCommand]


async def test_the_event_id_is_the_same_for_every_delivery(workspace, slack_platform, brain, ann):
    for _ in range(2):  # two processes, one after the other
        async with slack_platform() as (_platform, slack):
            payload = slack.slash("/imagine", "a red apple", trigger="7.7.z", **ann)
            await slack.send(payload)
            await workspace.until(lambda: len(brain.commands) == len(workspace.said))
    assert {command.origin.event_id for command in brain.commands} == {"7.7.z"}


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("a cat --sead 5", "--sead is not an option"),
        ("a cat --seed five", "--seed takes a whole number"),
        ("a cat --seed 99999999999", "--seed takes a whole number"),
        ("a cat --count 5", "--count takes a number from 1 to 4"),
        ("a cat --aspect wide", "--aspect takes a ratio"),
        ("a cat --seed 1 --seed 2", "--seed is given twice"),
        ("a cat --model", "--model needs a value"),
        ("--seed 5", "Please say what to draw"),
        ("--help", "/imagine a red apple"),
    ],
)
async def test_bad_options_are_explained_in_private(workspace, slack_platform, brain, ann, text, word):
    async with slack_platform() as (_platform, slack):
        await slack.send(slack.slash("/imagine", text, **ann))
        await workspace.until(lambda: workspace.said)
    message = the_only(workspace)
    assert word in message["text"]
    assert message["response_type"] == "ephemeral"
    assert brain.commands == []


async def test_private_option_marks_the_origin(workspace, slack_platform, brain, ann):
    async with slack_platform() as (_platform, slack):
        await slack.send(slack.slash("/imagine", "a red apple --private", **ann))
        await workspace.until(lambda: workspace.said)
    assert brain.commands[0].origin.private


async def test_verso_subcommands(workspace, slack_platform, brain, ann):
    expected = {
        "queue": AskCommand,
        "quota": AskCommand,
        "terms": AskCommand,
        "history": AskCommand,
        "models": AskCommand,
        "cancel": CancelCommand,
        "cancel 0123": CancelCommand,
        "review": ReviewCommand,
        "Review approve r1 it is fine": ReviewCommand,
    }
    async with slack_platform() as (_platform, slack):
        for text in expected:
            count = len(brain.commands)
            await slack.send(slack.slash("/verso", text, **ann))
            await workspace.until(lambda count=count: len(workspace.said) == count + 1)
    assert [type(command) for command in brain.commands] == list(expected.values())
    assert [command.what for command in brain.commands[:5]] == [
        "queue",
        "quota",
        "terms",
        "history",
        "models",
    ]
    assert [command.job_id for command in brain.commands[5:7]] == ["", "0123"]
    assert brain.commands[7].step == "list"
    last = brain.commands[8]
    assert (last.step, last.review_id, last.reason) == ("approve", "r1", "it is fine")


@pytest.mark.parametrize("text", ["", "help", "fly", "review approve", "review destroy r1"])
async def test_verso_explains_itself(workspace, slack_platform, brain, ann, text):
    async with slack_platform() as (_platform, slack):
        await slack.send(slack.slash("/verso", text, **ann))
        await workspace.until(lambda: workspace.said)
    assert "/verso" in the_only(workspace)["text"]
    assert brain.commands == []


async def test_commands_may_carry_a_prefix(workspace, slack_platform, brain, ann):
    async with slack_platform() as (_platform, slack):
        await slack.send(slack.slash("/acme-imagine", "a red apple", **ann))
        await workspace.until(lambda: workspace.said)
    assert brain.commands[0].prompt == "a red apple"


async def test_the_form_draws(workspace, slack_platform, brain, ann):
    async with slack_platform(models=("sticker-v1", "sd15")) as (_platform, slack):
        trigger = await slack.trigger(ann["user"], BOT)
        command = slack.slash("/imagine", "  ", trigger=trigger, **ann)
        await slack.send(command)
        await workspace.until(lambda: workspace.made("views.open"))
        (opened,) = workspace.made("views.open")
        view = opened.answer["view"]
        values = {
            "prompt": {"type": "plain_text_input", "value": " a <b> & c "},
            "no": {"type": "plain_text_input", "value": "blur"},
            "aspect": {"type": "static_select", "selected_option": {"value": "2:3"}},
            "count": {"type": "static_select", "selected_option": {"value": "2"}},
            "seed": {"type": "plain_text_input", "value": "12"},
            "model": {"type": "static_select", "selected_option": {"value": "sd15"}},
            "private": {"type": "checkboxes", "selected_options": [{"value": "private"}]},
        }
        wrong = values | {"seed": {"type": "plain_text_input", "value": "x"}, "prompt": {"value": None}}
        status, body = await slack.send(slack.submit(view, wrong, user=ann["user"]))
        assert status == 200
        assert set(json.loads(body)["errors"]) == {"seed", "prompt"}
        assert brain.commands == []
        form = slack.submit(view, values, user=ann["user"])
        assert await slack.send(form) == (200, "")
        assert await slack.send(form, retry=1) == (200, "")  # the same form twice counts once
        await workspace.until(lambda: workspace.said)
    (drawn,) = brain.commands
    assert (drawn.prompt, drawn.negative_prompt, drawn.aspect) == ("a <b> & c", "blur", "2:3")
    assert (drawn.count, drawn.seed, drawn.model_id) == (2, 12, "sd15")
    assert drawn.origin.private
    assert drawn.origin.channel_id == ann["channel"]  # remembered by the form
    assert drawn.origin.token == command["response_url"]


async def test_a_late_form_is_explained(workspace, slack_platform, brain, ann):
    async with slack_platform() as (_platform, slack):
        await slack.send(slack.slash("/imagine", "", trigger="expired.1.x", **ann))
        await workspace.until(lambda: workspace.said)
    assert "try again" in the_only(workspace)["text"]
    assert brain.commands == []


async def test_a_broken_handler_apologizes_and_logs_no_prompt(workspace, slack_platform, brain, ann, caplog):
    brain.reply = RuntimeError("cannot draw 'a secret wish'")
    caplog.set_level(logging.DEBUG)
    async with slack_platform() as (_platform, slack):
        await slack.send(slack.slash("/imagine", "a secret wish", **ann))
        await workspace.until(lambda: workspace.said)
    text = the_only(workspace)["text"]
    code = text.rstrip(".").split()[-1]
    assert "Sorry" in text
    ours = [r.getMessage() for r in caplog.records if r.name.startswith("bot.")]
    assert any(code in line and "RuntimeError" in line for line in ours)
    assert "secret wish" not in caplog.text


async def test_public_replies_are_for_the_channel(workspace, slack_platform, brain, ann):
    brain.reply = Reply(text="Welcome, all", private=False)
    async with slack_platform() as (_platform, slack):
        await slack.send(slack.slash("/verso", "models", **ann))
        await workspace.until(lambda: workspace.said)
    assert the_only(workspace)["response_type"] == "in_channel"


async def test_mentions_in_answers_are_dead(workspace, slack_platform, brain, ann):
    evil = "<!channel> <@U1> <#C1> <http://evil.example|click> @here & *b*"
    brain.reply = Reply(title=evil, text=evil)
    async with slack_platform() as (_platform, slack):
        await slack.send(slack.slash("/verso", "quota", **ann))
        await workspace.until(lambda: workspace.said)
    message = json.dumps(the_only(workspace))
    assert "&lt;!channel&gt;" in message
    for alive in ("<!channel", "<@U1", "<#C1", "<http", "@here"):
        assert alive not in message
    assert all(
        block["text"]["verbatim"] for block in the_only(workspace)["blocks"] if block["type"] == "section"
    )
