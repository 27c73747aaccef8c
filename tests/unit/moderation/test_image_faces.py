"""A face counts where the prompt names a living person, and the rule is off where dlib is not installed."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import moderation.rules
from moderation.entities import load_entities
from moderation.errors import PolicyError, RuleDataError, RuleError
from moderation.moderator import Moderator
from moderation.policy import Policy
from moderation.rules.base import Context, Tools
from moderation.rules.faces import FacesRule, open_detector
from moderation.types import Action, Category, ImageContent, PromptContent, Scope

DEMANDED = 'extends = "community"\n[rule.faces]\non = true\n'


def a_face(side=240) -> np.ndarray:
    """A face as the detector knows it: an oval, brows, eyes, nose and mouth in light and shadow."""
    y, x = np.mgrid[0:side, 0:side] / side - 0.5

    def spot(cx, cy, rx, ry):
        return np.exp(-(((x - cx) / rx) ** 4) - ((y - cy) / ry) ** 4)

    face = 60 + 140 * spot(0, 0, 0.29, 0.38)
    for mirror in (-1, 1):
        face -= 60 * spot(mirror * 0.125, -0.125, 0.085, 0.018)  # brow
        face -= 75 * spot(mirror * 0.125, -0.06, 0.055, 0.026)  # eye
        face -= 25 * spot(mirror * 0.04, 0.085, 0.018, 0.014)  # nostril
    face += 22 * spot(0, 0.0, 0.022, 0.1)  # ridge of the nose
    face -= 60 * spot(0, 0.18, 0.1, 0.02)  # mouth
    return np.repeat(np.clip(face, 0, 255).astype(np.uint8)[:, :, None], 3, axis=2)


@pytest.fixture(scope="module")
def rule():
    return FacesRule.open(Tools())


def check(rule, prompt, pixels, policy=None):
    return rule.check(ImageContent(pixels=pixels, prompt=prompt), Scope(), Context(policy or Policy.load()))


def test_a_face_beside_a_living_person_s_name_is_a_likeness(rule):
    (finding,) = check(rule, "a portrait of Tom Hanks", a_face())
    assert (finding.rule, finding.category, finding.score) == ("faces", Category.REAL_PERSON, 0.6)
    assert finding.action is Action.ALLOW  # communities note it
    assert check(rule, "tom hanks at sea", a_face(), Policy.load("workplace"))[0].action is Action.HOLD


@pytest.mark.parametrize("prompt", ["", "a portrait of a sailor", "a portrait of Abraham Lincoln"])
def test_without_a_living_person_s_name_a_face_is_a_face(rule, prompt):
    assert check(rule, prompt, a_face()) == ()


def test_a_name_without_a_face_is_a_name(rule):
    assert check(rule, "a lighthouse, for Tom Hanks", np.full((200, 200, 3), 90, np.uint8)) == ()


def test_nobody_looks_for_faces_where_nobody_is_named():
    def detect(_pixels, _score):
        raise AssertionError("there is nothing to look for")

    watched = FacesRule(entities=load_entities(), detect=detect)
    assert check(watched, "a red apple", a_face()) == ()


def test_the_threshold_is_the_policys(rule):
    policy = Policy.parse('extends = "community"\n[rule.faces]\nthreshold = 5\n')
    assert check(rule, "a portrait of Tom Hanks", a_face(), policy) == ()


def test_large_pictures_are_shrunk_first():
    seen = []

    def detect(pixels, _score):
        seen.append(pixels.shape)
        return False

    check(
        FacesRule(entities=load_entities(), detect=detect), "Tom Hanks", np.zeros((3000, 1500, 3), np.uint8)
    )
    assert seen == [(1024, 512, 3)]


@pytest.mark.parametrize("pixels", [np.zeros((9, 9), np.uint8), np.zeros((9, 9, 3)), None])
def test_what_is_no_picture_raises(rule, pixels):
    with pytest.raises(RuleError):
        check(rule, "Tom Hanks", pixels)


def test_prompts_are_not_its_matter(rule):
    assert rule.check(PromptContent(text="Tom Hanks"), Scope(), Context(Policy.load())) == ()


@pytest.fixture
def without_dlib(monkeypatch):
    monkeypatch.setattr(moderation.rules, "_installed", lambda module: module != "dlib")
    monkeypatch.setitem(sys.modules, "dlib", None)


@pytest.mark.usefixtures("without_dlib")
async def test_without_dlib_the_rule_is_off_and_nothing_is_held():
    moderator = Moderator.open(Policy.load(), rules=("blank", "faces"))
    try:
        verdict = await moderator.review(ImageContent(pixels=a_face(), prompt="Tom Hanks"), Scope())
    finally:
        moderator.close()
    assert verdict.action is Action.ALLOW
    assert set(verdict.rule_ms) == {"blank"}
    assert moderator.off == {"faces": "pip install 'verso-bot[faces]'"}


@pytest.mark.usefixtures("without_dlib")
def test_without_dlib_a_policy_that_demands_the_rule_is_refused():
    policy = Policy.parse(DEMANDED)
    with pytest.raises(PolicyError, match=r"rule\.faces\.on.*verso-bot\[faces\]"):
        Moderator.open(policy)
    moderator = Moderator.open(Policy.load())
    with pytest.raises(PolicyError):
        moderator.use(policy)
    assert moderator.policy.version == Policy.load().version
    moderator.close()
    with pytest.raises(RuleDataError, match="not installed"):
        open_detector()


async def test_with_dlib_a_policy_may_demand_the_rule_or_switch_it_off():
    for text, ran in ((DEMANDED, {"faces"}), (DEMANDED.replace("true", "false"), set())):
        moderator = Moderator.open(Policy.parse(text), rules=("faces",))
        try:
            verdict = await moderator.review(ImageContent(pixels=a_face(), prompt="Tom Hanks"), Scope())
        finally:
            moderator.close()
        assert set(verdict.rule_ms) == ran
        assert bool(verdict.findings) is bool(ran)
