"""Takes jobs from the queue, has them drawn, and settles them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from generation.blobs import BlobStore
from generation.engine import Engine
from generation.errors import GenerationError, JobCancelledError, LeaseLostError
from generation.job import GeneratedImage, Job, StoredImage
from generation.outage import is_away
from generation.progress import ProgressBoard, ProgressUpdate
from generation.queue import JobQueue, OnFinish
from generation.sealing import Seal, Unseal

_log = logging.getLogger(__name__)

_IDLE_POLL_S = 0.5  # for jobs that another process has submitted; our own wake us at once
_ERROR_PAUSE_S = 2.0  # after a failure of the database or the disk
_REAP_EVERY_S = 5.0
_SETTLE_FOR_S = 120.0  # what has been drawn is worth waiting for the database; the lease may outlive it

Result = TypeVar("Result")


class Worker:
    """Serves the queue with one engine."""

    def __init__(
        self,
        queue: JobQueue,
        engine: Engine,
        blobs: BlobStore,
        progress: ProgressBoard,
        *,
        seal: Seal,
        unseal: Unseal,
        on_finish: OnFinish | None = None,
        worker_id: str | None = None,
        models: Sequence[str] | None = None,
        workspace: str | None = None,
        slots: int = 1,
        beat_s: float = 1.0,
    ) -> None:
        """Set up; nothing runs yet.

        Args:
            queue: to serve.
            engine: that draws.
            blobs: for sealed pictures.
            progress: board for progress and previews.
            seal: seals a picture under the requester's key before it is stored.
            unseal: opens the source picture of img2img.
            on_finish: see `OnFinish`.
            worker_id: for the operator's eyes; None: host and process id.
            models: ids of the models to draw; None: all.
            workspace: the only workspace to serve; None: all.
            slots: how many jobs to hold at once; more than 1 pays where the engine shares forwards.
            beat_s: seconds between two beats; well below the queue's lease.
        """
        self._queue = queue
        self._engine = engine
        self._blobs = blobs
        self._progress = progress
        self._seal = seal
        self._unseal = unseal
        self._on_finish = on_finish
        self._worker_id = (worker_id or f"{socket.gethostname()}:{os.getpid()}")[:64]
        self._models = models
        self._workspace = workspace
        self._slots = slots
        self._beat_s = beat_s

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop` is set; then finish the jobs in hand and return.

        If this task is cancelled meanwhile, the jobs in hand are given back to the queue untouched.
        """
        async with asyncio.TaskGroup() as group:
            for _ in range(self._slots):
                group.create_task(self._serve(stop))
            group.create_task(self._reap(stop))

    async def run_one(self) -> bool:
        """Claim one job and bring it to its end; returns whether there was one."""
        job = await self._queue.claim(self._worker_id, models=self._models, workspace=self._workspace)
        if job is None:
            return False
        try:
            await self._draw(job)
        except LeaseLostError:
            _log.warning("job %s was taken over by another worker; our work is dropped", job.id)
        except asyncio.CancelledError:
            await self._give_back(job)
            raise
        finally:
            self._progress.close(job.id)
        return True

    async def _give_back(self, job: Job) -> None:
        try:
            await asyncio.shield(self._queue.release(job))
        except LeaseLostError:
            pass
        except Exception as error:  # noqa: BLE001 - the database's; it must not hide that this task was cancelled
            _log.error(
                "job %s could not be given back: it waits until its lease runs out",
                job.id,
                exc_info=None if is_away(error) else error,
            )

    async def _serve(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                served = await self.run_one()
            except Exception as error:  # noqa: BLE001 - the database's or the disk's
                # The lease of the job in hand runs out and it is drawn again. The worker itself must survive
                # until the trouble is over.
                await self._sit_out(error, stop, "the worker cannot serve the queue")
                continue
            if not served:
                await self._queue.arrival(_IDLE_POLL_S)

    async def _reap(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                if reaped := await self._queue.reap():
                    _log.warning("%d jobs were taken back from silent workers", reaped)
            except Exception as error:  # noqa: BLE001 - as in `_serve`
                await self._sit_out(error, stop, "the worker cannot reap the queue")
                continue
            await _wait(stop, _REAP_EVERY_S)

    async def _sit_out(self, error: Exception, stop: asyncio.Event, what: str) -> None:
        if is_away(error):
            await self._queue.outage.wait(error, stop)
        else:
            _log.error(what, exc_info=error)
            await _wait(stop, _ERROR_PAUSE_S)

    async def _draw(self, job: Job) -> None:
        """Draw and settle the job, beating all the while.

        Raises:
            LeaseLostError: the job is another worker's now.
        """
        lease = _Lease()
        beating = asyncio.create_task(self._keep(job, lease))
        try:
            stored = await self._attempt(job, lease)
            await self._settle(lambda: self._queue.finish(job, stored, on_finish=self._on_finish))
        except LeaseLostError:
            raise
        except JobCancelledError:
            if lease.lost:
                raise LeaseLostError(f"job {job.id} is no longer ours") from None
            if await self._settle(lambda: self._queue.beat(job)):
                await self._settle(lambda: self._queue.cancelled(job))
            else:  # nobody asked for it: the engine is closing
                await self._settle(lambda: self._queue.release(job))
        except GenerationError as error:
            await self._fail(job, error, retryable=error.retryable)
        except Exception as error:  # noqa: BLE001 - the vault's, the ledger's or the disk's; a retry may help
            if is_away(error, database_only=False):
                await self._queue.outage.wait(error)
                await self._settle(lambda: self._queue.release(job))  # no fault of the job
            else:
                await self._fail(job, error, retryable=True)
        finally:
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)

    async def _settle(self, what: Callable[[], Awaitable[Result]]) -> Result:
        """Write how the job ended, once the database is there.

        If the answer to a write that went through was lost, the second one finds the lease gone: no harm.
        """
        return await self._queue.outage.outlast(what, give_up_s=_SETTLE_FOR_S)

    async def _attempt(self, job: Job, lease: _Lease) -> tuple[StoredImage, ...]:
        source = None
        if job.request.source_blob is not None:
            source = await self._unseal(job.user_id, await self._blobs.get(job.request.source_blob))
        mask = None
        if job.request.mask_blob is not None:
            mask = await self._unseal(job.user_id, await self._blobs.get(job.request.mask_blob))

        def publish(step: int, steps: int, preview: bytes | None) -> None:
            update = ProgressUpdate(job_id=job.id, step=step, steps=steps, preview_png=preview)
            self._progress.publish(update)

        def waiting(step: int, steps: int, seconds: float) -> None:
            self._progress.publish(ProgressUpdate(job_id=job.id, step=step, steps=steps, waiting_s=seconds))

        images = await self._engine.generate(
            job.request,
            source=source,
            mask=mask,
            on_progress=publish,
            on_waiting=waiting,
            should_cancel=lease.should_stop,
            user=job.user_id,
        )
        return tuple([await self._store(job, image) for image in images])

    async def _store(self, job: Job, image: GeneratedImage) -> StoredImage:
        blob = await self._blobs.put(await self._seal(job.user_id, image.png))
        return StoredImage(
            index=image.index,
            blob=blob,
            seed=image.seed,
            width=image.width,
            height=image.height,
            pixels_sha256=str(image.profile["pixels_sha256"]),
            credits=image.credits,
            note=image.note,
            profile=image.profile,
        )

    async def _fail(self, job: Job, error: Exception, *, retryable: bool) -> None:
        known = isinstance(error, GenerationError)
        code = error.code if isinstance(error, GenerationError) else "internal"
        # Only our own errors are known to hold nothing of the prompt.
        message = str(error) if known else type(error).__name__
        again = await self._settle(
            lambda: self._queue.fail(job, code=code, message=message, retryable=retryable)
        )
        _log.warning(
            "job %s failed in attempt %d (%s: %s)%s",
            job.id,
            job.attempt,
            code,
            message,
            "; it is tried again" if again else "",
            exc_info=None if known else error,
        )

    async def _keep(self, job: Job, lease: _Lease) -> None:
        """Beat until cancelled; tell the engine when it draws in vain."""
        while True:
            await asyncio.sleep(self._beat_s)
            try:
                lease.cancel_requested = await self._queue.beat(job)
            except LeaseLostError:
                lease.lost = True
                return
            except Exception as error:  # noqa: BLE001 - the database's
                # A busy database may answer the next beat; if none comes through, the lease runs out.
                if is_away(error):
                    await self._queue.outage.wait(error)
                else:
                    _log.exception("job %s: a beat failed", job.id)


class _Lease:
    """What the beats have told; read by the engine's thread."""

    def __init__(self) -> None:
        self.cancel_requested = False
        self.lost = False

    def should_stop(self) -> bool:
        return self.cancel_requested or self.lost


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()
