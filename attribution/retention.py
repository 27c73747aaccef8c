"""Lets go of what the retention period no longer covers; the ledger's leaves stay, closed for good."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from attribution.erasing import destroy
from attribution.lookup_times import forget_lookups
from attribution.record import EventKind
from attribution.releases import blank
from attribution.tables import holds, leaves, openings, releases

_KEPT_KINDS = (EventKind.TERMS_ACCEPTED, EventKind.TERMS_WITHDRAWN)
"""What was agreed is proved until the person is erased."""


async def held_subjects(connection: AsyncConnection) -> tuple[str, ...]:
    """The people whose record a legal hold keeps."""
    return tuple(await connection.scalars(select(holds.c.subject).order_by(holds.c.subject)))


async def forget(connection: AsyncConnection, subject: str, *, erased_ms: int) -> tuple[str, ...]:
    """Destroy a person's key, identity, openings, legal hold and look-ups, and blank their releases.

    Returns:
        Ids of the stored files to delete.
    """
    await connection.execute(delete(holds).where(holds.c.subject == subject))
    await forget_lookups(connection, subject)
    blobs = await blank(connection, releases.c.subject == subject, now_ms=erased_ms)
    await destroy(connection, subject, now_ms=erased_ms)
    return blobs


async def expire(
    connection: AsyncConnection, *, older_than_ms: int, keep: Sequence[str] = ()
) -> tuple[str, ...]:
    """Destroy the openings and blank the releases from before `older_than_ms` (Unix ms).

    Args:
        connection: a write transaction.
        older_than_ms: what is younger stays.
        keep: pseudonyms under legal hold.

    Returns:
        Ids of the stored files to delete.
    """
    kept = select(leaves.c.entry_id).where(leaves.c.kind.in_([kind.value for kind in _KEPT_KINDS]))
    await connection.execute(
        delete(openings).where(
            openings.c.created_ms < older_than_ms,
            openings.c.subject.not_in(keep),
            openings.c.entry_id.not_in(kept),
        )
    )
    old = (releases.c.created_ms < older_than_ms) & releases.c.subject.not_in(keep)
    return await blank(connection, old & (releases.c.blob != ""), now_ms=older_than_ms)
