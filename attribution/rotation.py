"""How a ledger changes its key: the old key names the new one, the new one acknowledges the old; pure.

An endorsement is one line of text, the same in the key ring, in the leaf *key rotated* and in a trust file:

    verso-key-rotation/1 OLD NEW OVERLAP OLD-SIGNATURE NEW-SIGNATURE

OLD and NEW are C2SP verifier keys of one name, OVERLAP is Unix milliseconds until which the old key signs
beside the new one, the signatures are base64 of Ed25519 over the first four words and a newline.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from attribution.checkpoint import (
    Checkpoint,
    VerifierKey,
    canonical_base64,
    open_checkpoint,
    parse_checkpoint,
    parse_note,
)
from attribution.errors import VerificationError
from attribution.merkle import MAX_TREE_SIZE
from attribution.record import MAX_INTEGER

FORMAT = "verso-key-rotation/1"
_TIME = re.compile(r"0|[1-9][0-9]{0,15}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Endorsement:
    """One change of the key; an instance is always rightly signed by both keys.

    Raises:
        VerificationError: the keys do not belong to one ledger, or a signature does not hold.
    """

    old: VerifierKey
    new: VerifierKey
    overlap_until_ms: int
    old_signature: bytes
    new_signature: bytes

    def __post_init__(self) -> None:
        """Refuse what the two keys did not both sign."""
        if self.old.name != self.new.name or self.old.public == self.new.public:
            raise VerificationError("a rotation leads from one key of a ledger to another of the same ledger")
        if not 0 <= self.overlap_until_ms <= MAX_INTEGER:
            raise VerificationError("the overlap of a rotation ends at a time in Unix milliseconds")
        for key, signature, what in (
            (self.old, self.old_signature, "the old key did not endorse the new one"),
            (self.new, self.new_signature, "the new key did not acknowledge the old one"),
        ):
            if not key.verifies(f"{self.statement}\n", signature):
                raise VerificationError(what)

    @classmethod
    def make(
        cls, origin: str, old: Ed25519PrivateKey, new: Ed25519PrivateKey, *, overlap_until_ms: int
    ) -> Endorsement:
        """Sign a change of the key; equal arguments give equal bytes.

        Raises:
            VerificationError: the two keys are one, or the time is none.
        """
        before, after = VerifierKey.of(origin, old), VerifierKey.of(origin, new)
        message = f"{_statement(before, after, overlap_until_ms)}\n".encode()
        return cls(
            old=before,
            new=after,
            overlap_until_ms=overlap_until_ms,
            old_signature=old.sign(message),
            new_signature=new.sign(message),
        )

    @classmethod
    def parse(cls, line: str) -> Endorsement:
        """Read a line, and check both signatures.

        Raises:
            VerificationError: it is no endorsement, or one that does not hold.
        """
        words = line.split(" ") if isinstance(line, str) and len(line) <= 1024 else []
        if len(words) != 6 or words[0] != FORMAT or not _TIME.fullmatch(words[3]):
            raise VerificationError("an endorsement is one line of six words")
        endorsement = cls(
            old=VerifierKey.parse(words[1]),
            new=VerifierKey.parse(words[2]),
            overlap_until_ms=int(words[3]),
            old_signature=canonical_base64(words[4]),
            new_signature=canonical_base64(words[5]),
        )
        if str(endorsement) != line:
            raise VerificationError("an endorsement has one spelling")
        return endorsement

    @property
    def statement(self) -> str:
        """What both keys sign, without its newline."""
        return _statement(self.old, self.new, self.overlap_until_ms)

    @property
    def entry_id(self) -> str:
        """The id of its leaf: always the same one, so that it is recorded once."""
        return hashlib.sha256(self.statement.encode()).hexdigest()[:16]

    def __str__(self) -> str:
        signatures = (self.old_signature, self.new_signature)
        return " ".join([self.statement, *(base64.b64encode(value).decode() for value in signatures)])


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyChain:
    """The keys that may have signed checkpoints of one ledger, each up to the leaf that retired it.

    A head that covers its own retirement has to be signed by a later key: who steals a retired key can sign
    nothing that a holder of the chain takes for new.
    """

    keys: tuple[tuple[VerifierKey, int], ...]  # key, and the largest tree size that it may sign alone

    @classmethod
    def of(
        cls, trusted: Sequence[VerifierKey], rotations: Sequence[tuple[int, Endorsement]] = ()
    ) -> KeyChain:
        """Join trusted keys with the rotations that the ledger recorded, as (leaf index, endorsement).

        Trust goes both ways: the old key endorsed the new one, and the new one acknowledged the old.
        Rotations that no trusted key takes part in are left out.

        Raises:
            VerificationError: the rotations do not follow each other.
        """
        keys: list[tuple[VerifierKey, int]] = []
        place = -1
        for leaf_index, endorsement in rotations:
            if leaf_index <= place:
                raise VerificationError("the rotations are not in the order of the ledger")
            if keys and keys[-1][0] != endorsement.old:
                raise VerificationError(f"entry {leaf_index} rotates a key that was not in use")
            if any(endorsement.new == key for key, _ in [*keys, (endorsement.old, 0)]):
                raise VerificationError(f"entry {leaf_index} brings a retired key back")
            place = leaf_index
            keys[-1:] = [(endorsement.old, leaf_index), (endorsement.new, MAX_TREE_SIZE)]
        known = {key for key, _ in keys}
        if not known.intersection(trusted):
            keys = []
        keys += [(key, MAX_TREE_SIZE) for key in trusted if key not in {one for one, _ in keys}]
        return cls(keys=tuple(keys))

    def open(self, note: str) -> Checkpoint:
        """A checkpoint that a key signed which was in use when the tree had that size, or a later one.

        Raises:
            VerificationError: it is malformed, of another ledger, or signed by none of them.
        """
        size = parse_checkpoint(parse_note(note).text).tree_size
        usable = [key for key, last in self.keys if size <= last]
        try:
            return open_checkpoint(note, usable)
        except VerificationError:
            retired = [key for key, last in self.keys if size > last]
            if _opens(note, retired):
                raise VerificationError("only a key signed this that had been retired before") from None
            raise


def _opens(note: str, keys: Sequence[VerifierKey]) -> bool:
    try:
        open_checkpoint(note, keys)
    except VerificationError:
        return False
    return True


def _statement(old: VerifierKey, new: VerifierKey, overlap_until_ms: int) -> str:
    return f"{FORMAT} {old} {new} {overlap_until_ms}"
