"""Credit where it is due: what a posted picture rests on, and the training pictures nearest to it."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from attribution.errors import ErasedError, VaultError
from attribution.releases import Releases
from bot.conversation import Origin
from bot.errors import NotFoundError
from bot.nearest import Neighbor, recorded
from generation.job import Credit
from generation.queue import JobQueue

Hidden = Callable[[Sequence[str]], Awaitable[frozenset[str]]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Credited:
    """One picture with those that it rests on and those that it is near to."""

    image_id: str
    references: tuple[Credit, ...]
    nearest: tuple[Neighbor, ...] | None  # None: its model has no index


class Credits:
    """Reads credits out of the record of pictures."""

    def __init__(self, *, releases: Releases, queue: JobQueue, hidden: Hidden) -> None:
        """`hidden` says which of some pictures nobody may see any more."""
        self._releases, self._queue, self._hidden = releases, queue, hidden

    async def of_job(self, origin: Origin, job_id: str) -> tuple[Credited, ...]:
        """The credits of each posted picture of a job of the asker's workspace.

        Raises:
            NotFoundError: there is none, or it was erased.
        """
        job = await self._queue.get(job_id)
        if job is None or (origin.platform != "terminal" and job.workspace_id != origin.workspace_id):
            raise NotFoundError("job", job_id)
        released = await self._releases.of_job(job_id)
        hidden = await self._hidden([release.image_id for release in released])
        found = [
            await self.of_image(release.image_id)
            for release in released
            if release.image_id not in hidden and release.blob
        ]
        if not found:
            raise NotFoundError("picture", job_id)
        return tuple(found)

    async def of_image(self, image_id: str) -> Credited:
        """The credits of one picture.

        Raises:
            NotFoundError: there is none, or it was erased.
        """
        try:
            details = await self._releases.details(image_id)
        except (ErasedError, VaultError):  # erased, or let go by the retention period
            details = None
        release = await self._releases.get(image_id)
        if details is None or release is None:
            raise NotFoundError("picture", image_id)
        return Credited(
            image_id=image_id,
            references=tuple(Credit(**credit) for credit in json.loads(details.credits)),
            nearest=recorded(details.moderation, index=release.index),
        )
