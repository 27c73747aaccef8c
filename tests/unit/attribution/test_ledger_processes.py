"""Processes that write to one ledger at once: one tree comes out, also while the key is rotated."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncEngine

import attribution
from attribution import merkle
from attribution.checkpoint import VerifierKey
from attribution.key_index import load_ledger_keys, rotate_ledger_key
from attribution.keys import KeyRing
from attribution.ledger import Ledger
from attribution.receipt import Receipt
from attribution.rotation import KeyChain
from attribution.vault import Vault

WRITER = Path(__file__).with_name("ledger_writer.py")
ROOT = Path(attribution.__file__).parents[1]
WRITERS, COUNT = 2, 25


class Writer:
    """One writing process."""

    def __init__(self, url: str, folder: Path, number: int) -> None:
        self.process = subprocess.Popen(  # noqa: S603 - our own interpreter and words
            [sys.executable, str(WRITER), url, str(folder), str(number), str(COUNT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        )

    def start(self) -> None:
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def receipts(self) -> list[Receipt]:
        lines = iter(self.process.stdout.readline, "")
        found = []
        for line in lines:
            if line == "\n":
                return found
            found.append(Receipt.from_json(line))
        raise AssertionError("the writer ended before it was done")

    def end(self) -> None:
        self.process.stdin.close()
        self.process.stdout.close()
        assert self.process.wait(60) == 0


@contextmanager
def writing(url: str, folder: Path) -> Iterator[list[Writer]]:
    writers = [Writer(url, folder, number) for number in range(WRITERS)]
    try:
        yield writers
        for writer in writers:
            writer.end()
    finally:
        for writer in writers:
            writer.process.kill()
            writer.process.wait()


def round_of(writers: list[Writer]) -> list[Receipt]:
    for writer in writers:
        writer.start()
    return [receipt for writer in writers for receipt in writer.receipts()]


def a_ledger(engine: AsyncEngine, folder: Path) -> Ledger:
    ring = KeyRing.open(folder)
    vault = Vault(engine, vault_key=ring.vault_key, lookup_key=ring.lookup_key)
    return Ledger(engine, keys=ring.ledger, vault=vault, reload_keys=lambda: load_ledger_keys(folder))


async def test_two_processes_never_fork_the_ledger(
    engine: AsyncEngine, database_url: str, tmp_path: Path
) -> None:
    folder = tmp_path / "keys"
    ledger = a_ledger(engine, folder)
    with writing(database_url, folder) as writers:
        receipts = round_of(writers)
    assert sorted(receipt.leaf_index for receipt in receipts) == list(range(WRITERS * COUNT))
    own = [
        [receipt.leaf_index for receipt in receipts if receipt.entry.public["writer"] == number]
        for number in range(WRITERS)
    ]
    assert all(places == sorted(places) for places in own)
    chain = KeyChain.of([VerifierKey.parse(ledger.verifier_key)])
    head = chain.open(await ledger.head())
    for receipt in receipts:
        old = receipt.verify([VerifierKey.parse(ledger.verifier_key)])
        merkle.verify_consistency(
            old_size=old.tree_size,
            new_size=head.tree_size,
            proof=await ledger.consistency(old.tree_size),
            old_root=old.root_hash,
            new_root=head.root_hash,
        )
    report = await ledger.audit([receipt.checkpoint for receipt in receipts])
    assert report.ok, report.problems
    assert report.checkpoints == len(receipts) + 1


async def test_running_processes_take_up_a_key_that_another_one_rotated(
    engine: AsyncEngine, database_url: str, tmp_path: Path
) -> None:
    folder = tmp_path / "keys"
    ledger = a_ledger(engine, folder)
    first = ledger.verifier_key
    with writing(database_url, folder) as writers:
        before = round_of(writers)
        for writer in writers:  # they go on writing while the key is rotated under them
            writer.start()
        rotate_ledger_key(folder, now_ms=time.time_ns() // 1_000_000, overlap_ms=0)
        ledger.reload_keys()
        assert await ledger.record_rotations() == 1
        during = [receipt for writer in writers for receipt in writer.receipts()]
        after = round_of(writers)
    ((place, _),) = await ledger.rotations()
    assert ledger.verifier_key != first
    newest = [VerifierKey.parse(ledger.verifier_key)]
    for receipt in [*during, *after]:
        if receipt.tree_size > place:
            receipt.verify(newest)
    for receipt in before:
        receipt.verify([VerifierKey.parse(first)])
    notes = [receipt.checkpoint for receipt in [*before, *during, *after]]
    for trust in ([first], [ledger.verifier_key], []):
        report = await ledger.audit(notes, verifier_keys=trust)
        assert report.ok, report.problems
