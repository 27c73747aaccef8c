"""Names are found in full and in any case; ordinary words never are."""

from __future__ import annotations

import tomllib
from importlib import resources

import pytest

from moderation.entities import load_entities
from moderation.errors import RuleDataError
from moderation.normalize import normalize
from moderation.policy import Policy
from moderation.rules.base import Context, Tools
from moderation.rules.names import NamesRule
from moderation.types import Action, Category, PromptContent, Scope


def kinds(text: str) -> set[str]:
    return {named.kind for named in load_entities().find(normalize(text))}


def test_the_first_list_is_large_enough():
    text = (resources.files("moderation") / "data" / "entities.toml").read_text("utf-8")
    count: dict[str, int] = {}
    for group in tomllib.loads(text)["group"]:
        count[group["kind"]] = count.get(group["kind"], 0) + len(set(group["names"]))
    assert count["person"] >= 200
    assert count["brand"] + count["character"] >= 120
    assert count["artist"] >= 150
    assert {e.reason for e in load_entities().entries} >= {"artist/living", "artist/dead"}


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
        ("the coca-cola logo", "brand"),
        ("pikachu in the rain", "character"),
        ("spider-man over the city", "character"),
        ("by greg rutkowski and artgerm", "artist"),
        ("j. m. w. turner landscape", "artist"),
        ("rené magritte", "artist"),
        ("rene magritte", "artist"),
    ],
)
def test_names_are_found(text, kind):
    assert kind in kinds(text)


@pytest.mark.parametrize(
    "text",
    [
        "a spider, man in the background",
        "a swift bird by taylor, the tailor",
        "a turner turning wood",
        "apple on a table",
        "a tesla coil, an amazon river, a target, an orange",
        "the shell of a jaguar, a puma and a dove",
        "prince and queen in a castle, madonna lilies, pink and sting ray",
        "a bush, a ford across the river, a wood carter, mercury and venus",
        "iron gate, man at work",
        "a moebius strip, titian red hair",
    ],
)
def test_ordinary_words_are_not(text):
    assert kinds(text) == set()


def test_the_longest_name_wins():
    found = load_entities().find(normalize("king charles iii waving"))
    assert [named.name for named in found] == ["king charles iii"]


@pytest.mark.parametrize(
    ("text", "policy", "category", "action"),
    [
        ("a photo of tom hanks", "community", Category.REAL_PERSON, Action.HOLD),
        ("a photo of tom hanks", "workplace", Category.REAL_PERSON, Action.BLOCK),
        ("albert einstein on a bicycle", "community", Category.REAL_PERSON, Action.ALLOW),
        ("pikachu in the rain", "community", Category.TRADEMARK, Action.ALLOW),
        ("a can of coca-cola", "community", Category.TRADEMARK, Action.ALLOW),
        ("the coca-cola logo on a wall", "community", Category.TRADEMARK, Action.HOLD),
        ("a castle by greg rutkowski", "community", Category.ARTIST_STYLE, Action.ALLOW),
        ("a castle by claude monet", "workplace", Category.ARTIST_STYLE, Action.ALLOW),
    ],
)
def test_presets(text, policy, category, action):
    rule = NamesRule.open(Tools())
    (finding,) = rule.check(PromptContent(text=text), Scope(), Context(Policy.load(policy)))
    assert (finding.category, finding.action) == (category, action)
    assert finding.score >= Policy.load(policy).of(category).note


def test_a_single_word_needs_its_own_group(tmp_path):
    (tmp_path / "entities.toml").write_text('[[group]]\nkind="person"\nlabel="x"\nnames=["Prince"]\n')
    with pytest.raises(RuleDataError, match="single"):
        load_entities(tmp_path)


def test_an_unknown_kind_is_refused(tmp_path):
    (tmp_path / "entities.toml").write_text('[[group]]\nkind="pet"\nlabel="x"\nnames=["Tom Cat"]\n')
    with pytest.raises(RuleDataError, match="kind"):
        load_entities(tmp_path)
