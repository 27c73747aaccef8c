from __future__ import annotations

import io
import json
import random
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from generation.sticker.export import MODEL
from generation.sticker.packages import DatasetError
from generation.sticker.train import main
from generation.sticker.training.decoder import Material, planes_of, restoring_loss, train_decoder
from generation.sticker.training.latents import CHANNELS, SHIPPED, PatchLatents
from generation.sticker.training.pictures import EDGE, PictureFolder
from generation.sticker.training.redrawn import JUDGE, TAKEN, TRAIN, Chunk, redraw

WEIGHTS = "diffusion_pytorch_model.safetensors"


def write_pictures(folder, *, count=6):
    """A folder of discs in as many colors."""
    folder.mkdir(exist_ok=True)
    y, x = np.mgrid[:EDGE, :EDGE] - EDGE / 2
    captions = []
    with zipfile.ZipFile(folder / "images_128.zip", "w") as archive:
        for i in range(count):
            rgba = np.zeros((EDGE, EDGE, 4), np.uint8)
            rgba[np.hypot(x, y) < 30 + i % 20] = ((40 * i) % 255, (250 - 30 * i) % 255, 90, 255)
            data = io.BytesIO()
            Image.fromarray(rgba).save(data, "WEBP", lossless=True)
            archive.writestr(f"{i}.webp", data.getvalue())
            captions.append(
                {
                    "id": i,
                    "file": f"{i}.webp",
                    "title": f"ball {i}",
                    "keywords": [],
                    "style": "noto",
                    "group": 4,
                }
            )
    credit_lines = [{"id": row["id"], "file": row["file"], "license": "MIT"} for row in captions]
    for name, rows in (("captions", captions), ("attribution", credit_lines)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = write_pictures(tmp_path_factory.mktemp("data"), count=42)
    return PictureFolder(folder, paint_scenes=False)


@pytest.fixture(scope="module")
def target(pictures):
    return PatchLatents.open(SHIPPED, pictures)


@pytest.fixture
def redrawn(pictures, target, tmp_path):
    """Files as `redraw` writes them, without the minute that the U-Net would take."""
    folder = tmp_path / "redrawn"
    folder.mkdir()
    rng = random.Random(5)
    for name, taken in ((f"{JUDGE}-00000", 2), (f"{TRAIN}-00000", 4)):
        pixels = np.stack([pictures.sample(rng)[0] for _ in range(3)])
        noise = np.random.default_rng(1).normal(0, 0.3, (3, CHANNELS, 16, 16))
        Chunk(pixels, (target.encode(pixels) + noise).astype(np.float16), taken).save(folder / f"{name}.npz")
    return folder


def test_the_held_out_pictures_are_in_no_other_part(pictures):
    kept, rest = pictures.part(20, rest=False), pictures.part(20, rest=True)
    shown = [set(_drawn_from(part)) for part in (kept, rest)]
    assert shown[0] <= {0, 20, 40}
    assert len(shown[0]) > 1
    assert not shown[0] & shown[1]
    assert len(shown[1]) > 20
    assert pictures.weights[-1] == pytest.approx(kept.weights[-1] + rest.weights[-1])


def _drawn_from(part):
    rng = random.Random(3)
    for _ in range(400):
        first = rng.choices(range(len(part.rows)), cum_weights=part.weights)[0]
        yield first
        yield rng.choice(part.by_style[part.styles[first]])


def test_pictures_are_redrawn_by_the_model_and_the_work_goes_on(pictures, target, tmp_path, monkeypatch):
    monkeypatch.setattr("generation.sticker.training.redrawn._CHUNK", 1)
    assert redraw(pictures, tmp_path, samples=1) == 1
    files = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert sum(name.startswith(JUDGE) for name in files) == len(TAKEN)
    chunks = [Chunk.open(path) for path in sorted(tmp_path.glob(f"{JUDGE}-*"))]
    assert [chunk.taken for chunk in chunks] == list(TAKEN)
    away = [
        float(np.abs(chunk.latents.astype(np.float32) - target.encode(chunk.pixels)).mean())
        for chunk in chunks
    ]
    assert all(0.01 < error < 0.8 for error in away)  # changed, and still that picture
    assert redraw(pictures, tmp_path, samples=2) == 2
    assert all((tmp_path / name).stat().st_mtime_ns == time for name, time in files.items())


def test_a_damaged_file_and_a_missing_model_are_refused(pictures, tmp_path):
    (tmp_path / "train-00000.npz").write_bytes(b"x")
    with pytest.raises(DatasetError, match="no redrawn pictures"):
        Chunk.open(tmp_path / "train-00000.npz")
    with pytest.raises(DatasetError, match="no model to redraw with"):
        redraw(pictures, tmp_path, samples=1, start=tmp_path)


def test_the_decoder_learns_and_goes_on_and_the_encoder_stays(pictures, redrawn, tmp_path):
    out = tmp_path / "run"
    assert train_decoder(pictures, out, redrawn=redrawn, steps=2) == 2
    before = torch.load(out / "last.pt", weights_only=True)
    assert set(before) == {"m", "opt", "ema", "step", "spent"}
    assert train_decoder(pictures, out, redrawn=redrawn, steps=3, bfloat16=True) == 3
    trained, shipped = load_file(out / "vae" / WEIGHTS), load_file(MODEL / "vae" / WEIGHTS)
    assert trained.keys() == shipped.keys()
    moved = {
        key.split(".")[0] for key, value in shipped.items() if not torch.equal(trained[key], value.float())
    }
    assert moved == {"decoder", "post_quant_conv"}
    table = (out / "held_out.csv").read_text().splitlines()
    assert table[0] == "step,strength 0.125"
    assert [line.split(",")[0] for line in table[1:]] == ["0", "2", "3"]
    with Image.open(out / "samples" / "000003.png") as sheet:
        assert sheet.size == (3 * EDGE, 2 * EDGE)


def test_most_of_a_batch_is_redrawn_and_new_files_are_taken_in(redrawn, target, monkeypatch):
    material = Material(redrawn, target)
    planes, latents = material.batch(random.Random(1))
    assert planes.shape == (6, 3, EDGE, EDGE)
    pixels = np.rint((planes.numpy().transpose(0, 2, 3, 1) + 1) * 127.5).astype(np.uint8)
    away = np.abs(latents.numpy() - target.encode(pixels)).mean((1, 2, 3))
    assert (away[:5] > 0.2).all()
    assert away[5] < 0.12
    monkeypatch.setattr("generation.sticker.training.decoder._LOOK_AGAIN", 1)
    gray = np.full((1, EDGE, EDGE, 3), 9, np.uint8)
    Chunk(gray, target.encode(gray).astype(np.float16), 4).save(redrawn / f"{TRAIN}-00001.npz")
    rng = random.Random(2)
    darkest = min(float(material.batch(rng)[0].amax((1, 2, 3)).min()) for _ in range(5))
    assert darkest == pytest.approx(9 / 127.5 - 1)


def test_a_sharp_edge_a_pixel_off_costs_less_than_one_washed_out():
    wanted = np.zeros((1, 32, 32, 3), np.uint8)
    wanted[:, :, 16:] = 255
    moved = np.roll(wanted, 1, axis=2)
    moved[:, :, 0] = 0
    soft = wanted.copy()
    for i, level in enumerate((32, 64, 96, 160, 192, 224)):
        soft[:, :, 13 + i] = level
    aim = planes_of(wanted)
    assert restoring_loss(aim, aim) == 0
    assert 0 < restoring_loss(planes_of(moved), aim) < restoring_loss(planes_of(soft), aim)


def test_the_command_needs_the_redrawn_pictures(tmp_path, capsys):
    data = str(write_pictures(tmp_path / "data"))
    asked = ["decoder", "--data", data, "--out", str(tmp_path / "out")]
    assert main(asked) == 1
    assert "--redrawn" in capsys.readouterr().err
    (tmp_path / "none").mkdir()
    assert main([*asked, "--redrawn", str(tmp_path / "none")]) == 1
    assert "make them first" in capsys.readouterr().err
