"""What a person typed is cleaned of what no reader can see, and bounded."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.conversation import ImagineCommand, Origin
from bot.errors import UsageError
from bot.posts import command_from_bytes, command_to_bytes
from bot.usecases.request import checked, clean_prompt, image_request
from generation.catalog import Catalog


def test_control_and_bidi_characters_go_and_words_stay() -> None:
    assert clean_prompt("  a\x00 red\u202e apple\r\n on\ta\u2028plate ") == "a red apple on a plate"


def test_joined_emoji_and_scripts_stay() -> None:
    family = "👩\u200d🚀 ایک سیب"
    assert clean_prompt(family) == family


def test_a_lone_surrogate_cannot_reach_the_database() -> None:
    assert clean_prompt("apple \ud83d") == "apple"


def test_too_long_is_refused_with_the_length() -> None:
    with pytest.raises(UsageError, match="10,000 characters"):
        clean_prompt("x" * 10_000)


@given(st.text(max_size=2000))
def test_any_text_becomes_encodable_visible_text(text: str) -> None:
    cleaned = clean_prompt(text)
    cleaned.encode("utf-8")
    assert cleaned == clean_prompt(cleaned)
    assert not any(unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"} for char in cleaned)


@pytest.mark.parametrize(
    ("given_values", "chosen"),
    [
        ({}, ""),
        ({"seed": 0, "count": 3}, "seed 0, count 3"),
        ({"aspect": "3:2", "model_id": "sticker-v1"}, "aspect 3:2, model sticker-v1"),
        ({"step": "vary", "seed": 9, "count": 2}, ""),  # the step's own entry says what was chosen
    ],
)
def test_what_a_person_set_is_told_from_what_was_filled_in(given_values, chosen) -> None:
    origin = Origin(platform="terminal", workspace_id="terminal", user_id="ada", event_id="e")
    command = ImagineCommand(origin=origin, prompt="an apple", **given_values)
    catalog = Catalog.load([])
    once, _ = checked(command, catalog)
    assert once.chosen == chosen
    assert once.seed is not None
    later, _ = checked(command_from_bytes(command_to_bytes(once)), catalog)  # after a moderator's decision
    assert later.chosen == chosen


def test_the_embedded_model_is_guided_only_for_a_negative_prompt() -> None:
    origin = Origin(platform="terminal", workspace_id="terminal", user_id="ada", event_id="e")

    def guidance(negative_prompt: str) -> float:
        command = ImagineCommand(origin=origin, prompt="a red apple", negative_prompt=negative_prompt)
        return image_request(*checked(command, Catalog.load([]))).guidance_scale

    assert guidance("") == 1.0
    assert guidance("leaf") > 1.0
