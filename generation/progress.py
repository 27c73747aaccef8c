"""How far jobs are: lossy, and only the latest news counts."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace


@dataclass(frozen=True, kw_only=True, slots=True)
class ProgressUpdate:
    """News of one job."""

    job_id: str
    step: int  # denoising steps done, over all its pictures
    steps: int  # in all
    preview_png: bytes | None = None  # small picture; stays until a newer one comes
    waiting_s: float | None = None  # since an image server was asked, which tells no steps

    @property
    def fraction(self) -> float:
        """The share of the steps that is done, 0..1."""
        return self.step / self.steps if self.steps else 0.0


class ProgressBoard:
    """The latest news of the running jobs, for any number of watchers; any thread may publish."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._latest: dict[str, ProgressUpdate] = {}
        self._watchers: dict[str, set[_Watcher]] = {}

    def publish(self, update: ProgressUpdate) -> None:
        """Replace what is known of the job, and wake its watchers; never blocks."""
        with self._lock:
            known = self._latest.get(update.job_id)
            if update.preview_png is None and known is not None and known.preview_png is not None:
                update = replace(update, preview_png=known.preview_png)
            self._latest[update.job_id] = update
            watchers = tuple(self._watchers.get(update.job_id, ()))
        for watcher in watchers:
            watcher.wake()

    def latest(self, job_id: str) -> ProgressUpdate | None:
        """The latest news, or None."""
        with self._lock:
            return self._latest.get(job_id)

    def news(self, job_id: str) -> ProgressUpdate:
        """The latest news; of a job that nobody has published, that nothing is done."""
        return self.latest(job_id) or ProgressUpdate(job_id=job_id, step=0, steps=0)

    def close(self, job_id: str) -> None:
        """Forget the job and end all watching of it; safe from any thread."""
        with self._lock:
            self._latest.pop(job_id, None)
            watchers = tuple(self._watchers.pop(job_id, ()))
        for watcher in watchers:
            watcher.wake(closed=True)

    async def watch(self, job_id: str) -> AsyncIterator[ProgressUpdate]:
        """Yield the news as they come, skipping what a slow reader missed, until the job is closed.

        Starts with the latest news if there are any. A job that nobody publishes is watched in vain: the
        caller breaks off when the queue says that the job is over.
        """
        watcher = _Watcher(asyncio.get_running_loop())
        with self._lock:
            self._watchers.setdefault(job_id, set()).add(watcher)
        seen: ProgressUpdate | None = None
        try:
            while not watcher.closed:
                update = self.latest(job_id)
                if update is not None and update is not seen:
                    seen = update
                    yield update
                    continue
                await watcher.woken()
        finally:
            with self._lock:
                others = self._watchers.get(job_id)
                if others is not None:
                    others.discard(watcher)
                    if not others:
                        del self._watchers[job_id]


class _Watcher:
    """A flag in one event loop that any thread can raise."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._event = asyncio.Event()
        self.closed = False

    def wake(self, *, closed: bool = False) -> None:
        self.closed = self.closed or closed
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._event.set)

    async def woken(self) -> None:
        await self._event.wait()
        self._event.clear()
