"""Files from strangers become pictures within limits, or an error of ours."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from moderation.moderator import Moderator
from moderation.pictures import MAX_BYTES, MAX_SCANS, PictureError, decode, media_type
from moderation.policy import Policy
from moderation.types import Action, Scope

KINDS = ("PNG", "JPEG", "WEBP", "BMP", "GIF")


def a_picture(height=96, width=128) -> np.ndarray:
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x * 255 // width, y * 255 // height, (x + y) % 256], axis=2).astype(np.uint8)


def a_file(kind="PNG", image=None, **options) -> bytes:
    stream = io.BytesIO()
    (image or Image.fromarray(a_picture())).save(stream, kind, **options)
    return stream.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def a_png_that_claims(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(b"\0" * 100))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body + chunk(b"IEND", b"")


def a_webp_that_claims(width: int, height: int, first: bytes) -> bytes:
    if first == b"VP8X":
        body = b"\0" * 4 + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    elif first == b"VP8L":
        body = b"\x2f" + ((width - 1) | (height - 1) << 14).to_bytes(4, "little") + b"\0" * 8
    else:
        body = b"\0\0\0\x9d\x01\x2a" + struct.pack("<HH", width, height) + b"\0" * 8
    inner = b"WEBP" + first + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", len(inner)) + inner


def animated(kind: str) -> bytes:
    frames = [Image.fromarray(a_picture()), Image.fromarray(255 - a_picture())]
    return a_file(kind, frames[0], save_all=True, append_images=frames[1:], duration=100)


@pytest.mark.parametrize("kind", KINDS)
def test_common_files_are_decoded(kind):
    pixels = decode(a_file(kind))
    assert pixels.shape == (96, 128, 3)
    assert pixels.dtype == np.uint8
    assert media_type(a_file(kind)) == f"image/{kind.lower()}"


def test_lossless_files_keep_their_pixels():
    assert np.array_equal(decode(a_file("PNG")), a_picture())
    assert np.array_equal(decode(a_file("WEBP", lossless=True)), a_picture())


def test_transparency_lies_on_white():
    assert decode(a_file("PNG", Image.new("RGBA", (8, 8), (255, 0, 0, 0)))).min() == 255


def test_the_camera_s_orientation_is_applied():
    exif = Image.Exif()
    exif[0x0112] = 6
    assert decode(a_file("JPEG", exif=exif)).shape == (128, 96, 3)


def test_wide_samples_are_scaled_and_not_clipped():
    wide = Image.fromarray(np.full((16, 16), 0x4000, np.uint16))
    assert np.unique(decode(a_file("PNG", wide))).tolist() == [0x40]


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_animated_files_are_refused(kind):
    with pytest.raises(PictureError, match="frame"):
        decode(animated(kind))


def test_the_second_view_of_a_photo_is_not_shown_and_not_read():
    pixels = decode(animated("MPO"))
    assert np.abs(pixels.astype(int) - a_picture()).mean() < 5


@pytest.mark.parametrize(("width", "height"), [(60_000, 60_000), (8_000, 5_001), (16_385, 1), (0, 5)])
def test_a_png_bomb_is_refused_by_its_header(width, height):
    with pytest.raises(PictureError, match="pixels"):
        decode(a_png_that_claims(width, height))


@pytest.mark.parametrize("first", [b"VP8X", b"VP8L", b"VP8 "])
def test_a_webp_bomb_is_refused_before_a_canvas_is_reserved(first):
    with pytest.raises(PictureError, match="40 million"):
        decode(a_webp_that_claims(16_000, 16_000, first))


def test_a_gif_bomb_is_refused_by_its_header():
    data = bytearray(a_file("GIF"))
    data[6:10] = struct.pack("<HH", 65_535, 65_535)
    with pytest.raises(PictureError, match="40 million"):
        decode(bytes(data))


def test_a_bitmap_bomb_is_refused():
    data = bytearray(a_file("BMP"))
    data[18:26] = struct.pack("<ii", 9_000, 9_000)
    with pytest.raises(PictureError, match="40 million"):
        decode(bytes(data))


def test_a_well_compressed_bomb_is_refused():
    with pytest.raises(PictureError, match="40 million"):
        decode(a_file("PNG", Image.new("1", (9000, 9000))))


def test_a_progressive_jpeg_of_many_passes_is_refused():
    data = a_file("JPEG", progressive=True)
    decode(data)
    scan = data[data.index(b"\xff\xda") : -2]
    with pytest.raises(PictureError, match="passes"):
        decode(data[:-2] + scan * MAX_SCANS + data[-2:])


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "GIF"])
def test_truncated_files_are_refused(kind):
    data = a_file(kind)
    for part in (len(data) // 2, len(data) - len(data) // 10):
        with pytest.raises(PictureError):
            decode(data[:part])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * (MAX_BYTES + 1),
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%PDF-1.7",
        b"GIF89a",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff",
        b"RIFF\0\0\0\0WEBP",
        b"BM",
    ],
)
def test_what_is_no_picture_is_refused(data):
    with pytest.raises(PictureError):
        decode(data)


@pytest.mark.parametrize("kind", ["TIFF", "ICO", "PPM", "PCX", "TGA", "JPEG2000"])
def test_other_types_are_refused_whatever_they_are_called(kind):
    with pytest.raises(PictureError, match="no PNG"):
        decode(a_file(kind))


def test_a_wrong_signature_is_not_taken_for_another_type():
    for kind in KINDS[:3]:
        body = b"\x89PNG\r\n\x1a\n" + a_file(kind)[8:]
        if kind != "PNG":
            with pytest.raises(PictureError):
                decode(body)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 5000), st.binary(min_size=1, max_size=40), st.sampled_from(KINDS))
def test_damaged_files_raise_only_our_error(place, garbage, kind):
    data = bytearray(a_file(kind))
    place %= len(data)
    data[place : place + len(garbage)] = garbage
    try:
        pixels = decode(bytes(data))
    except PictureError:
        return
    assert pixels.dtype == np.uint8
    assert pixels.shape[2] == 3


async def test_an_upload_goes_through_the_picture_rules_and_a_bad_one_waits():
    moderator = Moderator.open(Policy.load(), rules=("image_safety", "blank"))
    try:
        good = await moderator.review_file(a_file("WEBP"), Scope())
        assert good.action is Action.ALLOW
        assert set(good.rule_ms) == {"image_safety", "blank"}
        blank = await moderator.review_file(a_file("PNG", Image.new("RGB", (64, 64))), Scope())
        assert blank.gravest.advice == "blank_image"
        for data in (animated("GIF"), a_png_that_claims(60_000, 60_000), b"<svg/>", a_file("JPEG")[:500]):
            verdict = await moderator.review_file(data, Scope())
            assert (verdict.action, verdict.gravest.advice) == (Action.HOLD, "unreadable_image")
    finally:
        moderator.close()
