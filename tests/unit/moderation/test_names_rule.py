"""A name alone is a note; what is wanted of the person or the mark decides."""

from __future__ import annotations

import pytest

from moderation.policy import Policy
from moderation.rules.base import Context, Tools
from moderation.rules.names import NamesRule
from moderation.types import Action, Category, ImageContent, PromptContent, Scope

RULE = NamesRule.open(Tools())
PERSON, MARK, ARTIST = Category.REAL_PERSON, Category.TRADEMARK, Category.ARTIST_STYLE


def judge(text, *, policy="community", negative=""):
    context = Context(Policy.load(policy))
    found = RULE.check(PromptContent(text=text, negative=negative), Scope(), context)
    return {finding.category: finding for finding in found}


@pytest.mark.parametrize(
    ("text", "policy", "category", "action"),
    [
        ("a photo of tom hanks", "community", PERSON, Action.ALLOW),
        ("a photo of tom hanks", "workplace", PERSON, Action.HOLD),
        ("albert einstein on a bicycle", "community", PERSON, Action.ALLOW),
        ("albert einstein on a bicycle", "workplace", PERSON, Action.ALLOW),
        ("pikachu in the rain", "community", MARK, Action.ALLOW),
        ("a can of coca-cola", "workplace", MARK, Action.ALLOW),
        ("the coca-cola logo on a wall", "community", MARK, Action.HOLD),
        ("the coca-cola logo on a wall", "workplace", MARK, Action.HOLD),
        ("a castle by greg rutkowski", "community", ARTIST, Action.ALLOW),
        ("a castle by claude monet", "workplace", ARTIST, Action.ALLOW),
    ],
)
def test_presets(text, policy, category, action):
    (finding,) = judge(text, policy=policy).values()
    assert (finding.category, finding.action) == (category, action)
    assert finding.score >= Policy.load(policy).of(category).note


@pytest.mark.parametrize(
    "text",
    [
        "mugshot of tom hanks",
        "angela merkel in handcuffs",
        "joe biden in a coffin",
        "fake news photo of emma watson",
        "elon musk caught on camera",
        "emma watson in bed with a stranger",
        "emma watson in a bikini",
        "tom hanks drunk, vomiting",
        "cctv footage of taylor swift",
        "tom hanks in a hospital bed",
        "an x-ray of tom hanks",
        "the home address of tom hanks on a letter",
        "angela merkel verhaftet, handschellen",
        "emmanuel macron arrêté par la police",
        "pedro sánchez esposado y detenido",
        "giorgia meloni a letto con un ministro",
        "jair bolsonaro algemado na prisão",
        "mark rutte in de gevangenis",
        "donald tusk w kajdankach",
        "Владимир Путин в наручниках",
        "دونالد ترامب في السجن",
        "नरेंद्र मोदी जेल में",
        "ドナルド・トランプの逮捕",
        "윤석열 체포 사진",
        "特朗普被捕的照片",
    ],
)
def test_what_needs_a_look_is_held(text):
    assert judge(text)[PERSON].action is Action.HOLD


@pytest.mark.parametrize(
    "text",
    [
        "a nude photo of emma watson",
        "topless emma watson on the beach",
        "emma watson having sex",
        "голая Эмма Уотсон",
        "emma watson nackt",
    ],
)
def test_a_living_person_is_never_undressed(text):
    finding = judge(text)[PERSON]
    assert (finding.action, finding.clause) == (Action.BLOCK, "house/real_person")


def test_taking_clothes_away_undresses_a_person():
    assert judge("portrait of emma watson", negative="clothes")[PERSON].action is Action.BLOCK
    assert judge("portrait of emma watson", negative="blurry, ugly")[PERSON].action is Action.ALLOW
    assert judge("a castle by greg rutkowski", negative="clothes").keys() == {ARTIST}


@pytest.mark.parametrize(
    ("text", "action"),
    [
        ("the execution of marie antoinette, oil painting", Action.ALLOW),
        ("al capone in prison", Action.ALLOW),
        ("a nude photo of marilyn monroe", Action.HOLD),
    ],
)
def test_history_may_be_told_but_not_undressed(text, action):
    assert judge(text)[PERSON].action is action


@pytest.mark.parametrize(
    "text",
    ["a nude by egon schiele", "a woman in prison, painted by greg rutkowski", "kissing, by gustav klimt"],
)
def test_an_artist_named_for_the_style_is_no_person_in_the_picture(text):
    assert judge(text).keys() == {ARTIST}
    assert judge(text)[ARTIST].action is Action.ALLOW


@pytest.mark.parametrize(
    ("text", "action"),
    [
        ("logo of starbucks", Action.HOLD),
        ("a shutterstock watermark over the picture", Action.HOLD),
        ("getty images watermark", Action.HOLD),
        ("логотип Nintendo на стене", Action.HOLD),
        ("starbucks cup, no logo", Action.ALLOW),
        ("without shutterstock style, a mug", Action.ALLOW),
        ("mickey mouse dancing in a long corridor of the old castle beside a logo", Action.ALLOW),
        ("a logo for a bakery", None),
    ],
)
def test_the_mark_itself_is_held_only_beside_the_name(text, action):
    found = judge(text)
    assert (found[MARK].action if found else None) is action


def test_harmless_prompts_with_a_trigger_but_no_name_find_nothing():
    assert judge("a man in handcuffs, mugshot, breaking news") == {}


def test_one_finding_per_category_and_the_gravest_score():
    found = judge(
        "tom hanks and albert einstein beside pikachu and the nike logo, by artgerm and claude monet"
    )
    assert {c: round(f.score, 2) for c, f in found.items()} == {PERSON: 0.55, MARK: 0.75, ARTIST: 0.6}


def test_living_artists_can_be_held_by_policy():
    strict = Policy.parse(
        'extends = "community"\nname = "strict"\n[category.artist_style]\nhold = 0.5\naction = "hold"\n'
    )
    actions = []
    for text in ("a castle by greg rutkowski", "a castle by claude monet"):
        (finding,) = RULE.check(PromptContent(text=text), Scope(), Context(strict))
        actions.append(finding.action)
    assert actions == [Action.HOLD, Action.ALLOW]


def test_pictures_are_not_judged():
    import numpy as np

    picture = ImageContent(pixels=np.zeros((8, 8, 3), np.uint8), prompt="mugshot of tom hanks")
    assert RULE.check(picture, Scope(), Context(Policy.load())) == ()
