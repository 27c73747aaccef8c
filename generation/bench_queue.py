"""Measures the queue: throughput, the cost of a claim, and what fairness is worth."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from generation.job import ImageRequest, JobStatus
from generation.queue import JobQueue, QueueLimits
from generation.sealing import request_to_bytes
from generation.tables import jobs, lanes, metadata, outbox, results

TRACE_SEED = 7
_UNLIMITED = QueueLimits(user_jobs=10**6, workspace_jobs=10**6, eta_s=1e12)
_ROUNDS = 60
_DEEP = 20_000
_REQUEST = ImageRequest(
    prompt="p", model_id="m", width=512, height=512, seed=0, num_inference_steps=20, guidance_scale=1.0
)


async def bench_queue(engine: AsyncEngine) -> dict[str, float]:
    """Measure the queue in a database of its own, whose job tables it makes, fills and drops again.

    Returns:
        submit_per_s: durable submissions, one after the other.
        jobs_per_s: claim, beat and finish, one after the other.
        claim_p50_ms_empty, claim_p50_ms_20k: a claim with nothing else, and with 20,000 others, in the queue.
        claim_p95_ms_20k, claim_cpu_ms_20k: its 95th percentile, and the median of this process's own time.
        light_user_p95_ratio: the 95th percentile of light users' waits beside a flood, divided by what it is
            when the same trace is served as it comes.
        trace_seed: of that trace.
    """
    async with engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    queue = JobQueue(engine, seal=_plain, unseal=_plain, limits=_UNLIMITED)
    try:
        submit_s = [await _seconds(_submission(queue, f"s{number}")) for number in range(_ROUNDS)]
        serve_s = [await _seconds(_service(queue)) for _ in range(_ROUNDS)]
        empty_ms = []
        for number in range(_ROUNDS):
            await _submission(queue, f"e{number}")()
            empty_ms.append((await _claim_ms(queue))[0])
        await _fill(engine)
        deep_ms, deep_cpu_ms = zip(*[await _claim_ms(queue) for _ in range(_ROUNDS)], strict=True)
        await _empty(engine)
        ratio = await _light_user_p95_ratio(queue)
    finally:
        async with engine.begin() as connection:
            await connection.run_sync(metadata.drop_all)
    return {
        "submit_per_s": _ROUNDS / sum(submit_s),
        "jobs_per_s": _ROUNDS / sum(serve_s),
        "claim_p50_ms_empty": statistics.median(empty_ms),
        "claim_p50_ms_20k": statistics.median(deep_ms),
        "claim_p95_ms_20k": _p95(deep_ms),
        "claim_cpu_ms_20k": statistics.median(deep_cpu_ms),
        "light_user_p95_ratio": ratio,
        "trace_seed": TRACE_SEED,
    }


def _submission(queue: JobQueue, key: str, *, user: str = "u") -> Callable[[], Awaitable[None]]:
    async def submit() -> None:
        await queue.submit(_REQUEST, workspace_id="w", user_id=user, reply_to=b"", dedupe_key=key, job_id=key)

    return submit


def _service(queue: JobQueue) -> Callable[[], Awaitable[str | None]]:
    async def serve() -> str | None:
        job = await queue.claim("bench")
        if job is None:
            return None
        await queue.beat(job)
        await queue.finish(job, ())
        return job.id

    return serve


async def _claim_ms(queue: JobQueue) -> tuple[float, float]:
    """By the clock, and the processor's time."""
    started, spent = time.perf_counter(), time.process_time()
    job = await queue.claim("bench")
    took, spent = time.perf_counter() - started, time.process_time() - spent
    if job is not None:
        await queue.finish(job, ())
    return took * 1000, spent * 1000


async def _fill(engine: AsyncEngine) -> None:
    """Queue 20,000 jobs of 500 users in 50 workspaces, in one go."""
    common = {
        "model_id": "m",
        "images": 1,
        "status": JobStatus.QUEUED,
        "sealed_request": request_to_bytes(_REQUEST),
        "sealed_reply_to": b"",
        "cost": 20.0,
        "weight": 1.0,
        "attempt": 0,
        "losses": 0,
        "fence": 0,
        "lease_until_ms": 0,
        "ready_ms": 0,
        "cancel_requested": False,
    }
    rows = [
        {
            **common,
            "id": f"deep{number}",
            "dedupe_sha256": f"{number:064x}",
            "workspace_id": f"w{number % 50}",
            "user_id": f"u{number % 500}",
            "virtual_finish": 20.0 * (number // 500 + 1),
            "created_ms": number,
        }
        for number in range(_DEEP)
    ]
    spaces = [{"workspace_id": f"w{n}", "virtual_start": 0.0, "virtual_time": 0.0} for n in range(50)]
    async with engine.begin() as connection:
        await connection.execute(lanes.delete())
        await connection.execute(insert(lanes), spaces)
        for start in range(0, _DEEP, 1000):
            await connection.execute(insert(jobs), rows[start : start + 1000])


async def _empty(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        for table in (outbox, results, jobs, lanes):
            await connection.execute(table.delete())


async def _light_user_p95_ratio(queue: JobQueue) -> float:
    """One user floods 60 jobs; five send 4 each, 3 to 6 services apart. One service is the unit of time."""
    chance = random.Random(TRACE_SEED)
    arrivals = [(0.0, f"flood{number}", "flood") for number in range(60)]
    for user in range(5):
        moment = chance.uniform(1, 5)
        for number in range(4):
            arrivals.append((moment, f"light{user}-{number}", f"light{user}"))
            moment += chance.uniform(3, 6)
    arrivals.sort()
    first_come: dict[str, float] = {}
    clock = 0.0
    for arrived, key, _user in arrivals:
        clock = max(clock, arrived) + 1
        first_come[key] = clock - arrived
    fair: dict[str, float] = {}
    born = {key: arrived for arrived, key, _user in arrivals}
    waiting = list(arrivals)
    clock = 0.0
    serve = _service(queue)
    while len(fair) < len(arrivals):
        while waiting and waiting[0][0] <= clock:
            _arrived, key, sender = waiting.pop(0)
            await _submission(queue, key, user=sender)()
        clock += 1
        if (served := await serve()) is not None:
            fair[served] = clock - born[served]
    light = [key for key in born if key.startswith("light")]
    return _p95([fair[key] for key in light]) / _p95([first_come[key] for key in light])


def _p95(values: Sequence[float]) -> float:
    return sorted(values)[int(0.95 * (len(values) - 1))]


async def _seconds(what: Callable[[], Awaitable[object]]) -> float:
    started = time.perf_counter()
    await what()
    return time.perf_counter() - started


async def _plain(_user_id: str, data: bytes) -> bytes:
    return data
