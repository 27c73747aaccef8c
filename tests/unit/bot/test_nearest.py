"""The index of training pictures is opened once, for the model it belongs to, and for any thread."""

from __future__ import annotations

import asyncio
import threading

import numpy as np
import pytest

from bot.nearest import TrainingPictures
from generation.catalog import Catalog
from generation.job import Credit
from generation.sticker.nearest.search import NearestPictures, open_nearest

CARD = Catalog.load([]).get(None)


@pytest.fixture(scope="module")
def index() -> NearestPictures:
    return open_nearest()


def a_copy_of(index: NearestPictures, row: int) -> tuple[np.ndarray, Credit]:
    """A training picture as the index remembers it, large and on white, with its credit."""
    light, opacity = (plane[0] for plane in index.index.drawn(np.array([row])))
    plane = np.rint(255 * (light * opacity + 1 - opacity)).astype(np.uint8)
    pixels = np.repeat(
        np.kron(np.pad(plane, 3, constant_values=255), np.ones((16, 16), np.uint8))[..., None], 3, 2
    )
    picture = index.index.pictures[row]
    credit = Credit(
        title=picture.title, author=picture.author, license="", license_url="", source=picture.source, share=1
    )
    return np.ascontiguousarray(pixels), credit


def noise() -> np.ndarray:
    return np.random.default_rng(5).integers(0, 255, (96, 96, 3), dtype=np.uint8)


async def test_other_models_never_open_it() -> None:
    def never() -> NearestPictures:
        raise AssertionError("opened")

    training = TrainingPictures([CARD.id], open_=never)
    assert await training.nearest(noise(), "another", ()) is None
    assert training.likeness(noise(), "another", ()) is None
    assert training.likeness(noise(), "", ()) is None  # an upload
    assert not training.opened


async def test_many_threads_open_it_once_and_ask_one_by_one(index: NearestPictures) -> None:
    opened, inside, most = [], [], []
    lock = threading.Lock()

    class Watched:
        thresholds, index = None, None

        def __init__(self) -> None:
            self.thresholds, self.index, self.left_out = index.thresholds, index.index, index.left_out

        def nearest(self, *arguments: object, **options: object) -> object:
            with lock:
                inside.append(1)
                most.append(len(inside))
            try:
                return index.nearest(*arguments, **options)
            finally:
                with lock:
                    inside.pop()

    def open_() -> Watched:
        opened.append(1)
        return Watched()

    training = TrainingPictures([CARD.id], open_=open_)
    pictures = [np.roll(noise(), shift, 0) for shift in range(4)] * 2
    found = await asyncio.gather(*(training.nearest(pixels, CARD.id, ()) for pixels in pictures))
    assert len(opened) == 1
    assert max(most) == 1
    assert len(most) == 4  # a repeated question is answered from memory
    assert found[:4] == found[4:]
    assert all(len(neighbors) == 5 for neighbors in found)


async def test_check_and_record_agree_on_a_copy_and_credit_clears_it(index: NearestPictures) -> None:
    training = TrainingPictures([CARD.id], open_=lambda: index)
    rows = np.flatnonzero(~index.plain)[::97][:40].tolist()
    copies = []
    for row in rows:
        pixels, credit = a_copy_of(index, row)
        likeness = training.likeness(pixels, CARD.id, ())
        neighbors = await training.nearest(pixels, CARD.id, ())
        assert (likeness > 0) == any(one.near_copy for one in neighbors)
        assert likeness == 0.0 or likeness >= index.thresholds.likeness
        if likeness:
            copies.append((pixels, credit))
    assert copies  # gray, 24 px copies are hard, but not all of them
    for pixels, credit in copies:
        by_source = TrainingPictures([CARD.id], open_=lambda: index)
        alone = by_source.likeness(pixels, CARD.id, (credit.source,))
        with_title = await TrainingPictures([CARD.id], open_=lambda: index).nearest(
            pixels, CARD.id, (credit,)
        )
        assert (alone > 0) == any(one.near_copy for one in with_title)
        assert credit.source not in {one.source for one in with_title}


def test_a_failure_is_no_answer(index: NearestPictures) -> None:
    failures = iter([OSError("gone"), None])

    def open_() -> NearestPictures:
        if (failure := next(failures)) is not None:
            raise failure
        return index

    training = TrainingPictures([CARD.id], open_=open_)
    with pytest.raises(OSError, match="gone"):
        training.likeness(noise(), CARD.id, ())
    assert training.likeness(noise(), CARD.id, ()) == 0.0  # tried again, not remembered


def test_the_embedded_model_has_the_index() -> None:
    training = TrainingPictures.of(Catalog.load([]))
    assert training.likeness(noise(), "some-other-model", ()) is None
    assert not training.opened
