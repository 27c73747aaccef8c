from __future__ import annotations

import json
import time
import zipfile

import numpy as np
import pytest
from PIL import Image

from generation.job import Credit
from generation.sticker.backgrounds import paint
from generation.sticker.nearest.index import INDEX, TrainingIndexError, open_index, subject
from generation.sticker.nearest.search import NearestPictures, open_nearest
from generation.sticker.nearest.thresholds import Thresholds
from generation.sticker.nearest.trials import CHANGES, doodles, lay
from generation.sticker.references import PACK, References
from generation.sticker.sources import ALLOWED_LICENSES


@pytest.fixture(scope="module")
def search():
    return open_nearest()


@pytest.fixture(scope="module")
def references():
    with References() as opened:
        yield opened


def reference(references, title, key):
    return next(found for found in references.by_title[title] if found.source.key == key)


def credit(found):
    return Credit(
        title=found.title,
        author=found.source.author,
        license=found.source.license,
        license_url=found.source.license_url,
        source=found.source.locate(found.file),
        share=1.0,
    )


def rng():
    import random

    return random.Random(4)


def test_every_training_picture_is_named_with_its_terms(search, references):
    pictures = search.index.pictures
    assert len(pictures) > 7000
    assert len({picture.id for picture in pictures}) == len(pictures)
    for picture in pictures:
        assert picture.package.license in ALLOWED_LICENSES
        assert picture.package.license_url.startswith("https://")
        assert picture.title
        assert picture.author
    known = {picture.source for picture in pictures}
    shipped = {found.source.locate(found.file) for found in references.all}
    assert len(shipped & known) > 0.98 * len(shipped)
    assert len({picture.author for picture in pictures}) > 50  # clip art names its own


def test_references_and_index_stay_small():
    assert INDEX.stat().st_size <= 3_000_000
    assert INDEX.stat().st_size + PACK.stat().st_size <= 20_000_000


def test_the_index_does_not_count_as_weights():
    from generation.card import weight_files

    assert INDEX not in weight_files(PACK.parent)


def test_it_opens_quickly():
    started = time.process_time()
    open_nearest()
    assert time.process_time() - started < 1.5  # half a second where nothing else runs


@pytest.mark.parametrize(
    "change", ["verbatim", "on a color", "half size", "mirrored", "JPEG 40", "in a scene"]
)
def test_a_copy_is_found_however_it_is_changed(search, references, change):
    apple = reference(references, "octopus", "noto")
    other = reference(references, "locomotive", "twemoji")
    pixels = CHANGES[change](references.picture(apple, edge=128), rng())
    found = search.nearest(pixels, references=[credit(other)], k=3)
    assert found.near_copy
    assert found.pictures[0].near_copy
    assert found.pictures[0].picture.source == credit(apple).source
    assert found.pictures[0].picture.package.license == "Apache-2.0"
    assert len(found.pictures) == 3


def test_what_the_job_was_allowed_to_draw_from_is_left_out(search, references):
    fox = reference(references, "fox", "twemoji")
    pixels = lay(references.picture(fox, edge=128), paint("blue", width=512, height=512, rng=rng()))
    found = search.nearest(pixels, references=[credit(fox)], k=8)
    assert not found.near_copy
    assert len(found.pictures) == 8
    assert "fox" not in {near.picture.title for near in found.pictures}
    assert search.nearest(pixels, references=[], k=1).near_copy


def test_nothing_that_is_left_out_counts_however_many_there_are(search, references):
    fox = reference(references, "fox", "twemoji")
    pixels = lay(references.picture(fox, edge=128), paint("blue", width=512, height=512, rng=rng()))
    rows = np.arange(len(search.index.pictures))
    _, evidence = search.examine(pixels, own=rows[rows != 5])
    assert [found.row for found in evidence] == [5]
    assert evidence[0].explained > evidence[0].likeness
    assert search.examine(pixels, own=rows)[1] == ()


def test_a_reference_is_left_out_though_the_training_set_has_it_under_another_name(search, references):
    family = credit(reference(references, "family: woman, girl", "twemoji"))
    named = {picture.source for picture in search.index.pictures}
    assert family.source not in named
    rows = search.left_out([family])
    assert "family: man, boy" in {search.index.pictures[row].title for row in rows}


def test_a_plain_disc_copies_nobody(search, references):
    disc = references.picture(reference(references, "blue circle", "twemoji"), edge=128)
    pixels = lay(disc, paint("white", width=512, height=512, rng=rng()))
    found = search.nearest(pixels, references=[])
    assert not found.near_copy
    assert "circle" in found.pictures[0].picture.title


def test_a_look_alike_of_a_reference_is_explained_by_it(search, references):
    man = reference(references, "man firefighter", "noto")
    pixels = lay(references.picture(man, edge=128), paint("white", width=512, height=512, rng=rng()))
    assert search.nearest(pixels, references=[credit(man)]).near_copy is False
    allowed = credit(reference(references, "fox", "noto"))
    assert search.nearest(pixels, references=[allowed]).near_copy is True


def test_each_of_two_things_is_looked_at(search, references):
    ground = paint("yellow", width=768, height=512, rng=rng())
    for title, x in (("taxi", 20), ("octopus", 400)):
        over = Image.fromarray(references.picture(reference(references, title, "fluent3d"), edge=256))
        image = Image.fromarray(ground)
        image.paste(over.resize((330, 330)), (x, 90), over.resize((330, 330)))
        ground = np.asarray(image)
    taxi = credit(reference(references, "taxi", "fluent3d"))
    found = search.nearest(ground, references=[taxi])
    assert found.near_copy
    assert found.pictures[0].picture.title == "octopus"


def test_own_drawings_copy_nothing(search):
    taken = [search.nearest(trial.pixels, references=[]).near_copy for trial in doodles(5, seed=3)]
    assert not any(taken)


def test_similar_things_are_named_first(search, references):
    cat = references.picture(reference(references, "tiger face", "noto"), edge=128)
    pixels = lay(cat, paint("white", width=512, height=512, rng=rng()))
    tiger = credit(reference(references, "tiger face", "noto"))
    found = search.nearest(pixels, references=[tiger], k=5)
    similarities = [near.similarity for near in found.pictures]
    assert similarities == sorted(similarities, reverse=True)
    assert any("cat" in near.picture.title or "bear" in near.picture.title for near in found.pictures)
    assert not any("tiger" in near.picture.title.split() for near in found.pictures)


@pytest.mark.parametrize("shape", [(1, 1, 3), (3, 700, 3), (640, 90, 3), (128, 128, 3)])
def test_any_picture_gets_an_answer(search, shape):
    noise = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    for pixels in (noise, np.zeros(shape, np.uint8)):
        found = search.nearest(pixels, references=[], k=2)
        assert len(found.pictures) == 2
        assert all(np.isfinite(near.similarity) for near in found.pictures)


def test_equal_pictures_get_equal_answers(search):
    pixels = next(iter(doodles(1, seed=9))).pixels
    assert search.nearest(pixels, references=[]) == search.nearest(pixels, references=[])


def test_what_is_no_picture_is_refused(search):
    for pixels in (
        np.zeros((8, 8), np.uint8),
        np.zeros((8, 8, 4), np.uint8),
        np.zeros((8, 8, 3), np.float32),
    ):
        with pytest.raises(ValueError, match="expected"):
            search.nearest(pixels, references=[])
    with pytest.raises(ValueError, match="expected"):
        search.nearest(np.zeros((0, 8, 3), np.uint8), references=[])
    with pytest.raises(ValueError, match="k must"):
        search.nearest(np.zeros((8, 8, 3), np.uint8), references=[], k=0)


def test_a_reference_that_was_no_training_picture_hides_its_subject(search):
    stranger = Credit(
        title="Cat Face",
        author="A. N. Other",
        license="MIT",
        license_url="https://x",
        source="own",
        share=1.0,
    )
    titles = {search.index.pictures[row].title for row in search.left_out([stranger])}
    assert {"cat", "cat face"} <= titles
    assert all(subject(title) == "cat" for title in titles)


def test_a_view_is_no_subject():
    assert subject("cat face") == "cat"
    assert subject("oncoming taxi") == "taxi"
    assert subject("face") == "face"
    assert subject("cat with wry smile") == "cat with wry smile"


def test_the_strictest_threshold_finds_nothing(search, references):
    strict = NearestPictures(
        search.index, encode=search._encode, thresholds=Thresholds(likeness=1.01, margin=0)
    )
    pixels = lay(
        references.picture(reference(references, "fox", "noto"), edge=128),
        paint("white", width=512, height=512, rng=rng()),
    )
    assert not strict.nearest(pixels, references=[]).near_copy


def _damaged(tmp_path, change):
    """The shipped index with one member changed."""
    out = tmp_path / "damaged.zip"
    with zipfile.ZipFile(INDEX) as given, zipfile.ZipFile(out, "w") as made:
        for name in given.namelist():
            made.writestr(name, change(name, given.read(name)))
    return out


def test_a_damaged_index_is_told(tmp_path):
    with pytest.raises(TrainingIndexError):
        open_index(tmp_path / "none.zip")
    (tmp_path / "cut.zip").write_bytes(INDEX.read_bytes()[:-4000])
    with pytest.raises(TrainingIndexError):
        open_index(tmp_path / "cut.zip")
    flipped = bytearray(INDEX.read_bytes())
    flipped[len(flipped) // 2] ^= 0xFF
    (tmp_path / "flipped.zip").write_bytes(flipped)
    with pytest.raises(TrainingIndexError):
        open_index(tmp_path / "flipped.zip")
    for member in ("pictures.jsonl", "likenesses.npy", "vectors.npz", "packages.json"):
        for data in (b"", b"[]", b"\x93NUMPY"):
            with pytest.raises(TrainingIndexError):
                open_index(_damaged(tmp_path, lambda name, old, m=member, d=data: d if name == m else old))


def test_pictures_under_other_terms_are_refused(tmp_path):
    def share_alike(name, data):
        if name != "packages.json":
            return data
        rows = json.loads(data)
        rows[0]["license"] = "CC-BY-SA-4.0"
        return json.dumps(rows).encode()

    with pytest.raises(TrainingIndexError, match="CC-BY-SA"):
        open_index(_damaged(tmp_path, share_alike))
