"""The step engine: one thread that advances all pictures in flight, one denoising step at a time.

Each tick admits newcomers, drops the cancelled, lets `batching` choose who advances, runs one forward, and
settles whoever is done. Requests are added from any event loop; nothing here blocks one.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import InvalidStateError

from generation.batching import PREVIEW_STEPS, Flight, Mode, next_batch
from generation.catalog import Catalog
from generation.errors import GenerationError, JobCancelledError
from generation.families.base import InFlight, Service
from generation.job import GeneratedImage, ImageRequest
from generation.models import ModelShelf
from generation.pictures import decode_source, to_png
from generation.profile import prepare_machine, profile_of
from generation.tickets import OnProgress, Ticket, as_generation_error

__all__ = ["Engine", "OnProgress"]

_log = logging.getLogger(__name__)

_PREVIEW_EVERY = 4  # steps, after the first preview
_FIRST_STEP_S = 0.5  # a guess until a step of the model has been measured


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
        models: int = 2,
        services: Mapping[str, Service] | None = None,
    ) -> None:
        """Set up; loads nothing.

        Args:
            catalog: the models on offer.
            device: "cpu", "cuda" or "cuda:1".
            threads: for torch on the CPU; None: all that this process may use. Part of the profile, because
                another number gives other bits.
            mode: exact or bucket; see `batching`.
            rows: pictures in one forward in bucket mode.
            models: how many models to keep in memory.
            services: abilities of other trades for the families, e.g. {"embed": ...}.
        """
        self._catalog = catalog
        self._device = device
        self._threads = threads or len(os.sched_getaffinity(0))
        self._mode: Mode = mode
        self._rows = rows if mode == "bucket" else 1
        self._shelf = ModelShelf(device=device, room=models, services=services or {})
        self._inbox: queue.SimpleQueue[Ticket | None] = queue.SimpleQueue()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._tickets: list[Ticket] = []
        self._step_s: dict[str, float] = {}  # model id -> measured duration of one step of one picture

    async def generate(
        self,
        request: ImageRequest,
        *,
        source: bytes | None = None,
        on_progress: OnProgress | None = None,
        should_cancel: Callable[[], bool] | None = None,
    ) -> tuple[GeneratedImage, ...]:
        """Draw all pictures of a request.

        Args:
            request: what to draw.
            source: the source picture of img2img as a PNG, JPEG or WebP file.
            on_progress: called after every few steps, on the engine's thread.
            should_cancel: asked at every tick, on the engine's thread; must not block.

        Returns:
            The pictures by index.

        Raises:
            UnknownModelError: the model is not in the catalog.
            RequestLimitError: the model may not be asked for this.
            SourceImageError: the source picture cannot be read.
            ModelLoadError: the model's files cannot be loaded.
            OutOfMemoryError: the device is too small.
            JobCancelledError: `should_cancel` said so, or the engine was closed.
            GenerationError: something else broke; the log has the details.
        """
        card = self._catalog.get(request.model_id)
        card.check(request)
        ticket = Ticket(
            request=request,
            card=card,
            source=source,
            on_progress=on_progress,
            should_cancel=should_cancel,
            arrival=time.monotonic(),
        )
        with self._starting:
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
            self._inbox.put(None)
        if thread is not None:
            await asyncio.to_thread(thread.join)

    # --- on the engine's thread ---

    def _run(self) -> None:
        try:
            self._machine = prepare_machine(device=self._device, threads=self._threads)
            while self._admit():
                self._drop_unwanted()
                self._tick()
        except BaseException as error:
            _log.exception("the engine's thread ends")
            self._fail_all(as_generation_error(error))
            raise
        finally:
            with self._starting:
                self._closed = True
            self._fail_all(JobCancelledError("the engine is closed"))
            self._shelf.clear()

    def _admit(self) -> bool:
        """Take in what has arrived; wait for it if nothing is in flight. False: it is time to end."""
        while True:
            try:
                ticket = self._inbox.get(block=not self._tickets)
            except queue.Empty:
                return True
            if ticket is None:
                return False
            try:
                self._start(ticket)
            except Exception as error:  # noqa: BLE001 - one request must not end the others
                self._fail(ticket, error)

    def _start(self, ticket: Ticket) -> None:
        if ticket.unwanted():
            raise JobCancelledError("the job was cancelled")
        source = None if ticket.source is None else decode_source(ticket.source)
        ticket.model = self._shelf.get(
            ticket.card, in_use=lambda model: any(other.model is model for other in self._tickets)
        )
        for index in range(ticket.request.count):
            ticket.rows.append(ticket.loaded.prepare(ticket.request, index=index, source=source))
        self._tickets.append(ticket)

    def _drop_unwanted(self) -> None:
        for ticket in [ticket for ticket in self._tickets if ticket.unwanted()]:
            self._fail(ticket, JobCancelledError("the job was cancelled"))

    def _tick(self) -> None:
        """Advance one batch, and settle whatever is done."""
        places: dict[int, tuple[Ticket, InFlight]] = {}
        flights: list[Flight] = []
        for ticket in self._tickets:
            for row in ticket.rows:
                if row.step < row.steps:
                    places[len(places)] = (ticket, row)
                    flights.append(self._flight(len(flights), ticket, row))
        batch = [places[flight.id] for flight in next_batch(flights, rows=self._rows)]
        if batch:
            self._advance(batch)
        for ticket in list(self._tickets):
            try:
                self._settle(ticket)
            except Exception as error:  # noqa: BLE001 - one request must not end the others
                self._fail(ticket, error)

    def _flight(self, number: int, ticket: Ticket, row: InFlight) -> Flight:
        return Flight(
            id=number,
            key=(ticket.card.id, ticket.loaded.compatibility(row)),
            arrival=ticket.arrival,
            step=row.step,
            steps=row.steps,
            step_s=self._step_s.get(ticket.card.id, _FIRST_STEP_S),
        )

    def _advance(self, batch: Sequence[tuple[Ticket, InFlight]]) -> None:
        tickets = list(dict.fromkeys(ticket for ticket, _ in batch))
        model, card = tickets[0].loaded, tickets[0].card
        started = time.monotonic()
        try:
            model.denoise([row for _, row in batch], pad_to=self._rows if self._mode == "bucket" else None)
        except Exception as error:  # noqa: BLE001 - these requests must not end the others
            for ticket in tickets:
                self._fail(ticket, error)
            return
        took = (time.monotonic() - started) / len(batch)
        self._step_s[card.id] = 0.5 * (self._step_s.get(card.id, took) + took)
        for ticket, row in batch:
            try:
                self._report(ticket, row)
            except Exception as error:  # noqa: BLE001 - neither must a broken preview or callback
                self._fail(ticket, error)

    def _report(self, ticket: Ticket, row: InFlight) -> None:
        if ticket.on_progress is None:
            return
        due = row.step == PREVIEW_STEPS or row.step % _PREVIEW_EVERY == 0
        preview = ticket.loaded.preview(row) if due and row.step < row.steps else None
        ticket.on_progress(ticket.done, ticket.steps, None if preview is None else to_png(preview))

    def _settle(self, ticket: Ticket) -> None:
        """Decode the pictures that are done; after the last one the request is over."""
        for index, row in enumerate(ticket.rows):
            if row.step >= row.steps and index not in ticket.pictures:
                ticket.pictures[index] = self._finished(ticket, index, row)
        if len(ticket.pictures) == ticket.request.count:
            self._tickets.remove(ticket)
            pictures = tuple(ticket.pictures[index] for index in sorted(ticket.pictures))
            with contextlib.suppress(InvalidStateError):  # whoever waited has just gone away
                ticket.outcome.set_result(pictures)

    def _finished(self, ticket: Ticket, index: int, row: InFlight) -> GeneratedImage:
        model, request = ticket.loaded, ticket.request
        facts = model.facts(row)
        decoded = model.decode(row)
        height, width, _ = decoded.pixels.shape
        profile = profile_of(
            ticket.card,
            request,
            index=index,
            machine=self._machine,
            mode=self._mode,
            rows=self._rows,
            facts=facts,
            pixels=decoded.pixels,
        )
        return GeneratedImage(
            index=index,
            png=to_png(decoded.pixels),
            seed=request.seed + index,
            width=width,
            height=height,
            credits=decoded.credits,
            note=decoded.note,
            profile=profile.to_json(),
        )

    def _fail(self, ticket: Ticket, error: BaseException) -> None:
        if ticket in self._tickets:
            self._tickets.remove(ticket)
        with contextlib.suppress(InvalidStateError):  # whoever waited has just gone away
            ticket.outcome.set_exception(as_generation_error(error))

    def _fail_all(self, error: GenerationError) -> None:
        for ticket in list(self._tickets):
            self._fail(ticket, error)
        while True:
            try:
                waiting = self._inbox.get_nowait()
            except queue.Empty:
                return
            if waiting is not None:
                self._fail(waiting, error)
