"""Moderators' commands in any chat: rights, workspaces apart, repeats, long lists, and nothing said aloud."""

from __future__ import annotations

import dataclasses
from typing import get_args

import pytest

from bot.conversation import (
    ButtonCommand,
    ModerationCommand,
    ModerationStep,
    ProtectCommand,
    ScreenCommand,
)
from bot.words import MODERATORS_ONLY, moment_ms

NAME = "Marlo Quibblestone"
PROMPT = f"a red apple for {NAME}"
BLOCKED = "a naked woman having sex, explicit pornographic scene"


def mod(house, workspace="room:1"):
    return house.origin("mod", moderator=True, workspace=workspace)


def protect(origin, term=NAME, **values) -> ProtectCommand:
    asked = {"kind": "name", "requested_by": "The estate", "reason": "no likeness", **values}
    return ProtectCommand(origin=origin, term=term, **asked)


async def step(house, name, target="", *, origin=None, **values):
    return await house.say(ModerationCommand(origin=origin or mod(house), step=name, target=target, **values))


def values_of(reply) -> dict[str, str]:
    return {field.label: field.value for field in reply.fields}


async def test_every_command_is_refused_to_members_in_private(house) -> None:
    eve = house.origin("eve")
    commands = [
        ScreenCommand(origin=eve, prompt="a red apple"),
        protect(eve),
        *(
            ModerationCommand(origin=eve, step=name, target="0123456789abcdef")
            for name in get_args(ModerationStep)
        ),
        *(
            ButtonCommand(origin=eve, name=name, target="0123456789abcdef")
            for name in ("takedown", "takedown_confirm", "takedown_dismiss")
        ),
    ]
    for command in commands:
        reply = await house.say(command)
        assert (reply.text, reply.private) == (MODERATORS_ONLY, True), command
        assert reply.fields == reply.buttons == ()
    assert await house.app.protect.entries(mod(house)) == ()


async def test_a_dry_run_tells_clauses_and_leaves_no_trace(house) -> None:
    app = house.app
    leaves = await app.ledger.size()
    good = await house.say(ScreenCommand(origin=mod(house), prompt="a red apple"))
    assert (good.title, good.tone, good.private) == ("Dry run: allowed", "good", True)
    bad = await house.say(ScreenCommand(origin=mod(house), prompt=BLOCKED, negative_prompt="blurry"))
    assert (bad.title, bad.tone) == ("Dry run: blocked", "bad")
    assert any("sexual content: blocked" in field.label for field in bad.fields)
    assert any("rule " in value and "; " in value for value in values_of(bad).values())  # the clause's words
    empty = await house.say(ScreenCommand(origin=mod(house), prompt=" \n"))
    assert "empty" in empty.text
    assert "2,000" in (await house.say(ScreenCommand(origin=mod(house), prompt="a" * 2001))).text
    assert await app.ledger.size() == leaves
    assert (await app.digest.day(mod(house))).counts == {}

    await house.say(protect(mod(house)))
    held = await house.say(ScreenCommand(origin=mod(house), prompt=PROMPT))
    assert held.title == "Dry run: held"
    elsewhere = await house.say(ScreenCommand(origin=mod(house, "room:2"), prompt=PROMPT))
    assert elsewhere.title == "Dry run: allowed"


async def test_an_event_that_comes_twice_protects_once(house, draw_by_hand) -> None:
    app = house.app
    await house.imagine(PROMPT)
    await draw_by_hand(app)
    await app.courier.drain()
    command = protect(mod(house))
    first, second = await house.say(command), await house.say(command)
    assert first == second
    assert "1 past picture searched: 1 candidate in take-down" in first.text
    (entry,) = await app.protect.entries(mod(house))
    (takedown,) = await app.take_down.pending(mod(house))
    assert takedown.id in first.text
    assert entry.id in first.text
    assert first.fields[0].at_ms == takedown.deadline_ms

    shown = await house.say(ButtonCommand(origin=mod(house), name="takedown", target=takedown.id))
    assert [button.name for button in shown.buttons] == ["takedown_confirm", "takedown_dismiss"]
    foreign = mod(house, "room:2")
    for name in ("takedown", "takedown_confirm", "takedown_dismiss"):
        reply = await house.say(ButtonCommand(origin=foreign, name=name, target=takedown.id))
        assert (reply.text, reply.tone) == (f"There is no take-down {takedown.id!r} here.", "bad")
    assert (await step(house, "takedowns", origin=foreign)).text == "No take-down waits."
    assert (await step(house, "unprotect", entry.id, origin=foreign)).tone == "bad"

    confirm = ModerationCommand(
        origin=mod(house), step="takedown_confirm", target=takedown.id, only=("0" * 16,)
    )
    assert "No candidate" in (await house.say(confirm)).text
    done = await house.say(dataclasses.replace(confirm, only=()))
    assert done.text.startswith("Taken down: 1 picture.")
    for late in (dataclasses.replace(confirm, origin=mod(house)), confirm):
        told = await house.say(late)
        assert told.text == f"The take-down {takedown.id!r} was decided before: confirmed."
    await app.courier.drain()
    assert len(house.room.removed) == 1
    again = await house.say(command)  # much later: nothing is added, and nothing is opened again
    assert entry.id in again.text
    assert await app.protect.entries(mod(house)) == (entry,)
    assert await app.take_down.pending(mod(house)) == ()
    assert (await app.ledger.audit()).ok


async def test_long_lists_are_cut_and_searched(house) -> None:
    for number in range(23):
        await house.say(protect(mod(house), term=f"Zorbl{chr(97 + number)}k Quux"))
    listed = await step(house, "protected")
    assert listed.title == "23 protected"
    assert len(listed.fields) == 20
    assert "3 older ones" in listed.text
    found = await step(house, "protected", "zorblAK")
    assert [field.value.partition(";")[0] for field in found.fields] == ["Zorblak Quux"]
    assert (await step(house, "protected", "nowhere")).text == "No entry contains that."
    entry_id = found.fields[0].label.split()[0]
    assert (await step(house, "unprotect", entry_id)).text == "Zorblak Quux is no longer protected."
    assert "no protected entry" in (await step(house, "unprotect", entry_id)).text


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"term": "x" * 201}, "at most 200 characters"),
        ({"term": " \u202e\n "}, "needs a name"),
        ({"reason": ""}, "why"),
        ({"received": "yesterday"}, "no moment"),
        ({"kind": "image"}, "by its file"),
        ({"image": b"GIF89a"}, "by its file"),
        ({"kind": "image", "image": b"no picture"}, "no PNG, JPEG"),
    ],
)
async def test_what_cannot_be_protected_is_told(house, values, words) -> None:
    reply = await house.say(protect(mod(house), **values))
    assert reply.tone == "bad"
    assert words in reply.text


async def test_the_clock_runs_from_the_moment_they_asked(house, draw_by_hand) -> None:
    await house.imagine(PROMPT)
    await draw_by_hand(house.app)
    await house.app.courier.drain()
    future = await house.say(protect(mod(house), received="2999-01-01"))
    assert "in the future" in future.text
    assert await house.app.protect.entries(mod(house)) == ()
    await house.say(protect(mod(house), received="2026-01-01T10:00+02:00"))
    listed = await step(house, "takedowns")
    assert listed.text == "1 overdue."
    assert listed.fields[0].at_ms == moment_ms("2026-01-03T08:00Z")
    assert [button.label for button in listed.buttons] == ["Show 1", "Take down 1", "Let 1 stand"]


async def test_quarantine_names_ids_only(house, draw_by_hand) -> None:
    app = house.app
    await house.imagine(PROMPT)
    job_id = await draw_by_hand(app)
    await app.courier.drain()
    (release,) = await app.releases.of_job(job_id)
    foreign = await step(house, "quarantine", release.image_id, origin=mod(house, "room:2"))
    assert foreign.tone == "bad"
    marked = await step(house, "quarantine", release.image_id)
    (case,) = await app.quarantine.cases(mod(house))
    assert case.id in marked.text
    listed = await step(house, "quarantined")
    assert [field.label for field in listed.fields] == [case.id]
    for reply in (marked, listed):
        assert reply.private
        assert reply.images == ()
        said = str(reply)
        for secret in (NAME, "apple", case.subject, *case.digests.values()):
            assert secret not in said
    assert (await step(house, "quarantined", origin=mod(house, "room:2"))).fields == ()
    await app.courier.drain()
    assert len(house.room.removed) == 1
    assert house.room.notices == []


async def test_the_digest_is_private_and_knows_its_own_workspace_only(house) -> None:
    for user in ("ann", "bob"):
        await house.imagine(BLOCKED, user=user)
    day = await step(house, "digest")
    assert day.private
    assert values_of(day)["Prompts blocked"].startswith("2 (sexual content 2")
    assert values_of(await step(house, "digest", origin=mod(house, "room:2"))) == {}
    policy = await step(house, "policy")
    assert [field.value.partition(",")[0] for field in policy.fields] == ["community"]


async def test_who_has_many_blocks_is_told_to_their_own_moderators(house) -> None:
    from moderation.types import PromptContent, Scope

    app = house.app
    await house.imagine(BLOCKED)
    subject = await app.vault.find("room", "room:1", "ada")
    verdict = await app.moderator.review(PromptContent(text=BLOCKED), Scope())
    for _ in range(4):
        await app.decisions.record(
            subject=subject,
            scope=Scope(platform="room", workspace_id="room:1"),
            content_kind="prompt",
            text=BLOCKED,
            verdict=verdict,
        )
    assert values_of(await step(house, "digest"))["Many blocks"].startswith("Ada: 5 blocked requests")
    assert "Many blocks" not in values_of(await step(house, "digest", origin=mod(house, "room:2")))
    assert await app.digest.alerts_in(house.origin("eve")) == ()
