"""Masks: read from hostile files, checked against the card, carried through the engine."""

from __future__ import annotations

import dataclasses
import io

import numpy as np
import pytest
from PIL import Image

from generation.card import ModelCard
from generation.catalog import Catalog
from generation.engine import Engine
from generation.errors import RequestLimitError, SourceImageError
from generation.job import ImageRequest
from generation.pictures import decode_mask, to_png

SOURCE = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)


def png(values: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(values).save(stream, "PNG")
    return stream.getvalue()


def half() -> np.ndarray:
    mask = np.zeros((64, 64), dtype=np.uint8)
    mask[:, 32:] = 255
    return mask


def a_request(**changes: object) -> ImageRequest:
    request = ImageRequest(
        prompt="a red apple",
        model_id="tiny",
        width=64,
        height=64,
        seed=3,
        num_inference_steps=3,
        guidance_scale=4.0,
    )
    return dataclasses.replace(request, **changes)


def test_a_mask_is_read_as_gray_at_its_pictures_size() -> None:
    assert np.array_equal(decode_mask(png(half()), SOURCE), half())
    small = decode_mask(png(half()[::2, ::2]), SOURCE)
    assert small.shape == (64, 64)
    assert small[:, :28].max() == 0
    assert small[:, 36:].min() == 255


@pytest.mark.parametrize("data", [b"", b"\x89PNG\r\n\x1a\n", png(np.zeros((64, 64), np.uint8))])
def test_what_is_no_mask_is_refused(data: bytes) -> None:
    with pytest.raises(SourceImageError):
        decode_mask(data, SOURCE)


def test_the_card_says_who_in_paints(tiny_card: ModelCard) -> None:
    able = dataclasses.replace(tiny_card, abilities=frozenset({"img2img", "inpaint"}))
    able.check(a_request(source_blob="s", mask_blob="m"))
    able.check(a_request(source_blob="s"))
    with pytest.raises(RequestLimitError, match="source picture"):
        able.check(a_request(mask_blob="m"))
    with pytest.raises(RequestLimitError, match="mask"):
        tiny_card.check(a_request(source_blob="s", mask_blob="m"))
    with pytest.raises(RequestLimitError, match="source"):
        dataclasses.replace(tiny_card, abilities=frozenset()).check(a_request(source_blob="s"))


async def test_the_engine_draws_inside_the_mask_only(tiny_card: ModelCard) -> None:
    card = dataclasses.replace(tiny_card, abilities=frozenset({"img2img", "inpaint"}))
    engine = Engine(Catalog([card]), threads=1)
    request = a_request(source_blob="s", mask_blob="m")
    try:
        pictures = {}
        for name, mask in (("right", half()), ("left", 255 - half()), ("again", half())):
            (picture,) = await engine.generate(request, source=to_png(SOURCE), mask=png(mask))
            assert picture.profile["mask"] is True
            pictures[name] = picture.profile["pixels_sha256"]
        assert pictures["right"] == pictures["again"] != pictures["left"]
        with pytest.raises(SourceImageError):
            await engine.generate(request, source=to_png(SOURCE), mask=b"nothing")
    finally:
        await engine.close()
