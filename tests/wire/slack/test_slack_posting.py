"""Placeholder, progress, pictures; crashes, limits and missing rights in between."""

from __future__ import annotations

import asyncio
import itertools
import json

import pytest

from bot.conversation import Progress, Reply
from bot.errors import (
    PlatformError,
    PlatformForbiddenError,
    PlatformRateLimitError,
)
from bot.platforms.slack.app import SlackPlatform
from bot.platforms.slack.posting import Post, Poster

BOT = "xoxb-verso"


async def _no_pause(_seconds):
    await asyncio.sleep(0)


@pytest.fixture
def platform(workspace, brain):
    """A platform that posts; nobody listens, as in a process of its own."""
    del workspace

    def make(token=BOT, **options):
        return SlackPlatform(
            bot_token=token, handler=brain, app_token="xapp-verso", pause=_no_pause, **options
        )

    return make


@pytest.fixture
def channel(workspace, witness):
    """Reads a conversation and its threads: ([messages], [replies])."""

    async def read(name="art", ids=""):
        place = ids or workspace.channels[name]
        top = (await workspace.ask("conversations.history", witness, channel=place))["messages"]
        replies = []
        for message in top:
            thread = await workspace.ask("conversations.replies", witness, channel=place, ts=message["ts"])
            replies += [one for one in thread["messages"] if one["ts"] != message["ts"]]
        return top, replies

    return read


def kinds(message):
    return [block["type"] for block in message["blocks"]]


async def test_placeholder_progress_and_picture(platform, origin, finished, channel):
    slack = platform()
    post = await slack.placeholder(origin(), "Drawing <soon> & well")
    (message,), _ = await channel()
    assert message["text"] == "Drawing &lt;soon&gt; &amp; well"
    await slack.update(post, Progress(job_id="j1", fraction=0.5))
    (message,), _ = await channel()
    assert "50%" in message["blocks"][0]["text"]["text"]
    assert message["blocks"][1]["elements"][0]["value"] == "j1"  # a button that stops it
    post = await slack.fill(origin(), post, finished, key="j1")
    (message,), (shared,) = await channel()
    assert kinds(message) == ["section", "section", "image", "section", "actions"]
    (file,) = shared["files"]
    assert message["blocks"][2]["slack_file"] == {"id": file["id"]}
    assert message["blocks"][2]["alt_text"] == "A red apple"
    assert file["alt_txt"] == "A red apple"
    assert file["mimetype"] == "image/png"
    buttons = {one["action_id"]: one["value"] for one in message["blocks"][4]["elements"]}
    assert buttons == {"v:vary": "i1", "v:vary:1": "i2", "v:delete": "j1", "v:appeal?": "d1\nWhy?"}
    assert "<!channel>" not in json.dumps(message)
    assert message["blocks"][3]["fields"][0]["text"] == "*License*\n<https://spdx.org/licenses/MIT|MIT>"
    uploaded = Post.parse(post)
    assert uploaded.files == (file["id"],)
    assert uploaded.shares == (shared["ts"],)


async def test_the_bytes_at_slack_are_the_bytes_that_were_signed(
    platform, workspace, origin, finished, channel
):
    slack = platform()
    await slack.fill(origin(), await slack.placeholder(origin(), "..."), finished, key="j1")
    _, (shared,) = await channel()
    async with workspace._session.get(
        shared["files"][0]["url_private"], headers={"Authorization": f"Bearer {BOT}"}
    ) as answer:
        assert await answer.read() == finished.images[0].data


async def test_four_pictures_are_one_share(platform, workspace, origin, picture, channel):
    slack = platform()
    four = [picture(color=(n * 50, 0, 0), name=f"verso-{n}.png") for n in range(4)]
    reply = Reply(text="Four", images=tuple(four), private=False)
    await slack.fill(origin(), await slack.placeholder(origin(), "..."), reply, key="j1")
    (message,), (shared,) = await channel()
    assert kinds(message).count("image") == 4
    assert [block["slack_file"]["id"] for block in message["blocks"][1:]] == [
        f["id"] for f in shared["files"]
    ]
    assert len(workspace.made("files.completeUploadExternal")) == 1


@pytest.mark.parametrize("lost", ["before the card", "after the card", "the upload's answer"])
async def test_a_crash_never_posts_two_pictures(platform, workspace, origin, finished, channel, lost):
    first = platform()
    post = await first.placeholder(origin(), "...")
    if lost == "before the card":
        workspace.fail("chat.update", "internal_error")
    elif lost == "after the card":
        workspace.fail("chat.update", "internal_error", after=True)
    else:
        workspace.fail("files.completeUploadExternal", "internal_error", after=True)
    with pytest.raises(PlatformError):
        await first.fill(origin(), post, finished, key="j1")
    again = platform()  # a new process; it knows only the placeholder's reference
    await again.fill(origin(), post, finished, key="j1")
    await again.fill(origin(), post, finished, key="j1")
    (message,), (shared,) = await channel()
    assert message["blocks"][2]["slack_file"]["id"] == shared["files"][0]["id"]
    assert len(shared["files"]) == 1
    assert len(workspace.made("files.completeUploadExternal")) <= 1


async def test_a_crash_without_a_placeholder_finds_its_message_again(
    platform, workspace, origin, finished, channel
):
    workspace.fail("chat.update", "internal_error")
    with pytest.raises(PlatformError):
        await platform().fill(origin(), None, finished, key="j1")
    await platform().fill(origin(), None, finished, key="j1")
    (message,), (_shared,) = await channel()
    assert "image" in kinds(message)
    assert len(workspace.made("chat.postMessage")) == 1


async def test_two_deliveries_do_not_share_a_picture(platform, origin, finished, channel):
    slack = platform()
    for key in ("j1", "j2"):
        await slack.fill(origin(), await slack.placeholder(origin(), "..."), finished, key=key)
    messages, shared = await channel()
    assert len(messages) == len(shared) == 2
    assert len({one["files"][0]["id"] for one in shared}) == 2


async def test_a_share_that_takes_long_is_waited_for(platform, workspace, origin, finished, channel):
    workspace.share_after = 3  # a block that names the file before that is refused
    slack = platform()
    await slack.fill(origin(), await slack.placeholder(origin(), "..."), finished, key="j1")
    (message,), _ = await channel()
    assert "image" in kinds(message)


async def test_a_share_that_never_shows_is_not_waited_for_forever(
    platform, workspace, origin, finished, channel
):
    workspace.share_after = 10**6
    slack = platform()
    await slack.fill(origin(), await slack.placeholder(origin(), "..."), finished, key="j1")
    (message,), (shared,) = await channel()
    assert "image" not in kinds(message)  # the card stands, the picture is in its thread
    assert len(shared["files"]) == 1
    assert len([call for call in workspace.calls if call.method == "files.info"]) < 15


async def test_progress_is_rare_and_never_overwrites_the_picture(
    platform, workspace, origin, finished, channel
):
    ticks = itertools.count()
    slack = platform()
    slack._poster = Poster(
        slack._client, lossy=slack._client, uploads=slack._poster._uploads, clock=lambda: float(next(ticks))
    )
    post = await slack.placeholder(origin(), "...")
    for step in range(1, 9):  # one tick a second
        await slack.update(post, Progress(job_id="j1", fraction=step / 10))
    assert len(workspace.made("chat.update")) == 3
    filled = await slack.fill(origin(), post, finished, key="j1")
    for late in (post, filled):
        await slack.update(late, Progress(job_id="j1", fraction=0.9))
    (message,), _ = await channel()
    assert "image" in kinds(message)


async def test_progress_that_fails_is_dropped_without_waiting(platform, workspace, origin):
    slack = platform()
    post = await slack.placeholder(origin(), "...")
    workspace.fail("chat.update", retry_after=3600)
    await slack.update(post, Progress(job_id="j1", place=2, eta_s=30))
    assert workspace.made("chat.update") == []
    await slack.update("not a post", Progress(job_id="j1"))


async def test_a_rate_limit_is_waited_out(platform, workspace, origin, channel):
    workspace.fail("chat.postMessage", retry_after=0)
    await platform().placeholder(origin(), "Drawing")
    assert len(workspace.made("chat.postMessage")) == 1
    (message,), _ = await channel()
    assert message["text"] == "Drawing"


async def test_a_long_rate_limit_is_reported(platform, workspace, origin, finished):
    slack = platform()
    post = await slack.placeholder(origin(), "...")
    workspace.fail("chat.update", retry_after=0, times=3)
    with pytest.raises(PlatformRateLimitError) as caught:
        await slack.fill(origin(), post, finished, key="j1")
    assert caught.value.retry_after_s == 0.0


async def test_where_the_app_is_not_invited_the_picture_comes_by_direct_message(
    platform, workspace, origin, finished
):
    slack = platform()
    asked = origin(channel_id=workspace.channels["secret"])
    post = await slack.placeholder(asked, "...")
    await slack.fill(asked, post, finished, key="j1")
    calls = workspace.made("chat.postMessage")
    assert [call.args["channel"] for call in calls] == [workspace.users["ann"]]
    last = workspace.made("chat.update")[-1].args
    assert last["channel"].startswith("D")
    assert "/invite @verso" in json.dumps(last["blocks"][-1])


async def test_private_requests_are_filled_by_direct_message(platform, workspace, origin, finished, channel):
    slack = platform()
    asked = origin(private=True)
    await slack.fill(asked, await slack.placeholder(asked, "..."), finished, key="j1")
    assert await channel() == ([], [])
    assert workspace.made("files.completeUploadExternal")[0].args["channel_id"].startswith("D")


async def test_nowhere_to_post_is_no_placeholder(platform, workspace, origin, finished):
    workspace.fail("chat.postMessage", "not_in_channel", times=4)
    slack = platform()
    assert await slack.placeholder(origin(), "...") is None
    with pytest.raises(PlatformForbiddenError, match="/invite @verso"):
        await slack.fill(origin(), None, finished, key="j1")


async def test_a_deleted_placeholder_is_replaced(platform, workspace, origin, finished, channel):
    slack = platform()
    post = await slack.placeholder(origin(), "...")
    place = Post.parse(post)
    await workspace.ask("chat.delete", BOT, channel=place.channel, ts=place.ts)
    fresh = await slack.fill(origin(), post, finished, key="j1")
    assert Post.parse(fresh).ts != place.ts
    messages, _ = await channel()
    assert any("image" in kinds(message) for message in messages if message.get("blocks"))


async def test_a_reply_without_pictures_ends_the_placeholder(platform, origin, channel):
    slack = platform()
    post = await slack.placeholder(origin(), "...")
    await slack.fill(origin(), post, Reply(text="Cancelled.", private=False), key="j1")
    (message,), replies = await channel()
    assert message["text"] == "Cancelled."
    assert replies == []


async def test_removing_takes_message_and_file_away_and_may_be_repeated(
    platform, workspace, origin, finished, channel
):
    slack = platform()
    post = await slack.fill(origin(), await slack.placeholder(origin(), "..."), finished, key="j1")
    await slack.remove(post)
    assert await channel() == ([], [])
    (file_id,) = Post.parse(post).files
    assert (await workspace.ask("files.info", BOT, file=file_id))["error"] == "file_not_found"
    await slack.remove(post)
    await slack.remove("not a post")


@pytest.mark.parametrize(
    ("error", "kind", "says"),
    [
        ("invalid_auth", PlatformError, "VERSO_SLACK__BOT_TOKEN"),  # tried again: the operator may mend it
        ("token_revoked", PlatformError, "reinstall"),
        ("missing_scope", PlatformForbiddenError, "scope"),
        ("cant_update_message", PlatformForbiddenError, "not mine"),
        ("fatal_error", PlatformError, "fatal_error"),
    ],
)
async def test_slack_errors_become_ours(platform, workspace, origin, finished, error, kind, says):
    slack = platform()
    post = await slack.placeholder(origin(), "...")
    workspace.fail("chat.update", error)
    with pytest.raises(kind, match=says):
        await slack.fill(origin(), post, finished, key="j1")


@pytest.mark.parametrize("error", ["missing_scope", "unknown_method"])
async def test_without_the_right_to_read_files_it_still_posts(
    platform, workspace, origin, finished, channel, error
):
    for method in ("files.list", "files.info"):
        workspace.fail(method, error, times=99)
    slack = platform()
    post = await slack.placeholder(origin(), "...")
    await slack.fill(origin(), post, finished, key="j1")
    await slack.fill(origin(), post, finished, key="j1")  # within one process, memory must do
    (message,), (shared,) = await channel()
    assert len(shared["files"]) == 1
    assert kinds(message)[-1] == "actions"


@pytest.mark.parametrize("method", ["files.list", "files.info"])
async def test_a_moments_failure_is_tried_again_later_not_guessed_around(
    platform, workspace, origin, finished, method
):
    slack = platform()
    post = await slack.placeholder(origin(), "...")
    workspace.fail(method, "internal_error")
    with pytest.raises(PlatformError):
        await slack.fill(origin(), post, finished, key="j1")
    await slack.fill(origin(), post, finished, key="j1")
    assert len(workspace.made("files.completeUploadExternal")) == 1


async def test_an_unreachable_slack_is_a_platform_error(platform, origin, finished):
    slack = platform()
    post = await slack.placeholder(origin(), "...")
    slack._client.base_url = "http://127.0.0.1:9/"
    with pytest.raises(PlatformError, match="cannot be reached"):
        await slack.fill(origin(), post, finished, key="j1")


async def test_a_huge_reply_stays_within_slacks_limits(platform, origin, picture, channel):
    from bot.conversation import Button, Field

    reply = Reply(
        title="T" * 5000,
        text="<&> word " * 40_000,
        images=(picture(alt="a" * 5000),),
        fields=tuple(
            Field(label="l" * 300, value="<" * 9000, url="https://x.example/" + "p" * 3000) for _ in range(40)
        ),
        buttons=tuple(
            Button(name="vary", target="t" * 70, label="L" * 200, ask="?" * 4000) for _ in range(9)
        ),
        private=False,
    )
    slack = platform()
    await slack.fill(origin(), await slack.placeholder(origin(), "w" * 9000), reply, key="j1")
    (message,), _ = await channel()
    assert len(message["blocks"]) <= 50
    assert kinds(message)[-2:] == ["actions", "actions"]
    assert "image" in kinds(message)
