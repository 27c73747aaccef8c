"""Prompts strung together from the phrases of a package's wheel."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest

from moderation.errors import TrainingError
from moderation.training.data import Example
from moderation.training.typed import GROUP, trusted, typed_prompts

FOLDER = "clip_interrogator/data/"


def a_wheel(path, *, flavors, media=("an oil painting",)):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(FOLDER + "flavors.txt", "\n".join(flavors))
        archive.writestr(FOLDER + "artists.txt", "Zorble Fnord\nQuux Wibble\n")
        archive.writestr(FOLDER + "mediums.txt", "\n".join(media))
    return path


def an_example(text, group="g"):
    return Example(text=text, harmful=False, category=None, source="s", group=group)


def test_prompts_are_made_of_the_wheels_phrases_and_always_the_same(tmp_path):
    wheel = a_wheel(tmp_path / "w.whl", flavors=[f"Phrase {n}" for n in range(50)])
    made = typed_prompts(wheel, [], count=200)
    assert made == typed_prompts(wheel, [], count=200)
    assert len({example.text for example in made}) == len(made) > 100
    assert not any(example.harmful or example.group != GROUP for example in made)
    texts = " | ".join(example.text for example in made)
    assert "phrase 7" in texts
    assert "zorble fnord" in texts
    assert "an oil painting of phrase" in texts


def test_phrases_of_the_data_and_listed_words_are_left_out(tmp_path):
    wheel = a_wheel(tmp_path / "w.whl", flavors=["glowing fog", "soft rain", "a severed head, gore", "porn"])
    made = typed_prompts(wheel, [an_example("a boat, soft rain")], count=100)
    texts = " | ".join(example.text for example in made)
    assert "glowing fog" in texts
    assert not any(word in texts for word in ("soft rain", "gore", "porn"))


def test_the_most_doubtful_prompts_are_dropped():
    examples = [an_example("kept"), *(an_example(f"{n}", GROUP) for n in range(100))]
    kept = trusted(examples, lambda rows: np.array([int(examples[i].text) for i in rows], np.float32))
    assert kept == list(range(89))  # the first, and the 88 with the lowest scores
    assert trusted(examples[:1], lambda rows: np.zeros(len(rows), np.float32)) == [0]


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04broken", b"text"])
def test_a_damaged_wheel_is_our_own_error(tmp_path, content):
    (tmp_path / "w.whl").write_bytes(content)
    with pytest.raises(TrainingError, match="cannot be read"):
        typed_prompts(tmp_path / "w.whl", [])


def test_a_wheel_without_the_lists_is_our_own_error(tmp_path):
    with zipfile.ZipFile(tmp_path / "w.whl", "w") as archive:
        archive.writestr("other.txt", "x")
    with pytest.raises(TrainingError, match="cannot be read"):
        typed_prompts(tmp_path / "w.whl", [])
    with pytest.raises(TrainingError, match="too few"):
        typed_prompts(a_wheel(tmp_path / "w.whl", flavors=["porn"]), [])
