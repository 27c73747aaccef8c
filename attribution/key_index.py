"""The list of key files, `keys.json`: which files there are, and how the ledger's key was rotated."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from attribution import key_files
from attribution.checkpoint import VerifierKey
from attribution.errors import KeyFileError, SigningError, VerificationError
from attribution.rotation import Endorsement
from attribution.signing import LedgerKeys

_T = TypeVar("_T")

INDEX = "keys.json"
KINDS = ("ledger", "vault", "lookup", "mark", "c2pa", "c2pa_root")


@dataclass(frozen=True, kw_only=True, slots=True)
class Listed:
    """What the list of keys says of one file."""

    file: str
    sha256: str  # hex
    endorsement: str  # by the key before it; empty for a first key


def read_index(folder: Path) -> tuple[str, dict[str, tuple[Listed, ...]]]:
    """The ledger's name, and the files of each kind, oldest first.

    Raises:
        KeyFileError: the list is missing, damaged, or open to others.
    """
    path = folder / INDEX
    try:
        value = json.loads(key_files.read(path))
        origin = str(value["origin"])
        index = {
            what: tuple(
                Listed(
                    file=Path(str(key["file"])).name,
                    sha256=str(key["sha256"]),
                    endorsement=str(key.get("endorsement", "")),
                )
                for key in value["keys"][what]
            )
            for what in KINDS
        }
        VerifierKey(name=origin, public=bytes(32))  # refuses an origin that no checkpoint could carry
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError, VerificationError):
        raise _damaged_index(path) from None
    if not all(index.values()):
        raise _damaged_index(path)
    return origin, index


def ledger_keys(folder: Path, origin: str, listed: Sequence[Listed]) -> LedgerKeys:
    """The newest key, and of the older ones those whose files are still there.

    Raises:
        KeyFileError: a file is damaged, or an endorsement does not hold.
    """
    newest = listed[-1]
    signer = parsed(folder / newest.file, key_files.checked(folder / newest.file, newest.sha256), _ed25519)
    retiring: list[tuple[Ed25519PrivateKey, int]] = []
    try:
        endorsements = tuple(Endorsement.parse(one.endorsement) for one in listed[1:])
        for one, endorsement in zip(listed[:-1], endorsements, strict=True):
            path = folder / one.file
            if key_files.exists(path):
                key = parsed(path, key_files.checked(path, one.sha256), _ed25519)
                _check_endorser(VerifierKey.of(origin, key), endorsement)
                retiring.insert(0, (key, endorsement.overlap_until_ms))
        return LedgerKeys(origin=origin, signer=signer, retiring=tuple(retiring), endorsements=endorsements)
    except VerificationError as error:
        raise KeyFileError(
            f"the rotation of the ledger's key does not hold: {error}",
            path=folder / INDEX,
            advice=key_files.RESTORE,
        ) from None


def load_ledger_keys(folder: Path) -> LedgerKeys:
    """Read the ledger's keys anew: another process may have rotated them. Errors as `ledger_keys`."""
    origin, index = read_index(folder)
    return ledger_keys(folder, origin, index["ledger"])


def _check_endorser(key: VerifierKey, endorsement: Endorsement) -> None:
    if key != endorsement.old:
        raise VerificationError("it is another key that endorsed the next one")


def _damaged_index(path: Path) -> KeyFileError:
    return KeyFileError("the list of keys is damaged", path=path, advice=key_files.RESTORE)


def rotate_ledger_key(folder: Path, *, now_ms: int, overlap_ms: int) -> Endorsement:
    """Make a new ledger key that the present one endorses; both sign for `overlap_ms` milliseconds.

    The list of keys is replaced as the last step: before it the old key is in force, after it the new one,
    and a file that a crash left in between is taken by the next attempt. The change still has to be recorded
    with `Ledger.record_rotations`.

    Raises:
        KeyFileError: the folder cannot be read or written.
    """
    with key_files.locked(folder):
        present = load_ledger_keys(folder)
        path = folder / f"ledger-{len(present.verifier_keys) + 1}.pem"
        key_files.ensure(path, new_ed25519)
        data = key_files.read(path)
        endorsement = Endorsement.make(
            present.origin,
            present.signer,
            parsed(path, data, _ed25519),
            overlap_until_ms=now_ms + overlap_ms,
        )
        value = json.loads(key_files.read(folder / INDEX))
        value["keys"]["ledger"].append(
            {
                "file": path.name,
                "sha256": hashlib.sha256(data).hexdigest(),
                "endorsement": str(endorsement),
            }
        )
        key_files.replace(folder / INDEX, json.dumps(value, indent=2).encode() + b"\n")
        return endorsement


def add_key(folder: Path, what: str, make: Callable[[], bytes]) -> Path:
    """Make a further key of a kind and list it as the one in force; gives its file.

    A file that a crash left before the list was replaced is taken up by the next attempt.

    Raises:
        KeyFileError: the folder cannot be read or written.
    """
    with key_files.locked(folder):
        value = json.loads(key_files.read(folder / INDEX))
        last = Path(str(value["keys"][what][-1]["file"]))
        stem, _, number = last.stem.rpartition("-")
        path = folder / f"{stem}-{int(number) + 1}{last.suffix}"
        key_files.ensure(path, make)
        digest = hashlib.sha256(key_files.read(path)).hexdigest()
        value["keys"][what].append({"file": path.name, "sha256": digest})
        key_files.replace(folder / INDEX, json.dumps(value, indent=2).encode() + b"\n")
        return path


def drop_retired(folder: Path, what: str) -> tuple[Path, ...]:
    """Forget the keys of a kind but for the one in force: first in the list, then the files; gives these.

    Raises:
        KeyFileError: the folder cannot be read or written.
    """
    with key_files.locked(folder):
        value = json.loads(key_files.read(folder / INDEX))
        retired = tuple(folder / Path(str(key["file"])).name for key in value["keys"][what][:-1])
        value["keys"][what] = value["keys"][what][-1:]
        key_files.replace(folder / INDEX, json.dumps(value, indent=2).encode() + b"\n")
        for path in retired:
            path.unlink(missing_ok=True)
        return retired


def parsed(path: Path, data: bytes, parse: Callable[[bytes], _T]) -> _T:
    """What `parse` makes of a file's content.

    Raises:
        KeyFileError: it refuses it.
    """
    try:
        return parse(data)
    except (ValueError, SigningError):
        raise KeyFileError("the key file is damaged", path=path, advice=key_files.RESTORE) from None


def _ed25519(data: bytes) -> Ed25519PrivateKey:
    key = serialization.load_pem_private_key(data, password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError("not an Ed25519 key")  # noqa: TRY004 - one kind of error for every damaged file
    return key


def new_ed25519() -> bytes:
    """A fresh key as PEM (PKCS #8)."""
    return Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
