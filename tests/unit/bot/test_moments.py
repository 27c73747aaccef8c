"""Moments in replies: read from people, shown by each platform in its own way, never beyond its limits."""

from __future__ import annotations

import pytest

from bot.conversation import Field, Reply
from bot.errors import UsageError
from bot.platforms.discord.messages import draft
from bot.platforms.slack.blocks import card
from bot.words import dated, moment_ms, when

AT = 1_767_434_400_000  # 2026-01-03 10:00 UTC


@pytest.mark.parametrize(
    "text",
    ["2026-01-03T10:00Z", "2026-01-03T10:00", " 2026-01-03 10:00:00+00:00 ", "2026-01-03T12:00+02:00"],
)
def test_a_moment_is_read(text):
    assert moment_ms(text) == AT


@pytest.mark.parametrize("text", ["", "soon", "2026-13-01", "x" * 5000])
def test_what_is_no_moment_is_told_shortly(text):
    with pytest.raises(UsageError, match="is no moment") as caught:
        moment_ms(text)
    assert len(str(caught.value)) < 120
    assert caught.value.field == "received"


def test_a_terminal_shows_it_in_utc():
    assert dated(Field(label="Due", value="", at_ms=AT)) == when(AT) == "2026-01-03 10:00 UTC"
    assert dated(Field(label="Due", value="now", at_ms=AT)) == "2026-01-03 10:00 UTC: now"
    assert dated(Field(label="Due", value="now")) == "now"


def test_discord_shows_it_relative_and_keeps_its_limits():
    reply = Reply(
        text="",
        title="List",
        fields=tuple(Field(label=f"{n}", value="*" * 2000, at_ms=AT) for n in range(30)),
    )
    (embed,) = draft(reply, upload_limit=1, public=False).embeds
    assert len(embed) <= 6000
    assert all(len(field.value) <= 1024 for field in embed.fields)
    assert embed.fields[0].value.startswith("<t:1767434400:f> (<t:1767434400:R>): \\*")
    for field in embed.fields:  # cut anywhere but inside the moment
        assert field.value.count("<") == field.value.count(">")
    full = draft(reply, upload_limit=1, public=False).full_text
    assert full.count("2026-01-03 10:00 UTC: *") == 30


def test_slack_shows_it_in_the_readers_time_zone_and_keeps_its_limits():
    reply = Reply(text="x", fields=(Field(label="<!here>", value="&" * 3000, at_ms=AT),))
    (field,) = card(reply)[-1]["fields"]
    moment = "<!date^1767434400^{date_short_pretty} at {time}|2026-01-03 10:00 UTC>"
    assert field["text"].startswith(f"*&lt;!here&gt;*\n{moment}: &amp;")
    assert len(field["text"]) <= 2000
