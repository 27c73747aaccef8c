"""Latency against load: the same Poisson traces through a plain pipeline, static batches, and the step loop.

The clock is virtual: it runs with this process's CPU time on one thread and jumps over idle spans, so other
load on the machine does not spoil the figures. Model, noise schedulers and decoding are real.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

from generation.bench_arrivals import Arrival, trace
from generation.bench_policies import Plain, run_serial, run_static, run_stepwise
from generation.card import ModelCard
from generation.job import ImageRequest
from generation.models import ModelShelf

LOADS = (0.5, 0.8)  # of the rate that the plain pipeline can just serve
SEEDS = (10, 11)
REQUESTS = 16


def summary(arrivals: Sequence[Arrival], makespan: float) -> dict[str, float]:
    """Figures of one run: seconds on the virtual clock, pictures per second."""
    done = [arrival for arrival in arrivals if arrival.done is not None]
    latencies = sorted((arrival.done or 0.0) - arrival.at for arrival in done)
    previews = sorted(arrival.previewed - arrival.at for arrival in done if arrival.previewed is not None)
    return {
        "mean_s": statistics.mean(latencies),
        "p95_s": _quantile(latencies, 0.95),
        "preview_p95_s": _quantile(previews, 0.95),
        "per_s": len(done) / makespan,
        "cancel_ticks": max(arrival.cancel_ticks for arrival in arrivals),
    }


def _quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def bench_traces(
    card: ModelCard, base: ImageRequest, *, rows: int = 1, loads: Sequence[float] = LOADS
) -> Mapping[str, object]:
    """Run every trace under every policy, interleaved.

    Args:
        card: of the model.
        base: what all requests have in common.
        rows: pictures in a forward in bucket mode; 1: exact mode alone is measured.
        loads: as shares of the rate that the plain pipeline can just serve.

    Returns:
        `first_preview_p95_ratio`, `mean_latency_ratio`, `throughput_ratio` (bucket mode by serial, the worst
        over the loads), `cancel_ticks_max`, `exact` (the same ratios of exact mode), and `load` {load:
        {policy: figures}}, where "stepwise" is exact mode and "bucket" the other one.
    """
    import torch  # noqa: PLC0415 - heavy

    torch.set_num_threads(1)
    plain = Plain(card)
    warm = [Arrival(at=0.0, user="", request=replace(base, num_inference_steps=20), cancel_at=None)]
    run_serial(plain, [replace(warm[0])])
    service_s = min(run_serial(plain, [replace(warm[0])]) for _ in range(3))
    shelf = ModelShelf(device="cpu", room=1, services={})
    policies: dict[str, Callable[[list[Arrival]], float]] = {
        "serial": lambda arrivals: run_serial(plain, arrivals),
        "static": lambda arrivals: run_static(plain, arrivals, service_s=service_s),
        "stepwise": lambda arrivals: run_stepwise(shelf, card, arrivals, rows=1),
    }
    if rows > 1:
        policies["bucket"] = lambda arrivals: run_stepwise(shelf, card, arrivals, rows=rows)
    policies["stepwise"]([replace(warm[0])])  # loads the model, as `Plain` has done
    by_load: dict[str, dict[str, dict[str, float]]] = {}
    for load in loads:
        runs: dict[str, list[dict[str, float]]] = {name: [] for name in policies}
        for seed in SEEDS:
            for name, run in policies.items():
                arrivals = trace(seed, load=load, service_s=service_s, requests=REQUESTS, base=base)
                runs[name].append(summary(arrivals, run(arrivals)))
        by_load[str(load)] = {name: _mean(entries) for name, entries in runs.items()}
    judged = "bucket" if rows > 1 else "stepwise"
    return {
        **_ratios(by_load.values(), judged),
        "cancel_ticks_max": int(max(each[judged]["cancel_ticks"] for each in by_load.values())),
        "exact": _ratios(by_load.values(), "stepwise"),
        "trace_rows": rows,
        "trace_seeds": list(SEEDS),
        "service_s": service_s,
        "load": by_load,
    }


def _mean(entries: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Over the traces; of the ticks of a cancelled request, the most."""
    return {
        key: (max if key == "cancel_ticks" else statistics.mean)(each[key] for each in entries)
        for key in entries[0]
    }


def _ratios(figures: Collection[Mapping[str, Mapping[str, float]]], policy: str) -> dict[str, float]:
    """Of a policy by serial, the worst over the loads."""

    def ratios(key: str) -> list[float]:
        return [policies[policy][key] / policies["serial"][key] for policies in figures]

    return {
        "first_preview_p95_ratio": max(ratios("preview_p95_s")),
        "mean_latency_ratio": max(ratios("mean_s")),
        "throughput_ratio": min(ratios("per_s")),
    }
