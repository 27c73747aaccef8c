"""Three ways to serve the same arrivals: a plain pipeline, static batches, and the step loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from generation.bench_arrivals import Arrival, Clock
from generation.card import ModelCard
from generation.models import ModelShelf
from generation.tickets import Ticket

_WINDOW = 0.25  # services; how long a static batch waits for partners
_STATIC = 4  # requests
_PREVIEW = 2  # steps


class Plain:
    """The library's own pipeline."""

    def __init__(self, card: ModelCard) -> None:
        from diffusers import StableDiffusionPipeline  # noqa: PLC0415 - heavy

        load: Callable[..., Any] = StableDiffusionPipeline.from_pretrained
        self._pipeline = load(card.folder, local_files_only=True)
        self._pipeline.set_progress_bar_config(disable=True)
        self._own = self._pipeline.scheduler

    def draw(self, arrivals: Sequence[Arrival], clock: Clock) -> None:
        """Draw requests of equal steps, sampler and guidance in one call."""
        import torch  # noqa: PLC0415 - heavy

        from generation.families.noise_schedulers import make_noise_scheduler  # noqa: PLC0415

        first = arrivals[0].request

        def after_step(pipeline: Any, step: int, _time: object, values: dict[str, Any]) -> dict[str, Any]:  # noqa: ANN401
            for arrival in arrivals:
                if step + 1 >= _PREVIEW and arrival.previewed is None:
                    arrival.previewed = clock.now()
            if all(arrival.cancelled(clock.now()) for arrival in arrivals):
                pipeline._interrupt = True  # noqa: SLF001 - as diffusers' documentation has it
            return values

        self._pipeline.scheduler = make_noise_scheduler(self._own, first.noise_scheduler)
        self._pipeline(
            [arrival.request.prompt for arrival in arrivals],
            num_inference_steps=first.num_inference_steps,
            guidance_scale=first.guidance_scale,
            width=first.width,
            height=first.height,
            generator=[torch.Generator().manual_seed(arrival.request.seed) for arrival in arrivals],
            output_type="np",
            callback_on_step_end=after_step,
        )
        for arrival in arrivals:
            if not arrival.cancelled(clock.now()):
                arrival.done = clock.now()


def run_serial(plain: Plain, arrivals: Sequence[Arrival]) -> float:
    """One at a time, first come first served; returns the makespan."""
    clock = Clock()
    for arrival in arrivals:
        clock.jump(arrival.at)
        if not arrival.cancelled(clock.now()):
            plain.draw([arrival], clock)
    return clock.now()


def run_static(plain: Plain, arrivals: Sequence[Arrival], *, service_s: float) -> float:
    """Batches of what one call of a pipeline can take; returns the makespan."""
    clock, coming, waiting = Clock(), list(arrivals), list[Arrival]()
    while coming or waiting:
        while coming and coming[0].at <= clock.now():
            waiting.append(coming.pop(0))
        waiting = [arrival for arrival in waiting if not arrival.cancelled(clock.now())]
        if not waiting:
            if coming:
                clock.jump(coming[0].at)
            continue
        batch = [arrival for arrival in waiting if _alike(arrival, waiting[0])][:_STATIC]
        closes = waiting[0].at + _WINDOW * service_s
        if len(batch) < _STATIC and clock.now() < closes:
            clock.jump(min([closes, *(arrival.at for arrival in coming[:1])]))
            continue
        waiting = [arrival for arrival in waiting if arrival not in batch]
        plain.draw(batch, clock)
    return clock.now()


def _alike(one: Arrival, other: Arrival) -> bool:
    a, b = one.request, other.request
    return (a.num_inference_steps, a.noise_scheduler, a.guidance_scale) == (
        b.num_inference_steps, b.noise_scheduler, b.guidance_scale
    )  # fmt: skip


def run_stepwise(shelf: ModelShelf, card: ModelCard, arrivals: Sequence[Arrival], *, rows: int) -> float:
    """The step loop; returns the makespan."""
    from generation.profile import prepare_machine  # noqa: PLC0415 - the loop brings torch
    from generation.step_loop import StepLoop  # noqa: PLC0415

    clock, coming = Clock(), list(arrivals)
    machine = prepare_machine(device="cpu", threads=1)
    loop = StepLoop(shelf, machine, rows=lambda *_: rows, clock=clock.now)
    running: dict[Arrival, Ticket] = {}

    # A server that has just started tests itself before the first forward that is shared.
    first = _ticket(Arrival(at=0.0, user="", request=arrivals[0].request, cancel_at=None), card, clock)
    loop.add(first)
    while not first.outcome.done():
        loop.tick()
    clock.restart()
    while coming or running:
        while coming and coming[0].at <= clock.now():
            arrival = coming.pop(0)
            running[arrival] = _ticket(arrival, card, clock)
            loop.add(running[arrival])
        if not running:
            clock.jump(coming[0].at)
            continue
        unwanted = [arrival for arrival in running if arrival.cancelled(clock.now())]
        loop.tick()
        for arrival in unwanted:
            arrival.cancel_ticks += 1
        for arrival in [arrival for arrival, ticket in running.items() if ticket.outcome.done()]:
            if running.pop(arrival).outcome.exception() is None:
                arrival.done = clock.now()
    return clock.now()


def _ticket(arrival: Arrival, card: ModelCard, clock: Clock) -> Ticket:
    def watch(step: int, _steps: int, preview: bytes | None) -> None:
        if arrival.previewed is None and preview is not None and step >= _PREVIEW:
            arrival.previewed = clock.now()

    return Ticket(
        request=arrival.request,
        card=card,
        source=None,
        on_progress=watch,
        should_cancel=lambda: arrival.cancelled(clock.now()),
        arrival=arrival.at,
        user=arrival.user,
    )
