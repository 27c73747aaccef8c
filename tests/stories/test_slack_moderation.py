"""Moderators in Slack: the real house behind the real platform, over signed HTTP."""

from __future__ import annotations

import json

import pytest

from bot.cli.imagine import terminal_origin
from bot.conversation import ImagineCommand, Origin
from bot.words import MODERATORS_ONLY

BOT = "xoxb-verso"
NAME = "Marlo Quibblestone"
PROMPT = f"a red apple for {NAME}"
HOSTILE = "<!channel> <@U1> *estate* & @here <http://evil.example|x>"


@pytest.fixture
def admin(workspace):
    return {"user": workspace.users["admin"], "channel": workspace.channels["art"]}


@pytest.fixture
def verso(slack_house):
    """Type `/verso moderation ...`; the private answer, as text."""

    async def ask(text, who, *, team=""):
        payload = slack_house.sender.slash("/verso", f"moderation {text}", **who)
        answer = await slack_house.ask(payload | ({"team_id": team} if team else {}))
        assert answer["response_type"] == "ephemeral"
        return answer

    return ask


@pytest.fixture
async def picture(slack_house, workspace, ann, witness, draw_by_hand):
    """Ann's picture in the channel: (job id, message, the uploaded file)."""
    app = slack_house.app
    await app.moderator.warm()
    origin = Origin(
        platform="slack",
        workspace_id="slack:T000000001",
        channel_id=ann["channel"],
        user_id=ann["user"],
        user_name="ann",
        event_id="1.1.picture",
    )
    await app.imagine(ImagineCommand(origin=origin, prompt=PROMPT, accept_terms=True))
    job_id = await draw_by_hand(app)
    await app.courier.settled(job_id)
    (message,) = (await workspace.ask("conversations.history", witness, channel=ann["channel"]))["messages"]
    thread = await workspace.ask("conversations.replies", witness, channel=ann["channel"], ts=message["ts"])
    return job_id, message, thread["messages"][-1]["files"][0]


async def open_form(slack_house, workspace, who, text="protect add"):
    """The form that a moderator's `protect add` opens."""
    count = len(workspace.made("views.open"))
    trigger = await slack_house.sender.trigger(who["user"], BOT)
    command = slack_house.sender.slash("/verso", f"moderation {text}", trigger=trigger, **who)
    await slack_house.sender.send(command)
    await workspace.until(lambda: len(workspace.made("views.open")) > count, seconds=60)
    return workspace.made("views.open")[-1].answer["view"], command


def filled(kind="name", term=NAME, **values):
    fields = {"term": term, "requested_by": HOSTILE, "reason": HOSTILE, "received": ""} | values
    return {
        "kind": {"type": "static_select", "selected_option": {"value": kind}},
        **{name: {"value": value} for name, value in fields.items() if not isinstance(value, list)},
        **{name: {"files": value} for name, value in fields.items() if isinstance(value, list)},
    }


async def test_a_rights_holder_from_the_request_to_the_removal(
    slack_house, workspace, ann, admin, verso, picture, witness
):
    app, slack = slack_house.app, slack_house.sender
    assert PROMPT in json.dumps(picture[1])
    assert "Dry run: allowed" in (await verso(f"test {PROMPT}", admin))["text"]

    view, command = await open_form(slack_house, workspace, admin, f"protect add {NAME}")
    assert view["blocks"][1]["element"]["initial_value"] == NAME
    _, errors = await slack.send(slack.submit(view, filled(reason=" ", term=""), user=admin["user"]))
    assert set(json.loads(errors)["errors"]) == {"term", "reason"}
    form = slack.submit(view, filled(received="2026-01-01T10:00Z"), user=admin["user"])
    assert await slack.send(form) == (200, "")
    await slack.send(form, retry=1)  # delivered twice
    added = json.dumps(await slack_house.answer(command))
    (takedown,) = await app.take_down.pending(terminal_origin("op"))
    assert f"1 past picture searched: 1 candidate in take-down {takedown.id}" in added
    clock = f"<!date^{takedown.deadline_ms // 1000}^{{date_short_pretty}} at {{time}}|2026-01-03 10:00 UTC>"
    assert clock in added
    assert "Dry run: held" in (await verso(f"test {PROMPT}", admin))["text"]
    assert "Dry run: allowed" in (await verso(f"test {PROMPT}", admin, team="T000000002"))["text"]

    listed = await verso("takedown list", admin)
    protected = json.dumps(await verso("protect list", admin))
    assert NAME in protected
    for text in (json.dumps(listed), protected):
        assert "&lt;!channel&gt;" in text
        for alive in ("<!channel", "<@U1", "@here", "<http"):
            assert alive not in text
    assert clock in json.dumps(listed)

    # No other workspace and no member learns or decides anything, by whatever way.
    assert "No take-down waits" in (await verso("takedown list", admin, team="T000000002"))["text"]
    assert "Nothing is protected" in (await verso("protect list", admin, team="T000000002"))["text"]
    for step in ("show", "confirm", "dismiss"):
        told = await verso(f"takedown {step} {takedown.id}", admin, team="T000000002")
        assert "There is no take-down" in told["text"]
    buttons = slack_house.buttons(listed)
    assert {"v:takedown", "v:takedown_confirm", "v:takedown_dismiss"} == set(buttons)
    for button in buttons.values():
        member = await slack_house.ask(slack.click(button, ephemeral=True, **ann))
        assert MODERATORS_ONLY in member["text"]
        foreign = slack.click(button, ephemeral=True, **admin) | {"team": {"id": "T000000002"}}
        assert "There is no take-down" in (await slack_house.ask(foreign))["text"]

    shown = await slack_house.ask(slack.click(buttons["v:takedown"], ephemeral=True, **admin))
    assert shown["replace_original"] is True
    done = await slack_house.ask(
        slack.click(slack_house.buttons(shown)["v:takedown_confirm"], ephemeral=True, **admin)
    )
    assert "Taken down: 1 picture" in done["text"]
    late = await slack_house.ask(slack.click(buttons["v:takedown_dismiss"], ephemeral=True, **admin))
    assert "was decided before: confirmed" in late["text"]
    # The picture and the message above it go one after the other.
    await workspace.until(lambda: len(workspace.made("chat.delete")) == 2, seconds=60)
    left = await workspace.ask("conversations.history", witness, channel=ann["channel"])
    assert left["messages"] == []

    (entry,) = await app.protect.entries(terminal_origin("op"))
    assert "no protected entry" in (await verso(f"protect remove {entry.id}", admin, team="T2"))["text"]
    assert f"{NAME} is no longer" in (await verso(f"protect remove {entry.id}", admin))["text"]


async def test_pictures_quarantine_and_figures(slack_house, workspace, admin, verso, picture):
    app, slack = slack_house.app, slack_house.sender
    job_id, _, file = picture
    view, command = await open_form(slack_house, workspace, admin)
    for wrong, place in ((filled("picture"), "picture"), (filled("mark", picture=[file]), "picture")):
        _, errors = await slack.send(slack.submit(view, wrong, user=admin["user"]))
        assert set(json.loads(errors)["errors"]) == {place}
    elsewhere = file | {"url_private": "http://169.254.169.254/a.png", "url_private_download": ""}
    await slack.send(slack.submit(view, filled("picture", picture=[elsewhere]), user=admin["user"]))
    assert "uploaded to Slack" in (await slack_house.answer(command))["text"]
    view, command = await open_form(slack_house, workspace, admin)
    await slack.send(slack.submit(view, filled("picture", "my print", picture=[file]), user=admin["user"]))
    assert "1 past picture searched: 1 candidate" in json.dumps(await slack_house.answer(command))
    (entry,) = await app.protect.entries(terminal_origin("op"))
    assert (entry.kind, entry.workspace_id) == ("image", "slack:T000000001")

    (release,) = await app.releases.of_job(job_id)
    foreign = await verso(f"quarantine {release.image_id}", admin, team="T000000002")
    assert "There is no image" in foreign["text"]
    marked = await verso(f"quarantine {release.image_id}", admin)
    cases = await verso("quarantine", admin)
    (case,) = await app.quarantine.cases(terminal_origin("op"))
    for message in (marked, cases):
        assert case.id in json.dumps(message)
        assert NAME not in json.dumps(message)
        assert [block for block in message["blocks"] if block["type"] == "image"] == []
    assert "Nothing lies" in (await verso("quarantine", admin, team="T000000002"))["text"]
    await workspace.until(lambda: workspace.made("chat.delete"), seconds=60)

    assert "1 take-down" in (await verso("digest", admin))["text"]
    assert "0 take-downs" in (await verso("digest", admin, team="T000000002"))["text"]
    assert "community" in json.dumps(await verso("policy", admin))


async def test_the_door_keeps_members_out(slack_house, workspace, ann, admin, verso):
    for text in (
        "",
        "test a red apple",
        "protect add x",
        "protect list",
        "takedown list",
        "quarantine 1",
        "digest",
    ):
        assert (await verso(text, ann))["text"] == MODERATORS_ONLY
    assert workspace.made("views.open") == []
    view, command = await open_form(slack_house, workspace, admin)
    await slack_house.sender.send(slack_house.sender.submit(view, filled(), user=ann["user"]))
    assert MODERATORS_ONLY in (await slack_house.answer(command))["text"]
    assert await slack_house.app.protect.entries(terminal_origin("op")) == ()


@pytest.mark.parametrize("text", ["", "help", "test", "fly", "protect fly", "takedown show", "takedown fly"])
async def test_moderation_explains_itself(verso, admin, text):
    assert "/verso moderation" in (await verso(text, admin))["text"]
