from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest

from generation.sticker.entries import Candidate, Entry
from generation.sticker.folder import encode as encode_webp
from generation.sticker.folder import write_folder
from generation.sticker.nearest.__main__ import main
from generation.sticker.nearest.calibrate import Outcome, choose, measure, tables
from generation.sticker.nearest.index import TrainingIndexError, open_index
from generation.sticker.nearest.search import Evidence, NearestPictures
from generation.sticker.nearest.shapes import Shapes, compare, too_plain
from generation.sticker.nearest.thresholds import THRESHOLDS, Thresholds
from generation.sticker.nearest.trials import CHANGES, LOOK_ALIKE, credit_of
from generation.sticker.picture_encoder import PictureEncoder
from generation.sticker.references import PACK, References


@pytest.fixture(scope="module")
def chosen():
    with References() as references:
        return [
            (found, references.picture(found, edge=128))
            for title in ("fox", "taxi", "octopus", "pear")
            for found in references.by_title[title][:2]
        ]


@pytest.fixture(scope="module")
def training_folder(tmp_path_factory, chosen):
    from PIL import Image

    out = tmp_path_factory.mktemp("training") / "pictures"
    candidates = []
    for found, pixels in chosen:
        source = found.source
        entry = Entry(
            title=found.title,
            keywords=found.keywords,
            group=found.group,
            style=source.key,
            author=source.author,
            license=source.license,
            license_url=source.license_url,
            package=source.origin,
            version=source.version,
            file=found.file,
            upstream=source.upstream,
        )
        candidates.append(Candidate(entry=entry, pixels=pixels, webp=encode_webp(Image.fromarray(pixels))))
    write_folder(candidates, out)
    return out


@pytest.fixture(scope="module")
def small_pack(training_folder, chosen):
    """The training pictures but one as references, and one of them again under another name."""
    out = training_folder.parent / "references.zip"
    with zipfile.ZipFile(PACK) as given, zipfile.ZipFile(out, "w") as made:
        rows = [json.loads(line) for line in given.read("references.jsonl").splitlines()]
        kept = {found.id for found, _ in chosen[1:]}
        rows = [row for row in rows if row["id"] in kept]
        twin = next(row for row in rows if row["id"] == chosen[3][0].id)
        rows.append({**twin, "id": "twin", "title": "cab", "file": "icons.json#cab"})
        made.writestr("references.jsonl", "\n".join(map(json.dumps, rows)))
        for row in rows:
            kind = "webp" if row["source"] == "fluent3d" else "svg"
            of = twin["id"] if row["id"] == "twin" else row["id"]
            made.writestr(f"{row['id']}.{kind}", given.read(f"{of}.{kind}"))
        made.writestr("sources.json", given.read("sources.json"))
    return out


def build(folder, pack, out):
    return main(["build", "--data", str(folder), "--references", str(pack), "--out", str(out)])


@pytest.fixture(scope="module")
def built(training_folder, small_pack):
    out = training_folder.parent / "index.zip"
    assert build(training_folder, small_pack, out) == 0
    return out


def test_an_index_names_the_pictures_of_its_folder(built, chosen):
    index = open_index(built)
    assert [picture.source for picture in index.pictures] == [
        found.source.locate(found.file) for found, _ in chosen
    ]
    assert np.allclose(np.linalg.norm(index.vectors, axis=1), 1, atol=1e-5)


def test_a_picture_under_another_name_is_known_by_both(built):
    index = open_index(built)
    assert list(index.aliases.values()) == [3]
    assert "icons.json#cab" in next(iter(index.aliases))


def test_the_same_folder_gives_the_same_bytes(built, training_folder, small_pack, tmp_path):
    again = tmp_path / "again.zip"
    assert build(training_folder, small_pack, again) == 0
    assert again.read_bytes() == built.read_bytes()


def test_a_copy_is_found_in_a_small_index(built, chosen):
    index = open_index(built)
    search = NearestPictures(
        index, encode=PictureEncoder(threads=1).embed, thresholds=Thresholds(likeness=0.8, margin=0.03)
    )
    pixels = CHANGES["verbatim"](chosen[4][1], None)
    found = search.nearest(pixels, references=[credit_of(index.pictures[0])], k=20)
    assert found.pictures[0].picture == index.pictures[4]
    assert found.pictures[0].near_copy
    assert len(found.pictures) == len(chosen) - 2  # the reference and its sibling are left out
    everything = [credit_of(picture) for picture in index.pictures]
    assert search.nearest(pixels, references=everything).pictures == ()


def test_a_missing_folder_is_told(tmp_path, capsys):
    assert build(tmp_path / "none", PACK, tmp_path / "x.zip") == 1
    assert "none" in capsys.readouterr().err
    assert not (tmp_path / "x.zip").exists()


def a_cutout(paint):
    """24 x 24 cells: a disc with what `paint` draws on it."""
    y, x = np.mgrid[:24, :24] / 11.5 - 1
    opacity = (x**2 + y**2 < 0.9).astype(np.float32)
    return Shapes.of(paint(x, y).astype(np.float32)[None], opacity[None])


def test_contrast_and_brightness_count_for_little_and_features_for_much():
    stripes = a_cutout(lambda x, _: 0.5 + 0.3 * np.sin(9 * x))
    pale = a_cutout(lambda x, _: 0.7 + 0.15 * np.sin(9 * x))
    across = a_cutout(lambda _, y: 0.5 + 0.3 * np.sin(9 * y))
    assert compare(stripes, stripes)[0, 0] > 0.97
    assert compare(stripes, pale)[0, 0] > 0.9
    assert compare(stripes, across)[0, 0] < 0.5


def test_plain_silhouettes_are_told_apart_by_their_outline():
    disc = a_cutout(lambda x, _: 0 * x)
    y, _ = np.mgrid[:24, :24]
    bar = Shapes.of(np.zeros((1, 24, 24), np.float32), (abs(y - 12) < 4).astype(np.float32)[None])
    assert compare(disc, disc)[0, 0] > 0.9  # a plain one never counts as fully equal
    assert compare(disc, bar)[0, 0] < 0.6


def test_what_has_neither_features_nor_an_outline_of_its_own_is_plain():
    y, x = np.mgrid[:24, :24]
    disc = ((x - 11.5) ** 2 + (y - 11.5) ** 2 < 120).astype(np.float32)
    comb = ((x % 4 < 2) | (y < 6)).astype(np.float32)
    grey, striped = np.full((24, 24), 0.5, np.float32), (0.5 + 0.3 * np.sin(x)).astype(np.float32)
    empty = np.zeros((24, 24), np.float32)
    light, opacity = np.stack([grey, striped, grey, grey]), np.stack([disc, disc, comb, empty])
    assert too_plain(light, opacity).tolist() == [True, False, False, True]


def an_outcome(likeness, *, explained=-1.0, row=7, copied=None, kind="stickers"):
    found = Evidence(row=row, likeness=likeness, explained=explained, agreement=likeness, similarity=likeness)
    return Outcome(kind=kind, copied=copied, evidence=(found,), cpu_s=0.1)


def test_the_threshold_is_the_one_that_finds_most_without_false_matches():
    copies = [an_outcome(0.9, copied=7, kind="verbatim") for _ in range(9)]
    copies += [an_outcome(0.8, copied=7, kind="verbatim")]
    others = [an_outcome(0.75), an_outcome(0.85, explained=0.845)]
    alike = [an_outcome(0.6, kind="drawn by others")]
    thresholds = choose([*copies, *others, *alike])
    assert 0.76 < thresholds.likeness <= 0.8  # with something to spare
    assert thresholds.margin > 0.015
    measured = measure([*copies, *others, *alike], thresholds)
    assert measured.found == {"verbatim": 1.0}
    assert measured.false == {"stickers": 0.0, "drawn by others": 0.0}
    assert [table.row_count for table in tables([*copies, *others, *alike], measured)] == [1, 2]


def test_a_copy_taken_for_another_picture_is_not_found():
    assert not an_outcome(0.99, copied=3).taken(Thresholds(likeness=0.8, margin=0.02))


def test_thresholds_are_read_as_they_were_written(tmp_path):
    written = Thresholds(likeness=0.81, margin=0.03, found={"half size": 0.5}, false={"stickers": 0.0})
    written.write(tmp_path / "t.toml")
    assert Thresholds.read(tmp_path / "t.toml") == written
    for text in ("", "likeness = 1", 'likeness = "x"\nmargin = 1\n[found]\n[false]', "found = 3\n="):
        (tmp_path / "t.toml").write_text(text)
        with pytest.raises(TrainingIndexError):
            Thresholds.read(tmp_path / "t.toml")


def test_the_shipped_thresholds_carry_their_rates():
    thresholds = Thresholds.read(THRESHOLDS)
    assert set(thresholds.found) == {*CHANGES, LOOK_ALIKE}
    assert thresholds.false["stickers"] <= 0.02
    assert thresholds.found["verbatim"] >= 0.9
