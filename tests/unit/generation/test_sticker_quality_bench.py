from __future__ import annotations

import hashlib
import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from generation.catalog import Catalog
from generation.errors import ModelLoadError
from generation.sticker.picture_encoder import DIMENSIONS, PictureEncoder
from generation.sticker.quality.bench import bench_sticker
from generation.sticker.quality.drawing import Artist, other_model, shrunk
from generation.sticker.quality.judge import Prompts, Quality
from generation.sticker.quality.plots import line_chart
from generation.sticker.quality.prompts import Asked
from generation.sticker.quality.report import write_report
from generation.sticker.quality.sheet import EDGE, SheetEntry, draw_sheet, small
from generation.sticker.quality.strengths import StrengthRow
from generation.sticker.quality.subjects import TOP, open_gallery
from generation.sticker.references import References

CAT = Asked(prompt="a cat", subjects=(("cat", "black cat"),))
PAIR = Asked(prompt="a red apple and a banana", subjects=(("red apple",), ("banana",)))


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def card():
    return Catalog.load([]).get(None)


@pytest.fixture(scope="module")
def encoder():
    return PictureEncoder()


@pytest.fixture(scope="module")
def small_pack(card, tmp_path_factory):
    """The shipped pack with the pictures of a few titles only."""
    titles = {"cat", "dog", "red apple", "banana", "taxi", "guitar", "rocket", "tulip"}
    path = tmp_path_factory.mktemp("pack") / "references.zip"
    with zipfile.ZipFile(card.folder / "references.zip") as whole, zipfile.ZipFile(path, "w") as few:
        rows = [json.loads(line) for line in whole.read("references.jsonl").splitlines()]
        rows = [row for row in rows if row["title"] in titles]
        ids = {row["id"] for row in rows}
        few.writestr("references.jsonl", "\n".join(json.dumps(row) for row in rows))
        few.writestr("sources.json", whole.read("sources.json"))
        for name in whole.namelist():
            if name.rpartition(".")[0] in ids:
                few.writestr(name, whole.read(name))
    return path


@pytest.fixture(scope="module")
def gallery(small_pack, encoder, tmp_path_factory):
    with References(small_pack) as references:
        cache = tmp_path_factory.mktemp("cache")
        return open_gallery(references, encoder, pack=small_pack, cache=cache, tick=lambda _: None)


@pytest.fixture(scope="module")
def artist(card):
    return Artist(card, embed=None)


class TestGallery:
    def test_pictures_of_one_title_find_each_other(self, gallery, small_pack):
        with References(small_pack) as references:
            for title in ("red apple", "guitar"):
                first = references.by_title[title][0]
                assert title in gallery.nearest_to_reference(first.id)[:2]

    def test_left_out_pictures_are_not_found(self, gallery, small_pack, encoder):
        with References(small_pack) as references:
            guitars = references.by_title["guitar"]
            picture = references.picture(guitars[0], edge=224)
            alpha = picture[..., 3:] / 255
            on_white = np.rint(picture[..., :3] * alpha + 255 * (1 - alpha)).astype(np.uint8)
            vector = encoder.embed(on_white[None])[0]
            assert gallery.nearest_titles(vector, without=())[0] == "guitar"
            near = gallery.nearest_titles(vector, without={guitar.id for guitar in guitars})
            assert "guitar" not in near
            assert len(near) == len(set(near)) == TOP

    def test_it_is_kept_and_made_again_when_the_encoder_sees_otherwise(self, small_pack, encoder, tmp_path):
        with References(small_pack) as references:

            def made():
                ticks = []
                open_gallery(references, encoder, pack=small_pack, cache=tmp_path, tick=ticks.append)
                assert sum(ticks) == len(references.all)
                return len(ticks) > 1  # batch by batch, not all at once

            assert made()
            assert not made()
            (kept,) = tmp_path.iterdir()
            np.save(kept, -np.load(kept))
            assert made()
            assert not made()


class TestArtist:
    def test_strengths_share_a_draft_and_change_it_more_and_more(self, artist):
        drawn = list(artist.draw_at("a cat", seed=4, strengths=(0.0, 0.25, 1.0)))
        draft = artist.enlarged_draft(drawn[0])
        assert draft.shape == drawn[0].pixels.shape == (512, 512, 3)
        changes = [np.abs(one.pixels.astype(int) - draft).mean() for one in drawn]
        assert changes[0] < changes[1] < changes[2]
        assert [one.strength for one in drawn] == [0.0, 0.25, 1.0]
        assert all((one.start == drawn[0].start).all() for one in drawn)

    def test_a_picture_is_timed_and_averages_down_to_its_draft(self, artist):
        drawn = artist.draw("a gryphon", seed=1)
        assert drawn.cpu_s > 0
        assert drawn.wall_s > 0
        assert drawn.note
        assert np.abs(shrunk(drawn.pixels).astype(int) - drawn.start).mean() < 12

    def test_the_sizes_add_up(self, artist):
        sizes = artist.megabytes()
        assert sizes["total"] == pytest.approx(sizes["weights"] + sizes["references"] + sizes["upscaler"])
        assert 10 < sizes["weights"] <= 30

    def test_another_model_is_drawn_with_and_a_missing_one_refused(self, card, artist, tmp_path):
        for name in ("same", "none"):
            (tmp_path / name).mkdir()
        same = Artist(other_model(card, card.folder / "model", folder=tmp_path / "same"), embed=None)
        assert (same.draw("a cat", seed=1).pixels == artist.draw("a cat", seed=1).pixels).all()
        with pytest.raises(ModelLoadError):
            Artist(other_model(card, tmp_path / "same", folder=tmp_path / "none"), embed=None)


def test_two_prompts_from_end_to_end(card, encoder, tmp_path):
    """With a gallery of noise, as embedding all references takes minutes: subjects are not judged here."""
    pack = card.folder / "references.zip"
    with References(pack) as references:
        count = len(references.all)
        open_first = references.picture(references.all[0], edge=224)
    alpha = open_first[..., 3:].astype(np.float32) / 255
    first = np.rint(open_first[..., :3] * alpha + 255 * (1 - alpha)).astype(np.uint8)
    vectors = np.random.default_rng(1).normal(size=(count, DIMENSIONS)).astype(np.float16)
    vectors[0] = encoder.embed(first[None])[0]
    np.save(tmp_path / f"gallery-{hashlib.sha256(pack.read_bytes()).hexdigest()[:32]}.npy", vectors)
    prompts = Prompts(
        single=(CAT,),
        pairs=(PAIR,),
        colors=(replace(CAT, prompt="a green cat", color="green"), replace(CAT, color="purple")),
        backgrounds=(
            replace(CAT, prompt="a cat in the snow", background="snow"),
            replace(CAT, prompt="a cat on a red background", background="red"),
            replace(CAT, background="sunset"),
        ),
        sheet=("a cat", "a gryphon"),
        grid=(CAT,),
        strengths=(0.125, 0.6),
    )
    seen = {}
    quality = bench_sticker(
        card,
        embed=None,
        progress=lambda stage, done, total: seen.update({stage: (done, total)}),
        model=card.folder / "model",
        prompts=prompts,
        cache=tmp_path,
    )
    figures = quality.figures
    assert {
        "subject_top5", "two_subject_top5", "draft_only_top5", "colour", "background", "change_from_draft",
        "earned_strength", "cpu_s", "megabytes", "seeds_differ", "strengths", "n", "seeds",
    } <= set(figures)  # fmt: skip
    assert figures["colour"] == 0.5  # nobody asked for a purple cat
    assert figures["background"] == pytest.approx(2 / 3)
    assert [line.split(":")[0] for line in quality.missed["background"]] == ["a cat"]
    assert figures["seeds_differ"] == 1
    assert 0 < figures["change_from_draft"] < 10
    assert figures["strengths"]["0.6"]["edges"] < figures["strengths"]["0.125"]["edges"]
    assert [entry.prompt for entry in quality.sheet] == ["a cat", "a gryphon"]
    assert quality.sheet[1].note
    assert all(done == total for done, total in seen.values())
    assert list(tmp_path.glob("*.npy"))  # the kept gallery was taken, not made again
    assert json.loads(json.dumps(figures))


def a_quality():
    rows = tuple(
        StrengthRow(
            strength=strength, subject_top5=0.9, blotches=0.01, edges=1 - strength, broken=strength / 5,
            change=3.0, change_db=33.0,
        )
        for strength in (0.125, 0.45)
    )  # fmt: skip
    picture = np.full((EDGE, EDGE, 3), (200, 30, 40), np.uint8)
    sheet = tuple(
        SheetEntry(number=i + 1, prompt=f"prompt {i}", pictures=(picture, picture), note="unknown" * (i == 3))
        for i in range(18)
    )
    figures = {
        "model": "sticker-v1", "subject_top5": 0.5, "colour": 0.9, "cpu_s": 0.4, "n": {"subject_top5": 100},
        "megabytes": {"weights": 31.0, "references": 17.0, "total": 48.0},
    }  # fmt: skip
    return Quality(
        figures=figures,
        strengths=rows,
        sheet=sheet,
        missed={"colour": ("a red bus: orange",), "background": ()},
    )


class TestReport:
    def test_the_page_shows_figures_bars_sheets_and_what_was_missed(self, tmp_path):
        (tmp_path / "images").mkdir()
        (tmp_path / "images" / "sticker-sheet-9.webp").write_bytes(b"old")
        (tmp_path / "images" / "example.png").write_bytes(b"of another page")
        quality = a_quality()
        growth = {1000: quality.strengths[:1], 2000: quality.strengths}
        page = write_report(tmp_path, quality.figures, quality, growth=growth)
        text = page.read_text(encoding="utf-8")
        assert "(`subject_top5`) | 0.5 | at least 0.8 | **missed** |" in text
        assert "(`colour`) | 0.9 | at least 0.85 | reached |" in text
        assert "(`cpu_s`) | 0.4 | at most 3 | reached |" in text
        assert "weights (`megabytes`) | 31.0 | at most 30 | **missed** |" in text
        assert "4. prompt 3 (unknown)" in text
        assert "* a red bus: orange" in text
        assert "| 1,000 | 0.125 |" in text
        assert "| 2,000 | 0.125 |" in text
        images = {path.name for path in (tmp_path / "images").iterdir()}
        assert images == {
            "example.png", "sticker-growth.png", "sticker-strengths.png", "sticker-sheet-1.webp",
            "sticker-sheet-2.webp",
        }  # fmt: skip
        assert all(f"images/{name}" in text for name in images - {"example.png"})

    def test_without_growth_it_says_how_to_add_some(self, tmp_path):
        quality = a_quality()
        page = write_report(tmp_path, quality.figures, quality, growth={})
        assert "--growth-row" in page.read_text(encoding="utf-8")
        assert not (tmp_path / "images" / "sticker-growth.png").exists()


class TestPictures:
    def test_a_sheet_shows_every_picture_at_its_size(self):
        entries = a_quality().sheet[:3]
        image = np.asarray(draw_sheet(entries, columns=2))
        assert image.shape[1] == 4 * EDGE + 10
        assert (image == (200, 30, 40)).all(-1).sum() == 6 * EDGE * EDGE

    def test_long_and_foreign_prompts_fit_their_label(self):
        entry = replace(a_quality().sheet[0], prompt="\u5bff\u53f8 " + "a very long prompt " * 20)
        image = np.asarray(draw_sheet([entry], columns=1))
        assert (image[EDGE:, -5:] == 255).all()
        assert (image[EDGE:, :200] < 100).any()

    def test_pictures_are_shrunk_to_the_sheet(self):
        assert small(np.zeros((512, 512, 3), np.uint8)).shape == (EDGE, EDGE, 3)

    def test_a_chart_goes_up_where_its_values_do(self):
        image = line_chart({"a": [(0, 0.1), (1, 0.9)]}, title="t", across="x", top=1.0)
        assert isinstance(image, Image.Image)
        blue = np.abs(np.asarray(image)[60:].astype(int) - (0x1F, 0x5F, 0xBF)).max(-1) < 40
        rows, columns = np.nonzero(blue)
        assert rows[columns < 100].mean() > rows[columns > 700].mean() + 150

    def test_a_chart_of_one_point_or_none_is_drawn(self):
        for points in ([], [(3.0, 0.5)]):
            assert line_chart({"a": points}, title="t", across="x").size == (760, 380)
