"""Harmless prompts of our own: many, varied, always the same."""

from __future__ import annotations

from moderation.training.user_prompts import GROUP, style_tails, user_prompts


def test_prompts_are_distinct_harmless_and_always_the_same():
    one = user_prompts(300)
    assert one == user_prompts(300)
    assert len({example.text for example in one}) == len(one) > 250
    assert not any(example.harmful or example.group != GROUP for example in one)


def test_prompts_name_artists_and_carry_style_words():
    texts = " | ".join(example.text for example in user_prompts(600))
    assert " by " in texts
    assert "trending on artstation" in texts


def test_tails_are_style_words_alone():
    tails = style_tails(100)
    assert len(set(tails)) > 80
    assert all(tail and not tail.startswith(",") for tail in tails)
