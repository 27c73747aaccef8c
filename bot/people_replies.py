"""What moderators read about protected lists, take-downs and the day's figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from bot.conversation import Field, Reply
from bot.review_replies import not_moderator
from bot.usecases.protect import Protected
from bot.usecases.review import NotModerator
from bot.usecases.takedown import TakenDown, overdue
from bot.words import CATEGORY_NAMES, plural, when
from moderation.policies import PolicyRecord
from moderation.protected import ProtectedEntry
from moderation.quarantine import Case
from moderation.takedowns import Takedown
from moderation.types import Action, Category

if TYPE_CHECKING:
    from bot.usecases.digest import Alert, Day

_LISTED: Final = 10
_ACTIONS: Final = {Action.BLOCK: "blocked", Action.HOLD: "held", Action.ALLOW: "allowed"}


def protected(outcome: Protected | NotModerator) -> Reply:
    """After an entry was added."""
    if isinstance(outcome, NotModerator):
        return not_moderator()
    entry, takedown = outcome.entry, outcome.takedown
    looked = f"{outcome.searched} past {plural('picture', outcome.searched)} searched"
    if takedown is None:
        found = f"{looked}: none matches."
    else:
        count = len(takedown.items)
        found = (
            f"{looked}: {count} {plural('candidate', count)} in take-down {takedown.id}, "
            f"to be decided by {when(takedown.deadline_ms)}."
        )
    return Reply(
        title=f"Protected: {entry.term}",
        text=f"Entry {entry.id} ({entry.kind}, {entry.action.name.lower()}) counts from now on. {found}",
        tone="good",
    )


def entries(outcome: Sequence[ProtectedEntry] | NotModerator) -> Reply:
    """The protected list."""
    if isinstance(outcome, NotModerator):
        return not_moderator()
    if not outcome:
        return Reply(text="Nothing is protected.")
    return Reply(
        title=f"{len(outcome)} protected",
        text="Oldest first.",
        fields=tuple(
            Field(
                label=f"{entry.id} ({entry.kind}, {entry.action.name.lower()}, {entry.workspace_id})",
                value=(
                    f"{entry.term}; asked by {entry.requested_by} on {when(entry.created_ms)}: {entry.reason}"
                ),
            )
            for entry in outcome
        ),
    )


def unprotected(outcome: ProtectedEntry | NotModerator) -> Reply:
    """After an entry was removed."""
    if isinstance(outcome, NotModerator):
        return not_moderator()
    return Reply(text=f"{outcome.term} is no longer protected.", tone="good")


def takedowns(outcome: Sequence[Takedown] | NotModerator) -> Reply:
    """What is to be taken down, the overdue first."""
    if isinstance(outcome, NotModerator):
        return not_moderator()
    if not outcome:
        return Reply(text="No take-down waits.", tone="good")
    late = sum(map(overdue, outcome))
    return Reply(
        title=f"{len(outcome)} {plural('take-down', len(outcome))}",
        text=f"{late} overdue." if late else "None is overdue.",
        fields=tuple(
            Field(
                label=f"{takedown.id} ({_state(takedown)})",
                value=f"asked by {takedown.requested_by}: {takedown.reason}",
            )
            for takedown in outcome
        ),
        tone="bad" if late else "neutral",
    )


def takedown(outcome: Takedown | NotModerator) -> Reply:
    """One take-down with its pictures."""
    if isinstance(outcome, NotModerator):
        return not_moderator()
    return Reply(
        title=f"Take-down {outcome.id} ({_state(outcome)})",
        text=f"Asked by {outcome.requested_by} on {when(outcome.created_ms)}: {outcome.reason}",
        fields=tuple(
            Field(label=item.image_id, value=f"{item.status}, matched by: {item.why}")
            for item in outcome.items
        ),
    )


def taken_down(outcome: TakenDown | NotModerator) -> Reply:
    """After a moderator confirmed."""
    if isinstance(outcome, NotModerator):
        return not_moderator()
    gone = [item for item in outcome.takedown.items if item.status == "confirmed"]
    rest = (
        f" {outcome.elsewhere} identical in other workspaces: the operator can take these down."
        if outcome.elsewhere
        else ""
    )
    return Reply(
        text=f"Taken down: {len(gone)} {plural('picture', len(gone))}. Posts are being removed.{rest}",
        tone="good",
    )


def digest(outcome: Day | NotModerator) -> Reply:
    """The day's figures for moderators; no prompt and nobody's name."""
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
        Field(label=f"Review {one.id} ({one.kind})", value=f"decide by {when(one.deadline_ms)}")
        for one in sorted(outcome.reviews, key=lambda one: one.deadline_ms)[:_LISTED]
    ]
    fields += [Field(label=f"Take-down {one.id}", value=_state(one)) for one in outcome.takedowns[:_LISTED]]
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
        text=f"{outcome.name}: {outcome.blocks} blocked requests within {outcome.hours:g} hours.",
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


def cases(outcome: Sequence[Case] | NotModerator) -> Reply:
    """What lies in quarantine."""
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
            for one in outcome
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


def _what(one: Case) -> str:
    return "a prompt" if one.index is None else "a picture"


def _by_category(outcome: Day, kind: str, action: Action) -> str:
    counts = {c: n for (k, a, c), n in outcome.counts.items() if (k, a) == (kind, action)}
    named = [f"{CATEGORY_NAMES[c]} {n}" for c, n in sorted(counts.items(), key=_most) if c is not None]
    total = sum(counts.values())
    return f"{total} ({', '.join(named)})" if named and action is not Action.ALLOW else str(total)


def _most(item: tuple[Category | None, int]) -> tuple[int, str]:
    return -item[1], str(item[0])


def _state(takedown: Takedown) -> str:
    if not takedown.open:
        return takedown.status
    return f"{'OVERDUE since' if overdue(takedown) else 'due'} {when(takedown.deadline_ms)}"
