"""The worker with a real queue, engine and blob store."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import io
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncEngine

from generation.blobs import FolderBlobStore
from generation.card import ModelCard
from generation.catalog import Catalog
from generation.engine import Engine
from generation.job import ImageRequest, Job, JobStatus
from generation.outbox import Outbox
from generation.progress import ProgressBoard
from generation.queue import JobQueue, QueueLimits
from generation.tables import jobs
from generation.worker import Worker

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation:DeprecationWarning"
)  # diffusers' own

USER = "u"


async def seal(user_id: str, data: bytes) -> bytes:
    return user_id.encode() + bytes(byte ^ 0x5A for byte in data)


async def unseal(user_id: str, sealed: bytes) -> bytes:
    if not sealed.startswith(user_id.encode()):
        raise PermissionError(user_id)
    return bytes(byte ^ 0x5A for byte in sealed[len(user_id) :])


class House:
    """One queue, one engine, one blob store, and workers on demand."""

    def __init__(self, database: AsyncEngine, card: ModelCard, folder: Path) -> None:
        self.database = database
        limits = QueueLimits(user_jobs=100, retry_pause_s=0.0, max_attempts=2)
        self.queue = JobQueue(database, seal=seal, unseal=unseal, limits=limits)
        self.engine = Engine(Catalog([card]), threads=1)
        self.blobs = FolderBlobStore(folder / "blobs")
        self.progress = ProgressBoard()
        self.outbox = Outbox(database)

    def worker(self, **options: object) -> Worker:
        options = {"seal": seal, "unseal": unseal, "beat_s": 0.02, **options}
        return Worker(self.queue, self.engine, self.blobs, self.progress, **options)

    async def submit(self, key: str = "e", **changes: object) -> Job:
        request = ImageRequest(
            prompt="a red apple",
            model_id="tiny",
            width=64,
            height=64,
            seed=3,
            num_inference_steps=4,
            guidance_scale=5.0,
        )
        submission = await self.queue.submit(
            dataclasses.replace(request, **changes),
            workspace_id="w",
            user_id=USER,
            reply_to=b"",
            dedupe_key=key,
        )
        return submission.job

    async def told(self) -> str | None:
        item = await self.outbox.claim()
        return item.kind if item else None

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(60):
            while not condition():  # noqa: ASYNC110 - it looks at what others write, with no event to wait for
                await asyncio.sleep(0.005)

    async def until_final(self, *submitted: Job) -> list[Job]:
        async with asyncio.timeout(60):
            while True:
                ended = [await self.queue.get(job.id) for job in submitted]
                if all(job.status.final for job in ended):
                    return ended
                await asyncio.sleep(0.02)


@pytest.fixture
async def house(sqlite_engine: AsyncEngine, tiny_card: ModelCard, tmp_path: Path) -> AsyncIterator[House]:
    house = House(sqlite_engine, tiny_card, tmp_path)
    yield house
    await house.engine.close()


async def test_a_job_is_drawn_sealed_stored_and_told(house: House) -> None:
    job = await house.submit(count=2)
    witnessed: list[tuple[str, int]] = []

    async def on_finish(_connection, finished: Job, images) -> None:
        witnessed.append((finished.id, len(images)))

    assert await house.worker(on_finish=on_finish).run_one() is True
    assert await house.worker().run_one() is False
    assert (await house.queue.get(job.id)).status is JobStatus.SUCCEEDED
    assert witnessed == [(job.id, 2)]
    assert await house.told() == "deliver"
    for image in await house.queue.results(job.id):
        sealed = await house.blobs.get(image.blob)
        assert not sealed.startswith(b"\x89PNG")
        picture = np.asarray(Image.open(io.BytesIO(await unseal(USER, sealed))))
        assert hashlib.sha256(picture.tobytes()).hexdigest() == image.pixels_sha256
        assert image.profile["seed"] == image.seed
    assert house.progress.latest(job.id) is None  # tidied up


async def test_progress_is_published(house: House) -> None:
    job = await house.submit(num_inference_steps=6)
    seen = []

    async def watch() -> None:
        seen.extend([news async for news in house.progress.watch(job.id)])

    watching = asyncio.create_task(watch())
    await house.worker().run_one()
    await asyncio.wait_for(watching, 10)
    assert seen
    assert all(news.steps == 6 for news in seen)
    assert any(news.preview_png for news in seen)


async def test_the_source_picture_is_unsealed(house: House) -> None:
    stream = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(stream, "PNG")
    blob = await house.blobs.put(await seal(USER, stream.getvalue()))
    job = await house.submit(source_blob=blob, strength=0.5)
    await house.worker().run_one()
    (image,) = await house.queue.results(job.id)
    assert image.profile["source"] is True


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"source_blob": "0" * 64}, "blob_missing"),
        ({"noise_scheduler": "magic"}, "request_limit"),
        ({"model_id": "gone"}, "unknown_model"),
    ],
)
async def test_a_hopeless_job_fails_at_once(house: House, changes, code: str) -> None:
    job = await house.submit(**changes)
    assert await house.worker().run_one() is True
    ended = await house.queue.get(job.id)
    assert (ended.status, ended.error_code, ended.attempt) == (JobStatus.FAILED, code, 1)
    assert await house.told() == "failed"


async def test_a_source_of_somebody_else_fails_after_its_attempts(house: House) -> None:
    blob = await house.blobs.put(await seal("x", b"picture"))
    job = await house.submit(source_blob=blob)
    worker = house.worker()
    assert await worker.run_one() is True
    assert (await house.queue.get(job.id)).status is JobStatus.QUEUED
    assert await worker.run_one() is True
    ended = await house.queue.get(job.id)
    assert (ended.status, ended.error_code) == (JobStatus.FAILED, "internal")


async def test_a_failing_ledger_has_the_job_drawn_again(house: House) -> None:
    job = await house.submit()
    tries = []

    async def on_finish(_connection, finished: Job, _images) -> None:
        tries.append(finished.attempt)
        if len(tries) == 1:
            raise RuntimeError("conflict")

    worker = house.worker(on_finish=on_finish)
    assert await worker.run_one() is True
    assert await worker.run_one() is True
    assert tries == [1, 2]
    assert (await house.queue.get(job.id)).status is JobStatus.SUCCEEDED


async def test_a_running_job_can_be_cancelled(house: House) -> None:
    job = await house.submit(num_inference_steps=50, count=4)
    working = asyncio.create_task(house.worker().run_one())
    await house.until(lambda: house.progress.latest(job.id))
    assert await house.queue.cancel(job.id, user_id=USER) is True
    assert await asyncio.wait_for(working, 60) is True
    assert (await house.queue.get(job.id)).status is JobStatus.CANCELLED
    assert await house.queue.results(job.id) == ()
    assert await house.told() == "cancelled"


async def test_a_lost_lease_drops_the_work(house: House) -> None:
    job = await house.submit(num_inference_steps=50, count=4)
    working = asyncio.create_task(house.worker().run_one())
    await house.until(lambda: house.progress.latest(job.id))
    async with house.database.begin() as connection:  # another worker has reaped and claimed it
        await connection.execute(update(jobs).values(fence=jobs.c.fence + 1))
    assert await asyncio.wait_for(working, 60) is True
    assert (await house.queue.get(job.id)).status is JobStatus.RUNNING
    assert await house.queue.results(job.id) == ()


async def test_stop_finishes_the_job_in_hand(house: House) -> None:
    first, second = await house.submit("a", num_inference_steps=10), await house.submit("b")
    stop = asyncio.Event()
    serving = asyncio.create_task(house.worker().run(stop))
    await house.until(lambda: house.progress.latest(first.id))
    stop.set()
    await asyncio.wait_for(serving, 60)
    assert (await house.queue.get(first.id)).status is JobStatus.SUCCEEDED
    assert (await house.queue.get(second.id)).status is JobStatus.QUEUED


async def test_a_hard_stop_gives_the_job_back(house: House) -> None:
    job = await house.submit(num_inference_steps=50, count=4)
    serving = asyncio.create_task(house.worker().run(asyncio.Event()))
    await house.until(lambda: house.progress.latest(job.id))
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    waiting = await house.queue.get(job.id)
    assert (waiting.status, waiting.attempt) == (JobStatus.QUEUED, 0)


async def test_a_hard_stop_ends_the_worker_even_if_the_database_is_broken(house: House, caplog) -> None:
    job = await house.submit(num_inference_steps=50, count=4)
    serving = asyncio.create_task(house.worker().run(asyncio.Event()))
    await house.until(lambda: house.progress.latest(job.id))
    async with house.database.begin() as connection:
        await connection.run_sync(lambda sync: sync.exec_driver_sql("ALTER TABLE jobs RENAME TO away"))
    serving.cancel()
    await asyncio.wait([serving], timeout=60)
    assert serving.cancelled()
    assert "could not be given back" in caplog.text


async def test_a_closing_engine_gives_the_job_back(house: House) -> None:
    job = await house.submit(num_inference_steps=50, count=4)
    working = asyncio.create_task(house.worker().run_one())
    await house.until(lambda: house.progress.latest(job.id))
    await house.engine.close()
    assert await asyncio.wait_for(working, 60) is True
    assert (await house.queue.get(job.id)).status is JobStatus.QUEUED


async def test_a_serving_worker_wakes_for_new_jobs_and_uses_its_slots(house: House) -> None:
    stop = asyncio.Event()
    serving = asyncio.create_task(house.worker(slots=2).run(stop))
    submitted = [await house.submit(f"e{number}", seed=number) for number in range(4)]
    ended = await house.until_final(*submitted)
    stop.set()
    await asyncio.wait_for(serving, 60)
    assert [job.status for job in ended] == [JobStatus.SUCCEEDED] * 4


async def test_a_silent_rivals_job_is_taken_over(house: House) -> None:
    job = await house.submit()
    await house.queue.claim("silent")
    async with house.database.begin() as connection:
        await connection.execute(update(jobs).values(lease_until_ms=1))
    stop = asyncio.Event()
    serving = asyncio.create_task(house.worker().run(stop))
    (ended,) = await house.until_final(job)
    stop.set()
    await serving
    assert (ended.status, ended.attempt, ended.fence) == (JobStatus.SUCCEEDED, 2, 2)


async def test_the_worker_survives_a_broken_database(house: House, caplog, monkeypatch) -> None:
    monkeypatch.setattr("generation.worker._ERROR_PAUSE_S", 0.01)
    stop = asyncio.Event()
    async with house.database.begin() as connection:
        await connection.run_sync(lambda sync: sync.exec_driver_sql("ALTER TABLE jobs RENAME TO away"))
    serving = asyncio.create_task(house.worker().run(stop))
    await house.until(lambda: "cannot serve the queue" in caplog.text)
    async with house.database.begin() as connection:
        await connection.run_sync(lambda sync: sync.exec_driver_sql("ALTER TABLE away RENAME TO jobs"))
    job = await house.submit()
    (ended,) = await house.until_final(job)
    stop.set()
    await serving
    assert ended.status is JobStatus.SUCCEEDED
