"""Lets go of personal data when its time is over."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncEngine

from attribution import retention as records
from attribution.erasing import after_erase
from bot.posts import Posts
from bot.usecases.request import now_ms
from generation import retention as drawings
from generation.blobs import BlobStore
from generation.errors import BlobMissingError
from moderation import retention as decisions

DAY_MS = 86_400_000


class Retention:
    """Deletes words, pictures, decisions and openings older than the operator's period.

    Kept: what a legal hold protects, proof of accepted terms, and the ledger's leaves, which nobody can open
    any more.
    """

    def __init__(self, *, engine: AsyncEngine, blobs: BlobStore, posts: Posts, days: int) -> None:
        self._engine, self._blobs, self._posts, self._days = engine, blobs, posts, days

    async def sweep(self) -> int:
        """Delete all that is due, in one transaction; returns how many pictures went."""
        oldest = now_ms() - self._days * DAY_MS
        async with self._engine.begin() as connection:
            keep = await records.held_subjects(connection)
            blobs = [
                *await drawings.purge(connection, older_than_ms=oldest, keep=keep),
                *await records.expire(connection, older_than_ms=oldest, keep=keep),
            ]
            await decisions.expire(connection, older_than_ms=oldest, keep=keep)
            await self._posts.expire(connection, older_than_ms=oldest, keep=keep)
        for blob in blobs:
            try:
                await self._blobs.delete(blob)
            except BlobMissingError:  # an earlier, interrupted sweep got so far
                continue
        if blobs:
            await after_erase(self._engine)
        return len(blobs)
