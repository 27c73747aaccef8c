from __future__ import annotations

import io
import json
import zipfile

import numpy as np
import pytest
from PIL import Image, ImageDraw

from generation.sticker import folder as folder_module
from generation.sticker.dataset import main
from generation.sticker.entries import LeftOut
from generation.sticker.folder import decode, read_folder, write_folder
from generation.sticker.packages import DatasetError
from generation.sticker.training.pictures import PictureFolder


def picture(number=0, *, size=(128, 128), mode="RGBA"):
    drawn = Image.new(mode, size)
    ImageDraw.Draw(drawn).ellipse((10, 10, 60 + number, 60 + number), fill=(200, 40, 40))
    return drawn


def webp(number=0, **options):
    buffer = io.BytesIO()
    picture(number, **options).save(buffer, "WEBP", lossless=True)
    return buffer.getvalue()


def rows(number, **changes):
    """Caption and credit of a picture; `changes` go where the field is, `None` takes it away."""
    file = f"{number:0>3}.webp"
    shared = {"id": number, "file": file, "title": f"ball {number}"}
    caption = {**shared, "keywords": ["toy"], "style": "noto", "group": 4}
    credit = {
        **shared,
        "author": "Google Inc",
        "license": "Apache-2.0",
        "source_package": "npm:@iconify-json/noto",
        "source_version": "1.2.9",
        "source_file": f"icons.json#ball-{number}",
        "upstream": "https://github.com/googlefonts/noto-emoji",
    }
    for row in (caption, credit):
        row.update({key: value for key, value in changes.items() if key in row})
    return caption, credit


@pytest.fixture
def put(tmp_path):
    """Writes a training folder of (caption, credit, image bytes)."""

    def put(*pictures, extra=()):
        with zipfile.ZipFile(tmp_path / "images_128.zip", "w") as archive:
            for caption, _, data in pictures:
                archive.writestr(str(caption["file"]), data)
            for name in extra:
                archive.writestr(name, b"")
        for name, place in (("captions", 0), ("attribution", 1)):
            lines = "".join(json.dumps(item[place]) + "\n" for item in pictures)
            (tmp_path / f"{name}.jsonl").write_text(lines)
        return tmp_path

    return put


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_checked_folder_is_numbered_anew_and_credited_in_full(put, tmp_path_factory):
    clipart = {
        "title": "ball 9",
        "style": "clipart",
        "author": "Ann [ann@example.org]",
        "license": "CC-PDDC",
        "source_package": "deb:openclipart-svg",
        "source_file": "usr/share/openclipart/svg/toys/ball.svg",
    }
    source = put(
        (*rows(3), webp(3)),
        (*rows(5, license="CC-BY-SA-4.0"), webp(5)),
        (*rows(7, title="ball 3"), webp(3)),
        (*rows(9, **clipart), webp(9)),
    )
    out = tmp_path_factory.mktemp("out")
    summary = write_folder(read_folder(source), out)
    assert summary.kept == {("noto", "Apache-2.0"): 1, ("clipart", "CC-PDDC"): 1}
    assert summary.left_out == {
        ("noto", "a duplicate"): 1,
        ("noto", "license CC-BY-SA-4.0 is not on the allow-list"): 1,
    }
    captions, credit_rows = lines(out / "captions.jsonl"), lines(out / "attribution.jsonl")
    assert [row["id"] for row in captions] == [row["id"] for row in credit_rows] == [0, 1]
    assert captions[1] == {
        "id": 1, "file": "00001.webp", "title": "ball 9", "keywords": ["toy"], "style": "clipart", "group": 4,
    }  # fmt: skip
    assert credit_rows[1] == {
        "id": 1,
        "file": "00001.webp",
        "title": "ball 9",
        "author": "Ann",
        "license": "CC-PDDC",
        "license_url": "https://creativecommons.org/licenses/publicdomain/",
        "source_package": "deb:openclipart-svg",
        "source_version": "1.2.9",
        "source_file": "usr/share/openclipart/svg/toys/ball.svg",
        "upstream": "https://github.com/googlefonts/noto-emoji",
    }
    with zipfile.ZipFile(out / "images_128.zip") as archive:
        assert archive.namelist() == ["00000.webp", "00001.webp"]
        assert archive.read("00001.webp") == webp(9)
    assert sorted(path.name for path in out.iterdir()) == [
        "ATTRIBUTION.md", "attribution.jsonl", "captions.jsonl", "images_128.zip",
    ]  # fmt: skip
    assert PictureFolder(out, paint_scenes=False).titles == ["ball 3", "ball 9"]


def test_checking_what_was_checked_changes_nothing(put, tmp_path_factory):
    first, second = tmp_path_factory.mktemp("first"), tmp_path_factory.mktemp("second")
    write_folder(read_folder(put(*((*rows(i), webp(i)) for i in (4, 2, 8)))), first)
    write_folder(read_folder(first), second)
    for path in first.iterdir():
        assert path.read_bytes() == (second / path.name).read_bytes()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"author": ""}, "incomplete: no author"),
        ({"license": None}, "incomplete: no license"),
        ({"source_version": " "}, "incomplete: no source_version"),
        ({"upstream": "a\nb"}, "incomplete: upstream is no line of text"),
        ({"source_file": "x" * 501}, "incomplete: source_file is no line of text"),
        ({"keywords": "toy"}, "incomplete: keywords are no list of words"),
        ({"group": "4"}, "incomplete: group is no number"),
        ({"title": "trade mark"}, "a logo or brand"),
        ({"license": "MIT"}, "license differs from its package's"),
    ],
)
def test_a_picture_without_full_credit_is_left_out(put, changes, reason):
    (item,) = read_folder(put((*rows(1, **changes), webp())))
    assert isinstance(item, LeftOut)
    assert item.reason == reason


def animated():
    buffer = io.BytesIO()
    picture(1).save(buffer, "WEBP", save_all=True, append_images=[picture(30)])
    return buffer.getvalue()


def png():
    buffer = io.BytesIO()
    picture().save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (webp(size=(3000, 3000)), "damaged: not one picture of 128 x 128 px"),
        (webp(size=(128, 64)), "damaged: not one picture of 128 x 128 px"),
        (webp()[:60], "damaged: not a readable WebP"),
        (animated(), "damaged: not one picture of 128 x 128 px"),
        (png(), "damaged: not a readable WebP"),
        (b"", "damaged: not a readable WebP"),
        (webp() + bytes(300_000), "damaged: too many bytes"),
    ],
)
def test_what_is_no_picture_of_the_size_is_left_out(put, data, reason):
    (item,) = read_folder(put((*rows(1), data)))
    assert isinstance(item, LeftOut)
    assert item.reason == reason


@pytest.mark.parametrize("limit", [1000, 10_000])
def test_image_bombs_are_not_decoded(monkeypatch, limit):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(ValueError, match="not a readable WebP"):
        decode(webp())


def test_an_opaque_picture_has_full_alpha():
    assert decode(webp(mode="RGB"))[..., 3].min() == 255


def test_an_almost_empty_picture_is_left_out(put, tmp_path_factory):
    dot = Image.new("RGBA", (128, 128))
    dot.putpixel((5, 5), (1, 2, 3, 255))
    buffer = io.BytesIO()
    dot.save(buffer, "WEBP", lossless=True)
    source = put((*rows(1), buffer.getvalue()), (*rows(2), webp()))
    summary = write_folder(read_folder(source), tmp_path_factory.mktemp("out"))
    assert summary.left_out == {("noto", "almost empty"): 1}


def test_pictures_that_differ_where_nothing_shows_are_one(put, tmp_path_factory):
    hidden = np.array(picture())
    hidden[100:, 100:, :3] = 77
    buffer = io.BytesIO()
    Image.fromarray(hidden).save(buffer, "WEBP", lossless=True, exact=True)
    source = put((*rows(1), webp()), (*rows(2), buffer.getvalue()))
    assert write_folder(read_folder(source), tmp_path_factory.mktemp("out")).pictures == 1


@pytest.mark.parametrize(
    ("pictures", "extra", "said"),
    [
        ([(rows(1)[0], rows(2)[1], webp())], (), "captions.jsonl and attribution.jsonl differ in 1, 2"),
        ([(rows(1)[0], rows(1, file="x.webp")[1], webp())], (), "another file for 1"),
        ([(rows(1)[0], rows(1, title="cube")[1], webp())], (), "another title for 1"),
        ([(*rows(1), webp())], ("more.webp",), "differ in more.webp"),
        ([(*rows(1), webp()), (*rows(1), webp())], (), "line 2 has no id of its own"),
        ([(*rows("1"), webp())], (), "line 1 has no id of its own"),
        ([(*rows(True), webp())], (), "line 1 has no id of its own"),
        ([(*rows(1, file="../up.webp"), webp())], (), "no plain picture file"),
        ([(*rows(1, file="x.webp"), webp()), (*rows(2, file="x.webp"), webp())], (), "names a file twice"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_files_that_do_not_tell_of_the_same_pictures_are_refused(put, pictures, extra, said):
    with pytest.raises(DatasetError, match=said):
        list(read_folder(put(*pictures, extra=extra)))


def test_damaged_files_are_refused(put, tmp_path):
    whole = put((*rows(1), webp()))
    for name, content, said in (
        ("captions.jsonl", b"{", "cannot be read"),
        ("captions.jsonl", b"[" * 100_000, "cannot be read"),
        ("captions.jsonl", b"[]\n", "no id of its own"),
        ("images_128.zip", b"PK", "cannot be read"),
    ):
        before = (whole / name).read_bytes()
        (whole / name).write_bytes(content)
        with pytest.raises(DatasetError, match=said):
            list(read_folder(whole))
        (whole / name).write_bytes(before)
    with pytest.raises(DatasetError, match="cannot be read"):
        list(read_folder(tmp_path / "none"))


def test_tables_have_a_largest_size(put, monkeypatch):
    monkeypatch.setattr(folder_module, "_MAX_TABLE", 10)
    with pytest.raises(DatasetError, match="larger than 10 bytes"):
        list(read_folder(put((*rows(1), webp()))))


def test_nothing_is_written_where_nothing_is_left(put, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    (out / "captions.jsonl").write_text("before")
    with pytest.raises(DatasetError, match="no picture is left"):
        write_folder(read_folder(put((*rows(1, license="GPL-2.0-only"), webp()))), out)
    assert [path.name for path in out.iterdir()] == ["captions.jsonl"]
    assert (out / "captions.jsonl").read_text() == "before"


def test_the_page_names_every_author_with_license_and_changes(put, tmp_path_factory):
    clipart = {"style": "clipart", "license": "CC-PDDC", "source_package": "deb:openclipart-svg"}
    fluent = {
        "source_package": "npm:@lobehub/fluent-emoji-3d",
        "license": "MIT",
        "author": "Microsoft Corporation",
    }
    source = put(
        (*rows(1), webp(1)),
        (*rows(2, **fluent), webp(2)),
        (*rows(3, **clipart, author="Ann <b>"), webp(3)),
        (*rows(4, **clipart, author="Ann <b>"), webp(4)),
        (*rows(5, **clipart, author="Bo|Jo", title="a_ball"), webp(5)),
    )
    out = tmp_path_factory.mktemp("out")
    write_folder(read_folder(source), out)
    page = (out / "ATTRIBUTION.md").read_text()
    assert "holds 5 pictures" in page
    assert "**The pictures were changed**" in page
    assert "* author: Google Inc\n" in page
    assert "* license: [Apache-2.0](<https://www.apache.org/licenses/LICENSE-2.0>)" in page
    assert "| Ann \\<b\\> | 2 | ball 3, ball 4 |" in page
    assert "| Bo\\|Jo | 1 | a\\_ball |" in page
    assert "> Permission is hereby granted, free of charge" in page


def test_the_command_checks_a_folder_and_tells_what_it_left_out(put, tmp_path, capsys):
    source = put((*rows(1), webp(1)), (*rows(2, license="CC-BY-SA-4.0"), webp(2)))
    assert main(["pictures", "--from", str(source), "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert "1 pictures in" in said
    assert "CC-BY-SA-4.0 is not on the allow-list" in said
    assert main(["pictures", "--from", str(tmp_path / "none"), "--out", str(tmp_path / "out")]) == 1
    assert "cannot be read" in capsys.readouterr().err
