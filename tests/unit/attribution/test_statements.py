"""Trips to the database: few, whole, and nothing left open by whoever was cancelled on the way."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator

import aiosqlite
import pytest
from sqlalchemy import event, select
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine

from attribution import merkle, tree
from attribution.ledger import Ledger
from attribution.record import EventKind
from attribution.statements import Statement, Steps, perform, query, transact
from attribution.tables import leaves, nodes
from attribution.vault import Vault

MakeLedger = Callable[..., Ledger]


@contextlib.contextmanager
def counting(engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What goes to the driver's thread on SQLite, and to the server on PostgreSQL."""
    trips: list[str] = []
    hand_over = aiosqlite.Connection._execute

    async def counted(
        self: aiosqlite.Connection, function: Callable[..., object], *arguments: object
    ) -> object:
        trips.append(function.__name__)
        return await hand_over(self, function, *arguments)

    def sent(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        trips.append(statement)

    if engine.dialect.name == "sqlite":
        with monkeypatch.context() as patch:
            patch.setattr(aiosqlite.Connection, "_execute", counted)
            yield trips
        return
    event.listen(engine.sync_engine, "before_cursor_execute", sent)
    yield trips
    event.remove(engine.sync_engine, "before_cursor_execute", sent)


async def test_an_append_takes_one_trip_or_two_statements(
    engine: AsyncEngine,
    a_ledger: MakeLedger,
    a_vault: Callable[..., Vault],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    vault = a_vault(engine)
    ledger = a_ledger(engine, vault=vault)
    subject = await vault.subject("t", "t", "1")
    arguments = {"subject": subject, "public": {"job_id": "j"}, "private": {"prompt": "a kite"}}
    await ledger.append(EventKind.JOB_ACCEPTED, **arguments)  # opens a connection, learns the person's key
    with counting(engine, monkeypatch) as trips:
        await ledger.append(EventKind.JOB_ACCEPTED, **arguments)
    assert len(trips) == (1 if engine.dialect.name == "sqlite" else 2), trips
    batch = [await ledger.prepare(EventKind.JOB_ACCEPTED, **arguments) for _ in range(100)]
    with counting(engine, monkeypatch) as trips:
        await ledger.append_many(batch)
    assert len(trips) == (1 if engine.dialect.name == "sqlite" else 2), trips
    assert (await ledger.audit()).ok
    assert len(await ledger.openings([one.entry.id for one in batch])) == 100


async def test_a_cancelled_append_is_whole_or_not_there(engine: AsyncEngine, a_ledger: MakeLedger) -> None:
    ledger = a_ledger(engine)
    await ledger.append(EventKind.POSTED, subject="")
    ended = []
    for number in range(40):
        task = asyncio.create_task(ledger.append(EventKind.POSTED, subject="", public={"number": number}))
        for _ in range(number % 8):
            await asyncio.sleep(0.0003)
        task.cancel()
        ended.append((await asyncio.gather(task, return_exceptions=True))[0])
    assert any(isinstance(one, asyncio.CancelledError) for one in ended)
    receipt = await asyncio.wait_for(ledger.append(EventKind.POSTED, subject=""), 30)
    assert receipt.leaf_index >= sum(not isinstance(one, BaseException) for one in ended)
    assert (await ledger.audit()).ok


async def test_steps_that_fail_take_everything_back(engine: AsyncEngine, a_ledger: MakeLedger) -> None:
    ledger = a_ledger(engine)
    await ledger.append(EventKind.POSTED, subject="")

    def failing() -> Steps:
        head = yield from tree.locked_head()
        growth = merkle.grow(head.tree_size, head.frontier, [bytes(32)])
        new = tree.Head.after(growth, lambda _size, _root: "a note")
        yield from tree.written_head(new, growth.nodes, leaf_rows=[])
        raise LookupError

    for _ in range(3):
        with pytest.raises(LookupError):
            await transact(engine, failing())
    assert await ledger.size() == 1
    await ledger.append(EventKind.POSTED, subject="")
    assert (await ledger.audit()).ok


async def test_a_text_that_is_too_long_is_refused_not_cut(engine: AsyncEngine) -> None:
    if engine.dialect.name == "sqlite":
        pytest.skip("SQLite knows no length")
    growth = merkle.grow(0, (), [bytes(32)])
    row = {
        "leaf_index": 0,
        "entry_id": "0" * 17,
        "kind": "posted",
        "subject": "",
        "job_id": None,
        "image_id": None,
        "leaf": b"{}",
    }
    head = tree.Head.after(growth, lambda _size, _root: "a note")
    with pytest.raises(DBAPIError, match="too long"):
        await transact(engine, tree.written_head(head, growth.nodes, leaf_rows=[row]))
    async with engine.connect() as connection:
        assert (await connection.execute(select(leaves))).all() == []


async def test_steps_run_inside_the_callers_transaction(engine: AsyncEngine) -> None:
    growth = merkle.grow(0, (), [bytes(32)])
    head = tree.Head.after(growth, lambda _size, _root: "a note")
    async with engine.connect() as connection:
        await perform(connection, tree.written_head(head, growth.nodes, leaf_rows=[]))
        assert await tree.read_nodes(connection, [(0, 1)]) == {0: bytes(32)}
        await connection.rollback()
    async with engine.connect() as connection:
        assert (await connection.execute(select(nodes))).all() == []


async def test_the_databases_refusal_is_sqlalchemys_error(sqlite_engine: AsyncEngine) -> None:
    def reading() -> Steps:
        yield Statement(select(leaves)), {}

    async with sqlite_engine.begin() as connection:
        await connection.exec_driver_sql("DROP TABLE leaves")
    async with sqlite_engine.connect() as connection:
        with pytest.raises(OperationalError, match="no such table"):
            await query(connection, reading())
