"""Our content credentials read by a second implementation, which shares no code with the one that signs.

`encypher-c2pa` has a Rust core of its own (its bill of materials names no c2pa-rs). It is offline unless told
otherwise; here it is told so three times: by the environment, by each call, and by an empty settings folder.
"""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import json
from collections.abc import Callable
from pathlib import Path

import encypher_c2pa
import numpy as np
import pytest

from attribution import certificates, metadata
from attribution.credentials import Credentials, ManifestFacts, Reference
from attribution.images import decode, encode_png
from attribution.metadata import ImageFacts

START_MS = 1_790_000_000_000
Verify = Callable[..., dict[str, object]]


@pytest.fixture
def verify(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Verify:
    monkeypatch.setenv("ENCYPHER_C2PA_TELEMETRY", "off")
    monkeypatch.setenv("ENCYPHER_C2PA_ONLINE", "off")
    monkeypatch.setenv("ENCYPHER_C2PA_CONFIG_DIR", str(tmp_path))

    def offline(data: bytes, **options: object) -> dict[str, object]:
        report = encypher_c2pa.verify(
            data, "image/png", no_default_trust=True, telemetry=False, online=False, **options
        )
        assert report["network"]["enabled"] is False
        assert report["network"]["requests"] == []
        return dict(report)

    return offline


def _credentials() -> Credentials:
    now = dt.datetime.now(dt.UTC)
    root = certificates.make_root("Our house", now)
    key, chain = certificates.split(certificates.make_signer("Our house", root, now))
    return Credentials(key_pem=key, chain_pem=chain, generator_version="0.1.0", verifier_key="house+00+AA")


@pytest.fixture(scope="module")
def ours() -> Credentials:
    return _credentials()


def _png(seed: int = 0) -> bytes:
    """A file as it goes to the signer: with our XMP and text chunks."""
    pixels = np.random.default_rng(seed).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    facts = ImageFacts(
        image_id="00112233445566aa",
        created_ms=START_MS,
        generator="Verso 0.1.0",
        provider="Our house",
        model_name="sticker-v1",
        model_revision="r1",
        weights_sha256="ab" * 32,
        license_name="MIT License",
        license_url="https://mit.example",
        width=64,
        height=48,
        seed=7,
        num_inference_steps=20,
        guidance_scale=3.0,
        sampler="ddim",
    )
    return metadata.write(encode_png(pixels), facts)


def _facts(**changes: object) -> ManifestFacts:
    values = {
        "image_id": "00112233445566aa",
        "record_id": "00112233445566aa",
        "job_leaf_hash": "cd" * 32,
        "created_ms": START_MS,
        "model_name": "sticker-v1",
        "model_revision": "r1",
        "license_id": "MIT",
        "license_name": "MIT License",
        "license_url": "https://mit.example",
        "license_text_sha256": "ef" * 32,
        "references": (
            Reference(
                title="Apple",
                author="A. Painter",
                license="MIT",
                license_url="https://mit.example",
                source="npm:apples@1/apple.svg",
            ),
        ),
    }
    return ManifestFacts(**{**values, **changes})


def _codes(report: dict[str, object], kind: str) -> set[str]:
    return {str(one["code"]) for one in report["validation_results"][kind]}


def test_the_second_verifier_is_another_implementation() -> None:
    files = importlib.metadata.files("encypher-c2pa") or []
    (bill,) = [file for file in files if file.name.endswith("cyclonedx.json")]
    components = json.loads(bill.read_text())["components"]
    names = {one["name"] for one in components}
    assert "x509-cert" in names  # the list is there, and it is the list of the core's parts
    assert not names & {"c2pa", "c2pa-rs", "c2pa-crypto"}


@pytest.mark.parametrize("edited", [False, True])
def test_it_accepts_what_we_sign(ours: Credentials, verify: Verify, edited) -> None:
    source = ours.sign(_png(1), _facts()).data if edited else None
    signed = ours.sign(_png(), _facts(source=source, record_id="ab" * 8))
    report = verify(signed.data, trust_pem=ours.root_pem.decode())
    assert (report["integrity"], report["signature"], report["hard_binding"]) == ("valid", "valid", "match")
    assert _codes(report, "failure") == set()
    assert {"claimSignature.validated", "assertion.dataHash.match"} <= _codes(report, "success")
    assert report["trust"]["status"] == "valid_for_supplied_material"

    read = report["manifest_report"]
    assertions = {
        one["label"]: one["data"] for one in read["manifests"][read["active_manifest"]]["assertions"]
    }
    ledger = assertions["org.versobot.ledger"]
    assert ledger["verifier_key"] == "house+00+AA"
    told = [action.get("parameters", {}) for action in assertions["c2pa.actions.v2"]["actions"]]
    assert [one["org.versobot.record_id"] for one in told if "org.versobot.record_id" in one] == ["ab" * 8]


def test_it_refuses_another_root(ours: Credentials, verify: Verify) -> None:
    report = verify(ours.sign(_png(), _facts()).data, trust_pem=_credentials().root_pem.decode())
    assert report["integrity"] == "valid"
    assert report["trust"]["status"] == "not_valid_for_supplied_material"


def test_it_refuses_altered_pixels(ours: Credentials, verify: Verify) -> None:
    data = ours.sign(_png(), _facts()).data
    place = data.index(b"IDAT") + 60
    report = verify(
        data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :], trust_pem=ours.root_pem.decode()
    )
    assert (report["integrity"], report["hard_binding"]) == ("invalid", "mismatch")
    assert "assertion.dataHash.mismatch" in _codes(report, "failure")


def test_it_refuses_altered_words_of_the_manifest(ours: Credentials, verify: Verify) -> None:
    data = ours.sign(_png(), _facts()).data
    assert data.count(b"A. Painter") >= 1
    report = verify(data.replace(b"A. Painter", b"B. Painter"), trust_pem=ours.root_pem.decode())
    assert report["integrity"] == "invalid"


def test_the_kept_sidecar_fits_its_picture_and_no_other(ours: Credentials, verify: Verify) -> None:
    signed, other = ours.sign(_png(), _facts()), ours.sign(_png(2), _facts())
    assert verify(encode_png(decode(signed.data)))["present"] is False
    assert verify(signed.data, manifest_store=signed.sidecar)["integrity"] == "valid"
    assert verify(other.data, manifest_store=signed.sidecar)["integrity"] == "invalid"
    moved = other.data.replace(other.sidecar, signed.sidecar)
    assert moved != other.data
    report = verify(moved, trust_pem=ours.root_pem.decode())
    assert report["integrity"] == "invalid"
