"""Runs what comes after the acknowledgment, and lets it finish when the bot stops."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Coroutine

log = logging.getLogger(__name__)


class Work:
    """Tasks in the background, each held until it is done."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, job: Coroutine[object, object, None]) -> None:
        """Run `job` in the background."""
        task = asyncio.get_running_loop().create_task(job)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    async def drain(self, seconds: float) -> None:
        """Wait for running work, at most so long, then cancel what is left."""
        if not self._tasks:
            return
        _, late = await asyncio.wait(self._tasks, timeout=seconds)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("unexpected failure after an acknowledgment: %s", where(error))


def where(error: BaseException) -> str:
    """What failed and where, without the error's message: that may quote what a person wrote."""
    frames = traceback.extract_tb(error.__traceback__)
    places = " < ".join(f"{frame.name}:{frame.lineno}" for frame in reversed(frames[-4:]))
    return f"{type(error).__name__} at {places or 'nowhere'}"
