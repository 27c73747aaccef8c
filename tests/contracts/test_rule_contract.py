"""What every moderation rule promises, for every rule in the map: a new rule gets these tests for free."""

from __future__ import annotations

import dataclasses
import random

import numpy as np
import pytest

from moderation.errors import ModerationError
from moderation.policy import Policy
from moderation.rules import RULES, open_rule
from moderation.rules.base import Context, Tools
from moderation.types import Action, Category, Finding, ImageContent, PromptContent, Scope

PROMPTS = {
    "empty": PromptContent(text=""),
    "spaces": PromptContent(text=" \n\t ", negative="  "),
    "ordinary": PromptContent(text="a red apple on a blue plate", negative="blurry"),
    "huge": PromptContent(text="apple " * 20_000, negative="blurry, " * 20_000),
    "one word": PromptContent(text="x" * 50_000),
    "noise": PromptContent(text="".join(chr(random.Random(1).randrange(1, 0xD7FF)) for _ in range(3000))),
    "surrogates": PromptContent(text="a\ud800b\udfff" * 50),
    "controls": PromptContent(text="".join(map(chr, range(32))) * 20),
    "marks": PromptContent(text="e" + "\u0301" * 4000),
    "right to left": PromptContent(text="\u202e" * 500 + "apple"),
}
IMAGES = {
    "small": ImageContent(pixels=np.random.default_rng(1).integers(0, 255, (16, 16, 3), dtype=np.uint8)),
    "large": ImageContent(
        pixels=np.random.default_rng(2).integers(0, 255, (1024, 1536, 3), dtype=np.uint8), prompt="a zorble"
    ),
    "read-only": ImageContent(
        pixels=np.broadcast_to(np.arange(64, dtype=np.uint8)[None, :, None], (64, 64, 3))
    ),
}
WRONG = {
    "empty": np.zeros((0, 0, 3), np.uint8),
    "gray": np.zeros((32, 32), np.uint8),
    "float": np.zeros((32, 32, 3), np.float32),
    "alpha": np.zeros((32, 32, 4), np.uint8),
}


def embed(texts):
    """A small stand-in for the encoder, which takes seconds to load: words as hashed directions."""
    out = np.zeros((len(texts), 512), np.float32)
    for row, text in enumerate(texts):
        for word in text.split() or [""]:
            out[row, hash_of(word)] += 1
    return out / np.linalg.norm(out, axis=1, keepdims=True)


def hash_of(word: str) -> int:
    return sum(map(ord, word)) % 512


# The guard asks a model that the operator brings: its own tests teach it a small one.
@pytest.fixture(scope="module", params=sorted(set(RULES) - {"guard"}))
def rule(request):
    return open_rule(request.param, Tools(embed=embed))


@pytest.fixture
def context():
    return Context(Policy.load())


def well_formed(found):
    assert isinstance(found, tuple)
    for finding in found:
        assert isinstance(finding, Finding)
        assert isinstance(finding.category, Category)
        assert isinstance(finding.action, Action)
        assert 0.0 <= finding.score <= 1.0
        assert finding.clause is None or finding.clause in Policy.load().clauses
    return found


def test_the_map_names_the_rule(rule):
    assert RULES[rule.name].endswith(type(rule).__name__)
    assert isinstance(rule.category, Category)


def test_a_rule_is_a_frozen_value(rule):
    assert dataclasses.is_dataclass(rule)
    with pytest.raises(dataclasses.FrozenInstanceError):
        rule.name = "other"


@pytest.mark.parametrize("name", PROMPTS)
def test_any_prompt_is_answered(rule, context, name):
    well_formed(rule.check(PROMPTS[name], Scope(), context))


@pytest.mark.parametrize("name", IMAGES)
def test_any_picture_is_answered(rule, context, name):
    well_formed(rule.check(IMAGES[name], Scope(), context))


@pytest.mark.parametrize("name", WRONG)
def test_wrong_pixels_are_ignored_or_our_own_error(rule, context, name):
    try:
        found = rule.check(ImageContent(pixels=WRONG[name]), Scope(), context)
    except ModerationError:
        return
    assert all(finding.action is not Action.BLOCK for finding in well_formed(found))


def test_an_empty_prompt_finds_nothing(rule, context):
    assert rule.check(PROMPTS["empty"], Scope(), context) == ()


def test_a_rule_judges_prompts_or_pictures_not_both(rule, context):
    prompt = rule.check(PromptContent(text="a nude tom hanks " + "\u200b" * 9), Scope(), context)
    picture = rule.check(IMAGES["small"], Scope(), context)
    assert not (prompt and picture)


def test_checking_changes_nothing(rule, context):
    image = ImageContent(pixels=IMAGES["large"].pixels.copy(), prompt="a zorble")
    before = image.pixels.copy()
    first = rule.check(image, Scope(), context)
    assert np.array_equal(image.pixels, before)
    assert rule.check(image, Scope(), Context(Policy.load())) == first


def test_the_same_prompt_twice_is_the_same_answer(rule, context):
    prompt = PromptContent(text="a t0pless woman by tom hanks", negative="clothes")
    first = rule.check(prompt, Scope(), context)
    assert rule.check(prompt, Scope(), context) == first
    assert rule.check(prompt, Scope(), Context(Policy.load())) == first


def test_an_unknown_rule_is_our_own_error():
    with pytest.raises(ModerationError):
        open_rule("nonsense", Tools())
