"""The report: own sentences, probes, frequent words, screening, the page and its pictures."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from moderation.errors import TrainingError
from moderation.head import load_head
from moderation.terms import TermList
from moderation.training import evaluate, mixing
from moderation.training.data import Example
from moderation.training.files import save_head
from moderation.training.own import own_examples
from moderation.training.page import Charts, write_page
from moderation.training.plots import bar_chart, matrix_chart, roc_chart
from moderation.training.screening import PROBES, against, probe, screen
from moderation.training.vectors import Remembered
from moderation.training.words import frequent_words
from moderation.types import Action


def embed(texts):
    """A fixed direction for each text: the pictures and tables need no meaning."""
    rows = [np.random.default_rng(sum(map(ord, text))).standard_normal(512) for text in texts]
    return np.stack(rows).astype(np.float32) / 22.6


def an_example(text, *, harmful=False, group):
    return Example(text=text, harmful=harmful, category=None, source="s", group=group)


def test_own_sentences_are_many_in_every_language_and_of_both_kinds():
    examples = own_examples()
    assert len({example.text for example in examples}) > 4000
    for language in {example.language for example in examples}:
        harmful = sum(e.harmful for e in examples if e.language == language)
        harmless = sum(not e.harmful for e in examples if e.language == language)
        assert 0.5 < harmful / harmless < 2
    assert len({example.language for example in examples}) == 14
    assert examples == own_examples()


def test_no_probe_is_trained_on():
    trained = {example.text for example in own_examples()}
    for name in PROBES:
        rows = probe(name)
        assert len(rows) > 50
        assert not {row.text for row in rows} & trained


def test_frequent_words_come_first_and_rare_typed_ones_not_at_all():
    typed = ["a garden of roses"] * 4 + ["a gadren"]
    words = frequent_words(typed, [TermList(())], edited=["an orchard"])
    assert words.index("garden") < words.index("orchard")
    assert "gadren" not in words


def test_screening_follows_the_head(tmp_path):
    head = load_head()
    texts = ["a red apple on a blue plate", "a severed head on a pole, gore"]
    screened = screen(texts, embed, head)
    assert screened.action[1] > Action.ALLOW
    assert screened.risk[1] > screened.risk[0]
    figures = against(screened[np.array([False, True])], screened[np.array([True, False])])
    assert figures["auroc"] == 1.0
    save_head(head, tmp_path / "head.npz")
    assert load_head(tmp_path).labels == head.labels


def test_vectors_are_kept_between_runs(tmp_path):
    asked = []

    def counting(texts):
        asked.extend(texts)
        return embed(texts)

    first = Remembered(counting, tmp_path / "kept.npz")
    vectors = first(["one", "two", "one"])
    first.save()
    again = Remembered(counting, tmp_path / "kept.npz")(["two", "one"])
    assert asked == ["one", "two"]
    assert np.allclose(again, vectors[[1, 0]], atol=1e-3)


def test_pictures_are_drawn():
    scores = np.linspace(0, 1, 50)
    assert isinstance(roc_chart({"x": (scores, scores / 2)}, "roc"), Image.Image)
    chart = bar_chart({"a": 0.5, "b": 1.0}, "bars", bar=0.9)
    assert len(set(chart.get_flattened_data())) > 2
    assert matrix_chart(np.array([[1, 2, 0]]), ["a"], ["x", "y", "z"], "m").width > 100


def test_the_page_names_every_figure(tmp_path, monkeypatch):
    fold = {0: "coco_train", 1: "diffusiondb_refl", 2: "compbench_train"}
    bad = {0: "nibbler_r1", 1: "overt_trainsplit", 2: "copro_id"}
    examples = [
        an_example(f"a boat {n} {group}", group=group) for group in fold.values() for n in range(12)
    ] + [
        an_example(f"a severed head {n}", harmful=True, group=group)
        for group in bad.values()
        for n in range(3)
    ]
    monkeypatch.setattr(evaluate, "load_examples", lambda _: examples)
    monkeypatch.setattr(evaluate, "TRANSFORMS", ("case", "split"))
    monkeypatch.setattr(evaluate, "probe", lambda name: probe(name)[:40:4] + probe(name)[-8:])
    for index in range(len(mixing.FOLDS)):
        (tmp_path / str(index)).mkdir()
        save_head(load_head(), tmp_path / str(index) / "head.npz")
    measured, charts = evaluate.evaluate(tmp_path, tmp_path, embed)
    json.dumps(measured)
    write_page(measured, charts, tmp_path / "docs")
    text = (tmp_path / "docs" / "moderation-quality.md").read_text("utf-8")
    assert all(name in text for name in (*fold.values(), *bad.values(), "split", "traps"))
    assert len(list((tmp_path / "docs" / "images").glob("moderation-*.png"))) == 4
    assert isinstance(charts, Charts)


def test_a_missing_head_is_our_own_error(tmp_path, monkeypatch):
    monkeypatch.setattr(evaluate, "load_examples", lambda _: [])
    with pytest.raises(TrainingError, match="no head"):
        evaluate.evaluate(tmp_path, tmp_path, embed)
