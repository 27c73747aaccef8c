from __future__ import annotations

import hashlib
from importlib import resources
from pathlib import Path

import pytest

from attribution.errors import LicenseError, UnknownLicenseError
from attribution.licenses import Clause, License, LicenseCatalog

MINIMAL = """
id = "LicenseRef-Test"
name = "Test License"
edition = "1"
url = "https://example.org/license"
confidence = "text"
commercial = "yes"
output = "Yours."
pass_on = "Nothing."
territory = "worldwide"
"""


def a_license(**changes: object) -> License:
    return License(
        **{
            "id": "LicenseRef-Test",
            "name": "Test License",
            "edition": "1",
            "url": "https://example.org/license",
            "commercial": "yes",
            "output": "Yours.",
            "pass_on": "Nothing.",
            "territory": "worldwide",
            "confidence": "text",
            "enabled": True,
            **changes,
        }
    )


def test_the_licenses_of_the_embedded_model_are_enabled() -> None:
    catalog = LicenseCatalog.load()
    for license_id in ("Apache-2.0", "MIT"):
        one = catalog.get(license_id)
        assert one.blocked_for(commercial=True, territory="") is None
    assert "sticker-v1" in catalog.get("Apache-2.0").models


def test_the_full_text_of_apache_is_the_published_one() -> None:
    full_text = LicenseCatalog.load().get("Apache-2.0").full_text
    assert full_text is not None
    digest = hashlib.sha256(full_text.encode()).hexdigest()
    assert digest == "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"


def test_what_nobody_read_and_flux_dev_ship_disabled() -> None:
    for one in LicenseCatalog.load():
        if one.confidence != "text" or "FLUX" in one.id:
            assert not one.enabled, one.id
            reason = one.blocked_for(commercial=False, territory="US")
            assert reason is not None
            assert one.disabled_reason in reason


@pytest.mark.parametrize("place", ["EU", "DE", "de", " fr ", "GB", "UK", "KR", ""])
def test_hunyuan_is_closed_where_its_license_does_not_apply(place: str) -> None:
    one = LicenseCatalog.load().get("LicenseRef-Tencent-Hunyuan-Community")
    assert one.blocked_for(commercial=False, territory=place)
    for elsewhere in ("US", "CN", "CH", "NO"):
        assert one.blocked_for(commercial=False, territory=elsewhere) is None


def test_stability_asks_for_its_notice_and_stops_above_its_threshold() -> None:
    one = LicenseCatalog.load().get("LicenseRef-Stability-AI-Community")
    assert one.notice == "Powered by Stability AI"
    assert one.blocked_for(commercial=True, territory="US") is None
    assert one.blocked_for(commercial=True, territory="US", revenue_usd=1_000_000) is None
    assert one.blocked_for(commercial=True, territory="US", revenue_usd=1_000_001)
    assert one.blocked_for(commercial=False, territory="US", revenue_usd=9_000_000) is None


def test_a_threshold_may_include_its_own_value_and_count_users() -> None:
    one = a_license(commercial="threshold", threshold="x", threshold_users=10, threshold_inclusive=True)
    assert one.blocked_for(commercial=True, territory="", monthly_users=9) is None
    assert one.blocked_for(commercial=True, territory="", monthly_users=10)


def test_a_commercial_workspace_cannot_use_a_non_commercial_model() -> None:
    one = a_license(commercial="no")
    assert one.blocked_for(commercial=True, territory="")
    assert one.blocked_for(commercial=False, territory="") is None
    assert a_license(enabled=False).blocked_for(commercial=False, territory="")


def test_open_rail_brings_all_eleven_clauses() -> None:
    catalog = LicenseCatalog.load()
    for license_id in ("LicenseRef-CreativeML-Open-RAIL-M", "LicenseRef-CreativeML-OpenRAIL-PP-M"):
        one = catalog.get(license_id)
        letters = [clause.id for clause in one.restrictions]
        assert letters == [f"openrail-attachment-a/{letter}" for letter in "abcdefghijk"]
        clause = one.clause("openrail-attachment-a/e")
        assert clause is not None
        assert "harass" in clause.text
        assert one.clause("openrail-attachment-a/z") is None


def test_any_change_of_the_sheet_is_a_new_version() -> None:
    one = a_license()
    assert one.version == f"1+{one.text_sha256[:12]}"
    for change in (
        {"output": "Ours."},
        {"notice": "N", "notice_where": "W"},
        {"restrictions": (Clause(id="a/b", text="c"),)},
        {"edition": "2"},
        {"commercial": "no"},
        {"duties": ("Filter.",)},
        {"output_training": "No."},
        {"policy_url": "https://example.org"},
    ):
        assert a_license(**change).version != one.version
    assert a_license(enabled=False).version == one.version


def test_an_operator_adds_and_confirms_licenses(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(MINIMAL + "enabled = true\n")
    kolors = (resources.files("attribution") / "licenses" / "LicenseRef-Kolors.toml").read_text()
    confirmed = kolors.replace("enabled = false", "enabled = true").replace('"third"', '"text"')
    (tmp_path / "kolors.toml").write_text(confirmed)
    catalog = LicenseCatalog.load(tmp_path)
    assert len(catalog) == len(LicenseCatalog.load()) + 1
    assert catalog.get("LicenseRef-Test").enabled
    assert catalog.get("LicenseRef-Kolors").enabled


def test_a_text_that_is_not_the_one_meant_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("the whole text, altered")
    digest = hashlib.sha256(b"the whole text").hexdigest()
    named = f'full_text = "text.txt"\nfull_text_sha256 = "{digest}"\n'
    (tmp_path / "mine.toml").write_text(MINIMAL + named)
    with pytest.raises(LicenseError, match=r"mine\.toml.*SHA-256"):
        LicenseCatalog.load(tmp_path)
    (tmp_path / "text.txt").write_text("the whole text")
    assert LicenseCatalog.load(tmp_path).get("LicenseRef-Test").full_text == "the whole text"


def test_an_operators_license_may_use_our_clauses_and_its_own_text(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("the whole text")
    (tmp_path / "mine.toml").write_text(
        MINIMAL
        + 'restriction_set = "openrail-attachment-a"\nfull_text = "text.txt"\n'
        + '[[restrictions]]\nid = "mine/1"\ntext = "Boredom."\n'
    )
    one = LicenseCatalog.load(tmp_path).get("LicenseRef-Test")
    assert len(one.restrictions) == 12
    assert one.restrictions[-1] == Clause(id="mine/1", text="Boredom.")
    assert one.full_text == "the whole text"
    assert one.full_text_sha256 == hashlib.sha256(b"the whole text").hexdigest()
    assert "- Boredom. [mine/1]" in one.terms_text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "a = " + "[" * 5000,
        MINIMAL.replace('id = "LicenseRef-Test"', 'id = "has space"'),
        MINIMAL.replace('"yes"', '"maybe"'),
        MINIMAL.replace('"yes"', '"threshold"'),
        MINIMAL.replace("https://", "javascript:"),
        MINIMAL + "surprise = 1\n",
        MINIMAL + 'notice = "x"\n',
        MINIMAL + 'enabled = "yes"\n',
        MINIMAL + "threshold_usd = true\n",
        MINIMAL + 'territory_denied = ["Europe"]\n',
        MINIMAL + 'restriction_set = "../evil"\n',
        MINIMAL + 'restriction_set = "nothing"\n',
        MINIMAL + 'full_text = "../../etc/passwd"\n',
        MINIMAL + 'full_text = "nothing.txt"\n',
        MINIMAL + '[[restrictions]]\nid = "no-slash"\ntext = "x"\n',
        MINIMAL.replace('"text"', '"memory"') + "enabled = true\n",
        MINIMAL.replace('"Yours."', '"""two\nlines"""'),
        MINIMAL + "# " + "x" * 262_144,
    ],
)
def test_a_malformed_description_names_its_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "bad.toml").write_text(text)
    with pytest.raises(LicenseError, match=r"bad\.toml"):
        LicenseCatalog.load(tmp_path)


def test_bytes_that_are_no_text_and_folders_that_are_missing_are_license_errors(tmp_path: Path) -> None:
    with pytest.raises(LicenseError):
        LicenseCatalog.load(tmp_path / "nothing")
    (tmp_path / "bad.toml").write_bytes(b"\xff")
    with pytest.raises(LicenseError):
        LicenseCatalog.load(tmp_path)


def test_an_unknown_license_is_named() -> None:
    with pytest.raises(UnknownLicenseError) as caught:
        LicenseCatalog.load().get("GPL-9.0")
    assert caught.value.license_id == "GPL-9.0"
