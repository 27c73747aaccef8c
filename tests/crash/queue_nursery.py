"""Forks workers on demand, so that a test can kill many of them without paying for many interpreters.

Reads lines from standard input; for each it forks a worker and prints its process id. The workers use the
real queue and blob store; their drawing is a short sleep, because here the queue is under test.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path

from sqlalchemy import Column, Integer, MetaData, String, Table, insert

from bot.database import open_database
from generation.blobs import FolderBlobStore
from generation.errors import LeaseLostError
from generation.job import Job, StoredImage
from generation.outage import is_away
from generation.outbox import Outbox
from generation.queue import JobQueue, QueueLimits

LIMITS = QueueLimits(
    user_jobs=10**6,
    workspace_jobs=10**6,
    eta_s=1e9,
    max_attempts=10**6,
    max_losses=10**6,
    lease_s=0.7,
    retry_pause_s=0.0,
)

witness_metadata = MetaData()
witness = Table(
    "witness",
    witness_metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("job_id", String(64), nullable=False),  # on purpose not unique: it counts what `on_finish` did
)


async def plain(_user_id: str, data: bytes) -> bytes:
    return data


async def on_finish(connection, job: Job, _images) -> None:
    await connection.execute(insert(witness).values(job_id=job.id))


async def draw(queue: JobQueue, blobs: FolderBlobStore, job: Job) -> None:
    for _ in range(3):
        await asyncio.sleep(0.015)
        await queue.outage.outlast(lambda: queue.beat(job))
    blob = await blobs.put(job.id.encode() * 50)
    image = StoredImage(
        index=0,
        blob=blob,
        seed=0,
        width=1,
        height=1,
        pixels_sha256="0" * 64,
        credits=(),
        note=None,
        profile={},
    )
    await queue.outage.outlast(lambda: queue.finish(job, [image], on_finish=on_finish))


async def work(url: str, folder: Path) -> None:
    """Draw and post, like a server with an engine of its own."""
    database = open_database(url)
    queue = JobQueue(database, seal=plain, unseal=plain, limits=LIMITS)
    blobs = FolderBlobStore(folder / "blobs")
    box = Outbox(database, lease_s=0.7)
    while True:
        try:
            await queue.reap()
            await post(box, folder)
            job = await queue.claim(str(os.getpid()))
            if job is None:
                await asyncio.sleep(0.02)
                continue
            try:
                await draw(queue, blobs, job)
            except LeaseLostError:
                (folder / "lost" / f"{job.id}.{job.fence}").touch()
        except Exception as error:
            if not is_away(error, database_only=False):
                raise
            await queue.outage.wait(error)


async def post(box: Outbox, folder: Path) -> None:
    """Deliver one item to a platform that knows a message by its nonce, as Discord does."""
    item = await box.claim()
    if item is None:
        return
    message = folder / "messages" / f"{item.job_id}.{item.kind}"
    with contextlib.suppress(LeaseLostError):
        await box.beat(item)  # it is still ours
        with contextlib.suppress(FileExistsError):
            message.touch(exist_ok=False)
        await box.done(item)


def main() -> None:
    url, folder = sys.argv[1], Path(sys.argv[2])
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel buries the dead
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            sys.stdin.close()
            asyncio.run(work(url, folder))
            os._exit(1)
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
