"""Takes a person out of every room's tables, in one transaction: the one place that knows all of them."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncConnection

from attribution import retention as records
from bot.posts import Posts
from generation import retention as drawings
from moderation import retention as decisions


async def forget(connection: AsyncConnection, subject: str, *, erased_ms: int) -> tuple[str, ...]:
    """Destroy all that opens or names a person; a second time does nothing.

    A legal hold does not stop it: `Vault.erase` asks for one before.

    Args:
        connection: a write transaction. Call `attribution.erasing.after_erase` once it is committed.
        subject: the person's pseudonym.
        erased_ms: the time to be noted, Unix ms.

    Returns:
        Ids of the stored files to delete.
    """
    blobs = (
        *await drawings.forget(connection, subject),
        *await records.forget(connection, subject, erased_ms=erased_ms),
    )
    await decisions.forget(connection, subject)
    await Posts.forget(subject, connection=connection)
    return blobs
