"""What may be illegal: closed off at once, preserved for the authorities, reported by the operator.

Nothing here shows a picture or a prompt to anybody. The preserved bytes lie under a pseudonym of the house,
one for each case: erasing the person leaves them, and erasing that pseudonym ends them.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field

from sqlalchemy.ext.asyncio import AsyncEngine

from attribution.erasing import after_erase
from attribution.errors import ErasedError, VaultError
from attribution.ledger import Ledger
from attribution.record import EventKind
from attribution.releases import Releases
from attribution.vault import Vault
from bot.case_file import case_file
from bot.conversation import Origin
from bot.errors import NotFoundError, UsageError
from bot.locked_file import lock
from bot.usecases.image_check import HeldImage, event_id, image_id_of
from bot.usecases.protect import fingerprint
from bot.usecases.request import subject_of
from bot.usecases.review import NotModerator, sees, view_of
from generation import outbox
from generation.blobs import BlobStore
from generation.errors import BlobMissingError
from generation.job import Job
from generation.queue import JobQueue
from moderation.decisions import Decisions, StoredDecision
from moderation.errors import ReviewMissingError
from moderation.pictures import decode
from moderation.quarantine import AUTOMATIC, Case, Quarantine
from moderation.reviews import Review, Reviews
from moderation.types import Category

_PLATFORM = "quarantine"  # of the pseudonyms that keep the cases
MIN_PASSPHRASE = 12


@dataclass(frozen=True, kw_only=True, slots=True)
class _Target:
    """What goes into quarantine: a picture of a job, or the words of a decision."""

    subject: str
    workspace_id: str
    job_id: str | None
    index: int | None = None
    decision: StoredDecision | None = None
    words: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def case_id(self) -> str:
        """The same for the same target, so that a repeat changes nothing."""
        if self.index is not None:
            return event_id(f"{self.job_id}/{self.index}", "quarantine")
        spoken = self.job_id or (self.decision.id if self.decision else "")
        return event_id(f"words of {spoken}", "quarantine")


class QuarantineRoom:
    """Marks, lists, lifts and exports cases; only moderators may, and only the operator exports."""

    def __init__(
        self,
        *,
        engine: AsyncEngine,
        quarantine: Quarantine,
        queue: JobQueue,
        releases: Releases,
        decisions: Decisions,
        reviews: Reviews,
        blobs: BlobStore,
        vault: Vault,
        ledger: Ledger,
    ) -> None:
        self._engine, self._quarantine, self._queue = engine, quarantine, queue
        self._releases, self._decisions, self._reviews = releases, decisions, reviews
        self._blobs, self._vault, self._ledger = blobs, vault, ledger

    async def mark(self, origin: Origin, target: str) -> Case | NotModerator:
        """Close off a picture (by its id), or what a review or a decision is about; the post goes, too.

        Raises:
            NotFoundError: nothing of that id is known in this workspace.
        """
        if not origin.is_moderator:
            return NotModerator()
        found, review = await self._find(target)
        if found is None or sees(origin) not in {None, found.workspace_id}:
            raise NotFoundError("image, review or decision", target)
        actor = await subject_of(self._vault, origin)
        case = await self._close_off(found, actor=actor, category=Category.ILLEGAL)
        if review is not None and review.open:
            await self._reviews.decide(review.id, outcome="upheld", actor=actor, reason="quarantine")
        return case

    async def words(self, decision_id: str) -> None:
        """Close off a prompt that a rule of zero tolerance blocked."""
        decision = await self._decisions.get(decision_id)
        if decision is not None:
            found = await self._of_decision(decision)
            await self._close_off(found, actor=AUTOMATIC, category=Category.MINORS)

    async def picture(self, job: Job, index: int) -> None:
        """Close off a drawn picture that a rule of zero tolerance blocked."""
        await self._close_off(_of_job(job, index), actor=AUTOMATIC, category=Category.MINORS)

    async def cases(self, origin: Origin) -> tuple[Case, ...] | NotModerator:
        """What lies in quarantine here; from the terminal, everywhere."""
        if not origin.is_moderator:
            return NotModerator()
        return await self._quarantine.cases(sees(origin))

    async def show(self, origin: Origin, case_id: str) -> Case | NotModerator:
        """One case: ids and digests.

        Raises:
            QuarantineError: no such case here.
        """
        if not origin.is_moderator:
            return NotModerator()
        return await self._quarantine.get(case_id, sees(origin))

    async def lift(self, origin: Origin, case_id: str) -> Case | NotModerator:
        """End a quarantine that was a mistake; a post that was removed stays removed.

        Raises:
            QuarantineError: no such case here, or it was lifted before.
        """
        if not origin.is_moderator:
            return NotModerator()
        case = await self._quarantine.get(case_id, sees(origin))
        actor = await subject_of(self._vault, origin)
        await self._quarantine.lift(case_id, actor=actor)
        await self._ledger.append(
            EventKind.TAKE_DOWN,
            subject=case.subject,
            public={"quarantine": case.id, "change": "lifted", "actor": actor},
        )
        return case

    async def export(self, origin: Origin, case_id: str, *, confirmed: str, passphrase: str) -> bytes:
        """The preserved bytes as a file that opens with the passphrase; the export is recorded.

        Args:
            origin: the operator's: this works from the terminal alone.
            case_id: which.
            confirmed: the case id once more, typed by the operator.
            passphrase: 12 characters or more; goes to the authority by another way than the file.

        Raises:
            UsageError: not confirmed, not from the terminal, or the passphrase is too short.
            QuarantineError: no such case.
        """
        if origin.platform != "terminal" or not origin.is_moderator:
            raise UsageError("Only the operator exports, at the terminal.")
        if confirmed != case_id:
            raise UsageError("Confirm with the id of the case.", field="confirm")
        if len(passphrase) < MIN_PASSPHRASE:
            raise UsageError(f"The passphrase needs {MIN_PASSPHRASE} characters.", field="passphrase")
        case = await self._quarantine.get(case_id)
        if not case.sealed:
            raise UsageError("The time of this case is over: nothing of it is preserved any more.")
        words = await self._vault.unseal(case.keeper, case.sealed)
        picture = None
        if case.blob is not None:
            picture = await self._vault.unseal(case.keeper, await self._blobs.get(case.blob))
        actor = await subject_of(self._vault, origin)
        await self._ledger.append(
            EventKind.EVIDENCE_EXPORTED, subject="", public={"quarantine": case.id, "actor": actor}
        )
        return lock(case_file(case, words=words, picture=picture), passphrase)

    async def sweep(self) -> int:
        """Destroy what need not be preserved any more; returns how many cases that were."""
        due = await self._quarantine.due()
        for case in due:
            async with self._engine.begin() as connection:
                await self._quarantine.unkeep(case, connection)
                await self._vault.erase(case.keeper, connection=connection)
            if case.blob is not None:
                await self._blobs.delete(case.blob)
        if due:
            await after_erase(self._engine)
        return len(due)

    async def _find(self, target: str) -> tuple[_Target | None, Review | None]:
        release = await self._releases.get(target)
        if release is not None:
            job = await self._queue.get(release.job_id)
            return (_of_job(job, release.index) if job else None), None
        try:
            review = await self._reviews.get(target)
        except ReviewMissingError:
            decision = await self._decisions.get(target)
            return (await self._of_decision(decision) if decision else None), None
        held: HeldImage | None = view_of(review).held
        if held is not None:
            job = await self._queue.get(held.job_id)
            return (_of_job(job, held.index) if job else None), review
        decision = await self._decisions.get(review.decision_id)
        return (await self._of_decision(decision) if decision else None), review

    async def _of_decision(self, decision: StoredDecision) -> _Target:
        return _Target(
            subject=decision.subject,
            workspace_id=decision.workspace_id,
            job_id=decision.job_id,
            decision=decision,
            words={"prompt": await self._decisions.text(decision.id) or ""},
        )

    async def _close_off(self, target: _Target, *, actor: str, category: Category) -> Case:
        known = await self._quarantine.find(target.case_id)
        if known is not None and known.lifted_ms is None:
            return known
        case = known or await self._preserved(target, actor=actor, category=category)
        async with self._engine.begin() as connection:
            added = await self._quarantine.add(case, connection)
            if target.job_id is not None:
                await outbox.put_again(connection, target.job_id, "remove")
        if target.job_id is not None:
            await self._queue.cancel(target.job_id)
        public: dict[str, str | int] = {"quarantine": case.id, "category": str(category), "actor": actor}
        public |= {"job_id": case.job_id} if case.job_id else {}
        public |= {"image_id": case.image_id} if case.image_id else {}
        if added:
            await self._ledger.append(
                EventKind.TAKE_DOWN, subject=case.subject, public=public, entry_id=case.id
            )
        return await self._quarantine.get(case.id)

    async def _preserved(self, target: _Target, *, actor: str, category: Category) -> Case:
        """Seal words, identity and picture under the case's own pseudonym."""
        keeper = await self._vault.subject(_PLATFORM, target.workspace_id, target.case_id)
        picture = await self._bytes(target)
        digests = {f"{name}_sha256": _sha256(text.encode()) for name, text in target.words.items() if text}
        blob = None
        if picture is not None:
            pixels = decode(picture)
            digests |= {"sha256": _sha256(picture), "pixels_sha256": _sha256(pixels.tobytes())}
            digests |= {"pdq": hashes[0].hex()} if (hashes := fingerprint(pixels)) else {}
            blob = await self._blobs.put(await self._vault.seal(keeper, picture))
        words = {**target.words, **await self._identity(target.subject)}
        return Case(
            id=target.case_id,
            workspace_id=target.workspace_id,
            subject=target.subject,
            job_id=target.job_id,
            index=target.index,
            image_id=image_id_of(target.job_id or "", target.index) if target.index is not None else None,
            decision_id=target.decision.id if target.decision else None,
            category=category,
            actor=actor,
            keeper=keeper,
            blob=blob,
            sealed=await self._vault.seal(keeper, json.dumps(words, ensure_ascii=False).encode()),
            digests=digests,
        )

    async def _bytes(self, target: _Target) -> bytes | None:
        """The picture as it was posted, or as it was drawn."""
        if target.job_id is None or target.index is None:
            return None
        release = await self._releases.find(target.job_id, target.index)
        drawn = [one.blob for one in await self._queue.results(target.job_id) if one.index == target.index]
        for blob in [*([release.blob] if release and release.blob else []), *drawn]:
            try:
                return await self._vault.unseal(target.subject, await self._blobs.get(blob))
            except BlobMissingError:
                continue
        return None

    async def _identity(self, subject: str) -> dict[str, str]:
        try:
            identity = await self._vault.identity(subject)
        except (ErasedError, VaultError):
            return {}
        return {"platform": identity.platform, "user_id": identity.user_id, "user_name": identity.name}


def _of_job(job: Job, index: int) -> _Target:
    request = job.request
    return _Target(
        subject=job.user_id,
        workspace_id=job.workspace_id,
        job_id=job.id,
        index=index,
        words={"prompt": request.prompt, "negative_prompt": request.negative_prompt},
    )


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
