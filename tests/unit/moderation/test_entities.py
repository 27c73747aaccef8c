"""Names are found in full, in any case and script; ordinary words never are."""

from __future__ import annotations

import re
import tomllib
from importlib import resources

import pytest

from moderation.entities import load_entities
from moderation.errors import RuleDataError
from moderation.name_forms import forms, without_accents
from moderation.normalize import normalize

UNSPACED = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
FOLDER = resources.files("moderation") / "data" / "entities"


def shipped(key):
    """The rows of one kind from every file of the folder."""
    return [row for file in FOLDER.iterdir() for row in tomllib.loads(file.read_text("utf-8")).get(key, ())]


GROUPS = shipped("group")
ALSO = shipped("also")
LIST = load_entities()


def kinds(text: str) -> set[str]:
    return {named.kind for named in LIST.find(normalize(text))}


def a_folder(tmp_path, text):
    (tmp_path / "entities").mkdir()
    (tmp_path / "entities" / "own.toml").write_text(text, "utf-8")
    return tmp_path


def letters(name: str) -> str:
    return "".join(c for c in name if not (c.isspace() or (re.match(r"[^\w]", c) and c.isascii())))


def test_the_lists_are_large_enough():
    count: dict[str, int] = {}
    for group in GROUPS:
        count[group["kind"]] = count.get(group["kind"], 0) + len(group["names"])
    assert count["person"] >= 1500
    assert count["brand"] + count["character"] >= 600
    assert count["artist"] >= 600
    assert len(ALSO) >= 200
    assert {g["label"] for g in GROUPS if g["kind"] == "artist"} == {"living", "dead"}
    assert "historic" in {g["label"] for g in GROUPS if g["kind"] == "person"}


def test_no_name_is_listed_twice():
    seen: dict[str, str] = {}
    for group in GROUPS:
        for name in group["names"]:
            key = " ".join(re.findall(r"\w+", without_accents(name).lower()))
            assert key not in seen, f"{name} in {group['label']} and {seen.get(key)}"
            seen[key] = group["label"]


def test_a_spelling_belongs_to_one_name():
    seen: dict[str, str] = {}
    for row in ALSO:
        for spelling in row["names"]:
            assert seen.setdefault(spelling, row["name"]) == row["name"]


def test_single_words_are_marked_and_long_enough():
    for group in GROUPS:
        for name in group["names"]:
            words = re.findall(r"\w+", name)
            assert (len(words) == 1) == group.get("single", False), name
            assert len("".join(words)) >= 4, name
    for row in ALSO:
        for spelling in row["names"]:
            assert len(letters(spelling)) >= (3 if UNSPACED.search(spelling) else 4), spelling


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("a photo of taylor swift's cat", "person"),
        ("ANGELA MERKEL in a garden", "person"),
        ("beyonce on stage", "person"),
        ("Beyoncé on stage", "person"),
        ("robert downey jr. as a chef", "person"),
        ("ｔｏｍ　ｈａｎｋｓ", "person"),
        ("t o m h a n k s", "person"),
        ("#TomHanks", "person"),
        ("markus soeder, Markus Söder", "person"),
        ("jfk was john f. kennedy", "person"),
        ("president trump at a desk", "person"),
        ("king charles in a garden", "person"),
        ("the coca-cola logo", "brand"),
        ("dolce and gabbana dress", "brand"),
        ("a red bull can", "brand"),
        ("pikachu in the rain", "character"),
        ("spider - man over the city", "character"),
        ("the joker from gotham", "character"),
        ("mr. bean on holiday", "character"),
        ("by greg rutkowski and artgerm", "artist"),
        ("j. m. w. turner landscape", "artist"),
        ("jmw turner landscape", "artist"),
        ("rené magritte", "artist"),
        ("rene magritte", "artist"),
        ("simon stalenhag", "artist"),
        ("poster by mucha", "artist"),
        ("an illustration by dr. seuss x saul bass", "artist"),
    ],
)
def test_names_are_found(text, kind):
    assert kind in kinds(text)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("портрет Дональда Трампа маслом", "person"),
        ("Владимир Зеленский с Ангелой Меркель", "person"),
        ("صورة لدونالد ترامب", "person"),
        ("انجلينا جولي في حديقة", "person"),
        ("नरेंद्र मोदी की तस्वीर", "person"),
        ("マーク・ザッカーバーグの肖像", "person"),
        ("ドナルドトランプの写真", "person"),
        ("大谷翔平がバットを持つ", "person"),
        ("손흥민이 축구를 한다", "person"),
        ("特朗普在花园里", "person"),
        ("Гарри Поттера на метле", "character"),
        ("ピカチュウが走る", "character"),
        ("포켓몬이 있는 숲", "character"),
        ("米老鼠和朋友", "character"),
        ("हैरी पॉटर किताब पढ़ता है", "character"),
        ("في بيت هاري بوتر", "character"),
        ("в стиле Ван Гога", "artist"),
        ("宮崎駿の森", "artist"),
        ("毕加索风格的猫", "artist"),
    ],
)
def test_names_are_found_in_other_scripts(text, kind):
    assert kind in kinds(text)


@pytest.mark.parametrize(
    "text",
    [
        "a spider, man in the background",
        "a swift bird by taylor, the tailor",
        "a turner turning wood",
        "apple on a table, an orange and a mango",
        "a tesla coil, an amazon river, a target, an orange",
        "the shell of a jaguar, a puma and a dove in the gap",
        "prince and queen in a castle, madonna lilies, pink and sting ray",
        "a bush, a ford across the river, a wood carter, mercury and venus",
        "iron gate, man at work",
        "a moebius strip, titian red hair, rembrandt lighting",
        "a drake on the pond, jordan river, rose gold ring, amber rose petals",
        "a green lantern, a black widow spider and a black panther in the jungle",
        "a red bull charging, a new balance of light, chainmail under armour",
        "the doctor who treats a child's cold, a big bird among us",
        "a cavalier king charles spaniel on a sofa, prince edward island",
        "winged nike of samothrace, hermes the greek god",
        "an old man ray tracing render",
        "muddy waters of the river, the north face of the mountain",
        "een man klimt op een berg",
        "muchas flores y mucha luz, un lego en la materia",
        "Anne will ein Eis, es war so lang, lang her, viel Gaudi",
        "une photo qui va durer, un poussin jaune au carrefour",
        "una struttura metallica, ducati d'oro",
        "head & shoulders portrait, shrimp on the barbie, a storm, a rogue and venom",
        "trump card and a musk deer near a macron sign",
        "女の子が猫と遊ぶ、夏の海",
        "고양이가 창가에 앉아 있다",
        "一个女孩在花园里画画",
    ],
)
def test_ordinary_words_are_not(text):
    assert kinds(text) == set()


def test_the_longest_name_wins():
    found = LIST.find(normalize("king charles iii waving, henri cartier-bresson"))
    assert [named.name for named in found] == ["king charles iii", "henri cartier bresson"]


def test_a_person_within_another_name_stays_a_person(tmp_path):
    own = load_entities(
        a_folder(
            tmp_path,
            '[[group]]\nkind="person"\nlabel="x"\nnames=["Zora Bell"]\n'
            '[[group]]\nkind="brand"\nlabel="y"\nnames=["Zora Bell Shoes", "Bell Shoes"]\n',
        )
    )
    assert {n.name for n in own.find(normalize("zora bell shoes"))} == {"zora bell", "zora bell shoes"}


def test_contexts_say_when_a_name_counts(tmp_path):
    group = '[[group]]\nkind="brand"\nlabel="x"\nsingle=true\nnames=["Zorble"]\n'
    own = load_entities(
        a_folder(tmp_path, f'{group}needs=["Logo"]\n[[also]]\nname="Zorble"\nnames=["Зорбл"]\n')
    )
    assert [n.name for n in own.find(normalize("a zorble, logo"))] == ["zorble"]
    assert own.find(normalize("a zorble on the beach, зорбл")) == ()
    assert [n.name for n in own.find(normalize("зорбл logo"))] == ["зорбл"]


@pytest.mark.parametrize(
    ("name", "spelling"),
    [
        ("Søren Kierkegaard", "Soren Kierkegaard"),
        ("Jürgen Klopp", "juergen klopp"),
        ("J. R. R. Tolkien", "JRR Tolkien"),
        ("Dolce & Gabbana", "Dolce and Gabbana"),
        ("Tom Hanks", "TomHanks"),
        ("أنجلينا جولي", "وانجلينا جولي"),
        ("Михаил Горбачёв", "Михаил Горбачев"),
        ("मार्क ज़करबर्ग", "मार्क जकरबर्ग"),
        ("トム・ハンクス", "トムハンクス"),
    ],
)
def test_spellings(name, spelling):
    assert forms(name)[0] == name
    assert spelling in forms(name)


def test_short_names_are_not_run_together():
    assert forms("Jet Li") == ("Jet Li",)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('[[group]]\nkind="person"\nlabel="x"\nnames=["Prince"]\n', "single"),
        ('[[group]]\nkind="pet"\nlabel="x"\nnames=["Tom Cat"]\n', "kind"),
        ('[[also]]\nname="Nobody Known"\nnames=["Никто"]\n', "in no group"),
        ("[[group", "not TOML"),
    ],
)
def test_what_cannot_be_used_is_refused(tmp_path, text, complaint):
    with pytest.raises(RuleDataError, match=complaint):
        load_entities(a_folder(tmp_path, text))


def test_a_folder_without_lists_is_refused(tmp_path):
    (tmp_path / "entities").mkdir()
    with pytest.raises(RuleDataError, match="no list"):
        load_entities(tmp_path)
