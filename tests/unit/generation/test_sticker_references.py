from __future__ import annotations

import random
import zipfile

import pytest

from generation.sticker.packages import DatasetError, check_license
from generation.sticker.references import ReferencePackError, References
from generation.sticker.sources import ALLOWED_LICENSES, SOURCES


@pytest.fixture(scope="module")
def references():
    with References() as opened:
        yield opened


def test_every_picture_is_credited_under_an_allowed_license(references):
    assert len(references.all) > 6000
    assert len({reference.id for reference in references.all}) == len(references.all)
    for reference in references.all:
        assert reference.source.license in ALLOWED_LICENSES
        assert reference.source.author
        assert reference.source.license_url.startswith("https://")
        assert reference.title
        assert reference.file in reference.source.locate(reference.file)
    assert {reference.source.key for reference in references.all} == {source.key for source in SOURCES}


def test_share_alike_is_refused():
    for license_id in ("CC-BY-SA-4.0", "CC-BY-NC-4.0", "GPL-3.0-only", "", "unknown"):
        with pytest.raises(DatasetError):
            check_license(license_id, what="a set")


def test_pictures_are_drawn_at_the_size_asked_for(references):
    for title, edge in (("red apple", 128), ("plate", 300), ("octopus", 256)):
        for reference in references.by_title[title]:
            picture = references.picture(reference, edge=edge)
            assert picture.shape == (edge, edge, 4)
            assert 0.03 < (picture[..., 3] > 128).mean() < 1
            assert references.picture(reference, edge=edge) is picture


def test_a_sample_of_all_pictures_can_be_drawn(references):
    for reference in random.Random(3).sample(references.all, 60):
        assert references.picture(reference, edge=32)[..., 3].max() > 0


def test_a_damaged_pack_is_told(tmp_path):
    with pytest.raises(ReferencePackError):
        References(tmp_path / "none.zip")
    (tmp_path / "broken.zip").write_bytes(b"PK")
    with pytest.raises(ReferencePackError):
        References(tmp_path / "broken.zip")
    with zipfile.ZipFile(tmp_path / "empty.zip", "w") as archive:
        archive.writestr("references.jsonl", "{}\n")
    with pytest.raises(ReferencePackError):
        References(tmp_path / "empty.zip")
