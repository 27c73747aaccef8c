"""A small operator's house: everything from an accepted prompt to a released image, on the real parts."""

from __future__ import annotations

import datetime as dt
import hashlib
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy.ext.asyncio import AsyncEngine

from attribution import certificates, metadata
from attribution.acceptance import Acceptances
from attribution.credentials import Credentials, ManifestFacts, Reference, endorse_root, root_of
from attribution.evidence import EvidenceRoom
from attribution.fingerprints import pdq
from attribution.images import decode, encode_png, pixels_digest
from attribution.keypoints import KeyPoints
from attribution.ledger import Ledger
from attribution.licenses import LicenseCatalog
from attribution.lineage import PARENTS
from attribution.lookup import Lookup
from attribution.made_from import MadeFrom
from attribution.mark_reader import MarkReader
from attribution.marks import MarkKeys, embed
from attribution.merkle import leaf_hash
from attribution.publications import Publications
from attribution.record import EventKind
from attribution.release_facts import Release, ReleaseDraft
from attribution.releases import Releases
from attribution.signing import LedgerKeys
from attribution.vault import Vault

LICENSE = LicenseCatalog.load().get("MIT")
ORIGIN = "verso/0123456789abcdef"
MARKS = MarkKeys({1: bytes(range(32))})
START_MS = 1_790_000_000_000


def a_chain(organisation: str) -> dict[str, bytes]:
    now = dt.datetime.now(dt.UTC)
    signer = certificates.make_signer(organisation, certificates.make_root(organisation, now), now)
    key, chain = certificates.split(signer)
    return {"key_pem": key, "chain_pem": chain}


@pytest.fixture(scope="session")
def c2pa_pems() -> dict[str, bytes]:
    return a_chain("Test house")


@pytest.fixture
def another_chain() -> Callable[[str], dict[str, bytes]]:
    return a_chain


@pytest.fixture(scope="session")
def a_picture() -> Callable[..., np.ndarray]:
    """Pictures with the spectrum of natural ones: 1/f noise, the same for the same seed."""

    def build(seed: int = 0, height: int = 96, width: int = 96) -> np.ndarray:
        random = np.random.default_rng(seed)
        frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None])
        amplitude = 1 / np.maximum(frequency, 1 / max(height, width)) ** 1.2
        planes = []
        for _ in range(3):
            phases = np.exp(2j * np.pi * random.random((height, width)))
            plane = np.fft.ifft2(amplitude * phases).real
            planes.append((plane - plane.min()) / (plane.max() - plane.min()) * 255)
        return np.stack(planes, axis=-1).astype(np.uint8)

    return build


@dataclass
class House:
    """The parts, and the way of one image through them."""

    engine: AsyncEngine
    vault: Vault
    ledger: Ledger
    acceptances: Acceptances
    signer: Ed25519PrivateKey
    credentials: Credentials
    releases: Releases
    room: EvidenceRoom
    lookup: Lookup
    blobs: dict[str, bytes] = field(default_factory=dict)
    originals: dict[tuple[str, int], np.ndarray] = field(default_factory=dict)
    given: dict[str, bytes] = field(default_factory=dict)  # sources and masks by the id of the sealed file
    ids: itertools.count = field(default_factory=lambda: itertools.count(1))

    async def person(self, name: str = "ada", *, accepts: bool = True) -> str:
        subject = await self.vault.subject("terminal", "terminal", name, name=name.title())
        if accepts:
            origin = {"platform": "terminal", "user_id": name, "user_name": name.title()}
            await self.acceptances.accept(subject, LICENSE, origin=origin)
        return subject

    async def draft(
        self, subject: str, pixels: np.ndarray, *, job_id: str = "", index: int = 0, **changes: object
    ) -> ReleaseDraft:
        """Accept a job for one picture, stamp it, store it; all but the release itself."""
        number = next(self.ids)
        image_id, job_id = f"{number:016x}", job_id or f"{number:032x}"
        public = {"job_id": job_id}
        parents = dict(zip(PARENTS, changes.pop("parents", ()), strict=False))
        asked = {}  # what the request started from
        for role in ("source", "mask"):
            if (file := changes.pop(role, None)) is not None:
                asked[role] = f"{role}-{job_id}"
                self.given[asked[role]] = file
                changes.setdefault(f"{role}_sha256", hashlib.sha256(file).hexdigest())
        prompt = str(changes.pop("prompt", 'a "red" apple <on> a blue plate'))
        await self.ledger.append(
            EventKind.PROMPT_SUBMITTED, subject=subject, public=public, private={"prompt": prompt}
        )
        accepted = await self.ledger.append(
            EventKind.JOB_ACCEPTED,
            subject=subject,
            public=public | parents,
            private={"prompt": prompt, "seed": "7", **asked},
        )
        height, width = pixels.shape[:2]
        self.originals[job_id, index] = pixels
        mark_id = MARKS.new_id() if changes.pop("marked", False) else None
        copy = pixels if mark_id is None else embed(pixels, MARKS.signs(mark_id))
        png = metadata.write(
            encode_png(copy),
            metadata.ImageFacts(
                image_id=image_id,
                created_ms=START_MS,
                generator="Verso 0.1.0",
                provider="Test house",
                model_name="sticker-v1",
                model_revision="r1",
                weights_sha256="ab" * 32,
                license_name=LICENSE.name,
                license_url=LICENSE.url,
                width=width,
                height=height,
                seed=7,
                num_inference_steps=20,
                guidance_scale=3.0,
                sampler="ddim",
            ),
        )
        facts = self.manifest_facts(image_id, leaf_hash(accepted.leaf).hex())
        signed = self.credentials.sign(png, facts)
        sealed = await self.vault.seal(subject, signed.data)
        blob = hashlib.sha256(sealed).hexdigest()
        self.blobs[blob] = sealed
        values = {
            "image_id": image_id,
            "job_id": job_id,
            "index": index,
            "subject": subject,
            "blob": blob,
            "sha256": hashlib.sha256(signed.data).hexdigest(),
            "pixels_sha256": pixels_digest(pixels),
            "posted_pixels_sha256": pixels_digest(decode(signed.data)),
            "pdq": pdq(decode(signed.data)),
            "mark_id": mark_id,
            "keypoints": KeyPoints.of(copy).to_bytes() if mark_id else b"",
            "width": width,
            "height": height,
            "model_id": "sticker-v1",
            "model_revision": "r1",
            "weights_sha256": "ab" * 32,
            "license_id": LICENSE.id,
            "license_version": LICENSE.version,
            "license_text_sha256": LICENSE.text_sha256,
            "prompt": prompt,
            "seed": 7,
            "num_inference_steps": 20,
            "guidance_scale": 3.0,
            "credits": ({"title": "Apple", "license": "MIT", "share": 0.5},),
            "profile": {"device": "cpu", "threads": 2, "torch": "2.13"},
            "moderation": ({"content_kind": "prompt", "action": "allow", "score": 0.01},),
            "sidecar": signed.sidecar,
        }
        return ReleaseDraft(**{**values, **changes})

    def manifest_facts(self, image_id: str, job_leaf_hash: str) -> ManifestFacts:
        return ManifestFacts(
            image_id=image_id,
            record_id=image_id,
            job_leaf_hash=job_leaf_hash,
            created_ms=START_MS,
            model_name="sticker-v1",
            model_revision="r1",
            license_id=LICENSE.id,
            license_name=LICENSE.name,
            license_url=LICENSE.url,
            license_text_sha256=LICENSE.text_sha256,
            references=(
                Reference(
                    title="Apple",
                    author="A. Painter",
                    license="MIT",
                    license_url="https://mit.example",
                    source="npm:apples@1/apple.svg",
                ),
            ),
        )

    async def release(self, subject: str, pixels: np.ndarray, **changes: object) -> Release:
        return await self.releases.release(await self.draft(subject, pixels, **changes))

    async def posted_bytes(self, release: Release) -> bytes:
        return await self.vault.unseal(release.subject, self.blobs[release.blob])


@pytest.fixture
def a_house(
    a_vault: Callable[..., Vault], a_ledger: Callable[..., Ledger], c2pa_pems: dict[str, bytes]
) -> Callable[..., object]:
    async def build(engine: AsyncEngine) -> House:
        signer = Ed25519PrivateKey.from_private_bytes(bytes(range(64, 96)))
        vault = a_vault(engine)
        ledger = a_ledger(engine, vault=vault, keys=LedgerKeys(origin=ORIGIN, signer=signer))
        credentials = Credentials(
            **c2pa_pems,
            generator_version="0.1.0",
            verifier_key=ledger.verifier_key,
            root_endorsement=endorse_root(root_of(c2pa_pems["chain_pem"]), signer),
        )
        releases = Releases(engine, ledger=ledger, vault=vault, now_ms=lambda: START_MS)
        blobs: dict[str, bytes] = {}

        originals: dict[tuple[str, int], np.ndarray] = {}

        async def get_blob(blob: str) -> bytes:
            return blobs[blob]

        async def original(job_id: str, index: int) -> np.ndarray | None:
            return originals.get((job_id, index))

        given: dict[str, bytes] = {}

        async def source(_job_id: str, blob: str) -> bytes | None:
            return given.get(blob)

        async def parent(release: Release) -> bytes | None:
            return await vault.unseal(release.subject, blobs[release.blob])

        async def reference(_source: str) -> bytes | None:
            return None

        room = EvidenceRoom(
            engine,
            ledger=ledger,
            publications=Publications(engine),
            vault=vault,
            releases=releases,
            get_blob=get_blob,
            made_from=MadeFrom(releases, source=source, parent=parent, reference=reference),
            now_ms=lambda: START_MS,
        )
        return House(
            engine=engine,
            vault=vault,
            ledger=ledger,
            acceptances=Acceptances(engine, ledger=ledger),
            signer=signer,
            credentials=credentials,
            releases=releases,
            room=room,
            lookup=Lookup(engine, credentials=credentials, vault=vault, reader=MarkReader(MARKS, original)),
            blobs=blobs,
            originals=originals,
            given=given,
        )

    return build
