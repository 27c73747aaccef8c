"""Disguised words are read by likelihood; what is spelled as usual, or in another language, stays."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moderation.evasions import TRANSFORMS, evade
from moderation.normalize import RESPELLED, normalize
from moderation.respelling import respell
from moderation.terms import load_terms
from moderation.words import Words, load_words, one_away

SENTENCE = "an old soldier standing in a garden, detailed portrait"
ODD = st.text(alphabet=st.sampled_from("aeiou bcdnrst0134@*#.-_'\u200b,qzx"), max_size=400)


def read(text):
    out, last = [], 0
    for start, end, piece in respell(text):
        out += [text[last:start], piece]
        last = end
    return "".join(out) + text[last:]


@pytest.mark.parametrize("name", TRANSFORMS)
@pytest.mark.parametrize("seed", range(3))
def test_each_disguise_is_read_through(name, seed):
    recovered = normalize(evade(name, SENTENCE, seed=seed)).recovered
    wanted = SENTENCE.replace(",", "").split()
    found = recovered.replace(",", "").split()
    assert len(set(found) & set(wanted)) >= len(set(wanted)) - 2


@pytest.mark.parametrize(
    "text",
    [
        SENTENCE,
        "8k, 35mm, f/1.8, r2d2, mp3, c4d, 4k",
        "ein kleiner hund spielt im garten",
        "un homme coupe du pain dans la cuisine",
        "девушка в платье",
        "https://example.org/a?b=c",
        "",
        "* * *",
    ],
)
def test_ordinary_text_is_left_alone(text):
    assert read(text) == text


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("an old sol dier in a gar den", "an old soldier in a garden"),
        ("an old sodlier in a gardne", "an old soldier in a garden"),
        ("an old sold*er in a g*rden", "an old soldier in a garden"),
        ("an old s o l d i e r in a garden", "an old soldier in a garden"),
        ("an old soooldier in a garrrden", "an old soldier in a garden"),
        ("anoldsoldier in a garden", "an old soldier in a garden"),
        ("an old s0ld1er in a g4rden", "an old soldier in a garden"),
    ],
)
def test_examples(text, wanted):
    assert read(text) == wanted


def test_endings_and_possessives_are_known():
    words = Words(["garden", "city", "pen"])
    assert all(word in words for word in ("gardens", "cities", "penned", "gardening"))
    assert "gard" not in words
    assert words["gardens"] > words["garden"]
    with pytest.raises(KeyError):
        words["zorble"]


def test_a_swap_is_likelier_than_another_letter():
    cost, word = one_away("gadren")
    assert word == "garden"
    assert cost > load_words()["garden"]
    assert one_away("zzzzzz") is None


def test_a_guess_is_a_view_of_its_own_and_listed_words_are_found_in_it():
    normalized = normalize("an old man, nakde, in a gardne")
    view = next(view for view in normalized.views if view.name == RESPELLED)
    assert "naked" in view.text
    assert len(view.offsets) == len(view.text)
    hits = load_terms("lexicon.toml").find(normalized)
    assert {(hit.term, hit.view) for hit in hits} == {("naked", RESPELLED)}


@settings(max_examples=200, deadline=None)
@given(ODD)
def test_changes_are_in_order_and_within_the_text(text):
    last = 0
    for start, end, _ in respell(text):
        assert last <= start < end <= len(text)
        last = end


def test_an_unknown_transform_is_a_key_error():
    with pytest.raises(KeyError):
        evade("upside down", "text")


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transforms_are_deterministic_and_change_something(name):
    assert evade(name, SENTENCE, seed=4) == evade(name, SENTENCE, seed=4) != SENTENCE
