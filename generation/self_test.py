"""The self-test of bucket mode: whether a picture has the bits in the mix that it has alone."""

from __future__ import annotations

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
    test = replace(
        request,
        prompt="a gray stone",
        negative_prompt="",
        num_inference_steps=_STEPS,
        count=1,
        strength=1.0 if request.strength is not None else None,
        source_blob=None,
        mask_blob=None,
        seed=1,
    )
    alone, first, *others = (
        model.prepare(replace(test, seed=max(1, place)), index=0, source=None) for place in range(rows + 1)
    )
    mixed = [row for row in (first, *others) if model.compatibility(row) == model.compatibility(first)]
    while first.step < first.steps:
        model.denoise([alone], pad_to=rows)
        model.denoise(mixed, pad_to=rows)
    return model.facts(alone)["latents_sha256"] == model.facts(first)["latents_sha256"]
