"""The self-test of bucket mode: in which forwards a picture has the bits that it has alone."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace

from generation.families.base import InFlight, LoadedModel
from generation.job import ImageRequest

_STEPS = 2


def same_in_the_mix(model: LoadedModel[InFlight], request: ImageRequest, *, rows: int) -> bool:
    """Draw two steps alone and beside others, with the same number of rows in each forward.

    Run once for each model and size before requests share forwards: on some devices the library chooses its
    arithmetic by more than the number of rows.

    Args:
        model: to test.
        request: gives size, guidance and noise scheduler; its words are not used.
        rows: of each forward.
    """
    return _digest(model, request, drawn=1, rows=rows) == _digest(model, request, drawn=rows, rows=rows)


def least_rows(model: LoadedModel[InFlight], request: ImageRequest, *, rows: int) -> int:
    """The fewest rows of a forward that give a picture the bits which it has among `rows` of them.

    Libraries choose their arithmetic by ranges of row counts, so that a forward often need not be filled up
    to the last row: in that range, only the work grows with the rows. Every count up to `rows` is drawn, and
    the first one that differs ends the range; where nothing is equal, the answer is `rows`.

    Args:
        model: of which `same_in_the_mix` holds for so many rows.
        request: gives size, guidance and noise scheduler; its words are not used.
        rows: of a full forward.
    """
    full = _digest(model, request, drawn=rows, rows=rows)
    for count in range(rows - 1, 0, -1):
        if _digest(model, request, drawn=count, rows=count) != full:
            return count + 1
    return 1


def compatibility_of_test(model: LoadedModel[InFlight], request: ImageRequest) -> Hashable:
    """The key of the rows that the tests draw: what they find holds for rows with the same key."""
    return model.compatibility(model.prepare(_test(request, seed=1), index=0, source=None))


def _digest(model: LoadedModel[InFlight], request: ImageRequest, *, drawn: int, rows: int) -> object:
    """Of the latents of one picture after two steps, beside `drawn - 1` others, filled up to `rows`."""
    first, *others = (
        model.prepare(_test(request, seed=seed), index=0, source=None) for seed in range(1, drawn + 1)
    )
    mixed = [row for row in (first, *others) if model.compatibility(row) == model.compatibility(first)]
    while first.step < first.steps:
        model.denoise(mixed, pad_to=rows)
    return model.facts(first)["latents_sha256"]


def _test(request: ImageRequest, *, seed: int) -> ImageRequest:
    return replace(
        request,
        prompt="a gray stone",
        negative_prompt="",
        num_inference_steps=_STEPS,
        count=1,
        strength=1.0 if request.strength is not None else None,
        source_blob=None,
        mask_blob=None,
        seed=seed,
    )
