"""Heads that are fitted side by side are those that are fitted one after the other."""

from __future__ import annotations

import numpy as np

from moderation.training.data import Example
from moderation.training.fit import Settings, features
from moderation.training.side_by_side import Material, fit_each
from moderation.types import Category


def material():
    rng = np.random.default_rng(4)
    settings = Settings(hidden=4, epochs=1, ngram_epochs=1, buckets=256)
    examples = [
        Example(
            text=f"text {n} {'zorble' if n % 2 else 'boat'}",
            harmful=bool(n % 2),
            category=Category.SEXUAL if n % 2 else None,
            source="s",
            group="g",
        )
        for n in range(60)
    ]
    vectors = rng.standard_normal((60, 512)).astype(np.float32)
    return Material(examples=examples, vectors=vectors, grams=features(examples, settings), settings=settings)


def test_heads_do_not_depend_on_the_number_of_processes():
    parts = [np.arange(40), np.arange(20, 60)]
    alone, together = (fit_each(material(), parts, jobs) for jobs in (1, 2))
    assert len(alone) == len(together) == 2
    for one, other in zip(alone, together, strict=True):
        assert np.array_equal(one.hidden, other.hidden)
        assert np.array_equal(one.ngrams, other.ngrams)
    assert not np.array_equal(alone[0].hidden, alone[1].hidden)
