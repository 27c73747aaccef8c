"""The operator's keys: made at first start, kept in files that only the operator can read.

`keys.json` in the same folder lists every file with its digest. It is written last: a folder without it is a
first start that may be completed, a folder with it must hold every file it lists, unaltered.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import hashlib
import json
import os
import secrets
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from attribution import certificates
from attribution.checkpoint import VerifierKey
from attribution.errors import KeyFileError, SigningError, VerificationError

_T = TypeVar("_T")

_INDEX = "keys.json"
_MAX_BYTES = 65_536
_SECRET_BYTES = 32
_RESTORE = "restore the file from your backup of the key folder"
_CLOSE = "only its owner may read it: chmod 600 for the files, chmod 700 for the folder"

_FILES = {  # what -> first file name; a rotation adds -2, -3, ... and keeps the old ones for reading
    "ledger": "ledger-1.pem",
    "vault": "vault-1.key",
    "lookup": "lookup-1.key",
    "mark": "mark-1.key",
    "c2pa": "c2pa-1.pem",
    "c2pa_root": "c2pa-root-1.pem",
}
_MEANING = {
    "ledger": (
        "signs the ledger's checkpoints",
        "old checkpoints still verify, but no new one can be signed: a new log has to be started",
    ),
    "vault": (
        "wraps every person's own key",
        "all prompts, names, pictures and openings become unreadable: as if everybody were erased",
    ),
    "lookup": (
        "finds a person's pseudonym again",
        "nobody is recognized: everybody becomes a new person who must accept the terms again",
    ),
    "mark": (
        "keys the invisible mark of posted copies",
        "marks in copies already posted cannot be read any more",
    ),
    "c2pa": (
        "signs the content credentials of images",
        "signed images still verify; new ones need a new certificate",
    ),
    "c2pa_root": (
        "issued the certificate of the image signer; not needed while it runs, may be kept elsewhere",
        "a new image signer will come from a new root, which readers have to trust anew",
    ),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyInfo:
    """What one key file is for."""

    name: str
    path: Path
    purpose: str
    loss: str  # what losing it means
    fingerprint: str  # first 16 hex digits of the file's SHA-256; tells nothing about the key


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyRing:
    """Every key the record needs; no secret shows in its `repr`."""

    folder: Path
    origin: str  # the ledger's name in its checkpoints
    ledger_signer: Ed25519PrivateKey = field(repr=False)
    vault_key: bytes = field(repr=False)
    lookup_key: bytes = field(repr=False)
    mark_key: bytes = field(repr=False)
    c2pa_chain: bytes = field(repr=False)  # PEM: the image signer's certificate, then the root's
    c2pa_key: bytes = field(repr=False)  # PEM, ES256
    files: tuple[KeyInfo, ...] = field(repr=False)

    @classmethod
    def open(cls, folder: Path, *, organisation: str = "Verso operator") -> KeyRing:
        """Load the keys, after making them at first start; two processes that start at once agree.

        Args:
            folder: outside the database; made with mode 0700.
            organisation: the operator's name in the certificates; used only when they are made.

        Raises:
            KeyFileError: a file is missing, damaged, or open to other users; the message says what to do.
        """
        _prepare(folder)
        if not _exists(folder / _INDEX):
            _create(folder, organisation)
        origin, index = _read_index(folder)
        files = {
            what: _checked(folder / name, digest)
            for what, (name, digest) in index.items()
            if what != "c2pa_root"
        }
        c2pa_key, c2pa_chain = _parsed(folder / index["c2pa"][0], files["c2pa"], certificates.split)
        return cls(
            folder=folder,
            origin=origin,
            ledger_signer=_parsed(folder / index["ledger"][0], files["ledger"], _ed25519),
            vault_key=_parsed(folder / index["vault"][0], files["vault"], _secret),
            lookup_key=_parsed(folder / index["lookup"][0], files["lookup"], _secret),
            mark_key=_parsed(folder / index["mark"][0], files["mark"], _secret),
            c2pa_chain=c2pa_chain,
            c2pa_key=c2pa_key,
            files=tuple(
                KeyInfo(
                    name=what,
                    path=folder / name,
                    purpose=_MEANING[what][0],
                    loss=_MEANING[what][1],
                    fingerprint=digest[:16],
                )
                for what, (name, digest) in index.items()
            ),
        )

    @property
    def ledger_verifier_key(self) -> str:
        """What strangers need to check checkpoints: `name+hash+base64` (C2SP)."""
        return str(VerifierKey.of(self.origin, self.ledger_signer))

    def describe(self) -> tuple[KeyInfo, ...]:
        """Each key file: where it lies, what it is for, what losing it means."""
        return self.files


def _create(folder: Path, organisation: str) -> None:
    now = dt.datetime.now(dt.UTC)
    root = folder / _FILES["c2pa_root"]
    try:
        for what in ("vault", "lookup", "mark"):
            _ensure(
                folder / _FILES[what], lambda: base64.b64encode(secrets.token_bytes(_SECRET_BYTES)) + b"\n"
            )
        _ensure(folder / _FILES["ledger"], _new_ed25519)
        _ensure(root, lambda: certificates.make_root(organisation, now))
        _ensure(folder / _FILES["c2pa"], lambda: certificates.make_signer(organisation, _read(root), now))
    except SigningError as error:
        raise KeyFileError(
            str(error), path=root, advice="correct the operator's name, or remove this file and start again"
        ) from error
    digests = {what: hashlib.sha256(_read(folder / name)).hexdigest() for what, name in _FILES.items()}
    index = {
        "version": 1,
        "origin": f"verso/{secrets.token_hex(8)}",
        "keys": {what: [{"file": name, "sha256": digests[what]}] for what, name in _FILES.items()},
    }
    _ensure(folder / _INDEX, lambda: json.dumps(index, indent=2).encode() + b"\n")


def _prepare(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
        if status.st_mode & 0o077 and not any(folder.iterdir()):
            folder.chmod(0o700)  # a fresh volume: nothing was readable yet
            status = folder.stat()
    except OSError as error:
        raise _unusable(folder, error) from error
    if status.st_mode & 0o077:
        raise KeyFileError("the key folder is open to other users", path=folder, advice=_CLOSE)


def _ensure(path: Path, make: Callable[[], bytes]) -> None:
    """Create a file with its whole content at once, unless it is there already."""
    if _exists(path):
        return
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(make())
                file.flush()
                os.fsync(file.fileno())
            try:
                os.link(temporary, path)  # unlike a rename, a link never replaces what another process made
            except FileExistsError:
                return
            _sync_folder(path.parent)
        finally:
            temporary.unlink()
    except OSError as error:
        raise _unusable(path, error) from error


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _exists(path: Path) -> bool:
    return os.path.lexists(path)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode) or status.st_size > _MAX_BYTES:
                raise KeyFileError("this is no key file", path=path, advice=_RESTORE)
            if status.st_mode & 0o077:
                raise KeyFileError("the key file is open to other users", path=path, advice=_CLOSE)
            return file.read()
    except FileNotFoundError:
        raise KeyFileError("the key file is missing", path=path, advice=_RESTORE) from None
    except OSError as error:
        raise _unusable(path, error) from error


def _checked(path: Path, digest: str) -> bytes:
    data = _read(path)
    if hashlib.sha256(data).hexdigest() != digest:
        raise KeyFileError("the key file is damaged or was replaced", path=path, advice=_RESTORE)
    return data


def _read_index(folder: Path) -> tuple[str, dict[str, tuple[str, str]]]:
    path = folder / _INDEX
    try:
        value = json.loads(_read(path))
        origin = str(value["origin"])
        newest = {what: value["keys"][what][-1] for what in _FILES}
        index = {what: (Path(str(key["file"])).name, str(key["sha256"])) for what, key in newest.items()}
        VerifierKey(name=origin, public=bytes(32))  # refuses an origin that no checkpoint could carry
    except (ValueError, TypeError, LookupError, RecursionError, VerificationError):
        raise KeyFileError("the list of keys is damaged", path=path, advice=_RESTORE) from None
    return origin, index


def _parsed(path: Path, data: bytes, parse: Callable[[bytes], _T]) -> _T:
    try:
        return parse(data)
    except (ValueError, SigningError):
        raise KeyFileError("the key file is damaged", path=path, advice=_RESTORE) from None


def _secret(data: bytes) -> bytes:
    try:
        secret = base64.b64decode(data.strip(), validate=True)
    except binascii.Error:
        raise ValueError("not base64") from None
    if len(secret) != _SECRET_BYTES:
        raise ValueError("a secret has 32 bytes")
    return secret


def _ed25519(data: bytes) -> Ed25519PrivateKey:
    key = serialization.load_pem_private_key(data, password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError("not an Ed25519 key")  # noqa: TRY004 - one kind of error for every damaged file
    return key


def _new_ed25519() -> bytes:
    return Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _unusable(path: Path, error: OSError) -> KeyFileError:
    return KeyFileError(
        f"the key folder cannot be used ({error.strerror or type(error).__name__})",
        path=path,
        advice="put it on a local disk that the operator's account can write, and that knows hard links",
    )
