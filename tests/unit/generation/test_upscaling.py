"""Enlarging as a job of the engine, and laying two pictures into one."""

from __future__ import annotations

import dataclasses
import io

import numpy as np
import pytest
from PIL import Image

from generation.blending import collage
from generation.catalog import Catalog
from generation.engine import Engine
from generation.errors import RequestLimitError, SourceImageError
from generation.job import ImageRequest
from generation.sealing import request_from_bytes, request_to_bytes
from generation.sticker.dominant import dominant_colors

REQUEST = ImageRequest(
    prompt="a disc",
    model_id="sticker-v1",
    width=128,
    height=96,
    seed=1,
    num_inference_steps=1,
    guidance_scale=1.0,
    source_blob="b",
    upscale=2,
    step="upscale",
    source_images=("0123456789abcdef",),
)


def source(width: int = 64, height: int = 48) -> bytes:
    y, x = np.mgrid[:height, :width]
    inside = ((x - width / 2) ** 2 + (y - height / 2) ** 2 < (height / 3) ** 2)[..., None]
    out = io.BytesIO()
    Image.fromarray(np.where(inside, (200, 30, 30), (240, 240, 230)).astype(np.uint8)).save(out, "PNG")
    return out.getvalue()


async def test_twice_and_four_times_as_large_and_the_same_each_time() -> None:
    engine = Engine(Catalog.load(()), threads=1)
    try:
        (two,) = await engine.generate(REQUEST, source=source())
        (again,) = await engine.generate(dataclasses.replace(REQUEST, seed=9), source=source())
        four = dataclasses.replace(REQUEST, upscale=4, width=256, height=192)
        (large,) = await engine.generate(four, source=source())
        with pytest.raises(SourceImageError):
            await engine.generate(REQUEST)
        with pytest.raises(SourceImageError, match="megapixel"):
            await engine.generate(REQUEST, source=source(1200, 1000))
    finally:
        await engine.close()
    assert (two.width, two.height, large.width, large.height) == (128, 96, 256, 192)
    assert two.profile["pixels_sha256"] == again.profile["pixels_sha256"]  # nothing is left to chance
    assert (two.profile["family"], two.profile["model_id"]) == ("upscale", "realesr-animevideov3-x4")
    assert "guess" in two.note
    assert "shrunk" in two.note
    assert "shrunk" not in large.note
    with Image.open(io.BytesIO(two.png)) as enlarged, Image.open(io.BytesIO(source())) as small:
        back = np.asarray(enlarged.resize(small.size, Image.Resampling.BOX), np.float32)
        assert np.abs(back - np.asarray(small, np.float32)).mean() < 6  # the same picture


@pytest.mark.parametrize(
    "values",
    [{"upscale": 3}, {"source_blob": None}, {"count": 2}, {"width": 2056}, {"width": 0}],
)
def test_what_is_not_enlarged(values: dict[str, object]) -> None:
    with pytest.raises(RequestLimitError):
        Catalog.load(()).get(None).check(dataclasses.replace(REQUEST, **values))


def test_a_request_survives_storage() -> None:
    assert request_from_bytes(request_to_bytes(REQUEST)) == REQUEST


@pytest.mark.parametrize("size", [(512, 512), (768, 512), (512, 896)])
def test_a_collage_shows_both_pictures_on_grounds_of_their_own(size: tuple[int, int]) -> None:
    first = np.full((80, 80, 3), 250, np.uint8)
    first[25:55, 25:55] = (220, 20, 20)
    second = np.full((60, 90, 3), (10, 10, 40), np.uint8)
    second[20:40, 35:55] = (20, 220, 20)
    made = collage(first, second, width=size[0], height=size[1]).astype(int)
    assert made.shape == (size[1], size[0], 3)
    red = (made[..., 0] > 180) & (made[..., 1] < 60)
    green = (made[..., 1] > 180) & (made[..., 0] < 60)
    assert red.mean() > 0.01
    assert green.mean() > 0.01
    axis = 1 if size[0] >= size[1] else 0
    assert np.nonzero(red)[axis].mean() < np.nonzero(green)[axis].mean()
    assert made[0, 0].min() > 220
    assert made[-1, -1].max() < 60
    assert np.array_equal(collage(first, first, width=96, height=96)[0, 0], (250, 250, 250))


def test_colors_by_name_and_share() -> None:
    pixels = np.full((100, 100, 3), (58, 112, 214), np.uint8)
    pixels[:30] = (250, 208, 60)
    assert [name for name, _ in dominant_colors(pixels)] == ["blue", "yellow"]
    shares = dict(dominant_colors(pixels))
    assert shares["blue"] == pytest.approx(0.7, abs=0.03)
