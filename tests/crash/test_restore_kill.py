"""A restore that is killed leaves nothing that a start could take for a house, and can be run again."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import func, select

import attribution
from attribution.record import EventKind
from attribution.tables import leaves
from bot.cli import run
from bot.compose import open_app
from bot.restore_mark import mark_of
from bot.settings import load_settings

CHILD = Path(__file__).with_name("restore_killed.py")
ROOT = Path(attribution.__file__).parents[1]
# Step of `bot.restore` before which it dies, and at which call: in the order in which they come.
POINTS = (
    ("copy_tree", 1),  # the mark is set, nothing else is there
    ("load_all", 1),  # the keys are there
    ("_declare", 1),  # the rows are written, but not committed
    ("after_erase", 1),  # they are
    ("copy_tree", 2),  # before the pictures
    ("end", 1),  # all is there, the mark too
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("VERSO_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("VERSO_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


async def _fill() -> tuple[str, str]:
    async with open_app(load_settings()) as app:
        subject = await app.vault.subject("terminal", "terminal", "ada", name="Ada")
        await app.ledger.append(EventKind.PROMPT_SUBMITTED, subject=subject, private={"prompt": "a kite"})
        await app.blobs.put(b"a picture")
        return subject, app.ledger.verifier_key


async def _check(subject: str, verifier_key: str) -> None:
    async with open_app(load_settings()) as app:
        assert app.ledger.verifier_key == verifier_key
        assert (await app.vault.identity(subject)).name == "Ada"
        assert (await app.ledger.audit()).ok
        async with app.database.connect() as connection:
            count = select(func.count()).select_from(leaves)
            said = count.where(leaves.c.kind == EventKind.LEDGER_RESTORED.value)
            assert await connection.scalar(said) == 1
        assert [path.read_bytes() for path in app.settings.blobs_dir.rglob("*") if path.is_file()]


def test_a_killed_restore_is_refused_by_every_command_until_it_is_run_again(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    known = asyncio.run(_fill())
    assert run(["backup", "backups/one"]) == 0
    for number, (step, call) in enumerate(POINTS):
        monkeypatch.setenv("VERSO_DATA_DIR", str(home / f"new{number}"))
        settings = load_settings()
        options = ["backups/one", "--erasures-lost"]
        killed = subprocess.run(  # noqa: S603 - our own interpreter and words
            [sys.executable, str(CHILD), step, str(call), *options],
            env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            check=False,
        )
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        assert mark_of(settings.keys_dir).exists(), step
        before = sorted(path.name for path in settings.keys_dir.glob("*"))
        capsys.readouterr()
        for command in (["serve"], ["worker"], ["keys", "show"], ["migrate"], ["ledger", "head"]):
            assert run(command) == 1
            assert "run 'verso restore' again" in " ".join(capsys.readouterr().err.split())
        assert sorted(path.name for path in settings.keys_dir.glob("*")) == before  # no new keys
        assert run(["restore", *options]) == 0
        assert not mark_of(settings.keys_dir).exists()
        asyncio.run(_check(*known))


def test_an_interrupted_restore_goes_on_only_where_it_began(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asyncio.run(_fill())
    assert run(["backup", "backups/one"]) == 0
    monkeypatch.setenv("VERSO_DATA_DIR", str(home / "new"))
    assert run(["restore", "backups/one", "--erasures-lost"]) == 0
    mark = mark_of(load_settings().keys_dir)
    address = f"sqlite:///{home / 'elsewhere.db'}"
    mark.write_text(f"{address}\n")
    capsys.readouterr()
    assert run(["restore", "backups/one", "--erasures-lost"]) == 1
    assert "elsewhere.db" in capsys.readouterr().err.replace("\n", "")

    mark.unlink()  # the operator thought better of it, and worked on

    async def work() -> str:
        async with open_app(load_settings()) as app:
            for _ in range(2):
                await app.ledger.append(EventKind.POSTED, subject="")
            return str(app.database.url)

    mark.write_text(asyncio.run(work()))
    assert run(["restore", "backups/one", "--erasures-lost"]) == 1
    assert "was used since" in " ".join(capsys.readouterr().err.split())
    mark.unlink()


def test_a_refused_restore_leaves_no_mark(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asyncio.run(_fill())
    assert run(["backup", "backups/one"]) == 0
    index = home / "backups" / "one" / "backup.json"
    index.write_text(index.read_text().replace('"revision": "', '"revision": "9'))  # of a newer Verso
    monkeypatch.setenv("VERSO_DATA_DIR", str(home / "new"))
    assert run(["restore", "backups/one", "--erasures-lost"]) == 1
    keys = load_settings().keys_dir
    assert not mark_of(keys).exists()
    assert not any(keys.iterdir())
