"""Measures the knee of a model: how many rows in one forward still make each of them cheaper."""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from generation.card import ModelCard
from generation.families.base import InFlight, LoadedModel
from generation.job import ImageRequest
from generation.knees import Knee
from generation.self_test import least_rows, same_in_the_mix

ROWS: Final = (1, 2, 4, 8)
_GAIN: Final = 0.10  # what doubling the rows must save of each, to be worth the waiting of the first
_LONE: Final = 1.5  # how much longer a step of a picture alone may take because its forward is filled up
_ROUNDS: Final = 4  # the first one warms up

Progress = Callable[[str], None]


def measure_knee(
    card: ModelCard,
    model: LoadedModel[InFlight],
    *,
    aspect: str,
    device: str,
    rows: Sequence[int] = ROWS,
    progress: Progress = lambda _what: None,
) -> Knee:
    """Time one denoising step of 1, 2, 4, ... rows, in turns, and test that the mix keeps the bits.

    Args:
        card: of the model.
        model: as loaded on the device.
        aspect: the size, a key of `card.aspects`.
        device: its name, for the record.
        rows: to try, ascending, beginning with 1.
        progress: told what is being measured.

    Returns:
        The knee with all that was measured: see `knee_of`; fewer rows, where that many would need forwards
        so full that a picture alone would be drawn at less than two thirds of its speed.
    """
    width, height = card.aspects[aspect]
    request = ImageRequest(
        prompt="a gray stone",
        model_id=card.id,
        width=width,
        height=height,
        seed=1,
        num_inference_steps=max(2, min(card.max_steps, 2 * _ROUNDS)),
        guidance_scale=card.default_guidance,
        strength=1.0 if "strength" in card.options else None,
    )
    best = dict.fromkeys(rows, float("inf"))
    for turn in range(_ROUNDS):
        for count in rows:
            progress(f"{aspect}: {count} {'row' if count == 1 else 'rows'}, round {turn + 1} of {_ROUNDS}")
            batch = [model.prepare(request, index=index, source=None) for index in range(count)]
            _finish(device)
            started = time.perf_counter()
            model.denoise(batch, pad_to=count)
            _finish(device)
            if turn:
                best[count] = min(best[count], 1000 * (time.perf_counter() - started) / count)
    progress(f"{aspect}: the same bits in the mix?")
    knee, invariant = knee_of(best), True
    while knee > 1:
        invariant = same_in_the_mix(model, request, rows=knee)
        if not invariant or _lone(best, least_rows(model, request, rows=knee)) <= _LONE:
            break
        knee = max(count for count in rows if count < knee)
    return Knee(
        model_id=card.id,
        weights_sha256=card.weights_sha256,
        width=width,
        height=height,
        dtype=str(model.facts(batch[0])["dtype"]),
        device=device,
        rows=knee,
        invariant=invariant,
        ms_per_row=tuple((count, round(ms, 3)) for count, ms in best.items()),
    )


def knee_of(ms_per_row: Mapping[int, float]) -> int:
    """The most rows up to which each step up saves at least a tenth of the time of a row; rows ascending."""
    knee = min(ms_per_row)
    for fewer, more in itertools.pairwise(ms_per_row):
        if ms_per_row[more] > (1 - _GAIN) * ms_per_row[fewer]:
            break
        knee = more
    return knee


def _lone(ms_per_row: Mapping[int, float], least: int) -> float:
    """How much longer a forward of at least so many rows takes than one of a single row."""
    count = min(count for count in ms_per_row if count >= least)
    return count * ms_per_row[count] / ms_per_row[1]


def _finish(device: str) -> None:
    """Wait for what the device has been told to do."""
    torch = sys.modules.get("torch")
    if torch is not None and device.startswith("cuda"):
        torch.cuda.synchronize(device)
