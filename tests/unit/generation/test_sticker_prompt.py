from __future__ import annotations

import pytest

from generation.sticker.parsing import parse
from generation.sticker.prompt import Layout, Scene, Subject


def texts(scene: Scene) -> list[str]:
    return [subject.text for subject in scene.subjects]


def test_two_things_with_colors_one_on_the_other():
    scene = parse("a red apple on a blue plate")
    assert scene.subjects == (
        Subject(text="apple", color="red"),
        Subject(text="plate", color="blue", relation=Layout.ON),
    )
    assert scene.layout is Layout.ON
    assert scene.background is None


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("a cat, a dog and a fox", ["cat", "dog", "fox"]),
        ("draw me a cute fox please", ["fox"]),
        ("can you make a sticker of a sloth drinking coffee?", ["sloth", "coffee"]),
        ("a sticker of a sloth in front of a green wall", ["sloth"]),
        ("cat & dog + bird", ["cat", "dog", "bird"]),
        ("a sea turtle on the beach", ["sea turtle"]),
        ("a snowman", ["snowman"]),
        ("an orange", ["orange"]),
        ("two orange cats", ["cats"]),
        ("???", []),
        ("", []),
        # verbs stand between things, or after them
        ("a dragon fighting a knight", ["dragon", "knight"]),
        ("a chef cooking pasta", ["chef", "pasta"]),
        ("a red dragon breathing fire", ["dragon", "fire"]),
        ("the fox jumps over the dog", ["fox", "dog"]),
        ("a bear that eats honey", ["bear", "honey"]),
        ("a volcano erupting", ["volcano"]),
        ("a king with a ring", ["king", "ring"]),
        # measures
        ("a slice of pizza", ["pizza"]),
        ("a portrait of a lion", ["lion"]),
        ("a basket of apples", ["apples", "basket"]),
        # names of several words are not read word by word
        ("ice cream cone, pink background", ["ice cream cone"]),
        ("happy birthday", ["happy birthday"]),
        ("a cup of coffee on a table", ["cup of coffee", "table"]),
        # other generators' language
        ("cat --no dog", ["cat"]),
        ("samurai, 4k, trending on artstation, highly detailed --ar 16:9", ["samurai"]),
        ("(masterpiece:1.2), best quality, 1girl, solo", ["girl"]),
        ("<lora:cats:0.8> a cat https://example.com/dog.png", ["cat"]),
        ("a castle, art by somebody famous", ["castle"]),
        ("a cat without a hat", ["cat"]),
        ("cat with no background", ["cat"]),
        ("cat 2024", ["cat"]),
    ],
)
def test_subjects(prompt, expected):
    assert texts(parse(prompt)) == expected


@pytest.mark.parametrize(
    ("prompt", "count", "more"),
    [
        ("2 dogs", 2, False),
        ("three dogs", 3, False),
        ("a pair of dogs", 2, False),
        ("3dogs", 3, False),
        ("a dozen dogs", 4, True),
        ("99 dogs", 4, True),
        ("five little dogs", 4, True),
        ("hundreds of dogs", 4, True),
        ("a herd of dogs", 3, False),
        ("0 dogs", 1, False),
        ("a dog", 1, False),
        ("dog dog dog", 3, False),
        ("dog, dog", 2, False),
    ],
)
def test_counts(prompt, count, more):
    scene = parse(prompt)
    (subject,) = scene.subjects
    assert (subject.text.removesuffix("s"), subject.count, scene.more) == ("dog", count, more)


@pytest.mark.parametrize(
    ("prompt", "plural"), [("cats", True), ("two cats", False), ("a cat", False), ("headphones", False)]
)
def test_a_plural_without_a_number_is_noticed(prompt, plural):
    (subject,) = parse(prompt).subjects
    assert subject.plural is plural


@pytest.mark.parametrize(
    ("prompt", "layout"),
    [
        ("a cat on the left and a dog on the right", Layout.LEFT),
        ("a cat on the right and a dog on the left", Layout.RIGHT),
        ("cat on the left, dog on the right", Layout.LEFT),
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


def test_every_subject_has_its_own_relation():
    scene = parse("a cute cat sitting on a skateboard, wearing sunglasses")
    assert [(s.text, s.relation) for s in scene.subjects] == [
        ("cat", Layout.BESIDE),
        ("skateboard", Layout.ON),
        ("sunglasses", Layout.WEARING),
    ]
    both = parse("a cat and a dog on a sofa")
    assert [(s.text, s.relation, s.joined) for s in both.subjects] == [
        ("cat", Layout.BESIDE, False),
        ("dog", Layout.BESIDE, True),
        ("sofa", Layout.ON, False),
    ]


def test_a_full_basket_holds_what_follows():
    scene = parse("a basket full of apples")
    assert [(s.text, s.relation) for s in scene.subjects] == [
        ("apples", Layout.BESIDE),
        ("basket", Layout.IN),
    ]


@pytest.mark.parametrize(
    ("prompt", "relation"),
    [
        ("a dog wearing a hat", Layout.WEARING),
        ("a dog with a red hat", Layout.WEARING),
        ("a dog in a hat", Layout.WEARING),
        ("dogs wearing hats", Layout.WEARING),
        ("a dog wearing sunglasses", Layout.WEARING),
        ("a dog and a hat", Layout.BESIDE),
        ("a dog wearing a scarf", Layout.BESIDE),
    ],
)
def test_only_what_fits_on_a_head_is_worn(prompt, relation):
    assert parse(prompt).layout is relation


def test_a_second_thing_is_worn_as_the_first_one():
    scene = parse("a pig wearing a hat and sunglasses")
    assert [s.relation for s in scene.subjects[1:]] == [Layout.WEARING, Layout.WEARING]


@pytest.mark.parametrize(
    ("prompt", "color", "size"),
    [
        ("a small red cat", "red", "small"),
        ("a red cat", "red", "normal"),
        ("a giant navy cat", "dark blue", "large"),
        ("a pale green cat", "light green", "normal"),
        ("a cat that is red", "red", "normal"),
        ("a grey cat", "gray", "normal"),
        ("a light-blue cat", "light blue", "normal"),
        ("a red-colored cat", "red", "normal"),
    ],
)
def test_color_and_size(prompt, color, size):
    (subject,) = parse(prompt).subjects
    assert (subject.text.split()[0], subject.color, subject.size) == ("cat", color, size)


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("red and blue balloons", [("balloons", "red"), ("balloons", "blue")]),
        ("a black and white cow", [("cow", None)]),
        ("a red and yellow parrot", [("parrot", "red")]),
        ("a red rose and a rose", [("red rose", None), ("rose", None)]),
        ("a blue elephant and a red house", [("elephant", "blue"), ("house", "red")]),
    ],
)
def test_colors_go_to_their_things(prompt, expected):
    assert [(s.text, s.color) for s in parse(prompt).subjects] == expected


@pytest.mark.parametrize(
    ("prompt", "left_out"),
    [
        ("a cat with blue eyes", ("blue eyes",)),
        ("a girl, blue hair", ("blue hair",)),
        ("a red and yellow parrot", ("yellow",)),
        ("a black and white cat", ("black and white",)),
        ("a cat", ()),
    ],
)
def test_what_cannot_be_drawn_is_told(prompt, left_out):
    scene = parse(prompt)
    assert (len(scene.subjects), scene.left_out) == (1, left_out)
