"""What a person keeps as proof that an entry is in the ledger; pure."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from attribution import merkle
from attribution.checkpoint import Checkpoint, VerifierKey, open_checkpoint
from attribution.errors import RecordError, VerificationError
from attribution.record import MAX_LEAF_BYTES, Entry, parse

_MAX_JSON_CHARS = 262_144


@dataclass(frozen=True, kw_only=True, slots=True)
class Receipt:
    """A leaf, its inclusion proof and the signed checkpoint the proof leads to."""

    leaf_index: int
    tree_size: int
    root_hash: bytes
    leaf: bytes  # canonical bytes of the entry
    inclusion_proof: tuple[bytes, ...]
    checkpoint: str  # signed note
    entry_id: str

    @property
    def entry(self) -> Entry:
        """The entry in the leaf.

        Raises:
            RecordError: the leaf is malformed.
        """
        return parse(self.leaf)

    def verify(self, verifiers: Sequence[VerifierKey]) -> Checkpoint:
        """Check everything the receipt says, offline.

        Raises:
            VerificationError: the signature, the proof, or a field does not hold.
        """
        head = open_checkpoint(self.checkpoint, verifiers)
        if (head.tree_size, head.root_hash) != (self.tree_size, self.root_hash):
            raise VerificationError("the receipt's tree head is not the signed one")
        merkle.verify_inclusion(
            leaf=merkle.leaf_hash(self.leaf),
            leaf_index=self.leaf_index,
            tree_size=self.tree_size,
            proof=self.inclusion_proof,
            root_hash=self.root_hash,
        )
        try:
            entry = self.entry
        except RecordError as error:
            raise VerificationError(f"the leaf is no entry: {error}") from error
        if entry.id != self.entry_id:
            raise VerificationError("the receipt names another entry than its leaf")
        return head

    def to_json(self) -> dict[str, object]:
        """Plain values for JSON: hashes as hex, the leaf as base64."""
        return {
            "entry_id": self.entry_id,
            "leaf_index": self.leaf_index,
            "tree_size": self.tree_size,
            "root_hash": self.root_hash.hex(),
            "leaf": base64.b64encode(self.leaf).decode(),
            "inclusion_proof": [node.hex() for node in self.inclusion_proof],
            "checkpoint": self.checkpoint,
        }

    @classmethod
    def from_json(cls, value: str | bytes | Mapping[str, object]) -> Receipt:
        """Read what `to_json` gave, as values or as JSON text.

        Raises:
            VerificationError: it is malformed.
        """
        if isinstance(value, (str, bytes)):
            value = _loads(value)
        if not isinstance(value, Mapping):
            raise VerificationError("a receipt is a JSON object")
        proof = value.get("inclusion_proof")
        if not isinstance(proof, (list, tuple)) or len(proof) > 64:
            raise VerificationError("an inclusion proof is a list of at most 64 hashes")
        return cls(
            entry_id=_text(value, "entry_id"),
            leaf_index=_whole(value, "leaf_index"),
            tree_size=_whole(value, "tree_size"),
            root_hash=_hash(value.get("root_hash")),
            leaf=_leaf(_text(value, "leaf")),
            inclusion_proof=tuple(_hash(node) for node in proof),
            checkpoint=_text(value, "checkpoint"),
        )


def _loads(text: str | bytes) -> Mapping[str, object]:
    if len(text) > _MAX_JSON_CHARS:
        raise VerificationError("a receipt is a short text")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise VerificationError("a receipt is JSON") from None
    if not isinstance(value, dict):
        raise VerificationError("a receipt is a JSON object")
    return value


def _text(value: Mapping[str, object], name: str) -> str:
    found = value.get(name)
    if not isinstance(found, str) or len(found) > _MAX_JSON_CHARS:
        raise VerificationError(f"a receipt needs the text {name!r}")
    return found


def _whole(value: Mapping[str, object], name: str) -> int:
    found = value.get(name)
    if not isinstance(found, int) or isinstance(found, bool) or not 0 <= found <= merkle.MAX_TREE_SIZE:
        raise VerificationError(f"a receipt needs the number {name!r}")
    return found


def _hash(value: object) -> bytes:
    if not isinstance(value, str) or len(value) != 2 * merkle.HASH_BYTES or value != value.lower():
        raise VerificationError("a hash is written as 64 hex digits")
    try:
        data = bytes.fromhex(value)
    except ValueError:
        raise VerificationError("a hash is written as 64 hex digits") from None
    if data.hex() != value:  # fromhex forgives spaces
        raise VerificationError("a hash is written as 64 hex digits")
    return data


def _leaf(text: str) -> bytes:
    try:
        leaf = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise VerificationError("a leaf is written in base64") from None
    if len(leaf) > MAX_LEAF_BYTES or base64.b64encode(leaf).decode() != text:
        raise VerificationError("a leaf is written in canonical base64")
    return leaf
