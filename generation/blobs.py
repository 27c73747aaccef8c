"""The store of sealed pictures, addressed by content."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import secrets
from pathlib import Path
from typing import Protocol

from generation.errors import BlobMissingError

_NAME = re.compile(r"[0-9a-f]{64}")


class BlobStore(Protocol):
    """Keeps bytes under the digest of those bytes."""

    async def put(self, data: bytes) -> str:
        """Store `data` durably and return its id; storing it again changes nothing."""

    async def get(self, blob: str) -> bytes:
        """The bytes.

        Raises:
            BlobMissingError: there is no such blob, or it is damaged.
        """

    async def delete(self, blob: str) -> None:
        """Remove it; one that is not there is no error."""

    async def older_than(self, moment: float) -> tuple[str, ...]:
        """Ids of the blobs that were stored before this Unix time, sorted."""


class FolderBlobStore:
    """Blobs as files in a folder, named by their SHA-256 and spread over 256 subfolders."""

    def __init__(self, root: Path) -> None:
        self._root = root

    async def put(self, data: bytes) -> str:
        """See `BlobStore.put`: a temporary file, fsync, rename, fsync of the folder."""
        return await asyncio.to_thread(self._put, data)

    async def get(self, blob: str) -> bytes:
        """See `BlobStore.get`; the digest is checked each time."""
        return await asyncio.to_thread(self._get, blob)

    async def delete(self, blob: str) -> None:
        """See `BlobStore.delete`."""
        await asyncio.to_thread(self._path(blob).unlink, missing_ok=True)

    async def older_than(self, moment: float) -> tuple[str, ...]:
        """See `BlobStore.older_than`; unfinished files of a killed process are removed on the way."""
        return await asyncio.to_thread(self._older_than, moment)

    def _older_than(self, moment: float) -> tuple[str, ...]:
        found = []
        for path in (file for folder in _folders(self._root) for file in folder.iterdir()):
            try:
                if path.stat().st_mtime >= moment:
                    continue
                if path.name.startswith("."):
                    path.unlink()
                elif _NAME.fullmatch(path.name):
                    found.append(path.name)
            except FileNotFoundError:  # deleted meanwhile
                continue
        return tuple(sorted(found))

    def _put(self, data: bytes) -> str:
        blob = hashlib.sha256(data).hexdigest()
        path = self._path(blob)
        if path.exists() and _digest(path) == blob:
            return blob
        if not path.parent.is_dir():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            _sync_folder(path.parent.parent)
        temporary = path.with_name(f".{blob[:16]}-{secrets.token_hex(8)}")
        try:
            with open(temporary, "xb", opener=_private) as stream:  # only `open` takes one
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)
        return blob

    def _get(self, blob: str) -> bytes:
        try:
            data = self._path(blob).read_bytes()
        except FileNotFoundError:
            raise BlobMissingError(f"blob {blob} is gone") from None
        if hashlib.sha256(data).hexdigest() != blob:
            raise BlobMissingError(f"blob {blob} is damaged")
        return data

    def _path(self, blob: str) -> Path:
        if not _NAME.fullmatch(blob):
            raise BlobMissingError("not a blob id")
        return self._root / blob[:2] / blob


def _folders(root: Path) -> list[Path]:
    return [folder for folder in root.iterdir() if len(folder.name) == 2] if root.is_dir() else []


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _sync_folder(folder: Path) -> None:
    """Make a new name in the folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
