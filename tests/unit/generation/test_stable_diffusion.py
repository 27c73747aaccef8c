"""The family against diffusers' own pipelines, bit for bit, and against broken model folders."""

from __future__ import annotations

import dataclasses
import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub.constants
import numpy as np
import pytest
import torch
from diffusers import (
    StableDiffusionImg2ImgPipeline,
    StableDiffusionInpaintPipeline,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from PIL import Image

from generation.card import ModelCard
from generation.errors import ModelLoadError, RequestLimitError
from generation.families import open_family
from generation.families.noise_schedulers import NAMES, make_noise_scheduler
from generation.families.stable_diffusion import DiffusionRow, LoadedStableDiffusion, StableDiffusionFamily
from generation.families.tiny import build_tiny_model
from generation.job import ImageRequest

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation:DeprecationWarning"
)  # diffusers' own

PROMPT = "a red apple on a blue plate"


@pytest.fixture(scope="module")
def model(tiny_card: ModelCard) -> LoadedStableDiffusion:
    torch.set_num_threads(1)
    return StableDiffusionFamily().load(tiny_card, device="cpu")


@pytest.fixture(scope="module")
def pipeline(tiny_card: ModelCard):

    pipeline = StableDiffusionPipeline.from_pretrained(tiny_card.folder, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.fixture
def source() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)


def a_request(**changes: object) -> ImageRequest:
    request = ImageRequest(
        prompt=PROMPT,
        negative_prompt="blurry",
        model_id="tiny",
        width=64,
        height=64,
        seed=11,
        num_inference_steps=4,
        guidance_scale=5.0,
    )
    return dataclasses.replace(request, **changes)


def draw(model: LoadedStableDiffusion, request: ImageRequest, **options) -> tuple[DiffusionRow, np.ndarray]:
    row = model.prepare(request, **{"index": 0, "source": None, **options})
    while row.step < row.steps:
        model.denoise([row])
    return row, model.decode(row).pixels


def reference(pipeline, model: LoadedStableDiffusion, request: ImageRequest, kind: str, **options):
    pipeline.scheduler = make_noise_scheduler(model.components.noise_scheduler, request.noise_scheduler)
    return pipeline(
        request.prompt,
        negative_prompt=request.negative_prompt,
        num_inference_steps=request.num_inference_steps,
        guidance_scale=request.guidance_scale,
        generator=torch.Generator().manual_seed(request.seed),
        output_type=kind,
        **options,
    ).images


@pytest.mark.parametrize("name", [None, *sorted(NAMES)])
def test_alone_it_is_bit_exact_with_the_pipeline(model, pipeline, name: str | None) -> None:
    request = a_request(noise_scheduler=name)
    row, pixels = draw(model, request)
    size = {"height": 64, "width": 64}
    assert torch.equal(row.latents, reference(pipeline, model, request, "latent", **size))
    assert np.array_equal(pixels, np.asarray(reference(pipeline, model, request, "pil", **size)[0]))


@pytest.mark.parametrize(("width", "height", "guidance"), [(96, 64, 1.0), (64, 128, 3.5)])
def test_other_sizes_and_no_guidance_are_bit_exact_too(model, pipeline, width, height, guidance) -> None:
    request = a_request(width=width, height=height, guidance_scale=guidance)
    _row, pixels = draw(model, request)
    assert pixels.shape == (height, width, 3)
    picture = reference(pipeline, model, request, "pil", height=height, width=width)[0]
    assert np.array_equal(pixels, np.asarray(picture))


@pytest.mark.parametrize("name", ["ddim", "euler", "euler_a", "dpm++", "unipc"])
@pytest.mark.parametrize("strength", [0.5, 1.0])
def test_image_to_image_is_bit_exact(model, pipeline, source, name: str, strength: float) -> None:

    request = a_request(noise_scheduler=name, strength=strength)
    row, pixels = draw(model, request, source=source)
    assert row.steps == 4 * strength
    img2img = StableDiffusionImg2ImgPipeline(**pipeline.components, requires_safety_checker=False)
    img2img.set_progress_bar_config(disable=True)
    options = {"image": Image.fromarray(source), "strength": strength}
    assert np.array_equal(pixels, np.asarray(reference(img2img, model, request, "pil", **options)[0]))


@pytest.fixture
def mask() -> np.ndarray:
    mask = np.zeros((64, 64), dtype=np.uint8)
    mask[16:48, 8:40] = 255
    return mask


def inpainted(components, model, request: ImageRequest, source: np.ndarray, mask: np.ndarray):
    inpaint = StableDiffusionInpaintPipeline(**components, requires_safety_checker=False)
    inpaint.set_progress_bar_config(disable=True)
    options = {
        "image": Image.fromarray(source),
        "mask_image": Image.fromarray(mask),
        "height": 64,
        "width": 64,
    }
    return reference(inpaint, model, request, "latent", strength=request.strength, **options)


@pytest.mark.parametrize("name", ["ddim", "euler", "euler_a", "dpm++", "unipc", "lcm"])
@pytest.mark.parametrize("strength", [0.5, 1.0])
def test_in_painting_is_bit_exact(model, pipeline, source, mask, name: str, strength: float) -> None:
    request = a_request(noise_scheduler=name, strength=strength)
    row, _pixels = draw(model, request, source=source, mask=mask)
    assert torch.equal(row.latents, inpainted(pipeline.components, model, request, source, mask))


def test_in_painting_keeps_what_the_mask_leaves_out(model, source, mask) -> None:
    row, _pixels = draw(model, a_request(), source=source, mask=mask)
    outside = row.kept.mask.expand_as(row.latents) == 0
    assert torch.equal(row.latents[outside], row.kept.clean[outside])
    assert not torch.equal(row.latents[~outside], row.kept.clean[~outside])
    assert row.steps == 4  # all of them, unless the card or the request says otherwise


@pytest.mark.parametrize("strength", [0.5, 1.0])
def test_a_model_that_sees_the_mask_is_bit_exact(tmp_path: Path, source, mask, strength: float) -> None:
    card = build_tiny_model(tmp_path / "model")
    torch.manual_seed(1)
    config = dict(UNet2DConditionModel.load_config(card.folder / "unet"))
    UNet2DConditionModel.from_config({**config, "in_channels": 9}).save_pretrained(card.folder / "unet")
    seeing = StableDiffusionFamily().load(card, device="cpu")
    parts = StableDiffusionPipeline.from_pretrained(card.folder, local_files_only=True).components
    request = a_request(strength=strength)
    row, _pixels = draw(seeing, request, source=source, mask=mask)
    assert torch.equal(row.latents, inpainted(parts, seeing, request, source, mask))
    assert draw(seeing, a_request())[1].shape == (64, 64, 3)  # without a mask it sees an empty one


def test_in_painting_mixes_with_text_to_image(model, source, mask) -> None:
    def run(*others: DiffusionRow) -> torch.Tensor:
        mine = model.prepare(a_request(seed=3), index=0, source=source, mask=mask)
        rows = [mine, *others]
        while waiting := [row for row in rows if row.step < row.steps]:
            model.denoise(waiting, pad_to=3)
        return mine.latents

    other = model.prepare(a_request(num_inference_steps=6), index=0, source=None)
    assert torch.equal(run(), run(other))


def test_a_source_of_another_size_is_cropped_to_the_request(model) -> None:
    wide = np.zeros((40, 200, 3), dtype=np.uint8)
    _row, pixels = draw(model, a_request(strength=0.3), source=wide)
    assert pixels.shape == (64, 64, 3)


def test_a_tiny_strength_still_takes_a_step(model, source) -> None:
    row, _pixels = draw(model, a_request(strength=0.0), source=source)
    assert row.steps == 1


def test_the_default_strength_is_the_cards(model, tiny_card, source) -> None:
    card = dataclasses.replace(tiny_card, options={"strength": 0.25})
    other = LoadedStableDiffusion(card, model.components)
    assert other.prepare(a_request(), index=0, source=source).steps == 1
    assert model.prepare(a_request(), index=0, source=source).steps == 3


def test_neighbors_change_nothing_when_the_row_count_is_fixed(model) -> None:
    def run(*requests: ImageRequest) -> torch.Tensor:
        rows = [model.prepare(request, index=0, source=None) for request in requests]
        first = rows[0]
        while waiting := [row for row in rows if row.step < row.steps]:
            model.denoise(waiting, pad_to=4)
        return first.latents

    mine = a_request(noise_scheduler="euler_a")
    alone = run(mine)
    mixed = run(
        mine,
        a_request(prompt="a dog", seed=5, num_inference_steps=3, noise_scheduler="lcm"),
        a_request(prompt="a cat", seed=6, num_inference_steps=6, noise_scheduler="dpm++"),
    )
    assert torch.equal(alone, mixed)
    assert (alone - draw(model, mine)[0].latents).abs().max() < 1e-3  # the row count itself changes last bits


def test_guided_and_unguided_rows_do_not_mix(model) -> None:
    guided = model.prepare(a_request(), index=0, source=None)
    unguided = model.prepare(a_request(guidance_scale=1.0), index=0, source=None)
    tall = model.prepare(a_request(height=128), index=0, source=None)
    assert len({model.compatibility(row) for row in (guided, unguided, tall)}) == 3
    assert model.compatibility(guided) == model.compatibility(
        model.prepare(
            a_request(prompt="x", num_inference_steps=9, noise_scheduler="lcm"), index=1, source=None
        )
    )


def test_the_index_counts_up_the_seed(model) -> None:
    assert np.array_equal(draw(model, a_request(), index=3)[1], draw(model, a_request(seed=14))[1])


def test_previews_are_small_and_follow_the_picture(model) -> None:
    row = model.prepare(a_request(num_inference_steps=3, height=128), index=0, source=None)
    seen = []
    while row.step < row.steps:
        model.denoise([row])
        seen.append(model.preview(row))
    assert {picture.shape for picture in seen} == {(128, 64, 3)}
    assert not np.array_equal(seen[0], seen[-1])


class AffineDecoder(torch.nn.Module):
    """A decoder whose colors are an affine function of the latents, as those of trained ones nearly are."""

    def __init__(self) -> None:
        super().__init__()
        self.config = SimpleNamespace(block_out_channels=(8,) * 4, latent_channels=4, scaling_factor=0.5)
        self.dtype = torch.float32
        self.mix = torch.tensor([[0.3, -0.2, 0.1], [0.1, 0.2, -0.3], [-0.2, 0.1, 0.2], [0.1, 0.1, 0.1]])

    def decode(self, latents: torch.Tensor, *, return_dict: bool) -> tuple[torch.Tensor]:
        assert not return_dict
        colors = torch.einsum("nchw,cr->nrhw", latents, self.mix) + 0.1
        return (torch.nn.functional.interpolate(colors, scale_factor=8),)


def test_the_preview_shows_the_colors_that_the_decoder_gives(model, tiny_card) -> None:
    components = dataclasses.replace(model.components, vae=AffineDecoder())
    row = model.prepare(a_request(), index=0, source=None)
    row.latents = torch.linspace(-0.8, 0.8, 4).reshape(1, 4, 1, 1).expand(1, 4, 8, 8)
    affine = LoadedStableDiffusion(tiny_card, components)
    shown, drawn = affine.preview(row)[64, 64], affine.decode(row).pixels[32, 32]
    assert np.abs(shown.astype(int) - drawn.astype(int)).max() <= 1


def test_a_prompt_longer_than_the_model_reads_is_remarked(model) -> None:
    row, _pixels = draw(model, a_request(prompt="apple " * 60))
    assert "does not read the last" in model.decode(row).note
    assert draw(model, a_request())[0].note is None


@pytest.mark.parametrize("prompt", ["\ud800", "\0", "👩‍👩‍👧", "ﷺ" * 50, "\u202e.", "<|endoftext|>" * 100])
def test_hostile_text_is_drawn_like_any_other(model, prompt: str) -> None:
    assert draw(model, a_request(prompt=prompt, num_inference_steps=1))[1].shape == (64, 64, 3)


def test_the_facts_name_what_a_replay_must_find(model) -> None:
    row, _pixels = draw(model, a_request(noise_scheduler="euler"))
    facts = model.facts(row)
    assert facts["noise_scheduler"] == "EulerDiscreteScheduler"
    assert facts["dtype"] == "float32"
    for name in ("noise_scheduler_sha256", "embeddings_sha256", "latents_sha256"):
        assert len(facts[name]) == 64
    other = model.facts(draw(model, a_request(noise_scheduler="ddim"))[0])
    assert other["noise_scheduler_sha256"] != facts["noise_scheduler_sha256"]
    assert other["embeddings_sha256"] == facts["embeddings_sha256"]


def test_what_the_model_cannot_do_is_refused(model) -> None:
    with pytest.raises(RequestLimitError, match="multiples of 8"):
        model.prepare(a_request(width=65), index=0, source=None)
    with pytest.raises(RequestLimitError, match="noise_scheduler"):
        model.prepare(a_request(noise_scheduler="magic"), index=0, source=None)
    with pytest.raises(RequestLimitError, match="num_inference_steps"):
        model.prepare(a_request(noise_scheduler="lcm", num_inference_steps=500), index=0, source=None)


def test_a_distilled_model_gets_its_guidance_as_an_embedding(tmp_path: Path) -> None:

    card = build_tiny_model(tmp_path / "model")
    torch.manual_seed(1)
    config = dict(UNet2DConditionModel.load_config(card.folder / "unet"))
    UNet2DConditionModel.from_config({**config, "time_cond_proj_dim": 16}).save_pretrained(
        card.folder / "unet"
    )
    distilled = StableDiffusionFamily().load(card, device="cpu")
    pipeline = StableDiffusionPipeline.from_pretrained(card.folder, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    request = a_request(noise_scheduler="lcm", guidance_scale=8.0)
    row, _pixels = draw(distilled, request)
    assert not row.guided
    assert torch.equal(row.latents, reference(pipeline, distilled, request, "latent", height=64, width=64))


@pytest.mark.usefixtures("model")
def test_loading_switches_hub_and_telemetry_off() -> None:

    assert huggingface_hub.constants.HF_HUB_OFFLINE
    for name in ("HF_HUB_OFFLINE", "DISABLE_TELEMETRY", "HF_HUB_DISABLE_TELEMETRY"):
        assert os.environ[name] == "1"


class _Bomb:
    def __reduce__(self):
        return (os.mkdir, ("/nonexistent/verso-pickle-ran",))


def _drop(path: str) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        target = folder / path
        shutil.rmtree(target) if target.is_dir() else target.unlink()

    return damage


def _write(path: str, data: bytes) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        (folder / path).write_bytes(data)

    return damage


def _as_pickle(folder: Path) -> None:
    (folder / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    (folder / "unet" / "diffusion_pytorch_model.bin").write_bytes(pickle.dumps(_Bomb()))


def _truncate(folder: Path) -> None:
    path = folder / "vae" / "diffusion_pytorch_model.safetensors"
    path.write_bytes(path.read_bytes()[:5000])


def _wrong_shape(folder: Path) -> None:
    path = folder / "unet" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "block_out_channels": [16, 16]}))


def _foreign_scheduler(folder: Path) -> None:
    path = folder / "scheduler" / "scheduler_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "_class_name": "StableDiffusionPipeline"}))


DAMAGES = {
    "no unet": (_drop("unet"), "unet"),
    "no tokenizer": (_drop("tokenizer"), "tokenizer"),
    "no vocabulary": (_drop("tokenizer/vocab.json"), "tokenizer"),
    "no weights": (_drop("vae/diffusion_pytorch_model.safetensors"), "vae"),
    "no config": (_drop("text_encoder/config.json"), "text_encoder"),
    "pickle": (_as_pickle, "only safetensors"),
    "truncated": (_truncate, "vae"),
    "garbage": (_write("unet/diffusion_pytorch_model.safetensors", b"\xff" * 4096), "unet"),
    "empty": (_write("text_encoder/model.safetensors", b""), "text_encoder"),
    "config is no JSON": (_write("unet/config.json", b"{"), "unet"),
    "config is a list": (_write("vae/config.json", b"[]"), "vae"),
    "wrong shape": (_wrong_shape, "unet"),
    "foreign scheduler": (_foreign_scheduler, "scheduler"),
    "scheduler config is a list": (_write("scheduler/scheduler_config.json", b"[]"), "scheduler"),
}


@pytest.fixture
def copy(tiny_card: ModelCard, tmp_path: Path) -> ModelCard:
    shutil.copytree(tiny_card.folder, tmp_path / "copy")
    return dataclasses.replace(tiny_card, folder=tmp_path / "copy")


@pytest.mark.parametrize("name", DAMAGES)
def test_a_broken_folder_is_refused_in_one_line(copy: ModelCard, name: str, capfd) -> None:
    damage, word = DAMAGES[name]
    damage(copy.folder)
    with pytest.raises(ModelLoadError) as refusal:
        open_family("stable_diffusion").load(copy, device="cpu")
    assert word in refusal.value.reason
    assert "\n" not in str(refusal.value)
    assert refusal.value.model_id == "tiny"
    assert "Traceback" not in "".join(capfd.readouterr())


def test_an_unknown_family_is_refused() -> None:
    with pytest.raises(ModelLoadError, match="unknown family"):
        open_family("os")
