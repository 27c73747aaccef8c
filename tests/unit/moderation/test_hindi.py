"""Hindi is read word by word into English; what is unknown is written by its sound."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderation.embedding import shared_encoder
from moderation.hindi import load_senses, read, transliterate
from moderation.normalize import plain


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("नीली प्लेट पर लाल सेब", "blue plate on red apple"),
        ("a red सेब", "a red apple"),
        ("दो बिल्लियां", "two cat"),
        ("कैमरा", "kaimara"),
        ("plain text", "plain text"),
        ("", ""),
    ],
)
def test_examples(text, wanted):
    assert read(plain(text)) == wanted


@pytest.mark.parametrize(
    ("word", "wanted"),
    [("नमस्ते", "namaste"), ("योग", "yog"), ("दिल्ली", "dilli"), ("अंक", "ank"), ("१२", "12")],
)
def test_sounds(word, wanted):
    assert transliterate(word) == wanted


def test_the_encoder_sees_translations_near_each_other():
    pairs = [
        ("जंगल में एक बाघ", "a tiger in the forest"),
        ("मेज पर किताब और घड़ी", "a book and a clock on the table"),
        ("नदी के ऊपर पुल", "a bridge over the river"),
    ]
    hindi = shared_encoder().embed([read(plain(text)) for text, _ in pairs])
    english = shared_encoder().embed([text for _, text in pairs])
    likeness = hindi @ english.T
    assert np.diag(likeness).min() > 0.5
    assert (likeness.argmax(axis=1) == np.arange(len(pairs))).all()


def test_the_list_is_many_words():
    assert len(load_senses()) > 400


@given(st.text(alphabet=st.characters(min_codepoint=0x900, max_codepoint=0x97F), max_size=60))
def test_no_devanagari_letter_is_left(text):
    assert not any("\u0904" <= char <= "\u0939" for char in read(plain(text)))
