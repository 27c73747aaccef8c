"""What is removed, what must stay, and which blobs are named."""

from __future__ import annotations

import dataclasses

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from generation.errors import LeaseLostError
from generation.job import ImageRequest, Job, JobStatus, StoredImage
from generation.outbox import Outbox
from generation.queue import JobQueue, QueueLimits
from generation.tables import jobs, outbox, results

LONG_AGO, LATER = 1_000, 2_000


async def plain(_user_id: str, data: bytes) -> bytes:
    return data


@pytest.fixture
def queue(engine: AsyncEngine) -> JobQueue:
    return JobQueue(engine, seal=plain, unseal=plain, limits=QueueLimits(user_jobs=100))


def a_blob(number: int) -> str:
    return f"{number:064x}"


async def submit(queue: JobQueue, key: str, *, user: str = "u", source: str | None = None) -> Job:
    request = ImageRequest(
        prompt="p", model_id="m", width=64, height=64, seed=0, num_inference_steps=1, guidance_scale=1.0
    )
    submission = await queue.submit(
        dataclasses.replace(request, source_blob=source),
        workspace_id="w",
        user_id=user,
        reply_to=b"",
        dedupe_key=key,
    )
    return submission.job


async def draw(queue: JobQueue, key: str, blob: str, **options: str) -> Job:
    await submit(queue, key, **options)
    job = await queue.claim("worker")
    image = StoredImage(
        index=0,
        blob=blob,
        seed=0,
        width=64,
        height=64,
        pixels_sha256="0" * 64,
        credits=(),
        note=None,
        profile={},
    )
    await queue.finish(job, [image])
    return job


async def age(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.execute(
            update(jobs).where(jobs.c.finished_ms.is_not(None)).values(finished_ms=LONG_AGO)
        )


async def count(engine: AsyncEngine) -> tuple[int, ...]:
    async with engine.connect() as connection:
        return tuple(
            [
                await connection.scalar(select(func.count()).select_from(table))
                for table in (jobs, results, outbox)
            ]
        )


async def test_old_jobs_go_once_their_end_has_been_told(engine: AsyncEngine, queue: JobQueue) -> None:
    await draw(queue, "a", a_blob(1))
    await age(engine)
    assert await queue.purge(older_than_ms=LATER) == []  # nobody has been told yet
    box = Outbox(engine)
    await box.done(await box.claim())
    assert await queue.purge(older_than_ms=LONG_AGO) == []
    await draw(queue, "new", a_blob(2))
    await submit(queue, "waiting")
    assert await queue.purge(older_than_ms=LATER) == [a_blob(1)]
    assert await count(engine) == (2, 1, 1)


async def test_a_blob_that_another_job_draws_from_stays(engine: AsyncEngine, queue: JobQueue) -> None:
    await draw(queue, "a", a_blob(1))
    box = Outbox(engine)
    await box.done(await box.claim())
    await age(engine)
    await submit(queue, "b", source=a_blob(1))
    assert await queue.purge(older_than_ms=LATER) == []
    assert await count(engine) == (1, 0, 0)


async def test_a_source_belongs_to_whoever_stored_it(engine: AsyncEngine, queue: JobQueue) -> None:
    await draw(queue, "a", a_blob(1), source=a_blob(9))
    box = Outbox(engine)
    await box.done(await box.claim())
    await age(engine)
    assert await queue.purge(older_than_ms=LATER) == [a_blob(1)]


async def test_forgetting_a_user_takes_everything_and_spares_others(
    engine: AsyncEngine, queue: JobQueue
) -> None:
    await draw(queue, "a", a_blob(1))
    await draw(queue, "b", a_blob(2), source=a_blob(9))
    other = await draw(queue, "c", a_blob(3), user="other")
    await submit(queue, "d")
    running = await queue.claim("worker")
    assert await queue.forget("u") == [a_blob(1), a_blob(2), a_blob(9)]
    assert await count(engine) == (1, 1, 1)
    assert (await queue.get(other.id)).status is JobStatus.SUCCEEDED
    with pytest.raises(LeaseLostError):
        await queue.beat(running)
    assert await queue.forget("u") == []


async def test_forgetting_can_join_a_transaction(engine: AsyncEngine, queue: JobQueue) -> None:
    await draw(queue, "a", a_blob(1))

    async def fall() -> None:
        async with engine.begin() as connection:
            assert await queue.forget("u", connection) == [a_blob(1)]
            raise RuntimeError("rolled back")

    with pytest.raises(RuntimeError):
        await fall()
    assert await count(engine) == (1, 1, 1)
