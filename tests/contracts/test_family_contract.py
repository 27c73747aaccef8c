"""What every model family must keep, run over the name map: a new family gets these tests by its line."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from generation.card import ModelCard
from generation.catalog import Catalog
from generation.families import FAMILIES, open_family
from generation.families.base import Decoded, InFlight, LoadedModel, Pixels
from generation.families.tiny import build_tiny_model, build_tiny_xl, tiny_card
from generation.families.tiny_transformers import (
    build_tiny_flux,
    build_tiny_qwen,
    build_tiny_sd3,
    build_tiny_z,
)
from generation.image_server import ImageServer
from generation.job import ImageRequest

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation:DeprecationWarning"
)  # diffusers' own


def embed(texts: Sequence[str]) -> np.ndarray:
    """Sentence embeddings by hashed words, (n, 512), normalised: enough to find pictures by name."""
    vectors = np.zeros((len(texts), 512), dtype=np.float32)
    for vector, text in zip(vectors, texts, strict=True):
        for word in text.lower().split():
            vector[sum(word.encode()) % 512] += 1.0
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)


def served_card(folder: Path, url: str) -> ModelCard:
    fields = {"seed": "seed", "negative_prompt": "negative_prompt", "strength": "strength"}
    return dataclasses.replace(
        tiny_card(folder, family="openai_images", revision="1", weights_sha256=""),
        server=ImageServer(base_url=url, model="flux", fields=fields),
    )


CARDS: dict[str, Callable[[Path, str], ModelCard]] = {
    "flux": lambda folder, _url: build_tiny_flux(folder / "tiny"),
    "openai_images": served_card,
    "pipeline": lambda folder, _url: dataclasses.replace(
        build_tiny_model(folder / "tiny"), family="pipeline"
    ),
    "qwen_image": lambda folder, _url: build_tiny_qwen(folder / "tiny"),
    "stable_diffusion": lambda folder, _url: build_tiny_model(folder / "tiny"),
    "stable_diffusion_3": lambda folder, _url: build_tiny_sd3(folder / "tiny"),
    "stable_diffusion_xl": lambda folder, _url: build_tiny_xl(folder / "tiny"),
    "sticker": lambda _folder, _url: Catalog.load(()).get(None),
    "z_image": lambda folder, _url: build_tiny_z(folder / "tiny"),
}
"""(folder, address of an image server) -> a model of each family; without a line here it fails the suite."""


@pytest.fixture(scope="module", params=sorted(FAMILIES))
def card(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, image_servers: ModuleType
) -> Iterator[ModelCard]:
    with image_servers.running() as server:
        yield CARDS[request.param](tmp_path_factory.mktemp(request.param), server.url)


@pytest.fixture(scope="module")
def model(card: ModelCard) -> LoadedModel[InFlight]:
    return open_family(card.family, embed=embed, unrelated=len).load(card, device="cpu")


@pytest.fixture
def a_request(card: ModelCard) -> ImageRequest:
    return ImageRequest(
        prompt="a red apple on a blue plate",
        model_id=card.id,
        width=card.width,
        height=card.height,
        seed=5,
        num_inference_steps=4,
        guidance_scale=card.default_guidance,
    )


def draw(model, request: ImageRequest, *, index: int = 0, source: Pixels | None = None) -> Decoded:
    row = model.prepare(request, index=index, source=source)
    while row.step < row.steps:
        model.denoise([row])
    return model.decode(row)


def test_equal_requests_give_equal_pixels(model, a_request) -> None:
    first, second = draw(model, a_request), draw(model, a_request)
    assert np.array_equal(first.pixels, second.pixels)
    assert (first.credits, first.note) == (second.credits, second.note)


def test_another_seed_gives_another_picture(model, a_request) -> None:
    other = dataclasses.replace(a_request, seed=6)
    assert not np.array_equal(draw(model, a_request).pixels, draw(model, other).pixels)


def test_the_index_adds_to_the_seed(model, a_request) -> None:
    shifted = dataclasses.replace(a_request, seed=a_request.seed + 2)
    assert np.array_equal(draw(model, a_request, index=2).pixels, draw(model, shifted).pixels)


def test_every_aspect_of_the_card_has_exactly_its_size(model, card, a_request) -> None:
    for width, height in sorted(set(card.aspects.values())):
        sized = dataclasses.replace(a_request, width=width, height=height)
        card.check(sized)
        pixels = draw(model, sized).pixels
        assert pixels.shape == (height, width, 3)
        assert pixels.dtype == np.uint8


def test_steps_are_counted_and_bounded_by_the_request(model, a_request) -> None:
    row = model.prepare(a_request, index=0, source=None)
    assert row.step == 0
    assert 0 <= row.steps <= 4
    for done in range(row.steps):
        assert row.step == done
        model.denoise([row])
    assert row.step == row.steps


def test_an_abandoned_picture_leaves_no_trace(model, a_request) -> None:
    before = draw(model, a_request).pixels
    abandoned = model.prepare(dataclasses.replace(a_request, prompt="a dog", seed=9), index=0, source=None)
    if abandoned.step < abandoned.steps:
        model.denoise([abandoned])  # cancelled here
    assert np.array_equal(draw(model, a_request).pixels, before)


def test_interleaved_pictures_do_not_mix(model, a_request) -> None:
    requests = [
        a_request,
        dataclasses.replace(a_request, prompt="a yellow dog", seed=8, num_inference_steps=3),
    ]
    alone = [draw(model, request).pixels for request in requests]
    rows = [model.prepare(request, index=0, source=None) for request in requests]
    while waiting := [row for row in rows if row.step < row.steps]:
        for row in waiting:
            model.denoise([row])
    for row, pixels in zip(rows, alone, strict=True):
        assert np.array_equal(model.decode(row).pixels, pixels)


def test_rows_in_one_forward_do_not_depend_on_their_neighbors(model, a_request) -> None:
    def run(*seeds: int) -> np.ndarray:
        rows = [
            model.prepare(dataclasses.replace(a_request, seed=seed), index=0, source=None) for seed in seeds
        ]
        assert len({model.compatibility(row) for row in rows}) == 1
        while waiting := [row for row in rows if row.step < row.steps]:
            model.denoise(waiting, pad_to=3)
        return model.decode(rows[0]).pixels

    assert np.array_equal(run(5), run(5, 6, 7))


def test_a_source_picture_changes_the_result(model, a_request) -> None:
    source = np.zeros((40, 60, 3), dtype=np.uint8)
    source[:, 30:] = (250, 200, 20)
    varied = dataclasses.replace(a_request, strength=0.3)
    pixels = draw(model, varied, source=source).pixels
    assert pixels.shape == (a_request.height, a_request.width, 3)
    assert not np.array_equal(pixels, draw(model, varied).pixels)
    assert np.array_equal(pixels, draw(model, varied, source=source).pixels)


def test_previews_are_small_and_change_nothing(model, a_request) -> None:
    row = model.prepare(a_request, index=0, source=None)
    while row.step < row.steps:
        model.denoise([row])
        preview = model.preview(row)
        assert preview is None or (preview.dtype == np.uint8 and max(preview.shape[:2]) <= 128)
    assert np.array_equal(model.decode(row).pixels, draw(model, a_request).pixels)


def test_the_facts_are_plain_values_and_repeatable(model, a_request) -> None:
    def facts() -> dict[str, object]:
        row = model.prepare(a_request, index=0, source=None)
        while row.step < row.steps:
            model.denoise([row])
        return dict(model.facts(row))

    first = facts()
    needed = {
        "noise_scheduler", "noise_scheduler_sha256", "dtype", "embeddings_sha256", "latents_sha256"
    }  # fmt: skip
    assert needed <= set(first)
    assert all(value is None or isinstance(value, str | int | float | bool) for value in first.values())
    assert facts() == first


def test_credits_name_their_source_and_share(model, a_request) -> None:
    credits_ = draw(model, a_request).credits
    assert sum(credit.share for credit in credits_) <= 1.0 + 1e-6
    for credit in credits_:
        assert credit.title
        assert credit.license
        assert credit.source
        assert 0.0 <= credit.share <= 1.0


@pytest.mark.parametrize("prompt", ["\ud800", "\0\0", "?" * 2000, "👩‍👩‍👧", "\u202egpj.exe", "0 apples", "x"])
def test_any_text_is_drawn(model, a_request, prompt: str) -> None:
    hostile = dataclasses.replace(a_request, prompt=prompt, negative_prompt=prompt, num_inference_steps=1)
    assert draw(model, hostile).pixels.shape == (a_request.height, a_request.width, 3)
