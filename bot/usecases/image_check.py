"""The image check of one drawn picture: judged once, and a moderator's word on it counts from then on."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from bot.conversation import ImagineCommand, Origin
from bot.nearest import Neighbor
from bot.posts import command_to_bytes
from bot.usecases.request import hours_from_now, scope_of
from bot.words import awaits_moderator
from generation.job import Credit, Job, StoredImage
from moderation.decisions import Decisions
from moderation.moderator import Moderator
from moderation.reviews import Review, Reviews
from moderation.types import Action, ImageContent, Verdict
from moderation.withheld import Withheld

log = logging.getLogger(__name__)

Nearest = Callable[
    [npt.NDArray[np.uint8], str, Sequence[Credit]], Awaitable[tuple[Neighbor, ...] | None]
]  # `TrainingPictures.nearest`


@dataclass(frozen=True, kw_only=True, slots=True)
class HeldImage:
    """Which drawn picture a review is about."""

    job_id: str
    index: int


class ImageCheck:
    """Judges pictures, opens a review for a doubtful one, and knows what nobody may see any more.

    The decision's id follows from the picture's place, so a repeated delivery asks neither the rules nor a
    moderator again.
    """

    def __init__(
        self,
        *,
        moderator: Moderator,
        decisions: Decisions,
        reviews: Reviews,
        withheld: Withheld,
        close_off: Callable[[Job, int], Awaitable[None]],
        nearest: Nearest,
    ) -> None:
        """`close_off` puts a picture (job, index) into quarantine; a repeat changes nothing."""
        self._nearest, self._index_open = nearest, False
        self._moderator, self._decisions = moderator, decisions
        self._reviews, self._withheld, self._close_off = reviews, withheld, close_off

    async def verdict(
        self, job: Job, origin: Origin, stored: StoredImage, pixels: npt.NDArray[np.uint8]
    ) -> Verdict:
        """ALLOW: it may be released; HOLD: a moderator looks at it; BLOCK: not shown."""
        decision_id = decision_id_of(job.id, stored.index)
        known = await self._decisions.get(decision_id)
        if known is None:
            content = ImageContent(
                pixels=pixels,
                prompt=job.request.prompt,
                model_id=job.request.model_id,
                references=tuple(credit.source for credit in stored.credits),
            )
            if not self._index_open:  # opening it may take longer than the rule near_copy is given
                self._index_open = await self.nearest(job, stored, pixels) is not None
            # From then on beside the other rules: near_copy comes after them and finds the answer.
            fresh, _ = await asyncio.gather(
                self._moderator.review(content, scope_of(origin)), self.nearest(job, stored, pixels)
            )
            await self._decisions.record(
                subject=job.user_id,
                scope=scope_of(origin),
                content_kind="image",
                text=job.request.prompt,
                verdict=fresh,
                job_id=job.id,
                decision_id=decision_id,
            )
            known = await self._decisions.get(decision_id)  # a rival's, if it was faster
        if known is None:  # the person was erased meanwhile
            return Verdict(action=Action.BLOCK)
        verdict = Verdict(
            action=known.action,
            findings=known.findings,
            scores=known.scores,
            policy_version=known.policy_version,
        )
        if verdict.zero_tolerance:
            await self._close_off(job, stored.index)
        if not awaits_moderator(verdict):
            return verdict
        review = await self.review(job, stored)
        if review is None:
            await self._open(job, origin, stored, decision_id)
        return _decided(verdict, review)

    async def nearest(
        self, job: Job, stored: StoredImage, pixels: npt.NDArray[np.uint8]
    ) -> tuple[Neighbor, ...] | None:
        """The training pictures nearest to one that was drawn.

        Args:
            job: whose model drew it.
            stored: the picture with its credits.
            pixels: (H, W, 3) 8-bit sRGB as drawn.

        Returns:
            None: the model has no index, or the index cannot be asked. The rule *near_copy* asks again, and
            holds the picture for the same reason.
        """
        try:
            return await self._nearest(pixels, job.request.model_id, stored.credits)
        except Exception as error:  # noqa: BLE001 - whatever broke, the rule that asks next holds the picture
            log.warning("the training pictures cannot be searched: %s", type(error).__name__)
            return None

    async def past(self, job: Job, stored: StoredImage) -> Verdict | None:
        """The verdict that was given, as it stands now; None where there is none."""
        known = await self._decisions.get(decision_id_of(job.id, stored.index))
        if known is None:
            return None
        verdict = Verdict(action=known.action, findings=known.findings, policy_version=known.policy_version)
        return _decided(verdict, await self.review(job, stored))

    async def review(self, job: Job, stored: StoredImage) -> Review | None:
        """The review of a picture that was held."""
        return await self._reviews.of_decision(decision_id_of(job.id, stored.index), "image")

    async def hidden(self, job: Job, stored: Sequence[StoredImage]) -> frozenset[int]:
        """The places of those pictures that were taken down or lie in quarantine."""
        ids = {image_id_of(job.id, image.index): image.index for image in stored}
        return frozenset(ids[image_id] for image_id in await self._withheld.images(list(ids)))

    async def _open(self, job: Job, origin: Origin, stored: StoredImage, decision_id: str) -> None:
        request = job.request
        command = ImagineCommand(
            origin=origin,
            prompt=request.prompt,
            negative_prompt=request.negative_prompt,
            model_id=request.model_id,
            seed=stored.seed,
        )
        place = json.dumps({"job_id": job.id, "index": stored.index}).encode()
        await self._reviews.open_(
            decision_id=decision_id,
            subject=job.user_id,
            workspace_id=job.workspace_id,
            payload=command_to_bytes(command) + b"\n" + place,
            kind="image",
            deadline_ms=hours_from_now(self._moderator.policy.appeal_hours),
        )


def event_id(target: str, what: str) -> str:
    """The id of an event or thing that exists once for a target: 16 hex digits."""
    return hashlib.sha256(f"{what}\0{target}".encode()).hexdigest()[:16]


def image_id_of(job_id: str, index: int) -> str:
    """The id that a picture has, or will have once it is released."""
    return event_id(f"{job_id}/{index}", "image")


def decision_id_of(job_id: str, index: int) -> str:
    """The id of the decision about a picture."""
    return event_id(f"{job_id}/{index}", "image check")


def _decided(verdict: Verdict, review: Review | None) -> Verdict:
    """A moderator's decision takes the place of the doubt."""
    if review is None or review.open:
        return verdict
    return replace(verdict, action=Action.ALLOW if review.status == "approved" else Action.BLOCK)
