from __future__ import annotations

import io
import json
import random
import zipfile

import numpy as np
import pytest
from PIL import Image

from generation.sticker.aliases import ALIASES
from generation.sticker.dataset import main as dataset_main
from generation.sticker.dataset import sentence_encoder, write_pack, write_pictures
from generation.sticker.draft import draw
from generation.sticker.packages import DatasetError, check_license, read_packages
from generation.sticker.references import ReferencePackError, References
from generation.sticker.retrieval import Retrieval, alias, head, singular, tokens
from generation.sticker.scene import Illustrator
from generation.sticker.sources import ALLOWED_LICENSES, SOURCES


@pytest.fixture(scope="module")
def references():
    with References() as opened:
        yield opened


@pytest.fixture(scope="module")
def embed():
    return sentence_encoder()


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


def test_words_become_singular_titles():
    assert [singular(w) for w in ("mice", "cherries", "boxes", "cats", "bus", "glass", "buses")] == [
        "mouse", "cherry", "box", "cat", "bus", "glass", "bus",
    ]  # fmt: skip
    assert tokens("The two cute Cats") == ["two", "cat"]
    assert head("pot of food") == "pot"


def test_every_alias_leads_to_a_title(references):
    assert [word for word, title in ALIASES.items() if title not in references.by_title] == []
    assert alias("puppy", references.by_title) == "dog"
    assert alias("police car", references.by_title) == "police car"


FOUND = [
    ("apple", "red apple"),
    ("cat", "cat"),
    ("cats", "cat"),
    ("puppy", "dog"),
    ("spaceship", "rocket"),
    ("plane", "airplane"),
    ("bike", "bicycle"),
    ("plate", "plate"),
    ("palm tree", "palm tree"),
    ("police car", "police car"),
    ("sea turtle", "turtle"),
    ("wooden chair", "chair"),
    ("ferris wheel", "ferris wheel"),
    ("unicorn", "unicorn"),
]


@pytest.mark.parametrize(("words", "title"), FOUND)
def test_words_alone_find_common_things(references, words, title):
    (match,) = Retrieval(references).find(words, limit=1)
    assert (match.title, match.known) == (title, True)


@pytest.mark.parametrize(("words", "title"), [*FOUND, ("un gato", "cat"), ("Hund", "dog")])
def test_embeddings_find_them_too_and_other_languages(references, embed, words, title):
    match = Retrieval(references, embed=embed).find(words, limit=1)[0]
    assert (match.title, match.known) == (title, True)


@pytest.mark.parametrize("words", ["gryphon", "quantum entanglement", "asdf qwer", "dragon fruit"])
def test_what_is_not_there_is_not_claimed(references, embed, words):
    for retrieval in (Retrieval(references), Retrieval(references, embed=embed)):
        assert not any(match.known for match in retrieval.find(words, limit=1))


def plan(illustrator, prompt, seed=1, **size):
    return illustrator.plan(prompt, **{"width": 128, "height": 128, "seed": seed, **size})


@pytest.fixture(scope="module")
def illustrator(references):
    return Illustrator(references)


def test_the_demo_prompt_is_an_apple_on_a_blue_plate(illustrator, references):
    drawable = plan(illustrator, "a red apple on a blue plate")
    titles = [part.reference.title for part in drawable.plan.parts]
    assert titles == ["red apple", "plate"]
    assert [part.color for part in drawable.plan.parts] == [None, "blue"]
    assert drawable.note is None
    assert drawable.plan.placements[-1].item == 0  # the apple is drawn over the plate
    draft = draw(drawable.plan, references=references)
    assert draft.pixels.shape == (128, 128, 3)
    assert sum(draft.shares) == pytest.approx(1)
    assert min(draft.shares) > 0.15


def test_equal_seeds_draw_the_same_and_others_differ(illustrator, references):
    drawn = [
        draw(plan(illustrator, "a cat and a dog", seed).plan, references=references).pixels
        for seed in (1, 1, 2, 3)
    ]
    assert np.array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0], drawn[2])
    assert not np.array_equal(drawn[2], drawn[3])


def test_unknown_things_are_named_with_their_nearest(illustrator):
    drawable = plan(illustrator, "a gryphon")
    assert drawable.note == 'I know no picture of "gryphon"; the nearest I know: eagle'
    beside = plan(illustrator, "a cat and a xyzzyplugh")
    assert [part.reference.title for part in beside.plan.parts] == ["cat"]
    assert "xyzzyplugh" in beside.note


@pytest.mark.parametrize(
    "prompt", ["???", "\u2603\u0301", "and and and", "a" * 2000, "on a yellow background"]
)
def test_something_is_drawn_for_any_words(illustrator, references, prompt):
    drawable = plan(illustrator, prompt)
    assert drawable.plan.parts
    assert draw(drawable.plan, references=references).pixels.std() > 0


def test_style_words_choose_the_set(illustrator):
    for style, keys in (("3d", {"fluent3d"}), ("flat", {"twemoji"}), ("cartoon", {"noto"})):
        for seed in range(4):
            drawable = plan(illustrator, f"an octopus, {style} style", seed)
            assert drawable.plan.parts[0].reference.source.key in keys


def test_background_color_and_count_are_drawn(illustrator, references):
    drawable = plan(illustrator, "three dogs on a yellow background")
    assert len(drawable.plan.placements) == 3
    red, green, blue = draw(drawable.plan, references=references).pixels[1, 1].astype(int)
    assert red > 180
    assert green > 160
    assert blue < 140
    assert drawable.caption.startswith("three dogs, ")
    assert drawable.caption.endswith(" on a yellow background")


def test_drafts_can_be_drawn_larger(illustrator, references):
    drawable = plan(illustrator, "a cat in the snow", width=192)
    assert draw(drawable.plan, references=references, scale=3).pixels.shape == (384, 576, 3)


# -- building the pack ---------------------------------------------------------------------------------------


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


def test_training_pictures_are_written_with_credits(packages, tmp_path):
    out = tmp_path / "pictures"
    count = write_pictures(list(read_packages(packages)), out)
    captions = [json.loads(line) for line in (out / "captions.jsonl").read_text().splitlines()]
    credit_lines = [json.loads(line) for line in (out / "attribution.jsonl").read_text().splitlines()]
    assert len(captions) == len(credit_lines) == count > 5
    assert all(line["license"] in ALLOWED_LICENSES for line in credit_lines)


def test_a_changed_license_or_version_stops_the_build(packages, capsys):
    info = next(packages.glob("noto/**/info.json"))
    info.write_text(json.dumps({"license": {"spdx": "CC-BY-SA-4.0"}}))
    assert dataset_main(["pack", "--packages", str(packages), "--out", str(packages / "x.zip")]) == 1
    assert "not on the allow-list" in capsys.readouterr().err
    manifest = next(packages.glob("fluent3d/**/package.json"))
    manifest.write_text(json.dumps({"name": "@lobehub/fluent-emoji-3d", "version": "9"}))
    with pytest.raises(DatasetError, match="recipe"):
        list(read_packages(packages))


def test_a_missing_package_is_named(tmp_path):
    with pytest.raises(DatasetError, match="emojibase-data"):
        list(read_packages(tmp_path))
