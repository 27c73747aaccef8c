"""Workers are killed and paused at random moments: no job is lost, and each is completed exactly once."""

from __future__ import annotations

import asyncio
import os
import random
import runpy
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from generation.blobs import FolderBlobStore
from generation.job import ImageRequest, JobStatus
from generation.queue import JobQueue
from generation.tables import jobs, outbox, results

NURSERY = Path(__file__).with_name("queue_nursery.py")
SHARED = runpy.run_path(str(NURSERY), run_name="nursery")
WORKERS = 3
SEED = 20


class Nursery:
    """The workers of one test."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.alive: list[int] = []

    @classmethod
    async def open(cls, url: str, folder: Path) -> Nursery:
        with (folder / "nursery.log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                NURSERY,
                url,
                folder,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env={**os.environ, "PYTHONPATH": str(NURSERY.parents[2])},
            )
        return cls(process)

    async def spawn(self) -> int:
        self.process.stdin.write(b"\n")
        await self.process.stdin.drain()
        self.alive.append(int(await self.process.stdout.readline()))
        return self.alive[-1]

    def kill(self, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)
        self.alive.remove(pid)

    async def close(self) -> None:
        for pid in list(self.alive):
            self.kill(pid)
        self.process.stdin.close()
        await self.process.wait()


@pytest.fixture
async def nursery(database_url: str, tmp_path: Path, engine: AsyncEngine) -> AsyncIterator[Nursery]:
    async with engine.begin() as connection:
        await connection.run_sync(SHARED["witness_metadata"].create_all)
    for name in ("lost", "messages"):
        (tmp_path / name).mkdir()
    nursery = await Nursery.open(database_url, tmp_path)
    yield nursery
    await nursery.close()


async def submit(queue: JobQueue, number: int) -> tuple[str, bool]:
    request = ImageRequest(
        prompt="p", model_id="m", width=64, height=64, seed=0, num_inference_steps=1, guidance_scale=1.0
    )
    submission = await queue.submit(
        request,
        workspace_id=f"w{number % 3}",
        user_id=f"u{number % 7}",
        reply_to=b"",
        dedupe_key=f"event {number}",
    )
    return submission.job.id, submission.created


async def unfinished(engine: AsyncEngine) -> int:
    query = select(func.count()).select_from(jobs).where(jobs.c.status != JobStatus.SUCCEEDED)
    async with engine.execution_options(read_only=True).connect() as connection:
        return await connection.scalar(query)


async def pause_one_past_its_lease(engine: AsyncEngine, nursery: Nursery) -> bool:
    """Stop a worker in the middle of a job until another has the job, then let it go on."""
    running = select(jobs.c.id, jobs.c.fence, jobs.c.worker_id).where(jobs.c.status == JobStatus.RUNNING)
    reader = engine.execution_options(read_only=True)
    async with reader.connect() as connection:
        held = (await connection.execute(running)).all()
    for job_id, fence, worker_id in held:
        if int(worker_id) not in nursery.alive:
            continue
        os.kill(int(worker_id), signal.SIGSTOP)
        try:
            for _ in range(40):  # it may have been stopped with the database's lock in its hand: not for ever
                async with reader.connect() as connection:
                    now = (await connection.execute(select(jobs).where(jobs.c.id == job_id))).one()
                if now.fence > fence:
                    return True
                if now.status != JobStatus.RUNNING:
                    break  # it had just finished
                await asyncio.sleep(0.05)
        finally:
            os.kill(int(worker_id), signal.SIGCONT)
    return False


async def test_nothing_is_lost_and_nothing_done_twice(
    engine: AsyncEngine, nursery: Nursery, tmp_path: Path
) -> None:
    on_sqlite = engine.dialect.name == "sqlite"
    kills, pauses, number_of_jobs = (42, 2, 90) if on_sqlite else (15, 2, 60)
    chance = random.Random(SEED)
    queue = JobQueue(engine, seal=SHARED["plain"], unseal=SHARED["plain"], limits=SHARED["LIMITS"])
    for _ in range(WORKERS):
        await nursery.spawn()
    acknowledged: dict[int, str] = {}
    refused = submitted = 0
    while kills or pauses or submitted < number_of_jobs or await unfinished(engine):
        for _ in range(2):
            # The platform delivers some events twice, at once or late.
            number = (
                submitted if chance.random() < 0.7 or not acknowledged else chance.choice(list(acknowledged))
            )
            if number >= number_of_jobs and (kills or pauses) and await unfinished(engine) < 2 * WORKERS:
                number_of_jobs += 1  # keep the workers busy until the last of them has been killed
            if number < number_of_jobs:
                job_id, created = await submit(queue, number)
                assert acknowledged.setdefault(number, job_id) == job_id
                refused += not created
                submitted += created
        await asyncio.sleep(chance.uniform(0.02, 0.12))
        if kills:
            nursery.kill(chance.choice(nursery.alive))
            await nursery.spawn()
            kills -= 1
        elif pauses and await pause_one_past_its_lease(engine, nursery):
            pauses -= 1

    async with engine.connect() as connection:
        status = dict((await connection.execute(select(jobs.c.id, jobs.c.status))).all())
        drawn = (await connection.execute(select(results.c.job_id, results.c.blob))).all()
        told = (await connection.scalars(select(outbox.c.job_id).where(outbox.c.kind == "deliver"))).all()
        witnessed = (await connection.scalars(select(SHARED["witness"].c.job_id))).all()
        if on_sqlite:
            assert await connection.scalar(text("PRAGMA integrity_check")) == "ok"
    everyone = sorted(acknowledged.values())
    assert refused > 0  # there were duplicates
    assert sorted(status) == everyone
    assert set(status.values()) == {JobStatus.SUCCEEDED}
    assert sorted(job_id for job_id, _ in drawn) == everyone
    assert sorted(told) == everyone
    assert sorted(witnessed) == everyone
    blobs = FolderBlobStore(tmp_path / "blobs")
    for job_id, blob in drawn:
        assert await blobs.get(blob) == job_id.encode() * 50
    assert list((tmp_path / "lost").iterdir())  # the paused workers came back, and dropped their work
