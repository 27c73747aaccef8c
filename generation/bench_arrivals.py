"""Requests as they arrive at a busy server, and the clock they arrive by."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field, replace

from generation.job import ImageRequest

STEPS = (8, 20, 30)
SAMPLERS = ("ddim", "euler", "dpm++")
CANCELLED = 0.12


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

    def restart(self) -> None:
        """Begin again at 0."""
        self.start, self.skipped = time.process_time(), 0.0

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
