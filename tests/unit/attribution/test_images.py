from __future__ import annotations

import io
import struct
import warnings
import zipfile
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from attribution.errors import ImageError
from attribution.images import ImageLimits, decode, encode_png, pixels_digest, sniff

RAMP = np.arange(12 * 16 * 3, dtype=np.uint8).reshape(12, 16, 3)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def a_png(width: int, height: int, body: bytes = b"") -> bytes:
    """A PNG that claims a size, whatever its body holds."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_lossless_formats_keep_every_pixel(kind):
    data = saved(Image.fromarray(RAMP), kind, lossless=True)
    assert np.array_equal(decode(data), RAMP)


def test_jpeg_and_gif_are_read():
    flat = Image.new("RGB", (20, 10), (200, 30, 40))
    assert np.abs(decode(saved(flat, "JPEG", quality=95)).astype(int) - (200, 30, 40)).max() <= 4
    assert decode(saved(flat, "GIF")).shape == (10, 20, 3)


def test_our_own_png_comes_back_bit_for_bit():
    pixels = decode(encode_png(RAMP))
    assert np.array_equal(pixels, RAMP)
    assert pixels.flags.c_contiguous
    assert pixels_digest(pixels) == pixels_digest(RAMP) != pixels_digest(RAMP[:, ::-1])


@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK", "LA"])
def test_other_color_modes_become_rgb(mode):
    kind = "JPEG" if mode == "CMYK" else "PNG"
    assert decode(saved(Image.fromarray(RAMP).convert(mode), kind)).shape == (12, 16, 3)


def test_sixteen_bits_are_scaled_and_not_clipped():
    wide = Image.fromarray(np.full((4, 4), 0x8000, dtype=np.uint16))
    assert decode(saved(wide, "PNG"))[0, 0].tolist() == [128, 128, 128]


def test_transparency_is_laid_over_white():
    assert decode(saved(Image.new("RGBA", (3, 3), (255, 0, 0, 0)), "PNG"))[1, 1].tolist() == [255, 255, 255]
    palette = Image.new("P", (3, 3), 0)
    assert decode(saved(palette, "PNG", transparency=bytes([0])))[1, 1].tolist() == [255, 255, 255]


def test_a_camera_orientation_is_applied():
    exif = Image.Exif()
    exif[0x0112] = 6
    assert decode(saved(Image.fromarray(RAMP), "JPEG", exif=exif.tobytes())).shape == (16, 12, 3)


def test_an_animation_gives_its_first_frame():
    frames = [Image.new("RGB", (8, 8), (value, 0, 0)) for value in (250, 10)]
    for kind in ("GIF", "WEBP", "PNG"):
        data = saved(frames[0], kind, save_all=True, append_images=frames[1:], lossless=True)
        assert decode(data)[4, 4, 0] > 200, kind


def test_an_animation_of_very_many_frames_costs_one():
    frame = saved(Image.new("P", (1, 1)), "GIF")
    head, image = frame[: frame.index(b",")], frame[frame.index(b",") : -1]
    assert decode(head + image * 200_000 + b";").shape == (1, 1, 3)


@pytest.mark.parametrize(
    "data", [b"", b"GIF", b"%PDF-1.7", b"\x89PNG", b"RIFF\x00\x00\x00\x00WAVE", b"<svg/>"]
)
def test_other_files_are_no_pictures(data):
    assert sniff(data) is None
    with pytest.raises(ImageError, match="no PNG, JPEG, WebP or GIF"):
        decode(data)


def test_a_zip_that_is_called_a_picture_is_none():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("picture.png", saved(Image.fromarray(RAMP), "PNG"))
    with pytest.raises(ImageError, match="no PNG"):
        decode(buffer.getvalue())


def test_the_format_is_taken_from_the_bytes_alone():
    assert sniff(saved(Image.fromarray(RAMP), "JPEG")) == "image/jpeg"
    with pytest.raises(ImageError, match="PNG is damaged"):
        decode(a_png(4, 4)[:24] + saved(Image.fromarray(RAMP), "JPEG"))


@pytest.mark.parametrize("size", [(100_000, 100_000), (2**31 - 1, 1), (20_000, 2_001), (16_385, 1)])
def test_a_bomb_is_refused_by_its_header(size):
    with pytest.raises(ImageError, match="pixels, more than"):
        decode(a_png(*size))


def test_a_gif_and_a_webp_bomb_are_refused_by_their_headers():
    with pytest.raises(ImageError, match="pixels, more than"):
        decode(b"GIF89a" + struct.pack("<HH", 65_535, 65_535) + b"\x00\x00\x00;")
    limits = ImageLimits(max_pixels=100)
    for kind in ("WEBP", "JPEG", "GIF", "PNG"):
        with pytest.raises(ImageError, match="pixels, more than"):
            decode(saved(Image.fromarray(RAMP), kind), limits)


def test_a_jpeg_that_claims_a_huge_size_is_refused():
    data = bytearray(saved(Image.fromarray(RAMP), "JPEG"))
    place = data.index(b"\xff\xc0") + 5
    data[place : place + 4] = struct.pack(">HH", 65_500, 65_500)
    with pytest.raises(ImageError, match="claims far more than 40,000,000 pixels"):
        decode(bytes(data))


def test_a_file_that_is_too_large_is_not_looked_at():
    with pytest.raises(ImageError, match="bytes, more than 100"):
        decode(saved(Image.fromarray(RAMP), "PNG"), ImageLimits(max_bytes=100))


def test_a_compressed_text_bomb_is_refused():
    bomb = b"comment\x00\x00" + zlib.compress(bytes(40_000_000))
    chunk = struct.pack(">I", len(bomb)) + b"zTXt" + bomb + struct.pack(">I", zlib.crc32(b"zTXt" + bomb))
    png = saved(Image.fromarray(RAMP), "PNG")
    with pytest.raises(ImageError, match="PNG is damaged or unusual"):
        decode(png[:33] + chunk + png[33:])


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_truncated_picture_is_refused(kind, share):
    data = saved(
        Image.fromarray(np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)), kind
    )
    with pytest.raises(ImageError):
        decode(data[: int(len(data) * share)])


def test_a_png_without_pixels_is_refused():
    for size in ((0, 5), (5, 0), (5, 5)):
        with pytest.raises(ImageError):
            decode(a_png(*size))


@given(st.binary(max_size=200), st.sampled_from(["PNG", "JPEG", "WEBP", "GIF"]), st.integers(0, 400))
def test_whatever_is_bent_raises_our_own_error_or_none(noise, kind, place):
    data = bytearray(saved(Image.fromarray(RAMP), kind))
    data[place : place + len(noise)] = noise
    try:
        pixels = decode(bytes(data))
    except ImageError as error:
        assert str(error)  # noqa: PT017 - either outcome is right, a foreign error is not
    else:
        assert pixels.dtype == np.uint8
        assert pixels.shape[2] == 3


def test_reading_leaves_the_warning_filters_as_they_were():
    before = list(warnings.filters)
    decode(saved(Image.fromarray(RAMP), "PNG"))
    assert warnings.filters == before


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((4, 4, 3)),
    ],
)
def test_only_rgb_pictures_are_written(pixels):
    with pytest.raises(ImageError, match="no RGB picture"):
        encode_png(pixels)


@pytest.mark.parametrize("options", [{"quality": 80}, {"lossless": True}, {"xmp": b"<makes-it-VP8X/>"}])
def test_a_webp_that_declares_too_much_is_refused_before_it_is_decoded(options, monkeypatch):
    buffer = io.BytesIO()
    Image.new("RGB", (300, 20), (9, 120, 200)).save(buffer, "WEBP", **options)
    assert decode(buffer.getvalue()).shape == (20, 300, 3)

    def never(*_: object, **__: object) -> None:
        raise AssertionError("the decoder was reached")

    monkeypatch.setattr(Image, "open", never)
    with pytest.raises(ImageError, match="300 x 20"):
        decode(buffer.getvalue(), ImageLimits(max_side=299))
