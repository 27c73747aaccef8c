"""Word lists: word boundaries, contexts, views; and the lists that ship."""

from __future__ import annotations

import pytest

from moderation.errors import RuleDataError
from moderation.normalize import normalize
from moderation.terms import Entry, TermList, load_terms
from moderation.types import Category


def a_list(*terms: str, **values: object) -> TermList:
    return TermList([Entry(category=Category.VIOLENCE, severity="hold", terms=terms, **values)])


def hits(terms: TermList, text: str) -> list[str]:
    return [match.term for match in terms.find(normalize(text))]


def test_a_term_counts_only_as_a_whole_word():
    terms = a_list("zorble")
    assert hits(terms, "a zorble here") == ["zorble"]
    assert hits(terms, "azorble zorbled") == []


def test_plurals_of_english_terms_are_included():
    assert hits(a_list("zorble"), "two zorbles") == ["zorbles"]
    assert hits(a_list("zorble", lang="de"), "zwei zorbles") == []


def test_phrases_match_across_signs_and_lines():
    assert hits(a_list("zorble fnord"), "a Zorble-Fnord\nand zorble\n fnord") == ["zorble fnord"] * 2


def test_scripts_without_spaces_need_no_boundary():
    assert hits(a_list("裸体", lang="zh"), "床上的裸体女人") == ["裸体"]


def test_place_in_the_original():
    (match,) = a_list("zorble").find(normalize("  a z\u200borble!"))
    assert (match.start, match.end) == (4, 11)


@pytest.mark.parametrize(
    ("values", "text", "counts"),
    [
        ({"after": frozenset({"palette"})}, "zorble color palette", False),
        ({"after": frozenset({"palette"})}, "zorble on a big palette", True),
        ({"before": frozenset({"great"})}, "a great zorble", False),
        ({"before": frozenset({"great"})}, "great is the zorble", True),
        ({"near": frozenset({"bird feeder"})}, "zorble at the bird feeder", False),
        ({"near": frozenset({"bird feeder"})}, "zorble" + " x" * 60 + " bird feeder", True),
        ({"needs": frozenset({"how to make"})}, "how to make a zorble", True),
        ({"needs": frozenset({"how to make"})}, "a zorble", False),
    ],
)
def test_contexts(values, text, counts):
    assert bool(hits(a_list("zorble", **values), text)) is counts


def test_a_context_far_away_does_not_excuse_a_second_hit():
    terms = a_list("zorble", after=frozenset({"palette"}))
    assert hits(terms, "zorble palette, then a zorble") == ["zorble"]


@pytest.mark.parametrize(
    "text", ["z0rble", "z o r b l e", "zоrble", "z*rble", "ZORBLE", "zooorble", "zor-ble"]
)
def test_disguised_terms_are_found(text):
    assert set(hits(a_list("zorble"), text)) == {"zorble"}


@pytest.mark.parametrize(
    "text", ["z o r b l e z o r b l e", "a t a l l z o r b l e m a n", "a.z.o.r.b.l.e.x"]
)
def test_a_whole_sentence_pulled_apart_is_searched_without_boundaries(text):
    assert "zorble" in hits(a_list("zorble"), text)
    assert hits(a_list("man"), "a w o m a n") == []


@pytest.mark.parametrize("text", ["a *orble", "a z*rble", "a zorbl*"])
def test_any_single_letter_may_be_masked(text):
    assert hits(a_list("zorble", "quibble"), text) == ["zorble"]


def test_an_empty_list_finds_nothing():
    assert hits(TermList([]), "zorble") == []


def test_a_hit_in_many_views_is_one_hit():
    assert len(a_list("zorble").find(normalize("zorble n0w sóoo g-o-o-d"))) == 1


@pytest.mark.parametrize(
    "name",
    ["lexicon.toml", "minors.toml", "adult.toml", "removal.toml", "people.toml", "name_contexts.toml"],
)
def test_shipped_lists_load_and_every_entry_has_a_reason(name):
    entries = load_terms(name).entries
    assert entries
    assert all(entry.reason for entry in entries)
    assert all(term == term.strip() and term for entry in entries for term in entry.terms)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[[entry]]\ncategory='sexual'\nterms=[]", "terms"),
        ("[[entry]]\ncategory='nonsense'\nterms=['a']", "category"),
        ("[[entry]]\ncategory='sexual'\nseverity='worse'\nterms=['a']", "severity"),
        ("[[entry]]\ncategory='sexual'\nterms=['a']\nnear=['@nowhere']", "@nowhere"),
        ("[[entry]]\ncategory='sexual'\nterms=['a']\nextra=1", "extra"),
        ("[[entry]\n", "TOML"),
        ("entry = 3", "entry"),
    ],
)
def test_a_malformed_list_is_named(tmp_path, text, reason):
    (tmp_path / "lexicon.toml").write_text(text)
    with pytest.raises(RuleDataError, match=reason):
        load_terms("lexicon.toml", tmp_path)


def test_a_list_that_is_not_text_is_named(tmp_path):
    (tmp_path / "lexicon.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RuleDataError, match="cannot be read"):
        load_terms("lexicon.toml", tmp_path)


HARMLESS = """\
a peg board with tools|grilled chicken breast recipe|a killer whale|a blood orange|nude lipstick color palette
nude heels on a rack|a naked mole rat|great tits at a bird feeder|a cock crowing on the farm, a rooster
pussy willow branches|a murder of crows|murder mystery dinner party|bath bomb step by step tutorial
rapeseed field in bloom|the gory details, gore-tex jacket|al gore giving a speech|a maine coon cat
hindu temple with a swastika|suicide squad movie poster|suicide prevention hotline poster|poison ivy
magna cum laude diploma|sex education class poster|anti racism poster, stop racism|cocktail shaker
how to make a bath bomb|glue gun tutorial|a corpse flower in bloom|corpse pose in yoga
heroin awareness campaign|breast cancer awareness ribbon|visible to the naked eye
a chink in the armor|a dyke along the river, flood protection|shooting star over a lake
a superhero saving a cat|seed bomb workshop guide|hanging gardens|a noose knot diagram""".replace(
    "\n", "|"
).split("|")


@pytest.mark.parametrize("text", HARMLESS)
def test_look_alikes_are_no_hits(text):
    found = [(m.term, m.entry.category) for m in load_terms("lexicon.toml").find(normalize(text))]
    assert found == []


@pytest.mark.parametrize(
    ("text", "category"),
    [
        ("a nude woman on a sofa", "sexual"),
        ("topless at the pool", "sexual"),
        ("a severed head on a table", "violence"),
        ("a man being stabbed", "violence"),
        ("nazi propaganda poster", "hate"),
        ("a person hanging from a noose", "self_harm"),
        ("how to make a bomb at home", "illegal"),
        ("a forged passport", "deception"),
        ("eine nackte Frau am Strand", "sexual"),
        ("une femme nue sur un lit", "sexual"),
        ("una mujer desnuda", "sexual"),
        ("una donna nuda", "sexual"),
        ("uma mulher nua", "sexual"),
        ("een naakte vrouw", "sexual"),
        ("naga kobieta", "sexual"),
        ("голая женщина", "sexual"),
        ("नंगी औरत", "sexual"),
        ("कटा हुआ सिर", "violence"),
    ],
)
def test_plain_cases_are_hits(text, category):
    found = {str(m.entry.category) for m in load_terms("lexicon.toml").find(normalize(text))}
    assert category in found
