from __future__ import annotations

import pytest

from generation.sticker.draft import draw
from generation.sticker.prompt import Layout
from generation.sticker.references import References
from generation.sticker.scene import Illustrator


@pytest.fixture(scope="module")
def references():
    with References() as opened:
        yield opened


@pytest.fixture(scope="module")
def illustrator(references):
    return Illustrator(references)


def plan(illustrator, prompt, seed=1, **size):
    return illustrator.plan(prompt, **{"width": 128, "height": 128, "seed": seed, **size})


def titles(drawable):
    return [part.reference.title for part in drawable.plan.parts]


def test_the_demo_prompt_is_an_apple_on_a_blue_plate(illustrator, references):
    drawable = plan(illustrator, "a red apple on a blue plate")
    assert titles(drawable) == ["red apple", "plate"]
    assert [part.color for part in drawable.plan.parts] == [None, "blue"]
    assert drawable.note is None
    assert drawable.plan.placements[-1].item == 0  # the apple is drawn over the plate
    draft = draw(drawable.plan, references=references)
    assert draft.pixels.shape == (128, 128, 3)
    assert sum(draft.shares) == pytest.approx(1)
    assert min(draft.shares) > 0.15


# -- notes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prompt", "shown", "note"),
    [
        ("a gryphon", ["eagle"], 'I know no picture of "gryphon"; the nearest I know: eagle'),
        (
            "a cat and a xyzzyplugh",
            ["cat"],
            'I know no picture of "xyzzyplugh" and left it out',
        ),
        ("six eggs", ["egg"], "I draw four of a kind at most"),
        ("a cat with blue eyes", ["cat"], 'Not drawn: "blue eyes"'),
        ("a steampunk-ish owl", ["owl"], 'Not drawn: "steampunk-ish"'),
        ("a buterfly", ["butterfly"], 'I read "buterfly" as "butterfly"'),
        ("a robot army", ["robot"], None),
        (
            "a drawing of a violin",
            ["violin"],
            'I have no "drawing" style; the nearest is shaded style',
        ),
        ('a cat saying "hello"', ["cat"], "I cannot write in a picture"),
        ("a plate, flat style", ["plate"], 'I have no picture of "plate" in that style'),
        ("a cat in the snow", ["cat"], None),
    ],
)
def test_what_the_reader_should_know(illustrator, prompt, shown, note):
    drawable = plan(illustrator, prompt)
    assert titles(drawable) == shown
    assert drawable.note == note


@pytest.mark.parametrize(
    "prompt",
    [
        "???",
        "\u2603\u0301",
        "and and and",
        "a" * 2000,
        "on a yellow background",
        "surprise me",
        "xyzzy plugh",
    ],
)
def test_something_is_drawn_for_any_words(illustrator, references, prompt):
    drawable = plan(illustrator, prompt)
    assert drawable.plan.parts
    assert drawable.note
    assert draw(drawable.plan, references=references).pixels.std() > 0


def test_notes_are_the_same_for_all_seeds_and_short(illustrator):
    for prompt in ("xyzzy plugh", "???", "sunset", "blorp, " * 100):
        notes = {plan(illustrator, prompt, seed).note for seed in range(5)}
        assert len(notes) == 1
        assert len(notes.pop()) <= 400


def test_a_place_gets_something_that_fits_it(illustrator):
    drawable = plan(illustrator, "sunset over the ocean")
    assert drawable.plan.background == "sunset"
    assert drawable.note == "You named a place only, so I put something in it"
    by_night = plan(illustrator, "city at night")
    assert by_night.plan.background == "night city"
    assert titles(by_night)[0] in {"automobile", "bus", "taxi", "bicycle"}


def test_fragments_that_name_nothing_are_not_replaced(illustrator):
    drawable = plan(illustrator, "a cat, gryphon vibes, eternal splendor")
    assert titles(drawable) == ["cat"]
    assert drawable.note.startswith("I know no picture of")


# -- subjects ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("cats", {2, 3}),
        ("two cats", {2}),
        ("a cat", {1}),
        ("grapes", {1}),  # the picture shows several
        ("flowers", {1}),  # a bouquet
    ],
)
def test_a_plural_is_two_or_three(illustrator, prompt, expected):
    counts = {plan(illustrator, prompt, seed).plan.parts[0].count for seed in range(6)}
    assert counts == expected


def test_a_number_of_flowers_is_no_number_of_bouquets(illustrator):
    assert titles(plan(illustrator, "flowers")) == ["bouquet"]
    assert titles(plan(illustrator, "three flowers")) == ["hibiscus"]


@pytest.mark.parametrize(
    ("prompt", "relations"),
    [
        ("a cat in a box", [("package", Layout.IN)]),
        ("a princess in a castle", [("castle", Layout.FRONT)]),
        ("a bird in a tree", [("deciduous tree", Layout.ON)]),
        ("a fox in autumn", [("fallen leaf", Layout.BESIDE)]),
        ("a cat wearing a crown", [("crown", Layout.WEARING)]),
        ("a crown on a cat", [("crown", Layout.WEARING)]),
        ("a crown on a table", [("table", Layout.ON)]),
        ("a frog with a crown on a mushroom", [("crown", Layout.WEARING), ("mushroom", Layout.ON)]),
        (
            "a cat sitting on a skateboard, wearing sunglasses",
            [("sunglasses", Layout.WEARING), ("skateboard", Layout.ON)],
        ),
        ("a xyzzyplugh on a table", []),
        ("with a hat, wearing a crown", [("crown", Layout.WEARING)]),
        ("xyzzyplugh wearing a hat and a crown", [("crown", Layout.WEARING)]),
    ],
)
def test_relations_become_what_can_be_drawn(illustrator, prompt, relations):
    parts = plan(illustrator, prompt).plan.parts
    assert [(part.reference.title, part.relation) for part in parts[1:]] == relations


def test_who_wears_something_looks_at_us_and_glasses_are_before_the_eyes(illustrator):
    planned = plan(illustrator, "a dog wearing sunglasses").plan
    assert [part.reference.title for part in planned.parts] == ["dog face", "sunglasses"]
    dog, glasses = planned.placements
    assert dog.top < glasses.top < glasses.bottom < dog.bottom
    assert dog.x - dog.width / 2 < glasses.x < dog.x + dog.width / 2
    hat = plan(illustrator, "a dog wearing a hat").plan.placements[1]
    head = plan(illustrator, "a dog wearing a hat").plan.placements[0]
    assert hat.top < head.top < hat.bottom < head.y


def test_each_of_several_wears_its_own(illustrator):
    drawable = plan(illustrator, "three cats wearing hats")
    assert titles(drawable) == ["cat face", "top hat"] * 3
    assert len(drawable.plan.placements) == 6


def test_emoji_are_their_own_pictures(illustrator):
    drawable = plan(illustrator, "\U0001f436\u2764\ufe0f\U0001f355")
    assert titles(drawable) == ["dog face", "red heart", "pizza"]
    assert drawable.note is None


def test_a_color_alone_is_a_dot_of_it(illustrator):
    assert titles(plan(illustrator, "blue")) == ["blue circle"]
    assert titles(plan(illustrator, "orange")) == ["tangerine"]
