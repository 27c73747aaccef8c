"""What the self-test finds holds, and nothing of it touches the bits of a picture alone."""

from __future__ import annotations

import pytest
import torch

from generation.card import ModelCard
from generation.families.stable_diffusion import LoadedStableDiffusion
from generation.job import ImageRequest
from generation.models import ModelShelf
from generation.self_test import least_rows, same_in_the_mix

ROWS = 4


@pytest.fixture
def model(tiny_card: ModelCard) -> LoadedStableDiffusion:
    loaded = ModelShelf(device="cpu", room=1, services={}).get(tiny_card, in_use=lambda _: False)
    assert isinstance(loaded, LoadedStableDiffusion)
    return loaded


def a_request(*, guidance: float = 5.0, seed: int = 1) -> ImageRequest:
    return ImageRequest(
        prompt=f"apple {seed}",
        model_id="tiny",
        width=64,
        height=64,
        seed=seed,
        num_inference_steps=3,
        guidance_scale=guidance,
    )


def drawn(model, *, beside: int, pad_to: int | None, guidance: float = 5.0) -> torch.Tensor:
    rows = [
        model.prepare(a_request(guidance=guidance, seed=seed), index=0, source=None)
        for seed in range(1, beside + 2)
    ]
    for _ in range(rows[0].steps):
        model.denoise(rows, pad_to=pad_to)
    return rows[0].latents


@pytest.mark.parametrize("guidance", [5.0, 1.0])
def test_from_the_least_rows_on_all_counts_give_the_same_bits(model, guidance: float) -> None:
    least = least_rows(model, a_request(guidance=guidance), rows=ROWS)
    assert 1 <= least <= ROWS
    full = drawn(model, beside=ROWS - 1, pad_to=ROWS, guidance=guidance)
    for count in range(least, ROWS + 1):
        assert torch.equal(drawn(model, beside=count - 1, pad_to=count, guidance=guidance), full)
        assert torch.equal(drawn(model, beside=0, pad_to=count, guidance=guidance), full)


def test_forwards_are_filled_up_where_each_count_gives_other_bits(model, monkeypatch) -> None:
    whole = LoadedStableDiffusion.denoise

    def by_count(self, rows, *, pad_to=None) -> None:
        whole(self, rows, pad_to=pad_to)
        for row in rows:  # a device whose arithmetic follows the number of rows
            row.latents = row.latents * (1 + 1e-4 * max(len(rows), pad_to or 0))

    monkeypatch.setattr(LoadedStableDiffusion, "denoise", by_count)
    assert same_in_the_mix(model, a_request(), rows=ROWS)
    assert least_rows(model, a_request(), rows=ROWS) == ROWS


def test_sharing_forwards_leaves_the_bits_of_a_picture_alone(model) -> None:
    before = drawn(model, beside=0, pad_to=None)
    drawn(model, beside=2, pad_to=3)
    assert torch.equal(drawn(model, beside=0, pad_to=None), before)
