"""The classifier with the shipped head: long texts, disguises, and words that ask for a second look."""

from __future__ import annotations

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
