"""The benchmark of the look-up measures what its names say, on a handful of pictures."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from attribution.attacks import ATTACKS, attacked
from attribution.bench_lookup import bench_lookup
from bot.bench_pictures import stickers, strangers


async def test_figures_of_a_few_pictures(sqlite_engine) -> None:
    released, used = stickers(1)
    flat = np.full((512, 512, 3), 120, np.uint8)
    others = list(strangers(2, without=used))
    figures = await bench_lookup(sqlite_engine, [*released, flat], others, sizes=(50,))
    assert (figures["pictures"], figures["flat"], figures["strangers"]) == (2, 1, 2)
    assert figures["recall"].keys() == figures["right_owner"].keys() == ATTACKS.keys()
    assert figures["right_owner"]["png"] == 1.0
    assert figures["false_matches"] == 0
    assert figures["psnr_db"] >= 42
    assert figures["ms_per_query"].keys() == {"50"}


@pytest.mark.parametrize("name", ATTACKS)
def test_every_attack_changes_a_picture_and_gives_a_readable_file(name: str) -> None:
    pixels = stickers(1)[0][0]
    with Image.open(io.BytesIO(attacked(pixels, name))) as image:
        found = np.asarray(image.convert("RGB"))
    assert (found.shape == pixels.shape and np.array_equal(found, pixels)) == (name == "png")


def test_strangers_are_in_no_scene_and_come_again_on_other_grounds() -> None:
    _, used = stickers(1)
    first, second = (list(strangers(3, without=used)) for _ in range(2))
    assert all(np.array_equal(one, two) for one, two in zip(first, second, strict=True))
