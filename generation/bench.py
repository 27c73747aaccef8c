"""The benchmarks of this trade, for `verso bench engine` and `verso bench queue`."""

from __future__ import annotations

from generation.bench_engine import bench_engine
from generation.bench_queue import bench_queue

__all__ = ["bench_engine", "bench_queue"]
