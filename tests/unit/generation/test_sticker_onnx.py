"""The embedded model on ONNX Runtime beside torch."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from generation.catalog import Catalog
from generation.errors import ModelLoadError
from generation.families.sticker import StickerFamily
from generation.job import ImageRequest
from generation.sticker.network import Network
from generation.sticker.onnx_export import GRAPHS
from generation.sticker.onnx_network import OnnxNetwork, open_network


@pytest.fixture(scope="module")
def card():
    return Catalog.load([]).get(None)


@pytest.fixture(autouse=True)
def threads():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def load(card, backend):
    return StickerFamily().load(replace(card, options={**card.options, "backend": backend}), device="cpu")


def draw(model, **changes):
    request = ImageRequest(
        prompt="a red apple on a blue plate",
        model_id="sticker-v1",
        width=128,
        height=128,
        seed=7,
        num_inference_steps=8,
        guidance_scale=1.2,
        strength=1.0,
    )
    row = model.prepare(replace(request, **changes), index=0, source=None)
    while row.step < row.steps:
        model.denoise([row])
    return model.decode(row).pixels.astype(int), model.facts(row)


def test_it_draws_what_torch_draws_and_the_facts_name_it(card):
    onnx, torch_ = load(card, "auto"), load(card, "torch")
    for changes in ({}, {"width": 192, "guidance_scale": 1.0}):
        (drawn, facts), (wanted, other) = draw(onnx, **changes), draw(torch_, **changes)
        assert np.abs(drawn - wanted).max() <= 1
        assert facts["backend"].startswith("onnxruntime ")
        assert other["backend"] == "torch"


def test_two_threads_give_the_bits_of_one(card):
    one = draw(load(card, "onnx"))[1]["latents_sha256"]
    torch.set_num_threads(2)
    assert draw(load(card, "onnx"))[1]["latents_sha256"] == one


def test_the_graphs_hold_no_weights():
    assert sum(path.stat().st_size for path in GRAPHS.iterdir()) <= 1_000_000


def test_another_architecture_is_drawn_by_torch(card, tmp_path, caplog):
    folder = tmp_path / "model"
    shutil.copytree(card.folder / "model", folder)
    config = json.loads((folder / "unet" / "config.json").read_text())
    (folder / "unet" / "config.json").write_text(json.dumps({**config, "norm_eps": 2e-5}))
    network = open_network(folder, model_id="x", device="cpu")
    assert type(network) is Network
    assert "another architecture" in caplog.text
    with pytest.raises(ModelLoadError, match="another architecture"):
        open_network(folder, model_id="x", device="cpu", backend="onnx")


def test_new_weights_of_the_same_architecture_need_no_export(card, tmp_path):
    from safetensors.numpy import load_file, save_file

    folder = tmp_path / "model"
    shutil.copytree(card.folder / "model", folder)
    file = folder / "unet" / "diffusion_pytorch_model.safetensors"
    save_file({name: array * np.float16(0.5) for name, array in load_file(file).items()}, file)
    onnx, torch_ = (
        OnnxNetwork(folder, model_id="x", device="cpu"),
        Network(folder, model_id="x", device="cpu"),
    )
    words = torch_.read("a fox")
    given = (torch.randn(1, 12, 16, 16), torch.tensor([500]), words)
    assert torch.allclose(onnx.predict(*given), torch_.predict(*given), atol=1e-4)


def test_an_unknown_back_end_is_refused(card):
    with pytest.raises(ModelLoadError, match="unknown"):
        load(card, "magic")
    with pytest.raises(ModelLoadError, match="CPU"):
        open_network(card.folder / "model", model_id="x", device="cuda", backend="onnx")
