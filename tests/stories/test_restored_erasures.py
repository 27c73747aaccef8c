"""An older backup comes back, and whoever was erased since does not."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from sqlalchemy import select

from attribution.erasures import file_name, read
from attribution.errors import ErasedError
from attribution.record import EventKind
from attribution.tables import subjects
from bot.backup import backup
from bot.cli import run
from bot.compose import open_app
from bot.database import open_database
from bot.errors import ConfigurationError
from bot.restore import erased_since, restore
from bot.settings import Settings, load_settings

PROMPT = "a zebra made of xylophones"


async def _two_people(house, draw_by_hand) -> dict[str, str]:
    for user in ("ada", "bob"):
        await house.imagine(PROMPT if user == "ada" else "a red apple", user=user)
        await draw_by_hand(house.app)
    await house.app.courier.drain()
    return {user: await _known(house, user) for user in ("ada", "bob")}


async def _known(house, user: str) -> str:
    subject = await house.app.vault.find("room", "room:1", user)
    assert subject is not None
    return subject


def _raw(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


async def test_who_was_erased_since_stays_erased(house, draw_by_hand, database_url, tmp_path) -> None:
    people, settings = await _two_people(house, draw_by_hand), house.settings
    app, folder = house.app, tmp_path / "backup"
    await app.vault.hold(people["ada"], "a dispute about a zebra")  # it ends after the backup
    await backup(app.database, blobs=settings.blobs_dir, keys=settings.keys_dir, folder=folder)
    async with app.database.connect() as connection:
        keys = select(subjects.c.lookup, subjects.c.wrapped_key, subjects.c.identity)
        secret = (await connection.execute(keys.where(subjects.c.subject == people["ada"]))).one()
    pictures = {path.name for path in settings.blobs_dir.rglob("*") if path.is_file()}
    await app.vault.release_hold(people["ada"])
    await app.accounts.erase(people["ada"])
    left = {path.name for path in settings.blobs_dir.rglob("*") if path.is_file()}
    assert left < pictures

    fresh = Settings(data_dir=tmp_path / "fresh", database={"url": database_url}, _env_file=None)
    erased = erased_since(folder, [tmp_path / "missing", settings.data_dir])
    assert erased is not None
    assert set(erased) == {people["ada"]}
    engine = open_database(database_url)
    restored = await restore(engine, blobs=fresh.blobs_dir, keys=fresh.keys_dir, folder=folder, erased=erased)
    await engine.dispose()
    assert restored.erased_again == 1
    assert {path.name for path in fresh.blobs_dir.rglob("*") if path.is_file()} == left
    raw = _raw(fresh.data_dir)
    for word in (PROMPT.encode(), b"xylophones", secret.lookup.encode(), secret.wrapped_key, secret.identity):
        assert word not in raw

    async with open_app(fresh) as again:
        with pytest.raises(ErasedError):
            await again.vault.identity(people["ada"])
        assert await again.vault.find("room", "room:1", "ada") is None
        assert await again.vault.held(people["ada"]) is None
        assert (await again.vault.identity(people["bob"])).name == "Bob"
        assert len(await again.accounts.pictures(people["bob"])) == 1
        assert not any(one.blob for one in await again.releases.of_subject(people["ada"]))
        said = [e for e in await again.ledger.entries(people["ada"]) if e.entry.kind is EventKind.ERASED]
        assert len(said) == 1
        assert (await again.ledger.audit()).ok
        file = fresh.data_dir / file_name(again.keys.origin)
        assert read(file, origin=again.keys.origin) == erased


async def test_a_list_that_is_older_than_the_backup_is_refused(house, draw_by_hand, tmp_path) -> None:
    people, settings = await _two_people(house, draw_by_hand), house.settings
    await house.app.accounts.erase(people["ada"])
    folder = tmp_path / "backup"
    await backup(house.app.database, blobs=settings.blobs_dir, keys=settings.keys_dir, folder=folder)
    engine = open_database(f"sqlite:///{tmp_path / 'new.db'}")
    places = {"blobs": tmp_path / "b", "keys": tmp_path / "k", "folder": folder}
    try:
        with pytest.raises(ConfigurationError, match="older than the backup"):
            await restore(engine, **places, erased={})
        await restore(engine, **places, erased=erased_since(folder, [settings.data_dir]))  # nothing was left
    finally:
        await engine.dispose()


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("VERSO_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("VERSO_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_command_asks_for_the_list(
    shell: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def meet_and_erase(*, erase: bool) -> str:
        async with open_app(load_settings()) as app:
            subject = await app.vault.subject("terminal", "terminal", "ada", name="Ada")
            if erase:
                await app.accounts.erase(subject)
            return subject

    asyncio.run(meet_and_erase(erase=False))
    assert run(["backup", "backups/monday"]) == 0
    monkeypatch.setenv("VERSO_RETENTION__BACKUP_DIR", str(shell / "backups"))
    subject = asyncio.run(meet_and_erase(erase=True))
    (beside,) = (shell / "backups").glob("erasures-*.jsonl")
    assert subject in beside.read_text()
    assert beside.read_text() == (shell / "data" / beside.name).read_text()
    monkeypatch.delenv("VERSO_RETENTION__BACKUP_DIR")

    monkeypatch.setenv("VERSO_DATA_DIR", str(shell / "new"))
    beside.rename(shell / beside.name)  # the list went with the old disk
    capsys.readouterr()
    assert run(["restore", "backups/monday"]) == 1
    assert "--erasures-lost" in " ".join(capsys.readouterr().err.split())
    assert not (shell / "new").exists()
    damaged = (shell / beside.name).read_text().replace('"count": 1', '"count": 2')
    (shell / "damaged").mkdir()
    (shell / "damaged" / beside.name).write_text(damaged)
    assert run(["restore", "backups/monday", "--erasures", "damaged"]) == 1
    assert run(["restore", "backups/monday", "--erasures", str(shell)]) == 0
    assert "Erased again: 1" in capsys.readouterr().out

    monkeypatch.setenv("VERSO_DATA_DIR", str(shell / "third"))
    assert run(["restore", "backups/monday", "--erasures-lost"]) == 0
    assert "Repeat the erasures" in capsys.readouterr().out
