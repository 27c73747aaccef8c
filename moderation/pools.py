"""Threads for rules, kept apart by lane, so that a slow or hanging rule never takes another's thread."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor


class Pools:
    """One thread pool for each lane, made when it is first asked for; safe to use from several threads."""

    def __init__(self, workers: int) -> None:
        """`workers` threads for each lane."""
        self._workers = workers
        self._pools: dict[str, ThreadPoolExecutor] = {}
        self._lock = threading.Lock()

    def of(self, lane: str) -> ThreadPoolExecutor:
        """Return the lane's pool as it is now."""
        with self._lock:
            if lane not in self._pools:
                self._pools[lane] = ThreadPoolExecutor(self._workers, thread_name_prefix=f"moderation-{lane}")
            return self._pools[lane]

    def abandon(self, lane: str, pool: ThreadPoolExecutor) -> None:
        """Leave a pool with a hanging thread behind, so that the lane's next rule has a thread of its own."""
        with self._lock:
            if self._pools.get(lane) is pool:
                del self._pools[lane]
        pool.shutdown(wait=False)

    def close(self) -> None:
        """Give the threads back; what still runs is not waited for."""
        with self._lock:
            pools, self._pools = list(self._pools.values()), {}
        for pool in pools:
            pool.shutdown(wait=False, cancel_futures=True)
