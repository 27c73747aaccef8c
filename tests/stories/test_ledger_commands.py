"""An operator's year with the ledger: publish, audit, rotate the key, lose the newest key folder."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from pathlib import Path

import pytest
from sqlalchemy import delete, update

from attribution.record import EventKind
from attribution.tables import checkpoints, leaves
from bot.cli import run
from bot.compose import open_app
from bot.serve import serve
from bot.settings import Settings, load_settings


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("VERSO_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("VERSO_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def document(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> dict[str, object]:
    assert run([*arguments, "--json"]) == code
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err + captured.out
    return json.loads(captured.out)


def record(count: int = 1) -> None:
    async def append() -> None:
        async with open_app(load_settings(None)) as app:
            for _ in range(count):
                await app.ledger.append(EventKind.POSTED, subject="")

    asyncio.run(append())


def alter() -> None:
    """What an owner of the database may try."""

    async def write() -> None:
        async with open_app(load_settings(None)) as app, app.database.begin() as connection:
            await connection.execute(delete(checkpoints))
            await connection.execute(update(leaves).where(leaves.c.leaf_index == 1).values(entry_id="f" * 16))

    asyncio.run(write())


def test_publish_audit_rotate(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    record(3)
    told = document(capsys, "ledger", "publish")
    assert told == {"places": ["file"], "file": str(home / "data" / "checkpoints.jsonl")}
    assert document(capsys, "ledger", "publish")["places"] == []
    file = home / "data" / "checkpoints.jsonl"
    kept = home / "kept.jsonl"
    shutil.copy(file, kept)
    first = document(capsys, "keys", "show")["verifier_key"]

    rotated = document(capsys, "keys", "rotate", "ledger", "--overlap-days", "0")
    shown = document(capsys, "keys", "show")
    assert shown["verifier_keys"] == [first, rotated["verifier_key"]]
    assert shown["endorsements"] == [rotated["endorsement"]]
    record()
    assert document(capsys, "ledger", "publish")["places"] == ["file"]
    for key in (first, rotated["verifier_key"]):
        (home / "key").write_text(f"# the operator's\n{key}\n")
        report = document(
            capsys, "ledger", "audit", "--against", str(kept), "--checkpoint", str(file), "--trust", "key"
        )
        assert (report["ok"], report["size"], report["checkpoints"]) == (True, 5, 3)

    (home / "key").write_text("no key\n")
    assert document(capsys, "ledger", "audit", "--trust", "key", code=1)["status"] == "failed"
    (home / "empty").write_text("{}\n")
    assert document(capsys, "ledger", "audit", "--against", "empty", code=1)["status"] == "failed"

    alter()
    report = document(capsys, "ledger", "audit", "--against", str(kept), code=1)
    assert {"index"} == {problem["kind"] for problem in report["problems"]}


def test_a_backup_of_the_keys_brings_the_same_ledger_back(
    capsys: pytest.CaptureFixture[str], home: Path
) -> None:
    record(2)
    assert run(["keys", "rotate", "ledger"]) == 0
    before = document_of_keys(capsys)
    assert run(["keys", "backup", "safe"]) == 0
    shutil.rmtree(home / "data" / "keys")
    shutil.move(home / "safe", home / "data" / "keys")
    capsys.readouterr()
    after = document_of_keys(capsys)
    assert after["verifier_keys"] == before["verifier_keys"]
    record()
    assert document(capsys, "ledger", "audit")["ok"]


def document_of_keys(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    capsys.readouterr()
    return document(capsys, "keys", "show")


def test_an_old_key_folder_is_refused_with_what_to_do(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    record()
    shutil.copytree(home / "data" / "keys", home / "old")
    assert run(["keys", "rotate", "ledger"]) == 0
    shutil.rmtree(home / "data" / "keys")
    shutil.copytree(home / "old", home / "data" / "keys")
    capsys.readouterr()
    for arguments in (["ledger", "head"], ["keys", "rotate", "ledger"], ["ledger", "publish"]):
        assert run(arguments) == 1
        message = " ".join(capsys.readouterr().err.split())
        assert "put back the newest copy of the folder" in message


async def test_a_server_publishes_by_itself(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.serve.TELL_S", 0.05)
    file = home / "public" / "checkpoints.jsonl"
    settings = Settings(data_dir=home / "data", _env_file=None, ledger={"publish_file": file})
    async with open_app(settings) as app:
        await app.ledger.append(EventKind.POSTED, subject="")
        stop = asyncio.Event()
        serving = asyncio.create_task(serve(app, stop, engine=False, platforms=True))
        while not file.exists():  # noqa: ASYNC110 - as a reader would look
            await asyncio.sleep(0.05)
        stop.set()
        await serving
        assert await app.publications.notes() == (await app.ledger.head(),)
