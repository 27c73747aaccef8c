from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generation.sticker.backgrounds import SCENES, Scenery
from generation.sticker.composition import Pair, Row, compose, indices
from generation.sticker.draft import composite, measure
from generation.sticker.geometry import Box, Placement, Shape, bounds, fitted
from generation.sticker.layout import MAX_DRAWN, arrange
from generation.sticker.prompt import Layout

SHAPES = st.builds(
    Shape,
    aspect=st.floats(0.3, 3),
    seat=st.floats(0, 0.6),
    crest=st.floats(0, 1),
    eyes=st.none() | st.tuples(st.floats(0, 1), st.floats(0.1, 1)),
    glasses=st.booleans(),
    soars=st.booleans(),
    size=st.sampled_from(["small", "normal", "large"]),
)


@settings(deadline=None, max_examples=60)
@given(
    groups=st.lists(st.tuples(SHAPES, st.integers(1, 4)), min_size=1, max_size=6),
    relation=st.sampled_from(list(Layout)),
    size=st.sampled_from([(128, 128), (192, 128), (128, 192), (224, 128), (128, 224)]),
    scene=st.sampled_from([Scenery(), *SCENES.values()]),
    more=st.lists(st.tuples(st.sampled_from(list(Layout)), st.booleans()), min_size=6, max_size=6),
    seed=st.integers(0, 99),
)
def test_layouts_stay_on_the_canvas(groups, relation, size, scene, more, seed):
    width, height = size
    relations = [relation, *[each for each, _ in more]][: len(groups)]
    composition = compose(relations, joined=[joined for _, joined in more])
    placed = arrange(
        groups,
        relation,
        width=width,
        height=height,
        scenery=scene,
        rng=random.Random(seed),
        composition=composition if seed % 2 else None,
    )
    assert {p.item for p in placed} == set(range(len(groups)))
    assert len(placed) <= MAX_DRAWN
    left, top, right, bottom = bounds(placed)
    assert left > -0.06 * width
    assert right < 1.06 * width
    assert top > -0.06 * height
    assert bottom < 1.06 * height
    assert all(p.width > 0.2 and p.height > 0.2 for p in placed)  # what is worn by what is worn is tiny


def two(relation, *, seat=0.1, scenery=None):
    groups = [(Shape(aspect=1), 1), (Shape(aspect=1.5, seat=seat), 1)]
    placed = arrange(
        groups, relation, width=128, height=128, scenery=scenery or Scenery(), rng=random.Random(0)
    )
    return {p.item: p for p in placed}, [p.item for p in placed]


def test_relations_are_what_they_say():
    by, _ = two(Layout.LEFT)
    assert by[0].x < by[1].x - 30
    by, _ = two(Layout.RIGHT)
    assert by[0].x > by[1].x + 30
    by, _ = two(Layout.ABOVE)
    assert by[0].bottom <= by[1].top + 2
    by, _ = two(Layout.BELOW)
    assert by[1].bottom <= by[0].top + 2
    by, order = two(Layout.ON, seat=0.1)
    assert by[1].top < by[0].bottom < by[1].y
    assert order == [1, 0]
    by, order = two(Layout.IN, seat=0.1)
    assert by[0].bottom > by[1].top + 0.2 * by[1].height
    assert order == [0, 1]
    by, order = two(Layout.FRONT)
    assert by[0].bottom > by[1].bottom
    assert order == [1, 0]
    by, order = two(Layout.BEHIND)
    assert by[1].bottom > by[0].bottom
    assert order == [0, 1]
    by, order = two(Layout.WEARING)
    assert by[1].top < by[0].top < by[1].bottom < by[0].y
    assert order == [0, 1]


def test_glasses_sit_at_the_eyes():
    face, glasses = Shape(aspect=1, eyes=(0.4, 0.8)), Shape(aspect=3, glasses=True)
    for first, x in ((face, 0.5), (Shape(aspect=2, crest=0.9), 0.9)):
        placed = arrange(
            [(first, 1), (glasses, 1)],
            Layout.WEARING,
            width=128,
            height=128,
            scenery=Scenery(),
            rng=random.Random(0),
        )
        head, worn = placed
        assert (head.item, worn.item) == (0, 1)
        assert abs(worn.x - (head.x + (x - 0.5) * head.width)) < 1
        assert head.top <= worn.y <= head.top + 0.5 * head.height


def test_relations_are_composed_into_a_tree():
    on, beside, left, right, worn = Layout.ON, Layout.BESIDE, Layout.LEFT, Layout.RIGHT, Layout.WEARING
    assert compose([beside]).units == (0,)
    assert compose([beside, beside]).units == (0, 1)
    assert compose([beside, left]).units == (0, 1)
    assert compose([beside, right]).units == (1, 0)
    assert compose([beside, left]).ordered
    assert compose([beside, on]).units == (Pair(first=0, relation=on, second=1),)
    chain = compose([beside, worn, on]).units
    assert chain == (Pair(first=Pair(first=0, relation=worn, second=1), relation=on, second=2),)
    both = compose([beside, beside, on], joined=[False, True, False]).units
    assert both == (Pair(first=Row(members=(0, 1)), relation=on, second=2),)
    apart = compose([beside, beside, on], joined=[False, False, False]).units
    assert apart == (0, Pair(first=1, relation=on, second=2))
    assert [i for unit in chain for i in indices(unit)] == [0, 1, 2]
    assert compose([]).units == ()


def test_placements_are_fitted_into_a_box():
    placed = [
        Placement(item=0, x=0, y=0, width=10, height=40),
        Placement(item=1, x=20, y=0, width=10, height=10),
    ]
    box = Box(x=50, y=50, width=20, height=20)
    left, top, right, bottom = bounds(fitted(placed, box))
    assert (right - left, bottom - top) == (15, 20)
    assert ((left + right) / 2, (top + bottom) / 2) == (50, 50)
    small = [Placement(item=0, x=3, y=3, width=2, height=4)]
    assert bounds(fitted(small, box)) == (49, 48, 51, 52)
    assert bounds(fitted(small, box, grow=True)) == (45, 40, 55, 60)


def test_a_picture_is_measured():
    picture = np.zeros((100, 100, 4), np.uint8)
    picture[50:90, 10:90] = 255  # a body
    picture[20:50, 70:90] = 255  # and a head to the right
    shape = measure(picture, title="horse", group=3, size="small")
    assert shape.aspect == pytest.approx(80 / 70)
    assert shape.crest == pytest.approx(0.875, abs=0.01)
    assert (shape.mirrors, shape.tilts, shape.soars, shape.size) == (True, False, False, "small")
    assert measure(picture, title="sunglasses", group=7).glasses
    assert not measure(picture, title="top hat", group=7).glasses
    assert not measure(picture, title="alarm clock", group=5).mirrors  # its digits would be wrong
    assert measure(picture, title="rainbow", group=5).soars


@pytest.mark.parametrize("ground", [(255, 255, 255), (20, 20, 22), (200, 60, 60)])
def test_only_what_cannot_be_told_from_the_ground_is_outlined(ground):
    canvas = np.full((64, 64, 3), ground, np.uint8)
    place = [Placement(item=0, x=32, y=32, width=40, height=40)]
    for rgb in ((255, 255, 255), (20, 20, 22), (200, 60, 60)):
        square = np.full((40, 40, 4), (*rgb, 255), np.uint8)
        plain, line = (composite(canvas, [square], place, outlined=on)[0] for on in (False, True))
        changed = not np.array_equal(plain, line)
        assert changed == (rgb == ground)
        if changed:
            step = np.abs(line.astype(int) - plain).max(-1)
            assert step[32, 10:13].max() > 40
            assert step[20:44, 20:44].max() == 0  # the thing itself stays


def test_a_turned_picture_leans():
    square = np.full((40, 20, 4), 255, np.uint8)
    canvas = np.zeros((64, 64, 3), np.uint8)
    upright, leaning = (
        composite(canvas, [square], [Placement(item=0, x=32, y=32, width=20, height=40, angle=angle)])[1]
        for angle in (0, 10)
    )
    assert (upright == 0).any(1).sum() < (leaning == 0).any(1).sum()
    assert abs(int((upright == 0).sum()) - int((leaning == 0).sum())) < 60


def test_things_stand_on_the_ground_and_sink_into_the_sea():
    by, _ = two(Layout.ABOVE, scenery=SCENES["grass"])
    assert by[1].shadow > 0
    assert by[0].shadow == 0
    assert abs(by[1].bottom - 0.87 * 128) < 6
    by, _ = two(Layout.LEFT, scenery=SCENES["sea"])
    assert all(p.waterline is not None and p.top < p.waterline < p.bottom for p in by.values())
