"""Deletes backups whose time is over: they still hold people who were erased after they were made."""

from __future__ import annotations

import json
import math
import shutil
import time
from pathlib import Path

from bot.backup import FORMAT, INDEX

EXPIRED = "expired"  # marks a backup that is being deleted


def expire_backups(parent: Path, *, now_ms: int | None = None) -> tuple[Path, ...]:
    """Delete the backups in a folder whose time is over; gives these.

    Only folders that hold the index of a complete backup with an expiry are touched. A mark is set first and
    goes last, so that a deletion that was cut off is finished by the next call.
    """
    now = time.time_ns() // 1_000_000 if now_ms is None else now_ms
    gone = []
    for folder in sorted(parent.iterdir()) if parent.is_dir() else ():
        if folder.is_symlink() or not folder.is_dir():
            continue
        if (folder / EXPIRED).is_file() or _expires_ms(folder) <= now:
            (folder / EXPIRED).touch()
            for path in folder.iterdir():
                if path.name == EXPIRED:
                    continue
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
            (folder / EXPIRED).unlink()
            folder.rmdir()
            gone.append(folder)
    return tuple(gone)


def _expires_ms(folder: Path) -> float:
    """When a backup expires; never, where this is no backup or one that names no day."""
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        return float(index["expires_ms"]) if index["format"] == FORMAT else math.inf
    except (OSError, ValueError, KeyError, TypeError):
        return math.inf
