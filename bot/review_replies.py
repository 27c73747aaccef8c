"""What moderators and the people they decide about read."""

from __future__ import annotations

from bot.conversation import Button, Field, ImageFile, Reply
from bot.usecases.review import Appealed, Decided, NotModerator, ReviewList, ReviewView
from bot.words import MODERATORS_ONLY, plural, shorten, when


def appealed(outcome: Appealed) -> Reply:
    """After an appeal."""
    return Reply(
        title="A moderator will take a look",
        text=f"You will be told the decision at the latest by {when(outcome.deadline_ms)}.",
        tone="good",
    )


def reviews(outcome: ReviewList | NotModerator) -> Reply:
    """The queue, for moderators."""
    if isinstance(outcome, NotModerator):
        return not_moderator()
    if not outcome.views:
        return Reply(text="Nothing waits for a decision.", tone="good")
    return Reply(
        title=f"{outcome.waiting} {plural('review', outcome.waiting)} waiting",
        text="Oldest first. Show one to decide it.",
        fields=tuple(
            Field(
                label=f"{view.review.id} ({view.review.kind}, until {when(view.review.deadline_ms)})",
                value=shorten(view.command.prompt, 200),
            )
            for view in outcome.views
        ),
        buttons=tuple(
            Button(name="review", target=view.review.id, label=f"Show {number}")
            for number, view in enumerate(outcome.views[:5], 1)
        ),
    )


def review(outcome: ReviewView | NotModerator) -> Reply:
    """One review, with the buttons to decide it."""
    if isinstance(outcome, NotModerator):
        return not_moderator()
    review, command = outcome.review, outcome.command
    ask = "Your reason (the requester reads it):"
    buttons = (
        Button(name="approve", target=review.id, label="Approve", style="primary", ask=ask),
        Button(name="uphold", target=review.id, label="Uphold", ask=ask),
        Button(name="warn", target=review.id, label="Warn", ask=ask),
        Button(name="timeout", target=review.id, label="Time out", style="danger", ask=ask),
    )
    fields = [
        Field(label="Prompt", value=command.prompt),
        Field(label="Status", value=str("waiting" if review.open else review.status)),
    ]
    if command.negative_prompt:
        fields.append(Field(label="Negative prompt", value=command.negative_prompt))
    if outcome.appeal:
        fields.append(Field(label="The requester says", value=outcome.appeal))
    images: tuple[ImageFile, ...] = ()
    if outcome.picture is not None:
        images = (
            ImageFile(
                name=f"review-{review.id}.png",
                data=outcome.picture,
                alt_text="The drawn picture that waits for a decision",
                width=0,
                height=0,
            ),
        )
        fields.append(Field(label="Picture", value=f"to a file: verso review show {review.id} --out FILE"))
    return Reply(
        images=images,
        title=f"Review {review.id} ({review.kind})",
        text=f"Asked by {command.origin.user_name or 'a member'}; decide by {when(review.deadline_ms)}.",
        fields=tuple(fields),
        buttons=buttons if review.open else (),
    )


def decided(outcome: Decided | NotModerator) -> Reply:
    """Told to the moderator."""
    if isinstance(outcome, NotModerator):
        return not_moderator()
    words = {
        "approved": "Approved: the picture is being drawn.",
        "upheld": "Upheld: the requester is told your reason.",
        "warned": "Warned: the requester is told your reason.",
        "timed_out": "Timed out: waiting requests of this person are cancelled.",
    }
    if outcome.view.held is not None:
        words["approved"] = "Approved: the picture is being posted."
    return Reply(text=words[outcome.view.review.status], tone="good")


def decision_notice(outcome: Decided) -> Reply:
    """Told to the requester, in private."""
    review = outcome.view.review
    prompt = shorten(outcome.view.command.prompt, 120)
    if review.status == "approved":
        return Reply(
            title="Approved",
            text=(
                f"A moderator approved your picture; it is being posted: {prompt}"
                if outcome.view.held
                else f"A moderator approved your prompt; it is being drawn: {prompt}"
            ),
            tone="good",
        )
    reason = f" Reason: {review.reason}" if review.reason else ""
    pause = (
        f" You can ask again from {when(outcome.timed_out_until_ms)}." if outcome.timed_out_until_ms else ""
    )
    return Reply(
        title="Not approved", text=f"A moderator decided about: {prompt}.{reason}{pause}", tone="bad"
    )


def expired_notice(view: ReviewView) -> Reply:
    """Told to the requester when the deadline has passed."""
    prompt = shorten(view.command.prompt, 120)
    return Reply(
        title="Not decided in time",
        text=f"No moderator decided by the deadline, so it is not shown: {prompt}. You can ask again.",
        tone="warning",
    )


def not_moderator() -> Reply:
    """Told to somebody who may not decide."""
    return Reply(text=MODERATORS_ONLY, tone="warning")
