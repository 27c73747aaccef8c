"""Who is served next, how long the queue is, and who is refused."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from generation.errors import RequestLimitError
from generation.fairness import Ahead, Lane, ahead_of, cost_of, virtual_finish, virtual_start
from generation.job import ImageRequest, JobStatus
from generation.lanes import next_job
from generation.queue import JobQueue, QueueLimits
from generation.tables import jobs, lanes


async def plain(_user_id: str, data: bytes) -> bytes:
    return data


def a_queue(engine: AsyncEngine, **limits: object) -> JobQueue:
    defaults = {"user_jobs": 1000, "workspace_jobs": 1000, "eta_s": 1e9, "retry_pause_s": 0.0}
    return JobQueue(engine, seal=plain, unseal=plain, limits=QueueLimits(**{**defaults, **limits}))


def a_request(*, steps: int = 10, count: int = 1, guidance: float = 1.0, width: int = 512) -> ImageRequest:
    return ImageRequest(
        prompt="p",
        model_id="tiny",
        width=width,
        height=512,
        seed=0,
        count=count,
        num_inference_steps=steps,
        guidance_scale=guidance,
    )


async def submit(
    queue: JobQueue, key: str, *, workspace="w", user="u", steps=10, weight=1.0, user_weight=1.0
):
    return await queue.submit(
        a_request(steps=steps),
        workspace_id=workspace,
        user_id=user,
        reply_to=b"",
        dedupe_key=key,
        weight=weight,
        user_weight=user_weight,
        job_id=key,
    )


async def drain(queue: JobQueue, count: int = 10**6) -> list[str]:
    served = []
    while len(served) < count and (job := await queue.claim("worker")) is not None:
        served.append(job.id)
        await queue.finish(job, ())
    return served


def test_cost_counts_steps_rows_and_pixels() -> None:
    assert cost_of(a_request()) == 10
    assert cost_of(a_request(count=3)) == 30
    assert cost_of(a_request(guidance=7.5)) == 20  # guidance draws a second row
    assert cost_of(a_request(width=1024)) == 20


def test_a_user_queues_behind_himself_and_rest_earns_nothing() -> None:
    assert virtual_finish(cost=5, weight=1, last_finish=None, virtual_time=100) == 105
    assert virtual_finish(cost=5, weight=1, last_finish=130, virtual_time=100) == 135
    assert virtual_finish(cost=5, weight=2, last_finish=3, virtual_time=100) == 102.5
    assert virtual_start(own=2, lowest_waiting=50, highest=90) == 50
    assert virtual_start(own=70, lowest_waiting=50, highest=90) == 70
    assert virtual_start(own=None, lowest_waiting=None, highest=90) == 90
    assert virtual_start(own=None, lowest_waiting=None, highest=None) == 0


LANE = st.builds(
    lambda start, jobs, each, weight: Lane(virtual_start=start, jobs=jobs, cost=jobs * each, weight=weight),
    start=st.floats(0, 100),
    jobs=st.integers(1, 50),
    each=st.floats(0.5, 20),
    weight=st.sampled_from([0.5, 1.0, 3.0]),
)


@given(own=LANE, others=st.lists(LANE, max_size=8))
def test_what_is_ahead_lies_between_the_own_lane_and_everything(own: Lane, others: list[Lane]) -> None:
    ahead = ahead_of(own, others)
    assert own.jobs <= ahead.jobs <= own.jobs + sum(lane.jobs for lane in others)
    assert own.cost <= ahead.cost <= own.cost + sum(lane.cost for lane in others) + 1e-6


def test_two_equal_lanes_alternate() -> None:
    own = Lane(virtual_start=0, jobs=3, cost=30)
    other = Lane(virtual_start=0, jobs=10, cost=100)
    assert ahead_of(own, [other]) == Ahead(jobs=6, cost=60)


async def test_a_flood_delays_light_users_of_the_same_workspace_little(engine: AsyncEngine) -> None:
    queue = a_queue(engine)
    for number in range(14):
        await submit(queue, f"flood{number}", user="flood")
    assert await drain(queue, 3) == ["flood0", "flood1", "flood2"]
    for user in ("ann", "bob"):
        for number in range(2):
            await submit(queue, f"{user}{number}", user=user)
    served = await drain(queue)
    assert max(served.index(f"{user}{number}") for user in ("ann", "bob") for number in range(2)) < 7


async def test_many_users_do_not_help_a_workspace(sqlite_engine: AsyncEngine) -> None:
    queue = a_queue(sqlite_engine)
    for number in range(8):
        await submit(queue, f"crowd{number}", workspace="crowd", user=f"c{number}")
    for number in range(3):
        await submit(queue, f"single{number}", workspace="single", user="s")
    served = await drain(queue)
    assert [served.index(f"single{number}") for number in range(3)] == [1, 3, 5]


async def test_weights_share_the_machine(sqlite_engine: AsyncEngine) -> None:
    queue = a_queue(sqlite_engine)
    for number in range(20):
        await submit(queue, f"big{number}", workspace="big", weight=3.0)
        await submit(queue, f"small{number}", workspace="small", weight=1.0)
    served = await drain(queue, 24)
    assert sum(job_id.startswith("big") for job_id in served) == pytest.approx(18, abs=1)


async def test_user_weights_share_a_workspace(sqlite_engine: AsyncEngine) -> None:
    queue = a_queue(sqlite_engine)
    for number in range(24):
        await submit(queue, f"patron{number}", user="patron", user_weight=2.0)
        await submit(queue, f"guest{number}", user="guest")
    served = await drain(queue, 24)
    assert sum(job_id.startswith("patron") for job_id in served) == pytest.approx(16, abs=1)


async def test_dear_jobs_count_for_more(sqlite_engine: AsyncEngine) -> None:
    queue = a_queue(sqlite_engine)
    for number in range(8):
        await submit(queue, f"dear{number}", workspace="a", steps=40)
    for number in range(32):
        await submit(queue, f"cheap{number}", workspace="b", steps=10)
    served = await drain(queue, 20)
    assert sum(job_id.startswith("dear") for job_id in served) == pytest.approx(4, abs=1)


async def test_rest_earns_no_credit(sqlite_engine: AsyncEngine) -> None:
    queue = a_queue(sqlite_engine)
    for number in range(30):
        await submit(queue, f"busy{number}", workspace="busy")
    await drain(queue, 20)
    for number in range(10):
        await submit(queue, f"rested{number}", workspace="rested")
    served = await drain(queue, 10)
    assert sum(job_id.startswith("busy") for job_id in served) == pytest.approx(5, abs=1)


async def test_places_tell_the_order_of_service(sqlite_engine: AsyncEngine) -> None:
    queue = a_queue(sqlite_engine)
    shuffled = random.Random(3)
    for number in range(16):
        await submit(
            queue, f"j{number}", workspace=shuffled.choice("abc"), user=shuffled.choice("xyz"), steps=10
        )
    places = {f"j{number}": (await queue.place(f"j{number}")).place for number in range(16)}
    served = await drain(queue)
    for rank, job_id in enumerate(served, start=1):
        assert places[job_id] == pytest.approx(rank, abs=2)  # within one job of each of the other workspaces
    assert (await queue.place("j0")).place == 0


async def test_the_wait_follows_from_the_measured_pace(sqlite_engine: AsyncEngine) -> None:
    queue = a_queue(sqlite_engine)
    assert (await submit(queue, "measured")).eta_s is None  # nothing has been measured
    await drain(queue)
    async with sqlite_engine.begin() as connection:  # it took 2 s for a cost of 10
        await connection.execute(update(jobs).values(started_ms=jobs.c.finished_ms - 2000))
    await submit(queue, "running")
    await queue.claim("worker")
    submission = await submit(queue, "waiting")
    assert submission.place == 1
    assert submission.eta_s == pytest.approx(4.0, abs=0.5)  # the running job and itself
    assert (await queue.place("running")).eta_s == pytest.approx(2.0, abs=0.5)
    async with sqlite_engine.begin() as connection:  # a second worker halves it
        await connection.execute(
            update(jobs)
            .where(jobs.c.id == "waiting")
            .values(status=JobStatus.RUNNING, started_ms=jobs.c.created_ms)
        )
    assert (await submit(queue, "third")).eta_s == pytest.approx(3.0, abs=0.5)


async def test_a_long_queue_refuses_and_names_the_wait(engine: AsyncEngine) -> None:
    queue = a_queue(engine, eta_s=5.0)
    await submit(queue, "measured")
    await drain(queue)
    async with engine.begin() as connection:
        await connection.execute(update(jobs).values(started_ms=jobs.c.finished_ms - 2000))
    await submit(queue, "a")
    await submit(queue, "b")
    with pytest.raises(RequestLimitError) as refusal:
        await submit(queue, "c")
    assert refusal.value.field == "queue"
    assert refusal.value.retry_after_s == pytest.approx(1.0, abs=0.3)
    assert await queue.get("c") is None


async def test_users_and_workspaces_have_limits(sqlite_engine: AsyncEngine) -> None:
    queue = a_queue(sqlite_engine, user_jobs=2, workspace_jobs=3)
    await submit(queue, "a", user="ann")
    await queue.claim("worker")  # running jobs count too
    await submit(queue, "b", user="ann")
    with pytest.raises(RequestLimitError) as refusal:
        await submit(queue, "c", user="ann")
    assert (refusal.value.field, refusal.value.value) == ("user_jobs", 2)
    await submit(queue, "d", user="bob")
    with pytest.raises(RequestLimitError) as refusal:
        await submit(queue, "e", user="eve")
    assert refusal.value.field == "workspace_jobs"
    await submit(queue, "f", user="eve", workspace="elsewhere")


async def test_a_workspace_has_a_budget_by_the_hour(engine: AsyncEngine) -> None:
    queue = a_queue(engine, workspace_cost_per_hour=25.0)
    await submit(queue, "a")
    await submit(queue, "b")
    async with engine.begin() as connection:  # the first one was half an hour ago
        await connection.execute(
            update(jobs).where(jobs.c.id == "a").values(created_ms=jobs.c.created_ms - 1_800_000)
        )
    with pytest.raises(RequestLimitError) as refusal:
        await submit(queue, "c")
    assert refusal.value.field == "workspace_cost"
    assert refusal.value.retry_after_s == pytest.approx(1800, abs=5)
    with pytest.raises(RequestLimitError) as refusal:
        await submit(queue, "d", steps=100)
    assert refusal.value.retry_after_s is None  # never fits
    await submit(queue, "e", workspace="elsewhere")


async def test_resting_lanes_are_forgotten_and_busy_ones_kept(engine: AsyncEngine) -> None:
    queue = a_queue(engine)
    for number in range(5):
        await submit(queue, f"old{number}", workspace=f"old{number}")
    for number in range(4):
        await submit(queue, f"busy{number}", workspace="busy")
    await drain(queue, 7)
    await queue.reap()
    async with engine.connect() as connection:
        kept = (await connection.scalars(select(lanes.c.workspace_id))).all()
    assert kept == ["busy"]
    await submit(queue, "back", workspace="old3")
    assert sorted(await drain(queue)) == ["back", "busy2", "busy3"]


async def test_a_job_that_comes_back_finds_its_lane(sqlite_engine: AsyncEngine) -> None:
    queue = a_queue(sqlite_engine)
    await submit(queue, "first", workspace="gone")
    job = await queue.claim("worker")
    async with sqlite_engine.begin() as connection:
        await connection.execute(lanes.delete())
    await queue.fail(job, code="x", message="", retryable=True)
    assert (await queue.claim("worker")).id == "first"
    async with sqlite_engine.connect() as connection:
        assert await connection.scalar(select(func.count()).select_from(lanes)) == 1


async def test_a_claim_walks_indexes_only(sqlite_engine: AsyncEngine) -> None:
    statement = next_job(None, None).element.compile(
        dialect=sqlite_engine.dialect, compile_kwargs={"literal_binds": True}
    )
    async with sqlite_engine.connect() as connection:
        plan = (await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}")).all()
    steps = [row[3] for row in plan]
    assert any("USING" in step and "INDEX" in step for step in steps)
    assert not [step for step in steps if "B-TREE" in step or ("SCAN" in step and "USING" not in step)]
