"""One's own data, and moderators' words about members, as Slack and Discord send them."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import discord
import pytest

from bot.compose import open_app
from bot.conversation import ImagineCommand, ModerationCommand, Origin
from bot.errors import UsageError
from bot.platforms.discord import DiscordPlatform
from bot.platforms.slack.moderation import moderation
from bot.review_replies import not_moderator
from bot.settings import Settings
from bot.words import MODERATORS_ONLY

MOD = Origin(platform="slack", workspace_id="slack:T1", user_id="U0MOD", event_id="1", is_moderator=True)


@pytest.mark.parametrize(
    ("text", "step", "target", "reason"),
    [
        ("history <@U0ADA|ada> a complaint", "history", "U0ADA", "a complaint"),
        ("history U0ADA a complaint", "history", "U0ADA", "a complaint"),
        ("strikes <@W0ADA>", "strikes", "W0ADA", ""),
        ("pause <@U0ADA|ada> too  many", "pause", "U0ADA", "too  many"),
        ("unpause @U0ADA", "unpause", "U0ADA", ""),
        ("cancel <@U0ADA|ada> too many", "cancel", "U0ADA", "too many"),
        ("quarantine lift 0123abcd", "quarantine_lift", "0123abcd", ""),
        ("quarantine 0123abcd", "quarantine", "0123abcd", ""),
    ],
)
def test_slack_reads_what_moderators_type(text: str, step: str, target: str, reason: str) -> None:
    command = moderation(MOD, text)
    assert isinstance(command, ModerationCommand)
    assert (command.step, command.target, command.reason) == (step, target, reason)


def test_slack_reads_a_take_down() -> None:
    why = '--for "Zorblex Ltd" --reason "our \u201capple\u201d, sold"'
    command = moderation(MOD, f"takedown open 0123456789abcdef, fedcba9876543210 {why}")
    assert isinstance(command, ModerationCommand)
    assert command.only == ("0123456789abcdef", "fedcba9876543210")
    assert (command.requested_by, command.reason) == ("Zorblex Ltd", "our \u201capple\u201d, sold")


@pytest.mark.parametrize(
    "text",
    [
        "history",
        "history ada why",
        "history <!channel> why",
        "pause <@ada>",
        "quarantine lift",
        "takedown open 0123456789abcdef",
        "takedown open --for x --reason y",
    ],
)
def test_slack_says_what_is_missing(text: str) -> None:
    with pytest.raises(UsageError):
        moderation(MOD, text)


async def test_slack_sends_a_copy_by_direct_message_and_erases(slack_house, workspace, ann) -> None:
    app = slack_house.app
    subject = await app.vault.subject("slack", "slack:T000000001", ann["user"], name="Ann")
    sender = slack_house.sender
    told = await slack_house.ask(sender.slash("/verso", "mydata", **ann))
    assert "direct message" in str(told)
    assert len(workspace.made("files.completeUploadExternal")) == 1

    asked = await slack_house.ask(sender.slash("/verso", "forgetme", **ann))
    assert [name for name in slack_house.buttons(asked) if "forgetme" in name]
    assert not await app.vault.erased(subject)
    refused = await slack_house.ask(sender.slash("/verso", "moderation strikes U0ANN", **ann))
    assert MODERATORS_ONLY in str(refused)
    mod = {"user": workspace.users["admin"], "channel": workspace.channels["art"]}
    seen = await slack_house.ask(
        sender.slash("/verso", f"moderation history <@{ann['user']}|ann> spam", **mod)
    )
    assert "Usage log of Ann" in str(seen)
    stands = await slack_house.ask(sender.slash("/verso", f"moderation strikes <@{ann['user']}|ann>", **mod))
    assert "0 live strikes" in str(stands)


@pytest.fixture
async def app(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # no .env of the developer's
    async with open_app(Settings(data_dir=tmp_path / "data")) as app:
        yield app


@pytest.fixture
def simcord_bot(app, tmp_path):
    platform = DiscordPlatform(
        "test-token",
        handle=app.handle,
        command_state=tmp_path / "commands.json",
        on_removed=app.uninstall.left,
        on_added=app.uninstall.returned,
    )
    app.add_platform(platform)
    return platform.client


@pytest.mark.simcord(settle_timeout=120)
async def test_discord_hands_over_a_copy_and_moderators_look_at_people(app, simcord_env, simcord_bot) -> None:
    guild = simcord_env.create_guild("here")
    channel = guild.create_text_channel("art")
    role = guild.create_role("Mods", permissions=discord.Permissions(manage_messages=True))
    ada = guild.add_member(simcord_env.create_user("ada"))
    mod = guild.add_member(simcord_env.create_user("mod"), roles=[role])
    origin = Origin(
        platform="discord",
        workspace_id=f"discord:{guild.id}",
        channel_id=str(channel.id),
        user_id=str(ada.id),
        user_name="ada",
        event_id="1",
    )
    await app.imagine(ImagineCommand(origin=origin, prompt="a red apple", accept_terms=True))

    copy = await ada.slash(channel, "mydata")
    assert copy.ephemeral
    (file,) = copy.response.attachments
    assert file.filename == "verso-my-data.zip"
    assert (await ada.slash(channel, "forgetme")).response.embeds[0].title.startswith("Erase everything")

    looked = await mod.slash(channel, "moderation people history", member=ada, reason="spam")
    assert looked.response.embeds[0].title == "Usage log of ada"
    assert any("a red apple" in field.value for field in looked.response.embeds[0].fields)
    assert (
        "0 live strikes"
        in (await mod.slash(channel, "moderation people strikes", member=ada)).response.embeds[0].description
    )
    await mod.slash(channel, "moderation people pause", member=ada, reason="too many")
    subject = await app.vault.find("discord", origin.workspace_id, str(ada.id))
    assert await app.strikes.timeout_until(subject, origin.workspace_id) is not None
    await mod.slash(channel, "moderation people unpause", member=ada)
    assert await app.strikes.timeout_until(subject, origin.workspace_id) is None

    await app.imagine(
        ImagineCommand(origin=replace(origin, event_id="2"), prompt="a red apple", count=3, accept_terms=True)
    )
    stopped = await mod.slash(channel, "moderation people cancel", member=ada, reason="a flood")
    assert "1 request; 3 pictures went back" in stopped.response.embeds[0].description
    moderator = await app.vault.find("discord", origin.workspace_id, str(mod.id))
    noted = [one.entry for one in await app.ledger.entries(subject) if one.entry.kind == "jobs_cancelled"]
    told = [dict((await app.ledger.opening(entry.id)).fields) for entry in noted]
    assert told == [{"actor": moderator, "reason": why} for why in ("too many", "a flood")]
    assert dict(noted[-1].public) == {"jobs": 1, "images": 3}
    assert await app.queue.active(subject) == ()
    assert await app.queue.usage(since_ms=0, user_id=subject) == ()
    again = await mod.slash(channel, "moderation people cancel", member=ada)
    assert "nothing waiting" in again.response.content
    member = replace(origin, event_id="3")
    refused = await app.handle(ModerationCommand(origin=member, step="cancel", target=str(ada.id)))
    assert refused == not_moderator()

    gone = SimpleNamespace(id=guild.id)
    for _ in range(2):  # told twice
        await simcord_bot.on_guild_remove(gone)
    async with app.database.connect() as connection:
        rows = (await connection.exec_driver_sql("SELECT workspace_id, done_ms FROM departures")).all()
    assert [tuple(row) for row in rows] == [(origin.workspace_id, None)]
    await simcord_bot.on_guild_join(gone)
    async with app.database.connect() as connection:
        assert (await connection.exec_driver_sql("SELECT count(*) FROM departures")).scalar() == 0
