"""What both trainings share: batches made on a thread, exponential averages, a clock, a log, checkpoints."""

from __future__ import annotations

import queue
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from PIL import Image, ImageDraw

from generation.sticker.packages import DatasetError

if TYPE_CHECKING:
    import torch

SAVE_EVERY_S = 180.0
SHEET_EVERY_S = 1200.0
_REPORT_EVERY = 25

Batch = TypeVar("Batch")


class Batches(Generic[Batch]):
    """Makes batches on a thread of its own, some ahead."""

    def __init__(self, make: Callable[[random.Random], Batch], *, seed: str, ahead: int = 8) -> None:
        self._queue: queue.Queue[Batch | BaseException] = queue.Queue(ahead)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, args=(make, random.Random(seed)), daemon=True)
        self._thread.start()

    def _work(self, make: Callable[[random.Random], Batch], rng: random.Random) -> None:
        while not self._stop.is_set():
            item: Batch | BaseException
            try:
                item = make(rng)
            except Exception as error:  # noqa: BLE001 - raised again on the training thread
                item = error
            while not self._stop.is_set():
                try:
                    self._queue.put(item, timeout=0.5)
                    break
                except queue.Full:
                    continue

    def next(self) -> Batch:
        """The next batch; raises what its making raised."""
        item = self._queue.get()
        if isinstance(item, BaseException):
            raise item
        return item

    def close(self) -> None:
        """Stop the thread."""
        self._stop.set()
        self._thread.join()


class Average:
    """Exponential moving average of parameters; young averages follow faster."""

    def __init__(self, parameters: Sequence[torch.nn.Parameter], *, decay: float) -> None:
        self._parameters = list(parameters)
        self._decay = decay
        self.values: list[torch.Tensor] = [p.detach().clone() for p in self._parameters]

    def update(self, step: int) -> None:
        """Take in the parameters after `step` steps."""
        import torch  # noqa: PLC0415

        weight = 1 - min(self._decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self.values, [p.data for p in self._parameters], weight)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Put the average in place of the parameters for a while."""
        kept = [p.detach().clone() for p in self._parameters]
        for parameter, value in zip(self._parameters, self.values, strict=True):
            parameter.data.copy_(value)
        try:
            yield
        finally:
            for parameter, value in zip(self._parameters, kept, strict=True):
                parameter.data.copy_(value)


@contextmanager
def without_subnormals() -> Iterator[None]:
    """Round subnormal numbers to zero in this thread: they slow a young network's gradients down.

    The switch belongs to the thread, not to torch, so it is set back: whatever runs after the
    training in the same process would otherwise compute other bits.
    """
    import torch  # noqa: PLC0415

    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


class Clock:
    """Counts training time over all runs and says when to save and when to stop."""

    def __init__(self, *, minutes: float | None, spent: float = 0.0) -> None:
        self._begin = self._saved = self._drawn = time.monotonic()
        self._minutes = minutes
        self._before = spent
        self._interrupted = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Let the first Ctrl-C or SIGTERM end the run after the current step, with a checkpoint."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def stop(_signal: int, _frame: FrameType | None) -> None:
            self._interrupted = True

        before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @property
    def spent(self) -> float:
        """Seconds of training so far, with earlier runs."""
        return self._before + time.monotonic() - self._begin

    @property
    def over(self) -> bool:
        """Whether this run's time is up, or a person has stopped it."""
        limit = self._minutes is not None and time.monotonic() - self._begin >= self._minutes * 60
        return limit or self._interrupted

    def save_due(self) -> bool:
        """Whether a checkpoint is due; starts the next wait when it is."""
        if time.monotonic() - self._saved < SAVE_EVERY_S:
            return False
        self._saved = time.monotonic()
        return True

    def sheet_due(self) -> bool:
        """Whether a sample sheet is due; starts the next wait when it is."""
        if time.monotonic() - self._drawn < SHEET_EVERY_S:
            return False
        self._drawn = time.monotonic()
        return True


@dataclass(slots=True)
class History:
    """Loss over training, kept in a CSV file beside the checkpoint and drawn as a picture."""

    path: Path
    rows: list[tuple[int, float]] = field(default_factory=list)  # (step, mean loss since the row before)
    _recent: list[float] = field(default_factory=list)

    @classmethod
    def open(cls, path: Path) -> History:
        """Read what an earlier run has written."""
        history = cls(path)
        if path.exists():
            for line in path.read_text(encoding="utf-8").splitlines()[1:]:
                step, loss = line.split(",")
                history.rows.append((int(step), float(loss)))
        return history

    def add(self, step: int, loss: float) -> float | None:
        """Note a step's loss; returns the mean every so many steps."""
        self._recent.append(loss)
        if step % _REPORT_EVERY:
            return None
        mean = sum(self._recent) / len(self._recent)
        self._recent.clear()
        self.rows.append((step, mean))
        return mean

    def save(self) -> None:
        """Write the CSV file and the plot."""
        lines = ["step,loss", *(f"{step},{loss:.6f}" for step, loss in self.rows)]
        self.path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        if len(self.rows) > 1:
            plot(self.rows).save(self.path.with_suffix(".png"))


def plot(rows: Sequence[tuple[int, float]], *, width: int = 720, height: int = 360) -> Image.Image:
    """Draw loss against step, with its range on the axes."""
    image = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(image)
    left, top, right, bottom = 56, 16, width - 16, height - 28
    steps, losses = [row[0] for row in rows], [row[1] for row in rows]
    low, high = min(losses), max(losses)
    span, length = max(high - low, 1e-9), max(steps[-1] - steps[0], 1)
    for k in range(5):
        y = bottom - (bottom - top) * k / 4
        draw.line((left, y, right, y), fill=(225, 225, 230))
        draw.text((6, y - 6), f"{low + span * k / 4:.4f}", fill="black")
    points = [
        (left + (right - left) * (step - steps[0]) / length, bottom - (bottom - top) * (loss - low) / span)
        for step, loss in rows
    ]
    draw.line(points, fill=(40, 96, 200), width=2)
    draw.text((left, bottom + 8), f"step {steps[0]}", fill="black")
    draw.text((right - 90, bottom + 8), f"step {steps[-1]}", fill="black")
    return image


def check_model(folder: Path, *parts: str) -> None:
    """Make sure that a folder holds these parts of an exported model.

    Raises:
        DatasetError: one is missing.
    """
    for part in parts:
        if not list((folder / part).glob("*config.json")):
            raise DatasetError(f"{folder} is no model to begin from: it holds no {part}")


def save_state(state: dict[str, Any], path: Path) -> None:
    """Write a checkpoint so that a crash leaves either the old one or the new one."""
    import torch  # noqa: PLC0415

    fresh = path.with_suffix(".tmp")
    torch.save(state, fresh)
    fresh.replace(path)
