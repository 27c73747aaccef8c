"""Moderators in Discord: the real house behind the SDK's real command tree, on a simulated Discord."""

from __future__ import annotations

import json
from types import SimpleNamespace

import discord
import pytest

from bot.compose import open_app
from bot.conversation import ImagineCommand, Origin
from bot.platforms.discord import DiscordPlatform
from bot.settings import Settings
from bot.words import MODERATORS_ONLY

pytestmark = pytest.mark.simcord(settle_timeout=120)
NAME = "Marlo Quibblestone"
PROMPT = f"a red apple for {NAME}"
HOSTILE = "@everyone <@123456789012345678> **estate** [x](https://evil.example)"


@pytest.fixture
async def app(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # no .env of the developer's
    async with open_app(Settings(data_dir=tmp_path / "data")) as app:
        await app.moderator.warm()
        yield app


@pytest.fixture
def simcord_bot(app, tmp_path):
    platform = DiscordPlatform("test-token", handle=app.handle, command_state=tmp_path / "commands.json")
    app.add_platform(platform)
    return platform.client


def a_server(env, name):
    """A server with a member and two moderators."""
    guild = env.create_guild(name)
    channel = guild.create_text_channel("art")
    role = guild.create_role("Mods", permissions=discord.Permissions(manage_messages=True))
    ada = guild.add_member(env.create_user(f"ada of {name}"))
    mod, other = (
        guild.add_member(env.create_user(f"{who} of {name}"), roles=[role]) for who in ("mod", "other")
    )
    return SimpleNamespace(guild=guild, channel=channel, ada=ada, mod=mod, other=other)


@pytest.fixture
def here(simcord_env):
    return a_server(simcord_env, "here")


@pytest.fixture
def there(simcord_env):
    return a_server(simcord_env, "there")


@pytest.fixture
async def picture(app, here, draw_by_hand):
    """Ada's picture in the channel, as the courier posts it: (job id, message)."""
    origin = Origin(
        platform="discord",
        workspace_id=f"discord:{here.guild.id}",
        channel_id=str(here.channel.id),
        user_id=str(here.ada.id),
        user_name="ada",
        event_id=str(here.ada.id + 1),
    )
    # Not by `/imagine`: the simulator would wait for the progress bar, and nobody draws meanwhile.
    await app.imagine(ImagineCommand(origin=origin, prompt=PROMPT, accept_terms=True))
    job_id = await draw_by_hand(app)
    await app.courier.drain()
    return job_id, here.channel.last_message


def embed_of(result):
    (embed,) = result.response.embeds
    return embed


def said(result) -> str:
    """All that a private answer says."""
    assert result.ephemeral
    lines = [result.response.content or ""]
    for embed in result.response.embeds:
        lines += [embed.title or "", embed.description or ""]
        lines += [f"{field.name}: {field.value}" for field in embed.fields]
    return "\n".join(lines)


async def forged(actor, channel, custom_id):
    """A click on a button that this person never saw."""
    return await actor._dispatch_interaction(3, channel, {"component_type": 2, "custom_id": custom_id})


async def test_a_rights_holder_from_the_request_to_the_removal(app, simcord_env, here, there, picture):
    assert here.channel.last_message.id == picture[1].id
    tested = await here.mod.slash(here.channel, "moderation test", prompt=PROMPT)
    assert embed_of(tested).title == "Dry run: allowed"

    added = await here.mod.slash(
        here.channel,
        "moderation protect add",
        kind="name",
        what=NAME,
        asked_by=HOSTILE,
        reason=HOSTILE,
        received="2026-01-01T10:00Z",
    )
    (takedown,) = await app.take_down.pending(_operator())
    assert f"1 past picture searched: 1 candidate in take-down {takedown.id}" in said(added)
    due = takedown.deadline_ms // 1000
    assert embed_of(added).fields[0].value == f"<t:{due}:f> (<t:{due}:R>)"
    tested = await here.mod.slash(here.channel, "moderation test", prompt=PROMPT)
    assert embed_of(tested).title == "Dry run: held"
    elsewhere = await there.mod.slash(there.channel, "moderation test", prompt=PROMPT)
    assert embed_of(elsewhere).title == "Dry run: allowed"

    listed = await here.mod.slash(here.channel, "moderation takedown list")
    rival = await here.other.slash(here.channel, "moderation takedown list")
    assert embed_of(listed).fields[0].value.startswith(f"<t:{due}:f> (<t:{due}:R>): asked by @\u200beveryone")
    protected = said(await here.mod.slash(here.channel, "moderation protect list"))
    for text in (said(listed), protected):
        assert r"\*\*estate\*\*" in text
        assert "@everyone" not in text
        assert "<@1" not in text
    assert NAME in protected

    # Nobody of another server, and no member, learns or decides anything, by whatever way.
    empty = await there.mod.slash(there.channel, "moderation takedown list")
    assert "No take-down waits" in said(empty)
    assert "Nothing is protected" in said(await there.mod.slash(there.channel, "moderation protect list"))
    for step in ("show", "confirm", "dismiss"):
        refused = await there.mod.slash(there.channel, f"moderation takedown {step}", takedown=takedown.id)
        assert "There is no take-down" in said(refused)
    for name in ("takedown", "takedown_confirm", "takedown_dismiss"):
        custom_id = f"v:{name}:{takedown.id}"
        assert "There is no take-down" in said(await forged(there.mod, there.channel, custom_id))
        assert MODERATORS_ONLY in said(await forged(here.ada, here.channel, custom_id))

    shown = await here.mod.click(listed.response, label="Show 1")
    assert embed_of(shown).fields[0].name == "Decide by"
    removed = await here.mod.click(shown.response, label="Take down")
    assert "Taken down: 1 picture" in said(removed)
    late = await here.other.click(rival.response, label="Let 1 stand")
    assert "was decided before: confirmed" in said(late)
    await app.courier.drain()
    assert here.channel.last_message is None
    assert "No take-down waits" in said(await here.mod.slash(here.channel, "moderation takedown list"))

    (entry,) = await app.protect.entries(_operator())
    foreign = await there.mod.slash(there.channel, "moderation protect remove", entry=entry.id)
    assert "no protected entry" in said(foreign)
    gone = await here.mod.slash(here.channel, "moderation protect remove", entry=entry.id)
    assert f"{NAME} is no longer protected" in said(gone)

    bodies = [entry.json for entry in simcord_env.http_requests if entry.json and "content" in entry.json]
    assert all(body["allowed_mentions"]["parse"] == [] for body in bodies)


async def test_pictures_quarantine_and_figures(app, here, there, picture):
    job_id, message = picture
    (attached,) = message.attachments
    file = await attached.read()
    asked = {"what": "my print", "asked_by": "The estate", "reason": "a copy"}
    missing = await here.mod.slash(here.channel, "moderation protect add", kind="picture", **asked)
    assert "by its file" in said(missing)
    text = await here.mod.slash(
        here.channel, "moderation protect add", kind="picture", picture=("a.txt", b"words"), **asked
    )
    assert "no PNG, JPEG" in said(text)
    added = await here.mod.slash(
        here.channel, "moderation protect add", kind="picture", picture=("a.png", file), block=True, **asked
    )
    assert "1 past picture searched: 1 candidate" in said(added)
    (entry,) = await app.protect.entries(_operator())
    assert (entry.kind, entry.action.name, entry.workspace_id) == (
        "image",
        "BLOCK",
        f"discord:{here.guild.id}",
    )

    (release,) = await app.releases.of_job(job_id)
    foreign = await there.mod.slash(there.channel, "moderation quarantine", id=release.image_id)
    assert "There is no image" in said(foreign)
    marked = await here.mod.slash(here.channel, "moderation quarantine", id=release.image_id)
    (case,) = await app.quarantine.cases(_operator())
    cases = await here.mod.slash(here.channel, "moderation quarantine")
    for result in (marked, cases):
        assert case.id in said(result)
        assert NAME not in said(result)
        assert result.response.attachments == []
    assert "Nothing lies" in said(await there.mod.slash(there.channel, "moderation quarantine"))
    await app.courier.drain()
    assert here.channel.last_message is None

    digest = await here.mod.slash(here.channel, "moderation digest")
    assert digest.followups == []  # nothing is said aloud
    assert "1 take-down" in said(digest)
    assert "0 take-downs" in said(await there.mod.slash(there.channel, "moderation digest"))
    assert "community" in said(await here.mod.slash(here.channel, "moderation policy"))


async def test_the_door_keeps_members_out_whatever_their_client_sends(app, simcord_env, here):
    tree = simcord_env.backend.find_command("moderation", here.guild.id, type=1)
    assert tree["default_member_permissions"] == discord.Permissions(manage_messages=True).value
    words = {"name": "prompt", "type": 3, "value": "a red apple"}
    entry = [
        {"name": name, "type": 3, "value": value}
        for name, value in (("kind", "name"), ("what", NAME), ("asked_by", "me"), ("reason", "so"))
    ]
    for options in (
        {"name": "test", "type": 1, "options": [words]},
        {"name": "protect", "type": 2, "options": [{"name": "add", "type": 1, "options": entry}]},
        {"name": "takedown", "type": 2, "options": [{"name": "list", "type": 1, "options": []}]},
        {"name": "quarantine", "type": 1, "options": []},
        {"name": "digest", "type": 1, "options": []},
        {"name": "review", "type": 1, "options": []},
    ):
        data = {"id": tree["id"], "name": "moderation", "type": 1, "options": [options]}
        refused = await here.ada._dispatch_interaction(2, here.channel, data)
        assert said(refused).count(MODERATORS_ONLY) == 1
    assert await app.protect.entries(_operator()) == ()


async def test_an_interaction_that_is_delivered_twice_protects_once(app, simcord_env, here):
    from simcord import interactions

    backend = simcord_env.backend
    tree = backend.find_command("moderation", here.guild.id, type=1)
    entry = [
        {"name": name, "type": 3, "value": value}
        for name, value in (("kind", "mark"), ("what", "Zorblex"), ("asked_by", "Ltd"), ("reason", "mine"))
    ]
    add = {"name": "protect", "type": 2, "options": [{"name": "add", "type": 1, "options": entry}]}
    data = {"id": tree["id"], "name": "moderation", "type": 1, "options": [add]}
    first = await here.mod._dispatch_interaction(2, here.channel, data)
    _, payload = interactions.base_payload(
        backend,
        type=2,
        channel_id=here.channel.id,
        guild_id=here.guild.id,
        user_id=here.mod.id,
        data=json.loads(json.dumps(data)),
    )
    record = first._interaction
    backend.emit("INTERACTION_CREATE", payload | {"id": str(record.id), "token": record.token})
    await simcord_env.settle()
    (protected,) = await app.protect.entries(_operator())
    assert protected.id in said(first)


def _operator():
    from bot.cli.imagine import terminal_origin

    return terminal_origin("op")
