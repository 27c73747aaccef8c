"""A request inside the engine, from its arrival to its outcome."""

from __future__ import annotations

import contextlib
import logging
import math
import sys
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field

from generation.card import ModelCard
from generation.errors import GenerationError, OutOfMemoryError
from generation.families.base import Awaited, InFlight, LoadedModel, is_ready
from generation.job import GeneratedImage, ImageRequest
from generation.outpainting import Canvas

_log = logging.getLogger(__name__)

OnProgress = Callable[[int, int, bytes | None], None]
"""(steps done, steps in all, small preview PNG or None), over all pictures of the request."""

OnWaiting = Callable[[int, int, float], None]
"""(steps done, steps in all, seconds since the start), while another machine draws and tells no more."""

_SAY_EVERY_S = 5.0


@dataclass(kw_only=True, slots=True, eq=False)
class Ticket:
    """One request, its pictures in flight, and whoever waits for them."""

    request: ImageRequest
    card: ModelCard
    source: bytes | None
    mask: bytes | None = None
    on_progress: OnProgress | None
    should_cancel: Callable[[], bool] | None
    on_waiting: OnWaiting | None = None
    arrival: float  # s, monotonic
    user: str = ""
    bucket: int = 1  # most rows of each of its forwards; 1: exact mode
    least: int = 1  # rows up to which a forward is filled up; from there to `bucket` the bits are the same
    outcome: Future[tuple[GeneratedImage, ...]] = field(default_factory=Future)
    model: LoadedModel[InFlight] | None = None
    rows: list[InFlight] = field(default_factory=list)
    pictures: dict[int, GeneratedImage] = field(default_factory=dict)
    previewed: float = -math.inf  # s, when the last preview was made
    canvas: Canvas | None = None  # of out-painting
    started: float = 0.0  # s, when its pictures were prepared
    said: float = -math.inf  # s, when `on_waiting` was last called

    @property
    def loaded(self) -> LoadedModel[InFlight]:
        """The model that draws it.

        Raises:
            GenerationError: the engine has not started it yet.
        """
        if self.model is None:
            raise GenerationError("the request has not been started")
        return self.model

    @property
    def done(self) -> int:
        """Denoising steps done, over all pictures."""
        return sum(row.step for row in self.rows)

    @property
    def steps(self) -> int:
        """Denoising steps in all."""
        return sum(row.steps for row in self.rows)

    @property
    def waits(self) -> bool:
        """Whether any of its pictures is drawn elsewhere at this moment."""
        return any(row.step < row.steps and not is_ready(row) for row in self.rows)

    def say_waiting(self, now: float) -> None:
        """Tell whoever listens how long another machine has been at it; seldom enough for a chat."""
        if self.on_waiting is not None and self.waits and now >= self.said + _SAY_EVERY_S:
            self.said = now
            self.on_waiting(self.done, self.steps, now - self.started)

    def unwanted(self) -> bool:
        """Whether nobody waits for it any more."""
        return self.outcome.done() or (self.should_cancel is not None and self.should_cancel())

    def end(self, error: BaseException) -> None:
        """Tell whoever waits that it failed, and call back what other machines draw; from any thread."""
        for row in self.rows:
            if isinstance(row, Awaited):
                row.abandon()
        with contextlib.suppress(InvalidStateError):  # whoever waited has just gone away
            self.outcome.set_exception(as_generation_error(error))


def as_generation_error(error: BaseException) -> GenerationError:
    """Map whatever broke to one of our errors; the details go to the log only."""
    if isinstance(error, GenerationError):
        return error
    torch = sys.modules.get("torch")  # if it is not loaded, none of its errors can have been raised
    if (
        isinstance(error, MemoryError)
        or (torch is not None and isinstance(error, torch.OutOfMemoryError))
        or "can't allocate memory" in str(error)  # the CPU allocator raises a bare RuntimeError
    ):
        if torch is not None and torch.cuda.is_available():
            torch.cuda.empty_cache()
        return OutOfMemoryError("the device has too little memory for this request")
    _log.error("drawing failed", exc_info=error)
    failure = GenerationError(f"{type(error).__name__} while drawing")  # its text might quote the prompt
    failure.__cause__ = error
    return failure
