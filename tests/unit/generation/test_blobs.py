"""The blob store on a real folder."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from generation.blobs import FolderBlobStore
from generation.errors import BlobMissingError


@pytest.fixture
def store(tmp_path: Path) -> FolderBlobStore:
    return FolderBlobStore(tmp_path / "blobs")


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def test_what_is_put_can_be_got_by_its_digest(store: FolderBlobStore) -> None:
    blob = await store.put(b"sealed picture")
    assert blob == hashlib.sha256(b"sealed picture").hexdigest()
    assert await store.get(blob) == b"sealed picture"
    assert await store.put(b"") == hashlib.sha256(b"").hexdigest()


async def test_putting_twice_changes_nothing(store: FolderBlobStore, tmp_path: Path) -> None:
    assert await store.put(b"x") == await store.put(b"x")
    assert len(files(tmp_path)) == 1


async def test_a_damaged_blob_is_noticed_and_mended_by_the_next_put(
    store: FolderBlobStore, tmp_path: Path
) -> None:
    blob = await store.put(b"x" * 1000)
    (path,) = files(tmp_path)
    path.write_bytes(b"x" * 999 + b"y")
    with pytest.raises(BlobMissingError, match="damaged"):
        await store.get(blob)
    await store.put(b"x" * 1000)
    assert await store.get(blob) == b"x" * 1000


async def test_deleting_is_idempotent(store: FolderBlobStore) -> None:
    blob = await store.put(b"x")
    await store.delete(blob)
    await store.delete(blob)
    with pytest.raises(BlobMissingError, match="gone"):
        await store.get(blob)


@pytest.mark.parametrize(
    "name", ["", "..", "../../etc/passwd", "A" * 64, "a" * 63, "a" * 64 + "\n", "/etc/passwd"]
)
async def test_names_cannot_leave_the_folder(store: FolderBlobStore, name: str) -> None:
    with pytest.raises(BlobMissingError):
        await store.get(name)
    with pytest.raises(BlobMissingError):
        await store.delete(name)


async def test_a_failed_put_leaves_no_rubbish(
    store: FolderBlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError("disk full")

    (tmp_path / "blobs" / hashlib.sha256(b"x").hexdigest()[:2]).mkdir(parents=True)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="disk full"):
        await store.put(b"x")
    assert files(tmp_path) == []


async def test_others_cannot_look_into_it(store: FolderBlobStore, tmp_path: Path) -> None:
    await store.put(b"x")
    (path,) = files(tmp_path)
    assert path.stat().st_mode & 0o077 == 0
    assert path.parent.stat().st_mode & 0o077 == 0


async def test_the_old_ones_are_listed_and_unfinished_ones_removed(
    store: FolderBlobStore, tmp_path: Path
) -> None:
    assert await store.older_than(2e9) == ()
    old, young = await store.put(b"old"), await store.put(b"young")
    root = tmp_path / "blobs"
    os.utime(root / old[:2] / old, (1000, 1000))
    unfinished = root / old[:2] / f".{old[:16]}-0011223344556677"
    unfinished.write_bytes(b"ol")
    os.utime(unfinished, (1000, 1000))
    foreign = root / "ab" / "readme.txt"
    foreign.parent.mkdir(exist_ok=True)
    foreign.write_text("not ours")
    os.utime(foreign, (1000, 1000))
    assert await store.older_than(2000) == (old,)
    assert not unfinished.exists()
    assert foreign.exists()
    assert await store.get(young) == b"young"
