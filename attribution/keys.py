"""The operator's keys: made at first start, kept in files that only the operator can read.

`keys.json` in the same folder lists every file with its digest. It is written last: a folder without it is a
first start that may be completed, a folder with it must hold every file it lists, unaltered.

A rotation of the ledger's key adds a file, and to the list a line by which the old key endorses the new one
(`attribution.rotation`). Files of its retired keys may be removed once their overlap is over. The other keys
are renewed by `attribution.renewal`; retired mark keys stay, as they read the copies of their time.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from attribution import certificates, key_files
from attribution.errors import KeyFileError, SigningError
from attribution.key_index import INDEX, ledger_keys, new_ed25519, parsed, read_index
from attribution.key_service import KeyService, PlainFile
from attribution.renewal import mark_keys, new_secret, secret, vault_keys
from attribution.signing import LedgerKeys

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
_RETIRED = {
    "ledger": (
        "signed older checkpoints; signs beside its successor until the overlap ends",
        "nothing once the overlap is over: remove it then",
    ),
    "vault": (
        "wraps keys that a rotation has not reached; run 'verso keys rotate vault' to finish it",
        "the people whose keys it still wraps become unreadable",
    ),
    "mark": (
        "reads the marks of copies that were posted before the rotation; signs nothing new",
        "the marks in copies from its time cannot be read any more",
    ),
    "c2pa": ("signed older images, which verify without it", "nothing: remove it"),
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
    ledger: LedgerKeys
    vault_keys: tuple[bytes, ...] = field(repr=False)  # newest first; several while a rotation is under way
    lookup_key: bytes = field(repr=False)
    mark_keys: Mapping[int, bytes] = field(repr=False)  # by number; every one reads, the highest marks
    c2pa_chain: bytes = field(repr=False)  # PEM: the image signer's certificate, then the root's
    c2pa_key: bytes = field(repr=False)  # PEM, ES256
    files: tuple[KeyInfo, ...] = field(repr=False)

    @classmethod
    def open(
        cls, folder: Path, *, organisation: str = "Verso operator", service: KeyService | None = None
    ) -> KeyRing:
        """Load the keys, after making them at first start; two processes that start at once agree.

        Args:
            folder: outside the database; made with mode 0700.
            organisation: the operator's name in the certificates; used only when they are made.
            service: guards the vault's key; None: it lies in its file as it is.

        Raises:
            KeyFileError: a file is missing, damaged, or open to other users; the message says what to do.
            VaultError: the service cannot be asked.
        """
        service = service or PlainFile()
        key_files.prepare(folder)
        if not key_files.exists(folder / INDEX):
            _create(folder, organisation, service)
        origin, index = read_index(folder)
        newest = {what: files[-1] for what, files in index.items()}
        data = {
            what: key_files.checked(folder / newest[what].file, newest[what].sha256)
            for what in ("lookup", "c2pa")
        }
        c2pa_key, c2pa_chain = parsed(folder / newest["c2pa"].file, data["c2pa"], certificates.split)
        return cls(
            folder=folder,
            ledger=ledger_keys(folder, origin, index["ledger"]),
            vault_keys=vault_keys(folder, index["vault"], service),
            lookup_key=parsed(folder / newest["lookup"].file, data["lookup"], secret),
            mark_keys=mark_keys(folder, index["mark"]),
            c2pa_chain=c2pa_chain,
            c2pa_key=c2pa_key,
            files=tuple(
                KeyInfo(
                    name=what if listed is files[-1] else f"{what} (retired)",
                    path=folder / listed.file,
                    purpose=_MEANING[what][0] if listed is files[-1] else _RETIRED[what][0],
                    loss=_MEANING[what][1] if listed is files[-1] else _RETIRED[what][1],
                    fingerprint=listed.sha256[:16],
                )
                for what, files in index.items()
                for listed in reversed(files)
                if listed is files[-1] or key_files.exists(folder / listed.file)
            ),
        )

    @property
    def vault_key(self) -> bytes:
        """The vault key in force."""
        return self.vault_keys[0]

    @property
    def origin(self) -> str:
        """The ledger's name in its checkpoints."""
        return self.ledger.origin

    @property
    def ledger_signer(self) -> Ed25519PrivateKey:
        """The ledger's newest key."""
        return self.ledger.signer

    @property
    def ledger_verifier_key(self) -> str:
        """What strangers need to check checkpoints: `name+hash+base64` (C2SP)."""
        return self.ledger.verifier_key

    def describe(self) -> tuple[KeyInfo, ...]:
        """Each key file: where it lies, what it is for, what losing it means."""
        return self.files


def _create(folder: Path, organisation: str, service: KeyService) -> None:
    now = dt.datetime.now(dt.UTC)
    root = folder / _FILES["c2pa_root"]
    try:
        key_files.ensure(folder / _FILES["vault"], lambda: service.wrap(secrets.token_bytes(32)))
        for what in ("lookup", "mark"):
            key_files.ensure(folder / _FILES[what], new_secret)
        key_files.ensure(folder / _FILES["ledger"], new_ed25519)
        key_files.ensure(root, lambda: certificates.make_root(organisation, now))
        key_files.ensure(
            folder / _FILES["c2pa"],
            lambda: certificates.make_signer(organisation, key_files.read(root), now),
        )
    except SigningError as error:
        raise KeyFileError(
            str(error), path=root, advice="correct the operator's name, or remove this file and start again"
        ) from error
    digests = {
        what: hashlib.sha256(key_files.read(folder / name)).hexdigest() for what, name in _FILES.items()
    }
    index = {
        "version": 1,
        "origin": f"verso/{secrets.token_hex(8)}",
        "keys": {what: [{"file": name, "sha256": digests[what]}] for what, name in _FILES.items()},
    }
    key_files.ensure(folder / INDEX, lambda: json.dumps(index, indent=2).encode() + b"\n")
