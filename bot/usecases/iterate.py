"""Going on from a picture: vary, enlarge, remix, draw again, delete it; cancel what still waits."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from attribution.record import EventKind
from attribution.releases import Releases
from attribution.vault import Vault
from bot.conversation import ImagineCommand, Origin
from bot.errors import NotFoundError, UsageError
from bot.usecases.clicks import Clicks
from bot.usecases.imagine import Imagine
from bot.usecases.outcomes import Accepted, Blocked, Held, ImagineOutcome, TermsRequired
from bot.usecases.request import MAX_SEED, subject_of
from bot.usecases.sources import SourcePicture, Sources
from generation.card import MAX_UPSCALED, UPSCALES
from generation.catalog import Catalog, ModelCard
from generation.job import ImageRequest, Job
from generation.queue import JobQueue

WEAK, STRONG = 0.35, 0.65
"""How much a variation redraws, where the model's card does not say: its `vary_weak`, `vary_strong`."""


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
    """The next steps on a picture; each passes the same terms, quota and screening as the first."""

    def __init__(
        self,
        *,
        imagine: Imagine,
        catalog: Catalog,
        queue: JobQueue,
        releases: Releases,
        vault: Vault,
        sources: Sources,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._imagine, self._catalog, self._queue = imagine, catalog, queue
        self._releases, self._vault, self._sources = releases, vault, sources
        self.clicks = Clicks(monotonic)

    async def vary(
        self, origin: Origin, image_id: str, *, prompt: str | None = None, strength: float | str = "strong"
    ) -> ImagineOutcome:
        """One more picture from this one.

        Args:
            origin: who asks; only the picture's requester may.
            image_id: of a released picture.
            prompt: other words; None: the same.
            strength: "weak", "strong", or the share of the way from the picture (0) to words alone (1). At 1
                nothing of the picture is kept but its words, and the seed is new.

        Raises:
            NotFoundError, SourceGoneError, NotYourPictureError: as `Sources.picture`.
            UsageError: the strength is out of bounds.
            RequestLimitError: the queue takes no more for now.
        """
        source = await self._sources.picture(origin, image_id)
        card = self._catalog.get(source.job.request.model_id)
        share = strength_of(card, strength)
        once = self.clicks.once(origin, f"vary {strength} {prompt}", image_id)
        command = self._again(once, source.job.request, prompt=prompt, count=1)
        command = replace(command, step="vary", source_images=(image_id,), strength=share)
        return await self._start(command, source, draw_from=share < 1)

    async def upscale(self, origin: Origin, image_id: str, *, factor: int = 2) -> ImagineOutcome:
        """The picture, enlarged 2 or 4 times by the network that ships with Verso.

        Raises:
            NotFoundError, SourceGoneError, NotYourPictureError: as `Sources.picture`.
            UsageError: another factor, or the result would be too large.
            RequestLimitError: the queue takes no more for now.
        """
        if factor not in UPSCALES:
            raise UsageError("A picture can be enlarged 2 or 4 times.", field="factor")
        source = await self._sources.picture(origin, image_id)
        width, height = await self._size(source)
        if max(width, height) * factor > MAX_UPSCALED:
            raise UsageError(
                f"This picture has {width} x {height} pixels: {factor} times that is more than "
                f"{MAX_UPSCALED} pixels on an edge.",
                field="factor",
            )
        once = self.clicks.once(origin, f"upscale {factor}", image_id)
        command = replace(
            self._again(once, source.job.request, prompt=None, count=1),
            step="upscale",
            seed=source.seed,
            source_images=(image_id,),
            upscale=factor,
            size=(width * factor, height * factor),
        )
        return await self._start(command, source, draw_from=True)

    async def reroll(self, origin: Origin, job_id: str) -> ImagineOutcome:
        """The same words with new seeds.

        Raises:
            NotFoundError, NotYourPictureError: as `Sources.first_of`.
        """
        job, image_id = await self._sources.first_of(origin, job_id)
        once = self.clicks.once(origin, "reroll", job_id)
        command = self._again(once, job.request, prompt=None, count=job.request.count)
        return await self._imagine(
            replace(command, step="reroll", source_images=(image_id,) if image_id else ())
        )

    async def remix(self, origin: Origin, job_id: str, *, prompt: str) -> ImagineOutcome:
        """Other words with the same seeds: what the words leave open stays as it was.

        Raises:
            NotFoundError, NotYourPictureError: as `Sources.first_of`.
            UsageError: the words are empty or too many.
        """
        job, image_id = await self._sources.first_of(origin, job_id)
        command = self._again(origin, job.request, prompt=prompt, count=job.request.count)
        return await self._imagine(
            replace(
                command,
                step="remix",
                seed=min(job.request.seed, MAX_SEED - 4),
                source_images=(image_id,) if image_id else (),
            )
        )

    async def prompt_of(self, job_id: str) -> str:
        """The words of a job, for a form that changes them; empty where it is gone."""
        job = await self._queue.get(job_id)
        return job.request.prompt if job else ""

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
            return Cancelled(count=(await self._queue.cancel_user(subject)).jobs)
        owner = None if origin.is_moderator else subject
        job = await self._job(job_id)
        self._same_workspace(origin, job, job_id)
        return Cancelled(count=int(await self._queue.cancel(job_id, user_id=owner)))

    async def _start(
        self, command: ImagineCommand, source: SourcePicture, *, draw_from: bool
    ) -> ImagineOutcome:
        if not draw_from:
            return await self._imagine(replace(command, strength=None))
        return await started_from(
            self._imagine, self._sources, command, subject=source.job.user_id, png=source.png
        )

    def _again(
        self, origin: Origin, request: ImageRequest, *, prompt: str | None, count: int
    ) -> ImagineCommand:
        card = self._catalog.get(request.model_id)
        return ImagineCommand(
            origin=origin,
            prompt=request.prompt if prompt is None else prompt,
            negative_prompt=request.negative_prompt,
            model_id=request.model_id,
            aspect=aspect_of(card, request.width, request.height),
            seed=secrets.randbelow(MAX_SEED - 4),
            count=count,
        )

    async def _size(self, source: SourcePicture) -> tuple[int, int]:
        stored = await self._queue.results(source.job.id)
        return next((one.width, one.height) for one in stored if one.index == source.release.index)

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


async def started_from(
    imagine: Imagine,
    sources: Sources,
    command: ImagineCommand,
    *,
    subject: str,
    png: bytes,
    mask: bytes | None = None,
) -> ImagineOutcome:
    """Ask for a picture that starts from another; what is stored of that goes where no job will use it."""
    blob = await sources.keep(subject, png)
    mask_blob = None if mask is None else await sources.keep(subject, mask)
    kept = False
    try:
        outcome = await imagine(replace(command, source_blob=blob, mask_blob=mask_blob))
        # What waits for terms, a moderator or an appeal may still become a job.
        waits = isinstance(outcome, TermsRequired | Held) or (
            isinstance(outcome, Blocked) and outcome.appealable
        )
        kept = waits or (isinstance(outcome, Accepted) and outcome.job.request.source_blob == blob)
    finally:
        for stored in () if kept else (blob, mask_blob):
            if stored is not None:
                await sources.drop(stored)
    return outcome


def strength_of(card: ModelCard, strength: float | str) -> float:
    """The share of the way from a picture (0) to words alone (1).

    Raises:
        UsageError: it is no number above 0 and at most 1, and neither "weak" nor "strong".
    """
    if strength == "weak":
        return float(card.options.get("vary_weak", WEAK))
    if strength == "strong":
        return float(card.options.get("vary_strong", STRONG))
    if isinstance(strength, str) or not 0 < strength <= 1:
        raise UsageError("The strength is a number above 0 and at most 1.", field="strength")
    return float(strength)


def aspect_of(card: ModelCard, width: int, height: int) -> str:
    """The aspect of a size, or the nearest one that the model draws."""
    shape = width / height
    return min(
        card.aspects, key=lambda name: (abs(card.aspects[name][0] / card.aspects[name][1] - shape), name)
    )
