"""LoRAs: merged as diffusers merges them, pinned by the card's digest, named in the profile."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import diffusers
import pytest
import torch
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict

from generation.card import Lora, ModelCard, weights_digest
from generation.catalog import Catalog
from generation.engine import Engine
from generation.errors import ModelLoadError
from generation.families import open_family
from generation.families.tiny import build_tiny_model, build_tiny_xl
from generation.families.tiny_transformers import build_tiny_flux, build_tiny_sd3
from generation.job import ImageRequest

BUILDERS = {
    "stable_diffusion": (build_tiny_model, "StableDiffusionPipeline", "unet"),
    "stable_diffusion_xl": (build_tiny_xl, "StableDiffusionXLPipeline", "unet"),
    "stable_diffusion_3": (build_tiny_sd3, "StableDiffusion3Pipeline", "transformer"),
    "flux": (build_tiny_flux, "FluxPipeline", "transformer"),
}


def write_lora(folder: Path, card: ModelCard) -> Path:
    """A random LoRA of the attention, as diffusers saves it."""
    _build, name, part = BUILDERS[card.family]
    pipeline = getattr(diffusers, name).from_pretrained(card.folder, local_files_only=True)
    model = getattr(pipeline, part)
    torch.manual_seed(3)
    config = LoraConfig(r=2, lora_alpha=2, target_modules=["to_q", "to_v"], init_lora_weights=False)
    model.add_adapter(config)
    getattr(diffusers, name).save_lora_weights(
        folder, **{f"{part}_lora_layers": get_peft_model_state_dict(model)}
    )
    return folder / "pytorch_lora_weights.safetensors"


@pytest.fixture(scope="module", params=BUILDERS)
def card(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ModelCard:
    return BUILDERS[request.param][0](tmp_path_factory.mktemp("base") / "model")


@pytest.fixture(scope="module")
def file(card: ModelCard, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_lora(tmp_path_factory.mktemp("lora"), card)


def with_lora(card: ModelCard, file: Path, weight: float = 0.5) -> ModelCard:
    loras = (Lora(name="pixel", file=file, weight=weight, license_id="Apache-2.0"),)
    digest = weights_digest(card.folder, loras)
    return dataclasses.replace(card, id="changed", loras=loras, weights_sha256=digest)


def a_request(**changes: object) -> ImageRequest:
    request = ImageRequest(
        prompt="a red apple",
        model_id="changed",
        width=64,
        height=64,
        seed=3,
        num_inference_steps=3,
        guidance_scale=4.0,
    )
    return dataclasses.replace(request, **changes)


def draw(card: ModelCard):
    model = open_family(card.family).load(card, device="cpu")
    row = model.prepare(a_request(), index=0, source=None)
    while row.step < row.steps:
        model.denoise([row])
    return row.latents, model.facts(row)


def test_it_is_bit_exact_with_a_pipeline_that_merged_it(card: ModelCard, file: Path) -> None:
    torch.set_num_threads(1)
    pipeline = getattr(diffusers, BUILDERS[card.family][1]).from_pretrained(
        card.folder, local_files_only=True
    )
    pipeline.set_progress_bar_config(disable=True)
    pipeline.load_lora_weights(file.parent, weight_name=file.name)
    pipeline.fuse_lora(components=[BUILDERS[card.family][2]], lora_scale=0.5)
    latents, facts = draw(with_lora(card, file))
    words = (
        {}
        if card.family == "flux"
        else {"negative_prompt": "" if card.family != "stable_diffusion_xl" else None}
    )
    wanted = pipeline(
        a_request().prompt,
        num_inference_steps=3,
        guidance_scale=4.0,
        width=64,
        height=64,
        generator=torch.Generator().manual_seed(3),
        output_type="latent",
        **words,
    ).images
    assert torch.equal(latents, wanted)
    assert not torch.equal(latents, draw(card)[0])
    assert facts["loras"] == "pixel x 0.5"


def test_a_damaged_file_is_refused_in_one_line(card: ModelCard, tmp_path: Path) -> None:
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(b"\xff" * 512)
    with pytest.raises(ModelLoadError, match="LoRA pixel") as refusal:
        open_family(card.family).load(with_lora(card, bad), device="cpu")
    assert "\n" not in str(refusal.value)


def test_a_lora_for_another_kind_of_model_is_refused(tmp_path: Path) -> None:
    flux = build_tiny_flux(tmp_path / "flux")
    file = write_lora(tmp_path / "lora", flux)
    for build in (build_tiny_model, build_tiny_sd3):
        card = with_lora(build(tmp_path / build.__name__), file)
        with pytest.raises(ModelLoadError, match="LoRA pixel"):
            open_family(card.family).load(card, device="cpu")


def test_the_digest_names_bytes_and_weight(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "a.safetensors").write_bytes(b"base")
    (tmp_path / "l.safetensors").write_bytes(b"lora")

    def digest(*weights: float) -> str:
        loras = [Lora(name="l", file=tmp_path / "l.safetensors", weight=w, license_id="MIT") for w in weights]
        return weights_digest(tmp_path / "model", loras)

    base, lora = (hashlib.sha256(data).hexdigest() for data in (b"base", b"lora"))
    lines = f"a.safetensors\0{base}\nlora\x000.5\0{lora}\n"
    assert digest(0.5) == hashlib.sha256(lines.encode()).hexdigest()
    assert len({digest(), digest(0.5), digest(0.6), digest(0.5, 0.5)}) == 4


async def test_the_engine_refuses_another_file_in_its_place(tmp_path: Path) -> None:
    base = build_tiny_model(tmp_path / "model")
    card = with_lora(base, write_lora(tmp_path / "lora", base))
    engine = Engine(Catalog([card, base]), threads=1)
    try:
        (changed,) = await engine.generate(a_request())
        (plain,) = await engine.generate(a_request(model_id="tiny"))
        assert changed.profile["loras"] == "pixel x 0.5"
        assert changed.profile["weights_sha256"] != plain.profile["weights_sha256"]
        assert changed.profile["pixels_sha256"] != plain.profile["pixels_sha256"]
        assert "loras" not in plain.profile
    finally:
        await engine.close()
    card.loras[0].file.write_bytes(card.loras[0].file.read_bytes() + b" ")
    engine = Engine(Catalog([card]), threads=1)
    try:
        with pytest.raises(ModelLoadError, match="not those of the card"):
            await engine.generate(a_request())
    finally:
        await engine.close()


TOML = """
id = "big"
name = "Big model"
family = "{family}"
folder = "model"
revision = "1"
license_id = "MIT"
width = 512
height = 512
max_pixels = 1048576
default_steps = 30
max_steps = 100
default_guidance = 7.5
{digest}
[[lora]]
name = "pixel"
file = "{file}"
weight = 0.8
license_id = "Apache-2.0"
"""


def test_the_catalog_reads_loras(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "a.safetensors").write_bytes(b"base")
    (tmp_path / "l.safetensors").write_bytes(b"lora")

    def read(**values: str) -> ModelCard:
        filled = {"family": "flux", "file": "l.safetensors", "digest": "", **values}
        (tmp_path / "card.toml").write_text(TOML.format(**filled))
        return Catalog.load([tmp_path], embedded=None).get("big")

    lora = Lora(name="pixel", file=tmp_path / "l.safetensors", weight=0.8, license_id="Apache-2.0")
    digest = weights_digest(tmp_path / "model", [lora])
    with pytest.raises(ModelLoadError, match=digest):
        read()
    assert read(digest=f'weights_sha256 = "{digest}"').loras == (lora,)
    with pytest.raises(ModelLoadError, match="take none"):
        read(family="sticker")
    with pytest.raises(ModelLoadError, match="file"):
        read(file="l.bin")
    with pytest.raises(ModelLoadError, match="cannot be read"):
        read(file="absent.safetensors")
