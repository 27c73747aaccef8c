"""Who did what to bring an image about: the ledger's entries of a job as a timeline.

People act (ask, choose, edit), machines act (draw, screen), the house acts (post, record). The words of a
step come from its opening; once a person is erased, the steps remain and their words are gone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from attribution.errors import ErasedError
from attribution.ledger import Ledger
from attribution.ledger_reader import StoredEntry
from attribution.record import EventKind

Actor = Literal["person", "machine", "moderator", "house"]

PARENTS = ("parent_image_id", "second_parent_image_id")
"""The public facts of *job accepted* that name the images which a job goes on from; two: a blend."""
_MAX_JOBS = 64  # a chain of variations longer than this is cut, and says so

_ACTORS: Mapping[EventKind, Actor] = {
    EventKind.TERMS_ACCEPTED: "person",
    EventKind.TERMS_WITHDRAWN: "person",
    EventKind.PROMPT_SUBMITTED: "person",
    EventKind.PROMPT_HELD: "machine",
    EventKind.PROMPT_BLOCKED: "machine",
    EventKind.APPEAL_OPENED: "person",
    EventKind.APPEAL_DECIDED: "moderator",
    EventKind.JOB_ACCEPTED: "house",
    EventKind.IMAGE_RELEASED: "machine",
    EventKind.CANDIDATE_SHOWN: "machine",
    EventKind.CANDIDATE_CHOSEN: "person",
    EventKind.EDIT_APPLIED: "person",
    EventKind.POSTED: "house",
    EventKind.DELETED: "person",
    EventKind.LOOKED_UP: "person",
    EventKind.EVIDENCE_EXPORTED: "house",
    EventKind.ERASED: "house",
    EventKind.TAKE_DOWN: "house",
    EventKind.JOBS_CANCELLED: "moderator",
    EventKind.POLICY_CHANGED: "house",
    EventKind.KEY_ROTATED: "house",
    EventKind.LEDGER_RESTORED: "house",
}
_TITLES: Mapping[EventKind, str] = {
    EventKind.TERMS_ACCEPTED: "accepted the terms",
    EventKind.TERMS_WITHDRAWN: "withdrew the acceptance of the terms",
    EventKind.PROMPT_SUBMITTED: "wrote a prompt",
    EventKind.PROMPT_HELD: "screening held the prompt for a moderator",
    EventKind.PROMPT_BLOCKED: "screening blocked the prompt",
    EventKind.APPEAL_OPENED: "appealed",
    EventKind.APPEAL_DECIDED: "a moderator decided",
    EventKind.JOB_ACCEPTED: "the request was accepted with these parameters",
    EventKind.IMAGE_RELEASED: "an image was made, screened, signed and released",
    EventKind.CANDIDATE_SHOWN: "a candidate was shown",
    EventKind.CANDIDATE_CHOSEN: "chose a candidate",
    EventKind.EDIT_APPLIED: "edited an image",
    EventKind.POSTED: "the image was posted",
    EventKind.DELETED: "deleted the post",
    EventKind.LOOKED_UP: "somebody asked who made the image",
    EventKind.EVIDENCE_EXPORTED: "an evidence bundle was exported",
    EventKind.ERASED: "the person's data was erased",
    EventKind.TAKE_DOWN: "the image was taken down",
    EventKind.JOBS_CANCELLED: "a moderator cancelled all of the person's requests",
    EventKind.POLICY_CHANGED: "the policy changed",
    EventKind.KEY_ROTATED: "a key was rotated",
    EventKind.LEDGER_RESTORED: "the ledger came back from a backup",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One recorded step."""

    number: int  # from 1, in the ledger's order
    at_ms: int
    kind: EventKind
    actor: Actor
    title: str
    subject: str  # pseudonym; empty for the house
    public: Mapping[str, str | int]
    hidden: Mapping[str, str] | None  # opened fields; None: erased, or not this reader's to see
    entry_id: str
    leaf_index: int

    def to_json(self) -> dict[str, object]:
        """Plain values for JSON."""
        return {
            "number": self.number,
            "at_ms": self.at_ms,
            "kind": self.kind.value,
            "actor": self.actor,
            "title": self.title,
            "subject": self.subject,
            "public": dict(self.public),
            "hidden": None if self.hidden is None else dict(self.hidden),
            "entry_id": self.entry_id,
            "leaf_index": self.leaf_index,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Timeline:
    """Every step that led to an image or a job, with those of the images it came from."""

    jobs: tuple[str, ...]  # nearest first: the job itself, then the ones its source images came from
    steps: tuple[Step, ...] = field(default_factory=tuple)
    complete: bool = True  # False: the chain of source images was too long to follow

    @property
    def by_person(self) -> tuple[Step, ...]:
        """What a human being did: what an authorship statement rests on."""
        return tuple(step for step in self.steps if step.actor == "person")

    def to_json(self) -> dict[str, object]:
        """Plain values for JSON."""
        return {
            "jobs": list(self.jobs),
            "complete": self.complete,
            "steps": [step.to_json() for step in self.steps],
        }


class Lineage:
    """Builds timelines from the ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def of_job(self, job_id: str, *, opened: bool = True) -> Timeline:
        """The steps of a job and of the jobs its source images came from.

        Args:
            job_id: as in the public facts of its entries.
            opened: show hidden fields too; False where the reader may not see them.

        Raises:
            VaultError, VerificationError: a stored opening is damaged, or is not what was committed to.
        """
        jobs: list[str] = []
        found: dict[int, StoredEntry] = {}
        waiting = [job_id]
        while waiting and len(jobs) < _MAX_JOBS:
            job = waiting.pop(0)
            if job in jobs:
                continue
            jobs.append(job)
            entries = await self._ledger.of_job(job)
            found.update({stored.leaf_index: stored for stored in entries})
            for image in {stored.entry.public.get("image_id") for stored in entries}:
                if isinstance(image, str):
                    # Steps on an image (chosen, posted, looked up) need not name its job.
                    about = await self._ledger.of_image(image)
                    found.update({stored.leaf_index: stored for stored in about if _within(stored, job)})
            parents = [stored.entry.public.get(name) for stored in entries for name in PARENTS]
            for parent in dict.fromkeys(parents):
                source = await self._maker(parent) if isinstance(parent, str) else None
                waiting += [source] if source else []
        return Timeline(
            jobs=tuple(jobs),
            steps=await self._steps([found[index] for index in sorted(found)], opened=opened),
            complete=not any(job not in jobs for job in waiting),
        )

    async def of_image(self, image_id: str, *, opened: bool = True) -> Timeline:
        """The steps of the job that made an image, see `of_job`; empty where no entry names the image."""
        job = await self._maker(image_id)
        return Timeline(jobs=()) if job is None else await self.of_job(job, opened=opened)

    async def of_subject(self, subject: str, *, opened: bool = True) -> Timeline:
        """Everything that was recorded of a person, oldest first."""
        entries = await self._ledger.entries(subject)
        return Timeline(jobs=(), steps=await self._steps(entries, opened=opened))

    async def _maker(self, image_id: str) -> str | None:
        """The job that made an image: the one its release names, else the first that is named with it."""
        entries = await self._ledger.of_image(image_id)
        for stored in sorted(entries, key=lambda one: one.entry.kind is not EventKind.IMAGE_RELEASED):
            job = stored.entry.public.get("job_id")
            if isinstance(job, str):
                return job
        return None

    async def _steps(self, entries: Sequence[StoredEntry], *, opened: bool) -> tuple[Step, ...]:
        hidden = await self._hidden(entries) if opened else {}
        return tuple(
            Step(
                number=number,
                at_ms=stored.entry.at_ms,
                kind=stored.entry.kind,
                actor=_ACTORS[stored.entry.kind],
                title=_TITLES[stored.entry.kind],
                subject=stored.entry.subject,
                public=stored.entry.public,
                hidden=hidden.get(stored.entry.id),
                entry_id=stored.entry.id,
                leaf_index=stored.leaf_index,
            )
            for number, stored in enumerate(entries, start=1)
        )

    async def _hidden(self, entries: Sequence[StoredEntry]) -> dict[str, Mapping[str, str]]:
        """The opened fields by entry id; erased ones are left out."""
        by_subject: dict[str, list[StoredEntry]] = {}
        found: dict[str, Mapping[str, str]] = {}
        for stored in entries:
            if stored.entry.commitments:
                by_subject.setdefault(stored.entry.subject, []).append(stored)
            else:
                found[stored.entry.id] = {}
        for subject, hiding in by_subject.items():
            try:
                openings = await self._ledger.openings([stored.entry.id for stored in hiding])
            except ErasedError as error:
                if error.subject != subject:
                    raise
                continue
            for stored in hiding:
                if opening := openings.get(stored.entry.id):
                    opening.check(stored.entry)
                    found[stored.entry.id] = opening.fields
        return found


def _within(stored: StoredEntry, job: str) -> bool:
    """Whether an entry about one of the job's images belongs to the job's own story."""
    return stored.entry.public.get("job_id", job) == job
