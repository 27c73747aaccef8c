"""Latency against load: the same Poisson traces through a plain pipeline, static batches, and the step loop.

The clock is virtual: it runs with this process's CPU time on one thread and jumps over idle spans, so other
load on the machine does not spoil the figures. Model, noise schedulers and decoding are real.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from generation.card import ModelCard
from generation.job import ImageRequest
from generation.models import ModelShelf

LOADS = (0.5, 0.8)  # of the rate that the plain pipeline can just serve
STEPS = (8, 20, 30)
SAMPLERS = ("ddim", "euler", "dpm++")
CANCELLED = 0.12
SEEDS = (10, 11)
REQUESTS = 16
_WINDOW = 0.25  # services; how long a static batch waits for partners
_STATIC = 4  # requests
_PREVIEW = 2  # steps


@dataclass(kw_only=True, slots=True, eq=False)
class Arrival:
    """One request of a trace, and what became of it; times in CPU seconds."""

    at: float
    user: str
    request: ImageRequest
    cancel_at: float | None
    previewed: float | None = None
    done: float | None = None
    cancel_ticks: int = 0

    def cancelled(self, now: float) -> bool:
        """Whether nobody wants it any more."""
        return self.cancel_at is not None and now >= self.cancel_at


@dataclass(kw_only=True, slots=True)
class Clock:
    """CPU time, with the idle spans put in."""

    skipped: float = 0.0
    start: float = field(default_factory=time.process_time)

    def now(self) -> float:
        """Seconds since the start."""
        return time.process_time() - self.start + self.skipped

    def jump(self, to: float) -> None:
        """Skip an idle span."""
        self.skipped += max(0.0, to - self.now())


def trace(seed: int, *, load: float, service_s: float, requests: int, base: ImageRequest) -> list[Arrival]:
    """Poisson arrivals mixed over steps, samplers, guidance and users; equal seeds, equal traces."""
    chance = random.Random(seed)
    now, arrivals = 0.0, []
    for number in range(requests):
        now += chance.expovariate(load / service_s)
        request = replace(
            base,
            prompt=f"{chance.choice(('fox', 'castle at dusk', 'robot chef', 'cat'))} {number % 7}",
            seed=number,
            num_inference_steps=chance.choice(STEPS),
            guidance_scale=chance.choice((5.0, 7.5)),
            noise_scheduler=chance.choice(SAMPLERS),
        )
        user = f"user{chance.randrange(5)}"
        leaves = chance.random() < CANCELLED
        patience = chance.uniform(0.15, 1.25) * service_s
        arrivals.append(
            Arrival(at=now, user=user, request=request, cancel_at=now + patience if leaves else None)
        )
    return arrivals


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
    from generation.tickets import Ticket  # noqa: PLC0415

    clock, coming = Clock(), list(arrivals)
    machine = prepare_machine(device="cpu", threads=1)
    loop = StepLoop(shelf, machine, rows=lambda *_: rows, clock=clock.now)
    running: dict[Arrival, Ticket] = {}

    def enter(arrival: Arrival) -> None:
        def watch(step: int, _steps: int, preview: bytes | None) -> None:
            if arrival.previewed is None and preview is not None and step >= _PREVIEW:
                arrival.previewed = clock.now()

        running[arrival] = Ticket(
            request=arrival.request,
            card=card,
            source=None,
            on_progress=watch,
            should_cancel=lambda: arrival.cancelled(clock.now()),
            arrival=arrival.at,
            user=arrival.user,
        )
        loop.add(running[arrival])

    while coming or running:
        while coming and coming[0].at <= clock.now():
            enter(coming.pop(0))
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


def summary(arrivals: Sequence[Arrival], makespan: float) -> dict[str, float]:
    """Figures of one run: seconds on the virtual clock, pictures per second."""
    done = [arrival for arrival in arrivals if arrival.done is not None]
    latencies = sorted((arrival.done or 0.0) - arrival.at for arrival in done)
    previews = sorted(arrival.previewed - arrival.at for arrival in done if arrival.previewed is not None)
    return {
        "mean_s": statistics.mean(latencies),
        "p95_s": _quantile(latencies, 0.95),
        "preview_p95_s": _quantile(previews, 0.95),
        "per_s": len(done) / makespan,
        "cancel_ticks": max(arrival.cancel_ticks for arrival in arrivals),
    }


def _quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def bench_traces(
    card: ModelCard, base: ImageRequest, *, rows: int = 1, loads: Sequence[float] = LOADS
) -> Mapping[str, object]:
    """Run every trace under every policy, interleaved.

    Returns:
        `first_preview_p95_ratio`, `mean_latency_ratio`, `throughput_ratio` (step-wise by serial, the worst
        over the loads), `cancel_ticks_max`, and `load` {load: {policy: figures}}.
    """
    import torch  # noqa: PLC0415 - heavy

    torch.set_num_threads(1)
    plain = Plain(card)
    warm = [Arrival(at=0.0, user="", request=replace(base, num_inference_steps=20), cancel_at=None)]
    run_serial(plain, [replace(warm[0])])
    service_s = min(run_serial(plain, [replace(warm[0])]) for _ in range(3))
    shelf = ModelShelf(device="cpu", room=1, services={})
    run_stepwise(shelf, card, [replace(warm[0])], rows=rows)  # loads the model, as `Plain` has done
    by_load: dict[str, dict[str, dict[str, float]]] = {}
    for load in loads:
        runs: dict[str, list[dict[str, float]]] = {"serial": [], "static": [], "stepwise": []}
        for seed in SEEDS:
            policies: Mapping[str, Callable[[list[Arrival]], float]] = {
                "serial": lambda arrivals: run_serial(plain, arrivals),
                "static": lambda arrivals: run_static(plain, arrivals, service_s=service_s),
                "stepwise": lambda arrivals: run_stepwise(shelf, card, arrivals, rows=rows),
            }
            for name, run in policies.items():
                arrivals = trace(seed, load=load, service_s=service_s, requests=REQUESTS, base=base)
                runs[name].append(summary(arrivals, run(arrivals)))
        by_load[str(load)] = {
            name: {
                key: max(each[key] for each in entries)
                if key == "cancel_ticks"
                else statistics.mean(each[key] for each in entries)
                for key in entries[0]
            }
            for name, entries in runs.items()
        }
    figures = by_load.values()
    return {
        "first_preview_p95_ratio": max(_ratio(each, "preview_p95_s") for each in figures),
        "mean_latency_ratio": max(_ratio(each, "mean_s") for each in figures),
        "throughput_ratio": min(_ratio(each, "per_s") for each in figures),
        "cancel_ticks_max": int(max(each["stepwise"]["cancel_ticks"] for each in figures)),
        "trace_rows": rows,
        "trace_seeds": list(SEEDS),
        "service_s": service_s,
        "load": by_load,
    }


def _ratio(policies: Mapping[str, Mapping[str, float]], key: str) -> float:
    return policies["stepwise"][key] / policies["serial"][key]
