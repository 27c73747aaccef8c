"""Placeholders, progress, pictures and private words, posted without a living interaction."""

from __future__ import annotations

import json

import discord
import pytest

from bot.conversation import Button, Field, ImageFile, Origin, Reply
from bot.errors import PlatformError, PlatformForbiddenError, PlatformRateLimitError
from bot.platforms.discord.delivery import nonce

pytestmark = pytest.mark.simcord(settle_timeout=60)
PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 64
QUARTER_HOUR = 15 * 60
CANNOT_MESSAGE = 50007


async def test_a_placeholder_shows_progress_and_becomes_the_pictures(
    town, platform, origin_of, clock, progress
):
    origin = await _asked(town, origin_of)

    post = await platform.placeholder(origin, "**Ada** asked for @everyone")

    message = town.channel.last_message
    assert message.content == "\\*\\*Ada\\*\\* asked for @\u200beveryone"
    assert not message.mention_everyone
    assert json.loads(post) == {"channel": str(town.channel.id), "message": str(message.id)}

    await platform.update(post, progress(place=3, eta_s=40.0, text="In the queue: place 3"))
    assert town.channel.last_message.content == "In the queue: place 3"

    clock.seconds += 3
    await platform.update(post, progress(fraction=0.25, eta_s=9.0, preview=PNG))
    message = town.channel.last_message
    assert message.content == "Drawing\n▰▰▰▱▱▱▱▱▱▱▱▱ 25%"
    assert [file.description for file in message.attachments] == ["Unfinished preview"]

    filled = await platform.fill(origin, post, _result(4), key="job-1")

    assert filled == post
    (message,) = town.channel.history()
    assert not message.content
    assert [file.filename for file in message.attachments] == [f"apple-{i}.png" for i in range(4)]
    assert [file.description for file in message.attachments] == [f"Apple {i}" for i in range(4)]
    assert message.embeds[0].title == "a red apple"
    assert [(field.name, field.value) for field in message.embeds[0].fields] == [("License", "MIT")]
    assert [button.custom_id for button in message.components[0].children] == ["v:vary:i0", "v:delete:i0"]
    assert await town.ada.click(message, label="Vary")


async def test_progress_is_lossy_and_never_overwrites_the_pictures(
    town, platform, origin_of, clock, progress
):
    origin = await _asked(town, origin_of)
    post = await platform.placeholder(origin, "Soon")
    await platform.update(post, progress(text="first"))
    clock.seconds += 2.9

    await platform.update(post, progress(text="too soon"))
    assert town.channel.last_message.content.startswith("first")

    await platform.fill(origin, post, _result(1), key="job-1")
    clock.seconds += 60
    await platform.update(post, progress(text="too late"))
    assert not town.channel.last_message.content


async def test_progress_gives_up_quietly(town, platform, origin_of, clock, progress):
    origin = await _asked(town, origin_of)
    post = await platform.placeholder(origin, "Soon")

    town.env.inject_error("PATCH", "/channels/*/messages/*", status=429)
    await platform.update(post, progress(text="refused"))
    clock.seconds += 4
    await platform.update(post, progress(text="still waiting"))
    assert town.channel.last_message.content == "Soon"
    clock.seconds += 4
    await platform.update(post, progress(text="shown"))
    assert town.channel.last_message.content.startswith("shown")

    await platform.remove(post)
    before = len(town.env.http_requests)
    clock.seconds += 4
    await platform.update(post, progress(text="nowhere"))
    assert len(town.env.http_requests) == before


async def test_odd_progress_is_drawn_sanely(town, platform, origin_of, clock, progress):
    origin = await _asked(town, origin_of)
    post = await platform.placeholder(origin, "Soon")
    for values, expected in (
        ({"fraction": 7.0}, "Drawing\n▰▰▰▰▰▰▰▰▰▰▰▰ 100%"),
        ({"fraction": float("nan"), "text": "", "eta_s": float("inf")}, "▱▱▱▱▱▱▱▱▱▱▱▱ 0%"),
        ({"text": "", "eta_s": -1.0}, "▱▱▱▱▱▱▱▱▱▱▱▱ 0%"),
        ({"text": "", "place": 2, "eta_s": 9.4}, f"#2 · <t:{round(clock.seconds) + 21}:R>"),
    ):
        clock.seconds += 3
        await platform.update(post, progress(**values))
        assert town.channel.last_message.content == expected


async def test_filling_twice_shows_the_pictures_once(town, platform, origin_of, build_platform):
    origin = await _asked(town, origin_of)
    post = await platform.placeholder(origin, "Soon")
    await platform.fill(origin, post, _result(2), key="job-1")
    again = build_platform()
    await town.env.restart_bot(again.client)

    await again.fill(origin, post, _result(2), key="job-1")

    (message,) = town.channel.history()
    assert len(message.attachments) == 2


async def test_without_a_placeholder_a_new_message_comes_once(town, platform, origin_of):
    origin = await _asked(town, origin_of)

    first = await platform.fill(origin, None, _result(1), key="job-1")
    second = await platform.fill(origin, None, _result(1), key="job-1")

    assert first == second
    assert len(town.channel.history()) == 1


async def test_a_deleted_placeholder_is_replaced(town, platform, origin_of):
    origin = await _asked(town, origin_of)
    post = await platform.placeholder(origin, "Soon")
    await platform.remove(post)
    await platform.remove(post)
    assert town.channel.history() == []

    filled = await platform.fill(origin, post, _result(1), key="job-1")

    assert filled != post
    assert len(town.channel.history()) == 1


async def test_where_the_bot_may_not_write_the_interaction_answers(town, platform, origin_of):
    origin = await _asked(town, origin_of)
    town.env.inject_error("POST", "/channels/*/messages", status=403, code=50013, times=None)

    assert await platform.placeholder(origin, "Soon") is None
    post = await platform.fill(origin, None, _result(1), key="job-1")

    (message,) = town.channel.history()
    assert len(message.attachments) == 1
    await platform.remove(post)
    assert town.channel.history() == []


async def test_nowhere_to_write_is_forbidden(town, platform, origin_of, clock):
    origin = await _asked(town, origin_of)
    town.env.inject_error("POST", "/channels/*/messages", status=403, code=50013, times=None)
    clock.seconds += QUARTER_HOUR

    with pytest.raises(PlatformForbiddenError) as caught:
        await platform.fill(origin, None, _result(1), key="job-1")
    assert not caught.value.retryable

    with pytest.raises(PlatformForbiddenError):
        await platform.fill(_replace(origin, channel_id=""), None, _result(1), key="job-2")


@pytest.mark.parametrize(
    ("refusal", "expected"),
    [
        ((429, 0), (PlatformRateLimitError, True)),
        ((403, 50013), (PlatformForbiddenError, False)),
        ((401, 0), (PlatformForbiddenError, False)),
        ((404, 10003), (PlatformForbiddenError, False)),
        ((500, 0), (PlatformError, True)),
        ((503, 0), (PlatformError, True)),
        ((400, 50035), (PlatformError, False)),
        ((413, 40005), (PlatformError, False)),
    ],
)
async def test_refusals_become_platform_errors(town, platform, origin_of, refusal, expected):
    status, code = refusal
    origin = await _asked(town, origin_of)
    post = await platform.placeholder(origin, "Soon")
    town.env.inject_error("PATCH", "/channels/*/messages/*", status=status, code=code)

    with pytest.raises(PlatformError) as caught:
        await platform.fill(origin, post, _result(1), key="job-1")

    assert (type(caught.value), caught.value.retryable) == expected
    if isinstance(caught.value, PlatformRateLimitError):
        assert caught.value.retry_after_s > 0


async def test_a_picture_over_the_limit_is_left_out_and_named(town, platform, origin_of):
    origin = _replace(await _asked(town, origin_of), upload_limit=1000)
    large = ImageFile(name="large.png", data=b"x" * 1001, alt_text="", width=9, height=9)
    small = ImageFile(name="small.png", data=b"x" * 1000, alt_text="", width=9, height=9)
    post = await platform.placeholder(origin, "Soon")

    await platform.fill(origin, post, Reply(text="Two", images=(large, small), private=False), key="k")

    message = town.channel.last_message
    assert [file.filename for file in message.attachments] == ["small.png"]
    assert message.content == (
        "Two\n1 of 2 pictures did not fit this server's upload limit and were left out."
    )


async def test_at_most_ten_files_go_into_a_message(town, platform, origin_of):
    origin = await _asked(town, origin_of)

    await platform.fill(origin, None, _result(12), key="k")

    message = town.channel.last_message
    assert len(message.attachments) == 10
    assert "2 of 12" in message.embeds[0].description


async def test_strange_file_names_become_plain_ones(town, platform, origin_of):
    origin = await _asked(town, origin_of)
    images = tuple(
        ImageFile(name=name, data=PNG, alt_text="\u202ealt\x00", width=1, height=1)
        for name in ("../../etc/passwd", "", "ä ö.png")
    )

    await platform.fill(origin, None, Reply(text="x", images=images), key="k")

    files = town.channel.last_message.attachments
    assert [file.filename for file in files] == ["etc_passwd", "picture-2.png", "png"]
    assert {file.description for file in files} == {"alt"}


async def test_a_private_request_is_answered_in_private(town, platform, origin_of):
    result = await town.ada.slash(town.channel, "imagine", prompt="a red apple", private=True)
    origin = origin_of()

    assert await platform.placeholder(origin, "Soon") is None
    post = await platform.fill(origin, None, _result(2), key="job-1")
    await platform.fill(origin, None, _result(2), key="job-1")

    assert town.channel.history() == []
    assert len(result.response.attachments) == 2
    assert json.loads(post)["message"] == str(result.response.id)
    await platform.fill(origin, post, _result(1), key="job-1")
    await platform.remove(post)
    assert result.response is None


async def test_a_private_word_edits_the_reply_also_after_a_restart(town, origin_of, build_platform):
    result = await town.ada.slash(town.channel, "imagine", prompt="a red apple")
    origin = origin_of()
    again = build_platform()
    await town.env.restart_bot(again.client)

    await again.notify(origin, Reply(text="Cancelled.", tone="warning"))

    assert result.response.embeds[0].description == "Cancelled."
    assert result.followups == []


async def test_after_a_quarter_of_an_hour_a_private_word_is_a_direct_message(
    town, platform, origin_of, clock
):
    origin = await _asked(town, origin_of)
    clock.seconds += QUARTER_HOUR

    await platform.notify(origin, Reply(text="It was approved."))

    assert _direct(town).content == "It was approved."


async def test_a_dead_token_falls_back_to_a_direct_message(town, platform, origin_of):
    origin = await _asked(town, origin_of)
    town.env.inject_error("PATCH", "/webhooks/*", status=404, code=10015)

    await platform.notify(origin, Reply(text="Ready."))

    assert _direct(town).content == "Ready."


async def test_a_damaged_token_falls_back_to_a_direct_message(town, platform, origin_of):
    origin = await _asked(town, origin_of)
    for number, token in enumerate(("", "[]", "{}", '{"app":1,"token":"x","message":"y","until":0}')):
        await platform.notify(_replace(origin, token=token), Reply(text=f"Word {number}"))
        assert _direct(town).content == f"Word {number}"


async def test_private_words_are_best_effort(town, platform, origin_of, clock):
    origin = await _asked(town, origin_of)
    clock.seconds += QUARTER_HOUR
    town.env.inject_error("POST", "/channels/*/messages", status=403, code=CANNOT_MESSAGE, times=None)

    await platform.notify(origin, Reply(text="x"))

    with pytest.raises(PlatformForbiddenError):
        await platform.fill(_replace(origin, private=True), None, _result(1), key="k")


async def test_a_private_reply_that_cannot_be_edited_now_is_retried_later(town, platform, origin_of):
    origin = _replace(await _asked(town, origin_of), private=True)
    town.env.inject_error("PATCH", "/webhooks/*", status=500)

    with pytest.raises(PlatformError) as caught:
        await platform.fill(origin, None, _result(1), key="k")
    assert caught.value.retryable


@pytest.mark.usefixtures("simcord_env")
@pytest.mark.parametrize("post", ["", "nonsense", "[]", "{}", '{"channel":"x","message":"1"}'])
async def test_damaged_references_are_refused(platform, progress, post):
    with pytest.raises(PlatformError) as caught:
        await platform.remove(post)
    assert not caught.value.retryable
    with pytest.raises(PlatformError):
        await platform.update(post, progress())


async def test_user_words_are_escaped_wherever_they_stand(town, platform, origin_of):
    origin = await _asked(town, origin_of)
    evil = "@everyone [x](https://evil.example)"
    reply = Reply(text=evil, title=evil, fields=(Field(label=evil, value=evil),), private=False)

    await platform.fill(origin, None, reply, key="k")

    message = town.channel.last_message
    (embed,) = message.embeds
    shown = [embed.title, embed.description, embed.fields[0].name, embed.fields[0].value]
    assert shown == ["@\u200beveryone \\[x\\](https:\\/\\/evil.example)"] * 4
    assert not message.mention_everyone


def test_nonces_fit_and_repeat():
    assert nonce("a") == nonce("a") != nonce("b")
    assert len(nonce("x" * 1000)) == 25


async def _asked(town, origin_of) -> Origin:
    await town.ada.slash(town.channel, "imagine", prompt="a red apple")
    return origin_of()


def _replace(origin: Origin, **values: object) -> Origin:
    return Origin.from_bytes(json.dumps(json.loads(origin.to_bytes()) | values).encode())


def _result(count: int) -> Reply:
    return Reply(
        text="Ada asked for it.",
        title="a red apple",
        fields=(Field(label="License", value="MIT"),),
        images=tuple(
            ImageFile(name=f"apple-{i}.png", data=PNG, alt_text=f"Apple {i}", width=8, height=8)
            for i in range(count)
        ),
        buttons=(
            Button(name="vary", target="i0", label="Vary", style="primary"),
            Button(name="delete", target="i0", label="Delete", style="danger"),
        ),
        private=False,
    )


def _direct(town) -> discord.Message:
    return town.ada.user.dm_channel.last_message
