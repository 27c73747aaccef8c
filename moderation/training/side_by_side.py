"""Fits several heads side by side, each in a process of its own: fits share nothing but what they read."""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from moderation.head import Floats, Head
from moderation.training.data import Example
from moderation.training.fit import Features, Settings, fit

Rows = npt.NDArray[np.int_]


@dataclass(frozen=True, kw_only=True, slots=True)
class Material:
    """What every fit reads: texts, their (n, 512) vectors, their n-grams, and the settings."""

    examples: Sequence[Example]
    vectors: Floats
    grams: Sequence[Features]
    settings: Settings


_material: Material  # of a child process, inherited from its parent: never copied through a pipe


def fit_each(material: Material, parts: Sequence[Rows], jobs: int = 1) -> list[Head]:
    """Return one head per part, each fitted on that part's rows alone; the same whatever `jobs` is.

    Args:
        material: the whole training set.
        parts: row numbers.
        jobs: processes at a time; 1 stays in this one, as does a system that cannot fork.
    """
    if jobs < 2 or "fork" not in multiprocessing.get_all_start_methods():
        return [_fit(material, rows) for rows in parts]
    with ProcessPoolExecutor(
        jobs, mp_context=multiprocessing.get_context("fork"), initializer=_inherit, initargs=(material,)
    ) as pool:
        return list(pool.map(_fit_inherited, parts))


def _inherit(material: Material) -> None:
    global _material  # noqa: PLW0603 - set once in a child that lives for these fits
    _material = material


def _fit_inherited(rows: Rows) -> Head:
    return _fit(_material, rows)


def _fit(material: Material, rows: Rows) -> Head:
    numbers = rows.tolist()
    return fit(
        [material.examples[i] for i in numbers],
        material.vectors[rows],
        [material.grams[i] for i in numbers],
        material.settings,
    )
