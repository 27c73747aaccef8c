from __future__ import annotations

from dataclasses import replace

import pytest

from generation.sticker.clipart import CLIPART_FOLDER
from generation.sticker.entries import Entry, without_mail
from generation.sticker.references import References
from generation.sticker.screen import reason_to_leave_out
from generation.sticker.sources import CLIPART, SOURCES

LIKENESS, BRAND, UNFIT = "a person's likeness", "a logo or brand", "not fit for a sticker"
SIGN = "a sign, flag, map, letter or shape"


def clipart(title, *keywords, file="food/thing_01.svg", author="Ann Example"):
    return Entry(
        title=title,
        keywords=keywords,
        group=None,
        style=CLIPART.key,
        author=author,
        license=CLIPART.license,
        license_url=CLIPART.license_url,
        package=CLIPART.origin,
        version=CLIPART.version,
        file=CLIPART_FOLDER + file,
        upstream=CLIPART.upstream,
    )


def emoji(title, *keywords):
    source = SOURCES[0]
    return replace(
        clipart(title, *keywords, file="a.webp"),
        style=source.key,
        license=source.license,
        package=source.origin,
        author=source.author,
    )


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (clipart("einstein"), LIKENESS),
        (clipart("self portrait"), LIKENESS),
        (clipart("man", "civil rights", "martin luther king jr."), LIKENESS),
        (clipart("head", file="music/beethoven_cartoon_bust.svg"), LIKENESS),
        (clipart("grandpa", file="people/grandpa_01.svg"), LIKENESS),
        (clipart("a man singing", "people", file="recreation/music/a_man_singing_01.svg"), LIKENESS),
        (clipart("tux"), BRAND),
        (clipart("penguin", "linux"), BRAND),
        (clipart("window", file="x/microsoft_box.svg"), BRAND),
        (clipart("yin yang", "logo"), BRAND),
        (clipart("t-shirt", file="people/clothing/t-shirt_02.svg"), BRAND),
        (clipart("caterpillar", file="unsorted/caterpillar.svg"), BRAND),
        (clipart("caterpillar", file="animals/bugs/caterpillar_01.svg"), None),
        (clipart("sexy lady"), UNFIT),
        (clipart("blue gun"), UNFIT),
        (clipart("sword", file="tools/weapons/sword_01.svg"), UNFIT),
        (clipart("sword", "weapons"), UNFIT),
        (clipart("france", file="signs_and_symbols/flags/europe/france.svg"), SIGN),
        (clipart("spain provinces", file="geography/spain_01.svg"), SIGN),
        (clipart("saturn", file="geography/astronomy/saturn_01.svg"), None),
        (clipart("g eight", file="logos/g8.svg"), BRAND),
        (clipart("umbrella", "canada flag"), SIGN),
        (clipart("letter a"), SIGN),
        (clipart("coat of arms of x"), SIGN),
        (clipart("01"), "no title"),
        (clipart("red hat", file="people/clothing/hats/hat_01.svg"), None),
        (clipart("plane in the air"), None),
        (clipart("apple", "food", "fruit"), None),
    ],
)
def test_clip_art_is_judged_by_title_keywords_and_file(entry, reason):
    assert reason_to_leave_out(entry) == reason


def test_an_authors_name_is_no_subject():
    by = {"file": "fish/orca_matthew_gates_01.svg", "author": "Bill Gates"}
    assert reason_to_leave_out(clipart("orca", "animal", **by)) is None
    assert reason_to_leave_out(clipart("bill gates", "animal", **by)) == LIKENESS


@pytest.mark.parametrize("author", ["unknown", "Anonymous", "Open Clip Art Library", "HASH(0x8)", "U", "me"])
def test_nobody_is_no_author(author):
    assert reason_to_leave_out(clipart("apple", author=author)) == "no author"


def test_a_reworking_of_somebody_elses_work_is_not_the_authors():
    assert reason_to_leave_out(clipart("apple", author="Jo (based on Ann's work)")) == "no author"
    assert reason_to_leave_out(clipart("apple", author="Jo Basedon")) is None


@pytest.mark.parametrize("license_id", ["CC-BY-SA-4.0", "CC-BY-NC-4.0", "GPL-2.0-only", "unknown"])
def test_other_licenses_are_named(license_id):
    found = reason_to_leave_out(replace(clipart("apple"), license=license_id))
    assert found == f"license {license_id} is not on the allow-list"


def test_a_package_cannot_be_relabelled():
    assert (
        reason_to_leave_out(replace(clipart("apple"), license="MIT")) == "license differs from its package's"
    )
    assert reason_to_leave_out(replace(clipart("apple"), package="npm:mine", license="MIT")) is None


def test_emoji_are_judged_by_title_alone():
    assert reason_to_leave_out(emoji("registered")) == BRAND
    assert reason_to_leave_out(emoji("regional indicator R")) == SIGN
    assert reason_to_leave_out(emoji("guitar", "beatles")) is None
    for title in ("person", "bust in silhouette", "ping pong", "bullet train", "Japanese dolls", "world map"):
        assert reason_to_leave_out(emoji(title, "people")) is None


def test_of_the_shipped_pictures_only_marks_of_rights_are_not_learned_from():
    with References() as references:
        left = {
            reference.title
            for reference in references.all
            if reason_to_leave_out(emoji(reference.title, *reference.keywords))
        }
    assert left == {"copyright", "registered", "trade mark"}


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("Jean-Victor Balin (balin@example.org)", "Jean-Victor Balin"),
        ("Andy Burns <andy@example.org>", "Andy Burns"),
        ("Jakob [jakob@example.org]", "Jakob"),
        ("Graig Smith - graig@example.org", "Graig Smith"),
        ("jo@example.org", "jo@example.org"),
        ("Yves Aubry (yvounet)", "Yves Aubry (yvounet)"),
    ],
)
def test_mail_addresses_are_not_passed_on_where_there_is_a_name(written, name):
    assert without_mail(written) == name
