"""The catalog from TOML, with clear words for every mistake."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import pytest

from generation.catalog import Catalog, ModelCard, weights_digest
from generation.errors import GenerationError, ModelLoadError, RequestLimitError, UnknownModelError
from generation.job import ImageRequest

CARD = """
id = "big"
name = "Big model"
family = "stable_diffusion"
folder = "weights"
revision = "2024-01"
weights_sha256 = "{digest}"
license_id = "CreativeML-Open-RAIL-M"
width = 512
height = 512
max_pixels = 1048576
default_steps = 30
max_steps = 100
default_guidance = 7.5
aspects = {{ "3:2" = [768, 512] }}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "weights" / "unet").mkdir(parents=True)
    (tmp_path / "weights" / "unet" / "model.safetensors").write_bytes(b"weights")
    (tmp_path / "weights" / "README.md").write_text("not a weight")
    (tmp_path / "weights" / ".cache").mkdir()
    (tmp_path / "weights" / ".cache" / "x.json").write_text("{}")
    return tmp_path


@pytest.fixture
def card_text(folder: Path) -> str:
    return CARD.format(digest=weights_digest(folder / "weights"))


def load(folder: Path, text: str) -> Catalog:
    (folder / "card.toml").write_text(text)
    return Catalog.load([folder], embedded=None)


def test_the_digest_is_the_documented_sum(folder: Path) -> None:
    line = f"unet/model.safetensors\0{hashlib.sha256(b'weights').hexdigest()}\n"
    assert weights_digest(folder / "weights") == hashlib.sha256(line.encode()).hexdigest()


def test_a_card_is_read(folder: Path, card_text: str) -> None:
    (card,) = load(folder, card_text)
    assert card.folder == folder / "weights"
    assert dict(card.aspects) == {"1:1": (512, 512), "3:2": (768, 512)}
    assert card.default_guidance == 7.5
    assert card.enabled


def test_a_negative_prompt_may_have_a_guidance_of_its_own(folder: Path, card_text: str) -> None:
    (plain,) = load(folder, card_text)
    assert plain.guidance_for("hat") == plain.guidance_for("") == 7.5
    (other,) = load(folder, card_text + "negative_guidance = 3\n")
    assert (other.guidance_for("hat"), other.guidance_for("")) == (3.0, 7.5)


def test_an_operators_file_holds_many_models(folder: Path, card_text: str) -> None:
    tables = [card_text.replace('id = "big"', f'id = "{name}"') for name in ("one", "two")]
    (folder / "models.toml").write_text("\n".join(f"[[model]]\n{table}" for table in tables))
    catalog = Catalog.load([folder / "models.toml"], embedded=None)
    assert [card.id for card in catalog] == ["one", "two"]
    assert catalog.get(None).id == "one"
    assert catalog.get("two").id == "two"
    with pytest.raises(UnknownModelError) as refusal:
        catalog.get("three")
    assert refusal.value.known == ("one", "two")


def test_a_disabled_model_needs_no_files_and_is_not_offered(folder: Path, card_text: str) -> None:
    off = card_text.replace('"big"', '"off"').replace('"weights"', '"nowhere"') + "enabled = false\n"
    (folder / "models.toml").write_text(f"[[model]]\n{off}\n[[model]]\n{card_text}")
    catalog = Catalog.load([folder / "models.toml"], embedded=None)
    assert [card.id for card in catalog] == ["big"]
    with pytest.raises(UnknownModelError):
        catalog.get("off")


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ('id = "big"', 'id = "Big model"', "id"),
        ('id = "big"', "", "id"),
        ('"stable_diffusion"', '"dalle"', "unknown; known are"),
        ('"weights"', '"elsewhere"', "does not exist"),
        ("width = 512", "width = 500", "width"),
        ("width = 512", 'width = "512"', "width"),
        ("width = 512", "width = -512", "width"),
        ("max_pixels = 1048576", "max_pixels = 4096", "max_pixels"),
        ("default_steps = 30", "default_steps = 300", "default_steps"),
        ("default_guidance = 7.5", "default_guidance = nan", "default_guidance"),
        ("default_guidance = 7.5", "default_guidance = 1\nnegative_guidance = 51", "negative_guidance"),
        ("[768, 512]", "[768]", "aspects"),
        ('"3:2" =', '"wide" =', "aspects"),
        ('license_id = "CreativeML-Open-RAIL-M"', 'license_id = "two words"', "license_id"),
        ('revision = "2024-01"', "revison = 1", "revi"),
        ("default_steps = 30", "default_steps = 30\ntrust_remote_code = true", "trust_remote_code"),
        ("weights_sha256", "weights_sha256 = 1\nx", "weights_sha256"),
        ("width = 512", "width =", "cannot be read"),
    ],
)
def test_a_wrong_card_is_refused_by_name(folder: Path, card_text: str, old: str, new: str, word: str) -> None:
    assert old in card_text
    with pytest.raises(ModelLoadError) as refusal:
        load(folder, card_text.replace(old, new, 1))
    assert word in str(refusal.value)
    assert "card.toml" in str(refusal.value)


def test_a_missing_digest_is_told(folder: Path, card_text: str) -> None:
    digest = weights_digest(folder / "weights")
    with pytest.raises(ModelLoadError, match=digest):
        load(folder, card_text.replace(f'weights_sha256 = "{digest}"', ""))


@pytest.mark.parametrize("content", [b"\xff\xfe", b"model = 1", b"[model]\nid = 1", b"model = [1]", b""])
def test_a_file_that_is_no_catalog_is_refused(folder: Path, content: bytes) -> None:
    (folder / "models.toml").write_bytes(content)
    with pytest.raises(GenerationError):
        Catalog.load([folder / "models.toml"], embedded=None)


def test_a_missing_file_two_equal_ids_and_no_models_are_refused(folder: Path, card_text: str) -> None:
    with pytest.raises(ModelLoadError, match="cannot be read"):
        Catalog.load([folder / "none.toml"], embedded=None)
    (folder / "models.toml").write_text(f"[[model]]\n{card_text}\n[[model]]\n{card_text}")
    with pytest.raises(ModelLoadError, match="two cards"):
        Catalog.load([folder / "models.toml"], embedded=None)
    with pytest.raises(ModelLoadError, match="no model"):
        Catalog.load([], embedded=None)


def test_the_embedded_model_comes_first(folder: Path, card_text: str) -> None:
    (folder / "card.toml").write_text(card_text)
    catalog = Catalog.load([folder])
    assert [card.id for card in catalog][1:] == ["big"]
    embedded = catalog.get(None)
    assert embedded.family == "sticker"
    assert embedded.weights_sha256 == weights_digest(embedded.folder)


def test_sizes_of_the_card_are_allowed_and_others_measured(folder: Path, card_text: str) -> None:
    (card,) = load(folder, card_text)
    request = ImageRequest(
        prompt="p", model_id="big", width=512, height=512, seed=0, num_inference_steps=30, guidance_scale=7.5
    )
    card.check(request)
    card.check(dataclasses.replace(request, width=1024, height=1024))
    odd = ModelCard(
        **{
            **{f.name: getattr(card, f.name) for f in dataclasses.fields(card)},
            "aspects": {"1:1": (500, 500)},
        }
    )
    odd.check(dataclasses.replace(request, width=500, height=500))
    for width, height in ((1032, 1024), (56, 512), (516, 512), (10**9, 8)):
        with pytest.raises(RequestLimitError):
            card.check(dataclasses.replace(request, width=width, height=height))
