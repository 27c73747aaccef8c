"""The moderator joins findings, fails closed, and never raises for content."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import moderation.rules
from moderation.errors import RuleDataError, RuleError
from moderation.moderator import Moderator, risk, screen_row
from moderation.policy import Policy
from moderation.types import Action, Category, Finding, ImageContent, PromptContent, Scope, Verdict

SCOPE = Scope()
TEXT_RULES = ("lexicon", "names", "spelling", "removal")


@dataclass(frozen=True, kw_only=True, slots=True)
class Scripted:
    """A rule that answers, raises or hangs as told."""

    answer: object = ()
    error: Exception | None = None
    until: threading.Event | None = None
    calls: list[str] = field(default_factory=list)
    name: str = "scripted"
    category: Category = Category.VIOLENCE

    def check(self, content, _scope, _context):
        self.calls.append(getattr(content, "text", ""))
        if len(self.calls) > 2:  # the two warm-up samples
            if self.until is not None:
                self.until.wait(20)
            if self.error is not None:
                raise self.error
        return self.answer


@pytest.fixture
def scripted(monkeypatch):
    """Put scripted rules into the rule map."""

    def install(**rules):
        known = moderation.rules.open_rule

        def open_rule(name, tools):
            rule = rules.get(name)
            if isinstance(rule, Exception):
                raise rule
            return rule if rule is not None else known(name, tools)

        monkeypatch.setattr("moderation.moderator.open_rule", open_rule)
        return tuple(rules)

    return install


def a_finding(category=Category.HATE, score=0.7, action=Action.HOLD, rule="r"):
    return Finding(rule=rule, category=category, score=score, action=action)


async def screen(text, *, rules=TEXT_RULES, policy=None, negative="", scope=SCOPE):
    moderator = Moderator.open(policy or Policy.load(), rules=rules)
    try:
        return await moderator.review(PromptContent(text=text, negative=negative), scope)
    finally:
        moderator.close()


async def test_a_harmless_prompt_is_allowed_with_every_score():
    verdict = await screen("a red apple on a blue plate")
    assert verdict.action is Action.ALLOW
    assert verdict.findings == ()
    assert set(verdict.scores) == set(Category)
    assert verdict.policy_version == Policy.load().version
    assert verdict.elapsed_ms > 0


async def test_findings_join_by_maximum_and_name_clause_and_advice():
    verdict = await screen("tom hanks beside a severed head")
    assert verdict.action is Action.BLOCK
    gravest = verdict.gravest
    assert (gravest.rule, gravest.category, gravest.clause) == (
        "lexicon",
        Category.VIOLENCE,
        "house/violence",
    )
    assert gravest.advice == "violence"
    assert {f.category for f in verdict.findings} == {Category.VIOLENCE, Category.REAL_PERSON}


async def test_notes_are_reported_but_allow():
    verdict = await screen("a castle by greg rutkowski")
    assert verdict.action is Action.ALLOW
    assert [f.category for f in verdict.findings] == [Category.ARTIST_STYLE]


async def test_the_negative_prompt_is_not_read_as_a_wish():
    assert (await screen("a castle", negative="nude, gore, severed head")).action is Action.ALLOW


async def test_taking_clothes_away_is_held():
    assert (await screen("portrait of a woman", negative="clothes, blurry")).action is Action.HOLD
    assert (await screen("a castle on a hill", negative="clothes, blurry")).action is Action.ALLOW
    assert (await screen("portrait of a woman", negative="ugly clothes, blurry")).action is Action.ALLOW


async def test_a_prompt_too_long_to_read_is_held():
    verdict = await screen("apple " * 2000)
    assert verdict.action is Action.HOLD
    assert verdict.gravest.advice == "too_long"


async def test_age_restricted_channels_follow_their_own_bands():
    assert (await screen("a nude woman")).action is Action.HOLD
    assert (await screen("a nude woman", scope=Scope(age_restricted=True))).action is Action.ALLOW


@pytest.mark.parametrize("error", [RuleError("x", "broken"), ValueError("secret words"), MemoryError()])
async def test_a_rule_that_raises_holds(scripted, caplog, error):
    names = scripted(scripted=Scripted(error=error))
    with caplog.at_level(logging.DEBUG):
        verdict = await screen("a private prompt", rules=names)
    assert verdict.action is Action.HOLD
    assert (verdict.gravest.rule, verdict.gravest.clause) == ("scripted", "house/unchecked")
    assert verdict.gravest.advice == "unchecked"
    assert verdict.scores[Category.VIOLENCE] == 0.0
    assert "private" not in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize("answer", [None, [], ("text",), 7])
async def test_a_rule_that_answers_nonsense_holds(scripted, answer):
    names = scripted(scripted=Scripted(answer=answer))
    assert (await screen("a prompt", rules=names)).action is Action.HOLD


@pytest.mark.parametrize("error", [RuleDataError("list", "gone"), RuntimeError("bug")])
async def test_a_rule_that_cannot_load_holds_and_the_others_still_run(scripted, error):
    rules = scripted(scripted=error)
    verdict = await screen("a severed head", rules=(*rules, "lexicon"))
    assert verdict.action is Action.BLOCK
    assert {f.rule for f in verdict.findings} == {"scripted", "lexicon"}


async def test_a_rule_that_hangs_holds_and_does_not_starve_the_next_review(scripted):
    release = threading.Event()
    rule = Scripted(until=release)
    names = scripted(scripted=rule)
    policy = Policy.parse('extends = "community"\nrule_timeout_s = 0.05\n')
    moderator = Moderator.open(policy, rules=(*names, "lexicon"), workers=1)
    try:
        for _ in range(3):
            verdict = await moderator.review(PromptContent(text="a severed head"), SCOPE)
            assert {f.rule: f.action for f in verdict.findings} == {
                "scripted": Action.HOLD,
                "lexicon": Action.BLOCK,
            }
    finally:
        release.set()
        moderator.close()


async def test_a_policy_is_exchanged_while_running():
    moderator = Moderator.open(Policy.load(), rules=TEXT_RULES)
    try:
        prompt = PromptContent(text="a photo of tom hanks")
        assert (await moderator.review(prompt, SCOPE)).action is Action.ALLOW
        moderator.use(Policy.load("workplace"))
        verdict = await moderator.review(prompt, SCOPE)
        assert verdict.action is Action.HOLD
        assert verdict.policy_version == Policy.load("workplace").version
    finally:
        moderator.close()


async def test_an_undecodable_picture_is_held():
    moderator = Moderator.open(Policy.load(), rules=("blank",))
    try:
        verdict = await moderator.review_file(b"no picture", SCOPE)
        assert verdict.action is Action.HOLD
        assert verdict.gravest.advice == "unreadable_image"
    finally:
        moderator.close()


@pytest.mark.parametrize(
    "pixels", [np.zeros((0, 0, 3), np.uint8), np.zeros((9, 9), np.uint8), np.zeros((9, 9, 3)), None, "x"]
)
async def test_pixels_of_the_wrong_kind_are_held(pixels):
    moderator = Moderator.open(Policy.load(), rules=("blank",))
    try:
        assert (await moderator.review(ImageContent(pixels=pixels), SCOPE)).action is Action.HOLD
    finally:
        moderator.close()


async def test_the_screen_row_has_the_promised_fields():
    row = screen_row(await screen("a nude woman"))
    assert set(row) == {"action", "category", "score", "scores", "clause", "rule", "ms"}
    assert (row["action"], row["category"], row["rule"]) == ("hold", "sexual", "lexicon")
    assert set(row["scores"]) == {str(category) for category in Category}
    calm = screen_row(await screen("a red apple"))
    assert (calm["action"], calm["category"], calm["clause"], calm["score"]) == ("allow", None, None, 0.0)


def a_verdict(**scores: float) -> Verdict:
    return Verdict(action=Action.ALLOW, scores={Category(name): score for name, score in scores.items()})


def test_risk_orders_by_the_worst_and_leaves_style_and_spelling_out():
    assert risk(a_verdict(sexual=0.9)) > risk(a_verdict(sexual=0.5, hate=0.5)) > risk(a_verdict(sexual=0.5))
    assert risk(a_verdict(artist_style=1.0, evasion=1.0)) == 0.0


def test_risk_of_a_name_depends_on_whether_it_is_stopped():
    noted = a_verdict(real_person=0.55)
    held = replace(noted, action=Action.HOLD, findings=(a_finding(category=Category.REAL_PERSON),))
    assert 0.0 < risk(noted) < 0.1
    assert risk(held) > 0.5


@given(st.dictionaries(st.sampled_from(list(Category)), st.floats(0, 1)))
def test_risk_is_a_share(scores):
    assert 0.0 <= risk(Verdict(action=Action.ALLOW, scores=scores)) <= 1.0


@given(st.lists(st.tuples(st.sampled_from(list(Category)), st.floats(0, 1))), st.randoms())
def test_verdicts_do_not_depend_on_the_order_of_findings(pairs, shuffler):
    from moderation.moderator import _join

    policy = Policy.load()
    findings = [policy.finding(rule="r", category=c, score=s) for c, s in pairs]
    mixed = list(findings)
    shuffler.shuffle(mixed)
    first, second = _join(findings, policy, SCOPE, 0.0), _join(mixed, policy, SCOPE, 0.0)
    assert (first.action, first.findings, first.scores) == (second.action, second.findings, second.scores)
    assert first.action == max((f.action for f in findings), default=Action.ALLOW)


def test_gravest_prefers_action_over_score():
    verdict = Verdict(
        action=Action.BLOCK,
        findings=(a_finding(score=0.99), a_finding(score=0.6, action=Action.BLOCK, rule="b")),
    )
    assert verdict.gravest.rule == "b"
