"""Waits while the database is away: a crash, a restart, a network that is down.

Whoever fails for that reason waits here together with everybody else of the process. One of them asks the
database again with growing pauses, and the log gets one line when it goes and one when it is back.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import random
import socket
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

_log = logging.getLogger(__name__)

_UNREACHABLE = {errno.ENOENT, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ETIMEDOUT}
_FIRST_S = 0.25
_LONGEST_S = 10.0
_CALM_S = 30.0  # without an outage: the next one starts with the shortest pause again
_REMIND_S = 60.0

Result = TypeVar("Result")


def is_away(error: BaseException, *, database_only: bool = True) -> bool:
    """Whether an error says that the database cannot be reached, not that it refuses something.

    Args:
        error: as raised by SQLAlchemy or, while connecting, by the driver or the operating system.
        database_only: False where more than the database was in play: then a time-out is no sign.
    """
    if isinstance(error, DBAPIError):
        if error.connection_invalidated:
            return True
        return error.orig is not None and is_away(error.orig, database_only=database_only)
    # PostgreSQL's classes of errors: 08 connection exception, 57P operator intervention (stop, crash, start)
    state = str(getattr(error, "sqlstate", None) or "")
    if state.startswith(("08", "57P")) or isinstance(error, (ConnectionError, socket.gaierror)):
        return True
    if isinstance(error, OSError) and error.errno in _UNREACHABLE and error.filename is None:
        return True  # where a file is missing, its name is told
    if state == "" and "database is locked" in str(error):  # SQLite, past its time-out
        return True
    return database_only and isinstance(error, TimeoutError)


class Outage:
    """The outages of one database, as one process sees them."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._reader = engine.execution_options(read_only=True)
        self._asking: asyncio.Task[None] | None = None
        self._waiters = 0
        self._pause_s = _FIRST_S
        self._back = float("-inf")

    async def wait(self, error: BaseException, stop: asyncio.Event | None = None) -> None:
        """Return when the database is back, or when `stop` is set."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._until_back(error))
        asking = self._asking
        stopping = None if stop is None else asyncio.create_task(stop.wait())
        self._waiters += 1
        try:
            await asyncio.wait(
                {asking} if stopping is None else {asking, stopping}, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            self._waiters -= 1
            if stopping is not None:
                stopping.cancel()
            if not self._waiters:
                asking.cancel()

    async def outlast(
        self, what: Callable[[], Awaitable[Result]], *, give_up_s: float | None = None
    ) -> Result:
        """Do something that concerns the database alone; while it is away, wait and do it again.

        An answer may get lost although the database did its part: `what` must bear to be done twice.

        Args:
            what: to do.
            give_up_s: no new attempt after so long; None: never.

        Raises:
            Exception: whatever `what` raises for another reason, or at last.
        """
        deadline = None if give_up_s is None else time.monotonic() + give_up_s
        while True:
            try:
                return await what()
            except Exception as error:
                left = None if deadline is None else deadline - time.monotonic()
                if not is_away(error) or (left is not None and left <= 0):
                    raise
                try:
                    async with asyncio.timeout(left):
                        await self.wait(error)
                except TimeoutError:
                    raise error from None

    async def _until_back(self, error: BaseException) -> None:
        began = said = time.monotonic()
        if began - self._back > _CALM_S:
            self._pause_s = _FIRST_S
        # The class of the error and nothing of its text: SQLAlchemy's holds the statement's values.
        _log.warning("the database is away (%s): waiting until it is back", _name(error))
        while True:
            await asyncio.sleep(
                self._pause_s * random.uniform(0.75, 1.25)
            )  # many workers come back: not at once
            self._pause_s = min(_LONGEST_S, 2 * self._pause_s)
            try:
                async with self._reader.connect() as connection:
                    await connection.execute(text("SELECT 1"))
            except Exception as still:  # noqa: BLE001 - whatever it is, the database does not answer yet
                if time.monotonic() - said > _REMIND_S:
                    said = time.monotonic()
                    _log.warning("the database is away since %.0f s (%s)", said - began, _name(still))
            else:
                self._back = time.monotonic()
                _log.warning("the database is back after %.1f s", self._back - began)
                return


def _name(error: BaseException) -> str:
    orig = getattr(error, "orig", None) or error
    return type(orig.__cause__ or orig).__name__  # SQLAlchemy wraps the driver's own twice
