"""Copies of examples as screening meets them, and how the training set is put together from them."""

from __future__ import annotations

import csv

from moderation.evasions import TRANSFORMS
from moderation.training import copies
from moderation.training.copies import disguised, subjects
from moderation.training.data import Example
from moderation.training.evaluate import SEED
from moderation.training.mixing import load_examples
from moderation.training.user_prompts import user_prompts

PLAIN = "a small wooden house beside the quiet river in the morning"


def an_example(text, *, harmful=False, language="en"):
    return Example(text=text, harmful=harmful, category=None, source="s", group="g", language=language)


def test_a_disguised_copy_keeps_label_and_group_and_counts_less():
    originals = [
        an_example(f"{PLAIN} {word}", harmful=word == "apple") for word in ("apple", "garden", "boat")
    ]
    found = disguised(originals)
    assert found == disguised(originals)
    assert {copy.harmful for copy in found} == {True, False}
    assert all(copy.copied and copy.group == "g" and copy.weight < 1.0 for copy in found)
    assert any(copy.text not in {example.text for example in originals} for copy in found)


def test_other_languages_are_not_disguised():
    assert disguised([an_example("ein kleines Haus am Fluss", language="de")]) == []


def test_what_is_measured_is_not_what_was_trained_on():
    assert copies._SEED != SEED
    assert set(copies._WAYS) <= set(TRANSFORMS)


def test_only_texts_with_style_words_have_a_copy_without():
    bare, tailed = an_example(PLAIN), an_example(f"{PLAIN}, highly detailed, by zorble")
    assert [copy.text for copy in subjects([bare, tailed])] == [PLAIN]


def test_copies_never_take_the_place_of_a_text(tmp_path, monkeypatch):
    monkeypatch.setattr(copies, "_HARMLESS", 100)  # thousands take half a minute
    monkeypatch.setattr(copies, "_HARMFUL", 100)
    rows = [(f"{PLAIN} number {i}", str(i % 2), "violence" if i % 2 else "benign", "s") for i in range(40)]
    with (tmp_path / "zorble.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(("text", "label_unsafe", "category", "source"))
        writer.writerows(rows)
    examples = load_examples(tmp_path)
    assert len({example.text for example in examples}) == len(examples)
    originals = [e for e in examples if e.group == "zorble" and not e.copied]
    assert {e.text for e in originals} == {text for text, *_ in rows}
    mine = [e for e in examples if e.group == "zorble" and e.copied]
    assert any("number" in e.text and e.harmful for e in mine)
    assert max(e.weight for e in mine if e.harmful) < max(e.weight for e in mine if not e.harmful)


def test_harmless_prompts_say_nothing_of_allure():
    """Harmless examples of such words once taught the head that the harm they announce was none."""
    texts = " | ".join(example.text for example in user_prompts(2000))
    for word in ("sensual", "seductive", "lingerie", "latex", "appealing figure"):
        assert word not in texts
