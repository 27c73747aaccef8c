from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from generation.card import weights_digest
from generation.catalog import Catalog
from generation.errors import ModelLoadError, RequestLimitError
from generation.families import open_family
from generation.families.sticker import StickerFamily
from generation.job import ImageRequest
from generation.sticker.export import ExportError, export, pin
from generation.sticker.sheet import PROMPTS, SEEDS, picture, sheet
from generation.sticker.upscale import FACTOR, Upscaler, UpscalerError

PROMPT = "a red apple on a blue plate"


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
def model(card):
    return StickerFamily().load(card, device="cpu")


def a_request(**changes):
    values = {
        "prompt": PROMPT,
        "model_id": "sticker-v1",
        "width": 128,
        "height": 128,
        "seed": 7,
        "num_inference_steps": 16,
        "guidance_scale": 1.2,
    }
    return ImageRequest(**{**values, **changes})


def finish(model, *rows, pad_to=None):
    while rows[0].step < rows[0].steps:
        model.denoise(rows, pad_to=pad_to)
    return [model.decode(row) for row in rows]


def draw(model, *, index=0, source=None, **changes):
    return finish(model, model.prepare(a_request(**changes), index=index, source=source))[0]


def test_the_card_is_the_default_model_and_the_map_knows_its_family(card):
    assert (card.id, card.family, card.license_id) == ("sticker-v1", "sticker", "Apache-2.0")
    assert card.aspects["1:1"] == (512, 512)
    assert isinstance(open_family("sticker", embed=None), StickerFamily)


def test_the_card_is_pinned_to_the_files(card, tmp_path):
    assert card.weights_sha256 == weights_digest(card.folder)
    (tmp_path / "part.json").write_text("{}")
    copy = tmp_path / "card.toml"
    copy.write_text('id = "x"\nweights_sha256 = "0"\n')
    assert f'weights_sha256 = "{pin(copy)}"' in copy.read_text()
    copy.write_text('id = "x"\n')
    with pytest.raises(ExportError):
        pin(copy)


def test_an_apple_on_a_blue_plate_with_its_credits(model):
    done = draw(model, width=512, height=512)
    assert done.pixels.shape == (512, 512, 3)
    assert done.pixels.dtype == np.uint8
    rgb = done.pixels.reshape(-1, 3).astype(int)
    red = (rgb[:, 0] > rgb[:, 1] + 70) & (rgb[:, 0] > rgb[:, 2] + 60)
    blue = (rgb[:, 2] > rgb[:, 0] + 60) & (rgb[:, 2] > rgb[:, 1] + 30)
    assert red.mean() > 0.05
    assert blue.mean() > 0.05
    assert {credit.title for credit in done.credits} == {"red apple", "plate"}
    assert sum(credit.share for credit in done.credits) == pytest.approx(1, abs=0.01)
    assert all(credit.license_url.startswith("https://") for credit in done.credits)
    assert done.note is None


def test_equal_requests_give_equal_bytes_and_index_moves_the_seed(model):
    first, again, moved, next_seed = (
        draw(model), draw(model), draw(model, index=1), draw(model, seed=8),
    )  # fmt: skip
    assert np.array_equal(first.pixels, again.pixels)
    assert not np.array_equal(first.pixels, moved.pixels)
    assert np.array_equal(moved.pixels, next_seed.pixels)


@pytest.mark.parametrize("aspect", ["3:2", "2:3", "16:9", "9:16"])
def test_other_aspects(model, card, aspect):
    width, height = card.aspects[aspect]
    row = model.prepare(
        a_request(width=width, height=height, prompt="a cat in the city"), index=0, source=None
    )
    assert min(row.start.shape[:2]) == 128
    assert finish(model, row)[0].pixels.shape == (height, width, 3)


def test_any_allowed_size_is_reached_and_a_strip_is_refused(model):
    assert draw(model).pixels.shape == (128, 128, 3)
    assert draw(model, width=320, height=256).pixels.shape == (256, 320, 3)
    with pytest.raises(RequestLimitError):
        model.prepare(a_request(width=1024, height=256), index=0, source=None)


def test_strength_says_how_much_is_redrawn(model):
    steps = {
        s: model.prepare(a_request(strength=s), index=0, source=None).steps for s in (0.0, 0.01, 0.25, 1.0)
    }
    assert steps == {0.0: 0, 0.01: 1, 0.25: 4, 1.0: 16}
    plain = draw(model, strength=0.0).pixels.astype(int)
    change = [np.abs(draw(model, strength=s).pixels - plain).mean() for s in (0.125, 0.5, 1.0)]
    assert 0 < change[0] < change[1] < change[2]


def test_at_strength_zero_the_detail_of_the_draft_is_kept(model):
    row = model.prepare(a_request(strength=0.0), index=0, source=None)
    assert np.array_equal(model.decode(row).pixels, row.start)


def test_a_source_picture_is_redrawn_without_references(model):
    source = np.zeros((300, 200, 3), np.uint8)
    source[:, :100] = (220, 30, 30)
    row = model.prepare(a_request(strength=0.125, width=512, height=512), index=0, source=source)
    done = finish(model, row)[0]
    assert row.start.shape == (128, 128, 3)
    assert done.credits == ()
    left, right = done.pixels[:, 40:200].astype(int), done.pixels[:, 312:470].astype(int)
    assert left[..., 0].mean() > 150
    assert right.mean() < 60


def test_a_negative_prompt_and_guidance_change_the_picture(model):
    base = draw(model, strength=0.5).pixels
    assert not np.array_equal(base, draw(model, strength=0.5, negative_prompt="red").pixels)
    assert not np.array_equal(base, draw(model, strength=0.5, guidance_scale=3.0).pixels)


def test_rows_share_a_forward_and_padding_makes_it_reproducible(model):
    request = a_request()
    alone = model.prepare(request, index=0, source=None)
    mixed = [model.prepare(request, index=i, source=None) for i in range(3)]
    assert len({model.compatibility(row) for row in (alone, *mixed)}) == 1
    finish(model, alone, pad_to=4)
    finish(model, *mixed, pad_to=4)
    assert torch.equal(alone.latents, mixed[0].latents)


def test_rows_without_guidance_or_of_another_shape_are_kept_apart(model):
    keys = {
        model.compatibility(model.prepare(a_request(**changes), index=0, source=None))
        for changes in ({}, {"guidance_scale": 1.0}, {"width": 192})
    }
    assert len(keys) == 3


def test_previews_are_small_and_start_with_the_draft(model):
    row = model.prepare(a_request(width=192), index=0, source=None)
    first = model.preview(row)
    assert first.shape == (85, 128, 3)
    model.denoise([row])
    assert model.preview(row).shape == (85, 128, 3)


def test_facts_name_everything_a_replay_needs(model):
    rows = [model.prepare(a_request(), index=i, source=None) for i in (0, 0, 1)]
    for row in rows:
        finish(model, row)
    first, again, other = (model.facts(row) for row in rows)
    assert first == again
    assert first["latents_sha256"] != other["latents_sha256"]
    assert {"noise_scheduler", "noise_scheduler_sha256", "dtype", "embeddings_sha256", "caption"} <= set(
        first
    )
    assert first["noise_scheduler"] == "DDIMScheduler"


def test_what_is_unknown_is_said(model):
    assert "gryphon" in draw(model, prompt="a gryphon").note


def test_missing_or_damaged_files_are_a_load_error(card, tmp_path):
    with pytest.raises(ModelLoadError):
        StickerFamily().load(replace(card, folder=tmp_path), device="cpu")
    shutil.copytree(card.folder / "model", tmp_path / "model")
    with pytest.raises(ModelLoadError):
        StickerFamily().load(replace(card, folder=tmp_path), device="cpu")
    (tmp_path / "model" / "unet" / "diffusion_pytorch_model.safetensors").write_bytes(b"no weights")
    with pytest.raises(ModelLoadError):
        StickerFamily().load(replace(card, folder=tmp_path), device="cpu")


def test_the_embedding_service_is_used(card):
    asked = []

    def embed(texts):
        asked.extend(texts)
        return np.zeros((len(texts), 512), np.float32)

    model = StickerFamily(embed=embed).load(card, device="cpu")
    model.prepare(a_request(), index=0, source=None)
    assert asked == []  # known by their names
    model.prepare(a_request(prompt="a zamboni"), index=0, source=None)
    assert "zamboni" in asked


def test_the_sheet_shows_every_prompt_twice(model, card):
    small = replace(card, aspects={"1:1": (128, 128)})
    drawn = sheet(model, small, strength=0.0, edge=64)
    assert drawn.size == ((64 * len(SEEDS) + 8) * 4, 84 * len(PROMPTS) // 4)
    assert picture(model, small, PROMPTS[0], seed=1, strength=0.0).shape == (128, 128, 3)


def test_the_upscaler_keeps_the_picture_and_repeats():
    upscaler = Upscaler()
    x = np.linspace(0, 255, 48)
    pixels = np.repeat(np.stack([x, x[::-1], np.full(48, 90)], -1)[None], 32, 0).astype(np.uint8)
    large = upscaler.enlarge(pixels)
    assert large.shape == (32 * FACTOR, 48 * FACTOR, 3)
    assert np.array_equal(large, upscaler.enlarge(pixels))
    small = large.reshape(32, FACTOR, 48, FACTOR, 3).mean((1, 3))
    assert np.abs(small - pixels).mean() < 8


def test_an_upscaler_without_weights_says_so(tmp_path):
    with pytest.raises(UpscalerError):
        Upscaler(tmp_path)


def test_diffusers_opens_the_model_and_export_writes_it_again(card, tmp_path):
    from diffusers import DiffusionPipeline

    folder = card.folder / "model"
    size = export(
        unet=folder / "unet",
        text_encoder=folder / "text_encoder",
        vae=folder / "vae",
        tokenizer=folder / "tokenizer",
        out=tmp_path / "copy",
    )
    assert size < 30_000_000
    for part in ("unet", "vae"):
        name = f"{part}/diffusion_pytorch_model.safetensors"
        assert (tmp_path / "copy" / name).read_bytes() == (folder / name).read_bytes()
    configs = [path.read_text() for path in (tmp_path / "copy").rglob("*.json")]
    assert not any("_name_or_path" in text or str(folder) in text for text in configs)
    pipeline = DiffusionPipeline.from_pretrained(tmp_path / "copy", local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    drawn = pipeline("a red apple", num_inference_steps=2, height=128, width=128, output_type="np").images
    assert drawn.shape == (1, 128, 128, 3)


def test_an_incomplete_checkpoint_is_refused(tmp_path):
    missing = tmp_path / "none"
    with pytest.raises(ExportError):
        export(unet=missing, text_encoder=missing, vae=missing, tokenizer=missing, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
