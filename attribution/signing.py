"""The ledger's keys as a signer uses them: the newest, and those that still sign beside it; pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from attribution.checkpoint import Checkpoint, VerifierKey, parse_note, sign_checkpoint
from attribution.errors import VerificationError
from attribution.rotation import Endorsement


@dataclass(frozen=True, kw_only=True, slots=True)
class LedgerKeys:
    """The newest key of a ledger, and how it came after the older ones.

    Raises:
        VerificationError: the endorsements do not lead to the newest key.
    """

    origin: str
    signer: Ed25519PrivateKey = field(repr=False)
    retiring: tuple[tuple[Ed25519PrivateKey, int], ...] = field(default=(), repr=False)
    """Older keys at hand, with the Unix milliseconds until which each signs, too."""
    endorsements: tuple[Endorsement, ...] = ()  # every change of the key, oldest first

    def __post_init__(self) -> None:
        """Refuse keys that do not follow each other."""
        for endorsement, follower in zip(self.endorsements, self.verifier_keys[1:], strict=True):
            if endorsement.new != follower:
                raise VerificationError("the endorsements of the ledger's keys do not follow each other")

    @property
    def verifier_keys(self) -> tuple[VerifierKey, ...]:
        """The public half of every key there was, oldest first."""
        older = (endorsement.old for endorsement in self.endorsements)
        return (*older, VerifierKey.of(self.origin, self.signer))

    @property
    def verifier_key(self) -> str:
        """The newest public key, `name+hash+base64` (C2SP)."""
        return str(self.verifier_keys[-1])

    def sign(self, checkpoint: Checkpoint, *, now_ms: int) -> str:
        """The checkpoint as a note: the newest key's signature first, then those still in their overlap."""
        beside = [key for key, until_ms in self.retiring if now_ms < until_ms]
        return sign_checkpoint(checkpoint, self.signer, *beside)

    def know(self, note: str) -> bool:
        """Whether every signature that the ledger put under a note is by one of these keys.

        If not, the ledger has a newer key than these: another process rotated it, or an old copy of the key
        folder was put back.

        Raises:
            VerificationError: it is no note.
        """
        return self._signers(note) <= {key.key_hash for key in self.verifier_keys}

    def newest_signed(self, note: str) -> bool:
        """Whether the newest key is among those that signed; an empty note is unsigned. Errors as `know`."""
        return bool(note) and self.verifier_keys[-1].key_hash in self._signers(note)

    def _signers(self, note: str) -> set[bytes]:
        return {line.key_hash for line in parse_note(note).signatures if line.name == self.origin}
