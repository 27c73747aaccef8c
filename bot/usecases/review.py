"""People deciding: the moderators' queue, appeals, and what follows from a decision."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

from attribution.ledger import Ledger
from attribution.record import EventKind
from attribution.vault import Vault
from bot.conversation import ImagineCommand, Origin
from bot.errors import NotFoundError, UsageError
from bot.posts import Posts, command_from_bytes, command_to_bytes
from bot.usecases.image_check import HeldImage
from bot.usecases.imagine import Imagine
from bot.usecases.outcomes import Accepted
from bot.usecases.request import hours_from_now, subject_of
from generation import outbox
from generation.blobs import BlobStore
from generation.queue import JobQueue
from moderation.decisions import Decisions
from moderation.errors import ReviewMissingError
from moderation.moderator import Moderator
from moderation.reviews import Outcome, Review, Reviews
from moderation.strikes import Strikes
from moderation.types import Action, Category, Verdict

MAX_LISTED = 20
OUTCOMES: Mapping[str, Outcome] = {
    "approve": "approved",
    "uphold": "upheld",
    "warn": "warned",
    "timeout": "timed_out",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class ReviewView:
    """A review with the words it is about, for a moderator's eyes."""

    review: Review
    command: ImagineCommand
    appeal: str
    held: HeldImage | None = None  # the picture in question, where the image check held one
    picture: bytes | None = None  # its PNG, where a single review was asked for


@dataclass(frozen=True, kw_only=True, slots=True)
class ReviewList:
    """What waits for a decision."""

    views: tuple[ReviewView, ...]  # the oldest
    waiting: int  # in all


@dataclass(frozen=True, kw_only=True, slots=True)
class Decided:
    """A moderator has decided; an approved request is in the queue."""

    view: ReviewView
    accepted: Accepted | None
    timed_out_until_ms: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class NotModerator:
    """This person may not decide."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Appealed:
    """A moderator will look at the block."""

    review_id: str
    deadline_ms: int


class ReviewRoom:
    """The review queue and what a decision sets off. Every action records its actor."""

    def __init__(
        self,
        *,
        moderator: Moderator,
        reviews: Reviews,
        strikes: Strikes,
        decisions: Decisions,
        imagine: Imagine,
        ledger: Ledger,
        vault: Vault,
        posts: Posts,
        queue: JobQueue,
        blobs: BlobStore,
    ) -> None:
        self._reviews, self._strikes, self._imagine = reviews, strikes, imagine
        self._decisions, self._moderator = decisions, moderator
        self._ledger, self._vault, self._posts, self._queue = ledger, vault, posts, queue
        self._blobs = blobs

    async def pending(self, origin: Origin) -> ReviewList | NotModerator:
        """What waits in this workspace; from the terminal, in all of them."""
        if not origin.is_moderator:
            return NotModerator()
        reviews = await self._reviews.pending(sees(origin))
        views = [view_of(await self._reviews.get(review.id)) for review in reviews[:MAX_LISTED]]
        return ReviewList(views=tuple(views), waiting=len(reviews))

    async def show(self, origin: Origin, review_id: str) -> ReviewView | NotModerator:
        """One review, decided or not; while it waits, with the picture that it is about."""
        if not origin.is_moderator:
            return NotModerator()
        view = view_of(await self._get(origin, review_id))
        if view.held is None or not view.review.open:
            return view
        stored = await self._queue.results(view.held.job_id)
        blob = next((image.blob for image in stored if image.index == view.held.index), None)
        if blob is None:
            return view
        sealed = await self._blobs.get(blob)
        return replace(view, picture=await self._vault.unseal(view.review.subject, sealed))

    async def decide(
        self, origin: Origin, review_id: str, *, step: str, reason: str
    ) -> Decided | NotModerator:
        """Approve, uphold, warn or time out.

        Raises:
            ReviewMissingError: no such review in this workspace.
            AlreadyDecidedError: another moderator was faster.
        """
        if not origin.is_moderator:
            return NotModerator()
        outcome = OUTCOMES.get(step)
        if outcome is None:
            raise UsageError(f"There is no step {step!r}.", field="step")
        held = view_of(await self._get(origin, review_id)).held
        actor = await subject_of(self._vault, origin)
        # An approved picture is drawn already: the courier only has to show it.
        also = None
        if held is not None and step == "approve":
            also = functools.partial(outbox.put_again, job_id=held.job_id, kind="approved")
        review = await self._reviews.decide(review_id, outcome=outcome, actor=actor, reason=reason, also=also)
        view = view_of(review)
        await self._note(review, actor=actor, reason=reason)
        accepted, until = None, None
        if step == "approve" and held is None:
            # Deadlines of the first reply have passed: answer by message, not by its token.
            verdict = Verdict(action=Action.ALLOW, policy_version="")
            accepted = await self._imagine.run_approved(view.command, review_id=review.id, verdict=verdict)
        elif step in {"warn", "timeout"}:
            until = await self._strike(review, step=step, actor=actor)
        return Decided(view=view, accepted=accepted, timed_out_until_ms=until)

    async def appeal(self, origin: Origin, decision_id: str, *, text: str) -> Appealed:
        """Ask a moderator to look at a block; once per prompt.

        Raises:
            NotFoundError: nothing of this person was blocked under that id, or it was appealed before.
        """
        subject = await subject_of(self._vault, origin)
        command = await self._posts.unpark(decision_id, subject=subject)
        if command is None:
            raise NotFoundError("block that can still be appealed", decision_id)
        deadline = hours_from_now(self._moderator.policy.appeal_hours)
        payload = command_to_bytes(command) + b"\n" + text[:500].encode("utf-8", "replace")
        review = await self._reviews.open_(
            decision_id=decision_id,
            subject=subject,
            workspace_id=origin.workspace_id,
            payload=payload,
            kind="appeal",
            deadline_ms=deadline,
        )
        await self._ledger.append(
            EventKind.APPEAL_OPENED,
            subject=subject,
            public={"review": review, "decision": decision_id},
            private={"text": text[:500]},
        )
        return Appealed(review_id=review, deadline_ms=deadline)

    async def expire(self) -> tuple[ReviewView, ...]:
        """Close what nobody decided in time; the requesters of these are to be told."""
        views = []
        for review in await self._reviews.expire():
            views.append(view_of(await self._reviews.get(review.id)))
            await self._note(review, actor="deadline", reason="")
        return tuple(views)

    async def _note(self, review: Review, *, actor: str, reason: str) -> None:
        await self._ledger.append(
            EventKind.APPEAL_DECIDED,
            subject=review.subject,
            public={
                "review": review.id,
                "decision": review.decision_id,
                "outcome": review.status,
                "actor": actor,
            },
            private={"reason": reason},
        )

    async def _strike(self, review: Review, *, step: str, actor: str) -> int | None:
        """Count a strike, or time out at once; who is timed out waits for nothing any more."""
        if step == "timeout":
            standing = await self._strikes.time_out(review.subject, review.workspace_id, actor=actor)
        else:
            decision = await self._decisions.get(review.decision_id)
            finding = decision.gravest if decision else None
            category = finding.category if finding else Category.EVASION
            standing = await self._strikes.add(review.subject, review.workspace_id, category=category)
        if step == "timeout" or standing.new_timeout:
            await self._queue.cancel_user(review.subject)
        return standing.timeout_until_ms

    async def _get(self, origin: Origin, review_id: str) -> Review:
        review = await self._reviews.get(review_id)
        if sees(origin) not in {None, review.workspace_id}:
            raise ReviewMissingError(review_id)
        return review


def view_of(review: Review) -> ReviewView:
    """A review whose payload was opened, as values."""
    command, _, rest = (review.payload or b"").partition(b"\n")
    image = review.kind == "image"
    return ReviewView(
        review=review,
        command=command_from_bytes(command),
        appeal="" if image else rest.decode("utf-8", "replace"),
        held=HeldImage(**json.loads(rest)) if image else None,
    )


def sees(origin: Origin) -> str | None:
    """Which workspace's reviews a moderator sees: their own; whoever has the shell sees all."""
    return None if origin.platform == "terminal" else origin.workspace_id
