from __future__ import annotations

import io
import json
import socket

import numpy as np
import pytest
from PIL import Image

from generation.sticker.clipart import CLIPART_FOLDER
from generation.sticker.dataset import main, write_pack
from generation.sticker.fetch import PACKAGES
from generation.sticker.packages import DatasetError, read_packages
from generation.sticker.references import References
from generation.sticker.sources import ALLOWED_LICENSES, SOURCES
from generation.sticker.training.pictures import PictureFolder


@pytest.fixture
def packages(tmp_path):
    """Small packages of the expected names and versions."""

    def write(folder, name, version, files):
        root = tmp_path / folder / "package"
        for path, content in {"package.json": {"name": name, "version": version}, **files}.items():
            target = root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())

    names = [
        {"label": "red apple", "hexcode": "1F34E", "group": 4, "tags": ["fruit"]},
        {"label": "flag: Chad", "hexcode": "1F1F9-1F1E9", "group": 9, "tags": []},
        {"label": "waving hand", "hexcode": "1F44B", "group": 1, "tags": []},
    ]
    write("names", "emojibase-data", "17.0.0", {"en/data.json": names})
    buffer = io.BytesIO()
    Image.new("RGBA", (256, 256), (200, 30, 30, 255)).save(buffer, "WEBP")
    for source in SOURCES:
        if source.kind == "webp":
            files = {
                f"assets/{name}.webp": buffer.getvalue() for name in ("1f34e", "1f1f9-1f1e9", "1f44b-1f3fb")
            }
            write(source.key, source.package, source.version, files)
        elif source.kind == "iconify":
            circle = f'<circle cx="8" cy="8" r="{3 + len(source.key) % 5}" fill="red"/>'
            files = {
                "info.json": {"license": {"spdx": source.license}},
                "chars.json": {"1f34e": "red-apple", "1f1f9-1f1e9": "flag", "1f44b": "hand"},
                "icons.json": {
                    "icons": {
                        "red-apple": {"body": circle},
                        "hand": {"body": circle},
                        "flag": {"body": circle},
                    },
                    "aliases": {},
                    "width": 16,
                    "height": 16,
                },
            }
            write(source.key, source.package, source.version, files)
    return tmp_path


def fake_embed(texts):
    vectors = np.ones((len(texts), 512), np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_a_pack_is_built_without_flags_and_skin_tones_and_repeats_bit_for_bit(packages, tmp_path):
    records = list(read_packages(packages))
    titles = [record.title for record in records if record.source.kind != "own"]
    assert sorted(set(titles)) == ["red apple", "waving hand"]
    assert titles.count("red apple") == 4
    for name in ("a.zip", "b.zip"):
        write_pack(records, tmp_path / name, embed=fake_embed)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    with References(tmp_path / "a.zip") as opened:
        apple = opened.by_title["red apple"]
        assert {reference.source.key for reference in apple} == {"fluent3d", "fluentflat", "noto", "twemoji"}
        assert all(opened.picture(reference, edge=64)[..., 3].max() == 255 for reference in apple)


CLIP_ART = """<svg xmlns="http://www.w3.org/2000/svg" xmlns:cc="http://web.resource.org/cc/"
xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"
viewBox="0 0 9 9"><metadata><cc:Work><dc:title>{title}</dc:title><dc:creator>{author}</dc:creator>
<cc:license rdf:resource="http://web.resource.org/cc/PublicDomain"/></cc:Work></metadata>
<path d="{path}"/></svg>"""


def add_clip_art(folder):
    drawings = {
        "tools/axe.svg": CLIP_ART.format(title="Axe", author="Ann", path="M0 0H9V9z"),
        "tools/hoe.svg": CLIP_ART.format(title="Hoe", author="Bo", path="M9 0H0V9z"),
        "tools/tux.svg": CLIP_ART.format(title="Tux", author="Bo", path="M0 0H9L0 9z"),
        "tools/ray.svg": CLIP_ART.format(title="Ray", author="Bo", path="M0 0H9V1H0z"),
        "tools/saw.svg": CLIP_ART.format(title="Saw", author="", path="M0 0H9V9z"),
    }
    for name, data in drawings.items():
        path = folder / "openclipart" / CLIPART_FOLDER / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(data)


def test_training_pictures_are_written_with_credits(packages, tmp_path, capsys):
    add_clip_art(packages)
    outs = tmp_path / "a", tmp_path / "b"
    for out in outs:
        assert main(["pictures", "--packages", str(packages), "--out", str(out)]) == 0
    for path in outs[0].iterdir():
        assert path.read_bytes() == (outs[1] / path.name).read_bytes()
    captions, credit_rows = (
        [json.loads(line) for line in (outs[0] / name).read_text().splitlines()]
        for name in ("captions.jsonl", "attribution.jsonl")
    )
    assert [row["id"] for row in captions] == [row["id"] for row in credit_rows] == list(range(len(captions)))
    assert all(row["license"] in ALLOWED_LICENSES and row["license_url"] for row in credit_rows)
    assert {row["style"] for row in captions} == {source.key for source in SOURCES} | {"clipart"}
    assert [(row["title"], row["author"], row["source_package"]) for row in credit_rows[-2:]] == [
        ("axe", "Ann", "deb:openclipart-svg"),
        ("hoe", "Bo", "deb:openclipart-svg"),
    ]
    said = capsys.readouterr().out
    for reason in ("a logo or brand", "cannot be drawn: it is too slim", "clip art: names no author"):
        assert reason in said
    assert PictureFolder(outs[0], paint_scenes=False).titles[-2:] == ["axe", "hoe"]


def test_without_clip_art_no_training_pictures_are_written(packages, tmp_path, capsys):
    assert main(["pictures", "--packages", str(packages), "--out", str(tmp_path / "out")]) == 1
    assert "the clip art is missing" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_fetching_without_a_network_names_what_the_command_needs(tmp_path, capsys):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        base = f"http://127.0.0.1:{closed.getsockname()[1]}"
    where = ["--packages", str(tmp_path), "--fetch", "--npm-registry", base, "--debian-mirror", base]
    assert main(["pack", *where, "--out", str(tmp_path / "x.zip")]) == 1
    for_pack = capsys.readouterr().err
    assert main(["pictures", *where, "--out", str(tmp_path / "out")]) == 1
    for_pictures = capsys.readouterr().err
    assert [item.file in for_pictures for item in PACKAGES] == [True] * len(PACKAGES)
    assert [item.file in for_pack for item in PACKAGES] == [item.shipped for item in PACKAGES]


def test_a_checked_folder_cannot_be_fetched(tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["pictures", "--from", str(tmp_path), "--fetch", "--out", str(tmp_path / "out")])
    assert stopped.value.code == 2
    assert "--packages" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_changed_license_or_version_stops_the_build(packages, capsys):
    info = next(packages.glob("noto/**/info.json"))
    info.write_text(json.dumps({"license": {"spdx": "CC-BY-SA-4.0"}}))
    assert main(["pack", "--packages", str(packages), "--out", str(packages / "x.zip")]) == 1
    assert "not on the allow-list" in capsys.readouterr().err
    manifest = next(packages.glob("fluent3d/**/package.json"))
    manifest.write_text(json.dumps({"name": "@lobehub/fluent-emoji-3d", "version": "9"}))
    with pytest.raises(DatasetError, match="recipe"):
        list(read_packages(packages))


def test_a_missing_package_is_named(tmp_path):
    with pytest.raises(DatasetError, match="emojibase-data"):
        list(read_packages(tmp_path))
