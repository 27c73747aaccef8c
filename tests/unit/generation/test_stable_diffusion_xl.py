"""SDXL against diffusers' own pipelines, bit for bit."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import (
    StableDiffusionXLImg2ImgPipeline,
    StableDiffusionXLInpaintPipeline,
    StableDiffusionXLPipeline,
)
from PIL import Image

from generation.card import ModelCard
from generation.errors import ModelLoadError
from generation.families import open_family
from generation.families.noise_schedulers import NAMES, make_noise_scheduler
from generation.families.tiny import build_tiny_xl
from generation.job import ImageRequest

SOURCE = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
MASK = np.zeros((64, 64), dtype=np.uint8)
MASK[16:48, 8:40] = 255


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> ModelCard:
    return build_tiny_xl(tmp_path_factory.mktemp("xl") / "model")


@pytest.fixture(scope="module")
def model(card: ModelCard):
    torch.set_num_threads(1)
    return open_family("stable_diffusion_xl").load(card, device="cpu")


@pytest.fixture(scope="module")
def parts(card: ModelCard):
    return StableDiffusionXLPipeline.from_pretrained(card.folder, local_files_only=True).components


def a_request(**changes: object) -> ImageRequest:
    request = ImageRequest(
        prompt="a red apple on a blue plate",
        negative_prompt="blurry",
        model_id="tiny",
        width=64,
        height=64,
        seed=11,
        num_inference_steps=4,
        guidance_scale=5.0,
    )
    return dataclasses.replace(request, **changes)


def draw(model, request: ImageRequest, **options):
    row = model.prepare(request, **{"index": 0, "source": None, **options})
    while row.step < row.steps:
        model.denoise([row])
    return row, model.decode(row).pixels


def reference(pipeline_class, parts, model, request: ImageRequest, kind: str, **options):
    pipeline = pipeline_class(**parts, add_watermarker=False)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.scheduler = make_noise_scheduler(model.components.noise_scheduler, request.noise_scheduler)
    return pipeline(
        request.prompt,
        negative_prompt=request.negative_prompt or None,
        num_inference_steps=request.num_inference_steps,
        guidance_scale=request.guidance_scale,
        generator=torch.Generator().manual_seed(request.seed),
        output_type=kind,
        **options,
    ).images


@pytest.mark.parametrize("name", [None, *sorted(NAMES)])
def test_alone_it_is_bit_exact_with_the_pipeline(model, parts, name: str | None) -> None:
    request = a_request(noise_scheduler=name)
    row, pixels = draw(model, request)
    size = {"height": 64, "width": 64}
    assert torch.equal(
        row.latents, reference(StableDiffusionXLPipeline, parts, model, request, "latent", **size)
    )
    picture = reference(StableDiffusionXLPipeline, parts, model, request, "pil", **size)[0]
    assert np.array_equal(pixels, np.asarray(picture))


@pytest.mark.parametrize(
    "changes",
    [
        {"width": 96},
        {"height": 128, "guidance_scale": 1.0},
        {"negative_prompt": ""},
    ],
)
def test_sizes_guidance_and_no_negative_prompt_are_bit_exact_too(model, parts, changes) -> None:
    request = a_request(**changes)
    _row, pixels = draw(model, request)
    size = {"height": request.height, "width": request.width}
    picture = reference(StableDiffusionXLPipeline, parts, model, request, "pil", **size)[0]
    assert np.array_equal(pixels, np.asarray(picture))


def test_the_empty_negative_prompt_is_zeros_unless_the_folder_says_otherwise(model, card, tmp_path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(card.folder, folder)
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps({**index, "force_zeros_for_empty_prompt": False}))
    other = open_family("stable_diffusion_xl").load(dataclasses.replace(card, folder=folder), device="cpu")
    request = a_request(negative_prompt="")
    assert not model.prepare(request, index=0, source=None).embeddings[0].any()
    assert other.prepare(request, index=0, source=None).embeddings[0].any()


@pytest.mark.parametrize("name", ["ddim", "euler", "euler_a", "dpm++", "unipc"])
def test_image_to_image_is_bit_exact(model, parts, name: str) -> None:
    request = a_request(noise_scheduler=name, strength=0.5)
    row, _pixels = draw(model, request, source=SOURCE)
    options = {"image": Image.fromarray(SOURCE), "strength": 0.5}
    latents = reference(StableDiffusionXLImg2ImgPipeline, parts, model, request, "latent", **options)
    assert torch.equal(row.latents, latents)


@pytest.mark.parametrize("name", ["ddim", "euler", "euler_a", "dpm++"])
@pytest.mark.parametrize("strength", [0.5, 1.0])
def test_in_painting_is_bit_exact(model, parts, name: str, strength: float) -> None:
    request = a_request(noise_scheduler=name, strength=strength)
    row, _pixels = draw(model, request, source=SOURCE, mask=MASK)
    options = {
        "image": Image.fromarray(SOURCE), "mask_image": Image.fromarray(MASK), "strength": strength,
        "height": 64, "width": 64,
    }  # fmt: skip
    latents = reference(StableDiffusionXLInpaintPipeline, parts, model, request, "latent", **options)
    assert torch.equal(row.latents, latents)


def test_neighbors_change_nothing_when_the_row_count_is_fixed(model) -> None:
    def run(*rows) -> torch.Tensor:
        while waiting := [row for row in rows if row.step < row.steps]:
            model.denoise(waiting, pad_to=4)
        return rows[0].latents

    def mine():
        return model.prepare(a_request(noise_scheduler="euler_a"), index=0, source=None)

    others = [
        model.prepare(a_request(prompt="a dog", seed=5, num_inference_steps=3), index=0, source=None),
        model.prepare(a_request(strength=0.5, noise_scheduler="dpm++"), index=0, source=SOURCE),
        model.prepare(a_request(seed=7), index=0, source=SOURCE, mask=MASK),
    ]
    assert len({model.compatibility(row) for row in (mine(), *others)}) == 1
    assert torch.equal(run(mine()), run(mine(), *others))


def test_the_pooled_text_is_among_the_facts(model) -> None:
    facts = {
        prompt: model.facts(model.prepare(a_request(prompt=prompt), index=0, source=None))[
            "embeddings_sha256"
        ]
        for prompt in ("a", "b")
    }
    assert facts["a"] != facts["b"]


def test_a_refiner_is_refused(card, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(card.folder, folder)
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps({**index, "requires_aesthetics_score": True}))
    with pytest.raises(ModelLoadError, match="refiner"):
        open_family("stable_diffusion_xl").load(dataclasses.replace(card, folder=folder), device="cpu")


@pytest.mark.parametrize("content", ["[]", "{"])
def test_a_damaged_index_is_refused(card, tmp_path: Path, content: str) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(card.folder, folder)
    (folder / "model_index.json").write_text(content)
    with pytest.raises(ModelLoadError, match="model_index"):
        open_family("stable_diffusion_xl").load(dataclasses.replace(card, folder=folder), device="cpu")
