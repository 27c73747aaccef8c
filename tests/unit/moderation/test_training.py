"""Training on a small folder: reading, mapping, fitting, calibrating, and the figures."""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
from functools import lru_cache
from importlib import resources

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderation.errors import RuleDataError, TrainingError
from moderation.head import ANY, load_head, ngram_indices
from moderation.training import __main__ as program
from moderation.training import copies
from moderation.training.data import Example, distinct, read_file, read_folder, styled
from moderation.training.fit import LABELS, Settings, calibrate, features, fit
from moderation.training.report import auroc, recall_at
from moderation.types import Category


def write(path, rows, columns=("text", "label_unsafe", "category", "source")):
    opener = gzip.open if path.name.endswith(".gz") else open
    with opener(path, "wt", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(columns)
        writer.writerows(rows)


def an_example(text, *, harmful=False, category=None, group="g"):
    return Example(text=text, harmful=harmful, category=category, source="s", group=group)


def embed(texts):
    """Words as fixed random directions: enough to learn from, and quick."""
    out = np.zeros((len(texts), 512), np.float32)
    for row, text in enumerate(texts):
        for word in text.split():
            out[row] += direction(word)
    return (out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-6)).astype(np.float32)


@lru_cache
def direction(word):
    return np.random.default_rng(sum(map(ord, word))).standard_normal(512)


def test_files_are_read_and_mapped(tmp_path):
    write(tmp_path / "one.csv.gz", [("A Zorble", "1", "selfharm", "x"), ("A boat", "0", "benign", "x")])
    write(tmp_path / "two.csv", [("Fnord", "1", "unethical", "y"), ("quux", "0", "implicit_sexual", "y")])
    (tmp_path / "LICENSES.md").write_text("not data")
    found = read_folder(tmp_path)
    assert [(e.text, e.harmful, e.category, e.group) for e in found] == [
        ("a zorble", True, Category.SELF_HARM, "one"),
        ("a boat", False, None, "one"),
        ("fnord", True, None, "two"),
    ]


@pytest.mark.parametrize(
    ("columns", "row"),
    [
        (("text", "label"), ("a", "1")),
        (("text", "label_unsafe", "category", "source"), ("a", "yes", "b", "c")),
    ],
)
def test_other_columns_or_labels_are_refused(tmp_path, columns, row):
    write(tmp_path / "bad.csv", [row], columns)
    with pytest.raises(TrainingError):
        read_folder(tmp_path)


@pytest.mark.parametrize("content", [b"\x1f\x8bbroken", b"\xff\xfe"])
def test_damaged_files_are_refused(tmp_path, content):
    (tmp_path / ("bad.csv.gz" if content[:1] == b"\x1f" else "bad.csv")).write_bytes(content)
    with pytest.raises(TrainingError):
        read_folder(tmp_path)


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(TrainingError, match="no CSV"):
        read_folder(tmp_path)


def test_contradicting_labels_drop_the_text():
    both = [an_example("a"), an_example("a", harmful=True), an_example("b"), an_example("b")]
    assert [e.text for e in distinct(both)] == ["b"]


def test_styled_copies_depend_on_the_text_alone():
    tails = ["oil painting, detailed, 8k", ""]
    one = styled([an_example("zorble."), an_example("fnord")], tails, count=2)
    assert {e.text for e in one} == {
        "zorble, oil painting, detailed, 8k",
        "fnord, oil painting, detailed, 8k",
    }
    assert styled([an_example("fnord")], tails, count=1)[0] in one
    assert styled([an_example("fnord")], [""], count=1) == []


def test_the_head_learns_categories_and_calibrates():
    rng = np.random.default_rng(3)
    nouns = ["boat", "tree", "lamp", "cloud", "chair", "river", "stone", "garden"]
    examples = []
    for index in range(400):
        words = " ".join(rng.choice(nouns, 3))
        examples.append(an_example(f"{words} {index}"))
        examples.append(an_example(f"{words} zorble {index}", harmful=True, category=Category.SEXUAL))
        examples.append(an_example(f"{words} fnord {index}", harmful=True, category=Category.VIOLENCE))
        examples.append(an_example(f"{words} fnord quux {index}", harmful=True))
    settings = Settings(hidden=16, epochs=6, ngram_epochs=2, buckets=4096, ngram_share=0.6)
    vectors = embed([e.text for e in examples])
    head = fit(examples, vectors, features(examples, settings), settings)
    fresh = ["boat tree zorble", "stone lamp fnord", "cloud chair river"]
    raw = head.raw(fresh, embed(fresh))
    harmless = [e.text for e in examples if not e.harmful]
    head = calibrate(head, [head.raw(harmless, embed(harmless))], settings)
    first, second, third = (head.scores(row) for row in raw)
    assert max(first, key=first.get) is Category.SEXUAL
    assert max(second, key=second.get) is Category.VIOLENCE
    assert max(third.values()) < 0.5 < min(first[Category.SEXUAL], second[Category.VIOLENCE])


def test_calibration_puts_the_bands_at_the_wanted_rates():
    rng = np.random.default_rng(5)
    head = load_head()
    raw = rng.standard_normal((20_000, len(head.labels))).astype(np.float32)
    settings = Settings(hold_rate=0.09, block_rate=0.009)
    calibrated = calibrate(head, [raw - 3, raw], settings)
    held = (raw >= calibrated.hold_at).any(axis=1).mean()
    assert 0.06 < held < 0.1
    assert (calibrated.block_at > calibrated.hold_at).all()


class Encoder:
    """Stands in for the shipped encoder, which takes seconds to load."""

    embed = staticmethod(embed)


def test_the_program_writes_head_and_card(tmp_path, monkeypatch):
    monkeypatch.setattr(program, "shared_encoder", Encoder)
    monkeypatch.setattr(copies, "_HARMLESS", 100)  # thousands take half a minute
    monkeypatch.setattr(copies, "_HARMFUL", 100)
    monkeypatch.setattr(
        program, "Settings", lambda: Settings(hidden=8, epochs=1, ngram_epochs=1, buckets=512)
    )
    data = tmp_path / "data"
    data.mkdir()
    for name in ("coco_train", "compbench_train", "diffusiondb_refl"):
        write(
            data / f"{name}.csv",
            [(f"a boat {name} {n}, sea, oil painting, 8k", "0", "benign", name) for n in range(210)],
        )
    write(data / "nibbler_r1.csv", [(f"zorble {n}", "1", "sexual", "n") for n in range(30)])
    write(data / "overt_trainsplit.csv", [(f"fnord {n}", "1", "violence", "o") for n in range(30)])
    write(data / "copro_id.csv", [(f"quux {n}", "1", "concept_explicit", "c") for n in range(30)])
    arguments = ["--data", str(data), "--out", str(tmp_path / "out"), "--cache", str(tmp_path / "cache.npz")]
    assert program.main([*arguments, "--folds", str(tmp_path / "folds")]) == 0
    assert all(load_head(tmp_path / "folds" / str(fold)).labels == LABELS for fold in range(3))
    assert "boat" in (tmp_path / "out" / "words.txt").read_text("utf-8").split()
    head = load_head(tmp_path / "out")
    assert head.labels == LABELS
    card = json.loads((tmp_path / "out" / "head.json").read_text())
    assert set(card["harmless_rates"]) >= {"coco_train", "nibbler_r1"}
    assert program.main(["--data", str(tmp_path / "nowhere"), "--out", str(tmp_path)]) == 1


def test_the_shipped_head_fits_and_is_small():
    folder = resources.files("moderation") / "data"
    assert load_head().labels[-1] == ANY
    assert len((folder / "head.npz").read_bytes()) < 5_000_000
    card = json.loads((folder / "head.json").read_text("utf-8"))
    assert card["sha256"] == hashlib.sha256((folder / "head.npz").read_bytes()).hexdigest()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04broken", b"text"])
def test_a_damaged_head_is_our_own_error(tmp_path, content):
    (tmp_path / "head.npz").write_bytes(content)
    with pytest.raises(RuleDataError):
        load_head(tmp_path)


def test_a_head_whose_parts_do_not_fit_is_refused(tmp_path):
    with np.load(str(program.__file__).replace("training/__main__.py", "data/head.npz")) as data:
        values = {name: data[name] for name in data.files}
    np.savez(tmp_path / "head.npz", **(values | {"bias": values["bias"][:-1]}))
    with pytest.raises(RuleDataError, match="fit"):
        load_head(tmp_path)


@given(st.text(max_size=200))
def test_ngrams_never_fail(text):
    indices, weights = ngram_indices(text, 1024)
    assert len(indices) == len(weights)
    assert ((indices >= 0) & (indices < 1024)).all()


def test_figures():
    assert auroc(np.array([1.0, 2.0]), np.array([0.0, 0.5])) == 1.0
    assert auroc(np.array([1.0]), np.array([1.0])) == 0.5
    assert np.isnan(auroc(np.array([]), np.array([1.0])))
    harmless = np.linspace(0, 1, 100)
    assert recall_at(np.array([0.97, 0.2]), harmless, 0.05) == 0.5
    assert recall_at(np.array([2.0]), harmless, 0.01) == 1.0


def test_our_own_seeds_are_many_and_readable():
    with resources.as_file(resources.files("moderation") / "data" / "seeds.csv") as path:
        rows = list(read_file(path))
    assert sum(not e.harmful and e.language == "en" for e in rows) >= 200
    assert {e.language for e in rows} >= {
        "en",
        "de",
        "fr",
        "es",
        "it",
        "pt",
        "nl",
        "pl",
        "ru",
        "ar",
        "hi",
        "ja",
        "ko",
        "zh",
    }
