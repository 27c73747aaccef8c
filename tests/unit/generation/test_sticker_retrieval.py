from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generation.sticker.aliases import aliases, kin
from generation.sticker.dataset import sentence_encoder
from generation.sticker.nouns import head, singular, tokens
from generation.sticker.references import PACK, References
from generation.sticker.retrieval import Retrieval
from generation.sticker.spelling import Spelling, real_words
from generation.sticker.vocabulary import vocabulary


@pytest.fixture(scope="module")
def references():
    with References() as opened:
        yield opened


@pytest.fixture(scope="module")
def by_words(references):
    return Retrieval(references)


@pytest.fixture(scope="module")
def by_meaning(references):
    return Retrieval(references, embed=sentence_encoder())


def test_words_become_singular_titles():
    assert [singular(w) for w in ("mice", "cherries", "boxes", "cats", "bus", "glass", "buses")] == [
        "mouse", "cherry", "box", "cat", "bus", "glass", "bus",
    ]  # fmt: skip
    assert singular("hot dogs") == "hot dog"
    assert tokens("The two cute Cats") == ["two", "cat"]
    assert head("pot of food") == "pot"


def test_every_name_leads_to_a_title(references):
    for table in (aliases(), kin()):
        assert [word for word, title in table.items() if title not in references.by_title] == []
    assert [name for name in kin() if name in aliases()] == []
    words = vocabulary()
    titles = [*words.containers, *words.buildings, *words.weather, *words.eyes, *words.seats, *words.anything]
    titles += [title for found in words.companions.values() for title in found]
    assert [title for title in titles if title not in references.by_title] == []


FOUND = [
    ("apple", "red apple"),
    ("cat", "cat"),
    ("cats", "cat"),
    ("puppy", "dog"),
    ("spaceship", "rocket"),
    ("plane", "airplane"),
    ("bike", "bicycle"),
    ("plate", "plate"),
    ("palm tree", "palm tree"),
    ("police car", "police car"),
    ("sea turtle", "turtle"),
    ("wooden chair", "chair"),
    ("ferris wheel", "ferris wheel"),
    ("unicorn", "unicorn"),
    ("train", "locomotive"),
    ("snow man", "snowman"),
    ("sea lion", "seal"),
    ("wifi", "wireless"),
    ("angry little face", "angry face"),
    ("dog's birthday party", "party popper"),
]


@pytest.mark.parametrize(("words", "title"), FOUND)
def test_words_alone_find_common_things(by_words, words, title):
    match = by_words.find(words)
    assert (match.title, match.known) == (title, True)


@pytest.mark.parametrize(
    ("words", "title"),
    [*FOUND, ("gato", "cat"), ("Hund", "dog"), ("köpek", "dog"), ("bir araba", "automobile")],
)
def test_embeddings_find_them_too_and_other_languages(by_meaning, words, title):
    match = by_meaning.find(words)
    assert (match.title, match.known) == (title, True)


@pytest.mark.parametrize(
    "words", ["gryphon", "quantum entanglement", "asdf qwer", "dragon fruit", "eiffel tower"]
)
def test_what_is_not_there_is_not_claimed(by_words, by_meaning, words):
    for retrieval in (by_words, by_meaning):
        match = retrieval.find(words)
        assert match is None or not match.known


@pytest.mark.parametrize(
    ("words", "title"),
    [("gryphon", "eagle"), ("coffee shop", "hot beverage"), ("cat dj", "cat"), ("lkjlkj cat qwqwqw", "cat")],
)
def test_the_nearest_is_offered(by_words, words, title):
    match = by_words.find(words)
    assert (match.title, match.known) == (title, False)


@pytest.mark.parametrize(
    ("words", "color", "title"),
    [
        ("apple", "green", "green apple"),
        ("heart", "blue", "blue heart"),
        ("cat", "black", "black cat"),
        ("heart", None, "red heart"),
        ("flower", "white", "hibiscus"),  # the title "white flower" is a stamp
    ],
)
def test_a_color_may_be_part_of_a_title(by_words, words, color, title):
    assert by_words.find(words, color=color).title == title


def test_words_that_a_picture_does_not_show_are_told(by_words):
    assert by_words.find("steampunk owl").missing == ("steampunk",)
    assert by_words.find("vampire bat").missing == ()  # one of its keywords
    assert by_words.find("kangaroo boxing").title == "kangaroo"


@pytest.mark.parametrize(
    ("words", "title", "read_as"),
    [
        ("elefant", "elephant", "elephant"),
        ("buterfly", "butterfly", "butterfly"),
        ("catt", "cat", "cat"),
        ("unikorn", "unicorn", "unicorn"),
        ("rhinocerus", "rhinoceros", "rhinoceros"),
        ("bluberry pie", "pie", "blueberry pie"),
    ],
)
def test_misspelled_words_are_read(by_words, words, title, read_as):
    match = by_words.find(words)
    assert (match.title, match.read_as) == (title, read_as)


def test_real_words_are_not_corrected():
    spelling = Spelling(["shell", "hamster", "cat"], real={"spell"})
    assert [spelling.correct(w) for w in ("shlel", "shell", "spell", "hipster", "ca", "x" * 500)] == [
        "shell", None, None, None, None, None,
    ]  # fmt: skip
    assert "spell" in real_words(PACK.parent / "model" / "tokenizer" / "tokenizer.json")
    assert real_words(PACK.parent / "missing.json") == frozenset()


@given(st.text(max_size=80))
def test_anything_may_be_asked(text):
    spelling = Spelling(["shell", "hamster"])
    assert spelling.correct(text) in {None, "shell", "hamster"}


@pytest.mark.parametrize(
    "words", ["", " ", "x", "\U0001f984" * 50, "of the of", "a" * 500, "'s", "-", "12345"]
)
def test_odd_words_are_survived(by_words, words):
    match = by_words.find(words)
    assert match is None or match.title
