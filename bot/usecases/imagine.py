"""Asking for a picture: from the words a person typed to a job in the queue, or a reason why not."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from attribution.acceptance import Acceptances
from attribution.ledger import Ledger
from attribution.licenses import License, LicenseCatalog
from attribution.record import EventKind
from attribution.vault import Vault
from bot.conversation import ImagineCommand, Origin
from bot.plans import channel_key
from bot.posts import Posts, command_to_bytes
from bot.usecases.choices import parent_facts, record_chosen, record_screened
from bot.usecases.outcomes import (
    Accepted,
    Blocked,
    Held,
    ImagineOutcome,
    ModelUnavailable,
    TermsRequired,
    TimedOut,
)
from bot.usecases.quota import Quota
from bot.usecases.request import (
    checked,
    dedupe_key_of,
    hours_from_now,
    image_request,
    request_fields,
    scope_of,
    subject_of,
)
from generation.catalog import Catalog, ModelCard
from generation.job import Job
from generation.queue import JobQueue
from moderation.decisions import Decisions
from moderation.moderator import Moderator
from moderation.reviews import Reviews
from moderation.strikes import Strikes
from moderation.types import Action, Category, PromptContent, Verdict


class Imagine:
    """Carries a request from words to the queue."""

    def __init__(
        self,
        *,
        catalog: Catalog,
        licenses: LicenseCatalog,
        acceptances: Acceptances,
        vault: Vault,
        ledger: Ledger,
        quota: Quota,
        moderator: Moderator,
        decisions: Decisions,
        reviews: Reviews,
        strikes: Strikes,
        queue: JobQueue,
        posts: Posts,
        close_off: Callable[[str], Awaitable[None]],
        standing: Callable[[Sequence[str], str | None], Awaitable[None]],
        gate: Callable[[ModelCard], str | None],
    ) -> None:
        """`close_off` puts words into quarantine, `standing` is `Sources.standing`, `gate` a `Gate`."""
        self._standing = standing
        self._catalog, self._licenses, self._acceptances = catalog, licenses, acceptances
        self._vault, self._ledger, self._quota = vault, ledger, quota
        self._moderator, self._decisions, self._reviews = moderator, decisions, reviews
        self._strikes, self._queue, self._posts = strikes, queue, posts
        self._gate = gate
        self._close_off = close_off

    async def __call__(self, command: ImagineCommand) -> ImagineOutcome:
        """Check terms, quota and words, then queue the job.

        Raises:
            UsageError: the command itself is wrong (empty or too long prompt, unknown model or aspect, ...).
            RequestLimitError: the queue takes no more for now.
        """
        command, model = checked(command, self._catalog)
        origin = command.origin
        subject = await subject_of(self._vault, origin)
        license_ = self._licenses.get(model.license_id)
        repeated = await self._queue.find(dedupe_key_of(origin))
        if repeated is not None:
            return await self._repeated(repeated, model=model, license_=license_)
        until = await self._strikes.timeout_until(subject, origin.workspace_id)
        if until is not None:
            return TimedOut(until_ms=until)
        if (reason := self._gate(model)) is not None:
            return ModelUnavailable(model=model, reason=reason)
        if await self._acceptances.of(subject, license_.id, license_.version) is None:
            if not command.accept_terms:
                parked = await self._posts.park(command, subject=subject)
                return TermsRequired(license=license_, model=model, parked_id=parked)
            await self.accept_terms(origin, model_id=model.id)
        spent = await self._quota.spent(subject, origin, images=command.count)
        if spent is not None:
            return spent
        await self._standing(command.source_images, command.source_blob)
        verdict = await self._moderator.review(
            PromptContent(text=command.prompt, negative=command.negative_prompt), scope_of(origin)
        )
        return await self._settle(command, model, license_, subject=subject, verdict=verdict)

    async def accept_terms(self, origin: Origin, *, model_id: str | None) -> License:
        """Record that this person accepts the terms of a model's license."""
        license_ = self._licenses.get(self._catalog.get(model_id).license_id)
        subject = await subject_of(self._vault, origin)
        await self._acceptances.accept(
            subject,
            license_,
            origin={
                "platform": origin.platform,
                "workspace_id": origin.workspace_id,
                "user_id": origin.user_id,
                "user_name": origin.user_name,
            },
        )
        return license_

    async def resume(self, origin: Origin, parked_id: str) -> ImagineOutcome | None:
        """Accept the terms that a parked command waits for, and run it; None where it is gone."""
        subject = await subject_of(self._vault, origin)
        command = await self._posts.unpark(parked_id, subject=subject)
        if command is None:
            return None
        await self.accept_terms(origin, model_id=command.model_id)
        # The click carries the fresh reply token; the old event id keeps a double click single, and what was
        # asked for in private stays private.
        parked = command.origin
        answer_to = replace(origin, event_id=parked.event_id, private=parked.private)
        return await self(replace(command, origin=answer_to))

    async def seen(self, event_id: str) -> bool:
        """Whether a Slack event has become a job already."""
        return await self._queue.find(f"slack:{event_id}") is not None

    async def drop(self, origin: Origin, parked_id: str) -> None:
        """Forget a parked command whose terms were declined."""
        await self._posts.unpark(parked_id, subject=await subject_of(self._vault, origin))

    async def run_approved(self, command: ImagineCommand, *, review_id: str, verdict: Verdict) -> Accepted:
        """Queue a command that a moderator approved: original parameters, no quota, no second screening."""
        command, model = checked(command, self._catalog)
        await self._standing(command.source_images, command.source_blob)
        subject = await subject_of(self._vault, command.origin)
        return await self._submit(
            command,
            model,
            self._licenses.get(model.license_id),
            subject=subject,
            verdict=verdict,
            dedupe_key=f"review:{review_id}",
            free=True,
        )

    async def ensure_job_accepted(self, job: Job, model: ModelCard) -> bytes:
        """The ledger leaf of *job accepted*, appended now if a crash came between; idempotent by job id."""
        request = job.request
        await record_chosen(self._ledger, job)
        receipt = await self._ledger.append(
            EventKind.JOB_ACCEPTED,
            subject=job.user_id,
            entry_id=job.id,
            public={
                "job_id": job.id,
                "model": model.id,
                "revision": model.revision,
                "weights_sha256": model.weights_sha256,
                "license": model.license_id,
                "license_version": self._licenses.get(model.license_id).version,
                **parent_facts(request),
            },
            private=request_fields(request),
        )
        return receipt.leaf

    async def _repeated(self, job: Job, *, model: ModelCard, license_: License) -> Accepted:
        place = await self._queue.place(job.id)
        return Accepted(
            job=job,
            place=place.place,
            eta_s=place.eta_s,
            model=model,
            license=license_,
            verdict=Verdict(action=Action.ALLOW),
            created=False,
            paused=place.paused,
        )

    async def _settle(
        self, command: ImagineCommand, model: ModelCard, license_: License, *, subject: str, verdict: Verdict
    ) -> ImagineOutcome:
        origin = command.origin
        job_id = secrets.token_hex(8)
        decision = await self._decisions.record(
            subject=subject,
            scope=scope_of(origin),
            content_kind="prompt",
            text=command.prompt,
            verdict=verdict,
            job_id=job_id,
        )
        await record_screened(
            self._ledger, command, subject=subject, job_id=job_id, decision=decision, verdict=verdict
        )
        if verdict.action is Action.ALLOW:
            return await self._submit(
                command,
                model,
                license_,
                subject=subject,
                verdict=verdict,
                dedupe_key=dedupe_key_of(origin),
                job_id=job_id,
            )
        if verdict.action is Action.HOLD:
            deadline = hours_from_now(self._moderator.policy.appeal_hours)
            review = await self._reviews.open_(
                decision_id=decision,
                subject=subject,
                workspace_id=origin.workspace_id,
                payload=command_to_bytes(command),
                kind="hold",
                deadline_ms=deadline,
            )
            return Held(review_id=review, verdict=verdict, deadline_ms=deadline)
        finding = verdict.gravest
        category = finding.category if finding else Category.EVASION
        standing = await self._strikes.add(
            subject, origin.workspace_id, category=category, decision_id=decision
        )
        if standing.new_timeout:
            await self._queue.cancel_user(subject)
        if verdict.zero_tolerance:
            await self._close_off(decision)
        else:
            await self._posts.keep_blocked(decision, command, subject=subject)
        return Blocked(
            decision_id=decision,
            verdict=verdict,
            appealable=not verdict.zero_tolerance,
            timed_out_until_ms=standing.timeout_until_ms,
        )

    async def _submit(
        self,
        command: ImagineCommand,
        model: ModelCard,
        license_: License,
        *,
        subject: str,
        verdict: Verdict,
        dedupe_key: str,
        free: bool = False,
        job_id: str | None = None,
    ) -> Accepted:
        origin = command.origin
        plan = self._quota.plan(origin)
        submission = await self._queue.submit(
            image_request(command, model),
            workspace_id=origin.workspace_id,
            channel_id=channel_key(origin),
            user_id=subject,
            reply_to=origin.to_bytes(),
            dedupe_key=dedupe_key,
            weight=self._quota.weight(origin),
            user_weight=plan.weight,
            user_jobs=plan.jobs_in_flight,
            free=free,
            job_id=job_id,
        )
        if submission.created:
            await self.ensure_job_accepted(submission.job, model)
        return Accepted(
            job=submission.job,
            place=submission.place,
            eta_s=submission.eta_s,
            model=model,
            license=license_,
            verdict=verdict,
            created=submission.created,
            paused=submission.paused,
        )
