"""The layout of an evidence bundle: what goes into which member, the signed index, the report; pure.

The checks in `attribution/standalone/verify.py`, which is itself a member, need nothing from us.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from attribution.authorship import Act, Statement, statement
from attribution.credential_reader import CredentialReport, read
from attribution.errors import CredentialError, EvidenceError
from attribution.made_from import Origin, Reference, members_of
from attribution.merkle import leaf_hash
from attribution.receipt import Receipt
from attribution.record import EventKind, Opening
from attribution.release_facts import Json, canonical_json
from attribution.report import ReportFacts, ReportStep, render
from attribution.report_rows import SourcePicture
from attribution.standalone.verify import FORMAT, BundleError, write_container


@dataclass(frozen=True, kw_only=True, slots=True)
class ProvedEntry:
    """An entry of the ledger with its proof up to the bundle's checkpoint."""

    receipt: Receipt
    opening: Opening | None = field(default=None, repr=False)  # None: nothing hidden, or not ours to show
    actor: str = ""  # who acted: person, machine, moderator or house
    title: str = ""  # what happened, for people

    @property
    def act(self) -> Act:
        """The entry as an authorship statement reads it."""
        entry = self.receipt.entry
        return Act(
            leaf_index=self.receipt.leaf_index,
            at_ms=entry.at_ms,
            kind=entry.kind,
            subject=entry.subject,
            public=entry.public,
            fields=self.opening.fields if self.opening else {},
        )

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
class DatedCheckpoint:
    """A checkpoint over the record that an outside authority put a time to."""

    checkpoint: str
    token: bytes = field(repr=False)  # RFC 3161, DER
    authority: str
    consistency: tuple[bytes, ...]  # from its tree to the bundle's

    def to_json(self) -> dict[str, Json]:
        """Plain values."""
        return {
            "authority": self.authority,
            "checkpoint": self.checkpoint,
            "consistency_proof": [node.hex() for node in self.consistency],
            "token": base64.b64encode(self.token).decode(),
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
    origins: tuple[Origin, ...] = ()  # what the image was made from
    references: tuple[Reference, ...] = ()  # for the report; no members of their own
    terms: bytes = field(repr=False)  # the accepted text
    acceptance: ProvedEntry
    steps: tuple[ProvedEntry, ...]  # oldest first, the record among them
    rotations: tuple[ProvedEntry, ...] = ()  # how the ledger's key changed, oldest first
    dated: DatedCheckpoint | None = None
    moderation: bytes = field(repr=False)  # canonical JSON
    profile: bytes = field(repr=False)  # canonical JSON
    match: Mapping[str, Json] | None = None  # how a found picture led here
    exported_at_ms: int
    verifier_key: str


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
    authorship = statement([step.act for step in parts.steps], owner=receipt.entry.subject)
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
        "lineage.json": canonical_json(
            {"steps": [step.to_json() for step in parts.steps], "authorship": authorship.to_json()}
        ),
        "moderation.json": parts.moderation,
        "profile.json": parts.profile,
        "verify.py": _resource("verify.py"),
        "LIMITS.txt": _resource("LIMITS.txt"),
        **members_of(parts.origins),
    }
    if parts.dated is not None:
        members["timestamp.json"] = canonical_json(parts.dated.to_json())
    if parts.rotations:
        members["rotations.json"] = canonical_json({"rotations": [one.to_json() for one in parts.rotations]})
    if parts.match is not None:
        members["match.json"] = canonical_json(parts.match)
    members["report.pdf"] = render(_report_facts(parts, authorship, members))
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


def _report_facts(parts: BundleParts, authorship: Statement, members: Mapping[str, bytes]) -> ReportFacts:
    receipt, credential = parts.record.receipt, _credential(parts.image)
    return ReportFacts(
        image=parts.image,
        sources=(
            *(
                SourcePicture(title=one.title, data=one.data)
                for one in parts.origins
                if one.role != "earlier"
            ),
            *(SourcePicture(title=one.title, data=one.data) for one in parts.references),
        ),
        on_the_way=_on_the_way(parts),
        entry=receipt.entry,
        fields=parts.record.opening.fields if parts.record.opening else {},
        acceptance=_report_step(parts.acceptance),
        steps=tuple(_report_step(step) for step in parts.steps),
        terms=parts.terms.decode("utf-8", "replace"),
        moderation=parts.moderation,
        authorship=authorship,
        references=credential.ingredients,
        signer=credential.signer,
        limits=_resource("LIMITS.txt").decode(),
        leaf_index=receipt.leaf_index,
        tree_size=receipt.tree_size,
        root_hash=receipt.root_hash.hex(),
        checkpoint=receipt.checkpoint,
        verifier_key=parts.verifier_key,
        exported_at_ms=parts.exported_at_ms,
        match=parts.match,
        digests={
            name: hashlib.sha256(data).hexdigest() for name, data in members.items() if name != "verify.py"
        },
    )


def _on_the_way(parts: BundleParts) -> tuple[SourcePicture, ...]:
    """The released images of the lineage that can be shown, in the order of the ledger."""
    files = {one.image_id: one.data for one in parts.origins if one.image_id and one.data}
    files[parts.image_id] = parts.image
    entries = [(step.receipt.leaf_index, step.receipt.entry) for step in parts.steps]
    pictures = []
    for place, entry in entries:
        image_id = str(entry.public.get("image_id"))
        if entry.kind is not EventKind.IMAGE_RELEASED or image_id not in files:
            continue
        told = [f"Entry {place}: image {image_id}" + (" (this image)" if image_id == parts.image_id else "")]
        for later, other in entries:
            public = other.public
            if public.get("image_id") != image_id:
                continue
            if other.kind is EventKind.CANDIDATE_SHOWN:
                told.append(f"candidate {public.get('place')} of {public.get('of')}")
            if other.kind is EventKind.CANDIDATE_CHOSEN:
                told.append(f"chosen with entry {later} ({public.get('step')})")
        pictures.append(SourcePicture(title="; ".join(told), data=files[image_id]))
    return tuple(pictures) if len(pictures) > 1 else ()


def _report_step(proved: ProvedEntry) -> ReportStep:
    fields = proved.opening.fields if proved.opening else {}
    return ReportStep(
        entry=proved.receipt.entry,
        leaf_index=proved.receipt.leaf_index,
        fields=fields,
        actor=proved.actor,
        title=proved.title,
    )


def _credential(image: bytes) -> CredentialReport:
    """The image's own manifest: it names its signer, and the pictures that the image rests on."""
    try:
        return read(image)
    except CredentialError as error:
        raise EvidenceError(f"the image's credentials cannot be read: {error}") from error


def _resource(name: str) -> bytes:
    return (resources.files("attribution.standalone") / name).read_bytes()
