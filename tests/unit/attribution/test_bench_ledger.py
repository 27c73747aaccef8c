from __future__ import annotations

from pathlib import Path

from attribution.bench import bench_ledger
from bot.database import open_database


async def test_the_bench_measures_what_it_promises(tmp_path: Path) -> None:
    figures = await bench_ledger(
        tmp_path, open_database=open_database, small=600, large=900, singles=3, batched=300, proofs=3
    )
    promised = {"single_per_s", "fsync_per_s", "batched_per_s", "proof_ms_1e5", "proof_ms_1e6"}
    assert promised | {
        "batched_per_cpu_s",
        "bytes_per_leaf",
        "single_to_fsync",
        "single_cpu_ms",
        "seed",
    } == set(figures)
    assert all(value > 0 for value in figures.values())
