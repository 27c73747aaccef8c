"""The combination rule, with a placeholder word injected as the listed term: no real text is written here."""

from __future__ import annotations

import pytest

from moderation.policy import Policy
from moderation.rules.base import Context
from moderation.rules.minors import SEXUAL_CUT, MinorsRule
from moderation.terms import Entry, TermList, load_terms
from moderation.types import Action, Category, ImageContent, PromptContent, Scope


def a_rule(score: float | None = None) -> MinorsRule:
    placeholder = Entry(category=Category.SEXUAL, severity="hold", terms=("zorble",), lang="xx")
    other = Entry(category=Category.VIOLENCE, severity="block", terms=("fnord",), lang="xx")
    taken = Entry(category=Category.SEXUAL, severity="hold", terms=("quux",), lang="xx")
    return MinorsRule(
        ages=load_terms("minors.toml"),
        sexual=TermList([placeholder, other]),
        removed=TermList([taken]),
        adult=load_terms("adult.toml"),
        score=None if score is None else lambda _text, _context: score,
    )


def check(text: str, negative: str = "", *, score: float | None = None):
    content = PromptContent(text=text, negative=negative)
    return a_rule(score).check(content, Scope(age_restricted=True), Context(Policy.load()))


AGES = [
    "a child", "two kids", "a toddler", "a teenager", "a schoolgirl", "ein kleines mädchen", "un enfant",
    "una niña", "um menino", "una bambina", "een meisje", "dziewczynka", "школьница", "बच्ची", "طفلة",
    "小女孩", "女の子", "소녀", "a 12 year old", "12-year-old", "aged 9", "seven years old", "13 yo girl",
    "12 jahre alt", "14jährige", "15 ans", "11 años", "10 anos", "8 anni", "9 jaar", "7 lat", "13 лет",
    "12 साल", "12岁", "14歳", "13살", "c h i l d", "ch1ld", "сhild", "１２ years old",
]  # fmt: skip


@pytest.mark.parametrize("age", AGES)
def test_an_age_with_a_listed_term_is_blocked(age):
    (finding,) = check(f"{age}, zorble")
    assert finding.action is Action.BLOCK
    assert finding.category is Category.MINORS
    assert finding.clause == "house/minors"


@pytest.mark.parametrize("age", AGES)
def test_an_age_alone_is_fine(age):
    assert check(f"{age} with a kite") == ()
    assert check(f"{age}, fnord") == ()


GROWN = [
    "zorble", "a woman, zorble", "a 30 year old, zorble", "18 years old, zorble", "zorble, 35mm, 1990s",
    "a kind of zorble", "baby blue zorble", "kid gloves zorble",
]  # fmt: skip


@pytest.mark.parametrize("text", GROWN)
def test_a_listed_term_without_an_age_is_another_rules_matter(text):
    assert check(text) == ()


def test_the_score_of_the_head_counts_from_a_fixed_cut():
    assert check("a child", score=SEXUAL_CUT - 0.01) == ()
    assert check("a child", score=SEXUAL_CUT)[0].action is Action.BLOCK
    assert check("a woman", score=1.0) == ()


def test_what_the_negative_prompt_takes_away_counts():
    assert check("a child", "quux, blurry")[0].action is Action.BLOCK
    assert check("a woman", "quux, blurry") == ()


def test_unwanted_things_in_a_negative_prompt_stand_alone():
    assert check("a castle", "zorble, child, blurry") == ()
    assert check("a castle", "blurry, child zorble")[0].action is Action.BLOCK


def test_taking_adults_away_is_held():
    assert check("zorble", "adult, blurry")[0].action is Action.HOLD
    assert check("a castle", "adult, blurry") == ()


def test_no_policy_can_switch_the_rule_off():
    policy = Policy.parse('extends = "community"\n[category.sexual]\non = false\n')
    (finding,) = a_rule().check(PromptContent(text="a child, zorble"), Scope(), Context(policy))
    assert finding.action is Action.BLOCK


def test_pictures_are_not_its_matter():
    import numpy as np

    image = ImageContent(pixels=np.zeros((8, 8, 3), np.uint8), prompt="a child, zorble")
    assert a_rule().check(image, Scope(), Context(Policy.load())) == ()
