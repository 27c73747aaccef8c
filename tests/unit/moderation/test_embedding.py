"""The shipped encoder, behind a cache that threads share."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from moderation.embedding import DIMENSIONS, SentenceEncoder


@pytest.fixture(scope="module")
def encoder():
    return SentenceEncoder(cached=4)


def test_vectors_are_unit_float32(encoder):
    vectors = encoder.embed(["a red apple", "", "ein roter apfel"])
    assert vectors.shape == (3, DIMENSIONS)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-4)


def test_translations_are_near_and_strangers_far(encoder):
    english, german, other = encoder.embed(["a red apple", "ein roter apfel", "quarterly tax report"])
    assert english @ german > 0.7
    assert english @ other < 0.4


def test_order_repetition_and_batch_do_not_matter(encoder):
    alone = encoder.embed(["a cat"])[0]
    vectors = encoder.embed(["a dog", "a cat", "a dog", "a cat"])
    assert np.allclose(vectors[1], alone, atol=1e-5)
    assert np.array_equal(vectors[1], vectors[3])


def test_nothing_in_nothing_out(encoder):
    assert encoder.embed([]).shape == (0, DIMENSIONS)


def test_more_texts_than_the_cache_holds(encoder):
    texts = [f"text number {n}" for n in range(9)]
    assert np.allclose(encoder.embed(texts), encoder.embed(texts), atol=1e-5)


def test_lone_surrogates_and_long_texts_are_taken(encoder):
    assert encoder.embed(["\ud800", "word " * 5000]).shape == (2, DIMENSIONS)


def test_threads_share_one_encoder(encoder):
    texts = [f"a picture of {n} boats" for n in range(12)]
    expected = encoder.embed(texts)
    with ThreadPoolExecutor(4) as pool:
        rows = list(pool.map(lambda text: encoder.embed([text])[0], texts))
    assert np.allclose(np.stack(rows), expected, atol=1e-5)


def test_the_callers_array_is_its_own(encoder):
    first = encoder.embed(["a boat"])
    first[:] = 0
    assert np.linalg.norm(encoder.embed(["a boat"])) > 0.9
