"""Scores of pictures against words: the shipped head, CLIP from a folder, and which one a model gets."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from generation.catalog import Catalog
from generation.errors import ModelLoadError
from generation.similarity import Scorers
from generation.sticker.references import References
from generation.sticker.similarity import HEAD, HeadSimilarity, SimilarityHeadError
from generation.sticker.similarity_training import held_out, measure, train
from moderation.embedding import SentenceEncoder


@pytest.fixture(scope="module")
def embed():
    return SentenceEncoder().embed


@pytest.fixture(scope="module")
def head(embed) -> HeadSimilarity:
    return HeadSimilarity.open(embed=embed)


def test_the_head_prefers_the_right_words_on_pictures_of_held_out_subjects(head) -> None:
    assert HEAD.stat().st_size <= 1 << 20
    with References() as references:
        found = [r for r in references.all if held_out(r.title) and len(r.title) > 3]
        some = {r.title: r for r in found}  # one of each title
        chosen = list(some.values())[:20]
        pictures = []
        for reference in chosen:
            rgba = references.picture(reference, edge=224).astype(np.float32)
            alpha = rgba[..., 3:] / 255
            pictures.append((rgba[..., :3] * alpha + 255 * (1 - alpha)).astype(np.uint8))
    scores = head.pictures(pictures) @ head.texts([reference.title for reference in chosen]).T
    best = scores.argmax(1) == np.arange(len(chosen))
    assert best.mean() >= 0.4  # of 20; by chance 0.05. The figure of the whole test stands in the docs
    assert head.similarity(pictures[:2], chosen[0].title)[0] == pytest.approx(float(scores[0, 0]), abs=1e-4)
    assert head.similarity([], "a cat") == ()


def test_a_damaged_head_is_named(tmp_path: Path, embed) -> None:
    (tmp_path / "head.npz").write_bytes(b"PK no")
    with pytest.raises(SimilarityHeadError, match="cannot be read"):
        HeadSimilarity.open(tmp_path / "head.npz", embed=embed, encode=len)
    np.savez(tmp_path / "other.npz", mean=np.zeros(3), picture=np.zeros((3, 2)), text=np.zeros((512, 2)))
    with pytest.raises(SimilarityHeadError, match="do not fit"):
        HeadSimilarity.open(tmp_path / "other.npz", embed=embed, encode=len)


def test_training_learns_what_can_be_learned(monkeypatch) -> None:
    """Pictures and words that share a hidden cause: the head finds it, also for held-out subjects."""
    chance = np.random.default_rng(3)
    titles = [f"thing {i}" for i in range(700)]
    hidden = chance.normal(size=(len(titles), 12)).astype(np.float32)
    picture = hidden @ chance.normal(size=(12, 1280)).astype(np.float32)
    text = hidden @ chance.normal(size=(12, 512)).astype(np.float32)
    text /= np.linalg.norm(text, axis=1, keepdims=True)
    monkeypatch.setattr("generation.sticker.similarity_training._EPOCHS", 30)
    head = train(titles, [picture, picture], [text, text])
    figures = measure(head, titles, picture, text)
    assert figures["top1_of_50"] > 0.8
    shuffled = measure(head, titles, picture, text[chance.permutation(len(text))])
    assert shuffled["top1_of_50"] < 0.2


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory) -> Path:
    """A tiny random CLIP in the layout of `transformers`, with a tokenizer of single letters."""
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPTokenizer

    folder = tmp_path_factory.mktemp("clip")
    letters = [*"abcdefghijklmnopqrstuvwxyz"]
    tokens = [*letters, *[letter + "</w>" for letter in letters], "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    CLIPTokenizer(
        str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=16
    ).save_pretrained(folder)
    CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(
        folder
    )
    small = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = CLIPConfig(
        text_config={
            **small,
            "vocab_size": len(tokens),
            "max_position_embeddings": 16,
            "eos_token_id": len(tokens) - 1,
            "bos_token_id": len(tokens) - 2,
        },
        vision_config={**small, "image_size": 32, "patch_size": 8},
        projection_dim=8,
    )
    CLIPModel(config).save_pretrained(folder)
    return folder


def test_clip_scores_from_a_folder(clip_folder: Path) -> None:
    from generation.similarity_clip import ClipSimilarity

    clip = ClipSimilarity(clip_folder)
    red = np.full((40, 60, 3), (200, 20, 20), np.uint8)
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    scores = clip.similarity([red, noise], "a red apple " * 30)  # cut, not refused
    assert len(scores) == 2
    assert all(-1 <= score <= 1 for score in scores)
    assert scores[0] != scores[1]
    assert clip.similarity([noise, red], "a red apple " * 30) == pytest.approx(scores[::-1], abs=1e-5)
    assert clip.similarity([red], "a cat") != pytest.approx(scores[:1], abs=1e-6)
    assert clip.name.startswith("clip-")


def test_pickled_clip_weights_are_refused(clip_folder: Path, tmp_path: Path) -> None:
    from generation.similarity_clip import ClipSimilarity

    for file in clip_folder.iterdir():
        if file.suffix != ".safetensors":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(ModelLoadError):
        ClipSimilarity(tmp_path)


def test_which_scorer_a_model_gets(clip_folder: Path, embed) -> None:
    sticker = Catalog.load(()).get(None)
    other = dataclasses.replace(sticker, family="stable_diffusion")
    scorers = Scorers(embed=embed)
    assert scorers.of(other) is None
    assert scorers.of(sticker).name.startswith("sticker-head-")
    assert scorers.of(sticker) is scorers.of(sticker)
    assert Scorers(embed=embed, clip_folder=clip_folder).of(other).name.startswith("clip-")
