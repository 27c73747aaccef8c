"""Each picture rule has its own switch, threshold, time limit and threads."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import dataclass, field

import numpy as np
import pytest

from bot.usecases.protect import fingerprint
from moderation.bench_pictures import bench_pictures
from moderation.errors import PolicyError, RuleError
from moderation.moderator import Moderator
from moderation.policy import PRESETS, Policy
from moderation.rule_policy import RULE_NAMES, default_rules
from moderation.rules import PICTURE_RULES, PROMPT_RULES, RULES, judges
from moderation.rules.base import Context, Tools
from moderation.rules.near_copy import NearCopyRule
from moderation.types import Action, Category, ImageContent, PromptContent, Scope

SCOPE = Scope()
PROMPT = PromptContent(text="a severed head")


def a_picture(side=64) -> ImageContent:
    y, x = np.mgrid[0:side, 0:side]
    return ImageContent(pixels=np.stack([x * 3, y * 3, x + y], axis=2).astype(np.uint8))


def parse(rules: str) -> Policy:
    return Policy.parse(f'extends = "community"\n{rules}')


@dataclass(frozen=True, kw_only=True, slots=True)
class Slow:
    """A picture rule that waits until it is let go."""

    gate: threading.Event = field(default_factory=threading.Event)
    started: threading.Event = field(default_factory=threading.Event)
    name: str = "watermark"
    category: Category = Category.TRADEMARK

    def check(self, content, _scope, _context):
        if content.prompt == "wait":
            self.started.set()
            self.gate.wait(20)
        return ()


@pytest.fixture
def slow(monkeypatch):
    rule = Slow()
    known = Moderator.open.__globals__["open_rule"]
    monkeypatch.setattr(
        "moderation.moderator.open_rule",
        lambda name, tools: rule if name == "watermark" else known(name, tools),
    )
    yield rule
    rule.gate.set()


def test_every_picture_rule_can_be_set_and_nothing_else():
    assert set(RULE_NAMES) - PROMPT_RULES == PICTURE_RULES
    assert set(RULES) >= PICTURE_RULES | PROMPT_RULES
    assert not PICTURE_RULES & PROMPT_RULES
    assert judges("protected", PROMPT)
    assert judges("protected", a_picture())


@pytest.mark.parametrize("name", PRESETS)
def test_the_presets_demand_nothing_that_may_be_missing(name):
    policy = Policy.load(name)
    assert not policy.rules["faces"].demanded
    assert not policy.rules["near_copy"].demanded
    assert policy.rules["watermark"].threshold == 0.8


def test_what_a_policy_says_of_a_rule_counts():
    policy = parse("[rule.watermark]\non = false\nthreshold = 0.9\ntimeout_s = 3\n")
    rule = policy.rules["watermark"]
    assert (rule.on, rule.demanded, rule.threshold, rule.timeout_s) == (False, False, 0.9, 3.0)
    assert not policy.runs("watermark")
    assert policy.timeout_of("watermark") == 3.0
    assert policy.rules["faces"] == default_rules()["faces"]
    assert policy.timeout_of("lexicon") == policy.rule_timeout_s
    assert policy.version != Policy.load().version


@pytest.mark.parametrize(
    ("text", "named", "line"),
    [
        ("[rule.watermarks]\non = true\n", "rule.watermarks", 2),
        ("[rule.lexicon]\non = false\n", "rule.lexicon", 2),
        ("[rule.minors]\non = false\n", "rule.minors", 2),
        ("[rule.faces]\nlimit = 3\n", "rule.faces.limit", 3),
        ('[rule.faces]\non = "yes"\n', "rule.faces.on", 3),
        ("[rule.watermark]\nthreshold = 1.5\n", "rule.watermark.threshold", 3),
        ("[rule.watermark]\ntimeout_s = 0\n", "rule.watermark.timeout_s", 3),
        ("[rule.blank]\nthreshold = nan\n", "rule.blank.threshold", 3),
    ],
)
def test_a_bad_setting_names_field_and_line(text, named, line):
    with pytest.raises(PolicyError) as caught:
        parse(text)
    assert (caught.value.field, caught.value.line) == (named, line)


async def test_a_rule_that_is_off_does_not_run():
    policy = parse("[rule.blank]\non = false\n")
    moderator = Moderator.open(policy, rules=("blank", "image_safety"))
    try:
        verdict = await moderator.review(ImageContent(pixels=np.zeros((64, 64, 3), np.uint8)), SCOPE)
        assert set(verdict.rule_ms) == {"image_safety"}
        assert verdict.action is Action.ALLOW
        moderator.use(Policy.load())
        verdict = await moderator.review(ImageContent(pixels=np.zeros((64, 64, 3), np.uint8)), SCOPE)
        assert verdict.gravest.advice == "blank_image"
    finally:
        moderator.close()


async def test_each_rule_s_time_is_in_the_verdict():
    moderator = Moderator.open(Policy.load(), rules=("lexicon", "blank", "image_safety"))
    try:
        picture = await moderator.review(a_picture(), SCOPE)
        prompt = await moderator.review(PROMPT, SCOPE)
    finally:
        moderator.close()
    assert set(picture.rule_ms) == {"blank", "image_safety"}
    assert set(prompt.rule_ms) == {"lexicon"}
    assert 0 < sum(picture.rule_ms.values()) <= picture.elapsed_ms


async def test_a_slow_picture_rule_holds_up_neither_prompts_nor_other_rules(slow):
    moderator = Moderator.open(Policy.load(), rules=("watermark", "lexicon", "blank"), workers=1)
    try:
        await moderator.warm()
        picture = ImageContent(pixels=a_picture().pixels, prompt="wait")
        waiting = asyncio.create_task(moderator.review(picture, SCOPE))
        await asyncio.to_thread(slow.started.wait, 10)
        verdict = await asyncio.wait_for(moderator.review(PROMPT, SCOPE), 5)
        assert verdict.action is Action.BLOCK
        assert not waiting.done()
        slow.gate.set()
        assert (await waiting).action is Action.ALLOW
    finally:
        moderator.close()


@pytest.mark.usefixtures("slow")
async def test_a_picture_rule_past_its_own_limit_holds_and_leaves_a_thread_for_the_next():
    policy = parse("[rule.watermark]\ntimeout_s = 0.1\n")
    moderator = Moderator.open(policy, rules=("watermark", "blank"), workers=1)
    try:
        await moderator.warm()
        started = time.perf_counter()
        for _ in range(2):
            verdict = await moderator.review(ImageContent(pixels=a_picture().pixels, prompt="wait"), SCOPE)
            assert (verdict.action, verdict.gravest.rule) == (Action.HOLD, "watermark")
            assert verdict.gravest.clause == "house/unchecked"
        assert time.perf_counter() - started < 10
        assert (await moderator.review(a_picture(), SCOPE)).action is Action.ALLOW
    finally:
        moderator.close()


def near(likeness, *, policy=None, **content):
    asked = []

    def ask(pixels, model_id, references):
        asked.append((pixels.shape, model_id, references))
        return likeness

    picture = ImageContent(pixels=a_picture().pixels, **content)
    found = NearCopyRule(likeness=ask).check(picture, SCOPE, Context(policy or Policy.load()))
    return found, asked


def test_a_near_copy_of_a_training_picture_waits_for_a_moderator():
    found, asked = near(0.97, model_id="m", references=("set/a.svg",))
    assert (found[0].category, found[0].action) == (Category.TRADEMARK, Action.HOLD)
    assert asked == [((64, 64, 3), "m", ("set/a.svg",))]


@pytest.mark.parametrize("likeness", [None, 0.0])
def test_what_the_index_calls_no_copy_is_none(likeness):
    assert near(likeness)[0] == ()


def test_the_likeness_that_counts_is_the_policys():
    assert near(0.9, policy=parse("[rule.near_copy]\nthreshold = 0.95\n"))[0] == ()


def test_an_index_that_answers_nonsense_or_is_missing_though_demanded_raises():
    with pytest.raises(RuleError):
        near(float("nan"))
    rule = NearCopyRule.open(Tools())
    assert rule.check(a_picture(), SCOPE, Context(Policy.load())) == ()
    with pytest.raises(RuleError, match="demands"):
        rule.check(a_picture(), SCOPE, Context(parse("[rule.near_copy]\non = true\n")))


@pytest.mark.parametrize(
    "turned",
    [
        lambda p: p[:, ::-1],
        np.rot90,
        lambda p: p[::-1, ::-1],
        lambda p: 255 - p,
        lambda p: p[:, :, ::-1],
        lambda p: p[:, :, [1, 2, 0]],
    ],
    ids=["mirrored", "quarter turn", "half turn", "negative", "swapped colors", "turned hue"],
)
def test_the_fingerprint_knows_a_turned_or_recolored_picture(turned):
    y, x = np.mgrid[0:256, 0:256]
    noise = np.random.default_rng(3).normal(size=(8, 8, 3)).repeat(32, 0).repeat(32, 1) * 60
    waves = np.stack([np.sin(x / 9), np.cos(y / 13), np.sin((x - y) / 17)], axis=2) * 50
    pixels = np.clip(128 + noise + waves, 0, 255).astype(np.uint8)
    known, found = fingerprint(pixels)[0], fingerprint(np.ascontiguousarray(turned(pixels)))
    assert min((int.from_bytes(known) ^ int.from_bytes(one)).bit_count() for one in found) <= 31
    other = fingerprint(np.ascontiguousarray(np.roll(pixels, 100, axis=(0, 1))))
    assert min((int.from_bytes(known) ^ int.from_bytes(one)).bit_count() for one in other) > 31


def test_the_bench_measures_each_rule():
    figures = bench_pictures(
        parse("[rule.watermark]\non = false\n"), Tools(fingerprint=fingerprint), side=128
    )
    assert set(figures["picture_cpu_ms"]) == {
        "image_safety",
        "second_nsfw",
        "blank",
        "faces",
        "near_copy",
        "protected",
        "protected_parts",
    }
    assert all(ms >= 0 for ms in figures["picture_cpu_ms"].values())
    assert figures["picture_cpu_ms"]["image_safety"] > 1
    assert figures["picture_cpu_ms_without_text"] == figures["picture_cpu_ms_with_text"]
