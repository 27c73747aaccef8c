"""The fallback: a diffusers pipeline as it is, in the engine's loop."""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import json
import shutil
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import (
    ControlNetModel,
    StableDiffusionControlNetPipeline,
    StableDiffusionImg2ImgPipeline,
    StableDiffusionInpaintPipeline,
    StableDiffusionPipeline,
)
from PIL import Image

from generation.card import ModelCard
from generation.catalog import Catalog
from generation.engine import Engine
from generation.errors import JobCancelledError, ModelLoadError, RequestLimitError
from generation.families import open_family
from generation.families.tiny import build_tiny_model
from generation.job import ImageRequest

SOURCE = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
MASK = np.zeros((64, 64), dtype=np.uint8)
MASK[16:48, 8:40] = 255


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> ModelCard:
    torch.set_num_threads(1)
    card = build_tiny_model(tmp_path_factory.mktemp("pipeline") / "model")
    return dataclasses.replace(card, family="pipeline", abilities=frozenset({"img2img", "inpaint"}))


@pytest.fixture(scope="module")
def model(card: ModelCard):
    return open_family("pipeline").load(card, device="cpu")


@pytest.fixture
def copy(card: ModelCard, tmp_path: Path) -> ModelCard:
    shutil.copytree(card.folder, tmp_path / "copy")
    return dataclasses.replace(card, folder=tmp_path / "copy")


def a_request(**changes: object) -> ImageRequest:
    request = ImageRequest(
        prompt="a red apple",
        negative_prompt="blurry",
        model_id="tiny",
        width=64,
        height=64,
        seed=11,
        num_inference_steps=4,
        guidance_scale=5.0,
    )
    return dataclasses.replace(request, **changes)


def draw(model, request: ImageRequest, **options) -> np.ndarray:
    row = model.prepare(request, **{"index": 0, "source": None, **options})
    while row.step < row.steps:
        model.denoise([row])
    return model.decode(row).pixels


def reference(pipeline, request: ImageRequest, **options) -> np.ndarray:
    pipeline.set_progress_bar_config(disable=True)
    picture = pipeline(
        request.prompt,
        negative_prompt=request.negative_prompt,
        num_inference_steps=request.num_inference_steps,
        guidance_scale=request.guidance_scale,
        generator=torch.Generator().manual_seed(request.seed),
        **options,
    ).images[0]
    return np.asarray(picture)


def pipeline_threads() -> int:
    return sum(thread.name == "verso-pipeline" for thread in threading.enumerate())


def wait_for_no_threads() -> None:
    deadline = time.monotonic() + 30
    while pipeline_threads() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert pipeline_threads() == 0


def test_it_gives_the_pipelines_own_pixels(model, card) -> None:
    plain = StableDiffusionPipeline.from_pretrained(card.folder, local_files_only=True)
    assert np.array_equal(draw(model, a_request()), reference(plain, a_request(), width=64, height=64))
    source, mask = Image.fromarray(SOURCE), Image.fromarray(MASK)
    varied = a_request(strength=0.5)
    img2img = StableDiffusionImg2ImgPipeline(**plain.components, requires_safety_checker=False)
    wanted = reference(img2img, varied, image=source, strength=0.5)
    assert np.array_equal(draw(model, varied, source=SOURCE), wanted)
    inpaint = StableDiffusionInpaintPipeline(**plain.components, requires_safety_checker=False)
    wanted = reference(inpaint, varied, image=source, mask_image=mask, strength=0.5, width=64, height=64)
    assert np.array_equal(draw(model, varied, source=SOURCE, mask=MASK), wanted)


def test_a_controlnet_runs_with_its_source_as_control(card, tmp_path: Path) -> None:
    parts = StableDiffusionPipeline.from_pretrained(card.folder, local_files_only=True).components
    torch.manual_seed(0)
    controlnet = ControlNetModel.from_unet(parts["unet"], conditioning_channels=3)
    for parameter in controlnet.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter)  # a fresh one adds nothing
    control = StableDiffusionControlNetPipeline(**parts, controlnet=controlnet, requires_safety_checker=False)
    control.save_pretrained(tmp_path / "control")
    own = dataclasses.replace(card, folder=tmp_path / "control")
    model = open_family("pipeline").load(own, device="cpu")
    pixels = draw(model, a_request(), source=SOURCE)
    wanted = reference(control, a_request(), image=Image.fromarray(SOURCE), width=64, height=64)
    assert np.array_equal(pixels, wanted)
    assert not np.array_equal(pixels, draw(model, a_request(), source=255 - SOURCE))
    with pytest.raises(RequestLimitError, match="cannot do this"):
        model.prepare(a_request(), index=0, source=SOURCE, mask=MASK)


async def test_it_mixes_with_others_and_is_cancelled_between_two_steps(card) -> None:
    engine = Engine(Catalog([card]), threads=1)
    steps_seen: list[int] = []

    def stop() -> bool:
        return len(steps_seen) >= 2

    def progress(step: int, _steps: int, _preview: bytes | None) -> None:
        steps_seen.append(step)

    try:
        long = engine.generate(a_request(num_inference_steps=50), should_cancel=stop, on_progress=progress)
        outcome, short, other = await asyncio.gather(
            long,
            engine.generate(a_request()),
            engine.generate(a_request(seed=12, num_inference_steps=3)),
            return_exceptions=True,
        )
        assert isinstance(outcome, JobCancelledError)
        assert len(steps_seen) <= 4
        (alone,) = await engine.generate(a_request())
        assert short[0].png == alone.png
        assert other[0].png != alone.png
    finally:
        await engine.close()
    del outcome, long  # the error's traceback holds the request
    gc.collect()
    wait_for_no_threads()


def test_an_abandoned_picture_ends_its_thread(model) -> None:
    gc.collect()
    wait_for_no_threads()
    rows = [model.prepare(a_request(), index=index, source=None) for index in range(3)]
    model.denoise(rows[:2])
    assert pipeline_threads() == 3
    rows.clear()
    gc.collect()
    wait_for_no_threads()


def test_what_breaks_in_the_pipeline_reaches_the_caller(model) -> None:
    row = model.prepare(a_request(width=68), index=0, source=None)  # not a multiple of 8
    with pytest.raises(ValueError, match="divisible by 8"):
        model.denoise([row])


def damaged(folder: Path, **changes: object) -> None:
    path = folder / "model_index.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"_class_name": ["pipeline", "Evil"]}, "not a pipeline of diffusers"),
        ({"_class_name": "UNet2DModel"}, "not a pipeline of diffusers"),
        ({"_class_name": "os"}, "not a pipeline of diffusers"),
        ({"unet": ["my_code", "UNet"]}, "never run"),
        ({"_class_name": "DanceDiffusionPipeline"}, "cannot be stopped|not a pipeline"),
    ],
)
def test_foreign_code_is_refused(copy: ModelCard, changes, words: str) -> None:
    damaged(copy.folder, **changes)
    with pytest.raises(ModelLoadError, match=words):
        open_family("pipeline").load(copy, device="cpu")


def test_pickles_and_damaged_weights_are_refused(copy: ModelCard) -> None:
    (copy.folder / "unet" / "more.bin").write_bytes(b"x")
    with pytest.raises(ModelLoadError, match="only safetensors"):
        open_family("pipeline").load(copy, device="cpu")
    (copy.folder / "unet" / "more.bin").unlink()
    (copy.folder / "unet" / "diffusion_pytorch_model.safetensors").write_bytes(b"\xff" * 999)
    with pytest.raises(ModelLoadError) as refusal:
        open_family("pipeline").load(copy, device="cpu")
    assert "\n" not in str(refusal.value)
