"""Fits the head's two parts with torch, and finds the raw values at which a policy's bands begin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from moderation.head import ANY, Floats, Head, ngram_indices
from moderation.training.data import OUTPUTS, Example
from moderation.types import Category

if TYPE_CHECKING:
    import torch

LABELS = (*(str(category) for category in OUTPUTS), ANY)


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """What training was run with; stored in the head's card."""

    hidden: int = 256
    epochs: int = 8
    ngram_epochs: int = 2
    buckets: int = 1 << 16
    dropout: float = 0.5
    smoothing: float = 0.05  # of the labels, for the perceptron
    noise: float = 0.02  # added to embeddings, per dimension
    learning_rate: float = 1.5e-3
    ngram_rate: float = 0.02
    ngram_share: float = 0.25  # of its raw value in the sum; more of it ranks unseen sources worse
    hold_rate: float = (
        0.02  # share of harmless texts of unseen sources above the hold point, all outputs together
    )
    block_rate: float = 0.003
    least: float = -0.5  # raw value: nobody is asked about what the head itself finds rather unlikely
    apart: float = 2.0  # raw value between the two bands at least
    seed: int = 20250101


@dataclass(frozen=True, kw_only=True, slots=True)
class Targets:
    """(n, k) wanted values and how much each counts."""

    wanted: Floats
    weight: Floats


def targets(examples: Sequence[Example], guesses: Mapping[int, Floats] | None = None) -> Targets:
    """Return the training targets; `guesses` holds soft categories for harmful texts without one."""
    wanted = np.zeros((len(examples), len(LABELS)), dtype=np.float32)
    weight = np.ones_like(wanted)
    for row, example in enumerate(examples):
        weight[row] *= example.weight
        if not example.harmful:
            continue
        wanted[row, -1] = 1.0
        if example.category is not None:
            wanted[row, LABELS.index(str(example.category))] = 1.0
            weight[row, :-1] *= 0.5  # a text may belong to more categories than the one it was filed under
            weight[row, LABELS.index(str(example.category))] *= 4.0
        elif guesses and row in guesses:
            wanted[row, :-1] = guesses[row]
            weight[row, :-1] *= 0.5
        else:
            weight[row, :-1] = 0.0
    return Targets(wanted=wanted, weight=weight)


Features = tuple[npt.NDArray[np.int64], Floats]


def features(examples: Sequence[Example], settings: Settings) -> list[Features]:
    """Return every text's n-gram buckets and weights, to be shared by several fits."""
    return [ngram_indices(example.text, settings.buckets) for example in examples]


def fit(examples: Sequence[Example], vectors: Floats, grams: Sequence[Features], settings: Settings) -> Head:
    """Train both parts on one CPU thread; returns an uncalibrated head (0.5 at raw 0, 0.9 at raw 2)."""
    import torch  # noqa: PLC0415 - only training needs it

    torch.set_num_threads(1)
    torch.sparse.check_sparse_tensor_invariants.disable()  # type: ignore[no-untyped-call]
    torch.manual_seed(settings.seed)
    goal = targets(examples, guess_categories(examples, vectors))
    hidden, hidden_bias, output, bias = _perceptron(torch.from_numpy(vectors), goal, settings)
    ngrams, ngram_bias = _ngrams(grams, goal, settings)
    count = len(LABELS)
    return Head(
        labels=LABELS,
        hidden=hidden,
        hidden_bias=hidden_bias,
        output=output,
        bias=bias + settings.ngram_share * ngram_bias,
        ngrams=(settings.ngram_share * ngrams).astype(np.float16),
        hold_at=np.zeros(count, dtype=np.float32),
        block_at=np.full(count, 2.0, dtype=np.float32),
    )


def guess_categories(examples: Sequence[Example], vectors: Floats) -> dict[int, Floats]:
    """Guess soft categories of harmful texts that came without one, by a softmax over those that have one."""
    known = [i for i, e in enumerate(examples) if e.harmful and e.category in OUTPUTS]
    unknown = [i for i, e in enumerate(examples) if e.harmful and e.category is None]
    if not known or not unknown:
        return {}
    import torch  # noqa: PLC0415

    labels = torch.tensor([OUTPUTS.index(Category(str(examples[i].category))) for i in known])
    counts = torch.bincount(labels, minlength=len(OUTPUTS)).clamp(min=1).float()
    linear = torch.nn.Linear(vectors.shape[1], len(OUTPUTS))
    optimizer = torch.optim.AdamW(linear.parameters(), lr=0.02, weight_decay=0.01)
    data = torch.from_numpy(vectors[known])
    for _ in range(150):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(
            linear(data), labels, weight=counts.sum() / counts / len(OUTPUTS)
        )
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    with torch.no_grad():
        soft = torch.softmax(linear(torch.from_numpy(vectors[unknown])), dim=1).numpy().astype(np.float32)
    return dict(zip(unknown, soft, strict=True))


def _perceptron(
    data: torch.Tensor, goal: Targets, settings: Settings
) -> tuple[Floats, Floats, Floats, Floats]:
    import torch  # noqa: PLC0415

    first = torch.nn.Linear(data.shape[1], settings.hidden)
    second = torch.nn.Linear(settings.hidden, len(LABELS))
    dropout = torch.nn.Dropout(settings.dropout)
    optimizer = torch.optim.AdamW(
        [*first.parameters(), *second.parameters()], lr=settings.learning_rate, weight_decay=0.02
    )
    steps = settings.epochs * (len(data) // 512 + 1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    soft = goal.wanted * (1.0 - settings.smoothing) + settings.smoothing / 2
    wanted, weight = torch.from_numpy(soft), torch.from_numpy(goal.weight)
    for _ in range(settings.epochs):
        for rows in torch.split(torch.randperm(len(data)), 512):
            batch = data[rows] + settings.noise * torch.randn(len(rows), data.shape[1])
            raw = second(dropout(torch.relu(first(batch))))
            loss = _loss(raw, wanted[rows], weight[rows])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    with torch.no_grad():
        return (
            first.weight.numpy().T.copy(),
            first.bias.numpy().copy(),
            second.weight.numpy().T.copy(),
            second.bias.numpy().copy(),
        )


def _ngrams(grams: Sequence[Features], goal: Targets, settings: Settings) -> tuple[Floats, Floats]:
    import torch  # noqa: PLC0415

    bag = torch.nn.EmbeddingBag(settings.buckets, len(LABELS), mode="sum", sparse=True)
    torch.nn.init.zeros_(bag.weight)
    bias = torch.zeros(len(LABELS), requires_grad=True)
    sparse = torch.optim.Adagrad([bag.weight], lr=settings.ngram_rate * 10)
    dense = torch.optim.Adam([bias], lr=settings.ngram_rate)
    wanted, weight = torch.from_numpy(goal.wanted), torch.from_numpy(goal.weight)
    for _ in range(settings.ngram_epochs):
        for rows in torch.split(torch.randperm(len(grams)), 512):
            parts = [grams[int(row)] for row in rows]
            lengths = np.array([len(indices) for indices, _ in parts])
            offsets = torch.from_numpy(np.concatenate([[0], np.cumsum(lengths)[:-1]]))
            raw = bias + bag(
                torch.from_numpy(np.concatenate([indices for indices, _ in parts])),
                offsets,
                per_sample_weights=torch.from_numpy(np.concatenate([weights for _, weights in parts])),
            )
            loss = _loss(raw, wanted[rows], weight[rows])
            sparse.zero_grad()
            dense.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            sparse.step()
            dense.step()
    with torch.no_grad():
        return bag.weight.numpy().copy(), bias.numpy().copy()


def _loss(raw: torch.Tensor, wanted: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    import torch  # noqa: PLC0415

    return torch.nn.functional.binary_cross_entropy_with_logits(raw, wanted, weight=weight)


def calibrate(head: Head, harmless: Sequence[Floats], settings: Settings) -> Head:
    """Set the points where the bands begin from raw values of harmless texts that were not trained on.

    Args:
        head: any head with the outputs' order.
        harmless: per source an (n, k) array; the strictest source decides.
        settings: the rates; each is shared evenly among the outputs.
    """
    outputs = len(head.labels)
    hold, block = settings.hold_rate / outputs, settings.block_rate / outputs
    hold_at = np.max([np.quantile(raw, 1 - hold, axis=0) for raw in harmless], axis=0)
    hold_at = np.maximum(hold_at, settings.least)
    block_at = np.max([np.quantile(raw, 1 - block, axis=0) for raw in harmless], axis=0)
    return replace(
        head,
        hold_at=hold_at.astype(np.float32),
        block_at=np.maximum(block_at, hold_at + settings.apart).astype(np.float32),
    )
