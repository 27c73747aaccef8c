from __future__ import annotations

import random

import numpy as np
import pytest

from generation.errors import RequestLimitError
from generation.sticker.backgrounds import (
    MORE_SCENES,
    SCENES,
    Scenery,
    by_night,
    is_background,
    paint,
    scenery,
)
from generation.sticker.colors import COLORS, GROUNDS, recolor, shade
from generation.sticker.finish import cover, native_size, restore_detail


def disc(rgb, *, edge=64):
    """A shaded disc with a dark outline, as RGBA."""
    y, x = np.mgrid[:edge, :edge] / (edge - 1) * 2 - 1
    radius = np.hypot(x, y)
    light = np.clip(1 - 0.25 * (x + y), 0.5, 1.2)[..., None]
    color = np.where(radius[..., None] < 0.85, np.array(rgb) * light, 20)
    alpha = np.where(radius < 0.98, 255, 0)
    return np.dstack([np.clip(color, 0, 255), alpha]).astype(np.uint8)


def hue(pixels):
    rgb = pixels.astype(np.float64).mean(0)
    return int(np.argmax(rgb))


@pytest.mark.parametrize(("color", "channel"), [("red", 0), ("green", 1), ("blue", 2)])
@pytest.mark.parametrize("start", [(220, 40, 40), (250, 220, 60), (60, 90, 220), (200, 200, 200)])
def test_recolor_gives_the_color_and_keeps_the_shading(start, color, channel):
    picture = disc(start)
    out = recolor(picture, color)
    body = (np.hypot(*(np.mgrid[:64, :64] / 63 * 2 - 1))) < 0.8
    assert hue(out[body][:, :3]) == channel
    assert np.array_equal(out[..., 3], picture[..., 3])
    before, after = picture[body][:, :3].mean(1), out[body][:, :3].mean(1)
    assert np.corrcoef(before, after)[0, 1] > 0.5
    outline = (picture[..., 3] == 255) & (picture[..., 0] == 20)
    assert np.abs(out[outline].astype(int) - picture[outline]).max() < 24


@pytest.mark.parametrize(
    ("color", "low", "high"), [("white", 190, 256), ("black", 0, 110), ("gray", 90, 210)]
)
def test_recolor_to_a_neutral_color(color, low, high):
    out = recolor(disc((220, 60, 60)), color)
    middle = out[20:44, 20:44, :3].astype(int)
    assert low <= middle.mean() < high
    assert np.abs(middle - middle.mean(-1, keepdims=True)).mean() < 12


def test_recolor_leaves_other_colors_of_a_picture():
    picture = disc((220, 40, 40))
    picture[28:36, 28:36, :3] = (40, 180, 60)  # a leaf
    out = recolor(picture, "blue")
    assert hue(out[30:34, 30:34, :3].reshape(-1, 3)) == 1


def test_recolor_takes_an_empty_picture_and_refuses_an_unknown_color():
    empty = np.zeros((8, 8, 4), np.uint8)
    assert recolor(empty, "red")[..., 3].max() == 0
    with pytest.raises(KeyError):
        recolor(empty, "octarine")


def test_shades_lie_between_the_color_and_white_or_black():
    for name, rgb in COLORS.items():
        assert all(a >= b for a, b in zip(shade(f"light {name}", COLORS), rgb, strict=True))
        assert all(a <= b for a, b in zip(shade(f"dark {name}", COLORS), rgb, strict=True))


@pytest.mark.parametrize("name", [*SCENES, *MORE_SCENES, *GROUNDS, "light blue", "night sea", "night city"])
@pytest.mark.parametrize(("width", "height"), [(128, 128), (192, 128), (128, 224)])
def test_backgrounds_have_the_size_and_repeat(name, width, height):
    painted = [paint(name, width=width, height=height, rng=random.Random(4)) for _ in range(2)]
    assert painted[0].shape == (height, width, 3)
    assert painted[0].dtype == np.uint8
    assert np.array_equal(*painted)


def test_scenes_differ_by_seed_and_white_is_white():
    night = [paint("night sky", width=64, height=64, rng=random.Random(seed)) for seed in (1, 2)]
    assert not np.array_equal(*night)
    assert paint("white", width=8, height=8, rng=random.Random(1)).min() == 255
    assert not is_background("octarine")


def test_scenes_can_be_painted_by_night():
    for name, around in {**SCENES, **MORE_SCENES}.items():
        dark = by_night(name)
        assert (dark is None) == (name in {"night sky", "sunset"})
        if dark is None:
            continue
        day, night = (paint(n, width=96, height=96, rng=random.Random(5)).mean() for n in (name, dark))
        assert night < 0.5 * day
        assert is_background(dark)
        assert scenery(dark).ground == around.ground == scenery(name).ground
        assert scenery(dark).dark
    assert not is_background("night octarine")
    assert scenery("yellow") == Scenery()


@pytest.mark.parametrize(
    ("size", "native"),
    [
        ((512, 512), (128, 128)),
        ((768, 512), (192, 128)),
        ((512, 896), (128, 224)),
        ((1024, 512), (256, 128)),
        ((64, 64), (128, 128)),
        ((520, 512), (128, 128)),
    ],
)
def test_native_sizes_fit_the_unet(size, native):
    assert native_size(*size) == native


def test_a_strip_is_refused():
    with pytest.raises(RequestLimitError):
        native_size(1024, 128)


def test_cover_fills_the_canvas():
    pixels = np.zeros((30, 100, 3), np.uint8)
    pixels[:, 35:65] = 255
    assert cover(pixels, 64, 64)[:, 4:-4].min() > 240


def test_detail_comes_back_only_where_nothing_changed():
    rng = np.random.default_rng(1)
    start = rng.integers(60, 200, (32, 32, 3), dtype=np.uint8)
    rebuilt = np.full_like(start, 128)
    result = rebuilt.copy()
    result[:, 16:] = 250
    out = restore_detail(result, start=start, rebuilt=rebuilt, amount=1)
    assert np.array_equal(out[:, :8], start[:, :8])
    assert np.array_equal(out[:, 24:], result[:, 24:])
    assert np.array_equal(restore_detail(result, start=start, rebuilt=rebuilt, amount=0), result)
