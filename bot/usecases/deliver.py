"""Delivering: from a drawn picture in the store to a post that a person sees, exactly once."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace

from attribution.errors import AttributionError, ErasedError
from attribution.releases import Releases
from bot.card import DrawnImage
from bot.conversation import Origin, Progress, Reply
from bot.errors import PlatformError, PlatformForbiddenError, PlatformRateLimitError
from bot.platforms.base import Platform
from bot.posts import Posts
from bot.replies import Replies
from bot.usecases.finish import Finisher
from generation.catalog import Catalog
from generation.errors import GenerationError, LeaseLostError
from generation.job import Job
from generation.outage import is_away
from generation.outbox import Outbox, OutboxItem, OutboxKind
from generation.progress import ProgressBoard
from generation.queue import JobQueue
from moderation.errors import ModerationError
from moderation.types import Verdict

log = logging.getLogger(__name__)

IDLE_S = 0.2  # between looks into an empty outbox
UPDATE_S = 1.0  # between progress updates; platforms drop what is too fast for them
MAX_ATTEMPTS = 20  # with the waits below, most of a day
MAX_WAIT_S = 3600.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Settled:
    """How a job ended for the person who asked."""

    images: tuple[DrawnImage, ...]
    verdicts: tuple[Verdict, ...]  # of pictures that the image check withheld
    post: str | None  # the platform's reference to the message
    reviews: tuple[str, ...] = ()  # of pictures that wait for a moderator


class Courier:
    """Carries outbox rows to platforms. Every step is idempotent: a crash anywhere re-runs it."""

    def __init__(
        self,
        *,
        queue: JobQueue,
        outbox: Outbox,
        finisher: Finisher,
        releases: Releases,
        catalog: Catalog,
        posts: Posts,
        progress: ProgressBoard,
        replies: Replies,
        platforms: Mapping[str, Platform],
        on_removed: Callable[[Job], Awaitable[bool]],
    ) -> None:
        """`on_removed` records that a moderator's removal is done; True: the requester is to be told."""
        self._queue, self._outbox, self._finisher = queue, outbox, finisher
        self._releases, self._catalog = releases, catalog
        self._posts, self._progress, self._replies = posts, progress, replies
        self._platforms, self._on_removed = platforms, on_removed
        self._tasks: set[asyncio.Task[None]] = set()
        self._drawn = asyncio.Event()  # this process has drawn something: look into the outbox now
        self._told = asyncio.Condition()  # this process has told somebody something

    async def announce(self, job: Job) -> None:
        """Post the placeholder of an accepted job and keep it moving; failing to is no failure of the job."""
        origin, outage = Origin.from_bytes(job.reply_to), self._queue.outage
        platform = self._platforms.get(origin.platform)
        if platform is None:
            return
        try:
            post = await platform.placeholder(origin, self._replies.placeholder(job))
        except PlatformError as error:
            log.warning("no placeholder for job %s: %s", job.id, error.code)
            return
        if post is None:
            return
        await self._posts.put(job.id, subject=job.user_id, post=post, state="waiting")
        task = asyncio.create_task(outage.outlast(lambda: self._follow(platform, post, job.id)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def notify(self, origin: Origin, reply: Reply) -> None:
        """Tell a requester something in private, best effort."""
        platform = self._platforms.get(origin.platform)
        if platform is None:
            return
        try:
            await platform.notify(origin, reply)
        except PlatformError as error:
            log.warning("a notice on %s was not delivered: %s", origin.platform, error.code)

    async def remove(self, job: Job) -> None:
        """Remove the messages of a job: the usual one, and one for each picture that was let pass later."""
        platform = self._platforms.get(job.workspace_id.partition(":")[0])
        if platform is None:
            return
        for key in (job.id, *[release.image_id for release in await self._releases.of_job(job.id)]):
            stored = await self._posts.get(key)
            if stored is not None:
                await platform.remove(stored[0])
                await self._posts.put(key, subject=job.user_id, post=stored[0], state="removed")

    async def run(self, stop: asyncio.Event) -> None:
        """Deliver until `stop` is set; what is under way is finished first."""
        while not stop.is_set():
            try:
                if await self._next():
                    continue
            except Exception as error:
                if not is_away(error):
                    raise
                # What was under way is still in the outbox; a post that went out is found by its key.
                await self._queue.outage.wait(error, stop)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._drawn.wait(), IDLE_S)
            self._drawn.clear()
        await self.close()

    async def close(self) -> None:
        """Stop following jobs: the database can be closed behind it."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def drain(self) -> None:
        """Deliver what is due now, and return."""
        while await self._next():
            continue

    async def _next(self) -> bool:
        if (item := await self._outbox.claim(platforms=tuple(self._platforms))) is None:
            return False
        with contextlib.suppress(LeaseLostError):  # somebody else delivers it now
            await self._carry(item)
        async with self._told:
            self._told.notify_all()
        return True

    async def settled(self, job_id: str) -> Settled:
        """Wait until the person has the answer to a job, whichever process gives it."""
        while True:
            job = await self._queue.get(job_id)
            if job is None or (job.status.final and await self._outbox.is_done(job_id)):
                break
            async with self._told:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._told.wait(), IDLE_S)
        stored = await self._posts.get(job_id)
        if job is None:
            return Settled(images=(), verdicts=(), post=None)
        images, verdicts = await self._finisher.of_job(job)
        waiting = await self._finisher.waiting(job) if verdicts else ()
        post = stored[0] if stored else None
        return Settled(images=images, verdicts=verdicts, post=post, reviews=waiting)

    async def _follow(self, platform: Platform, post: str, job_id: str) -> None:
        """Keep the placeholder moving; wake the courier as soon as the job is drawn here."""
        watching = asyncio.create_task(self._watch(job_id))
        try:
            await self._pump(platform, post, job_id)
        finally:
            watching.cancel()
            self._drawn.set()

    async def _watch(self, job_id: str) -> None:
        async for _ in self._progress.watch(job_id):
            pass
        self._drawn.set()

    async def _carry(self, item: OutboxItem) -> None:
        try:
            await self._deliver(item)
        except PlatformRateLimitError as error:
            await self._outbox.retry(item, error.retry_after_s)
        except (PlatformForbiddenError, ErasedError) as error:
            # Nobody can be told there any more; the picture stays in the requester's history.
            log.warning("job %s cannot be delivered: %s", item.job_id, error.code)
            await self._outbox.done(item)
        except (PlatformError, AttributionError, GenerationError, ModerationError, OSError) as error:
            log.warning(
                "delivery of job %s failed (attempt %d): %s", item.job_id, item.attempt, type(error).__name__
            )
            log.debug("delivery failed", exc_info=error)
            if (isinstance(error, PlatformError) and not error.retryable) or item.attempt >= MAX_ATTEMPTS:
                await self._outbox.done(item)
            else:
                await self._outbox.retry(item, min(MAX_WAIT_S, 2.0**item.attempt))

    async def _deliver(self, item: OutboxItem) -> None:
        job = await self._queue.get(item.job_id)
        if job is None:
            await self._outbox.done(item)
            return
        origin = Origin.from_bytes(job.reply_to)
        platform = self._platforms[origin.platform]
        beating = asyncio.create_task(self._beat(item))
        try:
            await self._act(item.kind, platform, origin, job)
        finally:
            beating.cancel()
        await self._outbox.done(item)

    async def _act(self, kind: OutboxKind, platform: Platform, origin: Origin, job: Job) -> None:
        match kind:
            case "deliver":
                images, verdicts = await self._finisher.finish(job, origin)
                if images:
                    await self._post(platform, origin, job, images, withheld=len(verdicts))
                else:
                    await self._give_up(platform, origin, job, self._replies.withheld(verdicts))
            case "approved":
                await self._post_approved(platform, origin, job)
            case "remove":
                await self.remove(job)
                if await self._on_removed(job):
                    await self.notify(replace(origin, token=""), self._replies.taken_down(job))
            case "failed":
                await self._give_up(platform, origin, job, self._replies.failed(job))
            case "cancelled":
                await self._give_up(platform, origin, job, None)

    async def _post(
        self, platform: Platform, origin: Origin, job: Job, images: tuple[DrawnImage, ...], *, withheld: int
    ) -> None:
        if (stored := await self._posts.get(job.id)) is not None and stored[1] != "waiting":
            return  # shown already; only the outbox row was left
        model = self._catalog.get(job.request.model_id)
        reply = self._replies.picture(
            job=job, model=model, license_=self._finisher.license_of(model), images=images, withheld=withheld
        )
        post = await platform.fill(origin, stored[0] if stored else None, reply, key=job.id)
        await self._finisher.shown(job, images)
        for image in images:
            await self._releases.set_posted(image.release.image_id, post)
        await self._posts.put(job.id, subject=job.user_id, post=post, state="filled")
        if await self._finisher.standing(job) < len(images):  # taken down while it was on its way
            await self.remove(job)

    async def _post_approved(self, platform: Platform, origin: Origin, job: Job) -> None:
        """Show pictures that a moderator let pass, each in a message of its own with the usual card."""
        model = self._catalog.get(job.request.model_id)
        license_ = self._finisher.license_of(model)
        for image in await self._finisher.approved(job, origin):
            key = image.release.image_id
            if image.release.posted is not None or await self._posts.get(key) is not None:
                continue  # shown already
            reply = self._replies.picture(
                job=job, model=model, license_=license_, images=(image,), withheld=0
            )
            post = await platform.fill(origin, None, reply, key=key)
            await self._releases.set_posted(key, post)
            await self._posts.put(key, subject=job.user_id, post=post, state="filled")

    async def _give_up(self, platform: Platform, origin: Origin, job: Job, notice: Reply | None) -> None:
        stored = await self._posts.get(job.id)
        if stored is not None and stored[1] == "waiting":
            await platform.remove(stored[0])
            await self._posts.put(job.id, subject=job.user_id, post=stored[0], state="removed")
        if notice is not None:
            await self.notify(origin, notice)

    async def _beat(self, item: OutboxItem) -> None:
        while True:
            await asyncio.sleep(5)
            await self._queue.outage.outlast(lambda: self._outbox.beat(item))

    async def _pump(self, platform: Platform, post: str, job_id: str) -> None:
        """Show place, wait and previews until the job is final."""
        shown: Progress | None = None
        while True:
            job = await self._queue.get(job_id)
            if job is None or job.status.final:
                return
            place, latest = await self._queue.place(job_id), self._progress.news(job_id)
            progress = Progress(
                job_id=job_id,
                place=place.place,
                eta_s=place.eta_s,
                fraction=latest.fraction,
                preview=latest.preview_png,
                elsewhere_s=latest.waiting_s,
                text=self._replies.progress(place, elsewhere_s=latest.waiting_s),
            )
            if progress != shown:
                try:
                    await platform.update(post, progress)
                except PlatformError as error:
                    log.info("progress of job %s not shown: %s", job_id, error.code)
                shown = progress
            await asyncio.sleep(UPDATE_S)
