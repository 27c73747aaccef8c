"""The benchmarks run and tell what they promise; their figures are not judged here."""

from __future__ import annotations

import pytest
from sqlalchemy import inspect
from sqlalchemy.ext.asyncio import AsyncEngine

from generation import bench_arrivals, bench_engine, bench_onnx, bench_queue, bench_trace

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation:DeprecationWarning"
)  # diffusers' own


async def test_the_queue_is_measured_and_cleaned_up(
    sqlite_engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench_queue, "_DEEP", 100)
    monkeypatch.setattr(bench_queue, "_ROUNDS", 2)
    figures = await bench_queue.bench_queue(sqlite_engine)
    assert {
        "submit_per_s", "jobs_per_s", "claim_p50_ms_empty", "claim_p50_ms_20k", "light_user_p95_ratio"
    } <= set(figures)  # fmt: skip
    assert figures["light_user_p95_ratio"] <= 0.3  # no matter of time: the trace counts in services
    async with sqlite_engine.connect() as connection:
        tables = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
    assert "jobs" not in tables


async def test_the_engine_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_engine, "_ROUNDS", 1)
    monkeypatch.setattr(bench_engine, "_MANY", 8)
    monkeypatch.setattr(bench_engine, "_CHANNELS", (8, 16))
    monkeypatch.setattr(bench_engine, "SAMPLERS", {"UniPC": "unipc"})
    monkeypatch.setattr(bench_trace, "REQUESTS", 6)
    monkeypatch.setattr(bench_trace, "SEEDS", (10,))
    monkeypatch.setattr(bench_arrivals, "STEPS", (3, 6))
    monkeypatch.setattr(bench_onnx, "_ROUNDS", 1)
    figures = await bench_engine.bench_engine()
    assert figures["bit_exact"] == {"UniPC": True}
    assert figures["exact_equal"] is figures["bucket_equal"] is True
    assert figures["overhead_ratio"] > 0
    assert figures["cancel_ticks_max"] <= 2
    assert figures["onnx_max_diff"] <= 1
    assert figures["onnx_threads_equal"] is True
    policies = {"serial", "static", "stepwise"} | ({"bucket"} if figures["trace_rows"] > 1 else set())
    assert set(figures["load"]["0.8"]) == policies
    assert set(figures["exact"]) == {"first_preview_p95_ratio", "mean_latency_ratio", "throughput_ratio"}
    for key in ("first_preview_p95_ratio", "mean_latency_ratio", "throughput_ratio", "onnx_cpu_ratio"):
        assert figures[key] > 0
