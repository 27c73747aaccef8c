"""An older backup comes back: the ledger says what was lost, and the audit names it."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from pathlib import Path

import pytest

from attribution.record import EventKind
from bot.cli import run
from bot.compose import open_app
from bot.settings import load_settings


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("VERSO_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("VERSO_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def record(count: int) -> str:
    """Append so many entries; gives the checkpoint."""

    async def append() -> str:
        async with open_app(load_settings()) as app:
            for _ in range(count):
                await app.ledger.append(EventKind.POSTED, subject="")
            return await app.ledger.head()

    return asyncio.run(append())


def restored(capsys: pytest.CaptureFixture[str], *options: str) -> str:
    capsys.readouterr()
    assert run(["restore", "backups/one", "--erasures-lost", *options]) == 0
    captured = capsys.readouterr()
    return " ".join((captured.out + captured.err).split())


def audited(capsys: pytest.CaptureFixture[str], *files: Path, code: int) -> list[dict[str, object]]:
    capsys.readouterr()
    options = [word for file in files for word in ("--checkpoint", str(file))]
    assert run(["ledger", "audit", *options, "--json"]) == code
    report = json.loads(capsys.readouterr().out)
    assert report["ok"] is (code == 0)
    return report["problems"]


def test_the_gap_is_on_the_record(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    early = home / "early.txt"
    early.write_text(record(3))
    assert run(["backup", "backups/one"]) == 0
    size = int(record(4).splitlines()[1])
    assert run(["ledger", "publish"]) == 0
    published = home / "published.jsonl"
    shutil.copy(home / "data" / "checkpoints.jsonl", published)
    receipt = home / "receipt.txt"
    receipt.write_text(record(5))  # given to somebody, never published

    monkeypatch.setenv("VERSO_DATA_DIR", str(home / "new"))
    told = restored(capsys, "--checkpoint", str(published))
    backup_size = size - 4
    assert f"The leaves {backup_size} to {size - 1} of the ledger are lost" in told
    assert audited(capsys, early, code=0) == []
    assert run(["ledger", "publish"]) == 0
    record(20)  # the new tree outgrows the old one: now the roots differ

    (problem,) = audited(capsys, early, published, code=1)
    assert (problem["kind"], problem["leaf_index"]) == ("restored", backup_size)
    assert f"lost the leaves {backup_size} to {size - 1}" in str(problem["detail"])
    assert run(["ledger", "audit", "--checkpoint", str(published)]) == 1
    assert "a restore that the ledger declares" in " ".join(capsys.readouterr().out.split())

    (problem,) = audited(capsys, receipt, code=1)  # larger than what was said to be lost: no excuse
    assert problem["kind"] == "checkpoint"


def test_a_restore_that_loses_nothing_says_so(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    record(3)
    assert run(["ledger", "publish"]) == 0
    assert run(["backup", "backups/one"]) == 0
    shutil.copy(home / "data" / "checkpoints.jsonl", home / "backups" / "checkpoints.jsonl")
    monkeypatch.setenv("VERSO_DATA_DIR", str(home / "new"))
    assert "No published checkpoint reaches beyond" in restored(capsys)
    assert audited(capsys, home / "backups" / "checkpoints.jsonl", code=0) == []

    monkeypatch.setenv("VERSO_DATA_DIR", str(home / "third"))
    (home / "backups" / "checkpoints.jsonl").unlink()
    assert "No published checkpoint was found" in restored(capsys)


def test_checkpoints_of_another_ledger_declare_nothing(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    record(2)
    assert run(["backup", "backups/one"]) == 0
    monkeypatch.setenv("VERSO_DATA_DIR", str(home / "other"))
    foreign = home / "foreign.txt"
    foreign.write_text(record(50))
    monkeypatch.setenv("VERSO_DATA_DIR", str(home / "new"))
    told = restored(capsys, "--checkpoint", str(foreign))
    assert "1 of the published checkpoints cannot be read" in told
    assert "are lost: checkpoints" not in told
