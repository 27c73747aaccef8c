"""Tree heads as C2SP signed notes; pure.

Sources: https://c2sp.org/signed-note and https://c2sp.org/tlog-checkpoint.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from attribution.errors import VerificationError
from attribution.merkle import HASH_BYTES, MAX_TREE_SIZE

MAX_NOTE_BYTES = 65_536
MAX_SIGNATURES = 64
_ED25519 = b"\x01"  # the algorithm byte of the signed-note specification
_SIGNATURE_BYTES = 64
_PREFIX = "\u2014 "  # em dash and space begin a signature line
_CONTROL = re.compile(r"[\x00-\x1f]")
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    """A tree head: which log, how many leaves, which root.

    Raises:
        VerificationError: a field is malformed.
    """

    origin: str
    tree_size: int
    root_hash: bytes
    extensions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what could not be written as lines."""
        if not 0 <= self.tree_size <= MAX_TREE_SIZE or len(self.root_hash) != HASH_BYTES:
            raise VerificationError("a checkpoint needs a tree size below 2^63 and a root of 32 bytes")
        for line in (self.origin, *self.extensions):
            if not line or _CONTROL.search(line):
                raise VerificationError("a checkpoint's lines must not be empty or hold control characters")
            _check_unicode(line)

    @property
    def body(self) -> str:
        """The text that is signed; ends with a newline."""
        root = base64.b64encode(self.root_hash).decode()
        return "".join(f"{line}\n" for line in (self.origin, str(self.tree_size), root, *self.extensions))


@dataclass(frozen=True, kw_only=True, slots=True)
class NoteSignature:
    """One signature line."""

    name: str
    key_hash: bytes  # 4 bytes
    signature: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Note:
    """A signed note whose signatures were not checked yet."""

    text: str
    signatures: tuple[NoteSignature, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class VerifierKey:
    """A named Ed25519 public key, written `name+hash+base64`."""

    name: str
    public: bytes  # 32 bytes

    def __post_init__(self) -> None:
        """Refuse a name that a note could not carry."""
        _check_name(self.name)
        if len(self.public) != 32:
            raise VerificationError("an Ed25519 public key has 32 bytes")

    @classmethod
    def of(cls, name: str, key: Ed25519PrivateKey) -> VerifierKey:
        """The public half of a signing key."""
        return cls(name=name, public=key.public_key().public_bytes_raw())

    @classmethod
    def parse(cls, text: str) -> VerifierKey:
        """Read `name+hash+base64`; surrounding white space is ignored.

        Raises:
            VerificationError: it is no Ed25519 verifier key, or its hash is wrong.
        """
        if not isinstance(text, str) or len(text) > 1024:
            raise VerificationError("a verifier key is one short line of text")
        name, plus, rest = text.strip().partition("+")
        digest, second_plus, encoded = rest.partition("+")
        if not plus or not second_plus:
            raise VerificationError("a verifier key is written name+hash+base64")
        data = canonical_base64(encoded)
        if len(data) != 33 or data[:1] != _ED25519:
            raise VerificationError("only Ed25519 verifier keys are known")
        key = cls(name=name, public=data[1:])
        if digest != key.key_hash.hex():
            raise VerificationError("the verifier key's hash does not belong to it")
        return key

    @property
    def key_hash(self) -> bytes:
        """First 4 bytes of SHA-256(name, newline, 0x01, key)."""
        return hashlib.sha256(self.name.encode() + b"\n" + _ED25519 + self.public).digest()[:4]

    def __str__(self) -> str:
        return f"{self.name}+{self.key_hash.hex()}+{base64.b64encode(_ED25519 + self.public).decode()}"

    def verifies(self, text: str, signature: bytes) -> bool:
        """Whether the signature is this key's over the text."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text.encode())
        except (InvalidSignature, ValueError):
            return False
        return True


def sign_note(text: str, *keys: Ed25519PrivateKey, name: str) -> str:
    """Sign a text that ends with a newline, once with each key; all have the same name.

    Raises:
        VerificationError: the text or the name cannot stand in a note, or there is no key.
    """
    _check_text(text)
    if not 0 < len(keys) <= MAX_SIGNATURES:
        raise VerificationError(f"a note has 1 to {MAX_SIGNATURES} signatures")
    lines = []
    for key in keys:
        signature = VerifierKey.of(name, key).key_hash + key.sign(text.encode())
        lines.append(f"{_PREFIX}{name} {base64.b64encode(signature).decode()}\n")
    return f"{text}\n{''.join(lines)}"


def sign_checkpoint(checkpoint: Checkpoint, *keys: Ed25519PrivateKey) -> str:
    """The checkpoint as a note that its own origin signed, with each of its keys."""
    return sign_note(checkpoint.body, *keys, name=checkpoint.origin)


def parse_note(note: str) -> Note:
    """Split a note into its text and its signature lines.

    Raises:
        VerificationError: it is malformed.
    """
    if not isinstance(note, str) or len(note) > MAX_NOTE_BYTES:
        raise VerificationError("a note is a short text")
    _check_text(note)
    text, separator, block = note.rpartition("\n\n")
    if not separator or not block:
        raise VerificationError("a note needs an empty line and signatures after it")
    text += "\n"
    lines = block.removesuffix("\n").split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise VerificationError("a note with too many signatures")
    return Note(text=text, signatures=tuple(_signature(line) for line in lines))


def parse_checkpoint(text: str) -> Checkpoint:
    """Read the signed text of a checkpoint.

    Raises:
        VerificationError: it is malformed.
    """
    if not text.endswith("\n"):
        raise VerificationError("a checkpoint ends with a newline")
    lines = text.removesuffix("\n").split("\n")
    if len(lines) < 3 or not _SIZE.fullmatch(lines[1]):
        raise VerificationError("a checkpoint has an origin, a size in decimal and a root hash")
    return Checkpoint(
        origin=lines[0],
        tree_size=int(lines[1]),
        root_hash=canonical_base64(lines[2]),
        extensions=tuple(lines[3:]),
    )


def open_note(note: str, verifiers: Sequence[VerifierKey]) -> tuple[str, VerifierKey]:
    """The text of a note and the first given key that signed it; unknown signers are ignored.

    Raises:
        VerificationError: no given key signed it, or a given key's signature is wrong.
    """
    parsed = parse_note(note)
    signer: VerifierKey | None = None
    for signature in parsed.signatures:
        for verifier in verifiers:
            if (signature.name, signature.key_hash) != (verifier.name, verifier.key_hash):
                continue
            if not verifier.verifies(parsed.text, signature.signature):
                raise VerificationError(f"the signature of {verifier.name!r} does not hold")
            signer = signer or verifier
    if signer is None:
        raise VerificationError("no trusted key signed this note")
    return parsed.text, signer


def open_checkpoint(note: str, verifiers: Sequence[VerifierKey]) -> Checkpoint:
    """A checkpoint signed by its own origin with one of the given keys.

    Raises:
        VerificationError: it is malformed, unsigned, or of another log.
    """
    text, signer = open_note(note, verifiers)
    checkpoint = parse_checkpoint(text)
    if checkpoint.origin != signer.name:
        raise VerificationError(f"the checkpoint is of {checkpoint.origin!r}, not of {signer.name!r}")
    return checkpoint


def _signature(line: str) -> NoteSignature:
    name, space, encoded = line.removeprefix(_PREFIX).partition(" ")
    if not line.startswith(_PREFIX) or not space:
        raise VerificationError("a signature line is written: em dash, name, base64")
    _check_name(name)
    data = canonical_base64(encoded)
    if len(data) <= 4:
        raise VerificationError("a signature is too short")
    return NoteSignature(name=name, key_hash=data[:4], signature=data[4:])


def _check_name(name: str) -> None:
    if not name or "+" in name or _CONTROL.search(name) or any(map(str.isspace, name)):
        raise VerificationError("a key's name must not be empty or hold spaces or a plus sign")
    _check_unicode(name)


def _check_text(text: str) -> None:
    if not text.endswith("\n") or _CONTROL.search(text.replace("\n", "")):
        raise VerificationError("a note is lines of text without control characters")
    _check_unicode(text)


def _check_unicode(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise VerificationError("a note must be valid Unicode") from None


def canonical_base64(text: str) -> bytes:
    """Decode base64 of the one spelling that encoding gives.

    Raises:
        VerificationError: it is anything else.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise VerificationError("base64 that cannot be read") from None
    if base64.b64encode(data).decode() != text:
        raise VerificationError("base64 that is not canonical")  # one signature, one spelling
    return data
