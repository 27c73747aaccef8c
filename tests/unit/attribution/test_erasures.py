"""The list of erasures follows the database, and is never replaced by less than it was."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from attribution.erasures import Erasures, file_name, read
from attribution.errors import ErasureListError
from attribution.record import EventKind

ORIGIN = "verso/0123456789abcdef"
FILE = file_name(ORIGIN)


@pytest.fixture
def parts(sqlite_engine, a_vault, a_ledger, tmp_path: Path):
    vault = a_vault(sqlite_engine)
    ledger = a_ledger(sqlite_engine, vault=vault)
    folders = [tmp_path / "data", tmp_path / "backups"]
    folders[0].mkdir()
    erasures = Erasures(sqlite_engine, ledger=ledger, origin=ORIGIN, folders=folders)
    return vault, ledger, erasures, folders


async def test_the_list_and_the_ledger_follow_the_database(parts) -> None:
    vault, ledger, erasures, (data, backups) = parts
    await erasures.settle()
    assert read(data / FILE, origin=ORIGIN) == {}
    assert not backups.exists()  # not mounted: passed over
    ada, bob = await vault.subject("t", "t", "ada"), await vault.subject("t", "t", "bob")
    await vault.erase(ada)
    backups.mkdir()
    await asyncio.gather(erasures.settle(), erasures.settle())
    assert set(read(data / FILE, origin=ORIGIN)) == {ada}
    assert (backups / FILE).read_bytes() == (data / FILE).read_bytes()
    assert bob not in (data / FILE).read_text()
    assert EventKind.ERASED in {one.entry.kind for one in await ledger.entries(ada)}
    size = await ledger.size()
    await erasures.settle()
    assert await ledger.size() == size
    assert sorted(path.name for path in data.iterdir()) == [FILE]


async def test_who_is_on_the_list_stays_there_after_a_restore(parts) -> None:
    vault, _, erasures, (data, _) = parts
    await vault.erase(await vault.subject("t", "t", "ada"))
    await erasures.settle()
    unknown = "ab" * 16  # erased in a database that is gone
    head, *lines = (data / FILE).read_text().splitlines()
    about = {**json.loads(head), "count": 2}
    more = [*lines, json.dumps({"subject": unknown, "erased_ms": 5})]
    (data / FILE).write_text("\n".join([json.dumps(about), *more]) + "\n")
    await vault.erase(await vault.subject("t", "t", "bob"))
    await erasures.settle()
    listed = read(data / FILE, origin=ORIGIN)
    assert len(listed) == 3
    assert listed[unknown] == 5


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]\n",
        "x\n",
        json.dumps({"version": 1, "origin": "verso/ffffffffffffffff", "count": 0}) + "\n",
        json.dumps({"version": 1, "origin": ORIGIN, "count": 1}) + "\n",
        json.dumps({"version": 2, "origin": ORIGIN, "count": 0}) + "\n",
        json.dumps({"version": 1, "origin": ORIGIN, "count": 1})
        + "\n"
        + json.dumps({"subject": "../../etc", "erased_ms": 1}),
    ],
)
async def test_a_list_that_cannot_be_read_is_kept_and_told(parts, text: str, caplog) -> None:
    _, _, erasures, (data, _) = parts
    (data / FILE).write_text(text)
    with pytest.raises(ErasureListError):
        read(data / FILE, origin=ORIGIN)
    await erasures.settle()
    assert (data / FILE).read_text() == text
    assert "not up to date" in caplog.text
