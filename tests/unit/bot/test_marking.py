"""The copy that is posted: what its file holds, and that it fits."""

from __future__ import annotations

import numpy as np
import pytest

from attribution.errors import ImageError
from attribution.marks import MarkKeys
from bot.usecases.marking import marked_copy, pixels_of

MARKS = MarkKeys({1: bytes(range(32))})


@pytest.fixture
def drawing() -> np.ndarray:
    """Smooth colors, 256x192 px."""
    down, across = np.mgrid[0:192, 0:256]
    return np.stack([down, across, 255 - across], axis=-1).astype(np.uint8)


def test_the_file_holds_the_marked_pixels(drawing) -> None:
    png, pixels = marked_copy(drawing, MARKS, MARKS.new_id(), limit=10**7)
    assert np.array_equal(pixels_of(png), pixels)
    assert pixels.shape == drawing.shape
    assert not np.array_equal(pixels, drawing)
    assert np.abs(pixels.astype(int) - drawing).max() <= 16


def test_a_marked_file_that_is_too_large_is_drawn_smaller_before_it_is_marked(drawing) -> None:
    whole, _ = marked_copy(drawing, MARKS, MARKS.new_id(), limit=10**7)
    png, pixels = marked_copy(drawing, MARKS, MARKS.new_id(), limit=len(whole) // 2)
    assert len(png) <= len(whole) // 2
    assert pixels.shape[0] < drawing.shape[0]
    assert abs(pixels.shape[1] / pixels.shape[0] - 256 / 192) < 0.05
    assert np.array_equal(pixels_of(png), pixels)


def test_a_limit_that_nothing_fits_ends_with_the_smallest_picture(drawing) -> None:
    png, pixels = marked_copy(drawing, MARKS, MARKS.new_id(), limit=1)
    assert max(pixels.shape[:2]) <= 8
    assert pixels_of(png).shape == pixels.shape


def test_no_copy_without_its_key(drawing) -> None:
    with pytest.raises(LookupError):
        marked_copy(drawing, MARKS, "7-" + "0" * 16, limit=10**7)
    with pytest.raises(ImageError):
        marked_copy(drawing, MARKS, "nonsense", limit=10**7)
