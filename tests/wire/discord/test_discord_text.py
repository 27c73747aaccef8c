"""Plain text stays plain on Discord, whatever somebody typed."""

from __future__ import annotations

import json
import re

import discord
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bot.conversation import Button, Field, ImageFile, Reply
from bot.errors import PlatformError
from bot.platforms.discord.messages import draft
from bot.platforms.discord.posts import Post, TrafficBoard
from bot.platforms.discord.text import bar, link, plain, unformatted
from bot.platforms.discord.views import Click, Questions

HOSTILE = st.text(alphabet="@everyone<>123456!&#*_~`|[]()\\/:.- \nhtps\u202e\x00\ud800é", max_size=200)


@pytest.mark.parametrize(
    ("typed", "sent"),
    [
        ("a red apple", "a red apple"),
        ("**bold** _it_ ~~no~~ `x` ||s||", r"\*\*bold\*\* \_it\_ \~\~no\~\~ \`x\` \|\|s\|\|"),
        ("@everyone @here", "@\u200beveryone @\u200bhere"),
        ("<@123> <@!123> <@&123>", "\\<@\u200b123\\> \\<@\u200b!123\\> \\<@\u200b&123\\>"),
        ("me@example.org @ada", "me@example.org @ada"),
        ("# big\n## less\n-# small\n- list\n> quote", "\\# big\n\\## less\n\\-# small\n\\- list\n\\> quote"),
        ("1. one\n 2) two", "1\\. one\n 2\\) two"),
        ("3.5 apples", "3.5 apples"),
        ("[x](https://evil.example/a_b)", r"\[x\](https:\/\/evil.example/a\_b)"),
        ("discord.gg/abc", r"discord.gg\/abc"),
        ("https://discord.com/invite/abc", r"https:\/\/discord.com/invite\/abc"),
        ("a\u202eb\x00c\r\nd\ud800", "abc\nd"),
        ("</imagine:1> <t:1:R> <:a:1>", r"\</imagine:1\> \<t:1:R\> \<:a:1\>"),
    ],
)
def test_what_was_typed_is_what_is_shown(typed, sent):
    assert plain(typed, limit=500) == sent


def test_the_asker_alone_gets_links_without_previews():
    text = "See https://example.org/a_b?c=1#d. And <https://x.org>!"
    assert plain(text, limit=500, links=True) == (
        "See <https://example.org/a_b?c=1#d>. And \\<<https://x.org>\\>!"
    )


@settings(deadline=None)
@given(HOSTILE, st.integers(0, 300), st.booleans())
@example("*" * 100, 50, False)
@example("https://" + "a" * 100, 50, True)
def test_escaped_text_fits_pings_nobody_and_is_never_cut_open(text, limit, links):
    sent = plain(text, limit=limit, links=links)

    assert len(sent) <= limit
    assert not re.search(r"@(everyone|here|[!&]?\d)", sent)
    assert not re.search(r"(?<!\\)(\\\\)*\\…?$", sent)
    json.dumps(sent, ensure_ascii=False).encode()
    if not links:
        assert not re.search(r"https?://", sent)


@settings(deadline=None)
@given(HOSTILE)
def test_the_sdk_finds_no_mention_in_it(text):
    sent = plain(text, limit=4000)
    assert not re.search(r"(?<!\\)<(@|#|:|t:|/)", sent)


@settings(deadline=None)
@given(HOSTILE, HOSTILE, st.lists(st.tuples(HOSTILE, HOSTILE, HOSTILE), max_size=30), st.booleans())
def test_any_reply_fits_into_one_message(text, title, fields, public):
    reply = Reply(
        text=text * 40,
        title=title * 3,
        fields=tuple(Field(label=a * 2, value=b * 8, url=c) for a, b, c in fields),
    )

    message = draft(reply, upload_limit=100, public=public)

    assert message.content or message.embeds
    assert len(message.content or "") <= 2000
    for embed in message.embeds:
        assert len(embed) <= 6000
        assert len(embed.title or "") <= 256
        assert len(embed.description or "") <= 4096
        assert len(embed.fields) <= 25
        assert all(1 <= len(f.name) <= 256 and 1 <= len(f.value) <= 1024 for f in embed.fields)


def test_an_empty_reply_is_still_a_message():
    assert draft(Reply(text=""), upload_limit=1, public=False).content == "\u200b"
    picture = ImageFile(name="a.png", data=b"1", alt_text="", width=1, height=1)
    assert draft(Reply(text="", images=(picture,)), upload_limit=1, public=False).content is None


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        ("https://example.org/a(b)", "[MIT](https://example.org/a%28b%29)"),
        ("https://example.org/ä b", "[MIT](https://example.org/%C3%A4%20b)"),
        ("javascript:alert(1)", "MIT"),
        ("https://[broken", "MIT"),
        ("https://example.org/" + "a" * 500, "MIT"),
        ("", "MIT"),
    ],
)
def test_links_of_ours(url, sent):
    assert link("MIT", url, limit=1024) == sent


def test_a_link_that_does_not_fit_is_its_label():
    assert link("A label", "https://example.org/long", limit=20) == "A label"


def test_labels_are_trimmed():
    assert unformatted("a" * 90, limit=80) == "a" * 79 + "…"
    assert unformatted("*a*\x00", limit=80) == "*a*"


def test_bars():
    assert bar(0.5) == "▰▰▰▰▰▰▱▱▱▱▱▱ 50%"
    assert bar(-1).endswith(" 0%")


@settings(deadline=None)
@given(st.text(alphabet="abc:?-_", min_size=1, max_size=90), st.text(max_size=90), st.booleans())
def test_custom_ids_come_back_as_they_went(name, target, asks):
    click = Click(name=name, target=target, asks=asks)
    parsed = Click.parse(click.custom_id)
    if ":" in name or "?" in name or len(name) > 80:
        assert parsed != click
    else:
        assert parsed == click


@pytest.mark.parametrize("custom_id", ["", "v:", "v:name", "x:name:target", "v::x"])
def test_foreign_custom_ids_are_none_of_ours(custom_id):
    assert Click.parse(custom_id) is None


async def test_a_button_that_does_not_fit_is_refused():
    for name, target in (("n" * 60, "t" * 60), ("with:colon", "t"), ("", "t")):
        with pytest.raises(PlatformError) as caught:
            Questions().view([Button(name=name, target=target, label="x")])
        assert not caught.value.retryable
    assert Questions().view([]) is None


async def test_questions_are_forgotten_in_the_order_they_were_asked():
    questions = Questions()
    for number in range(2049):
        questions.view([Button(name="ask", target=str(number), label="Ask", ask=f"Why {number}?")])

    titles = [
        questions.modal(Click(name="ask", target=target, asks=True, label="Ask")).children[0].text
        for target in ("0", "1", "2048")
    ]
    assert titles == ["Please say why, in a sentence", "Why 1?", "Why 2048?"]


async def test_a_long_question_moves_below_a_short_label():
    questions = Questions()
    button = Button(name="appeal", target="1", label="Appeal", ask="w " * 100)
    questions.view([button])

    label = questions.modal(Click(name="appeal", target="1", asks=True, label="Appeal")).children[0]

    assert isinstance(label, discord.ui.Label)
    assert label.text == "Appeal"
    assert len(label.description) <= 100


def test_the_traffic_of_old_messages_is_forgotten():
    board = TrafficBoard()
    first = board.of(Post(message_id=0))
    assert board.of(Post(message_id=0)) is first
    for number in range(1, 1025):
        board.of(Post(message_id=number))
    assert board.of(Post(message_id=0)) is not first
