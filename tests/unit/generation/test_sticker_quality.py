from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest
from PIL import Image, ImageFilter

from generation.sticker.backgrounds import SCENES, paint
from generation.sticker.colors import COLORS as PALETTE
from generation.sticker.colors import GROUNDS, shade
from generation.sticker.draft import Plan
from generation.sticker.geometry import Placement
from generation.sticker.quality.colored import BACKGROUNDS, COLOR_NAMES, COLORS
from generation.sticker.quality.measures import (
    blotches,
    change,
    color_names,
    decibels,
    dominant_color,
    edges_kept,
    foreground,
    lab,
    plain_ground_agrees,
    scene_agrees,
)
from generation.sticker.quality.prompts import GRID, PAIRS, SHEET, SHEET_SEEDS, SINGLE, STRENGTHS
from generation.sticker.quality.strengths import (
    GrowthFileError,
    StrengthRow,
    add_growth,
    earned_strength,
    is_broken,
    read_growth,
)
from generation.sticker.quality.subjects import box_of, cut_out, same_subject
from generation.sticker.references import References


@pytest.fixture(scope="module")
def titles():
    with References() as references:
        return frozenset(references.by_title)


def a_disc(color, *, ground=(255, 255, 255), edge=128, radius=40):
    y, x = np.mgrid[:edge, :edge] - edge / 2 + 0.5
    picture = np.full((edge, edge, 3), ground, np.uint8)
    picture[x**2 + y**2 < radius**2] = color
    return picture


def blurred(picture, radius):
    return np.asarray(Image.fromarray(picture).filter(ImageFilter.GaussianBlur(radius)))


class TestPrompts:
    def test_the_lists_have_their_sizes_and_no_prompt_twice(self):
        assert len(SINGLE) == 100
        assert len(SHEET) == 64
        assert len(SHEET_SEEDS) == 2
        assert len(PAIRS) >= 40
        assert len(COLORS) >= 60
        assert len(BACKGROUNDS) >= 60
        for asked in (SINGLE, PAIRS, COLORS, BACKGROUNDS):
            assert max(Counter(one.prompt for one in asked).values()) == 1
        assert len(set(SHEET)) == 64

    def test_every_subject_is_in_the_pack(self, titles):
        for one in (*SINGLE, *PAIRS, *COLORS, *BACKGROUNDS):
            for subject in one.subjects:
                assert titles.issuperset(subject), one.prompt

    def test_singles_have_one_subject_and_pairs_two_different_ones(self):
        assert {len(one.subjects) for one in SINGLE} == {1}
        assert {len({*one.subjects}) for one in PAIRS} == {2}

    def test_every_color_word_and_every_background_is_asked_for(self):
        assert {one.color for one in COLORS} == set(COLOR_NAMES)
        assert {one.background for one in BACKGROUNDS} >= {*SCENES, *PALETTE}

    def test_the_grid_is_drawn_from_the_single_subjects_up_to_full_strength(self):
        assert set(GRID) <= set(SINGLE)
        assert len(GRID) >= 25
        assert list(STRENGTHS) == sorted(STRENGTHS)
        assert STRENGTHS[-1] == 1.0


class TestColor:
    def test_lab_is_that_of_the_standard(self):
        # The usual tables: red is L 53.24, a 80.09, b 67.20; white is L 100.
        assert lab(np.array([255, 0, 0], np.uint8)) == pytest.approx([53.24, 80.09, 67.20], abs=0.02)
        assert lab(np.array([255, 255, 255], np.uint8)) == pytest.approx([100, 0, 0], abs=0.02)

    @pytest.mark.parametrize("name", PALETTE)
    def test_each_plain_color_has_its_name(self, name):
        assert color_names(np.array([PALETTE[name]], np.uint8)).tolist() == [name]

    @pytest.mark.parametrize(
        ("word", "color"), [("maroon", "dark red"), ("lavender", "light purple"), ("navy", "dark blue")]
    )
    def test_shades_satisfy_their_words(self, word, color):
        assert color_names(np.array([shade(color, PALETTE)], np.uint8))[0] in COLOR_NAMES[word]

    def test_a_red_disc_is_red_and_not_its_ground(self):
        picture = a_disc((214, 40, 40), ground=(70, 120, 210))
        ground = np.full_like(picture, (70, 120, 210))
        assert dominant_color(foreground(picture, ground, (0, 0, 128, 128))) == "red"
        assert dominant_color(foreground(ground, ground, (0, 0, 128, 128))) is None

    def test_only_the_box_counts(self):
        picture = a_disc((214, 40, 40))
        picture[:, :20] = (0, 0, 255)
        white = np.full_like(picture, 255)
        assert len(foreground(picture, white, (0, 0, 20, 128))) == 20 * 128
        assert dominant_color(foreground(picture, white, (0, 0, 20, 128))) in {"blue", "purple"}


class TestGround:
    def test_a_plain_ground_may_vary_a_little_but_not_be_another(self):
        bare = np.ones((128, 128), bool)
        rgb = np.array(GROUNDS["blue"], np.uint8)
        near = np.full((128, 128, 3), rgb + np.uint8(20), np.uint8)
        assert plain_ground_agrees(near, bare, rgb)
        assert not plain_ground_agrees(near, bare, np.array(GROUNDS["teal"], np.uint8))
        near[:32] = 0  # a quarter is gone
        assert not plain_ground_agrees(near, bare, rgb)
        assert not plain_ground_agrees(near, np.zeros((128, 128), bool), rgb)  # nothing to see

    @pytest.mark.parametrize("scene", SCENES)
    def test_a_scene_agrees_with_another_painting_of_it_and_with_no_other_scene(self, scene):
        bare = np.ones((128, 128), bool)

        def painted(name, seed):
            return paint(name, width=128, height=128, rng=random.Random(seed))

        assert scene_agrees(painted(scene, 1), bare, painted(scene, 2))
        assert [name for name in SCENES if scene_agrees(painted(scene, 1), bare, painted(name, 1))] == [scene]


class TestDamage:
    def test_a_copy_is_unchanged_unblotched_and_sharp(self):
        draft = a_disc((214, 40, 40), ground=(190, 210, 240))
        assert change(draft, draft) == (0, 0)
        assert decibels(0) == float("inf")
        assert blotches(draft, draft) == 0
        assert edges_kept(draft, draft) == pytest.approx(1)

    def test_the_change_is_in_levels(self):
        dark, light = np.zeros((8, 8, 3), np.uint8), np.full((8, 8, 3), 10, np.uint8)
        assert change(light, dark) == (10, 100)
        assert decibels(100) == pytest.approx(28.13, abs=0.01)

    def test_a_blotch_is_caught(self):
        draft = a_disc((214, 40, 40), ground=(190, 210, 240))
        smeared = draft.copy()
        smeared[4:28, 4:28] = (160, 180, 230)
        assert 0.02 < blotches(smeared, draft) < 0.15

    def test_a_ground_that_changes_as_a_whole_is_no_blotch(self):
        draft = a_disc((214, 40, 40), ground=(190, 210, 240))
        lighter = a_disc((214, 40, 40), ground=(210, 222, 245))
        assert change(lighter, draft)[0] > 5
        assert blotches(lighter, draft) == 0

    def test_mottle_is_caught_though_the_mean_stays(self):
        draft = np.full((128, 128, 3), 200, np.uint8)
        mottled = draft.copy()
        mottled[::2] += 20
        mottled[1::2] -= 20
        assert blotches(mottled, draft) == 1

    def test_blur_costs_sharpness_and_more_blur_more(self):
        draft = a_disc((214, 40, 40))
        little, much = (edges_kept(blurred(draft, radius), draft) for radius in (0.7, 2.5))
        assert 1 > little > much > 0

    def test_edges_elsewhere_do_not_count(self):
        draft = a_disc((214, 40, 40))
        assert edges_kept(np.roll(draft, 30, axis=1), draft) < 0.3

    def test_a_picture_without_edges_or_even_cells_is_not_broken(self):
        plain = np.full((128, 128, 3), 200, np.uint8)
        noise = np.random.default_rng(1).integers(0, 255, (128, 128, 3), dtype=np.uint8)
        assert edges_kept(plain, plain) == 1
        assert blotches(noise, noise) == 0


def a_row(strength, **changes):
    values = {
        "strength": strength, "subject_top5": 0.9, "blotches": 0.01, "edges": 0.95, "broken": 0.0,
        "change": 3.0, "change_db": 33.0,
    }  # fmt: skip
    return StrengthRow(**{**values, **changes})


class TestStrengths:
    def test_the_earned_strength_ends_before_the_first_that_fails(self):
        rows = [a_row(0.45), a_row(0.125), a_row(0.3, broken=0.2), a_row(0.2)]
        assert earned_strength(rows) == 0.2
        assert earned_strength([a_row(0.125, subject_top5=0.7), a_row(0.2)]) == 0
        assert earned_strength([a_row(0.125), a_row(1.0)]) == 1

    def test_a_picture_is_broken_by_blotches_or_by_softness(self):
        assert not is_broken(blotches=0.02, edges=0.9)
        assert is_broken(blotches=0.3, edges=0.9)
        assert is_broken(blotches=0.02, edges=0.5)

    def test_growth_is_kept_in_order_and_replaced(self, tmp_path):
        path = tmp_path / "growth.csv"
        assert read_growth(path) == {}
        add_growth(2000, [a_row(0.125)], path)
        add_growth(1000, [a_row(0.125), a_row(0.2)], path)
        add_growth(2000, [a_row(0.125, edges=0.97)], path)
        assert list(read_growth(path)) == [1000, 2000]
        assert read_growth(path)[1000] == (a_row(0.125), a_row(0.2))
        assert read_growth(path)[2000] == (a_row(0.125, edges=0.97),)

    def test_a_damaged_growth_file_is_refused(self, tmp_path):
        path = tmp_path / "growth.csv"
        path.write_text("samples,strength\n1000,0.2\n", encoding="utf-8")
        with pytest.raises(GrowthFileError, match=r"growth\.csv"):
            read_growth(path)


def a_plan(placement, background="light blue"):
    return Plan(parts=(), placements=(placement,), background=background, width=128, height=128, seed=3)


class TestCutOut:
    def test_views_of_one_thing_are_the_same_and_kinds_are_not(self):
        assert same_subject(("cat",), "cat face")
        assert same_subject(("taxi", "bus"), "oncoming bus")
        assert not same_subject(("cat",), "black cat")
        assert not same_subject(("dog",), "hot dog")
        assert same_subject(("hot face",), "hot face")

    def test_the_subject_lies_on_white_without_its_ground_and_neighbor(self):
        placement = Placement(item=0, x=40, y=64, width=40, height=40)
        plan = a_plan(placement, "grass")
        picture = paint("grass", width=512, height=512, rng=random.Random(plan.seed))
        picture[200:312, 104:216] = (200, 30, 40)  # in its place
        picture[200:312, 400:500] = (20, 20, 20)  # a neighbor
        cut = cut_out(picture, plan, placement)
        assert cut.shape == (224, 224, 3)
        reds, darks = (cut[..., 0] > 150) & (cut[..., 1] < 90), cut.max(-1) < 60
        assert 0.4 < reds.mean() < 0.75
        assert not darks.any()
        assert (cut == 255).all(-1).mean() > 0.2

    def test_what_was_turned_around_is_turned_back(self):
        placement = Placement(item=0, x=64, y=64, width=64, height=64, mirrored=True)
        picture = paint("white", width=512, height=512, rng=None)
        picture[128:384, 128:256] = (200, 30, 40)  # its left half
        cut = cut_out(picture, a_plan(placement, "white"), placement)
        assert (cut[:, 112:, 1] < 90).mean() > 0.6
        assert (cut[:, :100, 1] < 90).mean() < 0.05

    def test_a_leaning_box_is_larger_and_stays_in_the_picture(self):
        upright = Placement(item=0, x=20, y=64, width=40, height=80)
        leaning = Placement(item=0, x=20, y=64, width=40, height=80, angle=30.0)
        assert box_of(upright, a_plan(upright), scale=1) == (0, 24, 40, 104)
        left, top, right, bottom = box_of(leaning, a_plan(leaning), scale=1)
        assert (left, right) == (0, 57)
        assert (top, bottom) == (19, 109)
