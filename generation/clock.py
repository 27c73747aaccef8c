"""The database's own clock, as an SQL expression: the one time that all workers share."""

from __future__ import annotations

from sqlalchemy import BigInteger
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


class NowMs(FunctionElement[int]):
    """Unix milliseconds at this moment, by the database's clock.

    Leases are judged by it, so a worker whose own clock is wrong, or that was paused, cannot keep a job.
    """

    type = BigInteger()
    name = "now_ms"
    inherit_cache = True


@compiles(NowMs, "sqlite")
def _sqlite(_element: NowMs, _compiler: SQLCompiler, **_options: object) -> str:
    # The Julian day of "now" is a double with a resolution of 0.04 ms.
    return "CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER)"


@compiles(NowMs, "postgresql")
def _postgresql(_element: NowMs, _compiler: SQLCompiler, **_options: object) -> str:
    # Not now(): that is when the transaction began, which may be long before it got its locks.
    return "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)"
