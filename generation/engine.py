"""The engine: a thread that drives the step loop, and the way in from any event loop.

Requests are added from any event loop; nothing here blocks one. Finished pictures are decoded on a second
thread, so that the others need not wait; a watchdog ends all requests if the device hangs.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

from generation.batching import Mode
from generation.catalog import Catalog
from generation.errors import DeviceStuckError, GenerationError, JobCancelledError
from generation.families.base import Service
from generation.job import GeneratedImage, ImageRequest
from generation.knees import Knees
from generation.models import ModelShelf
from generation.profile import prepare_machine
from generation.step_loop import StepLoop
from generation.tickets import OnProgress, OnWaiting, Ticket, as_generation_error
from generation.upscaling import card_of
from generation.watchdog import Watchdog

__all__ = ["Engine", "OnProgress"]

_log = logging.getLogger(__name__)

_LOOK_S = 0.25  # how often to ask who still wants what an image server draws


class Engine:
    """Draws requests on one device.

    Its thread starts with the first request and ends with `close`.
    """

    def __init__(
        self,
        catalog: Catalog,
        *,
        device: str = "cpu",
        threads: int | None = None,
        mode: Mode = "exact",
        rows: int = 1,
        knees: Knees | None = None,
        models: int = 2,
        stuck_s: float = 600.0,
        services: Mapping[str, Service] | None = None,
    ) -> None:
        """Set up; loads nothing.

        Args:
            catalog: the models on offer.
            device: "cpu", "cuda" or "cuda:1".
            threads: for torch on the CPU; None: all that this process may use. Part of the profile, because
                another number gives other bits.
            mode: exact or bucket; see `batching`.
            rows: pictures in one forward in bucket mode, where `knees` does not know better.
            knees: measured by `verso models profile`; a model and size that stands there runs in bucket mode.
            models: how many models to keep in memory.
            stuck_s: seconds after which a step, or loading a model, is taken for a hung device.
            services: abilities of other trades for the families, e.g. {"embed": ...}.
        """
        self._catalog = catalog
        self._device = device
        self._threads = threads or len(os.sched_getaffinity(0))
        self._default_rows = rows if mode == "bucket" else 1
        self._knees = knees or Knees()
        self._stuck_s = stuck_s
        self._inbox: queue.SimpleQueue[Ticket | Literal["decoded", "ready", "end"]] = queue.SimpleQueue()
        wake = functools.partial(self._inbox.put, "ready")
        self._shelf = ModelShelf(device=device, room=models, services={"wake": wake, **(services or {})})
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._stuck = False
        self._loop: StepLoop | None = None

    async def generate(
        self,
        request: ImageRequest,
        *,
        source: bytes | None = None,
        mask: bytes | None = None,
        on_progress: OnProgress | None = None,
        on_waiting: OnWaiting | None = None,
        should_cancel: Callable[[], bool] | None = None,
        user: str = "",
    ) -> tuple[GeneratedImage, ...]:
        """Draw all pictures of a request.

        Args:
            request: what to draw.
            source: the source picture of img2img as a PNG, JPEG or WebP file.
            mask: white where to draw, black where the source picture stays; needs `source`.
            on_progress: called after every few steps, on the engine's thread.
            on_waiting: called in its place while an image server draws.
            should_cancel: asked at every tick, on the engine's thread; must not block.
            user: whose turn it takes to enter: users enter by deficit round robin.

        Returns:
            The pictures by index.

        Raises:
            UnknownModelError: the model is not in the catalog.
            RequestLimitError: the model may not be asked for this.
            SourceImageError: the source picture cannot be read.
            ModelLoadError: the model's files cannot be loaded.
            OutOfMemoryError: the device is too small.
            DeviceStuckError: the device hangs, and the process must be started again.
            JobCancelledError: `should_cancel` said so, or the engine was closed.
            GenerationError: something else broke; the log has the details.
        """
        card = self._catalog.get(request.model_id)
        card.check(request)
        ticket = Ticket(
            request=request,
            card=card_of(card, request),
            source=source,
            mask=mask,
            on_progress=on_progress,
            on_waiting=on_waiting,
            should_cancel=should_cancel,
            user=user,
            arrival=time.monotonic(),
        )
        with self._starting:
            if self._stuck:
                raise DeviceStuckError(self._device)
            if self._closed:
                raise JobCancelledError("the engine is closed")
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="verso-engine", daemon=True)
                self._thread.start()
            self._inbox.put(ticket)
        return await asyncio.wrap_future(ticket.outcome)

    async def close(self) -> None:
        """Cancel what is in flight, free the models, and end the thread."""
        with self._starting:
            self._closed = True
            thread = self._thread
            self._inbox.put("end")
        if thread is not None and not self._stuck:  # a hung device cannot be waited for
            await asyncio.to_thread(thread.join)

    # --- on the engine's thread ---

    def _run(self) -> None:
        watchdog = Watchdog(limit_s=self._stuck_s, on_stuck=self._give_up)
        decoder = ThreadPoolExecutor(1, "verso-decoder", initializer=self._prepare_thread)
        try:
            machine = prepare_machine(device=self._device, threads=self._threads)
            self._loop = StepLoop(
                self._shelf,
                machine,
                rows=self._rows_of,
                decoder=decoder,
                on_decoded=lambda: self._inbox.put("decoded"),
            )
            while self._take_in(self._loop) and not self._stuck:
                watchdog.begin()
                self._loop.tick()
                watchdog.end()
        except BaseException as error:
            _log.exception("the engine's thread ends")
            self._fail_all(as_generation_error(error))
            raise
        finally:
            watchdog.close()
            with self._starting:
                self._closed = True
            self._fail_all(JobCancelledError("the engine is closed"))
            decoder.shutdown(wait=True, cancel_futures=True)
            self._shelf.clear()

    def _prepare_thread(self) -> None:
        prepare_machine(device=self._device, threads=self._threads)  # torch's settings hold for one thread

    def _rows_of(self, model_id: str, width: int, height: int) -> int:
        return self._knees.rows(model_id, width=width, height=height) or self._default_rows

    def _take_in(self, loop: StepLoop) -> bool:
        """Take in what has arrived; wait for it if there is no step to take. False: it is time to end."""
        while True:
            try:
                arrived = self._inbox.get(block=not loop.steps_left, timeout=_LOOK_S if loop.waits else None)
            except queue.Empty:
                return True
            if arrived == "end":
                return False
            if arrived == "decoded":
                loop.collect()
            elif arrived != "ready":
                loop.add(arrived)

    def _fail_all(self, error: GenerationError) -> None:
        if self._loop is not None:
            self._loop.fail_all(error)
        while True:
            try:
                arrived = self._inbox.get_nowait()
            except queue.Empty:
                return
            if isinstance(arrived, Ticket):
                arrived.end(error)

    # --- on the watchdog's thread ---

    def _give_up(self) -> None:
        """End all requests though the engine's thread hangs; it is a daemon and holds nothing else up."""
        _log.critical("device %s has not answered for %.0f s: start again", self._device, self._stuck_s)
        with self._starting:
            self._stuck = self._closed = True
        for ticket in () if self._loop is None else self._loop.tickets:
            ticket.end(DeviceStuckError(self._device))
