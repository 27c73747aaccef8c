from __future__ import annotations

import numpy as np
import pytest

from generation.sticker.dataset import sentence_encoder
from generation.sticker.name_vectors import name_vectors, names, write_name_vectors


def test_the_shipped_vectors_are_those_of_the_names():
    listed, vectors = name_vectors()
    assert listed == names(), "run `python -m generation.sticker.dataset names`"
    assert vectors.shape == (len(listed), 512)
    sample = range(0, len(listed), 97)
    fresh = sentence_encoder()([listed[i] for i in sample])
    assert (vectors[list(sample)] * fresh).sum(1).min() > 0.999


def test_the_same_names_give_the_same_file(tmp_path, monkeypatch):
    monkeypatch.setattr("generation.sticker.name_vectors.names", lambda: ("kitty", "doggo"))
    table = {"kitty": 0.6, "doggo": -0.8}

    def embed(texts):
        return np.array([[table[text], np.sqrt(1 - table[text] ** 2)] for text in texts], np.float32)

    files = [tmp_path / "one.npz", tmp_path / "two.npz"]
    assert [write_name_vectors(embed, file) for file in files] == [2, 2]
    assert files[0].read_bytes() == files[1].read_bytes()
    listed, vectors = name_vectors(files[0])
    assert listed == ("kitty", "doggo")
    assert vectors[:, 0] == pytest.approx([0.6, -0.8], abs=0.005)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1])
