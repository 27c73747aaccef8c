"""Published checkpoints: each is claimed once, the file of them only grows, and they catch a rewrite."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import delete, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from attribution import checkpoint_file
from attribution.checkpoint import VerifierKey, open_checkpoint
from attribution.errors import LedgerError
from attribution.ledger import Ledger
from attribution.publications import Publications
from attribution.record import EventKind
from attribution.tables import checkpoints, leaves, nodes, tree_heads

NOW, HOUR = 1_790_000_000_000, 3_600_000
TERMS = {"period_ms": HOUR, "lease_ms": 1000}


async def grown(ledger: Ledger, count: int = 1) -> None:
    await ledger.append_many([await ledger.prepare(EventKind.POSTED, subject="") for _ in range(count)])


async def test_a_checkpoint_is_due_when_the_period_is_over_and_the_tree_grew(
    engine: AsyncEngine, a_ledger: Callable[..., Ledger]
) -> None:
    ledger, publications = a_ledger(engine), Publications(engine)
    assert await publications.claim("file", now_ms=NOW, **TERMS) is None  # nothing is recorded yet
    await grown(ledger, 3)
    first = await publications.claim("file", now_ms=NOW, **TERMS)
    assert first is not None
    assert (first.tree_size, first.note) == (3, await ledger.head())
    assert await publications.notes() == ()  # not yet shown
    await publications.done(first, now_ms=NOW)
    assert await publications.notes() == (first.note,)
    assert await publications.claim("file", now_ms=NOW + 2 * HOUR, **TERMS) is None  # it did not grow
    await grown(ledger)
    assert await publications.claim("file", now_ms=NOW + HOUR - 1, **TERMS) is None  # too early
    second = await publications.claim("file", now_ms=NOW + HOUR, **TERMS)
    assert second is not None
    assert second.tree_size == 4
    other = await publications.claim("elsewhere", now_ms=NOW, **TERMS)  # places do not wait for each other
    assert other is not None


async def test_what_was_not_finished_is_taken_up_again_with_the_same_checkpoint(
    engine: AsyncEngine, a_ledger: Callable[..., Ledger]
) -> None:
    ledger, publications = a_ledger(engine), Publications(engine)
    await grown(ledger)
    claimed = await publications.claim("file", now_ms=NOW, **TERMS)  # and here the process dies
    await grown(ledger, 5)
    assert await publications.claim("file", now_ms=NOW + 999, **TERMS) is None
    again = await publications.claim("file", now_ms=NOW + 1000, **TERMS)
    assert again == claimed
    await publications.postpone(again, until_ms=NOW + 5000)
    assert await publications.claim("file", now_ms=NOW + 4999, **TERMS) is None
    assert await publications.claim("file", now_ms=NOW + 5000, **TERMS) == claimed


async def test_of_many_that_ask_at_once_one_publishes(
    engine: AsyncEngine, a_ledger: Callable[..., Ledger]
) -> None:
    ledger = a_ledger(engine)
    await grown(ledger)

    async def ask() -> object:
        found = await Publications(engine).claim("file", now_ms=NOW, **TERMS)
        await grown(ledger)  # the head moves under those that come later
        return found

    found = await asyncio.gather(*(ask() for _ in range(6)))
    assert sum(one is not None for one in found) == 1
    async with engine.connect() as connection:
        assert len((await connection.execute(select(checkpoints))).all()) == 1


async def test_the_schema_is_the_last_guard_against_a_second_row(
    engine: AsyncEngine, a_ledger: Callable[..., Ledger]
) -> None:
    await grown(a_ledger(engine))
    claimed = await Publications(engine).claim("file", now_ms=NOW, **TERMS)
    row = {"place": "file", "tree_size": claimed.tree_size, "note": claimed.note, "published_ms": NOW}
    with pytest.raises(IntegrityError):
        async with engine.begin() as connection:
            await connection.execute(insert(checkpoints).values(**row))
    with pytest.raises(LedgerError, match="characters"):
        await Publications(engine).claim("x" * 201, now_ms=NOW, **TERMS)


async def test_the_earliest_dated_checkpoint_over_a_leaf_is_found(
    sqlite_engine: AsyncEngine, a_ledger: Callable[..., Ledger]
) -> None:
    ledger, publications = a_ledger(sqlite_engine), Publications(sqlite_engine)
    for number, token in enumerate((None, b"second", b"third")):
        await grown(ledger)
        claimed = await publications.claim("tsa", now_ms=NOW + number * HOUR, **TERMS)
        await publications.done(claimed, now_ms=NOW, token=token)
    found = await publications.dated(0, 3)
    assert (found.tree_size, found.token) == (2, b"second")
    assert (await publications.dated(2, 3)).token == b"third"
    assert await publications.dated(2, 2) is None
    assert await publications.dated(3, 9) is None


async def test_a_rewritten_history_is_caught_by_the_published_file(
    engine: AsyncEngine, a_ledger: Callable[..., Ledger], tmp_path: Path
) -> None:
    file = tmp_path / "checkpoints.jsonl"
    ledger = a_ledger(engine)
    for size in (4, 9):
        await grown(ledger, size - await ledger.size())
        checkpoint_file.append(file, await ledger.head(), published_ms=NOW)
    notes, _ = checkpoint_file.notes_in(file.read_bytes())
    assert (await ledger.audit(notes)).ok
    # The owner of database and keys writes everything anew, with a root that is rightly signed.
    async with engine.begin() as connection:
        for table in (leaves, nodes, tree_heads, checkpoints):
            await connection.execute(delete(table))
    rewritten = a_ledger(engine)
    await grown(rewritten, 12)
    assert (await rewritten.audit()).ok
    report = await rewritten.audit(notes)
    assert [problem.kind for problem in report.problems] == ["checkpoint", "checkpoint"]
    assert "the first 4 leaves" in report.problems[0].detail


# -- the file


def test_the_file_grows_by_one_line_for_each_checkpoint(tmp_path: Path) -> None:
    file = tmp_path / "public" / "checkpoints.jsonl"
    assert checkpoint_file.append(file, "one — 1\n", published_ms=1)
    before = file.read_bytes()
    assert checkpoint_file.append(file, "two\n", published_ms=2)
    assert not checkpoint_file.append(file, "two\n", published_ms=3)
    assert checkpoint_file.append(file, "two\n", published_ms=3, authority="https://tsa", token=b"\x30")
    assert not checkpoint_file.append(file, "two\n", published_ms=4, authority="https://tsa", token=b"\x30")
    assert file.read_bytes().startswith(before)
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line["published_ms"] for line in lines] == [1, 2, 3]
    assert lines[2]["timestamp"] == "MA=="
    assert checkpoint_file.notes_in(file.read_bytes()) == (("one — 1\n", "two\n"), 0)


def test_a_line_that_a_crash_cut_off_harms_no_other(tmp_path: Path) -> None:
    file = tmp_path / "checkpoints.jsonl"
    checkpoint_file.append(file, "one\n", published_ms=1)
    with file.open("ab") as cut:
        cut.write(b'{"published_ms": 2, "chec')
    torn = file.read_bytes()
    checkpoint_file.append(file, "two\n", published_ms=2)
    assert file.read_bytes().startswith(torn)
    assert checkpoint_file.notes_in(file.read_bytes()) == (("one\n", "two\n"), 1)


@pytest.mark.parametrize("line", [b"[]", b'{"checkpoint": 7}', b"\xff", b"[" * 5000, b'{"a":' * 3000])
def test_garbage_in_the_file_is_counted_not_believed(tmp_path: Path, line: bytes) -> None:
    file = tmp_path / "checkpoints.jsonl"
    checkpoint_file.append(file, "one\n", published_ms=1)
    file.write_bytes(file.read_bytes() + line + b"\n")
    checkpoint_file.append(file, "two\n", published_ms=2)
    assert checkpoint_file.notes_in(file.read_bytes()) == (("one\n", "two\n"), 1)


def test_a_single_note_is_a_file_of_one() -> None:
    assert checkpoint_file.notes_in(b"origin\n1\n") == (("origin\n1\n",), 0)


def _append_all(file: str, barrier: object) -> None:
    barrier.wait()
    for number in range(30):
        checkpoint_file.append(Path(file), f"note {number}\n", published_ms=number)


def test_two_processes_write_every_checkpoint_once(tmp_path: Path) -> None:
    file = tmp_path / "checkpoints.jsonl"
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(2)
    children = [context.Process(target=_append_all, args=(str(file), barrier)) for _ in range(2)]
    for child in children:
        child.start()
    for child in children:
        child.join(60)
    assert [child.exitcode for child in children] == [0, 0]
    lines = [json.loads(line)["checkpoint"] for line in file.read_text().splitlines()]
    assert lines == [f"note {number}\n" for number in range(30)]


async def test_the_published_note_opens_with_the_published_key(
    sqlite_engine: AsyncEngine, a_ledger: Callable[..., Ledger], tmp_path: Path
) -> None:
    ledger = a_ledger(sqlite_engine)
    await grown(ledger, 3)
    file = tmp_path / "checkpoints.jsonl"
    checkpoint_file.append(file, await ledger.head(), published_ms=NOW)
    ((note,), _) = checkpoint_file.notes_in(file.read_bytes())
    assert open_checkpoint(note, [VerifierKey.parse(ledger.verifier_key)]).tree_size == 3
