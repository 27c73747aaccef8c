"""The per-user usage log: what Verso knows of a person, withdrawing terms, erasing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncEngine

from attribution.acceptance import Acceptances
from attribution.ledger import Ledger
from attribution.record import EventKind
from attribution.releases import Releases
from attribution.vault import Vault, after_erase
from bot.posts import Posts
from generation.blobs import BlobStore
from generation.errors import BlobMissingError
from generation.queue import JobQueue
from moderation.decisions import Decisions
from moderation.reviews import Reviews
from moderation.strikes import Strikes
from moderation.withheld import Withheld


@dataclass(frozen=True, kw_only=True, slots=True)
class LogLine:
    """One event of a person's usage log, opened."""

    at_ms: int
    kind: str
    public: Mapping[str, str | int]
    private: Mapping[str, str]
    leaf_index: int


@dataclass(frozen=True, kw_only=True, slots=True)
class AccountView:
    """All of a person's usage log."""

    subject: str
    platform: str
    workspace_id: str
    name: str
    lines: tuple[LogLine, ...]


class Accounts:
    """What one person has done here, from the ledger, with its sealed fields opened."""

    def __init__(
        self,
        *,
        engine: AsyncEngine,
        vault: Vault,
        ledger: Ledger,
        acceptances: Acceptances,
        releases: Releases,
        decisions: Decisions,
        reviews: Reviews,
        strikes: Strikes,
        queue: JobQueue,
        posts: Posts,
        blobs: BlobStore,
        forget_pictures: Callable[[Sequence[str]], None],
        withheld: Withheld,
    ) -> None:
        self._engine, self._vault, self._ledger = engine, vault, ledger
        self._acceptances, self._releases, self._decisions = acceptances, releases, decisions
        self._reviews, self._strikes, self._queue = reviews, strikes, queue
        self._posts, self._blobs, self._withheld = posts, blobs, withheld
        self._forget_pictures = forget_pictures  # the look-up's index in memory

    async def show(self, subject: str) -> AccountView:
        """The usage log of a person, oldest first.

        Raises:
            ErasedError: the person's data were erased.
        """
        identity = await self._vault.identity(subject)
        lines = []
        entries = await self._ledger.entries(subject)
        openings = await self._ledger.openings([stored.entry.id for stored in entries])
        hidden = await self._withheld.jobs([str(stored.entry.public.get("job_id", "")) for stored in entries])
        for stored in entries:
            opening = openings.get(stored.entry.id)
            job_id = stored.entry.public.get("job_id", "")
            lines.append(
                LogLine(
                    at_ms=stored.entry.at_ms,
                    kind=str(stored.entry.kind),
                    public=stored.entry.public,
                    private=opening.fields if opening and job_id not in hidden else {},
                    leaf_index=stored.leaf_index,
                )
            )
        return AccountView(
            subject=subject,
            platform=identity.platform,
            workspace_id=identity.workspace_id,
            name=identity.name,
            lines=tuple(lines),
        )

    async def pictures(self, subject: str) -> tuple[tuple[str, bytes], ...]:
        """The posted files of a person that may be shown, as (image id, PNG)."""
        pictures = []
        releases = await self._releases.of_subject(subject)
        hidden = await self._withheld.images([release.image_id for release in releases])
        for release in releases:
            if release.image_id in hidden or not release.blob:
                continue
            try:
                sealed = await self._blobs.get(release.blob)
            except BlobMissingError:  # deleted by retention; its row says so no more
                continue
            pictures.append((release.image_id, await self._vault.unseal(subject, sealed)))
        return tuple(pictures)

    async def withdraw(self, subject: str, license_id: str | None = None) -> int:
        """Withdraw acceptance: no further pictures until the terms are accepted again."""
        return await self._acceptances.withdraw(subject, license_id)

    async def erase(self, subject: str) -> None:
        """Erase a person: keys, words, names, pictures. The ledger keeps commitments that nobody can open.

        Raises:
            LegalHoldError: a disputed picture keeps this person's record for now.
        """
        await self._ledger.append(EventKind.ERASED, subject=subject)
        pictures = [release.image_id for release in await self._releases.of_subject(subject)]
        async with self._engine.begin() as connection:
            blobs = [
                *await self._queue.forget(subject, connection=connection),
                *await self._releases.forget(subject, connection=connection),
            ]
            await self._decisions.forget(subject, connection=connection)
            await self._reviews.forget(subject, connection=connection)
            await self._strikes.forget(subject, connection=connection)
            await self._posts.forget(subject, connection=connection)
            await self._vault.erase(subject, connection=connection)
        self._forget_pictures(pictures)
        for blob in blobs:
            try:
                await self._blobs.delete(blob)
            except BlobMissingError:  # an earlier, interrupted erasure got so far
                continue
        await after_erase(self._engine)
