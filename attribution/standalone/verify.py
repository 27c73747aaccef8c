"""Checks an evidence bundle of Verso, offline. Needs Python 3.9 or newer and the package `cryptography`.

    python verify.py BUNDLE.zip [--trust KEYFILE] [--json]

Prints a numbered checklist and exits with 0 only if every step holds. KEYFILE holds the ledger's public
key, one line `name+hash+base64`, which you must have from elsewhere than the bundle: without it the
checklist can only say that the bundle is consistent with itself. It may also hold lines by which a key
endorses the next one, and certificates (PEM) of authorities whose time stamps you trust.

This is one file on purpose, so that a stranger can read all of it: it reads the container, RFC 8785 JSON,
the Merkle proofs of RFC 9162, C2SP signed notes, RFC 3161 time stamps and the C2PA manifest of the image
without any other code.
Everything it reads is treated as hostile. It writes nothing and connects to nothing.
"""

from __future__ import annotations

import base64
import calendar
import hashlib
import hmac
import json
import re
import struct
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

FORMAT = "verso-evidence/1"
REQUIRED = (
    "LIMITS.txt",
    "acceptance.json",
    "checkpoint.txt",
    "commitments.json",
    "consistency.json",
    "image.png",
    "index.json",
    "leaf.bin",
    "lineage.json",
    "manifest.c2pa",
    "moderation.json",
    "profile.json",
    "proof.json",
    "record.json",
    "report.pdf",
    "terms.txt",
    "verify.py",
)
PICTURES = ("mask.png", "parent-1.png", "parent-2.png", "source.png")  # what the image was made from
EARLIER = r"image-[0-9a-f]{16}\.png"  # this person's other images on the way to it
MAX_SOURCES = 64
OPTIONAL = ("match.json", "rotations.json", "sources.json", "timestamp.json", *PICTURES)
MAX_BUNDLE = 128 * 1024 * 1024  # bytes
MAX_PIXELS = 40_000_000
MAX_JSON = 16 * 1024 * 1024
MAX_LEAF = 16_384
MAX_STEPS = 10_000
MAX_TOKEN = 65_536
ROTATION = "verso-key-rotation/1"
MAX_ROTATIONS = 1000
RECORD_ID = "org.versobot.record_id"
JOB_LEAF_HASH = "org.versobot.job_leaf_hash"
CHECKLIST = (  # in this order; the second word names the method of `_Checker`
    ("the container is in canonical form", "_container"),
    ("every member is there and none was added", "_names"),
    ("every member has the digest that the index states", "_digests"),
    ("the index is signed by the key that it names", "_index"),
    ("the record is one well-formed entry", "_record"),
    ("the checkpoint is signed by the ledger", "_checkpoint"),
    ("the record is in the ledger", "_inclusion"),
    ("the ledger's keys follow each other", "_rotations"),
    ("the ledger has only grown since the receipt was given", "_consistency"),
    ("an authority outside dated the ledger", "_timestamp"),
    ("the opened fields are the ones that the record committed to", "_commitments"),
    ("the bytes of the image are the released ones", "_image"),
    ("the pixels of the image are the released ones", "_pixels"),
    ("the steps that led to the image are in the ledger, in order", "_lineage"),
    ("the pictures that it was made from are the recorded ones", "_sources"),
    ("the image's content credentials hold and name this record", "_credentials"),
    ("the terms are the ones that were accepted", "_terms"),
    ("the same person accepted them before the image was made", "_acceptance"),
    ("the moderation decisions and the drawing profile are the recorded ones", "_context"),
    ("the signer is the one you trust", "_signer"),
)

_LOCAL = struct.Struct("<4sHHHHHIIIHH")
_CENTRAL = struct.Struct("<4sHHHHHHIIIHHHHHII")
_END = struct.Struct("<4sHHHHIIH")
_VERSION, _DATE = 20, 0x0021  # a plain ZIP 2.0 of 1980-01-01 00:00:00
_SIGNED_DATA = bytes.fromhex("2a864886f70d010702")  # object identifiers, as in DER
_TST_INFO = bytes.fromhex("2a864886f70d0109100104")
_CONTENT_TYPE = bytes.fromhex("2a864886f70d010903")
_MESSAGE_DIGEST = bytes.fromhex("2a864886f70d010904")
_SIGNING_CERTIFICATE = bytes.fromhex("2a864886f70d010910020c")
_SIGNING_CERTIFICATE_V2 = bytes.fromhex("2a864886f70d010910022f")
_DIGESTS = {
    bytes.fromhex("608648016503040201"): "sha256",
    bytes.fromhex("608648016503040202"): "sha384",
    bytes.fromhex("608648016503040203"): "sha512",
}
_SIGNATURES = {
    bytes.fromhex("2a864886f70d010101"): ("rsa", ""),  # with the digest that the signer names beside it
    bytes.fromhex("2a864886f70d01010b"): ("rsa", "sha256"),
    bytes.fromhex("2a864886f70d01010c"): ("rsa", "sha384"),
    bytes.fromhex("2a864886f70d01010d"): ("rsa", "sha512"),
    bytes.fromhex("2a8648ce3d040302"): ("ecdsa", "sha256"),
    bytes.fromhex("2a8648ce3d040303"): ("ecdsa", "sha384"),
    bytes.fromhex("2a8648ce3d040304"): ("ecdsa", "sha512"),
    bytes.fromhex("2b6570"): ("ed25519", "sha512"),
}
_LEAF_KEYS = {"version", "kind", "id", "at_ms", "subject", "public", "commitments"}
_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"


class BundleError(Exception):
    """The file is no bundle that could be checked at all."""


class FailedError(Exception):
    """A step does not hold; the message says why."""


class Step(NamedTuple):
    """One line of the checklist."""

    number: int
    title: str
    ok: bool
    detail: str


class Result(NamedTuple):
    """The whole checklist."""

    steps: tuple[Step, ...]
    signer: str  # the verifier key that signed the bundle, as far as known
    self_certified: bool  # nobody outside the bundle vouches for that key

    @property
    def ok(self) -> bool:
        """Whether every step holds."""
        return all(step.ok for step in self.steps)


def check(
    data: bytes, trust: str | None = None, digest_pixels: Callable[[bytes], str] | None = None
) -> Result:
    """Check a bundle.

    Args:
        data: the bytes of the zip file.
        trust: text with the verifier keys to trust, one a line; None if there is none.
        digest_pixels: a faster way to compute SHA-256 of a PNG's RGB bytes, if there is one.

    Raises:
        BundleError: the file is too large to be looked at.
    """
    if len(data) > MAX_BUNDLE:
        raise BundleError(f"the file has {len(data):,} bytes, more than {MAX_BUNDLE:,}")
    return _Checker(data, trust, digest_pixels or pixels_digest).run()


class _Checker:
    """Runs the steps; later ones use what earlier ones have read."""

    def __init__(self, data: bytes, trust: str | None, digest_pixels: Callable[[bytes], str]) -> None:
        self.data = data
        self.trust = trust
        self.digest_pixels = digest_pixels
        self.members: dict[str, bytes] = {}
        self.key = ""
        self._leaf: dict[str, Any] | None = None
        self.opened: dict[str, str] = {}
        self.root = b""
        self.tree_size = 0
        self.chain: list[tuple[str, int]] = []
        self.job_leaf_hash = ""
        self.parents: list[str] = []  # ids of the images that the job went on from
        self.posted: dict[str, str] = {}  # image id -> SHA-256 of its file, of this person's images
        self.self_certified = True

    def run(self) -> Result:
        steps: list[Step] = []
        for number, (title, action) in enumerate(
            ((title, getattr(self, method)) for title, method in CHECKLIST),
            start=1,
        ):
            try:
                steps.append(Step(number, title, True, _clean(action())))
            except FailedError as failure:
                steps.append(Step(number, title, False, _clean(str(failure))))
            except Exception as error:  # noqa: BLE001 - whatever a hostile member provokes is a failed step
                steps.append(Step(number, title, False, f"malformed: {type(error).__name__}"))
            if number == 1 and not self.members:
                break
        return Result(tuple(steps), self.key, self.self_certified)

    # -- the bundle itself

    def _container(self) -> str:
        self.members, problem = read_container(self.data)
        if problem:
            raise FailedError(problem)
        return f"{len(self.members)} members, {len(self.data):,} bytes, no byte besides them"

    def _names(self) -> str:
        missing = [name for name in REQUIRED if name not in self.members]
        known = {*REQUIRED, *OPTIONAL}
        added = [name for name in self.members if name not in known and not re.fullmatch(EARLIER, name)]
        if missing or added:
            parts = [f"missing: {', '.join(missing)}"] if missing else []
            parts += [f"added: {', '.join(added)}"] if added else []
            raise FailedError("; ".join(parts))
        return ", ".join(self.members)

    def _digests(self) -> str:
        listed = _object(self._json("index.json")["members"])
        wrong = []
        for name in sorted(set(listed) | set(self.members) - {"index.json"}):
            if name not in self.members or name not in listed:
                wrong.append(f"{name} is {'listed but missing' if name in listed else 'not listed'}")
                continue
            digest = hashlib.sha256(self.members[name]).hexdigest()
            if _object(listed[name]) != {"sha256": digest, "size": len(self.members[name])}:
                wrong.append(f"{name} was altered")
        if wrong:
            raise FailedError("; ".join(wrong))
        return f"{len(listed)} SHA-256 digests"

    def _index(self) -> str:
        index = self._json("index.json", canonical=True)
        if set(index) != {"format", "image_id", "exported_at_ms", "verifier_key", "members", "signature"}:
            raise FailedError("index.json has other fields than it should")
        if index["format"] != FORMAT:
            raise FailedError(f"index.json has the unknown format {index['format']!r}")
        signature = _base64(index.pop("signature"))
        self.key = _text(index["verifier_key"])
        name, public = _verifier_key(self.key)
        message = f"{FORMAT}\n".encode() + canonical_json(index)
        _ed25519(public, signature, message, "the signature of index.json")
        return f"Ed25519 key of {name}"

    def _json(self, name: str, *, canonical: bool = False) -> dict[str, Any]:
        data = self._member(name)
        value = _object(_parse_json(data, name))
        if canonical and canonical_json(value) != data:
            raise FailedError(f"{name} is not in canonical form (RFC 8785)")
        return value

    def _member(self, name: str) -> bytes:
        if name not in self.members:
            raise FailedError(f"{name} is missing")
        return self.members[name]

    # -- the record and the ledger

    def _record(self) -> str:
        leaf = self._member("leaf.bin")
        entry = read_leaf(leaf)
        if entry["kind"] != "image_released":
            raise FailedError(f"the record is of kind {entry['kind']!r}")
        record = self._json("record.json")
        if record.get("entry") != entry or record.get("leaf_hash") != leaf_hash(leaf).hex():
            raise FailedError("record.json and leaf.bin differ")
        if self._json("index.json").get("image_id") != entry["public"].get("image_id"):
            raise FailedError("index.json names another image than the record")
        self._leaf = entry
        return f"image {entry['public'].get('image_id')}, person {entry['subject']}, {when(entry['at_ms'])}"

    @property
    def leaf(self) -> dict[str, Any]:
        """The record, once its form was checked."""
        if self._leaf is None:
            raise FailedError("no well-formed record is known")
        return self._leaf

    def _checkpoint(self) -> str:
        if not self.key:
            raise FailedError("no signer is known")
        origin, self.tree_size, self.root = open_checkpoint(self._member("checkpoint.txt"), [self.key])
        return f"{origin}, {self.tree_size} entries, root {self.root.hex()}"

    def _inclusion(self) -> str:
        proof = self._json("proof.json")
        if set(proof) != {"leaf_index", "tree_size", "root_hash", "inclusion_proof"}:
            raise FailedError("proof.json has other fields than it should")
        self._require_head()
        if proof["tree_size"] != self.tree_size or proof["root_hash"] != self.root.hex():
            raise FailedError("proof.json and checkpoint.txt speak of different trees")
        self._included(self._member("leaf.bin"), proof)
        return f"entry {proof['leaf_index']} of {self.tree_size}"

    def _included(self, leaf: bytes, proof: dict[str, Any]) -> int:
        self._require_head()
        index = _number(proof["leaf_index"])
        root = root_from_inclusion(leaf_hash(leaf), index, self.tree_size, _hashes(proof["inclusion_proof"]))
        if root != self.root:
            raise FailedError("the proof leads to another root than the signed one")
        return index

    def _require_head(self) -> None:
        if not self.root:
            raise FailedError("no signed checkpoint is known")

    def _rotations(self) -> str:
        self._require_head()
        if "rotations.json" not in self.members:
            self.chain = [(self.key, self.tree_size)]
            return "one key so far"
        steps = self._json("rotations.json").get("rotations")
        if not isinstance(steps, list) or not 1 <= len(steps) <= MAX_ROTATIONS:
            raise FailedError("rotations.json lists no rotations")
        chain: list[tuple[str, int]] = []
        place = -1
        for step in map(_object, steps):
            leaf = canonical_json(_object(step["entry"]))
            entry = read_leaf(leaf)
            index = self._included(leaf, step)
            if entry["kind"] != "key_rotated" or index <= place:
                raise FailedError(f"entry {index} is not the next change of the key")
            place = index
            old, new = open_endorsement(_text(entry["public"].get("endorsement")))
            if chain and chain[-1][0] != old:
                raise FailedError(f"entry {index} rotates a key that was not in use")
            if new in [old, *(key for key, _ in chain)]:
                raise FailedError(f"entry {index} brings a retired key back")
            chain[-1:] = [(old, index), (new, self.tree_size)]
        if chain[-1][0] != self.key:
            raise FailedError("the keys do not lead to the one that signed this bundle")
        self.chain = chain
        return f"{len(chain)} keys, each endorsed by the one before it"

    def _open(self, note: str) -> tuple[str, int, bytes]:
        """A checkpoint of this ledger, signed by a key that was in use at its size, or a later one."""
        if not self.chain:
            raise FailedError("the ledger's keys are not known")
        size = note_size(note.encode())
        return open_checkpoint(note.encode(), [key for key, last in self.chain if size <= last])

    def _consistency(self) -> str:
        value = self._json("consistency.json")
        if set(value) != {"receipt_checkpoint", "proof"}:
            raise FailedError("consistency.json has other fields than it should")
        self._require_head()
        _, old_size, old_root = self._open(_text(value["receipt_checkpoint"]))
        if old_size <= _number(self._json("proof.json")["leaf_index"]):
            raise FailedError("the receipt's checkpoint is older than the record")
        check_consistency(old_size, old_root, self.tree_size, self.root, _hashes(value["proof"]))
        return f"{old_size} entries then, {self.tree_size} now"

    def _timestamp(self) -> str:
        if "timestamp.json" not in self.members:
            return "none did: all times are the operator's"
        value = self._json("timestamp.json")
        if set(value) != {"authority", "checkpoint", "consistency_proof", "token"}:
            raise FailedError("timestamp.json has other fields than it should")
        self._require_head()
        note = _text(value["checkpoint"])
        _, size, root = self._open(note)
        if size <= _number(self._json("proof.json")["leaf_index"]):
            raise FailedError("the dated checkpoint is older than the record")
        check_consistency(size, root, self.tree_size, self.root, _hashes(value["consistency_proof"]))
        stamp = read_timestamp(_base64(value["token"]), note.encode())
        vouched = trusted_authority(stamp, self.trust or "")
        voucher = "under a certificate that you trust" if vouched else "for whom nobody vouches here"
        return f"the record was there on {when(stamp.at_ms)}, says {stamp.signer}, {voucher}"

    def _commitments(self) -> str:
        value = self._json("commitments.json", canonical=True)
        self.opened = open_commitments(self.leaf, value)
        return ", ".join(sorted(self.opened))

    # -- the image

    def _image(self) -> str:
        digest = hashlib.sha256(self._member("image.png")).hexdigest()
        if digest != self._opened("sha256"):
            raise FailedError("image.png is not the file that was released")
        return f"SHA-256 {digest}"

    def _pixels(self) -> str:
        digest = self.digest_pixels(self._member("image.png"))
        if digest != self._opened("posted_pixels_sha256"):
            raise FailedError("image.png does not show the pixels that were released")
        return f"SHA-256 {digest}"

    def _credentials(self) -> str:
        image, sidecar = self._member("image.png"), self._member("manifest.c2pa")
        credential = read_credential(image)
        if credential.manifest != sidecar:
            raise FailedError("manifest.c2pa is not the manifest inside image.png")
        if credential.record_id != self.leaf["id"]:
            raise FailedError("the image's manifest names another record")
        if not self.job_leaf_hash or credential.job_leaf_hash != self.job_leaf_hash:
            raise FailedError("the image's manifest names another accepted job")
        return f"signed by {credential.signer}; hard binding and signature hold"

    def _opened(self, name: str) -> str:
        if name not in self.opened:
            raise FailedError(f"the record does not open {name}")
        return self.opened[name]

    # -- what led to it

    def _lineage(self) -> str:
        steps = self._json("lineage.json").get("steps")
        if not isinstance(steps, list) or not 1 <= len(steps) <= MAX_STEPS:
            raise FailedError("lineage.json lists no steps")
        before = -1
        kinds = []
        released = False
        for step in map(_object, steps):
            leaf = canonical_json(_object(step["entry"]))
            entry = read_leaf(leaf)
            index = self._included(leaf, step)
            if index <= before:
                raise FailedError("the steps are not in the order of the ledger")
            before = index
            if step.get("opening") is not None:
                if entry["subject"] not in {self.leaf["subject"], ""}:
                    raise FailedError(f"entry {index} opens what another person did")
                fields = open_commitments(entry, _object(step["opening"]))
                if entry["kind"] == "image_released" and "sha256" in fields:
                    self.posted[_text(entry["public"].get("image_id"))] = fields["sha256"]
            if entry["public"].get("job_id") == self.leaf["public"].get("job_id"):
                if entry["kind"] == "job_accepted":
                    self.job_leaf_hash = leaf_hash(leaf).hex()
                    named = map(entry["public"].get, ("parent_image_id", "second_parent_image_id"))
                    self.parents = [_text(one) for one in named if one is not None]
                released = released or leaf == self.members.get("leaf.bin")
            kinds.append(entry["kind"])
        if not released or not self.job_leaf_hash:
            raise FailedError("the accepted job or the released image is not among the steps")
        return ", ".join(kinds)

    def _sources(self) -> str:
        """Every picture that is there is the recorded one, and none that the record names is left out."""
        if not self.opened or not self.job_leaf_hash:
            raise FailedError("the record or the accepted job is not known")
        if "sources.json" not in self.members and not {"source_sha256", "mask_sha256"} & set(self.opened):
            self._sources_complete([], self.parents, [])
            return "none is a part of this bundle"
        listed = self._json("sources.json").get("sources")
        if not isinstance(listed, list) or len(listed) > MAX_SOURCES:
            raise FailedError("sources.json lists no pictures")
        roles: list[str] = []
        parents: list[str] = []
        held: list[str] = []
        for one in map(_object, listed):
            if set(one) != {"role", "member", "image_id", "sha256", "absent"}:
                raise FailedError("sources.json has other fields than it should")
            role, image_id = _text(one["role"]), _text(one["image_id"])
            (parents if role == "parent" else roles).append(image_id if role == "parent" else role)
            names = {"parent": f"parent-{len(parents)}.png", "earlier": f"image-{image_id}.png"}
            name = names.get(role, f"{role}.png")
            recorded = self.posted.get(image_id) if role in names else self.opened.get(f"{role}_sha256")
            if recorded is not None and one["sha256"] != recorded:
                raise FailedError(f"sources.json states another digest of {name} than the record")
            if one["member"] is not None:
                if one["member"] != name or name in held:
                    raise FailedError(f"sources.json names a file of {role} that it should not")
                self._recorded_file(name, recorded)
                held.append(name)
        self._sources_complete([role for role in roles if role != "earlier"], parents, held)
        absent = len(listed) - len(held)
        return ", ".join([*held, *([f"{absent} named, but not here"] if absent else [])])

    def _recorded_file(self, name: str, digest: str | None) -> None:
        if digest is None or hashlib.sha256(self._member(name)).hexdigest() != digest:
            raise FailedError(f"{name} is not the picture that was recorded")

    def _sources_complete(self, roles: list[str], parents: list[str], held: list[str]) -> None:
        wanted = [role for role in ("source", "mask") if f"{role}_sha256" in self.opened]
        if len(set(roles)) != len(roles) or not set(wanted) <= set(roles) <= {"source", "mask"}:
            raise FailedError("sources.json leaves out a picture that the record names, or adds one")
        if parents != self.parents:
            raise FailedError("sources.json names other images than the accepted job went on from")
        pictures = [name for name in self.members if name in PICTURES or re.fullmatch(EARLIER, name)]
        if added := [name for name in pictures if name not in held]:
            raise FailedError(f"{', '.join(added)} is not listed in sources.json")

    def _terms(self) -> str:
        digest = hashlib.sha256(self._member("terms.txt")).hexdigest()
        accepted = self._acceptance_entry()["public"]
        if digest != accepted.get("text_sha256"):
            raise FailedError("terms.txt is not the text that was accepted")
        public = self.leaf["public"]
        for here, there in (("license_id", "license_id"), ("license_version", "version")):
            if public.get(here) != accepted.get(there):
                raise FailedError(f"the image was made under another {here}")
        if self._opened("license_text_sha256") != digest:
            raise FailedError("the image was released under other terms")
        return f"{public.get('license_id')} {public.get('license_version')}, SHA-256 {digest}"

    def _acceptance(self) -> str:
        entry = self._acceptance_entry()
        value = self._json("acceptance.json")
        index = self._included(canonical_json(entry), value)
        if entry["kind"] != "terms_accepted" or entry["subject"] != self.leaf["subject"]:
            raise FailedError("acceptance.json is not this person's acceptance")
        released = _number(self._json("proof.json")["leaf_index"])
        if index >= released or entry["at_ms"] > self.leaf["at_ms"]:
            raise FailedError("the terms were accepted after the image was made")
        return f"entry {index}, {when(entry['at_ms'])}"

    def _acceptance_entry(self) -> dict[str, Any]:
        value = self._json("acceptance.json")
        entry = read_leaf(canonical_json(_object(value["entry"])))
        if value.get("opening") is not None:
            open_commitments(entry, _object(value["opening"]))
        return entry

    def _context(self) -> str:
        for name in ("moderation", "profile"):
            digest = hashlib.sha256(self._member(f"{name}.json")).hexdigest()
            if digest != self._opened(f"{name}_sha256"):
                raise FailedError(f"{name}.json is not what was recorded with the image")
        return "moderation.json and profile.json"

    def _signer(self) -> str:
        if not self.key:
            raise FailedError("no signer is known")
        if self.trust is None:
            return f"self-certified: nobody outside this bundle vouches for {_clean(self.key)}"
        keys = trusted_keys(self.trust)
        if not keys:
            raise FailedError("the trust file holds no key")
        own = [(self.chain[i][0], self.chain[i + 1][0]) for i in range(len(self.chain) - 1)]
        followers = endorsed_keys(keys, [*endorsements(self.trust), *own])
        if self.key not in followers:
            raise FailedError(f"signed by {self.key}, which is not among the trusted keys")
        self.self_certified = False
        if self.key in keys:
            return f"signed by the trusted key {_clean(self.key)}"
        return f"signed by {_clean(self.key)}, which a trusted key endorsed"


# -- the container


def write_container(members: dict[str, bytes]) -> bytes:
    """Lay members out in the only form that is accepted: stored, sorted, fixed times, nothing besides.

    Raises:
        BundleError: a name is no plain short file name, or it all grows too large.
    """
    body, directory = bytearray(), bytearray()
    if sum(map(len, members.values())) > MAX_BUNDLE:
        raise BundleError("the members are too large for one bundle")
    for name in sorted(members):
        if not re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", name):
            raise BundleError(f"{name!r} is no name for a member")
        data, encoded = members[name], name.encode()
        crc, offset = zlib.crc32(data), len(body)
        common = (0, 0, 0, _DATE, crc, len(data), len(data), len(encoded), 0)
        body += _LOCAL.pack(b"PK\x03\x04", _VERSION, *common) + encoded + data
        directory += _CENTRAL.pack(b"PK\x01\x02", _VERSION, _VERSION, *common, 0, 0, 0, 0, offset) + encoded
    count, start = len(members), len(body)
    return bytes(body + directory + _END.pack(b"PK\x05\x06", 0, 0, count, count, len(directory), start, 0))


def read_container(data: bytes) -> tuple[dict[str, bytes], str]:
    """Read what `write_container` wrote; nothing is ever decompressed.

    Returns:
        The members by name, and what is wrong with the form of the container ("" if nothing).
    """
    members: dict[str, bytes] = {}
    place = 0
    try:
        while data[place : place + 4] == b"PK\x03\x04":
            name, start, end = _local_header(data, place)
            if name in members or len(members) >= 64:
                return members, f"{name} is there twice, or there are too many members"
            members[name] = data[start:end]
            place = end
    except FailedError as failure:
        return members, str(failure)
    if not members:
        return {}, "the file is no evidence bundle"
    return members, _container_problem(data, members)


def _local_header(data: bytes, place: int) -> tuple[str, int, int]:
    """Name of the member whose header is at `place`, and where its bytes begin and end."""
    head = data[place : place + _LOCAL.size]
    if len(head) < _LOCAL.size:
        raise FailedError("the container breaks off")
    _, *constant, _crc, stored, size, name_length, extra_length = _LOCAL.unpack(head)
    start = place + _LOCAL.size + name_length
    encoded = data[place + _LOCAL.size : start]
    name = _clean(encoded[:64].decode("ascii", "replace"))
    if not re.fullmatch(rb"[A-Za-z0-9_.-]{1,64}", encoded):
        raise FailedError(f"the name {name!r} is bent")
    if constant != [_VERSION, 0, 0, 0, _DATE] or stored != size or extra_length:
        raise FailedError(f"the header of {name} is not canonical: compressed, dated or extended")
    if start + size > len(data):
        raise FailedError(f"{name} claims {size:,} bytes, more than there are")
    return name, start, start + size


def _container_problem(data: bytes, members: dict[str, bytes]) -> str:
    """Name the first byte that differs from the one canonical way to hold these members."""
    expected = write_container(members)
    if data == expected:
        return ""
    place = _first_difference(data, expected)
    where, start = "its directory", 0
    for name in sorted(members):
        end = start + _LOCAL.size + len(name) + len(members[name])
        if start <= place < end:
            where = f"the header of {name}: its checksum does not fit"
            break
        start = end
    if place >= len(expected):
        where = "extra bytes at the end"
    return f"the container differs from its canonical form at byte {place:,}, in {where}"


def _first_difference(one: bytes, other: bytes) -> int:
    place = 0
    while place < len(one) and one[place : place + 4096] == other[place : place + 4096]:
        place += 4096
    end = min(len(one), len(other), place + 4096)
    return next((i for i in range(place, end) if one[i] != other[i]), end)


# -- canonical JSON and the record


def canonical_json(value: Any) -> bytes:  # noqa: ANN401 - any JSON value
    """RFC 8785 for values without fractions.

    Raises:
        FailedError: the value holds something else.
    """
    return _canonical(value, 0).encode("utf-8")


def _canonical(value: Any, depth: int) -> str:  # noqa: ANN401 - any JSON value
    if depth > 32:
        raise FailedError("JSON that is nested too deeply")
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        if abs(value) > 2**53 - 1:
            raise FailedError("a number that is too large for JSON")
        return str(value)
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list):
        return "[" + ",".join(_canonical(item, depth + 1) for item in value) + "]"
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: key.encode("utf-16-be"))
        pairs = (f"{_canonical(key, depth)}:{_canonical(value[key], depth + 1)}" for key in keys)
        return "{" + ",".join(pairs) + "}"
    raise FailedError("a value that canonical JSON does not have here")


def _parse_json(data: bytes, name: str) -> Any:  # noqa: ANN401 - any JSON value
    if len(data) > MAX_JSON:
        raise FailedError(f"{name} is too large")
    try:
        return json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError):
        raise FailedError(f"{name} is not JSON in UTF-8") from None


def read_leaf(leaf: bytes) -> dict[str, Any]:
    """Parse the canonical bytes of one entry of the ledger.

    Raises:
        FailedError: they are anything else.
    """
    if len(leaf) > MAX_LEAF:
        raise FailedError("the entry is too large")
    entry = _object(_parse_json(leaf, "the entry"))
    if set(entry) != _LEAF_KEYS or canonical_json(entry) != leaf:
        raise FailedError("the entry is not in canonical form")
    if entry["version"] != 1 or isinstance(entry["version"], bool):
        raise FailedError("the entry has an unknown version")
    _object(entry["public"])
    for digest in _object(entry["commitments"]).values():
        _hex(digest, 32)
    if _number(entry["at_ms"]) > 2**53 - 1 or not re.fullmatch(r"[0-9a-f]{16}", _text(entry["id"])):
        raise FailedError("the entry's id or time is malformed")
    if not re.fullmatch(r"[0-9a-f]{32}|", _text(entry["subject"])) or not _text(entry["kind"]):
        raise FailedError("the entry's person or kind is malformed")
    return entry


def open_commitments(entry: dict[str, Any], opening: dict[str, Any]) -> dict[str, str]:
    """Check HMAC-SHA256(nonce, name, 0x00, value) of every field, and give the fields.

    Raises:
        FailedError: a field is missing, added or not what was committed to.
    """
    fields, nonces = _object(opening["fields"]), _object(opening["nonces"])
    committed = _object(entry["commitments"])
    if not set(fields) == set(nonces) == set(committed):
        raise FailedError("the opened fields are not the committed ones")
    for name, value in fields.items():
        message = name.encode() + b"\x00" + _text(value).encode()
        digest = hmac.new(_hex(nonces[name], 32), message, hashlib.sha256).hexdigest()
        if digest != committed[name]:
            raise FailedError(f"{name} is not what the record committed to")
    return {name: _text(value) for name, value in fields.items()}


# -- RFC 9162 and C2SP signed notes


def leaf_hash(leaf: bytes) -> bytes:
    """RFC 9162 section 2.1.1."""
    return hashlib.sha256(b"\x00" + leaf).digest()


def _node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_from_inclusion(leaf: bytes, index: int, size: int, proof: list[bytes]) -> bytes:
    """The root that an inclusion proof leads to: RFC 9162 section 2.1.3.2.

    Raises:
        FailedError: the proof does not have the length that the tree asks for.
    """
    if not 0 <= index < size:
        raise FailedError(f"a tree of {size} entries has no entry {index}")
    node, last, value = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise FailedError("the inclusion proof is too long")
        if node % 2 == 1 or node == last:
            value = _node_hash(sibling, value)
            while node % 2 == 0 and node:
                node, last = node // 2, last // 2
        else:
            value = _node_hash(value, sibling)
        node, last = node // 2, last // 2
    if last:
        raise FailedError("the inclusion proof is too short")
    return value


def check_consistency(  # noqa: C901 - one algorithm of the standard, in its own words
    old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: list[bytes]
) -> None:
    """Check that the old tree is the beginning of the new one: RFC 9162 section 2.1.4.2.

    Raises:
        FailedError: it is not.
    """
    if not 0 < old_size <= new_size:
        raise FailedError("the ledger became smaller")
    if old_size == new_size:
        if proof or old_root != new_root:
            raise FailedError("two roots of one size differ")
        return
    path = list(proof) if old_size & (old_size - 1) else [old_root, *proof]
    if not path:
        raise FailedError("the consistency proof is too short")
    node, last = old_size - 1, new_size - 1
    while node % 2:
        node, last = node // 2, last // 2
    old = new = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise FailedError("the consistency proof is too long")
        if node % 2 == 1 or node == last:
            old, new = _node_hash(sibling, old), _node_hash(sibling, new)
            while node % 2 == 0 and node:
                node, last = node // 2, last // 2
        else:
            new = _node_hash(new, sibling)
        node, last = node // 2, last // 2
    if last or old != old_root or new != new_root:
        raise FailedError("the history before the checkpoint was rewritten")


def open_checkpoint(note: bytes, keys: list[str]) -> tuple[str, int, bytes]:
    """Check a signed tree head (c2sp.org/tlog-checkpoint); gives origin, size and root.

    Raises:
        FailedError: it is malformed, none of the keys signed it, or a signature of theirs does not hold.
    """
    text, lines, block = _note(note)
    root = _base64(lines[2])
    if len(root) != 32:
        raise FailedError("the checkpoint's root has a wrong length")
    signed = False
    for name, public in map(_verifier_key, keys):
        for line in block.split("\n"):
            signed_by, _, encoded = line.removeprefix("\u2014 ").partition(" ")
            signature = _base64(encoded)
            if signed_by == name == lines[0] and signature[:4] == _key_hash(name, public):
                _ed25519(public, signature[4:], text.encode(), "the signature of the checkpoint")
                signed = True
    if not signed:
        raise FailedError("no key of this ledger that was in use signed the checkpoint")
    return lines[0], int(lines[1]), root


def note_size(note: bytes) -> int:
    """The tree size that a signed tree head states; nothing is checked but its form."""
    return int(_note(note)[1][1])


def _note(note: bytes) -> tuple[str, list[str], str]:
    """The signed text of a checkpoint, its lines, and the lines of the signatures."""
    if len(note) > 65_536:
        raise FailedError("the checkpoint is too large")
    text, gap, block = note.decode("utf-8").rpartition("\n\n")
    lines = text.split("\n")
    if not gap or not block.endswith("\n") or len(lines) < 3:
        raise FailedError("the checkpoint is no signed note")
    if not re.fullmatch(r"[1-9][0-9]{0,18}", lines[1]):
        raise FailedError("the checkpoint is of an empty ledger")
    return text + "\n", lines, block[:-1]


def open_endorsement(line: str) -> tuple[str, str]:
    """Check a line by which one key endorses the next; gives the old key and the new one.

    The line is: the words `verso-key-rotation/1`, old key, new key, end of the overlap in Unix milliseconds,
    and the base64 of both keys' Ed25519 signatures over the first four words and a newline.

    Raises:
        FailedError: it is no such line, or a signature does not hold.
    """
    words = line.split(" ")
    if len(words) != 6 or words[0] != ROTATION or not re.fullmatch(r"0|[1-9][0-9]{0,15}", words[3]):
        raise FailedError("an endorsement of a key is malformed")
    (old_name, old), (new_name, new) = _verifier_key(words[1]), _verifier_key(words[2])
    if old_name != new_name or old == new:
        raise FailedError("an endorsement leads to the key of another ledger")
    message = f"{' '.join(words[:4])}\n".encode()
    _ed25519(old, _base64(words[4]), message, "the old key's endorsement of the new one")
    _ed25519(new, _base64(words[5]), message, "the new key's acknowledgment of the old one")
    return words[1], words[2]


def endorsements(text: str) -> list[tuple[str, str]]:
    """The changes of keys that a trust file tells, as (old key, new key); one that does not hold fails."""
    lines = (line.strip() for line in text.splitlines())
    return [open_endorsement(line) for line in lines if line.startswith(f"{ROTATION} ")]


def endorsed_keys(trusted: list[str], rotations: list[tuple[str, str]]) -> set[str]:
    """The trusted keys and those that they endorsed, one after the other.

    Raises:
        FailedError: one key endorsed two: it was stolen, or the ledger is kept in two versions.
    """
    followers: dict[str, str] = {}
    for old, new in rotations:
        if followers.setdefault(old, new) != new:
            raise FailedError(f"{old} endorsed two different keys")
    found, waiting = set(trusted), list(trusted)
    while waiting:
        follower = followers.get(waiting.pop())
        if follower is not None and follower not in found:
            found.add(follower)
            waiting.append(follower)
    return found


def trusted_keys(text: str) -> list[str]:
    """The verifier keys in a trust file; other lines (comments, certificates) are left alone."""
    found = []
    for line in text.splitlines():
        try:
            _verifier_key(line.strip())
        except (FailedError, ValueError):
            continue
        found.append(line.strip())
    return found


def _verifier_key(text: str) -> tuple[str, bytes]:
    name, _, rest = text.partition("+")
    digest, _, encoded = rest.partition("+")
    data = _base64(encoded)
    if not name or " " in name or not name.isprintable() or len(data) != 33 or data[0] != 1:
        raise FailedError("the verifier key is malformed")
    if digest != _key_hash(name, data[1:]).hex():
        raise FailedError("the verifier key's hash does not belong to it")
    return name, data[1:]


def _key_hash(name: str, public: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n\x01" + public).digest()[:4]


def _ed25519(public: bytes, signature: bytes, message: bytes, what: str) -> None:
    try:
        ed25519.Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        raise FailedError(f"{what} does not hold") from None


# -- RFC 3161 time stamps


class Timestamp(NamedTuple):
    """What an outside authority signed; its signature holds."""

    at_ms: int  # Unix milliseconds
    signer: str  # as its certificate names itself
    certificates: tuple[x509.Certificate, ...]  # the signer's first
    nonce: int | None  # of the request


def read_timestamp(token: bytes, message: bytes) -> Timestamp:
    """Check an RFC 3161 time stamp token (DER) over `message`; whom to trust is not decided here.

    Raises:
        FailedError: it is malformed, over something else, or not rightly signed by a certificate for
            time stamping that was valid then.
    """
    try:
        return _read_timestamp(token, message)
    except FailedError:
        raise
    except Exception as error:  # whatever a hostile token provokes
        raise FailedError(f"the time stamp is malformed ({type(error).__name__})") from error


def _read_timestamp(token: bytes, message: bytes) -> Timestamp:
    if len(token) > MAX_TOKEN:
        raise FailedError("the time stamp is too large")
    content_type, wrapped = _der_sequence(_one(_der(token, 0x30)))
    if content_type.content != _SIGNED_DATA:
        raise FailedError("the time stamp is no signed message (CMS)")
    _, _, encapsulated, *rest, signers = _der_sequence(_one(_der(wrapped.content, 0x30)))
    info_type, info_box = _der_sequence(encapsulated)
    info = _one(_der(info_box.content, 0x04)).content
    certificates = [
        x509.load_der_x509_certificate(item.whole)
        for part in rest
        if part.tag == 0xA0
        for item in _der(part.content)
        if item.tag == 0x30
    ]
    if info_type.content != _TST_INFO or signers.tag != 0x31:
        raise FailedError("the signed message is no time stamp")
    certificate = _check_signer(_one(_der(signers.content, 0x30)), info, certificates)
    at_ms, nonce = _check_tst_info(info, message)
    _check_time_stamper(certificate, at_ms)
    others = (one for one in certificates if one != certificate)
    signer = _clean(certificate.subject.rfc4514_string()) or "an unnamed certificate"
    return Timestamp(at_ms, signer, (certificate, *others), nonce)


def _check_tst_info(info: bytes, message: bytes) -> tuple[int, int | None]:
    """RFC 3161 section 2.4.2; gives the time in Unix milliseconds, and the nonce."""
    version, _policy, imprint, _serial, made, *rest = _der_sequence(_one(_der(info, 0x30)))
    algorithm, digest = _der_sequence(imprint)
    if version.content != b"\x01" or made.tag != 0x18:
        raise FailedError("the time stamp is of an unknown version")
    if hashlib.new(_digest_name(algorithm), message).digest() != digest.content:
        raise FailedError("the time stamp is over something else")
    found = re.fullmatch(r"(\d{14})(?:\.(\d{1,9}))?Z", made.content.decode("ascii"))
    if not found:
        raise FailedError("the time of the time stamp is malformed")
    seconds = calendar.timegm(time.strptime(found[1], "%Y%m%d%H%M%S"))
    nonces = [int.from_bytes(item.content, "big", signed=True) for item in rest if item.tag == 0x02]
    at_ms = seconds * 1000 + int((found[2] or "").ljust(3, "0")[:3])
    return at_ms, nonces[0] if nonces else None


def _check_signer(signer: _Der, info: bytes, certificates: list[x509.Certificate]) -> x509.Certificate:
    """RFC 5652 section 5.4, with the certificate that the signature itself names (RFC 5816)."""
    _, sid, digesting, attributes, signing, signature, *_ = _der_sequence(signer)
    if attributes.tag != 0xA0 or signature.tag != 0x04:
        raise FailedError("the time stamp has no signed attributes")
    values: dict[bytes, _Der] = {}
    for attribute in _der(attributes.content, 0x30):
        kind, value = _der_sequence(attribute)
        if kind.content in values:
            raise FailedError("an attribute of the time stamp is there twice")
        values[kind.content] = _one(_der(value.content))
    name = _digest_name(digesting)
    if values[_CONTENT_TYPE].content != _TST_INFO:
        raise FailedError("the time stamp signs another kind of message")
    if values[_MESSAGE_DIGEST].content != hashlib.new(name, info).digest():
        raise FailedError("the time stamp was altered")
    certificate = _named_certificate(values, certificates)
    if sid.tag == 0x30:
        issuer, serial = _der_sequence(sid)
        if (issuer.whole, int.from_bytes(serial.content, "big", signed=True)) != (
            certificate.issuer.public_bytes(),
            certificate.serial_number,
        ):
            raise FailedError("the time stamp names two signers")
    _check_signature(certificate, signing, name, signature.content, b"\x31" + attributes.whole[1:])
    return certificate


def _named_certificate(values: dict[bytes, _Der], certificates: list[x509.Certificate]) -> x509.Certificate:
    """The certificate whose hash is among the signed attributes: ESSCertID or ESSCertIDv2."""
    if _SIGNING_CERTIFICATE_V2 in values:
        first = _der_sequence(_der_sequence(_der_sequence(values[_SIGNING_CERTIFICATE_V2])[0])[0])
        name = _digest_name(first[0]) if first[0].tag == 0x30 else "sha256"
        digest = next(item.content for item in first if item.tag == 0x04)
    elif _SIGNING_CERTIFICATE in values:
        first = _der_sequence(_der_sequence(_der_sequence(values[_SIGNING_CERTIFICATE])[0])[0])
        name, digest = "sha1", first[0].content
    else:
        raise FailedError("the time stamp does not name its signer's certificate")
    for certificate in certificates:
        if hashlib.new(name, certificate.public_bytes(Encoding.DER)).digest() == digest:
            return certificate
    raise FailedError("the time stamp does not carry its signer's certificate")


def _check_signature(
    certificate: x509.Certificate, algorithm: _Der, digest: str, signature: bytes, message: bytes
) -> None:
    kind, named = _SIGNATURES[_der_sequence(algorithm)[0].content]
    known = {"sha256": hashes.SHA256(), "sha384": hashes.SHA384(), "sha512": hashes.SHA512()}
    hasher = known[named or digest]
    key = certificate.public_key()
    try:
        if kind == "rsa" and isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, message, padding.PKCS1v15(), hasher)
        elif kind == "ecdsa" and isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, message, ec.ECDSA(hasher))
        elif kind == "ed25519" and isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, message)
        else:
            raise FailedError("the time stamp is signed with an unexpected kind of key")
    except InvalidSignature:
        raise FailedError("the signature of the time stamp does not hold") from None


def _check_time_stamper(certificate: x509.Certificate, at_ms: int) -> None:
    """RFC 3161 section 2.3: a certificate for time stamping and for nothing else, valid at that time."""
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    except x509.ExtensionNotFound:
        raise FailedError("the signer of the time stamp has no certificate for time stamping") from None
    if not usage.critical or list(usage.value) != [ExtendedKeyUsageOID.TIME_STAMPING]:
        raise FailedError("the signer of the time stamp has no certificate for time stamping")
    if not _valid_at(certificate, at_ms):
        raise FailedError("the signer's certificate was not valid at the time that it states")


def _valid_at(certificate: x509.Certificate, at_ms: int) -> bool:
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return start.timestamp() * 1000 <= at_ms <= end.timestamp() * 1000


def trusted_authority(stamp: Timestamp, trust: str) -> bool:
    """Whether the signer's certificate leads to one in the trust text (PEM)."""
    roots = trusted_certificates(trust)
    current = stamp.certificates[0]
    for _ in range(8):
        if current in roots:
            return True
        issuers = [one for one in (*roots, *stamp.certificates) if _issued(current, one, stamp.at_ms)]
        if not issuers or issuers[0] == current:
            return False
        current = issuers[0]
    return False


def _issued(certificate: x509.Certificate, issuer: x509.Certificate, at_ms: int) -> bool:
    """Whether a certificate authority that was valid then issued a certificate (RFC 5280, section 6.1.4)."""
    try:
        authority = issuer.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        usages = [one.value for one in issuer.extensions if isinstance(one.value, x509.KeyUsage)]
        certificate.verify_directly_issued_by(issuer)
    except (x509.ExtensionNotFound, InvalidSignature, ValueError, TypeError):
        return False
    return authority and all(usage.key_cert_sign for usage in usages) and _valid_at(issuer, at_ms)


def trusted_certificates(text: str) -> list[x509.Certificate]:
    """The readable certificates (PEM) in a trust file; everything else in it is left alone."""
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    found = []
    for block in text.split(begin)[1:]:
        try:
            pem = f"{begin}{block.partition(end)[0]}{end}\n".encode()
            found.append(x509.load_pem_x509_certificate(pem))
        except ValueError:
            continue
    return found


def timestamp_request(message: bytes, nonce: int) -> bytes:
    """A request (RFC 3161 section 2.4.1) for a time stamp over `message`, of which only SHA-256 is sent.

    Args:
        message: what to date.
        nonce: a fresh random number, 0 < nonce < 2^64.
    """
    sha256 = next(encoded for encoded, name in _DIGESTS.items() if name == "sha256")
    algorithm = der(0x30, der(0x06, sha256) + der(0x05, b""))
    imprint = der(0x30, algorithm + der(0x04, hashlib.sha256(message).digest()))
    number = nonce.to_bytes(nonce.bit_length() // 8 + 1, "big")
    return der(0x30, der(0x02, b"\x01") + imprint + der(0x02, number) + der(0x01, b"\xff"))


def timestamp_token(response: bytes) -> bytes:
    """The token in an authority's response (RFC 3161 section 2.4.2); it is not checked yet.

    Raises:
        FailedError: it is malformed, or a refusal.
    """
    try:
        state, *rest = _der_sequence(_one(_der(response, 0x30)))
        status = int.from_bytes(_der_sequence(state)[0].content, "big", signed=True)
        if status not in {0, 1}:  # granted, granted with changes
            raise FailedError(f"the authority refused with status {status}")
        return _one(rest).whole
    except (IndexError, ValueError) as error:
        raise FailedError(f"the response is malformed ({type(error).__name__})") from error


class _Der(NamedTuple):
    """One element of DER (X.690)."""

    tag: int
    content: bytes
    whole: bytes


def _der(data: bytes, tag: int | None = None) -> list[_Der]:
    """The elements one after the other; all of definite length, with one-byte tags."""
    found, place = [], 0
    while place < len(data):
        start, first = place, data[place + 1]
        place += 2
        size = first
        if first & 0x80:
            width = first & 0x7F
            size = int.from_bytes(data[place : place + width], "big")
            place += width
            if not 1 <= width <= 4 or size < 0x80 or size >> (8 * (width - 1)) == 0:
                raise FailedError("DER with a length that is not canonical")
        end = place + size
        if data[start] & 0x1F == 0x1F or end > len(data) or tag not in {None, data[start]}:
            raise FailedError("DER of a form that time stamps do not have")
        found.append(_Der(data[start], data[place:end], data[start:end]))
        place = end
    return found


def der(tag: int, content: bytes) -> bytes:
    """Encode one element of DER."""
    if len(content) < 0x80:
        return bytes([tag, len(content)]) + content
    size = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(size)]) + size + content


def _der_sequence(item: _Der) -> list[_Der]:
    if item.tag not in {0x30, 0xA0}:
        raise FailedError("a sequence was expected in the time stamp")
    return _der(item.content)


def _one(items: list[_Der]) -> _Der:
    if len(items) != 1:
        raise FailedError("exactly one element was expected in the time stamp")
    return items[0]


def _digest_name(algorithm: _Der) -> str:
    return _DIGESTS[_der_sequence(algorithm)[0].content]


# -- the image: PNG and C2PA


class Credential(NamedTuple):
    """What the manifest of an image says; its signature and hard binding hold."""

    manifest: bytes
    signer: str
    certificates: tuple[bytes, ...]  # DER, the signer's first
    assertions: dict[str, Any]
    record_id: str
    job_leaf_hash: str


def pixels_digest(png: bytes) -> str:
    """SHA-256 over the RGB bytes of an 8-bit RGB PNG, row by row, in plain Python.

    Raises:
        FailedError: the file is no such PNG.
    """
    parts = list(_png_chunks(png))
    width, height, depth, color, method, filtering, interlace = struct.unpack(">IIBBBBB", parts[0][2])
    if (depth, color, method, filtering, interlace) != (8, 2, 0, 0, 0):
        raise FailedError("image.png is not plain 8-bit RGB")
    if not 0 < width * height <= MAX_PIXELS:
        raise FailedError("image.png is too large")
    stride = 3 * width
    expected = height * (stride + 1)
    unpacker = zlib.decompressobj()
    raw = unpacker.decompress(b"".join(body for _, kind, body in parts if kind == b"IDAT"), expected + 1)
    if len(raw) != expected:
        raise FailedError("image.png holds more or fewer pixels than it states")
    digest = hashlib.sha256()
    above = bytearray(stride)
    for row in range(height):
        start = row * (stride + 1)
        above = _unfilter(raw[start], bytearray(raw[start + 1 : start + 1 + stride]), above)
        digest.update(above)
    return digest.hexdigest()


def _unfilter(kind: int, line: bytearray, above: bytearray) -> bytearray:
    """Undo one PNG row filter for 3 bytes a pixel (PNG third edition, section 9.2)."""
    if kind == 1:
        for i in range(3, len(line)):
            line[i] = (line[i] + line[i - 3]) & 255
    elif kind == 2:
        for i in range(len(line)):
            line[i] = (line[i] + above[i]) & 255
    elif kind == 3:
        for i in range(len(line)):
            line[i] = (line[i] + ((line[i - 3] if i > 2 else 0) + above[i]) // 2) & 255
    elif kind == 4:
        for i in range(len(line)):
            a, b, c = (line[i - 3], above[i], above[i - 3]) if i > 2 else (0, above[i], 0)
            pa, pb, pc = abs(b - c), abs(a - c), abs(a + b - 2 * c)
            line[i] = (line[i] + (a if pa <= pb and pa <= pc else b if pb <= pc else c)) & 255
    elif kind:
        raise FailedError("image.png uses an unknown row filter")
    return line


def _png_chunks(png: bytes) -> list[tuple[int, bytes, bytes]]:
    """(offset, type, body) of every chunk, checked."""
    found = []
    place = len(_PNG_MAGIC)
    if not png.startswith(_PNG_MAGIC):
        raise FailedError("image.png is no PNG")
    while place < len(png):
        length, kind = struct.unpack(">I4s", png[place : place + 8])
        body = png[place + 8 : place + 8 + length]
        if struct.pack(">I", zlib.crc32(kind + body)) != png[place + 8 + length : place + 12 + length]:
            raise FailedError("image.png has a damaged chunk")
        found.append((place, kind, body))
        place += 12 + length
    if not found or found[0][1] != b"IHDR" or len(found[0][2]) != 13 or found[-1][1] != b"IEND":
        raise FailedError("image.png does not begin and end as a PNG")
    return found


def read_credential(png: bytes) -> Credential:
    """Check the C2PA manifest of a PNG: hashes of its assertions, hard binding, ES256 signature.

    Whether the signer's certificate is to be trusted is not decided here.

    Raises:
        FailedError: there is none, or it does not hold.
    """
    try:
        return _read_credential(png)
    except FailedError:
        raise
    except Exception as error:  # whatever a hostile manifest provokes
        raise FailedError(f"the manifest is malformed ({type(error).__name__})") from error


def _read_credential(png: bytes) -> Credential:
    found = [(place, body) for place, kind, body in _png_chunks(png) if kind == b"caBX"]
    if len(found) != 1:
        raise FailedError("image.png does not hold exactly one manifest")
    place, manifest = found[0]
    store = _boxes(manifest)
    if len(store) != 1 or store[0].label != "c2pa":
        raise FailedError("the manifest store is malformed")
    parts = {part.label: part for part in store[0].children[-1].children}
    claim_bytes = _content(parts["c2pa.claim.v2"], b"cbor")
    claim = _object(_cbor(claim_bytes))
    boxes = {part.label: part for part in parts["c2pa.assertions"].children}
    assertions = _assertions(claim, boxes)
    _check_binding(png, _object(assertions["c2pa.hash.data"]), place, 12 + len(manifest))
    certificates = _check_cose(_content(parts["c2pa.signature"], b"cbor"), claim_bytes)
    names = certificates[0].subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    parameters = _object(_object(assertions["c2pa.actions.v2"]["actions"][0])["parameters"])
    return Credential(
        manifest=manifest,
        signer=_clean(str(names[0].value)) if names else "an unnamed certificate",
        certificates=tuple(certificate.public_bytes(Encoding.DER) for certificate in certificates),
        assertions=assertions,
        record_id=_text(parameters[RECORD_ID]),
        job_leaf_hash=_text(parameters[JOB_LEAF_HASH]),
    )


def _assertions(claim: dict[str, Any], boxes: dict[str, _Box]) -> dict[str, Any]:
    """The assertions that the claim vouches for, each with the hash that the claim states."""
    found = {}
    for reference in map(_object, claim["created_assertions"]):
        label = _text(reference["url"]).rpartition("/")[2]
        box = boxes[label]
        if hashlib.sha256(box.payload).digest() != reference["hash"]:
            raise FailedError(f"the assertion {label} was altered")
        kind, content = box.content[0]
        found[label] = _cbor(content) if kind == b"cbor" else _parse_json(content, label)
    return found


def _check_binding(png: bytes, binding: dict[str, Any], start: int, length: int) -> None:
    """Only the chunk that holds the manifest may be left out of the hash (C2PA 2.2, section 18.5)."""
    if binding["exclusions"] != [{"start": start, "length": length}] or binding["alg"] != "sha256":
        raise FailedError("the hard binding leaves out more than the manifest")
    if hashlib.sha256(png[:start] + png[start + length :]).digest() != binding["hash"]:
        raise FailedError("the hard binding does not hold: the image was altered after signing")


def _check_cose(signature_box: bytes, claim: bytes) -> list[x509.Certificate]:
    """Check the COSE_Sign1 signature over the claim (RFC 9052), and who issued which certificate."""
    protected, unprotected, _, signature = _cbor(signature_box)
    headers = _object(_cbor(protected), str, int)
    if headers[1] != -7 or len(signature) != 64:
        raise FailedError("the manifest is not signed with ES256")
    chain = headers.get(33, _object(unprotected, str, int).get(33))
    chain = chain if isinstance(chain, list) else [chain]
    certificates = [x509.load_der_x509_certificate(der) for der in chain]
    message = b"\x84\x6aSignature1" + _cbor_bytes(protected) + b"\x40" + _cbor_bytes(claim)
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    _ecdsa(certificates[0], utils.encode_dss_signature(r, s), message, "the manifest's signature")
    for place, certificate in enumerate(certificates[:-1]):
        issuer = certificates[place + 1]
        _ecdsa(issuer, certificate.signature, certificate.tbs_certificate_bytes, "a certificate")
    return certificates


def _ecdsa(certificate: x509.Certificate, signature: bytes, message: bytes, what: str) -> None:
    key = certificate.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise FailedError(f"{what} is of an unexpected kind")
    try:
        key.verify(signature, message, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        raise FailedError(f"{what} does not hold") from None


class _Box(NamedTuple):
    """A JUMBF superbox (ISO 19566-5)."""

    label: str
    payload: bytes  # everything after its size and type: what hashes cover
    children: tuple[_Box, ...]
    content: tuple[tuple[bytes, bytes], ...]


def _boxes(data: bytes, depth: int = 0) -> list[_Box]:
    if depth > 6:
        raise FailedError("the manifest is nested too deeply")
    found = []
    for kind, payload in _plain_boxes(data):
        if kind != b"jumb":
            raise FailedError("the manifest is malformed")
        inner = _plain_boxes(payload)
        if not inner or inner[0][0] != b"jumd":
            raise FailedError("a box of the manifest has no description")
        label = inner[0][1][17:].partition(b"\x00")[0].decode("utf-8")
        children, content = [], []
        for child_kind, child in inner[1:]:
            if child_kind == b"jumb":
                children += _boxes(struct.pack(">I", len(child) + 8) + child_kind + child, depth + 1)
            else:
                content.append((child_kind, child))
        found.append(_Box(label, payload, tuple(children), tuple(content)))
    return found


def _plain_boxes(data: bytes) -> list[tuple[bytes, bytes]]:
    found, place = [], 0
    while place < len(data):
        size, kind = struct.unpack(">I4s", data[place : place + 8])
        if size < 8 or place + size > len(data):
            raise FailedError("a box of the manifest has a wrong size")
        found.append((kind, data[place + 8 : place + size]))
        place += size
    return found


def _content(box: _Box, kind: bytes) -> bytes:
    return next(content for found, content in box.content if found == kind)


def _cbor(data: bytes) -> Any:  # noqa: ANN401 - any CBOR value
    value, place = _cbor_item(data, 0, 0)
    if place != len(data):
        raise FailedError("CBOR with bytes after its end")
    return value


def _cbor_item(data: bytes, place: int, depth: int) -> tuple[Any, int]:  # noqa: C901 - eight major types
    """One item of definite length (RFC 8949); tags are dropped, fractions are not needed here."""
    if depth > 16:
        raise FailedError("CBOR that is nested too deeply")
    major, short = data[place] >> 5, data[place] & 31
    place += 1
    if short > 27:
        raise FailedError("CBOR of a form that manifests of ours do not have")
    width = 0 if short < 24 else 1 << (short - 24)
    number = int.from_bytes(data[place : place + width], "big") if width else short
    place += width
    if major == 0:
        return number, place
    if major == 1:
        return -1 - number, place
    if major in {2, 3}:
        raw = data[place : place + number]
        if len(raw) != number:
            raise FailedError("CBOR that breaks off")
        return (raw if major == 2 else raw.decode("utf-8")), place + number
    if major in {4, 5}:
        if number > len(data):
            raise FailedError("CBOR that breaks off")
        items = []
        for _ in range(number * (major - 3)):
            item, place = _cbor_item(data, place, depth + 1)
            items.append(item)
        pairs = {items[i]: items[i + 1] for i in range(0, len(items), 2)} if major == 5 else {}
        return (pairs if major == 5 else items), place
    if major == 6:
        return _cbor_item(data, place, depth + 1)
    return {20: False, 21: True, 22: None, 23: None}[number], place


def _cbor_bytes(data: bytes) -> bytes:
    """The CBOR encoding of a byte string."""
    length = len(data)
    if length < 24:
        return bytes([0x40 + length]) + data
    for code, width in ((0x58, 1), (0x59, 2), (0x5A, 4)):
        if length < 1 << (8 * width):
            return bytes([code]) + length.to_bytes(width, "big") + data
    raise FailedError("a claim that is too long")


# -- small checks


def when(at_ms: int) -> str:
    """UTC date and time of Unix milliseconds."""
    days, rest = divmod(at_ms // 1000, 86_400)
    # Civil date from a day number, so that no time in a hostile record can overflow a library.
    era, day = divmod(days + 719_468, 146_097)
    year = (day - day // 1460 + day // 36_524 - day // 146_096) // 365
    of_year = day - (365 * year + year // 4 - year // 100)
    month = (5 * of_year + 2) // 153
    date = (era * 400 + year + (month >= 10), month + 3 if month < 10 else month - 9)
    return (
        f"{date[0]:04d}-{date[1]:02d}-{of_year - (153 * month + 2) // 5 + 1:02d} "
        f"{rest // 3600:02d}:{rest % 3600 // 60:02d}:{rest % 60:02d} UTC"
    )


def _object(value: Any, *kinds: type) -> dict[Any, Any]:  # noqa: ANN401 - any JSON value
    if not isinstance(value, dict) or not all(isinstance(key, kinds or str) for key in value):
        raise FailedError("an object was expected")
    return value


def _text(value: Any) -> str:  # noqa: ANN401 - any JSON value
    if not isinstance(value, str):
        raise FailedError("a text was expected")
    return value


def _number(value: Any) -> int:  # noqa: ANN401 - any JSON value
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**63:
        raise FailedError("a whole number was expected")
    return value


def _hex(value: Any, length: int) -> bytes:  # noqa: ANN401 - any JSON value
    if not isinstance(value, str) or not re.fullmatch(f"[0-9a-f]{{{2 * length}}}", value):
        raise FailedError("a hash was expected")
    return bytes.fromhex(value)


def _hashes(value: Any) -> list[bytes]:  # noqa: ANN401 - any JSON value
    if not isinstance(value, list) or len(value) > 128:
        raise FailedError("a short list of hashes was expected")
    return [_hex(item, 32) for item in value]


def _base64(value: Any) -> bytes:  # noqa: ANN401 - any JSON value
    try:
        data = base64.b64decode(_text(value), validate=True)
    except ValueError:
        raise FailedError("base64 was expected") from None
    if base64.b64encode(data).decode() != value:
        raise FailedError("base64 that is not in its one canonical spelling")
    return data


def _clean(text: str) -> str:
    """Keep a hostile text from writing to the terminal what it likes."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)[:500]


def main(arguments: list[str]) -> int:
    """Run the command line; gives the exit code."""
    as_json = "--json" in arguments
    rest = [argument for argument in arguments if argument != "--json"]
    trust = None
    try:
        if "--trust" in rest:
            place = rest.index("--trust")
            trust = Path(rest[place + 1]).read_text(encoding="utf-8")
            del rest[place : place + 2]
        if len(rest) != 1 or rest[0].startswith("-"):
            sys.stderr.write("usage: verify.py BUNDLE.zip [--trust KEYFILE] [--json]\n")
            return 2
        with Path(rest[0]).open("rb") as file:
            data = file.read(MAX_BUNDLE + 1)
        result = check(data, trust)
    except IndexError:
        sys.stderr.write("--trust needs a file\n")
        return 2
    except (OSError, ValueError, BundleError) as error:
        sys.stderr.write(f"{_clean(str(error))}\n")
        return 1
    if as_json:
        answer = {
            "ok": result.ok,
            "signer": result.signer,
            "self_certified": result.self_certified,
            "steps": [step._asdict() for step in result.steps],
        }
        sys.stdout.write(json.dumps(answer) + "\n")
    else:
        for step in result.steps:
            verdict = "ok  " if step.ok else "FAIL"
            sys.stdout.write(f"{step.number:2d}. {verdict} {step.title}: {step.detail}\n")
        sys.stdout.write("every step holds\n" if result.ok else "NOT to be relied on: a step failed\n")
    return 0 if result.ok else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
