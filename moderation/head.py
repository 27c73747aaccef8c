"""The trained head: scores a text per category from its embedding and its character n-grams (numpy only).

Two parts are summed: a perceptron with one hidden layer over the sentence embedding, and a linear
model over hashed character n-grams. Per output, the sum is put on the policy's scale: 0.5 at the
point where a moderator should look, 0.9 where the text should be refused, both measured on sources
that were not trained on (see `head.json`). `moderation.training` makes the file.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt

from moderation.errors import RuleDataError
from moderation.types import Category

Floats = npt.NDArray[np.float32]

ANY = "any"  # the output that says "harmful, in some category"
ORDERS = (2, 3, 4, 5)  # lengths of the character n-grams
#: Whether a person or a mark is real is the name list's to say: they never carry the text as a whole.
NAMELESS = frozenset({Category.REAL_PERSON, Category.TRADEMARK})
_BELOW, _GENTLE = 0.49, 0.7  # the highest score of a text as a whole, and how fast it gets there
_LOG9 = float(np.log(9.0))


def ngram_indices(text: str, buckets: int) -> tuple[npt.NDArray[np.int64], Floats]:
    """Return the buckets of a text's character n-grams, and their weights (log counts, unit length)."""
    codes = np.frombuffer(f" {text} ".encode("utf-32-le", "replace"), dtype=np.uint32)
    parts = []
    for order in ORDERS:
        if len(codes) < order:
            continue
        value = np.full(len(codes) - order + 1, order * 0x9E3779B1 & 0xFFFFFFFF, dtype=np.uint32)
        for step in range(order):
            value = (value ^ codes[step : len(codes) - order + 1 + step]) * np.uint32(0x01000193)
            value ^= value >> np.uint32(15)
        parts.append(value)
    if not parts:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)
    indices, counts = np.unique(np.concatenate(parts) % np.uint32(buckets), return_counts=True)
    weights = np.log1p(counts).astype(np.float32)
    weights /= np.sqrt((weights * weights).sum())
    return indices.astype(np.int64), weights


@dataclass(frozen=True, kw_only=True, slots=True)
class Head:
    """Weights and calibration; build it with `load_head`."""

    labels: tuple[str, ...]  # categories, then ANY
    hidden: Floats  # (512, h)
    hidden_bias: Floats  # (h,)
    output: Floats  # (h, k)
    bias: Floats  # (k,)
    ngrams: npt.NDArray[np.float16]  # (buckets, k)
    hold_at: Floats  # (k,) raw value that becomes 0.5
    block_at: Floats  # (k,) raw value that becomes 0.9

    def from_ngrams(self, texts: Sequence[str]) -> Floats:
        """Return the n-gram part's (n, k) raw values: cheap, so long texts are searched with it."""
        out = np.zeros((len(texts), len(self.labels)), dtype=np.float32)
        for row, text in enumerate(texts):
            indices, weights = ngram_indices(text, len(self.ngrams))
            if len(indices):
                out[row] = weights @ self.ngrams[indices].astype(np.float32)
        return out

    def raw(self, texts: Sequence[str], vectors: Floats) -> Floats:
        """Return (n, k) raw values of texts with their (n, 512) embeddings."""
        inner = np.maximum(vectors @ self.hidden + self.hidden_bias, 0.0)
        return cast("Floats", inner @ self.output + self.bias + self.from_ngrams(texts))

    def scores(self, raw: Floats) -> dict[Category, float]:
        """Put one text's (k,) raw values on the policy's scale.

        Where the text looks harmful in some way, the likeliest category carries that score. Below the point
        where a moderator looks, a category counts for as much as the text as a whole is doubtful: there the
        outputs with few examples are less certain than the one that has them all.
        """
        scaled = 1.0 / (
            1.0 + np.exp(-np.clip(_LOG9 * (raw - self.hold_at) / (self.block_at - self.hold_at), -30, 30))
        )
        table = dict(zip(self.labels, (float(value) for value in scaled), strict=True))
        overall = table.pop(ANY, 0.0)
        whole = _BELOW / (1.0 + math.exp(-_GENTLE * float(raw[self.labels.index(ANY)])))
        scores = {Category(label): value if value >= 0.5 else value * whole for label, value in table.items()}
        likeliest = max(table, key=lambda label: table[label])
        carrier = max((label for label in table if label not in NAMELESS), key=lambda label: table[label])
        carried = max(overall, whole) if carrier == likeliest else whole
        scores[Category(carrier)] = max(scores[Category(carrier)], carried)
        return scores


def load_head(folder: Path | None = None) -> Head:
    """Read the head that ships, or `head.npz` in `folder`.

    Raises:
        RuleDataError: it is missing, damaged or does not fit together.
    """
    file = folder / "head.npz" if folder is not None and (folder / "head.npz").is_file() else None
    return _load(file)


@cache
def _load(file: Path | None) -> Head:
    source = file or resources.files("moderation") / "data" / "head.npz"
    try:
        with source.open("rb") as stream, np.load(stream, allow_pickle=False) as data:
            values = {name: data[name] for name in data.files}
        head = Head(
            labels=tuple(str(label) for label in values["labels"]),
            hidden=values["hidden"].astype(np.float32),
            hidden_bias=values["hidden_bias"].astype(np.float32),
            output=values["output"].astype(np.float32),
            bias=values["bias"].astype(np.float32),
            ngrams=values["ngrams"].astype(np.float16),
            hold_at=values["hold_at"].astype(np.float32),
            block_at=values["block_at"].astype(np.float32),
        )
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, EOFError) as error:
        raise RuleDataError("head.npz", f"cannot be read ({type(error).__name__})") from None
    _check(head)
    return head


def _check(head: Head) -> None:
    count = len(head.labels)
    known = {category.value for category in Category} | {ANY}
    shapes = (
        head.hidden.shape == (512, len(head.hidden_bias)),
        head.output.shape == (len(head.hidden_bias), count),
        head.bias.shape == head.hold_at.shape == head.block_at.shape == (count,),
        head.ngrams.ndim == 2 and head.ngrams.shape[1] == count and len(head.ngrams) > 0,
        ANY in head.labels and set(head.labels) <= known and bool(set(head.labels) - NAMELESS - {ANY}),
        bool(np.all(head.block_at > head.hold_at)),
    )
    if not all(shapes):
        raise RuleDataError("head.npz", "its parts do not fit together")
