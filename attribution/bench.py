"""Figures of the ledger: appends against the disk's own speed, and the time of a proof."""

from __future__ import annotations

import os
import random
import secrets
import time
from collections.abc import Callable, Container, Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy.ext.asyncio import AsyncEngine

from attribution import merkle, tree
from attribution.checkpoint import Checkpoint, sign_checkpoint
from attribution.erasing import after_erase
from attribution.ledger import Ledger
from attribution.record import EventKind
from attribution.signing import LedgerKeys
from attribution.statements import Steps, transact
from attribution.tables import metadata
from attribution.vault import Vault

_SEED = 20_261_124  # which leaves are proved
_ORIGIN = "verso/bench"
_FILL = 20_000  # rows per bulk insert
_BATCH = 256
_PROMPT = "a watercolor of a lighthouse on a cliff above a stormy sea, soft light, muted colors"


async def bench_ledger(
    folder: Path,
    *,
    open_database: Callable[[str], AsyncEngine],
    small: int = 100_000,
    large: int = 1_000_000,
    singles: int = 400,
    batched: int = 8_192,
    proofs: int = 300,
) -> dict[str, float]:
    """Measure a ledger on SQLite in `folder`, which has to be on the disk that is asked about.

    Args:
        folder: takes a database file of about 130 MB at the default sizes; the caller removes it.
        open_database: makes an engine from a URL, with the settings that the service uses.
        small: leaves at which appends and proofs are measured.
        large: leaves at which proofs are measured again. Beyond `small` every node of the tree is stored,
            but of the leaves only those that will be proved.
        singles: single appends, each its own transaction, taken in turn with as many raw fsyncs.
        batched: appends in batches of 256.
        proofs: inclusion proofs of random leaves at each size.

    Returns:
        `single_per_s`, `fsync_per_s`, `single_to_fsync`, `single_cpu_ms` and `batched_per_cpu_s` (of this
        process's CPU time: what other programs take of the machine does not count), `batched_per_s`,
        `proof_ms_1e5`, `proof_ms_1e6` (medians, at `small` and `large`), `bytes_per_leaf` (database size with
        openings) and `seed`.
    """
    engine = open_database(f"sqlite:///{folder / 'bench.db'}")
    try:
        async with engine.begin() as connection:
            await connection.run_sync(metadata.create_all)
        signer = Ed25519PrivateKey.generate()
        vault = Vault(engine, vault_key=secrets.token_bytes(32), lookup_key=secrets.token_bytes(32))
        ledger = Ledger(engine, keys=LedgerKeys(origin=_ORIGIN, signer=signer), vault=vault)
        subject = await vault.subject("bench", "bench", "1")
        batched_per_s, batched_per_cpu_s, bytes_per_leaf = await _batches(
            ledger, subject, batched, engine, folder
        )
        chosen = random.Random(_SEED)
        await _fill(engine, signer, small, range(small))
        single_per_s, fsync_per_s, single_cpu_ms = await _singles(ledger, subject, singles, folder)
        proof_small = await _proofs(ledger, [chosen.randrange(small) for _ in range(proofs)])
        proved = [chosen.randrange(small + singles, large) for _ in range(proofs)]
        await _fill(engine, signer, large, set(proved))
        proof_large = await _proofs(ledger, proved)
    finally:
        await engine.dispose()
    return {
        "single_per_s": round(single_per_s, 1),
        "fsync_per_s": round(fsync_per_s, 1),
        "single_to_fsync": round(single_per_s / fsync_per_s, 3),
        "single_cpu_ms": round(single_cpu_ms, 3),
        "batched_per_s": round(batched_per_s, 1),
        "batched_per_cpu_s": round(batched_per_cpu_s, 1),
        "proof_ms_1e5": round(proof_small, 3),
        "proof_ms_1e6": round(proof_large, 3),
        "bytes_per_leaf": round(bytes_per_leaf, 1),
        "seed": _SEED,
    }


async def _batches(
    ledger: Ledger, subject: str, count: int, engine: AsyncEngine, folder: Path
) -> tuple[float, float, float]:
    """Appends in batches per second and per second of CPU time, and bytes on the disk per leaf."""
    before = await _size(engine, folder)
    started, worked = time.perf_counter(), time.process_time()
    for start in range(0, count, _BATCH):
        await ledger.append_many(
            [
                await ledger.prepare(
                    EventKind.PROMPT_SUBMITTED,
                    subject=subject,
                    public={"job_id": secrets.token_hex(8), "model_id": "sticker-v1"},
                    private={"prompt": _PROMPT},
                )
                for _ in range(min(_BATCH, count - start))
            ]
        )
    elapsed, cpu = time.perf_counter() - started, time.process_time() - worked
    return count / elapsed, count / cpu, (await _size(engine, folder) - before) / count


async def _singles(ledger: Ledger, subject: str, count: int, folder: Path) -> tuple[float, float, float]:
    """Single appends and raw fsyncs per second, taken in turn, and an append's CPU time in milliseconds."""
    appending = syncing = working = 0.0
    with (folder / "fsync.bin").open("wb", buffering=0) as file:
        page = secrets.token_bytes(4096)
        for _ in range(count):
            started, worked = time.perf_counter(), time.process_time()
            await ledger.append(
                EventKind.PROMPT_SUBMITTED,
                subject=subject,
                public={"job_id": secrets.token_hex(8), "model_id": "sticker-v1"},
                private={"prompt": _PROMPT},
            )
            appending += time.perf_counter() - started
            working += time.process_time() - worked
            started = time.perf_counter()
            file.write(page)
            os.fsync(file.fileno())
            syncing += time.perf_counter() - started
    return count / appending, count / syncing, 1000 * working / count


async def _proofs(ledger: Ledger, indexes: Sequence[int]) -> float:
    """Median milliseconds of an inclusion proof."""
    taken = []
    for index in indexes:
        started = time.perf_counter()
        await ledger.prove(index)
        taken.append(time.perf_counter() - started)
    return sorted(taken)[len(taken) // 2] * 1000


async def _fill(engine: AsyncEngine, signer: Ed25519PrivateKey, size: int, stored: Container[int]) -> None:
    """Grow the tree to `size` leaves in bulk: true nodes, short leaves, rows only for the `stored` ones."""
    done = False
    while not done:
        done = await transact(engine, _filling(signer, size, stored))


def _filling(signer: Ed25519PrivateKey, size: int, stored: Container[int]) -> Steps:
    """Steps: at most `_FILL` leaves more; gives whether the tree has its size."""
    head: tree.Head = yield from tree.locked_head()
    count = min(_FILL, size - head.tree_size)
    if count <= 0:
        return True
    numbers = range(head.tree_size, head.tree_size + count)
    filling = [b"%d" % number for number in numbers]
    rows = [
        {
            "leaf_index": number,
            "entry_id": secrets.token_hex(8),
            "kind": "posted",
            "subject": "",
            "job_id": None,
            "image_id": None,
            "leaf": leaf,
        }
        for number, leaf in zip(numbers, filling, strict=True)
        if number in stored
    ]
    growth = merkle.grow(head.tree_size, head.frontier, [merkle.leaf_hash(leaf) for leaf in filling])
    head = tree.Head.after(
        growth,
        lambda size, root: sign_checkpoint(
            Checkpoint(origin=_ORIGIN, tree_size=size, root_hash=root), signer
        ),
    )
    yield from tree.written_head(head, growth.nodes, leaf_rows=rows)
    return False


async def _size(engine: AsyncEngine, folder: Path) -> int:
    await after_erase(engine)  # writes the write-ahead log back
    return (folder / "bench.db").stat().st_size
