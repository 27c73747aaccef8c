from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from attribution import merkle
from attribution.audit import AuditReport
from attribution.checkpoint import Checkpoint, VerifierKey, open_checkpoint, sign_checkpoint
from attribution.errors import LedgerConflictError, LedgerError, RecordError, VerificationError
from attribution.ledger import Ledger
from attribution.receipt import Receipt
from attribution.record import EventKind, Opening
from attribution.tables import leaves, nodes, openings, tree_heads
from attribution.vault import Vault

MakeLedger = Callable[..., Ledger]


async def filled(engine: AsyncEngine, a_ledger: MakeLedger, count: int) -> Ledger:
    ledger = a_ledger(engine)
    await ledger.append_many(
        [
            await ledger.prepare(EventKind.POSTED, subject="", public={"number": number})
            for number in range(count)
        ]
    )
    return ledger


def keys(ledger: Ledger) -> list[VerifierKey]:
    return [VerifierKey.parse(ledger.verifier_key)]


async def naive_root(engine: AsyncEngine) -> bytes:
    async with engine.connect() as connection:
        stored = list(await connection.scalars(select(leaves.c.leaf).order_by(leaves.c.leaf_index)))
    level = [merkle.leaf_hash(leaf) for leaf in stored]
    while len(level) > 1:  # pairing neighbors and carrying an odd one up is the same tree
        paired = [merkle.node_hash(level[at], level[at + 1]) for at in range(0, len(level) - 1, 2)]
        level = paired + level[len(paired) * 2 :]
    return level[0] if level else merkle.EMPTY_ROOT


async def test_a_receipt_proves_its_entry_offline(engine: AsyncEngine, a_ledger: MakeLedger) -> None:
    ledger = a_ledger(engine)
    for number in range(9):
        receipt = await ledger.append(EventKind.POSTED, subject="", public={"number": number})
        assert (receipt.leaf_index, receipt.tree_size) == (number, number + 1)
        again = Receipt.from_json(json.dumps(receipt.to_json()))
        assert again == receipt
        assert again.verify(keys(ledger)).root_hash == await naive_root(engine)
        assert again.entry.public == {"number": number}
        assert await ledger.head() == receipt.checkpoint


async def test_every_receipt_of_a_batch_verifies(sqlite_engine: AsyncEngine, a_ledger: MakeLedger) -> None:
    ledger = await filled(sqlite_engine, a_ledger, 5)
    for size in (1, 2, 7, 16):
        batch = [await ledger.prepare(EventKind.POSTED, subject="") for _ in range(size)]
        receipts = await ledger.append_many(batch)
        assert [receipt.entry_id for receipt in receipts] == [prepared.entry.id for prepared in batch]
        assert len({receipt.checkpoint for receipt in receipts}) == 1
        for receipt in receipts:
            receipt.verify(keys(ledger))
    assert await ledger.append_many([]) == ()
    assert (await ledger.audit()).ok


async def test_old_and_new_proofs_hold_for_every_leaf_and_size(
    sqlite_engine: AsyncEngine, a_ledger: MakeLedger
) -> None:
    ledger = await filled(sqlite_engine, a_ledger, 13)
    for size in range(1, 14):
        head = open_checkpoint(await ledger.checkpoint(size), keys(ledger))
        for index in range(size):
            receipt = await ledger.prove(index, size)
            assert receipt.verify(keys(ledger)) == head
        for old in range(size + 1):
            merkle.verify_consistency(
                old_size=old,
                new_size=size,
                proof=await ledger.consistency(old, size),
                old_root=open_checkpoint(await ledger.checkpoint(old), keys(ledger)).root_hash,
                new_root=head.root_hash,
            )
    assert (await ledger.prove(3)).tree_size == 13


async def test_an_empty_ledger_has_a_signed_head(engine: AsyncEngine, a_ledger: MakeLedger) -> None:
    ledger = a_ledger(engine)
    assert open_checkpoint(await ledger.head(), keys(ledger)) == Checkpoint(
        origin="verso/0123456789abcdef", tree_size=0, root_hash=merkle.EMPTY_ROOT
    )
    assert await ledger.size() == 0
    assert (await ledger.audit([await ledger.head()])).ok
    with pytest.raises(VerificationError):
        await ledger.prove(0)


async def test_what_was_never_there_cannot_be_proved(
    sqlite_engine: AsyncEngine, a_ledger: MakeLedger
) -> None:
    ledger = await filled(sqlite_engine, a_ledger, 3)
    for error, attempt in (
        (VerificationError, ledger.prove(3)),
        (VerificationError, ledger.prove(-1)),
        (VerificationError, ledger.prove(2, 2)),
        (LedgerError, ledger.prove(0, 4)),
        (LedgerError, ledger.consistency(1, 4)),
        (LedgerError, ledger.checkpoint(-1)),
        (VerificationError, ledger.consistency(3, 2)),
    ):
        with pytest.raises(error):
            await attempt
    assert await ledger.entry("0" * 16) is None


async def test_writers_at_once_never_fork_the_tree(engine: AsyncEngine, a_ledger: MakeLedger) -> None:
    async def write(writer: int) -> list[Receipt]:
        ledger = a_ledger(engine, vault=Vault(engine, vault_key=bytes(32), lookup_key=bytes(32)))
        return [
            await ledger.append(EventKind.POSTED, subject="", public={"writer": writer, "number": number})
            for number in range(25)
        ]

    receipts = [receipt for batch in await asyncio.gather(*map(write, range(4))) for receipt in batch]
    ledger = a_ledger(engine)
    assert sorted(receipt.leaf_index for receipt in receipts) == list(range(100))
    head = open_checkpoint(await ledger.head(), keys(ledger))
    assert head.tree_size == 100
    assert head.root_hash == await naive_root(engine)
    for receipt in receipts:
        old = receipt.verify(keys(ledger))
        merkle.verify_consistency(
            old_size=old.tree_size,
            new_size=100,
            proof=await ledger.consistency(old.tree_size),
            old_root=old.root_hash,
            new_root=head.root_hash,
        )
    assert (await ledger.audit([receipt.checkpoint for receipt in receipts])).ok


async def test_hidden_fields_open_and_match_their_commitments(
    engine: AsyncEngine, a_ledger: MakeLedger, a_vault: Callable[..., Vault]
) -> None:
    vault = a_vault(engine)
    ledger = a_ledger(engine, vault=vault)
    subject = await vault.subject("t", "t", "1")
    fields = {"prompt": "ein roter Apfel 🍎", "negative_prompt": ""}
    receipt = await ledger.append(
        EventKind.JOB_ACCEPTED, subject=subject, public={"job_id": "j1", "seed": 7}, private=fields
    )
    assert b"Apfel" not in receipt.leaf
    opening = await ledger.opening(receipt.entry_id)
    assert opening is not None
    assert opening.fields == fields
    opening.check(receipt.entry)
    with pytest.raises(VerificationError):
        Opening(fields={**fields, "prompt": "x"}, nonces=opening.nonces).check(receipt.entry)


async def test_entries_are_found_by_id_person_job_and_image(
    sqlite_engine: AsyncEngine, a_ledger: MakeLedger
) -> None:
    ledger = a_ledger(sqlite_engine)
    one, two = "1" * 32, "2" * 32
    first = await ledger.append(EventKind.JOB_ACCEPTED, subject=one, public={"job_id": "j1"})
    second = await ledger.append(
        EventKind.IMAGE_RELEASED, subject=one, public={"job_id": "j1", "image_id": "i1"}
    )
    third = await ledger.append(EventKind.POSTED, subject=two, public={"image_id": "i2", "job_id": 3})

    def ids(found: tuple[object, ...]) -> list[str]:
        return [stored.entry.id for stored in found]

    assert ids(await ledger.entries(one)) == [first.entry_id, second.entry_id]
    assert ids(await ledger.of_job("j1")) == [first.entry_id, second.entry_id]
    assert ids(await ledger.of_image("i2")) == [third.entry_id]
    stored = await ledger.entry(second.entry_id)
    assert stored is not None
    assert (stored.leaf_index, stored.leaf) == (1, second.leaf)
    assert (await ledger.audit()).ok


async def test_an_id_of_the_caller_is_recorded_once(engine: AsyncEngine, a_ledger: MakeLedger) -> None:
    ledger = a_ledger(engine)
    arguments = {"subject": "", "public": {"image_id": "i1"}, "entry_id": "ab" * 8}
    first = await ledger.append(EventKind.POSTED, **arguments)
    await ledger.append(EventKind.POSTED, subject="")
    again = await ledger.append(EventKind.POSTED, **arguments)
    assert (again.leaf_index, again.leaf, again.tree_size) == (first.leaf_index, first.leaf, 2)
    again.verify(keys(ledger))
    with pytest.raises(LedgerConflictError):
        await ledger.append(EventKind.DELETED, **arguments)
    assert await ledger.size() == 2
    named = [
        await ledger.prepare(EventKind.POSTED, **arguments),
        await ledger.prepare(EventKind.POSTED, subject=""),
    ]
    receipts = await ledger.append_many(named)
    assert [receipt.leaf_index for receipt in receipts] == [0, 2]
    for receipt in receipts:
        receipt.verify(keys(ledger))


async def test_an_id_twice_in_one_batch_is_a_conflict_and_leaves_nothing(
    engine: AsyncEngine, a_ledger: MakeLedger
) -> None:
    ledger = a_ledger(engine, new_id=lambda: "cd" * 8)
    batch = [await ledger.prepare(EventKind.POSTED, subject="") for _ in range(2)]
    with pytest.raises(LedgerConflictError):
        await ledger.append_many(batch)
    assert await ledger.size() == 0
    assert (await ledger.audit()).ok


async def test_an_append_follows_the_callers_transaction(engine: AsyncEngine, a_ledger: MakeLedger) -> None:
    ledger = a_ledger(engine)
    await ledger.append(EventKind.POSTED, subject="")
    prepared = await ledger.prepare(EventKind.POSTED, subject="")
    async with engine.connect() as connection:
        receipt = await ledger.append_prepared(prepared, connection)
        assert receipt.leaf_index == 1
        await connection.rollback()
    assert await ledger.size() == 1
    async with engine.begin() as connection:
        assert (await ledger.append_prepared(prepared, connection)).leaf_index == 1
        second = await ledger.append(EventKind.POSTED, subject="", connection=connection)
    assert second.leaf_index == 2
    assert (await ledger.audit()).ok


async def test_malformed_entries_are_refused_before_anything_is_written(
    sqlite_engine: AsyncEngine, a_ledger: MakeLedger
) -> None:
    ledger = a_ledger(sqlite_engine)
    for arguments in (
        {"subject": "somebody"},
        {"subject": "", "public": {"Bad Name": 1}},
        {"subject": "", "public": {"a": 2**53}},
        {"subject": "", "entry_id": "xyz"},
    ):
        with pytest.raises(RecordError):
            await ledger.append(EventKind.POSTED, **arguments)
    assert await ledger.size() == 0


async def test_a_damaged_head_stops_the_appending(sqlite_engine: AsyncEngine, a_ledger: MakeLedger) -> None:
    ledger = await filled(sqlite_engine, a_ledger, 3)
    async with sqlite_engine.begin() as connection:
        await connection.execute(update(tree_heads).values(root_hash=bytes(32)))
    with pytest.raises(LedgerError, match="ledger audit"):
        await ledger.append(EventKind.POSTED, subject="")
    assert {problem.kind for problem in (await ledger.audit()).problems} == {"head"}


# ---- audit: every way in which a database owner could cheat ----


async def audited(engine: AsyncEngine, ledger: Ledger, *statements: object) -> AuditReport:
    async with engine.begin() as connection:
        for statement in statements:
            await connection.execute(statement)
    return await ledger.audit()


def named(report: AuditReport) -> set[tuple[str, int | None]]:
    assert not report.ok
    return {(problem.kind, problem.leaf_index) for problem in report.problems}


async def test_the_audit_names_an_altered_leaf(engine: AsyncEngine, a_ledger: MakeLedger) -> None:
    ledger = await filled(engine, a_ledger, 11)
    forged = (await ledger.prove(6)).leaf.replace(b'"number":6', b'"number":9')
    report = await audited(engine, ledger, update(leaves).where(leaves.c.leaf_index == 6).values(leaf=forged))
    assert ("altered", 6) in named(report)
    assert {index for kind, index in named(report) if kind == "altered"} == {6}
    assert ("checkpoint", None) in named(report)


async def test_the_audit_names_a_leaf_altered_together_with_its_hash(
    sqlite_engine: AsyncEngine, a_ledger: MakeLedger
) -> None:
    ledger = await filled(sqlite_engine, a_ledger, 11)
    forged = (await ledger.prove(6)).leaf.replace(b'"number":6', b'"number":9')
    report = await audited(
        sqlite_engine,
        ledger,
        update(leaves).where(leaves.c.leaf_index == 6).values(leaf=forged),
        update(nodes).where(nodes.c.id == merkle.node_id(0, 6)).values(hash=merkle.leaf_hash(forged)),
    )
    assert any("leaves 6 to 7" in problem.detail for problem in report.problems)


async def test_the_audit_names_a_dropped_leaf(engine: AsyncEngine, a_ledger: MakeLedger) -> None:
    ledger = await filled(engine, a_ledger, 11)
    report = await audited(engine, ledger, delete(leaves).where(leaves.c.leaf_index == 4))
    assert named(report) == {("missing", 4)}


async def test_the_audit_names_reordered_leaves(sqlite_engine: AsyncEngine, a_ledger: MakeLedger) -> None:
    ledger = await filled(sqlite_engine, a_ledger, 11)
    report = await audited(
        sqlite_engine,
        ledger,
        update(leaves).where(leaves.c.leaf_index == 2).values(leaf_index=-1),
        update(leaves).where(leaves.c.leaf_index == 7).values(leaf_index=2),
        update(leaves).where(leaves.c.leaf_index == -1).values(leaf_index=7),
    )
    assert {("reordered", 2), ("reordered", 7)} <= named(report)
    assert "leaf 2 holds what was recorded as leaf 7" in {problem.detail for problem in report.problems}


async def test_the_audit_names_an_altered_missing_or_surplus_node(
    sqlite_engine: AsyncEngine, a_ledger: MakeLedger
) -> None:
    ledger = await filled(sqlite_engine, a_ledger, 11)
    place = nodes.c.id == merkle.node_id(2, 1)
    report = await audited(sqlite_engine, ledger, update(nodes).where(place).values(hash=bytes(32)))
    details = [problem.detail for problem in report.problems if problem.kind == "node"]
    assert details == [
        "the stored node over leaves 4 to 7 is not the hash of its two halves",
        "the stored node over leaves 0 to 7 is not the hash of its two halves",
    ]
    report = await audited(sqlite_engine, ledger, delete(nodes).where(place))
    assert [problem.detail for problem in report.problems] == [
        "the stored node over leaves 4 to 7 is missing"
    ]
    with pytest.raises(LedgerError, match="ledger audit"):
        await ledger.prove(0)
    report = await audited(
        sqlite_engine,
        ledger,
        delete(nodes).where(nodes.c.id == merkle.node_id(0, 3)),
        insert(nodes).values(id=10**6, hash=bytes(32)),
    )
    assert {("node", 3), ("node", None)} == named(report)


async def test_the_audit_names_wrong_columns_and_surplus_leaves(
    sqlite_engine: AsyncEngine, a_ledger: MakeLedger
) -> None:
    ledger = await filled(sqlite_engine, a_ledger, 4)
    report = await audited(
        sqlite_engine,
        ledger,
        update(leaves).where(leaves.c.leaf_index == 1).values(subject="5" * 32),
        insert(leaves).values(leaf_index=4, entry_id="x", kind="posted", subject="", leaf=b"{}"),
    )
    assert named(report) == {("index", 1), ("extra", 4)}


async def test_the_audit_refuses_an_unsigned_or_foreign_head(
    sqlite_engine: AsyncEngine, a_ledger: MakeLedger
) -> None:
    ledger = await filled(sqlite_engine, a_ledger, 4)
    head = open_checkpoint(await ledger.head(), keys(ledger))
    foreign = sign_checkpoint(head, Ed25519PrivateKey.from_private_bytes(bytes(32)))
    assert named(await audited(sqlite_engine, ledger, update(tree_heads).values(note=foreign))) == {
        ("head", None)
    }
    assert named(await audited(sqlite_engine, ledger, update(tree_heads).values(note=""))) == {("head", None)}
    older = await ledger.checkpoint(3)
    assert named(await audited(sqlite_engine, ledger, update(tree_heads).values(note=older))) == {
        ("head", None)
    }
    assert named(await audited(sqlite_engine, ledger, delete(tree_heads))) >= {("extra", 0), ("extra", 3)}


async def test_a_history_rewritten_with_the_key_is_caught_by_a_published_checkpoint(
    engine: AsyncEngine, a_ledger: MakeLedger
) -> None:
    ledger = await filled(engine, a_ledger, 11)
    published = await ledger.head()
    receipt = await ledger.prove(2)
    # The owner of database and key drops the last leaves and everything else, and writes a new history.
    async with engine.begin() as connection:
        for table in (leaves, nodes, tree_heads, openings):
            await connection.execute(delete(table))
    rewritten = await filled(engine, a_ledger, 14)
    assert (await rewritten.audit()).ok
    for note in (published, receipt.checkpoint):
        assert named(await rewritten.audit([note])) == {("checkpoint", None)}


async def test_a_shortened_ledger_is_caught_by_a_checkpoint(
    sqlite_engine: AsyncEngine, a_ledger: MakeLedger
) -> None:
    long = await filled(sqlite_engine, a_ledger, 11)
    published = await long.head()
    async with sqlite_engine.begin() as connection:
        for table in (leaves, nodes, tree_heads):
            await connection.execute(delete(table))
    report = await (await filled(sqlite_engine, a_ledger, 10)).audit([published])
    assert [problem.detail for problem in report.problems] == [
        "checkpoint 1 speaks of 11 leaves, the ledger has 10"
    ]


async def test_malformed_checkpoints_are_problems_not_crashes(
    sqlite_engine: AsyncEngine, a_ledger: MakeLedger
) -> None:
    ledger = await filled(sqlite_engine, a_ledger, 2)
    report = await ledger.audit(["", "nonsense\n", await ledger.head()])
    assert [problem.kind for problem in report.problems] == ["checkpoint", "checkpoint"]
    with pytest.raises(VerificationError):
        await ledger.audit(verifier_keys=["nonsense"])


async def test_the_audit_crosses_chunks(
    sqlite_engine: AsyncEngine, a_ledger: MakeLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("attribution.audit._CHUNK", 3)
    ledger = await filled(sqlite_engine, a_ledger, 20)
    report = await ledger.audit([await ledger.checkpoint(size) for size in range(1, 21)])
    assert report.ok
    assert report.checkpoints == 21
    assert report.size == 20
    assert report.root_hash == await naive_root(sqlite_engine)


async def test_the_schema_is_the_last_guard_against_a_fork(
    sqlite_engine: AsyncEngine, a_ledger: MakeLedger
) -> None:
    ledger = await filled(sqlite_engine, a_ledger, 3)
    async with sqlite_engine.begin() as connection:  # a second writer that read an old head
        await connection.execute(
            text("UPDATE tree_heads SET tree_size = 2, frontier = :f, root_hash = :r"),
            {
                "f": (frontier := merkle.node_hash(*await _leaf_hashes(sqlite_engine, 2))),
                "r": frontier,
            },
        )
    with pytest.raises(LedgerConflictError):
        await ledger.append(EventKind.POSTED, subject="")


async def _leaf_hashes(engine: AsyncEngine, count: int) -> list[bytes]:
    async with engine.execution_options(read_only=True).connect() as connection:
        rows = await connection.scalars(select(leaves.c.leaf).order_by(leaves.c.leaf_index).limit(count))
        return [merkle.leaf_hash(leaf) for leaf in rows]
