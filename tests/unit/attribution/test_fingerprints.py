from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from attribution.errors import ImageError
from attribution.fingerprints import THRESHOLD, Hit, PdqIndex, hamming, mirrored, pdq

# (seed, height, width) of `natural`, then hash and quality from Meta's own C++ (pdqhash 0.2.8).
REFERENCE = [
    (1, 64, 64, "66a79edbf3b1da525d00c48d4fcc639488b2dc6a91735ad380ff242d84ecd8d2", 100),
    (2, 128, 128, "6f0ce8fa0291a78ed8f116dbc31ef7a9982048f73c6969a4060f70d2c6cebb93", 100),
    (3, 200, 333, "9582f1af9182d31ae63dcd84b9a550f23e05250f92db125b5ee6ece4257dc952", 100),
    (4, 512, 512, "8bb3a90069bac40fa63fb2d805f5db030941a15cdb22ace7fde299f26c659b13", 100),
    (5, 768, 300, "d822d824a8c66fc66532e83991bb4cafc0c37b907f840f8f82dd39f9193b9e43", 100),
    (6, 97, 1031, "0a58bbfddc285293752fa4651e8619a2e2f0a78df0f9538a42d2a5ec5a5f50ba", 100),
]


def natural(seed: int, height: int, width: int) -> np.ndarray:
    """Pictures with the spectrum of natural ones, in whole numbers so that every machine makes the same."""
    random = np.random.default_rng(seed)
    pixels = np.zeros((height, width, 3), dtype=np.int64)
    for octave in range(2, 7):
        cells = random.integers(0, 256, (2**octave, 2**octave, 3))
        rows, columns = np.arange(height) * 2**octave // height, np.arange(width) * 2**octave // width
        pixels += cells[np.ix_(rows, columns)] << (6 - octave)
    return (pixels // 31).astype(np.uint8)


@pytest.mark.parametrize(("seed", "height", "width", "expected", "quality"), REFERENCE)
def test_the_hash_is_the_references(seed, height, width, expected, quality):
    found = pdq(natural(seed, height, width))
    assert hamming(found.bits, bytes.fromhex(expected)) <= 2  # rounding may tip a bit that lies on the median
    assert abs(found.quality - quality) <= 1
    assert found.hex == found.bits.hex()


@pytest.mark.parametrize("kind", ["jpeg75", "webp80", "half", "bright", "noise"])
def test_a_copy_stays_within_the_threshold(kind):
    pixels = natural(7, 256, 256)
    image = Image.fromarray(pixels)
    buffer = io.BytesIO()
    if kind == "jpeg75":
        image.save(buffer, "JPEG", quality=75)
    elif kind == "webp80":
        image.save(buffer, "WEBP", quality=80)
    elif kind == "half":
        image.resize((128, 128)).save(buffer, "PNG")
    elif kind == "bright":
        Image.fromarray((pixels * 1.2).clip(0, 255).astype(np.uint8)).save(buffer, "PNG")
    else:
        noise = np.random.default_rng(1).normal(0, 5, pixels.shape)
        Image.fromarray((pixels + noise).clip(0, 255).astype(np.uint8)).save(buffer, "PNG")
    copy = np.asarray(Image.open(buffer).convert("RGB"))
    assert hamming(pdq(copy).bits, pdq(pixels).bits) <= 16


def test_other_pictures_and_mirrored_ones_are_far_away():
    first, second = natural(1, 128, 128), natural(2, 128, 128)
    assert hamming(pdq(first).bits, pdq(second).bits) > 2 * THRESHOLD
    assert hamming(pdq(first).bits, pdq(first[:, ::-1]).bits) > 2 * THRESHOLD
    assert mirrored(first[:, ::-1]) == pdq(first)


def test_a_flat_picture_has_no_quality():
    assert pdq(np.full((64, 64, 3), 200, np.uint8)).quality == 0
    assert pdq(natural(1, 64, 64)).quality > 50


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (3, 5), (129, 127)])
def test_small_and_odd_sizes_are_hashed(shape):
    assert len(pdq(natural(1, *shape)).bits) == 32


def test_an_enlarged_copy_is_the_same_picture():
    pixels = natural(3, 600, 90)
    enlarged = np.repeat(np.repeat(pixels, 4, axis=0), 4, axis=1)
    assert hamming(pdq(enlarged).bits, pdq(pixels).bits) <= 16


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((8, 8), np.uint8),
        np.zeros((8, 8, 4), np.uint8),
        np.zeros((0, 8, 3), np.uint8),
        np.zeros((8, 8, 3)),
    ],
)
def test_only_rgb_pictures_are_hashed(pixels):
    with pytest.raises(ImageError):
        pdq(pixels)


def a_code(*bits: int) -> bytes:
    return sum(1 << bit for bit in bits).to_bytes(32)


def test_the_index_finds_all_within_the_threshold_nearest_first():
    index = PdqIndex()
    index.add(
        [("far", a_code(*range(THRESHOLD + 1))), ("edge", a_code(*range(THRESHOLD))), ("same", a_code())]
    )
    assert index.search([a_code()]) == (Hit("same", 0), Hit("edge", THRESHOLD))
    assert index.search([a_code()], threshold=256)[-1] == Hit("far", THRESHOLD + 1)
    assert index.search([]) == ()
    assert PdqIndex().search([a_code()]) == ()


def test_each_key_comes_once_with_its_nearest_distance():
    index = PdqIndex()
    index.add([("a", a_code(1, 2, 3))])
    assert index.search([a_code(), a_code(1, 2)]) == (Hit("a", 1),)


def test_removed_keys_are_gone_and_the_others_stay():
    index = PdqIndex()
    index.add((f"{number}", a_code(number)) for number in range(50))
    index.remove(["0", "49", "25", "unknown"])
    assert len(index) == 47
    assert "25" not in index
    assert {hit.key for hit in index.search([a_code()])} == {str(n) for n in range(50)} - {"0", "25", "49"}
    assert not index._codes[47:].any()
    index.add([("1", a_code(1, 2, 3))])
    assert Hit("1", 3) in index.search([a_code()])
    assert len(index) == 47


@given(st.lists(st.binary(min_size=32, max_size=32), max_size=40), st.binary(min_size=32, max_size=32))
def test_the_search_is_exact(codes, query):
    index = PdqIndex()
    index.add((str(place), code) for place, code in enumerate(codes))
    expected = {str(place) for place, code in enumerate(codes) if hamming(code, query) <= 120}
    assert {hit.key for hit in index.search([query], threshold=120)} == expected


def test_the_index_grows():
    index = PdqIndex()
    index.add((f"{number}", number.to_bytes(32)) for number in range(5000))
    assert index.search([(4321).to_bytes(32)], threshold=0) == (Hit("4321", 0),)


@pytest.mark.parametrize("code", [b"", bytes(31), bytes(33)])
def test_a_hash_of_another_length_is_refused(code):
    with pytest.raises(ImageError):
        PdqIndex().add([("a", code)])
    with pytest.raises(ImageError):
        PdqIndex().search([code])
    with pytest.raises(ImageError):
        hamming(code, bytes(32))
