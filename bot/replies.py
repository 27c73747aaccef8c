"""Every sentence a person reads; the one place where an outcome or an error becomes words."""

from __future__ import annotations

from collections.abc import Sequence

from attribution.licenses import License
from bot.card import DrawnImage, card_fields
from bot.conversation import Button, Field, ImageFile, Reply
from bot.error_words import sentence
from bot.picture_buttons import picture_buttons, ranking_notes
from bot.usecases.iterate import Cancelled, Deleted, NotYours
from bot.usecases.outcomes import (
    Accepted,
    Blocked,
    Held,
    ImagineOutcome,
    ModelUnavailable,
    TermsRequired,
    TimedOut,
)
from bot.usecases.quota import QuotaSpent, Whose
from bot.words import (
    CATEGORY_NAMES,
    UNJUDGED,
    advice,
    awaits_moderator,
    duration,
    plural,
    shorten,
    when,
)
from generation.card import MAX_UPSCALED
from generation.catalog import ModelCard
from generation.job import Job
from generation.places import Place
from moderation.policy import Policy
from moderation.types import Finding, Verdict


class Replies:
    """Chooses the words. English for now: a locale is one more table here."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    def use(self, policy: Policy) -> None:
        """Quote the clauses of another policy from now on."""
        self._policy = policy

    def imagine(self, outcome: ImagineOutcome) -> Reply:
        """The private answer to a request for a picture."""
        match outcome:
            case Accepted():
                return self._accepted(outcome)
            case TermsRequired():
                return self.terms_required(outcome)
            case Blocked():
                return self._blocked(outcome)
            case Held():
                return Reply(
                    title="Waiting for a moderator",
                    text=(
                        "Your prompt is not refused: a moderator takes a look first, "
                        f"at the latest by {when(outcome.deadline_ms)}. You will be told either way."
                    ),
                    fields=self._finding_fields(outcome.verdict),
                    tone="warning",
                )
            case TimedOut(until_ms=until):
                return Reply(
                    title="Pause",
                    text=f"You can ask again from {when(until)}: earlier prompts broke the rules here.",
                    tone="warning",
                )
            case QuotaSpent():
                return self.quota(outcome)
            case ModelUnavailable(model=model, reason=reason):
                return Reply(
                    title=f"{model.name} cannot be used here",
                    text=f"{reason[:1].upper()}{reason[1:]}.",
                    tone="warning",
                )

    def _accepted(self, outcome: Accepted) -> Reply:
        if outcome.job.status.final:
            return Reply(text="This request is already done.", tone="good")
        place = "it is being drawn" if outcome.place == 0 else f"place {outcome.place}"
        wait = "" if outcome.eta_s is None else f", about {duration(outcome.eta_s)}"
        return Reply(
            text=(
                f"Queued: {place}{wait}. "
                f"{'The operator has paused the drawing: your request keeps its place. ' * outcome.paused}"
                "The picture appears in this channel."
            ),
            buttons=(Button(name="cancel", target=outcome.job.id, label="Cancel"),),
            tone="good",
        )

    def placeholder(self, job: Job) -> str:
        """The text of a public message that a picture will fill."""
        count = job.request.count
        if job.request.upscale:
            return f"Enlarging a picture {job.request.upscale} times: {shorten(job.request.prompt, 200)}"
        return f"Drawing {count} {plural('picture', count)}: {shorten(job.request.prompt, 200)}"

    def progress(self, place: Place, *, elsewhere_s: float | None = None) -> str:
        """How far a job is; `elsewhere_s`: since an image server was asked, which tells nothing more."""
        if elsewhere_s is not None:
            return f"Waiting for the image server, {duration(elsewhere_s)} so far"
        if place.paused:
            return f"In the queue: place {place.place}. The operator has paused the drawing; it goes on later"
        wait = "" if place.eta_s is None else f", about {duration(place.eta_s)} left"
        return f"In the queue: place {place.place}{wait}" if place.place else f"Drawing{wait}"

    def terms_required(self, outcome: TermsRequired) -> Reply:
        """The terms of a model, with Accept and Decline."""
        license_ = outcome.license
        return Reply(
            title=f"{outcome.model.name}: terms of use",
            text=(
                f"{outcome.model.name} is licensed under {license_.name}. Before your first picture, please "
                "read and accept these terms. Your acceptance is recorded; you can withdraw it."
                f"\n\n{license_.terms_text}"
            ),
            fields=(Field(label="License", value=license_.name, url=license_.url),),
            buttons=(
                Button(name="accept", target=outcome.parked_id, label="Accept and draw", style="primary"),
                Button(name="decline", target=outcome.parked_id, label="Decline"),
            ),
        )

    def _blocked(self, outcome: Blocked) -> Reply:
        finding = outcome.verdict.gravest
        paused = (
            f" Because of repeated blocks you can ask again from {when(outcome.timed_out_until_ms)}."
            if outcome.timed_out_until_ms
            else ""
        )
        appeal = Button(
            name="appeal",
            target=outcome.decision_id,
            label="Appeal",
            ask="Why should a moderator allow this prompt? One sentence is enough.",
        )
        return Reply(
            title="This prompt is not drawn",
            text=f"{advice(finding) if finding else ''}{paused}".strip(),
            fields=self._finding_fields(outcome.verdict),
            buttons=(appeal,) if outcome.appealable else (),
            tone="bad",
        )

    def _finding_fields(self, verdict: Verdict) -> tuple[Field, ...]:
        finding = verdict.gravest
        if finding is None:
            return ()
        if finding.advice in UNJUDGED:
            return (Field(label="Reason", value=advice(finding)),)
        fields = [Field(label="Reason", value=CATEGORY_NAMES[finding.category])]
        clause = self.clause(finding)
        if clause:
            fields.append(Field(label="Rule", value=clause))
        return tuple(fields)

    def clause(self, finding: Finding) -> str:
        """The words of the clause a finding rests on; empty where there is none (any more)."""
        if finding.clause is None or finding.clause not in self._policy.clauses:
            return ""
        clause = self._policy.clause(finding.clause)
        return f"{clause.text} ({clause.title})" if clause.title else clause.text

    def quota(self, state: QuotaSpent) -> Reply:
        """How many pictures are left."""
        whose = {Whose.PERSON: "", Whose.CHANNEL: " of this channel", Whose.WORKSPACE: " of this workspace"}
        if state.left:
            who = "You have" if state.whose is Whose.PERSON else f"This {state.whose} has"
            return Reply(text=f"{who} {state.left} of {state.limit} pictures left today.")
        return Reply(
            text=(
                f"Today's {state.limit} pictures{whose[state.whose]} are used up; "
                f"more from {when(state.refill_ms)}."
            ),
            tone="warning",
        )

    def picture(
        self, *, job: Job, model: ModelCard, license_: License, images: Sequence[DrawnImage], withheld: int
    ) -> Reply:
        """The public post: pictures, license card, receipts, buttons."""
        prompt = job.request.prompt
        notes = (
            [f"{withheld} of {withheld + len(images)} pictures were withheld by the image check."]
            if withheld
            else []
        )
        notes += [image.note for image in images if image.note]
        notes += ranking_notes(images)
        buttons = list(
            picture_buttons(
                [image.release.image_id for image in images],
                job_id=job.id,
                prompt=prompt,
                upscaled=bool(job.request.upscale),
                large=max(job.request.width, job.request.height) * 4 > MAX_UPSCALED,
                extends=bool(model.abilities),
            )
        )
        row = buttons[-1].row if buttons else 0
        buttons += [
            Button(name="whomade", target=images[0].release.image_id, label="Who made this?", row=row),
            *([Button(name="credits", target=job.id, label="Credits", row=row)] if images[0].credits else []),
            Button(name="delete", target=job.id, label="Delete", style="danger", row=row),
        ]
        return Reply(
            text="\n".join([prompt, *dict.fromkeys(notes)]),
            fields=card_fields(
                model=model, license_=license_, images=images, upscaled=bool(job.request.upscale)
            ),
            images=tuple(
                ImageFile(
                    name=f"verso-{image.release.image_id}.png",
                    data=image.png,
                    alt_text=f"AI-generated picture: {prompt}"[:1000],
                    width=image.release.width,
                    height=image.release.height,
                )
                for image in images
            ),
            buttons=tuple(buttons),
            private=False,
        )

    def withheld(self, verdicts: Sequence[Verdict]) -> Reply:
        """Told in private when no picture of a job may be shown (yet)."""
        if any(map(awaits_moderator, verdicts)):
            return Reply(
                title="A moderator takes a look at the picture",
                text="The image check is not sure about what was drawn. You will be told either way.",
                tone="warning",
            )
        fields = self._finding_fields(max(verdicts, key=lambda v: v.action)) if verdicts else ()
        return Reply(
            title="The picture is withheld",
            text="The image check stopped what was drawn. Try other words, or the same again.",
            fields=fields,
            tone="warning",
        )

    def taken_down(self, job: Job) -> Reply:
        """Told once, in private, to the requester of a picture that was taken down."""
        return Reply(
            title="A picture of yours was taken down",
            text=(
                "A rights holder asked for it and a moderator agreed; its post and its copies are removed. "
                f"It was drawn for: {shorten(job.request.prompt, 120)}"
            ),
            tone="warning",
        )

    def failed(self, job: Job) -> Reply:
        """Told in private when a job has failed for good."""
        return Reply(
            title="This picture could not be drawn",
            text=f"It failed ({job.error_code or 'unknown'}) and costs no quota. Please try again later.",
            tone="bad",
        )

    def deleted(self, outcome: Deleted | NotYours) -> Reply:
        """After the delete button."""
        if isinstance(outcome, NotYours):
            return Reply(
                text="Only the person who asked for this picture, or a moderator, can delete it.",
                tone="warning",
            )
        return Reply(text="The picture is removed. Its record stays.", tone="good")

    def cancelled(self, outcome: Cancelled) -> Reply:
        """After cancelling."""
        if outcome.count == 0:
            return Reply(text="There was nothing of yours to cancel.")
        return Reply(text=f"Cancelled: {outcome.count} {plural('request', outcome.count)}.", tone="good")

    def explain(self, error: Exception) -> Reply:
        """Words for a failure; anything unknown is our own fault, and says so."""
        return Reply(text=sentence(error), tone="bad")
