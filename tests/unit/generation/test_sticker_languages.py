from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generation.sticker.aliases import aliases, kin
from generation.sticker.languages import LATIN, fold, language, translate
from generation.sticker.parsing import parse
from generation.sticker.prompt import Layout
from generation.sticker.references import References
from generation.sticker.vocabulary import vocabulary

CODES = (*LATIN, "ru", "ar", "hi", "ko", "ja", "zh")


def read(prompt):
    """Each subject as (count, color, text, relation), and the background."""
    scene = parse(prompt, phrases={"red apple", "black cat", "green apple"})
    subjects = [
        (s.count, s.color, s.text, s.relation.value if s.relation is not Layout.BESIDE else "")
        for s in scene.subjects
    ]
    return subjects, scene.background


RED_APPLE = (1, None, "red apple", "")
BLACK_CAT = (1, None, "black cat", "")


@pytest.mark.parametrize(
    ("prompt", "subjects", "background"),
    [
        # German
        ("ein roter Apfel auf einem blauen Teller", [RED_APPLE, (1, "blue", "plate", "on")], None),
        ("zwei Hunde auf grünem Gras", [(2, None, "dog", "")], "grass"),
        ("blauer Hintergrund, gelber Stern", [(1, "yellow", "star", "")], "blue"),
        ("eine Katze und ein Hund am Strand", [(1, None, "cat", ""), (1, None, "dog", "")], "beach"),
        ("ein Haus links von einem Baum", [(1, None, "house", ""), (1, None, "tree", "left")], None),
        ("ein dunkelblaues Auto in der Stadt", [(1, "dark blue", "car", "")], "city"),
        ("Sonnenuntergang am Meer", [], "sunset"),
        # French
        ("un chat noir sous un ciel étoilé", [(1, "black", "cat", "")], "night sky"),
        ("deux chiens rouges", [(2, "red", "dog", "")], None),
        ("un éléphant bleu sur fond jaune", [(1, "blue", "elephant", "")], "yellow"),
        ("un chat à gauche d'un chien", [(1, None, "cat", ""), (1, None, "dog", "left")], None),
        ("un robot qui mange une pizza", [(1, None, "robot", ""), (1, None, "pizza", "")], None),
        ("l'oiseau dans la neige", [(1, None, "bird", "")], "snow"),
        # Spanish
        ("tres gatos negros", [(3, "black", "cat", "")], None),
        ("una manzana roja sobre una mesa", [(1, "red", "apple", ""), (1, None, "table", "on")], None),
        ("un perro azul en la playa", [(1, "blue", "dog", "")], "beach"),
        ("un pájaro a la derecha de una casa", [(1, None, "bird", ""), (1, None, "house", "right")], None),
        # Italian
        ("tre mele rosse su un tavolo", [(3, "red", "apple", ""), (1, None, "table", "on")], None),
        ("un gatto nero sotto le stelle", [(1, "black", "cat", "")], "night sky"),
        ("un cane nella neve", [(1, None, "dog", "")], "snow"),
        # Portuguese
        ("um cachorro azul na praia", [(1, "blue", "dog", "")], "beach"),
        ("duas maçãs vermelhas", [(2, "red", "apple", "")], None),
        ("quatro flores amarelas", [(4, "yellow", "flower", "")], None),
        # Dutch
        ("twee honden op het gras", [(2, None, "dog", "")], "grass"),
        ("een zwarte kat in de sneeuw", [BLACK_CAT], "snow"),
        ("een rode vogel boven een huis", [(1, "red", "bird", ""), (1, None, "house", "above")], None),
        # Polish
        ("trzy małe psy", [(3, None, "dog", "")], None),
        ("czerwone jabłko na niebieskim talerzu", [RED_APPLE, (1, "blue", "plate", "on")], None),
        ("niebieski samochód w mieście", [(1, "blue", "car", "")], "city"),
        # Russian
        ("два кота", [(2, None, "cat", "")], None),
        ("красная машина в городе", [(1, "red", "car", "")], "city"),
        ("собака слева от кошки", [(1, None, "dog", ""), (1, None, "cat", "left")], None),
        ("синий дом ночью", [(1, "blue", "house", "")], "night sky"),
        # Arabic
        ("ثلاثة كلاب", [(3, None, "dog", "")], None),
        ("قطتان", [(2, None, "cat", "")], None),
        ("تفاحة حمراء على الطاولة", [(1, "red", "apple", ""), (1, None, "table", "on")], None),
        ("كلب وقطة في البحر", [(1, None, "dog", ""), (1, None, "cat", "")], "sea"),
        # Hindi
        ("दो बिल्लियाँ", [(2, None, "cat", "")], None),
        ("एक कुत्ता घास पर", [(1, None, "dog", "")], "grass"),
        ("नीला घर", [(1, "blue", "house", "")], None),
        ("मेज पर किताब", [(1, None, "book", ""), (1, None, "table", "on")], None),
        # Japanese
        ("赤いりんご", [RED_APPLE], None),
        ("三匹の犬", [(3, None, "dog", "")], None),
        ("夜空の下の黒い猫", [BLACK_CAT], "night sky"),
        ("雪の中のペンギン", [(1, None, "penguin", "")], "snow"),
        ("青い車と赤い家", [(1, "blue", "car", ""), (1, "red", "house", "")], None),
        ("ビーチの亀", [(1, None, "turtle", "")], "beach"),
        ("机の上の本", [(1, None, "book", ""), (1, None, "table", "on")], None),
        # Korean
        ("빨간 사과", [RED_APPLE], None),
        ("고양이 두 마리", [(2, None, "cat", "")], None),
        ("고양이와 강아지", [(1, None, "cat", ""), (1, None, "dog", "")], None),
        ("파란 배경의 강아지", [(1, None, "dog", "")], "blue"),
        ("해변의 거북이", [(1, None, "turtle", "")], "beach"),
        ("책상 위의 고양이", [(1, None, "cat", ""), (1, None, "table", "on")], None),
        # Chinese
        ("红苹果", [RED_APPLE], None),
        ("两只猫", [(2, None, "cat", "")], None),
        ("蓝色的大象", [(1, "blue", "elephant", "")], None),
        ("雪地里的狗", [(1, None, "dog", "")], "snow"),
        ("桌子上的猫", [(1, None, "cat", ""), (1, None, "table", "on")], None),
        ("海边的日落", [], "sunset"),
    ],
)
def test_colors_numbers_relations_and_backgrounds_of_other_languages(prompt, subjects, background):
    assert read(prompt) == (subjects, background)


@pytest.mark.parametrize(
    "prompt",
    [
        "a cat on the mat",
        "a rose in a vase",
        "a boot and a hat",
        "pizza margherita",
        "see the sun",
        "a chat with a man",
        "no",
        "a beer and a sole",
    ],
)
def test_english_stays_english(prompt):
    words = prompt.split()
    assert translate(words).words == words
    assert not translate(words).foreign


def test_unknown_nouns_stay_as_they_are_for_the_encoder():
    assert translate(["ein", "roter", "schornstein"]).words == ["red", "schornstein"]
    assert translate(["とうもろこし"]).words == ["とうもろこし"]  # its first letter alone means "and"


def test_accents_may_be_missing():
    assert read("un pajaro amarillo") == ([(1, "yellow", "bird", "")], None)
    assert fold("é") == "e"


@pytest.mark.parametrize("code", CODES)
def test_every_word_of_a_table_means_something(code):
    with References() as references:
        known = {*references.by_title, *aliases(), *kin()}
    words = vocabulary().english
    spoken = language(code)
    table = spoken.characters or spoken.phrases
    assert len(table) > 250
    for target in table.values():
        name = " ".join(target)
        assert (
            name in known
            or all(word in words or word == "background" or word.endswith("<") for word in target)
            or name in {"two cat", "two dog"}
        ), name


@pytest.mark.parametrize("code", CODES)
def test_every_language_knows_colors_numbers_and_all_backgrounds(code):
    spoken = language(code)
    targets = set((spoken.characters or spoken.phrases).values())
    plain = "red orange yellow green teal blue purple pink brown beige white gray black two three four five"
    for word in f"{plain} small big grass sea beach snow sunset city night background".split():
        assert (word,) in targets, word


LETTERS = "aeinrstl ñéçßł'-дкошкаёقطةالوलालसेब고양이猫の上と里"


@given(st.text(alphabet=LETTERS, max_size=300))
def test_any_mixture_of_scripts_is_read(text):
    assert isinstance(translate(text.split()).words, list)
