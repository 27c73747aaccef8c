"""Records what was asked, what was on offer and what was chosen: prompts, candidates, sources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attribution.ledger import Ledger
from attribution.record import EventKind
from bot.card import DrawnImage
from bot.conversation import ImagineCommand
from bot.usecases.image_check import event_id
from generation.job import ImageRequest, Job
from moderation.types import Action, Verdict

PARENTS = ("parent_image_id", "second_parent_image_id")
"""The public facts of *job accepted* by which a lineage finds the pictures that a job goes on from."""


def parent_facts(request: ImageRequest) -> Mapping[str, str]:
    """What anybody may read: which step this was, and from which pictures."""
    facts = dict(zip(PARENTS, request.source_images, strict=False))
    return {**facts, "step": request.step} if request.step else facts


async def record_chosen(ledger: Ledger, job: Job) -> None:
    """Note which pictures the requester chose to go on from; a repeat changes nothing."""
    request = job.request
    for image_id in request.source_images:
        private = {"strength": "" if request.strength is None else str(request.strength)}
        await ledger.append(
            EventKind.CANDIDATE_CHOSEN,
            subject=job.user_id,
            entry_id=event_id(f"{job.id}/{image_id}", "chosen"),
            public={"job_id": job.id, "image_id": image_id, "step": request.step},
            private=private
            | ({"upscale": str(request.upscale)} if request.upscale else {})
            | ({"extend": ",".join(map(str, request.extend))} if request.extend else {})
            | ({"mask": request.mask_blob} if request.mask_blob else {}),
        )


async def record_shown(ledger: Ledger, job: Job, images: Sequence[DrawnImage]) -> None:
    """Note which candidates a grid showed, with their order by similarity; a repeat changes nothing."""
    if len(images) < 2:
        return
    for place, image in enumerate(images, start=1):
        image_id = image.release.image_id
        private = {} if image.similarity is None else {"similarity": f"{image.similarity:.4f}"}
        await ledger.append(
            EventKind.CANDIDATE_SHOWN,
            subject=job.user_id,
            entry_id=event_id(image_id, "shown"),
            public={"job_id": job.id, "image_id": image_id, "place": place, "of": len(images)},
            private=private | ({} if image.rank is None else {"rank": str(image.rank)}),
        )


async def record_screened(
    ledger: Ledger, command: ImagineCommand, *, subject: str, job_id: str, decision: str, verdict: Verdict
) -> None:
    """Enter that a prompt was submitted, held or blocked, and by which rule."""
    kind = {
        Action.ALLOW: EventKind.PROMPT_SUBMITTED,
        Action.HOLD: EventKind.PROMPT_HELD,
        Action.BLOCK: EventKind.PROMPT_BLOCKED,
    }[verdict.action]
    finding = verdict.gravest
    found = {} if finding is None else {"category": str(finding.category), "rule": finding.rule}
    await ledger.append(
        kind,
        subject=subject,
        public={"job_id": job_id, "decision": decision, "policy": verdict.policy_version, **found},
        private={
            "prompt": command.prompt,
            "negative_prompt": command.negative_prompt,
            **({"chosen": command.chosen} if command.chosen else {}),
        },
    )
