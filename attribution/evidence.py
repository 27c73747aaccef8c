"""The bundle for a dispute: everything recorded about one image, in a form that a stranger can check.

`EvidenceRoom` collects it from the database, `build_bundle` lays it out. Every member is named in the signed
index; the entries of the ledger come with proofs up to one signed checkpoint, so the checks in
`attribution/standalone/verify.py`, which is itself a member, need nothing from us.
"""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from importlib import resources

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from attribution.credentials import read
from attribution.errors import CredentialError, ErasedError, EvidenceError
from attribution.ledger import Ledger
from attribution.lineage import Lineage, Step
from attribution.merkle import leaf_hash
from attribution.receipt import Receipt
from attribution.record import EventKind, Opening
from attribution.releases import Json, Release, Releases, canonical_json
from attribution.report import ReportFacts, ReportStep, render
from attribution.standalone.verify import FORMAT, BundleError, write_container
from attribution.tables import terms_texts
from attribution.vault import Vault

# About the image, but no part of how it came about; who looked it up is nobody else's business.
_AFTERWARDS = {EventKind.LOOKED_UP, EventKind.EVIDENCE_EXPORTED}


@dataclass(frozen=True, kw_only=True, slots=True)
class ProvedEntry:
    """An entry of the ledger with its proof up to the bundle's checkpoint."""

    receipt: Receipt
    opening: Opening | None = field(default=None, repr=False)  # None: nothing hidden, or not ours to show
    actor: str = ""  # who acted: person, machine, moderator or house
    title: str = ""  # what happened, for people

    def to_json(self) -> dict[str, Json]:
        """The entry as an object, so that people can read it: its canonical form is the leaf."""
        entry = self.receipt.entry
        return {
            "entry": {
                "version": entry.version,
                "kind": entry.kind.value,
                "id": entry.id,
                "at_ms": entry.at_ms,
                "subject": entry.subject,
                "public": dict(entry.public),
                "commitments": dict(entry.commitments),
            },
            "leaf_index": self.receipt.leaf_index,
            "inclusion_proof": [node.hex() for node in self.receipt.inclusion_proof],
            "opening": None if self.opening is None else _opening_json(self.opening),
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class BundleParts:
    """All that a bundle is made of."""

    image_id: str
    record: ProvedEntry  # *image released*
    first_receipt: Receipt  # as it was given to the user
    consistency: tuple[bytes, ...]  # from its tree to the bundle's
    image: bytes = field(repr=False)  # the signed PNG
    sidecar: bytes = field(repr=False)
    terms: bytes = field(repr=False)  # the accepted text
    acceptance: ProvedEntry
    steps: tuple[ProvedEntry, ...]  # oldest first, the record among them
    moderation: bytes = field(repr=False)  # canonical JSON
    profile: bytes = field(repr=False)  # canonical JSON
    match: Mapping[str, Json] | None = None  # how a found picture led here
    exported_at_ms: int
    verifier_key: str


class EvidenceRoom:
    """Collects and exports evidence."""

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        ledger: Ledger,
        vault: Vault,
        releases: Releases,
        signer: Ed25519PrivateKey,
        get_blob: Callable[[str], Awaitable[bytes]],
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        """Keep what is needed; `get_blob` reads a sealed file by its id, `signer` is the ledger's key."""
        self._reader = engine.execution_options(read_only=True)
        self._ledger = ledger
        self._vault = vault
        self._releases = releases
        self._signer = signer
        self._get_blob = get_blob
        self._now_ms = now_ms

    async def export(
        self, image_id: str, *, actor: str = "", match: Mapping[str, Json] | None = None
    ) -> bytes:
        """Collect and build a bundle, and record that it was handed out.

        Args:
            image_id: of a released image.
            actor: who asked for it; recorded, and visible to the image's owner only.
            match: the match report, where a found picture led to this image.

        Raises:
            EvidenceError: there is no such image, or something that a bundle needs is missing.
            ErasedError: the person's data was erased: nothing can be shown any more.
            LedgerError, VaultError: the stored record is damaged.
        """
        parts = await self.collect(image_id, match=match)
        bundle = build_bundle(parts, signer=self._signer)
        entry = parts.record.receipt.entry
        await self._ledger.append(
            EventKind.EVIDENCE_EXPORTED,
            subject=entry.subject,
            public={"image_id": image_id},
            private={"actor": actor, "bundle_sha256": hashlib.sha256(bundle).hexdigest()},
        )
        return bundle

    async def collect(self, image_id: str, *, match: Mapping[str, Json] | None = None) -> BundleParts:
        """Gather the parts; arguments and errors as `export`."""
        release = await self._releases.get(image_id)
        if release is None:
            raise EvidenceError(f"there is no released image {image_id!r}")
        if await self._vault.erased(release.subject):
            raise ErasedError(release.subject)
        details = await self._releases.details(image_id)
        if details is None:
            raise EvidenceError(f"the release of {image_id!r} has no details")
        size = await self._ledger.size()
        timeline = await Lineage(self._ledger).of_job(release.job_id, opened=False)
        steps = [
            await self._proved(step.leaf_index, size, owner=release.subject, step=step)
            for step in timeline.steps
            if step.kind not in _AFTERWARDS and step.leaf_index < size
        ]
        record = next((step for step in steps if step.receipt.entry_id == release.entry_id), None)
        if record is None or record.opening is None:
            raise EvidenceError(f"the record of {image_id!r} cannot be opened")
        text_sha256 = record.opening.fields.get("license_text_sha256", "")
        return BundleParts(
            image_id=image_id,
            record=record,
            first_receipt=release.receipt,
            consistency=await self._ledger.consistency(release.receipt.tree_size, size),
            image=await self._image(release),
            sidecar=details.sidecar,
            acceptance=await self._acceptance(release, text_sha256, size),
            terms=await self._terms(text_sha256),
            steps=tuple(steps),
            moderation=details.moderation,
            profile=details.profile,
            match=match,
            exported_at_ms=self._now_ms(),
            verifier_key=self._ledger.verifier_key,
        )

    async def _proved(
        self, leaf_index: int, size: int, *, owner: str, step: Step | None = None
    ) -> ProvedEntry:
        """An entry with its proof; another person's (the maker of a source image) stays closed."""
        receipt = await self._ledger.prove(leaf_index, size)
        entry = receipt.entry
        closed = not entry.commitments or entry.subject not in {owner, ""}
        return ProvedEntry(
            receipt=receipt,
            opening=None if closed else await self._ledger.opening(entry.id),
            actor=step.actor if step else "person",
            title=step.title if step else "accepted the terms",
        )

    async def _image(self, release: Release) -> bytes:
        image = await self._vault.unseal(release.subject, await self._get_blob(release.blob))
        if hashlib.sha256(image).hexdigest() != release.sha256:
            raise EvidenceError(f"the stored file of {release.image_id!r} is not the released one")
        return image

    async def _terms(self, text_sha256: str) -> bytes:
        statement = select(terms_texts.c.text).where(terms_texts.c.sha256 == text_sha256)
        async with self._reader.connect() as connection:
            text = await connection.scalar(statement)
        if text is None:
            raise EvidenceError(f"the accepted terms (sha256 {text_sha256!r}) are not stored")
        return str(text).encode()

    async def _acceptance(self, release: Release, text_sha256: str, size: int) -> ProvedEntry:
        """The newest acceptance of these very terms that was in force when the image was released."""
        withdrawn: set[str | int] = set()
        for stored in reversed(await self._ledger.entries(release.subject)):
            public = stored.entry.public
            if stored.leaf_index > release.receipt.leaf_index:
                continue
            if stored.entry.kind is EventKind.TERMS_WITHDRAWN:
                withdrawn.add(public.get("accepted_entry", ""))
            if stored.entry.kind is not EventKind.TERMS_ACCEPTED or stored.entry.id in withdrawn:
                continue
            if public.get("text_sha256") == text_sha256:
                return await self._proved(stored.leaf_index, size, owner=release.subject)
        raise EvidenceError("no acceptance of the terms is recorded that was in force for this image")


def build_bundle(parts: BundleParts, *, signer: Ed25519PrivateKey) -> bytes:
    """Lay out and sign a bundle: a canonical zip with the members that INTERFACES names.

    Equal parts give equal bytes.

    Raises:
        EvidenceError: the parts are too large, or the image cannot be shown in the report.
        RecordError: a part cannot be written as canonical JSON.
    """
    receipt, opening = parts.record.receipt, parts.record.opening
    if opening is None:
        raise EvidenceError("the record cannot be opened")
    proved = parts.record.to_json()
    members = {
        "record.json": canonical_json({"entry": proved["entry"], "leaf_hash": leaf_hash(receipt.leaf).hex()}),
        "commitments.json": canonical_json(_opening_json(opening)),
        "leaf.bin": receipt.leaf,
        "proof.json": canonical_json(
            {
                "leaf_index": receipt.leaf_index,
                "tree_size": receipt.tree_size,
                "root_hash": receipt.root_hash.hex(),
                "inclusion_proof": proved["inclusion_proof"],
            }
        ),
        "checkpoint.txt": receipt.checkpoint.encode(),
        "consistency.json": canonical_json(
            {
                "receipt_checkpoint": parts.first_receipt.checkpoint,
                "proof": [node.hex() for node in parts.consistency],
            }
        ),
        "image.png": parts.image,
        "manifest.c2pa": parts.sidecar,
        "terms.txt": parts.terms,
        "acceptance.json": canonical_json(parts.acceptance.to_json()),
        "lineage.json": canonical_json({"steps": [step.to_json() for step in parts.steps]}),
        "moderation.json": parts.moderation,
        "profile.json": parts.profile,
        "report.pdf": render(_report_facts(parts)),
        "verify.py": _resource("verify.py"),
        "LIMITS.txt": _resource("LIMITS.txt"),
    }
    if parts.match is not None:
        members["match.json"] = canonical_json(parts.match)
    members["index.json"] = _index(parts, members, signer)
    try:
        return write_container(members)
    except BundleError as error:
        raise EvidenceError(str(error)) from error


def _index(parts: BundleParts, members: Mapping[str, bytes], signer: Ed25519PrivateKey) -> bytes:
    index: dict[str, Json] = {
        "format": FORMAT,
        "image_id": parts.image_id,
        "exported_at_ms": parts.exported_at_ms,
        "verifier_key": parts.verifier_key,
        "members": {
            name: {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
            for name, data in members.items()
        },
    }
    signature = signer.sign(f"{FORMAT}\n".encode() + canonical_json(index))
    return canonical_json({**index, "signature": base64.b64encode(signature).decode()})


def _opening_json(opening: Opening) -> dict[str, Json]:
    nonces = {name: nonce.hex() for name, nonce in opening.nonces.items()}
    return {"fields": dict(opening.fields), "nonces": nonces}


def _report_facts(parts: BundleParts) -> ReportFacts:
    receipt = parts.record.receipt
    return ReportFacts(
        image=parts.image,
        entry=receipt.entry,
        fields=parts.record.opening.fields if parts.record.opening else {},
        acceptance=_report_step(parts.acceptance),
        steps=tuple(_report_step(step) for step in parts.steps),
        terms=parts.terms.decode("utf-8", "replace"),
        moderation=parts.moderation,
        references=_references(parts.image),
        limits=_resource("LIMITS.txt").decode(),
        leaf_index=receipt.leaf_index,
        tree_size=receipt.tree_size,
        root_hash=receipt.root_hash.hex(),
        checkpoint=receipt.checkpoint,
        verifier_key=parts.verifier_key,
        exported_at_ms=parts.exported_at_ms,
        matched=parts.match is not None,
    )


def _report_step(proved: ProvedEntry) -> ReportStep:
    fields = proved.opening.fields if proved.opening else {}
    return ReportStep(
        entry=proved.receipt.entry,
        leaf_index=proved.receipt.leaf_index,
        fields=fields,
        actor=proved.actor,
        title=proved.title,
    )


def _references(image: bytes) -> tuple[str, ...]:
    """The pictures that the image rests on, as its own manifest names them."""
    try:
        return read(image).ingredients
    except CredentialError as error:
        raise EvidenceError(f"the image's credentials cannot be read: {error}") from error


def _resource(name: str) -> bytes:
    return (resources.files("attribution.standalone") / name).read_bytes()
