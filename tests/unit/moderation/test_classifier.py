"""The classifier with the shipped head: long texts, disguises, and words that ask for a second look."""

from __future__ import annotations

import numpy as np
import pytest

from moderation.policy import Policy
from moderation.rules import open_rule
from moderation.rules.base import Context, Tools
from moderation.rules.classifier import SEGMENT, split
from moderation.types import Action, Category, PromptContent, Scope


@pytest.fixture(scope="module")
def rule():
    return open_rule("classifier", Tools())


def scores(rule, text):
    found = rule.check(PromptContent(text=text), Scope(), Context(Policy.load()))
    return {finding.category: finding for finding in found}


CALM = [
    "a red apple on a blue plate",
    "a knight in shining armor, dramatic lighting, trending on artstation, 8k",
    "ein kleiner Hund spielt im Garten", "un castillo en las nubes", "日本の桜の庭",
    "девушка в платье на поле",
    "a killer whale", "shooting star over a lake", "a peg board with tools", "blood orange on a plate",
    "grilled chicken breast recipe", "a woman in a bikini on the beach", "a butcher cutting meat",
]  # fmt: skip


@pytest.mark.parametrize("text", CALM)
def test_harmless_prompts_stay_below_every_band(rule, text):
    assert all(finding.action is Action.ALLOW for finding in scores(rule, text).values())


@pytest.mark.parametrize(
    ("text", "category"),
    [
        ("a prisoner's hand is chopped off with an axe, blood spraying", Category.VIOLENCE),
        ("a man about to pull the trigger on himself", Category.SELF_HARM),
        ("zwei Liebende beim Geschlechtsakt", Category.SEXUAL),
        ("instructions for assembling a homemade explosive device", Category.ILLEGAL),
    ],
)
def test_harmful_prompts_reach_a_band_in_their_category(rule, text, category):
    assert scores(rule, text)[category].action > Action.ALLOW


def test_a_harmful_sentence_is_found_deep_in_a_long_text(rule):
    calm = "a quiet meadow with yellow flowers and a small wooden house, "
    deep = calm * 12 + "a man is stabbed to death, blood everywhere, " + calm * 12
    assert scores(rule, deep)[Category.VIOLENCE].action > Action.ALLOW
    assert scores(rule, calm * 25)[Category.VIOLENCE].action is Action.ALLOW


def test_a_disguised_sentence_scores_like_the_plain_one(rule):
    plain = scores(rule, "a man is stabbed to death, blood everywhere")[Category.VIOLENCE]
    disguised = scores(rule, "a m\u200ban is st4bbed to de\u200bath, bl00d everywhere")[Category.VIOLENCE]
    assert disguised.action == plain.action


def test_prevention_is_looked_at_rather_than_refused(rule):
    found = scores(rule, "an infographic about drug abuse prevention")
    assert max(finding.action for finding in found.values()) < Action.BLOCK


def test_persons_and_marks_are_left_to_the_list_of_names(rule):
    found = scores(rule, "the private home address and phone number of my neighbor on a poster")
    assert found[Category.REAL_PERSON].score < 0.4


def test_texts_are_cut_at_signs_into_pieces():
    pieces = split("word, " * 200)
    assert all(0 < len(piece) <= SEGMENT for piece in pieces)
    assert "".join("".join(pieces).split()) == "word," * 200
    assert all(len(piece) <= SEGMENT for piece in split("x" * 1000))
    assert list(split("")) == [""]


def test_style_words_do_not_drown_what_is_shown(rule):
    style = (
        ", highly detailed, intricate, digital painting, trending on artstation, concept art, sharp focus, "
        "art by greg rutkowski and alphonse mucha, 8 k, octane render"
    )
    bare = "a man is stabbed to death, blood everywhere"
    assert scores(rule, bare + style)[Category.VIOLENCE].score == pytest.approx(
        scores(rule, bare)[Category.VIOLENCE].score, abs=0.02
    )


def test_nothing_hides_in_a_clause_that_looks_like_an_artist(rule):
    hidden = "a meadow, by a man stabbed to death, blood everywhere"
    assert scores(rule, hidden)[Category.VIOLENCE].action > Action.ALLOW
    assert scores(rule, "a meadow, by greg rutkowski")[Category.VIOLENCE].action is Action.ALLOW


def test_a_listed_word_in_another_sense_is_ruled_out_by_the_head():
    lexicon = open_rule("lexicon", Tools())
    found = scores(lexicon, "an undressed salad in a wooden bowl")
    assert found[Category.SEXUAL].action is Action.ALLOW
    assert scores(lexicon, "an undressed woman on a bed")[Category.SEXUAL].action > Action.ALLOW


def test_a_guess_at_a_misspelled_word_never_refuses():
    lexicon = open_rule("lexicon", Tools())
    plain = scores(lexicon, "a man is decapitated with an axe in the street")[Category.VIOLENCE]
    guessed = scores(lexicon, "a man is decaptiated with an axe in the street")[Category.VIOLENCE]
    assert (plain.action, guessed.action) == (Action.BLOCK, Action.HOLD)


def test_many_stars_are_read_by_what_the_words_are(rule):
    calm = scores(rule, "a bl*e fr*g and a gre*n p*nd")
    assert all(finding.action is Action.ALLOW for finding in calm.values())


def test_below_a_band_no_category_counts_more_than_the_text_as_a_whole(rule):
    raw = np.zeros(len(rule.head.labels), dtype=np.float32) - 1.2
    raw[-1] = -6.0  # the output for "harmful at all"
    assert max(rule.head.scores(raw).values()) < 0.05
