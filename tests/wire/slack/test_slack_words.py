"""The pure parts: options, escaping, blocks, payloads."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from slack_sdk.models.blocks import Block

from bot.conversation import Button, Field, Progress, Reply
from bot.errors import UsageError
from bot.platforms.slack.blocks import card, progress_blocks, split_action, summary
from bot.platforms.slack.download import pictures_of
from bot.platforms.slack.modals import Memo, imagine_view, read_imagine
from bot.platforms.slack.options import parse_options
from bot.platforms.slack.payload import event_id, workspace_of
from bot.platforms.slack.posting import Post
from bot.platforms.slack.recent import Recent
from bot.platforms.slack.text import chunks, escape, link, mrkdwn, plain, unescape
from bot.platforms.slack.translate import origin_of
from bot.platforms.slack.uploads import file_names

ENTITY = re.compile(r"&(amp|lt|gt);")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
NAMES = st.sampled_from(
    ["type", "user", "id", "team", "event", "view", "state", "values", "files", "blocks", "trigger_id"]
)
PAYLOADS = st.dictionaries(NAMES, JSON | st.dictionaries(NAMES, JSON, max_size=4), max_size=6)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a cat's hat", {"prompt": "a cat's hat"}),
        ('a "quoted" word -- and a dash - here', {"prompt": 'a "quoted" word -- and a dash - here'}),
        ("well--known fox", {"prompt": "well--known fox"}),
        ("--seed 5 a fox", {"prompt": "a fox", "seed": 5}),
        ("a fox --seed=0", {"prompt": "a fox", "seed": 0}),
        ("a red \u2014aspect 3:2 fox", {"prompt": "a red fox", "aspect": "3:2"}),
        ("a fox \u2013count 3", {"prompt": "a fox", "count": 3}),
        ('a fox --no "text, blur" in snow', {"prompt": "a fox in snow", "negative_prompt": "text, blur"}),
        ("a fox --no \u201ctext\u201d", {"prompt": "a fox", "negative_prompt": "text"}),
        ("a fox --no text and blur --seed 1", {"negative_prompt": "text and blur", "seed": 1}),
        ("a fox --model sd15 --private", {"model_id": "sd15", "private": True, "prompt": "a fox"}),
        ("a fox --SEED 7", {"seed": 7}),
        ("first line\nsecond --count 2", {"prompt": "first line\nsecond", "count": 2}),
    ],
)
def test_options(text, expected):
    options = parse_options(text)
    assert {name: getattr(options, name) for name in expected} == expected


@pytest.mark.parametrize(
    "text", ["a --seed \u0665", "a --seed -1", "a --count 0", "a --aspect 0:1", "a --no"]
)
def test_options_that_cannot_be_used(text):
    with pytest.raises(UsageError):
        parse_options(text)


@given(st.text(max_size=300))
def test_options_never_break(text):
    try:
        options = parse_options(text)
    except UsageError:
        return
    assert options.prompt == options.prompt.strip()
    assert 1 <= options.count <= 4


@given(st.text(alphabet=st.sampled_from("ab&<>;@#!| \n*_"), max_size=400), st.integers(20, 60))
def test_escaping_leaves_nothing_alive_and_loses_nothing(text, limit):
    assert not set("<>") & set(escape(text))
    assert unescape(escape(text)) == text
    pieces = list(chunks(text, limit))
    assert all(len(piece) <= limit for piece in pieces)
    assert all("&" not in ENTITY.sub("", piece) for piece in pieces)  # no entity is cut in two
    assert re.sub(r"\s", "", unescape("".join(pieces))) == re.sub(r"\s", "", text)
    short = mrkdwn(text, limit)
    assert len(short) <= limit
    assert "&" not in ENTITY.sub("", short)
    assert len(plain(text, limit)) <= limit


def test_control_characters_and_keywords_are_taken_out():
    assert escape("a\x00b\u202ec") == "abc"
    assert "@here" not in escape("@here @Channel @everyone")
    assert plain("<!here>", 20) == "\u2039!here\u203a"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://spdx.org/licenses/MIT?a=1&b=2", "<https://spdx.org/licenses/MIT?a=1&amp;b=2|x>"),
        ("https://e.example/a|b>c d", "<https://e.example/a%7Cb%3Ec%20d|x>"),
        ("javascript:alert(1)", "x"),
        ("https://", "x"),
        ("http://[::1", "x"),
        ("slack://open", "x"),
        ("https://e.example/\n", "x"),
    ],
)
def test_only_web_addresses_become_links(url, expected):
    assert link(url, "x") == expected


REPLIES = st.builds(
    Reply,
    text=st.text(max_size=4000),
    title=st.text(max_size=200),
    fields=st.lists(
        st.builds(Field, label=st.text(max_size=300), value=st.text(max_size=3000), url=st.text(max_size=50)),
        max_size=12,
    ).map(tuple),
    buttons=st.lists(
        st.builds(
            Button,
            name=st.sampled_from(["vary", "delete", "appeal"]),
            target=st.text(max_size=80),
            label=st.text(max_size=120),
            style=st.sampled_from(["primary", "secondary", "danger"]),
            ask=st.text(max_size=100),
        ),
        max_size=12,
    ).map(tuple),
    tone=st.sampled_from(["neutral", "good", "warning", "bad"]),
)


@given(REPLIES)
def test_every_card_is_valid_block_kit(reply):
    blocks = card(reply)
    assert len(blocks) <= 50
    for block in blocks:
        Block.parse(block).validate_json()
    assert summary(reply)
    posted = [element for block in blocks for element in block.get("elements", ())]
    assert len(posted) == len(reply.buttons)
    for element, button in zip(posted, reply.buttons, strict=True):
        name, target, ask = split_action(element["action_id"], element["value"])
        assert name == button.name
        if "\n" not in button.target:
            assert target == button.target
            assert ask == button.ask.replace("\n", " ")


@given(st.floats(-1, 2), st.none() | st.floats(0, 1e6), st.integers(0, 50))
def test_progress_is_valid_block_kit(fraction, eta, place):
    for block in progress_blocks(Progress(job_id="j1", fraction=fraction, eta_s=eta, place=place)):
        Block.parse(block).validate_json()


@given(PAYLOADS)
def test_any_payload_can_be_read(payload):
    assert event_id(payload) == event_id(json.loads(json.dumps(payload)))
    assert 0 < len(event_id(payload)) <= 100
    assert isinstance(pictures_of(payload), tuple)
    options, errors = read_imagine(payload)
    assert (options is None) == bool(errors)
    try:
        origin = origin_of(payload)
    except UsageError:
        return
    assert origin.user_id
    assert origin.workspace_id.startswith("slack:")


@given(st.text(max_size=100) | JSON.map(json.dumps))
def test_stored_references_that_are_damaged_are_none(text):
    assert Post.parse(text) is None or Post.parse(Post.parse(text).dump()) == Post.parse(text)
    assert isinstance(Memo.parse(text), Memo)


@pytest.mark.parametrize(
    ("payload", "workspace"),
    [
        ({"team_id": "T1"}, "slack:T1"),
        ({"team": {"id": "T1"}, "enterprise": {"id": "E1"}}, "slack:T1"),
        ({"team": None, "user": {"id": "U1", "team_id": "T2"}, "enterprise": {"id": "E1"}}, "slack:T2"),
        ({"team": None, "enterprise": {"id": "E1"}, "is_enterprise_install": True}, "slack:E1"),
        ({"enterprise_id": "E1"}, "slack:E1"),
        ({}, ""),
    ],
)
def test_workspaces_and_organizations(payload, workspace):
    assert workspace_of(payload) == workspace


def test_a_memo_fits_its_form():
    memo = Memo(channel="C1", response_url="https://x.example/" + "p" * 4000, name="vary", target="t")
    assert len(memo.dump()) <= 3000
    assert Memo.parse(memo.dump()) == Memo(channel="C1", name="vary", target="t")


def test_the_form_is_valid_block_kit():
    view = imagine_view(Memo(), models=[f"model-{n}" for n in range(150)])
    for block in view["blocks"]:
        Block.parse(block).validate_json()
    assert [block["block_id"] for block in imagine_view(Memo(), models=("one",))["blocks"]] == [
        "prompt",
        "no",
        "aspect",
        "count",
        "seed",
        "private",
    ]


def test_file_names_belong_to_one_delivery(picture):
    images = (picture(), picture(name="../../etc/passwd"))
    first, second = file_names(images, "j1")
    assert file_names(images, "j1") == (first, second)
    assert not set(file_names(images, "j2")) & {first, second}
    assert "/" not in second
    assert re.fullmatch(r"verso-1-[0-9a-f]{12}-1\.png", first)


def test_recent_forgets_the_oldest():
    recent = Recent(2)
    assert recent.first_time("a", 1)
    assert recent.first_time("b", 1)
    assert not recent.first_time("a", 1)  # which makes it the newest
    assert recent.first_time("c", 1)
    assert recent.get("b") is None
    assert recent.get("a") == 1
