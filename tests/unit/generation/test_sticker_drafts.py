from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generation.sticker.colors import GROUNDS, shade
from generation.sticker.draft import draw
from generation.sticker.references import References
from generation.sticker.scene import Illustrator
from generation.sticker.variety import Choice, Variety


@pytest.fixture(scope="module")
def references():
    with References() as opened:
        yield opened


@pytest.fixture(scope="module")
def illustrator(references):
    return Illustrator(references)


def plan(illustrator, prompt, seed=1, **size):
    return illustrator.plan(prompt, **{"width": 128, "height": 128, "seed": seed, **size})


# -- styles, grounds, seeds ----------------------------------------------------------------------------------


def test_style_words_choose_the_set(illustrator):
    for style, keys in (("3d", {"fluent3d"}), ("flat", {"twemoji"}), ("cartoon", {"noto"})):
        for seed in range(4):
            drawable = plan(illustrator, f"an octopus, {style} style", seed)
            assert drawable.plan.parts[0].reference.source.key in keys


def test_background_color_and_count_are_drawn(illustrator, references):
    drawable = plan(illustrator, "three dogs on a yellow background")
    assert len(drawable.plan.placements) == 3
    red, green, blue = draw(drawable.plan, references=references).pixels[1, 1].astype(int)
    assert red > 180
    assert green > 160
    assert blue < 140
    assert drawable.caption.startswith("three dogs, ")
    assert drawable.caption.endswith(" on a yellow background")
    assert plan(illustrator, "a cat by the sea at night").caption.endswith(" by the sea at night")


@pytest.mark.parametrize("prompt", ["a cat", "a cat, 3d", "a red apple, flat style", "a robot, shaded"])
def test_neighboring_seeds_differ_even_with_one_reference(illustrator, references, prompt):
    drawn = [draw(plan(illustrator, prompt, seed).plan, references=references).pixels for seed in range(5)]
    for before, after in itertools.pairwise(drawn):
        assert np.abs(before.astype(int) - after.astype(int)).mean() > 8
        assert not np.array_equal(before[1, 1], after[1, 1])  # another ground


def test_equal_seeds_draw_the_same_and_others_differ(illustrator, references):
    drawn = [
        draw(plan(illustrator, "a cat and a dog", seed).plan, references=references).pixels
        for seed in (1, 1, 2, 3)
    ]
    assert np.array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0], drawn[2])
    assert not np.array_equal(drawn[2], drawn[3])


def test_a_choice_keeps_its_shares_and_parts_neighbors():
    shares = [Variety(seed).share(Choice.SIDE) for seed in range(1000)]
    assert all(0 <= share < 1 for share in shares)
    assert abs(np.mean(shares) - 0.5) < 0.02
    steps = np.abs(np.diff(shares))
    assert np.minimum(steps, 1 - steps).min() > 0.2
    table = (("a", 0.75), ("b", 0.25))
    names = [Variety(seed).weighted(Choice.STYLE, table) for seed in range(400)]
    assert 90 < names.count("b") < 110
    assert Variety(2**63).pick(Choice.TITLE, ["x", "y"]) in {"x", "y"}


def test_a_thing_stands_out_from_a_ground_that_nobody_asked_for(illustrator, references):
    for prompt in ("a white cat", "a ghost", "a light blue bird", "a beige rabbit"):
        for seed in range(6):
            planned = plan(illustrator, prompt, seed).plan
            assert planned.background != "white" or "white" not in prompt
            pixels = draw(planned, references=references).pixels
            ground = np.array(shade(planned.background, GROUNDS))
            far = np.abs(pixels.astype(int) - ground).max(-1) > 24
            assert far.mean() > 0.15


def edge_contrast(pixels):
    """The strongest step between neighbors, for each row that has any."""
    steps = np.abs(np.diff(pixels.astype(int).mean(-1), axis=1)).max(1)
    return np.median(steps[steps > 2])


@pytest.mark.parametrize(
    "prompt", ["a white cat on a white background", "a yellow banana on a yellow background"]
)
def test_a_thing_of_the_ground_s_color_gets_an_outline(illustrator, references, prompt):
    drawn = [draw(plan(illustrator, prompt, seed).plan, references=references, scale=2) for seed in range(3)]
    assert min(edge_contrast(draft.pixels) for draft in drawn) > 30


# -- layout --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
def test_two_things_stand_beside_each_other(illustrator, seed):
    for prompt in ("a cat and a dog", "a book next to a lamp"):
        by = {p.item: p for p in plan(illustrator, prompt, seed).plan.placements}
        assert by[0].x + 12 < by[1].x
        assert min(p.width * p.height for p in by.values()) > 900


@pytest.mark.parametrize("seed", range(4))
def test_big_is_bigger_than_small(illustrator, seed):
    by = {p.item: p for p in plan(illustrator, "a tiny mouse and a huge cheese", seed).plan.placements}
    assert by[1].height > 2 * by[0].height
    assert by[0].height > 12


@pytest.mark.parametrize("seed", range(4))
def test_both_sit_on_the_sofa(illustrator, seed):
    placements = plan(illustrator, "a cat and a dog on a sofa", seed).plan.placements
    by = {p.item: p for p in placements}
    sofa = by[2]
    assert placements[0].item == 2
    for pet in (by[0], by[1]):
        assert sofa.x - sofa.width / 2 - 4 < pet.x < sofa.x + sofa.width / 2 + 4
        assert pet.top < sofa.bottom
        assert pet.bottom > sofa.top


def test_subjects_stay_on_the_canvas(illustrator):
    prompts = (
        "a cat sitting on a skateboard, wearing sunglasses",
        "two cats and three dogs",
        "a giraffe wearing a top hat next to a tiny mouse",
        "a cat, a dog, a bird, a fish, a cow and a pig in the snow",
        "four red balloons above a small house",
        "a mouse on an elephant on a ball",
    )
    for prompt in prompts:
        for seed in range(4):
            for size in ({}, {"width": 224}, {"height": 192}):
                planned = plan(illustrator, prompt, seed, **size).plan
                for p in planned.placements:
                    assert p.x - p.width / 2 > -0.06 * planned.width
                    assert p.x + p.width / 2 < 1.06 * planned.width
                    assert p.top > -0.06 * planned.height
                    assert p.bottom < 1.06 * planned.height


def test_drafts_can_be_drawn_larger(illustrator, references):
    drawable = plan(illustrator, "a cat in the snow", width=192)
    assert draw(drawable.plan, references=references, scale=3).pixels.shape == (384, 576, 3)


WORDS = st.sampled_from(
    [
        "a",
        "two",
        "cats",
        "dog",
        "red",
        "hat",
        "wearing",
        "on",
        "in",
        "above",
        "left",
        "of",
        "right",
        "and",
        ",",
        "with",
        "blue",
        "eyes",
        "basket",
        "tree",
        "tiny",
        "huge",
        "snow",
        "at",
        "night",
        "sunset",
        "gryphon",
        "xyzzy",
        "🍕",
        "drawing",
        "flat",
        "3d",
        "wearing",
        "sunglasses",
        "under",
        "box",
        "house",
    ]
)


@settings(deadline=None, max_examples=40)
@given(words=st.lists(WORDS, max_size=14), seed=st.integers(0, 2**63), wide=st.booleans())
def test_any_words_become_a_picture(illustrator, references, words, seed, wide):
    drawable = plan(illustrator, " ".join(words), seed, width=192 if wide else 128)
    draft = draw(drawable.plan, references=references)
    assert draft.pixels.shape == (128, 192 if wide else 128, 3)
    assert len(draft.shares) == len(drawable.plan.parts)
    assert drawable.caption
