"""The step loop: schedule, run, settle. One tick advances one batch of pictures by one denoising step.

It has no thread and no clock of its own: `engine` drives it on a thread, the benchmark on a virtual clock.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import time
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Executor, Future, InvalidStateError

from generation.batching import PREVIEW_STEPS, Flight, next_batch
from generation.deficit import DeficitRoundRobin
from generation.errors import GenerationError, JobCancelledError, OutOfMemoryError
from generation.fairness import cost_of
from generation.families.base import InFlight, is_ready
from generation.finishing import finished
from generation.job import GeneratedImage
from generation.models import ModelShelf
from generation.outpainting import lay_out
from generation.pictures import decode_mask, decode_source, to_png
from generation.profile import Machine
from generation.self_test import compatibility_of_test, least_rows, same_in_the_mix
from generation.tickets import Ticket, as_generation_error

_log = logging.getLogger(__name__)

_PREVIEW_EVERY = 4  # steps, after the first preview
_PREVIEW_PAUSE_S = 0.25  # at least: no chat shows them faster
_FIRST_STEP_S = 0.5  # a guess until a step of the model has been measured
_IN_FLIGHT = 32  # pictures: their latents and embeddings are small, but not nothing

Rows = Callable[[str, int, int], int]
"""(model id, width, height) -> rows of a forward; 1: exact mode."""


class StepLoop:
    """The requests of one device. Used by one thread."""

    def __init__(
        self,
        shelf: ModelShelf,
        machine: Machine,
        *,
        rows: Rows,
        clock: Callable[[], float] = time.monotonic,
        decoder: Executor | None = None,
        on_decoded: Callable[[], None] = lambda: None,
    ) -> None:
        """Set up.

        Args:
            shelf: the models.
            machine: what the profiles say about the device.
            rows: the measured knee; more than 1 is bucket mode.
            clock: in seconds.
            decoder: where finished pictures are decoded, so that the others need not wait; None: in the tick.
            on_decoded: called from that thread when `collect` has something to take.
        """
        self._shelf = shelf
        self._machine = machine
        self._rows = rows
        self._clock = clock
        self._decoder = decoder
        self._on_decoded = on_decoded
        self._waiting: DeficitRoundRobin[Ticket] = DeficitRoundRobin()
        self._tickets: list[Ticket] = []
        self._decoding: dict[Future[GeneratedImage], tuple[Ticket, int]] = {}
        self._step_s: dict[str, float] = {}  # model id -> measured duration of one step of one picture
        self._caps: dict[tuple[str, int, int], int] = {}  # after memory ran out at (model id, width, height)
        self._buckets: dict[Hashable, tuple[int, int]] = {}  # most and least rows of a forward, tested

    @property
    def tickets(self) -> tuple[Ticket, ...]:
        """All requests in hand."""
        return (*self._tickets, *self._waiting)

    @property
    def steps_left(self) -> bool:
        """Whether a tick would advance or admit anything; else there are only pictures being decoded."""
        return bool(len(self._waiting)) or any(
            row.step < row.steps and is_ready(row) for ticket in self._tickets for row in ticket.rows
        )

    @property
    def waits(self) -> bool:
        """Whether there are pictures that another machine draws."""
        return any(ticket.waits for ticket in self._tickets)

    def add(self, ticket: Ticket) -> None:
        """Take a request; it enters in its user's turn."""
        self._waiting.put(ticket.user, ticket, cost=cost_of(ticket.request))

    def tick(self) -> None:
        """Drop whom nobody wants, let others in, advance one batch, settle whoever is done."""
        for ticket in [ticket for ticket in self.tickets if ticket.unwanted()]:
            self.fail(ticket, JobCancelledError("the job was cancelled"))
        self._admit()
        batch = self._schedule()
        if batch:
            self._advance(batch)
        for ticket in list(self._tickets):
            ticket.say_waiting(self._clock())
            self._guarded(ticket, self._settle)
        self.collect()

    def fail(self, ticket: Ticket, error: BaseException) -> None:
        """End one request."""
        self._waiting.remove(ticket)
        if ticket in self._tickets:
            self._tickets.remove(ticket)
        ticket.end(error)

    def fail_all(self, error: GenerationError) -> None:
        """End all."""
        for ticket in self.tickets:
            self.fail(ticket, error)

    # --- schedule ---

    def _admit(self) -> None:
        while len(self._waiting) and sum(len(ticket.rows) for ticket in self._tickets) < _IN_FLIGHT:
            ticket = self._waiting.pop()
            if ticket is not None:
                self._tickets.append(ticket)
                self._guarded(ticket, self._start)

    def _start(self, ticket: Ticket) -> None:
        """Prepare the pictures, from the first step on."""
        source = None if ticket.source is None else decode_source(ticket.source)
        masked = {}  # only models that in-paint take a mask, and `check` has kept it from the others
        if source is not None and ticket.mask is not None:
            masked["mask"] = decode_mask(ticket.mask, source)
        if source is not None and ticket.request.extend:
            ticket.canvas = lay_out(source, ticket.request)
            source = ticket.canvas.pixels
            if "inpaint" in ticket.card.abilities:  # others redraw all of it; the picture is put back
                masked["mask"] = ticket.canvas.mask
        ticket.model = self._shelf.get(
            ticket.card, in_use=lambda model: any(other.model is model for other in self._tickets)
        )
        ticket.rows = []
        for index in range(ticket.request.count):  # one by one: if a later one fails, the first are ended
            ticket.rows.append(ticket.loaded.prepare(ticket.request, index=index, source=source, **masked))
        ticket.started = self._clock()
        ticket.bucket, ticket.least = self._bucket(ticket)

    def _bucket(self, ticket: Ticket) -> tuple[int, int]:
        """Most and least rows of each forward of this request, chosen now and never changed while it runs."""
        request, place = ticket.request, _place(ticket)
        lone = request.upscale or ticket.card.server is not None
        most = 1 if lone else self._rows(*place)
        most = max(1, min(most, self._caps.get(place, most)))
        if most == 1:
            return 1, 1
        key = (place, most, ticket.loaded.compatibility(ticket.rows[0]))
        if key not in self._buckets:
            self._buckets[key] = self._tested(ticket, most)
        return self._buckets[key]

    def _tested(self, ticket: Ticket, most: int) -> tuple[int, int]:
        model, request = ticket.loaded, ticket.request
        if not same_in_the_mix(model, request, rows=most):
            _log.warning("model %s draws others in the mix than alone: one at a time", ticket.card.id)
            return 1, 1
        tested = compatibility_of_test(model, request) == model.compatibility(ticket.rows[0])
        return most, least_rows(model, request, rows=most) if tested else most

    def _schedule(self) -> list[tuple[Ticket, InFlight]]:
        places: list[tuple[Ticket, InFlight]] = [
            (ticket, row)
            for ticket in self._tickets
            for row in ticket.rows
            if row.step < row.steps and is_ready(row)
        ]
        flights = [
            Flight(
                id=number,
                key=(ticket.card.id, ticket.bucket, ticket.loaded.compatibility(row)),
                arrival=ticket.arrival,
                step=row.step,
                steps=row.steps,
                step_s=self._step_s.get(ticket.card.id, _FIRST_STEP_S),
                rows=ticket.bucket,
            )
            for number, (ticket, row) in enumerate(places)
        ]
        return [places[flight.id] for flight in next_batch(flights)]

    # --- run ---

    def _advance(self, batch: Sequence[tuple[Ticket, InFlight]]) -> None:
        tickets = list(dict.fromkeys(ticket for ticket, _ in batch))
        lead, started = tickets[0], self._clock()
        try:
            lead.loaded.denoise([row for _, row in batch], pad_to=lead.least if lead.bucket > 1 else None)
        except Exception as error:  # noqa: BLE001 - these requests must not end the others
            known = as_generation_error(error)
            if isinstance(known, OutOfMemoryError) and lead.bucket > 1:
                self._shrink(lead)
                return
            for ticket in tickets:
                self.fail(ticket, known)
            return
        took = (self._clock() - started) / len(batch)
        self._step_s[lead.card.id] = 0.5 * (self._step_s.get(lead.card.id, took) + took)
        for ticket, row in batch:
            self._guarded(ticket, functools.partial(self._report, row))

    def _shrink(self, lead: Ticket) -> None:
        """Halve the rows after memory ran out; whoever ran with more starts anew: other rows, other bits."""
        place = _place(lead)
        self._caps[place] = lead.bucket // 2
        _log.warning("model %s: out of memory; now %d rows in a forward", lead.card.id, self._caps[place])
        for ticket in list(self._tickets):
            if _place(ticket) == place and ticket.rows:
                ticket.rows, ticket.pictures = [], {}
                self._guarded(ticket, self._start)

    def _report(self, row: InFlight, ticket: Ticket) -> None:
        if ticket.on_progress is None:
            return
        now, preview = self._clock(), None
        due = row.step % _PREVIEW_EVERY == 0 and now >= ticket.previewed + _PREVIEW_PAUSE_S
        if row.step < row.steps and (due or row.step == PREVIEW_STEPS):
            preview, ticket.previewed = ticket.loaded.preview(row), now
        ticket.on_progress(ticket.done, ticket.steps, None if preview is None else to_png(preview))

    # --- settle ---

    def _settle(self, ticket: Ticket) -> None:
        """Have the pictures decoded whose last step is done."""
        for index, row in enumerate(ticket.rows):
            started = index in ticket.pictures or (ticket, index) in self._decoding.values()
            if row.step < row.steps or started:
                continue
            finish = functools.partial(
                finished,
                ticket,
                row,
                index=index,
                facts=ticket.loaded.facts(row),
                rows=ticket.bucket,
                machine=self._machine,
            )
            future: Future[GeneratedImage] = Future()
            if self._decoder is None:
                future.set_result(finish())
            else:
                future = self._decoder.submit(finish)
                future.add_done_callback(lambda _: self._on_decoded())
            self._decoding[future] = (ticket, index)

    def collect(self) -> None:
        """Take the decoded pictures; after its last one a request is over."""
        for future in [future for future in self._decoding if future.done()]:
            ticket, index = self._decoding.pop(future)
            if error := future.exception():
                self.fail(ticket, error)
            elif ticket in self._tickets:
                ticket.pictures[index] = future.result()
                if len(ticket.pictures) == ticket.request.count:
                    self._tickets.remove(ticket)
                    pictures = tuple(ticket.pictures[place] for place in sorted(ticket.pictures))
                    with contextlib.suppress(InvalidStateError):  # whoever waited has just gone away
                        ticket.outcome.set_result(pictures)

    def _guarded(self, ticket: Ticket, act: Callable[[Ticket], None]) -> None:
        try:
            act(ticket)
        except Exception as error:  # noqa: BLE001 - one request must not end the others
            self.fail(ticket, error)


def _place(ticket: Ticket) -> tuple[str, int, int]:
    return (ticket.card.id, ticket.request.width, ticket.request.height)
