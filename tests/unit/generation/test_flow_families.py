"""The flow-matching families against diffusers' own pipelines, bit for bit."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import diffusers
import numpy as np
import pytest
import torch
from PIL import Image

from generation.card import ModelCard
from generation.errors import ModelLoadError, RequestLimitError
from generation.families import open_family
from generation.families.tiny_transformers import (
    build_tiny_flux,
    build_tiny_qwen,
    build_tiny_sd3,
    build_tiny_z,
)
from generation.job import ImageRequest

SOURCE = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
MASK = np.zeros((64, 64), dtype=np.uint8)
MASK[16:48, 16:48] = 255


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """A family, and the pipelines that it must equal."""

    family: str
    build: Callable[[Path], ModelCard]
    pipelines: tuple[str, str, str]  # text-to-image, image-to-image, in-painting
    guidance: str = "guidance_scale"  # the pipelines' name of what the request calls guidance_scale
    reads_negative: bool = True
    options: Mapping[str, object] = dataclasses.field(default_factory=dict)
    absent: tuple[str, ...] = ()
    no_guidance: float = 1.0


CASES = {
    "sd3": Case(
        family="stable_diffusion_3",
        build=build_tiny_sd3,
        pipelines=(
            "StableDiffusion3Pipeline",
            "StableDiffusion3Img2ImgPipeline",
            "StableDiffusion3InpaintPipeline",
        ),
    ),
    "sd3 without its large encoder": Case(
        family="stable_diffusion_3",
        build=lambda folder: build_tiny_sd3(folder, large_encoder=False),
        absent=("text_encoder_3", "tokenizer_3"),
        pipelines=(
            "StableDiffusion3Pipeline",
            "StableDiffusion3Img2ImgPipeline",
            "StableDiffusion3InpaintPipeline",
        ),
    ),
    "flux dev": Case(
        family="flux",
        build=build_tiny_flux,
        pipelines=("FluxPipeline", "FluxImg2ImgPipeline", "FluxInpaintPipeline"),
        reads_negative=False,
    ),
    "flux schnell": Case(
        family="flux",
        build=lambda folder: build_tiny_flux(folder, guidance_embeds=False),
        pipelines=("FluxPipeline", "FluxImg2ImgPipeline", "FluxInpaintPipeline"),
        reads_negative=False,
    ),
    "qwen-image": Case(
        family="qwen_image",
        build=build_tiny_qwen,
        pipelines=("QwenImagePipeline", "QwenImageImg2ImgPipeline", "QwenImageInpaintPipeline"),
        guidance="true_cfg_scale",
    ),
    "z-image": Case(
        family="z_image",
        build=build_tiny_z,
        pipelines=("ZImagePipeline", "ZImageImg2ImgPipeline", "ZImageInpaintPipeline"),
        no_guidance=0.0,
    ),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Loaded:
    case: Case
    card: ModelCard
    model: object
    parts: Mapping[str, object]

    def draw(self, request: ImageRequest, **options):
        row = self.model.prepare(request, **{"index": 0, "source": None, **options})
        while row.step < row.steps:
            self.model.denoise([row])
        return row, self.model.decode(row).pixels

    def reference(self, which: int, request: ImageRequest, kind: str, **options):
        pipeline = getattr(diffusers, self.case.pipelines[which])(**self.parts)
        pipeline.set_progress_bar_config(disable=True)
        if self.case.reads_negative:
            options["negative_prompt"] = request.negative_prompt
        if which != 1 or "height" not in options:  # some image-to-image pipelines take the picture's size
            options |= {"height": request.height, "width": request.width}
        return pipeline(
            prompt=request.prompt,
            num_inference_steps=request.num_inference_steps,
            generator=torch.Generator().manual_seed(request.seed),
            output_type=kind,
            **{self.case.guidance: request.guidance_scale},
            **self.case.options,
            **options,
        ).images


@pytest.fixture(scope="module", params=CASES)
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    torch.set_num_threads(1)
    case = CASES[request.param]
    card = case.build(tmp_path_factory.mktemp("flow") / "model")
    pipeline = getattr(diffusers, case.pipelines[0])
    return Loaded(
        case=case,
        card=card,
        model=open_family(case.family).load(card, device="cpu"),
        parts=pipeline.from_pretrained(
            card.folder, local_files_only=True, **dict.fromkeys(case.absent)
        ).components,
    )


def a_request(**changes: object) -> ImageRequest:
    request = ImageRequest(
        prompt="a red apple on a blue plate",
        negative_prompt="blurry",
        model_id="tiny",
        width=64,
        height=64,
        seed=11,
        num_inference_steps=4,
        guidance_scale=3.5,
    )
    return dataclasses.replace(request, **changes)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"guidance_scale": 1.0},
        {"guidance_scale": 0.0},
        {"width": 96, "num_inference_steps": 3},
        {"height": 128},
    ],
)
def test_alone_it_is_bit_exact_with_the_pipeline(loaded: Loaded, changes) -> None:
    request = a_request(**changes)
    row, pixels = loaded.draw(request)
    assert torch.equal(row.latents, loaded.reference(0, request, "latent"))
    assert pixels.shape == (request.height, request.width, 3)
    assert np.array_equal(pixels, np.asarray(loaded.reference(0, request, "pil")[0]))


@pytest.mark.parametrize("strength", [0.3, 0.5, 1.0])
def test_image_to_image_is_bit_exact(loaded: Loaded, strength: float) -> None:
    request = a_request(strength=strength)
    row, _pixels = loaded.draw(request, source=SOURCE)
    options = {"image": Image.fromarray(SOURCE), "strength": strength}
    assert torch.equal(row.latents, loaded.reference(1, request, "latent", **options))


@pytest.mark.parametrize("strength", [0.5, 1.0])
def test_in_painting_is_bit_exact(loaded: Loaded, strength: float) -> None:
    request = a_request(strength=strength)
    row, _pixels = loaded.draw(request, source=SOURCE, mask=MASK)
    options = {
        "image": Image.fromarray(SOURCE), "mask_image": Image.fromarray(MASK), "strength": strength
    }  # fmt: skip
    # Latents, not pixels: one of these pipelines decodes in-painted latents without their shift.
    assert torch.equal(row.latents, loaded.reference(2, request, "latent", **options))


def test_in_painting_keeps_what_the_mask_leaves_out(loaded: Loaded) -> None:
    row, _pixels = loaded.draw(a_request(), source=SOURCE, mask=MASK)
    outside = row.kept.mask.expand_as(row.latents) == 0
    assert outside.any()
    assert torch.equal(row.latents[outside], row.kept.clean[outside])
    assert not torch.equal(row.latents[~outside], row.kept.clean[~outside])


def test_neighbors_change_nothing_when_the_row_count_is_fixed(loaded: Loaded) -> None:
    model = loaded.model

    def run(*rows) -> torch.Tensor:
        while waiting := [row for row in rows if row.step < row.steps]:
            model.denoise(waiting, pad_to=4)
        return rows[0].latents

    def mine():
        return model.prepare(a_request(), index=0, source=None)

    others = [
        model.prepare(
            a_request(prompt="a green dog on a red plate", seed=5, num_inference_steps=3),
            index=0,
            source=None,
        ),
        model.prepare(a_request(guidance_scale=7.0, strength=0.5), index=0, source=SOURCE),
        model.prepare(a_request(seed=7), index=0, source=SOURCE, mask=MASK),
    ]
    assert len({model.compatibility(row) for row in (mine(), *others)}) == 1
    alone = run(mine())
    assert torch.equal(alone, run(mine(), *others))
    assert (alone - loaded.draw(a_request())[0].latents).abs().max() < 1e-3


def test_sizes_of_one_area_do_not_mix(loaded: Loaded) -> None:
    keys = {
        loaded.model.compatibility(loaded.model.prepare(a_request(**size), index=0, source=None))
        for size in ({"width": 128}, {"height": 128})
    }
    assert len(keys) == 2


def test_guidance_reaches_the_picture(loaded: Loaded) -> None:
    changed = loaded.draw(a_request(guidance_scale=7.0))[0].latents
    same = torch.equal(changed, loaded.draw(a_request())[0].latents)
    assert same == (loaded.card.family == "flux" and not loaded.model.transformer.config.guidance_embeds)


def test_an_unread_negative_prompt_is_remarked(loaded: Loaded) -> None:
    row, _pixels = loaded.draw(a_request(guidance_scale=loaded.case.no_guidance))
    assert "negative prompt was not read" in loaded.model.decode(row).note
    read, _pixels = loaded.draw(a_request(negative_prompt=" "))
    assert loaded.model.decode(read).note is None


def test_a_tiny_strength_still_takes_a_step(loaded: Loaded) -> None:
    assert loaded.draw(a_request(strength=0.0), source=SOURCE)[0].steps == 1


def test_what_the_model_cannot_do_is_refused(loaded: Loaded) -> None:
    with pytest.raises(RequestLimitError, match="multiples of 16"):
        loaded.model.prepare(a_request(width=72), index=0, source=None)
    with pytest.raises(RequestLimitError, match="noise_scheduler"):
        loaded.model.prepare(a_request(noise_scheduler="ddim"), index=0, source=None)
    named = loaded.model.prepare(a_request(noise_scheduler="flow_euler"), index=0, source=None)
    assert type(named.noise_scheduler).__name__ == "FlowMatchEulerDiscreteScheduler"


def test_previews_follow_the_picture(loaded: Loaded) -> None:
    row = loaded.model.prepare(a_request(height=128), index=0, source=None)
    seen = []
    while row.step < row.steps:
        loaded.model.denoise([row])
        seen.append(loaded.model.preview(row))
    assert {picture.shape for picture in seen} == {(128, 64, 3)}
    assert not np.array_equal(seen[0], seen[-1])


def test_another_kind_of_scheduler_is_refused(loaded: Loaded, tmp_path: Path) -> None:
    shutil.copytree(loaded.card.folder, tmp_path / "copy")
    path = tmp_path / "copy" / "scheduler" / "scheduler_config.json"
    path.write_text(json.dumps({"_class_name": "DDIMScheduler"}))
    card = dataclasses.replace(loaded.card, folder=tmp_path / "copy")
    with pytest.raises(ModelLoadError, match="not a flow-matching scheduler"):
        open_family(card.family).load(card, device="cpu")


def test_a_long_prompt_is_remarked(tmp_path: Path) -> None:
    card = dataclasses.replace(build_tiny_flux(tmp_path / "model"), options={"text_tokens": 16})
    model = open_family("flux").load(card, device="cpu")
    row = model.prepare(a_request(negative_prompt=""), index=0, source=None)
    assert "does not read the last" in model.decode(row).note
