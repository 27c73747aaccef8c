"""Removes jobs that nobody needs any more, or that must not be kept."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, delete, exists, select
from sqlalchemy.ext.asyncio import AsyncConnection

from generation.job import JobStatus
from generation.tables import jobs, outbox, results

_FINAL = tuple(status for status in JobStatus if status.final)
_CHUNK = 500  # bound parameters of one statement


async def purge(connection: AsyncConnection, *, older_than_ms: int, keep: Sequence[str] = ()) -> list[str]:
    """Delete jobs that ended before `older_than_ms` (Unix ms) and whose end has been told.

    Args:
        connection: a write transaction.
        older_than_ms: what ended later stays.
        keep: users whose jobs stay whatever their age.

    Returns:
        Blobs of their pictures that no remaining job refers to, sorted. Source pictures belong to whoever
        stored them and are not named.
    """
    untold = exists().where(outbox.c.job_id == jobs.c.id, outbox.c.done_ms.is_(None))
    old = (
        jobs.c.status.in_(_FINAL)
        & (jobs.c.finished_ms < older_than_ms)
        & ~untold
        & jobs.c.user_id.not_in(keep)
    )
    return await _delete(connection, old, also_sources=False)


async def forget(connection: AsyncConnection, user_id: str) -> list[str]:
    """Delete every job of a user, in whatever state. A worker that draws one loses its lease.

    Returns:
        Blobs of the pictures and of the source pictures, sorted: all are sealed under the user's own key.
    """
    return await _delete(connection, jobs.c.user_id == user_id, also_sources=True)


async def _delete(
    connection: AsyncConnection, which: ColumnElement[bool], *, also_sources: bool
) -> list[str]:
    drawn = select(results.c.blob).join(jobs, jobs.c.id == results.c.job_id).where(which)
    gone = set((await connection.scalars(drawn)).all())
    if also_sources:
        for given in (jobs.c.source_blob, jobs.c.mask_blob):
            gone |= {blob for blob in (await connection.scalars(select(given).where(which))).all() if blob}
    await connection.execute(delete(jobs).where(which))  # results and outbox items go with it
    candidates = sorted(gone)
    for start in range(0, len(candidates), _CHUNK):
        chunk = candidates[start : start + _CHUNK]
        for column in (results.c.blob, jobs.c.source_blob, jobs.c.mask_blob):
            gone -= set((await connection.scalars(select(column).where(column.in_(chunk)))).all())
    return sorted(gone)
