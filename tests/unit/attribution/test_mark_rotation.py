"""A new mark key: new copies carry it, and copies from before are still named."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from attribution.errors import KeyFileError
from attribution.keys import KeyRing
from attribution.mark_reader import Copy, MarkReader
from attribution.marks import MarkKeys, embed
from attribution.renewal import MarkKeyFiles, rotate_mark_key
from bot.cli import run


def _picture() -> np.ndarray:
    random = np.random.default_rng(5)
    blocks = random.integers(0, 255, (16, 16, 3), dtype=np.uint8)
    return np.ascontiguousarray(blocks.repeat(32, axis=0).repeat(32, axis=1))


def _marks(folder: Path) -> MarkKeys:
    return MarkKeys(KeyRing.open(folder).mark_keys, reload=MarkKeyFiles(folder))


async def test_copies_from_before_are_named_after_a_rotation(tmp_path: Path) -> None:
    folder, picture = tmp_path / "keys", _picture()

    async def original(job_id: str, index: int) -> np.ndarray:
        del job_id, index
        return picture

    running = _marks(folder)  # a server that nobody starts again
    ids = {"before": running.new_id()}
    files = {"before": embed(picture, running.signs(ids["before"]))}
    path = rotate_mark_key(folder)
    assert path.name == "mark-2.key"
    assert path.stat().st_mode & 0o077 == 0
    ids["after"] = running.new_id()
    assert [mark_id[:2] for mark_id in ids.values()] == ["1-", "2-"]
    files["after"] = embed(picture, running.signs(ids["after"]))

    copies = [Copy(image_id=name, job_id="j", index=0, mark_id=one) for name, one in ids.items()]
    for marks in (running, _marks(folder)):
        for name, file in files.items():
            named = await MarkReader(marks, original).read(MarkReader.views(file), copies)
            assert named is not None
            assert named.image_id == name
    only_new = MarkKeys({2: KeyRing.open(folder).mark_keys[2]})
    assert await MarkReader(only_new, original).read(MarkReader.views(files["before"]), copies) is None


def test_a_retired_mark_key_may_not_be_lost_or_altered(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    first = KeyRing.open(folder).mark_keys
    rotate_mark_key(folder)
    ring = KeyRing.open(folder)
    assert ring.mark_keys[1] == first[1]
    assert ring.mark_keys[2] != first[1]
    assert [info.path.name for info in ring.describe() if info.name == "mark (retired)"] == ["mark-1.key"]
    assert ring.mark_keys[2].hex() not in repr(ring)
    assert repr(ring.mark_keys[2]) not in repr(ring) + repr(MarkKeys(ring.mark_keys))
    (folder / "mark-1.key").unlink()
    with pytest.raises(KeyFileError, match="missing"):
        KeyRing.open(folder)


def test_a_list_that_gives_two_mark_keys_one_number_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    KeyRing.open(folder)
    index = json.loads((folder / "keys.json").read_bytes())
    index["keys"]["mark"] *= 2
    (folder / "keys.json").write_text(json.dumps(index))
    with pytest.raises(KeyFileError, match="list of keys"):
        KeyRing.open(folder)


def test_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in os.environ if name.startswith("VERSO_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("VERSO_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    assert run(["keys", "rotate", "mark", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["file"].endswith("mark-2.key")
    assert run(["keys", "rotate", "mark"]) == 0
    assert "mark-3.key" in capsys.readouterr().out
    assert run(["keys", "backup", str(tmp_path / "copy")]) == 0
    assert set(KeyRing.open(tmp_path / "copy").mark_keys) == {1, 2, 3}
