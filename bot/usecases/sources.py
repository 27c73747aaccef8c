"""The pictures that a request goes on from: found, opened for their owner, and stored for a worker.

Only its requester goes on from a picture. What is made from it holds a part of it, and an erasure must reach
both.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from attribution.errors import VaultError
from attribution.release_facts import Release
from attribution.releases import Releases
from attribution.vault import Vault
from bot.conversation import Origin
from bot.errors import BotError, NotFoundError
from bot.usecases.request import subject_of
from generation.blobs import BlobStore
from generation.errors import BlobMissingError
from generation.job import Credit, ImageRequest, Job, StoredImage
from generation.queue import JobQueue
from moderation.withheld import Withheld


class SourceGoneError(BotError):
    """The picture exists in the record, but its pixels or words are kept no longer."""

    code = "source_gone"


class NotYourPictureError(BotError):
    """Only the requester goes on from a picture."""

    code = "not_your_picture"


@dataclass(frozen=True, kw_only=True, slots=True)
class SourcePicture:
    """One of the asker's own pictures."""

    release: Release
    job: Job
    png: bytes = field(repr=False)  # as drawn: unmarked, unsigned
    seed: int


class Sources:
    """Finds pictures to go on from, and keeps what a worker will start from."""

    def __init__(
        self, *, queue: JobQueue, releases: Releases, vault: Vault, blobs: BlobStore, withheld: Withheld
    ) -> None:
        self._queue, self._releases, self._vault = queue, releases, vault
        self._blobs, self._withheld = blobs, withheld

    async def picture(self, origin: Origin, image_id: str) -> SourcePicture:
        """One of the asker's own pictures.

        Raises:
            NotFoundError: no such picture in this workspace, or a moderator closed it off.
            SourceGoneError: it was deleted or erased, or its retention period is over.
            NotYourPictureError: somebody else asked for it.
        """
        release = await self._releases.get(image_id)
        if release is None or await self.hidden([image_id], job_id=release.job_id):
            raise NotFoundError("image", image_id)
        if not release.blob:
            raise SourceGoneError("This picture was erased or its time here is over: ask for a new one.")
        job = await self._queue.get(release.job_id)
        if job is None:
            raise SourceGoneError("The request of this picture is kept no longer: ask for a new one.")
        if job.workspace_id != origin.workspace_id:
            raise NotFoundError("image", image_id)
        if release.deleted:
            raise SourceGoneError("This picture was deleted, so nothing is made from it any more.")
        await self.require_owner(origin, job)
        stored = next((one for one in await self._queue.results(job.id) if one.index == release.index), None)
        if stored is None:
            raise SourceGoneError("This picture is kept no longer: ask for a new one.")
        return SourcePicture(release=release, job=job, png=await self._open(job, stored), seed=stored.seed)

    async def first_of(self, origin: Origin, job_id: str) -> tuple[Job, str]:
        """One of the asker's own jobs, and the id of its first picture that still stands (or an empty one).

        Raises:
            NotFoundError: no such job in this workspace, or a moderator closed it off.
            NotYourPictureError: somebody else's.
        """
        job = await self._queue.get(job_id)
        if job is None or job.workspace_id != origin.workspace_id or await self.hidden([], job_id=job_id):
            raise NotFoundError("job", job_id)
        await self.require_owner(origin, job)
        ids = [release.image_id for release in await self._releases.of_job(job_id) if not release.deleted]
        return job, ids[0] if ids else ""

    async def require_owner(self, origin: Origin, job: Job) -> None:
        """Refuse whoever did not ask for a job.

        Raises:
            NotYourPictureError: that is so.
        """
        if await subject_of(self._vault, origin) != job.user_id:
            raise NotYourPictureError(
                "These buttons are for the person who asked for this picture. "
                "You can ask for one of your own with /imagine."
            )

    async def hidden(self, image_ids: Sequence[str], *, job_id: str) -> bool:
        """Whether any of this was taken down or lies in quarantine."""
        return bool(await self._withheld.images(image_ids)) or bool(await self._withheld.jobs([job_id]))

    async def keep(self, subject: str, png: bytes) -> str:
        """Store a source for a worker, sealed under its asker's key; the id of the blob."""
        return await self._blobs.put(await self._vault.seal(subject, png))

    async def digest(self, job: Job, blob: str | None) -> str:
        """SHA-256 (hex) of a job's sealed source or mask, opened; empty: there is none, or it is gone."""
        if blob is None:
            return ""
        try:
            data = await self._vault.unseal(job.user_id, await self._blobs.get(blob))
        except BlobMissingError:
            return ""
        return hashlib.sha256(data).hexdigest()

    async def drop(self, blob: str) -> None:
        """Forget a source that no job starts from."""
        await self._blobs.delete(blob)

    async def standing(self, image_ids: Sequence[str], blob: str | None) -> None:
        """Check that sources may still be used: a request may wait long for its terms or for a moderator.

        Raises:
            SourceGoneError: one was deleted, erased or closed off, or what was stored of it is gone.
        """
        if blob is not None:
            try:
                await self._blobs.get(blob)
            except BlobMissingError:
                raise SourceGoneError("This request waited too long: please ask again.") from None
        for image_id in image_ids:
            release = await self._releases.get(image_id)
            if (
                release is None
                or release.deleted
                or not release.blob
                or await self.hidden([image_id], job_id=release.job_id)
            ):
                raise SourceGoneError("The picture that this goes on from is no longer here.")

    async def credited(self, job: Job, stored: Sequence[StoredImage]) -> tuple[StoredImage, ...]:
        """A job's pictures with the credits of the pictures that were drawn into them."""
        inherited = await self._inherited(job.request)
        return tuple(replace(one, credits=merged(one.credits, inherited)) for one in stored)

    async def signed(self, request: ImageRequest) -> tuple[tuple[Release, bytes], ...]:
        """The released files that a picture was drawn from; those that are gone meanwhile are left out."""
        found = []
        for image_id in request.source_images if request.source_blob else ():
            release = await self._releases.get(image_id)
            if release is None or not release.blob:
                continue
            try:
                sealed = await self._blobs.get(release.blob)
                found.append((release, await self._vault.unseal(release.subject, sealed)))
            except (BlobMissingError, VaultError):  # retention was faster; the ids stay recorded
                continue
        return tuple(found)

    async def _inherited(self, request: ImageRequest) -> tuple[Credit, ...]:
        if not request.source_blob or not request.source_images:
            return ()  # drawn from words alone
        credits_: tuple[Credit, ...] = ()
        for image_id in request.source_images:
            try:
                details = await self._releases.details(image_id)
            except VaultError:  # erased meanwhile
                continue
            own = [Credit(**values) for values in json.loads(details.credits)] if details else []
            part = len(request.source_images)
            credits_ = merged(credits_, [replace(one, share=round(one.share / part, 4)) for one in own])
        return credits_

    async def _open(self, job: Job, stored: StoredImage) -> bytes:
        try:
            return await self._vault.unseal(job.user_id, await self._blobs.get(stored.blob))
        except (BlobMissingError, VaultError):
            raise SourceGoneError("This picture is kept no longer: ask for a new one.") from None


def merged(first: Sequence[Credit], second: Sequence[Credit]) -> tuple[Credit, ...]:
    """Each credited source once, with the larger of its shares."""
    found: dict[str, Credit] = {}
    for credit in (*first, *second):
        known = found.get(credit.source)
        if known is None or known.share < credit.share:
            found[credit.source] = credit
    return tuple(sorted(found.values(), key=lambda credit: -credit.share))
