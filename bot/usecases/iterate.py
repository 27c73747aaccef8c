"""Going on from a picture: vary it, draw it again, delete it; cancel what still waits."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from attribution.record import EventKind
from attribution.releases import Release, Releases
from attribution.vault import Vault
from bot.conversation import ImagineCommand, Origin
from bot.errors import NotFoundError
from bot.usecases.imagine import Imagine
from bot.usecases.outcomes import ImagineOutcome
from bot.usecases.request import MAX_SEED, subject_of
from generation.catalog import Catalog
from generation.job import ImageRequest, Job
from generation.queue import JobQueue
from moderation.withheld import Withheld


@dataclass(frozen=True, kw_only=True, slots=True)
class Deleted:
    """The posted pictures of a job are marked as deleted; its message is to be removed."""

    job: Job
    by_requester: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class NotYours:
    """Only the requester or a moderator may do this."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cancelled:
    """So many jobs were stopped."""

    count: int


class Iterate:
    """The next steps on a picture; each passes the same screening as the first."""

    def __init__(
        self,
        *,
        imagine: Imagine,
        catalog: Catalog,
        queue: JobQueue,
        releases: Releases,
        vault: Vault,
        withheld: Withheld,
    ) -> None:
        self._imagine, self._catalog, self._queue = imagine, catalog, queue
        self._releases, self._vault, self._withheld = releases, vault, withheld

    async def vary(self, origin: Origin, image_id: str, *, prompt: str | None = None) -> ImagineOutcome:
        """One more picture like this one, with a new seed.

        Raises:
            NotFoundError: no such picture in this workspace.
        """
        release = await self._release(origin, image_id)
        job = await self._job(release.job_id)
        return await self._again(origin, job.request, prompt=prompt, count=1)

    async def reroll(self, origin: Origin, job_id: str) -> ImagineOutcome:
        """The same words with new seeds."""
        job = await self._job(job_id)
        self._same_workspace(origin, job, job_id)
        if await self._withheld.jobs([job_id]):
            raise NotFoundError("job", job_id)
        return await self._again(origin, job.request, prompt=None, count=job.request.count)

    async def delete(self, origin: Origin, job_id: str) -> Deleted | NotYours:
        """Take the pictures of a job out of sight; the record stays and says who did it."""
        job = await self._job(job_id)
        self._same_workspace(origin, job, job_id)
        actor = await subject_of(self._vault, origin)
        mine = actor == job.user_id
        if not mine and not origin.is_moderator:
            return NotYours()
        for release in await self._releases.of_job(job_id):
            kind = EventKind.DELETED if mine else EventKind.TAKE_DOWN
            await self._releases.mark_deleted(release.image_id, kind=kind, actor=actor)
        return Deleted(job=job, by_requester=mine)

    async def cancel(self, origin: Origin, job_id: str) -> Cancelled:
        """Stop a waiting or running job of one's own, or all of them where `job_id` is empty."""
        subject = await subject_of(self._vault, origin)
        if not job_id:
            return Cancelled(count=await self._queue.cancel_user(subject))
        owner = None if origin.is_moderator else subject
        job = await self._job(job_id)
        self._same_workspace(origin, job, job_id)
        return Cancelled(count=int(await self._queue.cancel(job_id, user_id=owner)))

    async def _again(
        self, origin: Origin, request: ImageRequest, *, prompt: str | None, count: int
    ) -> ImagineOutcome:
        sizes = self._catalog.get(request.model_id).aspects
        aspect = next((a for a, size in sizes.items() if size == (request.width, request.height)), "1:1")
        return await self._imagine(
            ImagineCommand(
                origin=origin,
                prompt=request.prompt if prompt is None else prompt,
                negative_prompt=request.negative_prompt,
                model_id=request.model_id,
                aspect=aspect,
                seed=secrets.randbelow(MAX_SEED - 4),
                count=count,
            )
        )

    async def _release(self, origin: Origin, image_id: str) -> Release:
        release = await self._releases.get(image_id)
        if release is None or release.deleted_ms is not None or await self._withheld.images([image_id]):
            raise NotFoundError("image", image_id)
        if await self._withheld.jobs([release.job_id]):
            raise NotFoundError("image", image_id)
        self._same_workspace(origin, await self._job(release.job_id), image_id)
        return release

    async def _job(self, job_id: str) -> Job:
        job = await self._queue.get(job_id)
        if job is None:
            raise NotFoundError("job", job_id)
        return job

    @staticmethod
    def _same_workspace(origin: Origin, job: Job, target: str) -> None:
        # An id from another server or team must not open anything here.
        if job.workspace_id != origin.workspace_id:
            raise NotFoundError("image", target)
