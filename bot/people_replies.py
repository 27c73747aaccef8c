"""What moderators read about the day's figures, dry runs, policies and what lies in quarantine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, Literal

from bot.conversation import Field, Reply
from bot.review_replies import not_moderator
from bot.rights_replies import state
from bot.usecases.dry_run import Screened
from bot.usecases.people import Stopped
from bot.usecases.review import NotModerator
from bot.usecases.takedown import overdue
from bot.words import CATEGORY_NAMES, plural, shorten, when
from moderation.policies import PolicyRecord
from moderation.quarantine import Case
from moderation.types import Action, Category, Finding

if TYPE_CHECKING:
    from bot.usecases.digest import Alert, Day

_LISTED: Final = 10
_ACTIONS: Final = {Action.BLOCK: "blocked", Action.HOLD: "held", Action.ALLOW: "allowed"}


def screened(outcome: Screened | NotModerator, *, clause: Callable[[Finding], str]) -> Reply:
    """A dry run: the verdict and every finding, the gravest first; `clause` gives the words of its clause."""
    if isinstance(outcome, NotModerator):
        return not_moderator()
    verdict = outcome.verdict
    tones: dict[Action, Literal["good", "warning", "bad"]] = {
        Action.ALLOW: "good",
        Action.HOLD: "warning",
        Action.BLOCK: "bad",
    }
    findings = sorted(verdict.findings, key=lambda one: (-one.action, -one.score))
    return Reply(
        title=f"Dry run: {_ACTIONS[verdict.action]}",
        text=f"Policy {outcome.policy}, {verdict.policy_version[:16]}. Nothing was recorded.",
        fields=tuple(
            Field(
                label=f"{CATEGORY_NAMES[one.category]}: {_ACTIONS[one.action]}",
                value=f"rule {one.rule}, score {one.score:.2f}" + (f"; {words}" if words else ""),
            )
            for one, words in [(one, clause(one)) for one in findings[:_LISTED]]
        ),
        tone=tones[verdict.action],
    )


def digest(outcome: Day | NotModerator, alerts: Sequence[Alert] = ()) -> Reply:
    """The day's figures for moderators; no prompt, and nobody's name but of those with many blocks."""
    if isinstance(outcome, NotModerator):
        return not_moderator()
    late = [one for one in outcome.takedowns if overdue(one)]
    fields = [
        Field(label=f"{kind.capitalize()}s {_ACTIONS[action]}", value=_by_category(outcome, kind, action))
        for kind in ("prompt", "image")
        for action in (Action.BLOCK, Action.HOLD, Action.ALLOW)
        if any((k, a) == (kind, action) for k, a, _ in outcome.counts)
    ]
    fields += [
        Field(label=f"Review {one.id} ({one.kind})", value="decide by then", at_ms=one.deadline_ms)
        for one in sorted(outcome.reviews, key=lambda one: one.deadline_ms)[:_LISTED]
    ]
    fields += [
        Field(label=f"Take-down {one.id}", value=state(one), at_ms=one.deadline_ms if one.open else None)
        for one in outcome.takedowns[:_LISTED]
    ]
    fields += [Field(label="Many blocks", value=_blocked(one)) for one in alerts[:_LISTED]]
    waiting = len(outcome.reviews)
    return Reply(
        title="Moderation: the last 24 hours",
        text=(
            f"{waiting} {plural('review', waiting)} waiting, "
            f"{len(outcome.takedowns)} {plural('take-down', len(outcome.takedowns))}, {len(late)} overdue."
        ),
        fields=tuple(fields),
        private=False,
        tone="bad" if late else "neutral",
    )


def alert(outcome: Alert) -> Reply:
    """One person crossed the policy's threshold."""
    return Reply(
        title="Many blocks by one person",
        text=f"{_blocked(outcome)}.",
        private=False,
        tone="warning",
    )


def policies(outcome: Sequence[PolicyRecord] | NotModerator) -> Reply:
    """The policies' change log."""
    if isinstance(outcome, NotModerator):
        return not_moderator()
    return Reply(
        title="Policies in force",
        text="Oldest first.",
        fields=tuple(
            Field(label=f"since {when(one.in_force_ms)}", value=f"{one.name}, {one.version[:16]}")
            for one in outcome
        ),
    )


def cases(outcome: Sequence[Case] | NotModerator, *, most: int | None = None) -> Reply:
    """What lies in quarantine: ids and dates; the newest `most` (None: all)."""
    if isinstance(outcome, NotModerator):
        return not_moderator()
    if not outcome:
        return Reply(text="Nothing lies in quarantine.", tone="good")
    return Reply(
        title=f"{len(outcome)} in quarantine",
        text="Oldest first. docs/illegal-content.md says what the operator must report.",
        fields=tuple(
            Field(
                label=one.id,
                value=f"{_what(one)} in {one.workspace_id}, since {when(one.created_ms)} by {one.actor}",
            )
            for one in (outcome[-most:] if most else outcome)
        ),
    )


def case(outcome: Case | NotModerator) -> Reply:
    """One case: ids and digests, neither words nor picture."""
    if isinstance(outcome, NotModerator):
        return not_moderator()
    state = "lifted" if outcome.lifted_ms is not None else "in quarantine"
    ids = {
        "Picture": outcome.image_id,
        "Job": outcome.job_id,
        "Decision": outcome.decision_id,
        "Requester": outcome.subject,
    }
    return Reply(
        title=f"Case {outcome.id} ({_what(outcome)}, {state})",
        text=f"Closed off {when(outcome.created_ms)} by {outcome.actor}.",
        fields=(
            *(Field(label=label, value=value) for label, value in ids.items() if value),
            *(Field(label=name, value=digest) for name, digest in sorted(outcome.digests.items())),
            Field(
                label="Preserved until", value=when(outcome.keep_until_ms) if outcome.sealed else "is over"
            ),
        ),
    )


def closed_off(outcome: Case | NotModerator) -> Reply:
    """After a moderator put something into quarantine in a chat: the id of the case, and no more."""
    if isinstance(outcome, NotModerator):
        return not_moderator()
    return Reply(
        text=(
            f"Closed off as case {outcome.id}; its post is being removed, and nobody is told. "
            "The operator decides about a report and exports it, at the terminal."
        ),
        tone="good",
    )


def lifted(outcome: Case | NotModerator) -> Reply:
    """After a quarantine that was a mistake was ended."""
    if isinstance(outcome, NotModerator):
        return not_moderator()
    return Reply(text=f"Case {outcome.id} is lifted. A post that was removed stays removed.", tone="good")


def _blocked(one: Alert) -> str:
    return f"{one.name}: {one.blocks} blocked requests within {one.hours:g} hours"


def _what(one: Case) -> str:
    return "a prompt" if one.index is None else "a picture"


def _by_category(outcome: Day, kind: str, action: Action) -> str:
    counts = {c: n for (k, a, c), n in outcome.counts.items() if (k, a) == (kind, action)}
    named = [f"{CATEGORY_NAMES[c]} {n}" for c, n in sorted(counts.items(), key=_most) if c is not None]
    total = sum(counts.values())
    return f"{total} ({', '.join(named)})" if named and action is not Action.ALLOW else str(total)


def _most(item: tuple[Category | None, int]) -> tuple[int, str]:
    return -item[1], str(item[0])


def stopped(outcome: Stopped | NotModerator) -> Reply:
    """After a moderator cancelled what a member had in the queue."""
    if isinstance(outcome, NotModerator):
        return not_moderator()
    if not outcome.jobs:
        return Reply(text=f"{outcome.name} has nothing waiting or running.")
    return Reply(
        text=(
            f"Cancelled of {outcome.name}: {outcome.jobs} {plural('request', outcome.jobs)}; "
            f"{outcome.images} {plural('picture', outcome.images)} went back to their quota. "
            "What was being drawn stops within a second."
        ),
        tone="good",
    )


def stopped_notice(outcome: Stopped, reason: str) -> Reply:
    """Told in private to the member."""
    why = f" Reason given: {shorten(reason, 300)}" if reason.strip() else ""
    return Reply(
        text=(
            f"A moderator cancelled {outcome.jobs} {plural('request', outcome.jobs)} of yours; "
            f"your quota has the pictures back.{why}"
        ),
        tone="warning",
    )
