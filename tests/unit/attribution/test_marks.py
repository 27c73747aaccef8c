"""The keyed mark: faint, found after an attack, silent about every other copy."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw

from attribution.errors import ImageError
from attribution.images import Pixels
from attribution.marks import SCORE, MarkKeys, canonical, embed, examine, luma
from attribution.registration import register, shrunk

KEYS = MarkKeys({1: bytes(range(32)), 2: bytes(range(32, 64))})


def _picture() -> Pixels:
    y, x = np.mgrid[0:512, 0:512]
    waves = np.stack([np.sin(x / 31), np.cos(y / 53), np.sin((x + y) / 67)], axis=2)
    image = Image.fromarray(((waves + 1) * 110).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    for place in range(40):
        left, top = place * 97 % 460, place * 61 % 460
        draw.rectangle((left, top, left + 12 + place, top + 30), fill=(place * 6, 255 - place * 5, 90))
    return np.asarray(image)


def _jpeg(pixels: Pixels, quality: int) -> Pixels:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


def test_a_mark_is_faint_and_is_found_after_a_cut_and_a_jpeg() -> None:
    picture, mine, other = _picture(), KEYS.new_id(), KEYS.new_id()
    mine_signs, other_signs = KEYS.signs(mine), KEYS.signs(other)
    assert mine_signs is not None
    assert other_signs is not None
    copy = embed(picture, mine_signs)
    error = np.mean(np.square(copy.astype(float) - picture))
    assert 10 * np.log10(255**2 / error) >= 42

    found = _jpeg(np.ascontiguousarray(copy[40:500, 20:480]), 50)
    laid = register([shrunk(luma(found))], canonical(picture), 1.0)
    assert laid is not None
    evidence = examine(laid.found, laid.valid, canonical(picture))
    assert evidence.score(mine_signs) > 2 * SCORE
    assert abs(evidence.score(other_signs)) < SCORE


def test_an_unmarked_copy_and_the_bare_original_show_no_mark() -> None:
    picture = _picture()
    signs = [KEYS.signs(KEYS.new_id()) for _ in range(200)]
    for found in (picture, _jpeg(picture, 75)):
        evidence = examine(canonical(found), np.ones((512, 512), np.float32), canonical(picture))
        assert max(abs(evidence.score(one)) for one in signs if one is not None) < SCORE


def test_the_newest_key_marks_and_a_lost_key_leaves_its_marks_unread() -> None:
    assert KEYS.new_id().startswith("2-")
    old = MarkKeys({1: bytes(range(32))}).new_id()
    assert KEYS.signs(old) is not None
    assert MarkKeys({2: bytes(32)}).signs(old) is None
    for bad in ("", "x", "1-", "1-zz", "²-0123456789abcdef"):
        with pytest.raises(ImageError):
            KEYS.signs(bad)
