"""What a prompt shows, apart from how it is made."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderation.subject import subject


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("a fox in the snow, highly detailed, 8 k, trending on artstation", "a fox in the snow"),
        ("hd quality,4k, a fox in the snow, by zorble fnord,by quux", "a fox in the snow"),
        ("a fox, art by zorble and fnord, octane render. sharp focus", "a fox"),
        ("a fox, asleep, oil on canvas, in the style of zorble", "a fox, asleep"),
    ],
)
def test_style_and_artists_are_dropped(text, left):
    assert subject(text) == left


@pytest.mark.parametrize(
    "text",
    [
        "a fox in the snow",
        "a man bitten by a wolf, in a dark forest",  # "by" inside a clause belongs to what is shown
        "portrait of a knight",
        "a statue of a saint, of marble",
        "highly detailed, 8 k",  # nothing else is there
        "by zorble fnord",
        "",
        "ein roter Apfel, ein blauer Teller",
    ],
)
def test_what_shows_something_stays(text):
    assert subject(text) == text


def test_a_long_clause_is_no_list_of_artists():
    text = "a fox, by the river where nine zorbles sit and wait for the night to come"
    assert subject(text) == text


@given(st.text(alphabet="abyof ,.;|-\n8k", max_size=300) | st.text(max_size=200))
def test_nothing_is_added_and_a_second_time_changes_nothing(text):
    once = subject(text)
    assert set(once) <= set(text) | set(", ")
    assert bool(once.strip()) == bool(text.strip())
    assert subject(once) == once


@pytest.mark.parametrize("piece", [".", " ", "style ", "by ", ", ", "in the style ", "art by ", " - "])
def test_hostile_repetition_takes_no_time(piece):
    started = time.process_time()
    subject(piece * (2000 // len(piece)))
    assert time.process_time() - started < 0.05
