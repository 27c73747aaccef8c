"""Hostile prompts: no rule raises, whatever is typed."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moderation import fuzz
from moderation.evasions import TRANSFORMS, evade
from moderation.policy import Policy
from moderation.rules import PROMPT_RULES, open_rule
from moderation.rules.base import Context, Tools
from moderation.types import Finding, PromptContent, Scope

RULES = sorted(PROMPT_RULES - {"guard"})
HOSTILE = st.one_of(
    st.text(max_size=200),
    st.text(
        alphabet=st.sampled_from("nude knif3*@.-_ \u200b\u202e\u0301\u0930\u093e\u0430\U0001f467\n"),
        max_size=200,
    ),
    st.tuples(st.text(min_size=1, max_size=8), st.integers(1, 250)).map(lambda pair: pair[0] * pair[1]),
    st.tuples(st.sampled_from(sorted(TRANSFORMS)), st.text(max_size=120)).map(lambda pair: evade(*pair)),
)


@pytest.fixture(scope="module")
def rules():
    return [open_rule(name, Tools()) for name in RULES]


@settings(max_examples=150, deadline=None)
@given(text=HOSTILE, negative=HOSTILE)
def test_no_rule_raises_and_scores_stay_in_range(rules, text, negative):
    context = Context(Policy.load())
    for rule in rules:
        found = rule.check(PromptContent(text=text, negative=negative), Scope(), context)
        assert all(isinstance(finding, Finding) and 0.0 <= finding.score <= 1.0 for finding in found)


def test_the_same_seed_gives_the_same_inputs():
    one, other = ([content.text for content in fuzz.inputs(50, seed)] for seed in (7, 8))
    assert one == [content.text for content in fuzz.inputs(50, 7)] != other
    assert all(len(text) <= fuzz.MAX_CHARS for text in one)


class Broken:
    name = "broken"

    def check(self, content, _scope, _context):
        if "x" in content.text:
            raise ValueError
        return ()


def test_the_program_reports_failures():
    outcome = fuzz.run(60, 3, [Broken()])
    assert outcome.count == 60
    assert 0 < len(outcome.failures) < 60
    assert not outcome.passed
    assert "errors" in next(outcome.lines())


def test_the_program_ends_with_0_when_nothing_failed(capsys):
    assert fuzz.main(["--count", "20", "--seed", "5"]) in {0, 1}  # a busy machine may be slow, never wrong
    assert "20 inputs, 0 errors" in capsys.readouterr().out
