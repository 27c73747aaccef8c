"""Notices a device that hangs: a driver that never returns would else hold every request forever."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Watchdog:
    """Calls `on_stuck` once, from its own thread, if one `begin` is not followed by `end` in time."""

    def __init__(self, *, limit_s: float, on_stuck: Callable[[], None]) -> None:
        self._limit_s = limit_s
        self._on_stuck = on_stuck
        self._since: float | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="verso-watchdog", daemon=True)
        self._thread.start()

    def begin(self) -> None:
        """Something starts that must end soon."""
        self._since = time.monotonic()

    def end(self) -> None:
        """It has ended."""
        self._since = None

    def close(self) -> None:
        """Watch no longer."""
        self._over.set()

    def _run(self) -> None:
        while not self._over.wait(min(5.0, self._limit_s / 4)):
            since = self._since
            if since is not None and time.monotonic() - since > self._limit_s:
                self._on_stuck()
                return
