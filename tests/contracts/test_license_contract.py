"""What every license that ships has to give: one parametrised suite over the whole folder."""

from __future__ import annotations

import hashlib
import re
from importlib import resources

import pytest

from attribution.licenses import License, LicenseCatalog

SHIPPED = list(LicenseCatalog.load())
SPDX = {"Apache-2.0", "CC-BY-4.0", "MIT"}


@pytest.fixture(params=SHIPPED, ids=lambda one: one.id)
def shipped(request: pytest.FixtureRequest) -> License:
    one: License = request.param
    return one


def test_each_file_is_named_by_its_license() -> None:
    folder = resources.files("attribution") / "licenses"
    names = {entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml")}
    assert names == {one.id for one in SHIPPED}


def test_the_id_is_of_spdx_or_a_license_ref(shipped: License) -> None:
    assert shipped.id in SPDX or re.fullmatch(r"LicenseRef-[A-Za-z0-9.-]+", shipped.id)


def test_the_sheet_says_everything_a_person_has_to_know(shipped: License) -> None:
    sheet = shipped.terms_text
    for part in (shipped.name, shipped.id, shipped.edition, shipped.url, shipped.output, shipped.pass_on):
        assert part in sheet
    for clause in shipped.restrictions:
        assert f"- {clause.text} [{clause.id}]" in sheet
    assert shipped.notice in sheet
    assert "Made by AI" in sheet
    assert sheet.isprintable() or "\n" in sheet
    assert len(sheet) < 12_000  # three Discord embeds
    assert all(line == line.rstrip() for line in sheet.split("\n"))


def test_the_version_fits_the_ledger_and_the_tables(shipped: License) -> None:
    assert len(shipped.version) <= 64
    assert len(shipped.id) <= 64
    assert re.fullmatch(r"[0-9a-f]{64}", shipped.text_sha256)
    assert shipped.version.endswith(shipped.text_sha256[:12])


def test_clause_ids_are_unique(shipped: License) -> None:
    ids = [clause.id for clause in shipped.restrictions]
    assert len(ids) == len(set(ids))


def test_american_spelling(shipped: License) -> None:
    assert not re.search(r"licence|colour|behaviour|organisation", shipped.terms_text, re.IGNORECASE)


def test_a_gate_always_gives_words_or_nothing(shipped: License) -> None:
    for commercial in (False, True):
        for territory in ("", "US", "DE", "GB", "KR", "??"):
            reason = shipped.blocked_for(commercial=commercial, territory=territory)
            assert reason is None or shipped.name in reason


def test_a_full_text_has_a_digest_and_a_known_origin(shipped: License) -> None:
    if shipped.full_text is None:
        assert shipped.id.startswith("LicenseRef-")  # what SPDX lists may be reproduced
        return
    assert hashlib.sha256(shipped.full_text.encode()).hexdigest() == shipped.full_text_sha256
    assert shipped.full_text_source
    assert len(shipped.full_text) > 1000
    assert "\r" not in shipped.full_text


def test_every_text_file_is_one_that_a_license_names() -> None:
    folder = resources.files("attribution") / "licenses"
    texts = {entry.name for entry in folder.iterdir() if entry.name.endswith(".txt")}
    assert texts == {f"{one.id}.txt" for one in SHIPPED if one.full_text is not None}
    assert {"LicenseRef-CreativeML-Open-RAIL-M.txt", "LicenseRef-CreativeML-OpenRAIL-PP-M.txt"} < texts
