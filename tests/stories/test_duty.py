"""A moderator's day: figures, alerts, another policy tried on the record, a policy edited while it runs."""

from __future__ import annotations

import asyncio
import json

import pytest

from bot.compose import open_app
from bot.errors import ConfigurationError
from bot.people_replies import digest as digest_reply
from bot.serve import serve
from bot.usecases.review import NotModerator
from moderation.policy import Policy
from moderation.types import Action, Category, PromptContent, Scope

BLOCKED = "a naked woman having sex, explicit pornographic scene"
HELD = "mugshot of Taylor Swift"


@pytest.fixture
def settings_values() -> dict[str, object]:
    return {"moderator_channels": frozenset({"room:1:mods"})}


def test_a_wrong_channel_is_named(tmp_path) -> None:
    from bot.composition.configured import channels_of
    from bot.settings import Settings

    settings = Settings(data_dir=tmp_path, _env_file=None, moderator_channels=frozenset({"room"}))
    with pytest.raises(ConfigurationError, match="platform:workspace:channel"):
        channels_of(settings)


async def test_the_digest_counts_and_alerts_once_without_a_ping_for_each_block(house) -> None:
    app = house.app
    for _ in range(5):
        await house.imagine(BLOCKED, user=f"u{_}")
    await house.imagine(HELD)
    eve = await house.app.digest.day(house.origin("eve"))
    assert isinstance(eve, NotModerator)
    day = await app.digest.day(house.origin("mod", moderator=True))
    assert day.counts["prompt", Action.BLOCK, Category.SEXUAL] == 5
    assert len(day.reviews) == 1
    words = str(digest_reply(day))
    assert "sexual content 5" in words
    assert "Taylor" not in words

    assert await app.digest.send() == 1  # the digest; five people with one block each are no alert
    subject = await app.vault.find("room", "room:1", "u0")
    for _ in range(4):  # timed out, so asked again through the rules alone
        await app.decisions.record(
            subject=subject,
            scope=Scope(platform="room", workspace_id="room:1"),
            content_kind="prompt",
            text=BLOCKED,
            verdict=await app.moderator.review(PromptContent(text=BLOCKED), Scope()),
        )
    assert await app.digest.send() == 1
    assert await app.digest.send() == 0
    told = [reply for replies in house.room.filled.values() for reply in replies]
    assert [reply.title for reply in told] == ["Moderation: the last 24 hours", "Many blocks by one person"]
    assert "U0: 5 blocked requests" in told[1].text


async def test_a_failed_digest_is_sent_later(house) -> None:
    house.room.rate_limits = 1
    assert await house.app.digest.send() == 0
    assert await house.app.digest.send() == 1


async def test_the_record_under_another_policy(house) -> None:
    app = house.app
    await house.imagine(HELD, negative_prompt="blurry")
    await house.imagine("a red apple", user="bob")
    await house.imagine("a green pear", user="eve")
    await app.accounts.erase(await app.vault.find("room", "room:1", "eve"))
    lax = Policy.parse('extends = "community"\nname = "lax"\n[category.real_person]\non = false\n')
    moderator = app.screener(lax)
    replayed = await app.replay.run(moderator)
    assert replayed.counts == {(Action.HOLD, Action.ALLOW): 1, (Action.ALLOW, Action.ALLOW): 1}
    (change,) = replayed.changes
    assert (change.prompt, change.workspace_id) == (HELD, "room:1")
    assert "Swift" not in repr(change)
    assert replayed.policy_version == lax.version
    assert (await app.replay.run(moderator, workspace_id="room:2")).counts == {}
    assert (await app.replay.run(moderator, since_ms=change.created_ms + 10**9)).counts == {}
    moderator.close()
    assert app.moderator.policy.name == "community"


async def test_an_edited_policy_comes_into_force_and_a_wrong_one_does_not(tmp_path, monkeypatch) -> None:
    from bot.settings import Settings

    monkeypatch.setattr("bot.serve.RELOAD_S", 0.05)
    file = tmp_path / "mine.toml"
    file.write_text('extends = "community"\nname = "one"\n')
    settings = Settings(data_dir=tmp_path / "data", _env_file=None, policy={"path": file})
    async with open_app(settings) as app:
        stop = asyncio.Event()
        serving = asyncio.create_task(serve(app, stop, engine=False, platforms=False))
        file.write_text('extends = "community"\nname = "two"\n[strikes]\nper_timeout = 1\n')
        while app.moderator.policy.name != "two":  # noqa: ASYNC110 - as an operator would look
            await asyncio.sleep(0.05)
        file.write_text('extends = "community"\nname = "three"\n[category.hate]\nhold = 9\n')
        await asyncio.sleep(0.3)
        assert app.moderator.policy.name == "two"
        stop.set()
        await serving
        standing = await app.strikes.add("0" * 32, "w1", category=Category.HATE)
        assert standing.new_timeout  # the strikes count by the new numbers, too
        from bot.cli.imagine import terminal_origin

        history = await app.policies.history(terminal_origin("op"))
        assert [one.name for one in history] == ["one", "two"]
        assert json.loads(history[1].content)["strikes"][0] == 1
        leaves = await app.ledger.entries("")
        assert [leaf.entry.public["policy"] for leaf in leaves] == [history[1].version]
