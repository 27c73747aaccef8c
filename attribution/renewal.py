"""New keys of the vault, the mark and the image signer, and how running processes come to know them."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from attribution import certificates, key_files
from attribution.errors import KeyFileError
from attribution.key_index import INDEX, Listed, add_key, parsed, read_index
from attribution.key_service import KeyService

_SECRET_BYTES = 32
_NUMBERED = re.compile(r"-([1-9][0-9]{0,8})\.", re.ASCII)
_T = TypeVar("_T")


class _Followed(Generic[_T]):
    """Reads the keys of a kind again whenever the list of keys changes: another process may rotate them."""

    def __init__(self, folder: Path, what: str, read: Callable[[Sequence[Listed]], _T]) -> None:
        self._folder, self._what, self._read = folder, what, read
        self._listed: tuple[Listed, ...] = ()
        self._keys: _T | None = None

    def __call__(self) -> _T:
        """The keys in force.

        Raises:
            KeyFileError: a file is missing or damaged.
            VaultError: the key service cannot be asked.
        """
        _, index = read_index(self._folder)
        if self._keys is None or index[self._what] != self._listed:
            self._keys = self._read(index[self._what])
            self._listed = index[self._what]
        return self._keys


class VaultKeys(_Followed[tuple[bytes, ...]]):
    """The vault's keys, newest first."""

    def __init__(self, folder: Path, service: KeyService) -> None:
        super().__init__(folder, "vault", lambda listed: vault_keys(folder, listed, service))


class MarkKeyFiles(_Followed[Mapping[int, bytes]]):
    """The mark keys by number."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "mark", lambda listed: mark_keys(folder, listed))


def add_vault_key(folder: Path, service: KeyService) -> None:
    """Make a new vault key; the old one stays until every person's key is wrapped anew.

    Raises:
        KeyFileError: the folder cannot be read or written.
        VaultError: the service cannot be asked.
    """
    add_key(folder, "vault", lambda: service.wrap(secrets.token_bytes(_SECRET_BYTES)))


def rotate_mark_key(folder: Path) -> Path:
    """Make a new mark key, which marks from now on; gives its file. The old ones stay, for reading.

    Raises:
        KeyFileError: the folder cannot be read or written.
    """
    return add_key(folder, "mark", new_secret)


def rotate_image_signer(folder: Path, organisation: str) -> Path:
    """Make a new certificate and key for signing images, under the same root; gives its file.

    What the old one signed still verifies: its certificate lies in the images, and its root stays.

    Raises:
        KeyFileError: the folder cannot be written, or the root's key is not there any more.
    """
    _, index = read_index(folder)
    root = folder / index["c2pa_root"][-1].file
    now = dt.datetime.now(dt.UTC)
    return add_key(folder, "c2pa", lambda: certificates.make_signer(organisation, key_files.read(root), now))


def vault_keys(folder: Path, listed: Sequence[Listed], service: KeyService) -> tuple[bytes, ...]:
    """The vault's keys of these files, the last listed first; errors as `VaultKeys`."""
    return tuple(
        parsed(
            folder / one.file,
            key_files.checked(folder / one.file, one.sha256),
            lambda content: _sized(service.unwrap(content)),
        )
        for one in reversed(listed)
    )


def mark_keys(folder: Path, listed: Sequence[Listed]) -> Mapping[int, bytes]:
    """The mark keys of these files by the number in the file's name, which the ids of their marks carry.

    Raises:
        KeyFileError: a file is missing or damaged, or its name has no number of its own.
    """
    keys: dict[int, bytes] = {}
    for one in listed:
        path = folder / one.file
        found = _NUMBERED.search(one.file)
        number = int(found[1]) if found else 0
        if number <= max(keys, default=0):
            raise KeyFileError("the list of keys is damaged", path=folder / INDEX, advice=key_files.RESTORE)
        keys[number] = parsed(path, key_files.checked(path, one.sha256), secret)
    return keys


def new_secret() -> bytes:
    """The content of a fresh file of a symmetric key."""
    return base64.b64encode(secrets.token_bytes(_SECRET_BYTES)) + b"\n"


def secret(data: bytes) -> bytes:
    """The symmetric key in a file's content.

    Raises:
        ValueError: there is none.
    """
    try:
        content = base64.b64decode(data.strip(), validate=True)
    except binascii.Error:
        raise ValueError("not base64") from None
    return _sized(content)


def _sized(content: bytes) -> bytes:
    if len(content) != _SECRET_BYTES:
        raise ValueError("a secret has 32 bytes")
    return content
