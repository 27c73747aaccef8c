"""Which models an operator may offer, and what the license card says about their parts."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from attribution.errors import LicenseError
from attribution.licenses import LicenseCatalog
from attribution.receipt import Receipt
from attribution.release_facts import Release
from bot.card import DrawnImage, card_fields
from bot.gates import Gate
from generation.card import Lora, ModelCard
from generation.catalog import Catalog

STABILITY = "LicenseRef-Stability-AI-Community"


@pytest.fixture(scope="module")
def model() -> ModelCard:
    return Catalog.load([]).get(None)


@pytest.fixture
def a_drawn_image() -> DrawnImage:
    receipt = Receipt(
        leaf_index=3,
        tree_size=4,
        root_hash=b"",
        leaf=b"",
        inclusion_proof=(),
        checkpoint="",
        entry_id="e",
    )
    release = Release(
        image_id="i1",
        job_id="j1",
        index=0,
        subject="s",
        blob="",
        sha256="",
        pixels_sha256="",
        pdq=None,
        pdq_quality=0,
        width=512,
        height=512,
        model_id="m",
        license_id="Apache-2.0",
        license_version="1",
        entry_id="e",
        receipt=receipt,
        created_ms=0,
        posted=None,
        deleted_ms=None,
    )
    return DrawnImage(release=release, png=b"", seed=1, credits=(), note=None)


def with_lora(model: ModelCard, license_id: str) -> ModelCard:
    lora = Lora(name="ink", file=Path("/ink.safetensors"), weight=0.8, license_id=license_id)
    return dataclasses.replace(model, loras=(lora,), family="stable_diffusion")


def test_a_lora_can_close_what_its_model_leaves_open(model: ModelCard) -> None:
    gate = Gate(LicenseCatalog.load(), commercial=True, revenue_usd=2_000_000)
    assert gate(model) is None
    assert gate(with_lora(model, "Apache-2.0")) is None
    assert "1,000,000" in gate(with_lora(model, STABILITY))


@pytest.mark.parametrize(
    ("facts", "open_"),
    [
        ({"commercial": False, "revenue_usd": 2_000_000}, True),
        ({"commercial": True, "revenue_usd": 1_000_000}, True),  # "exceeds"
        ({"commercial": True, "revenue_usd": 1_000_001}, False),
        ({"commercial": True}, True),
    ],
)
def test_a_threshold_counts_for_commercial_use_that_states_its_figures(
    model: ModelCard, facts: dict[str, object], *, open_: bool
) -> None:
    closed = Gate(LicenseCatalog.load(), **facts)(dataclasses.replace(model, license_id=STABILITY))
    assert (closed is None) == open_


def test_a_switched_off_model_and_an_unknown_license(model: ModelCard) -> None:
    gate = Gate(LicenseCatalog.load())
    assert "not enabled" in gate(dataclasses.replace(model, enabled=False))
    with pytest.raises(LicenseError):
        gate(dataclasses.replace(model, license_id="LicenseRef-Nobody-Knows"))


def test_the_card_names_loras_and_the_enlarger(model: ModelCard, a_drawn_image: DrawnImage) -> None:
    license_ = LicenseCatalog.load().get(model.license_id)

    def card(of: ModelCard, *, upscaled: bool = False) -> dict[str, str]:
        fields = card_fields(model=of, license_=license_, images=(a_drawn_image,), upscaled=upscaled)
        return {field.label: field.value for field in fields}

    assert "BSD-3-Clause" in card(model)["Enlarged by"]
    changed = with_lora(model, "CreativeML-OpenRAIL-M")
    assert card(changed)["LoRA"] == "ink, weight 0.8 (CreativeML-OpenRAIL-M)"
    assert "Enlarged by" not in card(changed)
    assert "Enlarged by" in card(changed, upscaled=True)
