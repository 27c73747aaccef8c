from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generation.sticker.backgrounds import is_background
from generation.sticker.prompt import MAX_SUBJECTS, Layout, Scene, Subject, parse
from generation.sticker.vocabulary import STYLE_CAPTIONS


def texts(scene: Scene) -> list[str]:
    return [subject.text for subject in scene.subjects]


def test_two_things_with_colors_one_on_the_other():
    scene = parse("a red apple on a blue plate")
    assert scene.subjects == (Subject(text="apple", color="red"), Subject(text="plate", color="blue"))
    assert scene.layout is Layout.ON
    assert scene.background is None


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("a cat, a dog and a fox", ["cat", "dog", "fox"]),
        ("draw me a cute fox please", ["fox"]),
        ("a sticker of a sloth in front of a green wall", ["sloth"]),
        ("cat & dog + bird", ["cat", "dog", "bird"]),
        ("\U0001f34e and \U0001f436", ["apple", "dog face"]),
        ("a sea turtle on the beach", ["sea turtle"]),
        ("a snowman", ["snowman"]),
        ("an orange", ["orange"]),
        ("two orange cats", ["cats"]),
        ("der rote Apfel", ["der rote apfel"]),
        ("???", []),
        ("", []),
    ],
)
def test_subjects(prompt, expected):
    assert texts(parse(prompt)) == expected


@pytest.mark.parametrize(
    ("prompt", "count"),
    [
        ("2 dogs", 2),
        ("three dogs", 3),
        ("a pair of dogs", 2),
        ("a dozen dogs", 4),
        ("99 dogs", 4),
        ("0 dogs", 1),
        ("a dog", 1),
    ],
)
def test_counts(prompt, count):
    (subject,) = parse(prompt).subjects
    assert (subject.text.removesuffix("s"), subject.count) == ("dog", count)


@pytest.mark.parametrize(
    ("prompt", "background"),
    [
        ("a cat on a yellow background", "yellow"),
        ("a cat, yellow background", "yellow"),
        ("background: pink, a cat", "pink"),
        ("a cat with a blue backdrop", "blue"),
        ("a cat on a light blue background", "light blue"),
        ("a cat in front of a green wall", "green"),
        ("a cat under a starry night sky", "night sky"),
        ("a cat in outer space", "night sky"),
        ("a cat at night", "night sky"),
        ("a cat on green grass", "grass"),
        ("a cat in the park", "grass"),
        ("a cat by the sea", "sea"),
        ("a cat by the sea at night", "sea"),
        ("a cat swimming in the ocean", "sea"),
        ("a cat in the snow", "snow"),
        ("a cat during a snowy day", "snow"),
        ("a cat at sunset", "sunset"),
        ("a cat in the city", "city"),
        ("a cat", None),
    ],
)
def test_backgrounds(prompt, background):
    scene = parse(prompt)
    assert (texts(scene), scene.background) == (["cat"], background)


@pytest.mark.parametrize(
    ("prompt", "layout"),
    [
        ("a cat on the left and a dog on the right", Layout.LEFT),
        ("a cat on the right and a dog on the left", Layout.RIGHT),
        ("a cat to the left of a dog", Layout.LEFT),
        ("a cat right of a dog", Layout.RIGHT),
        ("a cat and a dog, the cat on the right", Layout.RIGHT),
        ("a cat and a dog, the dog on the right", Layout.LEFT),
        ("a cat above a dog", Layout.ABOVE),
        ("a cat below a dog", Layout.BELOW),
        ("a cat on top of a dog", Layout.ON),
        ("a cat riding a dog", Layout.ON),
        ("a cat inside a dog", Layout.IN),
        ("a cat in front of a dog", Layout.FRONT),
        ("a cat behind a dog", Layout.BEHIND),
        ("a cat next to a dog", Layout.BESIDE),
        ("a cat and a dog", Layout.BESIDE),
    ],
)
def test_relations(prompt, layout):
    scene = parse(prompt)
    assert (texts(scene), scene.layout) == (["cat", "dog"], layout)


def test_only_headwear_is_worn():
    assert parse("a dog wearing a hat").layout is Layout.WEARING
    assert parse("a dog wearing a scarf").layout is Layout.BESIDE


@pytest.mark.parametrize(
    ("prompt", "color", "size"),
    [
        ("a small red cat", "red", "small"),
        ("a red cat", "red", "normal"),
        ("a giant navy cat", "dark blue", "large"),
        ("a pale green cat", "light green", "normal"),
        ("a cat that is red", "red", "normal"),
        ("a grey cat", "gray", "normal"),
    ],
)
def test_color_and_size(prompt, color, size):
    (subject,) = parse(prompt).subjects
    assert (subject.text.split()[0], subject.color, subject.size) == ("cat", color, size)


@pytest.mark.parametrize(
    ("prompt", "style"),
    [
        ("a cat, 3d style", "3d"),
        ("a 3d cat", "3d"),
        ("3d render of a cat", "3d"),
        ("a flat style cat", "flat"),
        ("cartoon drawing of a cat", "shaded"),
        ("a cat, icon", "icon"),
        ("a cat", None),
    ],
)
def test_styles(prompt, style):
    scene = parse(prompt)
    assert (texts(scene), scene.style) == (["cat"], style)


def test_a_flat_tire_is_no_style():
    assert parse("a flat tire").style is None


def test_known_titles_are_not_cut():
    assert texts(parse("a bow and arrow", phrases={"bow and arrow"})) == ["bow and arrow"]
    assert texts(parse("a bow and arrow")) == ["bow", "arrow"]


@given(st.text(max_size=2000))
def test_never_raises_and_stays_within_bounds(prompt):
    scene = parse(prompt)
    assert len(scene.subjects) <= MAX_SUBJECTS
    for subject in scene.subjects:
        assert subject.text
        assert len(subject.text) <= 120
        assert 1 <= subject.count <= 4
    assert scene.background is None or is_background(scene.background)
    assert scene.style is None or scene.style in STYLE_CAPTIONS


WORDS = st.sampled_from(
    [
        "a",
        "the",
        "cat",
        "dog",
        "red",
        "light",
        "dark",
        "blue",
        "on",
        "in",
        "the",
        "left",
        "right",
        "of",
        "and",
        ",",
        "with",
        "background",
        "sky",
        "night",
        "three",
        "3d",
        "style",
        "front",
        "wall",
        "sea",
        "snow",
        "wearing",
        "hat",
        "small",
        "2",
        "orange",
        "rose",
        "side",
        "to",
        "top",
    ]
)


@given(st.lists(WORDS, max_size=300).map(" ".join))
def test_any_order_of_known_words_is_read(prompt):
    assert len(parse(prompt).subjects) <= MAX_SUBJECTS
