"""The public file of checkpoints: one line of JSON for each, only ever appended to.

    {"published_ms": 1790000000000, "checkpoint": "signed note"}
    {"published_ms": …, "checkpoint": "signed note", "authority": "https://…", "timestamp": "base64"}

A line is on the disk before `append` returns. A line that a crash cut off is left behind and skipped by
readers, so the operating system may make such a file append-only.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
from pathlib import Path

from attribution.checkpoint import MAX_NOTE_BYTES

MAX_BYTES = 64 * 1024 * 1024
_MAX_LINE = 4 * MAX_NOTE_BYTES


def append(
    path: Path, note: str, *, published_ms: int, authority: str = "", token: bytes | None = None
) -> bool:
    """Add a checkpoint, with the time stamp that an authority gave for it; False: it is there already.

    Processes that append at once take turns.

    Raises:
        OSError: the file cannot be written.
    """
    line: dict[str, object] = {"published_ms": published_ms, "checkpoint": note}
    if token is not None:
        line |= {"authority": authority, "timestamp": base64.b64encode(token).decode()}
    encoded = json.dumps(line, ensure_ascii=False).encode() + b"\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
    with os.fdopen(descriptor, "r+b", buffering=0) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        known = file.read()
        if any(_same(one, line) for one in map(_parsed, known.splitlines())):
            return False
        start = b"" if known.endswith(b"\n") or not known else b"\n"
        _write(file.fileno(), start + encoded)
        os.fsync(file.fileno())
    _sync_folder(path.parent)
    return True


def notes_in(data: bytes) -> tuple[tuple[str, ...], int]:
    """The checkpoints in a file of lines, or the one that a file is; and how many lines cannot be read.

    Nothing is verified here.
    """
    if not data.lstrip().startswith(b"{"):
        return (data.decode("utf-8", "replace"),), 0
    lines = [line for line in data.splitlines() if line.strip()]
    found = [_parsed(line).get("checkpoint") for line in lines]
    notes = tuple(dict.fromkeys(note for note in found if isinstance(note, str)))
    return notes, sum(not isinstance(note, str) for note in found)


def _parsed(line: bytes) -> dict[str, object]:
    if len(line) > _MAX_LINE:
        return {}
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _same(one: dict[str, object], other: dict[str, object]) -> bool:
    return (one.get("checkpoint"), "timestamp" in one) == (other["checkpoint"], "timestamp" in other)


def _write(descriptor: int, data: bytes) -> None:
    while data:  # a file system may take a part
        data = data[os.write(descriptor, data) :]


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
