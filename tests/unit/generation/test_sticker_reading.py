from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generation.sticker.backgrounds import is_background
from generation.sticker.parsing import parse
from generation.sticker.prompt import MAX_SUBJECTS, MOST, Scene
from generation.sticker.reading import MAX_WORDS, read
from generation.sticker.vocabulary import STYLE_CAPTIONS


def texts(scene: Scene) -> list[str]:
    return [subject.text for subject in scene.subjects]


@pytest.mark.parametrize(
    ("prompt", "background"),
    [
        ("a cat on a yellow background", "yellow"),
        ("a cat, yellow background", "yellow"),
        ("background: pink, a cat", "pink"),
        ("a cat with a blue backdrop", "blue"),
        ("a cat on a light blue background", "light blue"),
        ("a cat on a dark green background", "dark green"),
        ("a cat in a dark forest", "grass"),
        ("a cat in front of a green wall", "green"),
        ("a cat under a starry night sky", "night sky"),
        ("a cat in outer space", "night sky"),
        ("a cat at night", "night sky"),
        ("a cat on green grass", "grass"),
        ("a cat in the park", "grass"),
        ("a cat by the sea", "sea"),
        ("a cat by the sea at night", "night sea"),
        ("a cat in the city at night", "night city"),
        ("a cat on the beach at sunset", "sunset"),
        ("a cat swimming in the ocean", "sea"),
        ("a cat in the snow", "snow"),
        ("a cat during a snowy day", "snow"),
        ("a cat at sunset", "sunset"),
        ("a cat, sunset", "sunset"),
        ("a cat in the city", "city"),
        ("a cat in new york", "city"),
        ("a cat in the park on a sunny day", "grass"),
        ("a cat in the desert", "desert"),
        ("a cat on the beach", "beach"),
        ("a cat", None),
    ],
)
def test_backgrounds(prompt, background):
    scene = parse(prompt)
    assert (texts(scene), scene.background) == (["cat"], background)


@pytest.mark.parametrize(
    ("prompt", "background"),
    [
        ("sunset over the ocean", "sunset"),
        ("city at night", "night city"),
        ("new york city skyline", "city"),
        ("forest", "grass"),
        ("a starry night", "night sky"),
    ],
)
def test_a_prompt_may_name_a_place_only(prompt, background):
    scene = parse(prompt)
    assert (texts(scene), scene.background) == ([], background)


def test_a_field_of_things_is_things_on_the_grass():
    scene = parse("a sunflower field")
    assert (texts(scene), scene.background) == (["sunflower"], "grass")
    assert scene.subjects[0].plural


def test_places_that_do_not_go_together_are_told():
    scene = parse("a cat in the snow by the sea")
    assert (scene.background, scene.left_out) == ("snow", ("sea",))


@pytest.mark.parametrize(
    "prompt", ['a cat saying "hello there"', "a cat saying hello there", 'a cat, text "hi"']
)
def test_words_for_the_picture_are_no_things(prompt):
    scene = parse(prompt)
    assert (texts(scene), scene.lettering) == (["cat"], True)


@pytest.mark.parametrize(
    ("prompt", "style"),
    [
        ("a cat, 3d style", "3d"),
        ("a 3d cat", "3d"),
        ("3d render of a cat", "3d"),
        ("a flat style cat", "flat"),
        ("a flat cat", "flat"),
        ("flat vector illustration of a cat", "flat"),
        ("cartoon drawing of a cat", "shaded"),
        ("a cat, icon", "icon"),
        ("a cat", None),
    ],
)
def test_styles(prompt, style):
    scene = parse(prompt)
    assert (texts(scene), scene.style, scene.style_word) == (["cat"], style, None)


@pytest.mark.parametrize(
    ("prompt", "style", "word"),
    [
        ("drawing of a cat", "shaded", "drawing"),
        ("a cat, a drawing", "shaded", "drawing"),
        ("watercolor painting of a cat", "shaded", "watercolor"),
        ("pixel art cat", "flat", "pixel"),
        ("low poly cat", "flat", "low-poly"),
        ("photo of a cat", "3d", "photo"),
        ("a photorealistic cat", "3d", "photorealistic"),
    ],
)
def test_a_style_without_pictures_becomes_the_nearest(prompt, style, word):
    scene = parse(prompt)
    assert (texts(scene), scene.style, scene.style_word) == (["cat"], style, word)


@pytest.mark.parametrize(
    "prompt", ["a flat tire", "a pencil", "a pencil, a crayon", "an oil drum", "a painting"]
)
def test_things_are_no_styles(prompt):
    scene = parse(prompt, phrases={"oil drum"})
    assert scene.style is None
    assert scene.subjects


def test_known_titles_are_not_cut():
    assert texts(parse("a bow and arrow", phrases={"bow and arrow"})) == ["bow and arrow"]
    assert texts(parse("a pen and paper")) == ["pen", "paper"]


def test_emoji_are_read_by_the_names_of_their_pictures():
    emoji = {"\U0001f34e": "red apple", "\U0001f431": "cat face", "\u2764": "red heart"}
    prompt = "\U0001f34e\U0001f431\u2764\ufe0f"
    assert texts(parse(prompt, emoji=emoji)) == ["red apple", "cat face", "red heart"]
    assert parse("\U0001f431\U0001f431", emoji=emoji).subjects[0].count == 2
    assert texts(parse("\U0001f34e")) == ["red apple"]  # by its Unicode name


@pytest.mark.parametrize(
    "prompt",
    [
        "a" * 100_000,
        "a " * 50_000,
        "cat " * 50_000,
        "," * 100_000,
        "<" * 50_000,
        '"' * 50_000,
        "of " * 50_000,
        "in the " * 20_000,
        "black and white " * 20_000,
        "\ufdfa" * 4000,
        "\u0e33" * 4000,
        "a\u0301" * 4000,
        "\U0001f468\u200d" * 4000,
        "--" * 20_000,
        "1:1" * 20_000,
        "\u6c34" * 4000,
        "l'" * 20_000,
        "\u0648" * 4000,
        "\ud800\udfff\x00\x1b",
    ],
)
def test_hostile_prompts_take_no_longer_than_long_ones(prompt):
    scene = parse(prompt)  # a parser that is quadratic in them would run into the timeout
    assert len(scene.subjects) <= MAX_SUBJECTS
    assert len(read(prompt).words) <= MAX_WORDS


@given(st.text(max_size=2000))
def test_never_raises_and_stays_within_bounds(prompt):
    scene = parse(prompt)
    assert len(scene.subjects) <= MAX_SUBJECTS
    for subject in scene.subjects:
        assert subject.text
        assert len(subject.text) <= 120
        assert 1 <= subject.count <= MOST
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
        "full",
        "filled",
        "basket",
        "without",
        "no",
        "eyes",
        "saying",
        "flat",
        "photo",
        "field",
        "und",
        "auf",
        "el",
        "猫",
        "の上の",
        "собака",
        "고양이와",
    ]
)


@given(st.lists(WORDS, max_size=300).map(" ".join))
def test_any_order_of_known_words_is_read(prompt):
    assert len(parse(prompt).subjects) <= MAX_SUBJECTS
