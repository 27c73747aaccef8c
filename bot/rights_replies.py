"""What moderators read about protected lists and take-downs, in the terminal and in chats."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bot.conversation import Button, Field, Reply
from bot.review_replies import not_moderator
from bot.usecases.protect import Protected
from bot.usecases.review import NotModerator
from bot.usecases.takedown import TakenDown, overdue
from bot.words import plural, when
from moderation.protected import ProtectedEntry
from moderation.takedowns import Takedown

SHOWN: Final = 20  # entries of a list in a chat; the terminal shows all
_DECIDABLE: Final = 5  # take-downs of a list that have buttons


def protected(outcome: Protected | NotModerator) -> Reply:
    """After an entry was added: how many past pictures it matches, and in which take-down they wait."""
    if isinstance(outcome, NotModerator):
        return not_moderator()
    entry, takedown = outcome.entry, outcome.takedown
    found = f"{outcome.searched} past {plural('picture', outcome.searched)} searched: "
    fields: tuple[Field, ...] = ()
    buttons: tuple[Button, ...] = ()
    if takedown is None:
        found += "none matches."
    else:
        count = len(takedown.items)
        found += f"{count} {plural('candidate', count)} in take-down {takedown.id}."
        fields = (Field(label="To be decided by", value="", at_ms=takedown.deadline_ms),)
        buttons = (Button(name="takedown", target=takedown.id, label="Show the take-down"),)
    return Reply(
        title=f"Protected: {entry.term}",
        text=f"Entry {entry.id} ({entry.kind}, {entry.action.name.lower()}) counts from now on. {found}",
        fields=fields,
        buttons=buttons,
        tone="good",
    )


def entries(
    outcome: Sequence[ProtectedEntry] | NotModerator, *, containing: str = "", most: int | None = None
) -> Reply:
    """The protected list, or the entries in which a word occurs; the newest `most` of them (None: all)."""
    if isinstance(outcome, NotModerator):
        return not_moderator()
    word = containing.casefold()
    found = [entry for entry in outcome if word in f"{entry.id} {entry.term} {entry.requested_by}".casefold()]
    if not found:
        return Reply(text="Nothing is protected." if not outcome else "No entry contains that.")
    listed = found[-most:] if most else found
    left_out = len(found) - len(listed)
    return Reply(
        title=f"{len(found)} protected",
        text="Oldest first."
        + (f" {left_out} older ones are left out: name a word to look for." if left_out else ""),
        fields=tuple(
            Field(
                label=f"{entry.id} ({entry.kind}, {entry.action.name.lower()}, {entry.workspace_id})",
                value=(
                    f"{entry.term}; asked by {entry.requested_by} on {when(entry.created_ms)}: {entry.reason}"
                ),
            )
            for entry in listed
        ),
    )


def unprotected(outcome: ProtectedEntry | NotModerator) -> Reply:
    """After an entry was removed."""
    if isinstance(outcome, NotModerator):
        return not_moderator()
    return Reply(text=f"{outcome.term} is no longer protected.", tone="good")


def takedowns(outcome: Sequence[Takedown] | NotModerator, *, most: int | None = None) -> Reply:
    """What is to be taken down, the overdue first, with buttons for the most urgent."""
    if isinstance(outcome, NotModerator):
        return not_moderator()
    if not outcome:
        return Reply(text="No take-down waits.", tone="good")
    late = sum(map(overdue, outcome))
    decidable = [(n, one.id) for n, one in enumerate(outcome, 1) if one.open][:_DECIDABLE]
    return Reply(
        title=f"{len(outcome)} {plural('take-down', len(outcome))}",
        text=f"{late} overdue." if late else "None is overdue.",
        fields=tuple(
            Field(
                label=f"{number}. {one.id} ({state(one)})",
                value=f"asked by {one.requested_by}: {one.reason}",
                at_ms=one.deadline_ms if one.open else None,
            )
            for number, one in enumerate(outcome[:most], 1)
        ),
        buttons=(
            *(Button(name="takedown", target=id_, label=f"Show {n}") for n, id_ in decidable),
            *(_confirm(id_, label=f"Take down {n}") for n, id_ in decidable),
            *(_dismiss(id_, label=f"Let {n} stand") for n, id_ in decidable),
        ),
        tone="bad" if late else "neutral",
    )


def takedown(outcome: Takedown | NotModerator, *, most: int | None = None) -> Reply:
    """One take-down with its pictures, and the buttons to decide it while it is open."""
    if isinstance(outcome, NotModerator):
        return not_moderator()
    left_out = len(outcome.items[most:]) if most else 0
    fields = [
        Field(label=item.image_id, value=f"{item.status}, matched by: {item.why}")
        for item in outcome.items[:most]
    ]
    if outcome.open:
        fields.insert(0, Field(label="Decide by", value="", at_ms=outcome.deadline_ms))
    if left_out:
        rest = f"verso review takedown show {outcome.id}"
        fields.append(Field(label=f"{left_out} more {plural('picture', left_out)}", value=rest))
    buttons = (_confirm(outcome.id, label="Take down"), _dismiss(outcome.id, label="Let them stand"))
    return Reply(
        title=f"Take-down {outcome.id} ({state(outcome)})",
        text=f"Asked by {outcome.requested_by} on {when(outcome.created_ms)}: {outcome.reason}",
        fields=tuple(fields),
        buttons=buttons if outcome.open else (),
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


def state(one: Takedown) -> str:
    """Where a take-down stands, in a word."""
    if not one.open:
        return one.status
    return "OVERDUE" if overdue(one) else "due"


def _confirm(takedown_id: str, *, label: str) -> Button:
    return Button(name="takedown_confirm", target=takedown_id, label=label, style="danger")


def _dismiss(takedown_id: str, *, label: str) -> Button:
    return Button(name="takedown_dismiss", target=takedown_id, label=label)
