"""Backups go on their day, and nothing else does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bot.backup_expiry import EXPIRED, expire_backups

DAY = 86_400_000


def a_backup(parent: Path, name: str, **index: object) -> Path:
    folder = parent / name
    (folder / "rows").mkdir(parents=True)
    (folder / "rows" / "subjects.jsonl").write_text("{}\n")
    (folder / "backup.json").write_text(json.dumps({"format": 1, "revision": "0007", **index}))
    return folder


def test_only_what_has_expired_goes(tmp_path: Path) -> None:
    old, young = a_backup(tmp_path, "a", expires_ms=5 * DAY), a_backup(tmp_path, "b", expires_ms=9 * DAY)
    undated = a_backup(tmp_path, "c")
    foreign = tmp_path / "photos"
    foreign.mkdir()
    (foreign / "family.jpg").write_bytes(b"x")
    (tmp_path / "link").symlink_to(old)
    assert expire_backups(tmp_path, now_ms=6 * DAY) == (old,)
    assert not old.exists()
    assert (foreign / "family.jpg").exists()
    assert young.exists()
    assert undated.exists()
    assert expire_backups(tmp_path, now_ms=6 * DAY) == ()
    assert expire_backups(tmp_path / "missing", now_ms=0) == ()


def test_a_deletion_that_was_cut_off_is_finished(tmp_path: Path) -> None:
    half = a_backup(tmp_path, "a", expires_ms=9 * DAY)
    (half / "backup.json").unlink()
    (half / EXPIRED).touch()
    assert expire_backups(tmp_path, now_ms=DAY) == (half,)
    assert not half.exists()


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format": 1, "expires_ms": "soon"}', '{"format": 2, "expires_ms": 1}']
)
def test_what_is_no_backup_is_not_touched(tmp_path: Path, text: str) -> None:
    folder = a_backup(tmp_path, "a")
    (folder / "backup.json").write_text(text)
    assert expire_backups(tmp_path, now_ms=DAY) == ()
    assert folder.exists()
