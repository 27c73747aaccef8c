"""Policies are validated with the field and the line, and their version is a digest of what they say."""

from __future__ import annotations

import pytest

from moderation.errors import PolicyError
from moderation.policy import PRESETS, Policy
from moderation.types import Action, Category


@pytest.mark.parametrize("name", [None, *PRESETS])
def test_presets_cover_every_category_with_words(name):
    policy = Policy.load(name)
    assert set(policy.categories) == set(Category)
    for category in Category:
        clause = policy.clause(policy.of(category).clause)
        assert clause.title
        assert clause.text
        assert clause.source
    assert policy.clause("openrail-attachment-a/k").source.startswith("Open RAIL-M")


def test_the_workplace_is_stricter():
    community, workplace = Policy.load("community"), Policy.load("workplace")
    for category in Category:
        if category not in {Category.EVASION, Category.TRADEMARK}:
            assert workplace.of(category).hold <= community.of(category).hold
            assert workplace.of(category).block <= community.of(category).block


@pytest.mark.parametrize(("score", "action"), [(0.0, 0), (0.49, 0), (0.5, 1), (0.89, 1), (0.9, 2), (1.0, 2)])
def test_bands(score, action):
    assert Policy.load().of(Category.VIOLENCE).action(score) == action


def test_a_ceiling_caps_the_action():
    policy = Policy.load()
    assert policy.of(Category.TRADEMARK).action(1.0) is Action.HOLD
    assert policy.of(Category.ARTIST_STYLE).action(1.0) is Action.ALLOW


def test_age_restricted_channels_have_their_own_bands():
    policy = Policy.load()
    assert policy.of(Category.SEXUAL).action(0.7) is Action.HOLD
    assert policy.of(Category.SEXUAL, age_restricted=True).action(0.7) is Action.ALLOW
    assert policy.of(Category.VIOLENCE, age_restricted=True).action(0.7) is Action.HOLD


def test_a_file_extends_a_preset(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text(
        'extends = "workplace"\nname = "mine"\n[category.violence]\non = false\n'
        '[category.hate]\nclause = "house/ours"\n[clause."house/ours"]\ntitle = "Ours"\ntext = "Be kind."\n'
    )
    policy = Policy.load(file)
    assert policy.name == "mine"
    assert policy.of(Category.VIOLENCE).action(1.0) is Action.ALLOW
    assert policy.of(Category.SEXUAL) == Policy.load("workplace").of(Category.SEXUAL)
    assert policy.clause(policy.of(Category.HATE).clause).text == "Be kind."


def test_the_version_follows_the_content_and_nothing_else():
    base = 'extends = "community"\nname = "a"\n[category.hate]\nhold = 0.4\n'
    first = Policy.parse(base).version
    assert Policy.parse("# a remark\n\n" + base.replace(" = ", "=")).version == first
    assert Policy.parse(base.replace("0.4", "0.41")).version != first
    assert len(first) == 64


@pytest.mark.parametrize(
    ("text", "field", "line"),
    [
        ("", "", None),
        ("schema = 1\n", "", None),
        ("schema = 2\n[category.hate]\n", "schema", 1),
        ('extends = "nothing"\n', "extends", 1),
        ('extends = "community"\nsurprise = 1\n', "surprise", 2),
        ('extends = "community"\n[category.hate]\nhold = 0.3\nblok = 0.9\n', "category.hate.blok", 4),
        ('extends = "community"\n[category.hate]\nhold = "low"\n', "category.hate.hold", 3),
        ('extends = "community"\n[category.hate]\nhold = true\n', "category.hate.hold", 3),
        ('extends = "community"\n[category.hate]\nhold = nan\n', "category.hate.hold", 3),
        ('extends = "community"\n[category.hate]\n\nhold = 0.9\nblock = 0.3\n', "category.hate.hold", 4),
        ('extends = "community"\n[category.hate]\naction = "explode"\n', "category.hate.action", 3),
        ('extends = "community"\n[category.evasion]\naction = "block"\n', "category.evasion.action", 3),
        ('extends = "community"\n[category.minors]\non = false\n', "category.minors.on", 3),
        ('extends = "community"\n[category.minors]\nblock = 1.0\n', "category.minors.block", 3),
        ('extends = "community"\n[category.nonsense]\non = true\n', "category.nonsense", 2),
        ('extends = "community"\n[category.hate]\nclause = "house/nowhere"\n', "category.hate.clause", None),
        ('extends = "community"\n[clause."house/x"]\ntitle = "t"\n', "clause.house/x.text", 2),
        ('extends = "community"\n[strikes]\ntimeouts_s = [60, 10]\n', "strikes.timeouts_s", 3),
        ('extends = "community"\n[strikes]\nper_timeout = 0\n', "strikes.per_timeout", 3),
        ('extends = "community"\ncategory = 3\n', "category", 2),
        ("[category.hate]\nhold = 0.5\n", "category.sexual", None),
        ("not toml at all\n", "", 1),
    ],
)
def test_a_bad_policy_names_field_and_line(text, field, line):
    with pytest.raises(PolicyError) as caught:
        Policy.parse(text)
    assert caught.value.field == field
    assert caught.value.line == line
    assert field in str(caught.value)


def test_a_policy_that_checks_nothing_is_refused():
    off = "".join(f"[category.{c}]\non = false\n" for c in Category if c is not Category.MINORS)
    with pytest.raises(PolicyError, match="empty"):
        Policy.parse('extends = "community"\n' + off)


@pytest.mark.parametrize("content", [None, b"\xff\xfe", b"#" * (1024 * 1024 + 1)])
def test_an_unreadable_file_is_a_policy_error(tmp_path, content):
    file = tmp_path / "policy.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(PolicyError) as caught:
        Policy.load(file)
    assert caught.value.path == str(file)


def test_deep_nesting_is_a_policy_error():
    with pytest.raises(PolicyError):
        Policy.parse("a = " + "[" * 100_000)


def test_an_unknown_clause_is_a_policy_error():
    with pytest.raises(PolicyError):
        Policy.load().clause("house/nowhere")


def test_findings_carry_clause_advice_and_clamped_score():
    finding = Policy.load().finding(rule="r", category=Category.HATE, score=7.0)
    assert (finding.score, finding.action) == (1.0, Action.BLOCK)
    assert (finding.clause, finding.advice) == ("house/hate", "hate")
