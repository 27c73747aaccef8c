"""Out-painting: the canvas, and what becomes of it in the engine alone and beside others."""

from __future__ import annotations

import asyncio
import dataclasses
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from generation.card import ModelCard
from generation.catalog import Catalog
from generation.engine import Engine
from generation.errors import RequestLimitError
from generation.job import ImageRequest
from generation.outpainting import GRID, lay_out, placed, widened
from generation.sealing import request_from_bytes, request_to_bytes


def a_request(**changes: object) -> ImageRequest:
    request = ImageRequest(
        prompt="a red apple",
        model_id="tiny",
        width=128,
        height=96,
        seed=11,
        num_inference_steps=4,
        guidance_scale=5.0,
        source_blob="s",
        extend=(32, 16, 32, 16),
    )
    return dataclasses.replace(request, **changes)


def a_picture(width: int = 64, height: int = 64, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def png_of(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def pixels_of(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)))


side = st.integers(0, 200)


@given(size=st.tuples(st.integers(64, 300), st.integers(64, 300)), sides=st.tuples(side, side, side, side))
def test_the_picture_stays_bit_for_bit_inside_the_feather(size, sides) -> None:
    (width, height), grown = widened(size, sides)
    for axis, more in ((width, sides[0] or sides[2]), (height, sides[1] or sides[3])):
        assert axis % GRID == 0 or not more
    assert all(now >= asked for now, asked in zip(grown, sides, strict=True))
    assert all(now == 0 for now, asked in zip(grown, sides, strict=True) if not asked)
    left, top, right, bottom = grown
    assert (left + size[0] + right, top + size[1] + bottom) == (width, height)
    source = a_picture(*size)
    canvas = lay_out(source, a_request(width=width, height=height, extend=grown))
    drawn = a_picture(width, height, seed=1)
    joined = canvas.joined(drawn)
    assert joined.shape == drawn.shape
    inside = (slice(top, top + size[1]), slice(left, left + size[0]))
    kept = canvas.keep == 1
    assert np.array_equal(joined[kept], canvas.pixels[kept])
    assert np.array_equal(canvas.pixels[inside], source)
    margin = [32 if more else 0 for more in grown]
    deep = np.s_[margin[1] : size[1] - margin[3] or None, margin[0] : size[0] - margin[2] or None]
    assert kept[inside][deep].all()
    outside = np.ones((height, width), bool)
    outside[inside] = False
    assert (canvas.keep[outside] == 0).all()
    assert np.array_equal(joined[outside], drawn[outside])
    assert np.array_equal(canvas.mask == 255, canvas.keep < 1)


def test_the_border_begins_as_the_edge_and_grows_smooth() -> None:
    source = np.zeros((64, 64, 3), np.uint8)
    source[::2] = 200  # stripes that run into the edge
    canvas = lay_out(source, a_request(width=192, height=64, extend=(64, 0, 64, 0)))
    rough = np.abs(np.diff(canvas.pixels[..., 0].astype(int), axis=0)).mean(axis=0)
    assert rough[63] > 60
    assert rough[0] < 10
    assert 80 < canvas.pixels[:, 0].mean() < 120


def test_a_plain_ground_goes_on_without_a_seam() -> None:
    source = np.full((64, 64, 3), (240, 230, 220), np.uint8)
    source[20:40, 20:40] = (200, 20, 20)
    canvas = lay_out(source, a_request())
    border = canvas.keep == 0
    assert (canvas.pixels[border] == (240, 230, 220)).all()  # no halo of what stands in the picture


@pytest.mark.parametrize(
    ("size", "canvas", "scale", "inside"),
    [
        ((512, 512), (512, 512), 1 / 1.5, (344, 344)),
        ((512, 512), (512, 512), 1 / 2, (256, 256)),
        ((768, 512), (768, 512), 1 / 2, (384, 256)),
        ((512, 512), (768, 512), 1.0, (512, 512)),
        ((768, 512), (512, 512), 1.0, (512, 344)),
    ],
)
def test_a_picture_stands_in_the_middle_of_its_canvas(size, canvas, scale, inside) -> None:
    left, top, right, bottom = placed(size, canvas, scale=scale)
    assert (canvas[0] - left - right, canvas[1] - top - bottom) == inside
    assert abs(left - right) <= 8
    assert abs(top - bottom) <= 8


@pytest.mark.parametrize(
    "changes",
    [
        {"extend": (0, 0, 0, 0)}, {"extend": (-8, 0, 16, 0)}, {"extend": (40, 0, 40, 0)},
        {"source_blob": None}, {"mask_blob": "m"}, {"upscale": 2}, {"width": 100},
        {"width": 4096, "height": 4096},
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(tiny_card: ModelCard, changes: dict[str, object]) -> None:
    card = dataclasses.replace(tiny_card, abilities=frozenset({"img2img", "inpaint"}))
    card.check(a_request())
    with pytest.raises(RequestLimitError):
        card.check(a_request(**changes))


def test_a_model_that_draws_from_words_alone_cannot(tiny_card: ModelCard) -> None:
    with pytest.raises(RequestLimitError, match="cannot do this"):
        dataclasses.replace(tiny_card, abilities=frozenset()).check(a_request())
    dataclasses.replace(tiny_card, abilities=frozenset({"img2img"})).check(a_request())


def test_a_request_keeps_its_extension_in_the_queue() -> None:
    assert request_from_bytes(request_to_bytes(a_request())) == a_request()


ALONE = a_request()
OTHER = a_request(seed=40, prompt="a dog", num_inference_steps=3, extend=(64, 0, 0, 32))


async def drawn(card: ModelCard, *requests: ImageRequest, **options: object) -> list[np.ndarray]:
    engine = Engine(Catalog([card]), threads=1, **options)
    source = png_of(a_picture())
    try:
        results = await asyncio.gather(*(engine.generate(one, source=source) for one in requests))
    finally:
        await engine.close()
    assert [result[0].profile["extend"] for result in results] == [list(one.extend) for one in requests]
    return [pixels_of(result[0].png) for result in results]


@pytest.mark.parametrize("abilities", [{"img2img", "inpaint"}, {"img2img"}])
@pytest.mark.parametrize("options", [{}, {"mode": "bucket", "rows": 2}])
async def test_beside_others_the_bits_are_those_of_alone(
    tiny_card: ModelCard, options: dict[str, object], abilities: set[str]
) -> None:
    card = dataclasses.replace(tiny_card, abilities=frozenset(abilities))
    (alone,) = await drawn(card, ALONE, **options)
    mixed, _ = await drawn(card, ALONE, OTHER, **options)
    assert np.array_equal(alone, mixed)
    canvas = lay_out(a_picture(), ALONE)
    kept = canvas.keep == 1
    assert kept.any()
    assert np.array_equal(alone[kept], canvas.pixels[kept])
    assert not np.array_equal(alone[canvas.keep == 0], canvas.pixels[canvas.keep == 0])
    (again,) = await drawn(card, dataclasses.replace(ALONE, seed=12), **options)
    assert not np.array_equal(alone, again)


async def test_it_is_in_painting_on_the_canvas(tiny_card: ModelCard) -> None:
    card = dataclasses.replace(tiny_card, abilities=frozenset({"img2img", "inpaint"}))
    canvas = lay_out(a_picture(), ALONE)
    (extended,) = await drawn(card, ALONE)
    engine = Engine(Catalog([card]), threads=1)
    (painted,) = await engine.generate(
        a_request(extend=(), mask_blob="m"), source=png_of(canvas.pixels), mask=png_of(canvas.mask)
    )
    await engine.close()
    assert np.array_equal(extended, canvas.joined(pixels_of(painted.png)))
    assert "extend" not in painted.profile
