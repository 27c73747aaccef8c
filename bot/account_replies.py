"""What people read about themselves and about pictures: usage log, terms, models, who made what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from attribution.licenses import License
from bot.conversation import Button, Document, Field, Reply
from bot.nearest import Neighbor
from bot.review_replies import not_moderator
from bot.usecases.account import AccountView
from bot.usecases.credits import Credited
from bot.usecases.lookup import Found, MadeBy
from bot.usecases.lookup_limit import LookupsSpent
from bot.usecases.people import Stands
from bot.usecases.review import NotModerator
from bot.words import plural, shorten, when
from generation.catalog import Catalog
from generation.job import Credit

ERASE_WORD = "ERASE"
"""What has to be written before somebody is erased."""


def history(view: AccountView) -> Reply:
    """The latest events of one's own usage log."""
    lines = view.lines[-20:]
    if not lines:
        return Reply(text="Nothing is recorded of you yet.")
    return Reply(
        title="Your usage log",
        text=f"The latest {len(lines)} of {len(view.lines)} events. Ask for your data to have them all.",
        fields=tuple(
            Field(label=when(line.at_ms), value=_event(line.kind, line.private)) for line in reversed(lines)
        ),
    )


def terms(license_: License, *, accepted_at: str | None) -> Reply:
    """The terms of the default model, and whether the asker has accepted them."""
    state = (
        f"You accepted these terms on {accepted_at}." if accepted_at else "You have not accepted these terms."
    )
    return Reply(
        title=f"Terms: {license_.name}",
        text=f"{state}\n\n{license_.terms_text}",
        fields=(Field(label="License", value=license_.name, url=license_.url),),
    )


def models(catalog: Catalog) -> Reply:
    """The models that can be asked for."""
    return Reply(
        title="Models",
        text="Name one with the option model.",
        fields=tuple(
            Field(label=card.id, value=f"{card.name}: {card.description}") for card in catalog if card.enabled
        ),
    )


def made_by(outcome: MadeBy) -> Reply:
    """The answer to the button under a post."""
    release = outcome.release
    return Reply(
        title="Who made this?",
        text=(
            f"Asked for by {outcome.name} on {when(release.created_ms)}, drawn by {release.model_id}. "
            f"Record {release.image_id}, ledger leaf {release.receipt.leaf_index}."
        ),
    )


def who_made(found: Found) -> Reply:
    """The answer to a found file."""
    result = found.result
    if not result.matches:
        return Reply(text=f"No match among {result.searched} {plural('picture', result.searched)} made here.")
    fields = tuple(
        Field(
            label=f"{match.confidence.capitalize()} match: {name}",
            value=(
                f"Picture {match.image_id}; evidence: {', '.join(match.evidence)}"
                + (f"; false matches at most {match.false_match_rate:.2g}" if match.false_match_rate else "")
            ),
        )
        for match, name in zip(result.matches, found.requesters, strict=True)
    )
    return Reply(title="Who made this?", text="Found in the record:", fields=fields)


def lookups_spent(spent: LookupsSpent) -> Reply:
    """Too many look-ups in an hour."""
    times = "once" if spent.limit == 1 else f"{spent.limit} times"
    return Reply(
        text=(
            f"You can ask who made a picture {times} an hour, and you have. "
            f"Please ask again from {when(spent.again_ms)}."
        ),
        tone="warning",
    )


def credits_of(found: Sequence[Credited]) -> Reply:
    """What pictures rest on, and the training pictures nearest to them, each with its license linked."""
    fields: list[Field] = []
    for number, picture in enumerate(found, 1):
        which = f" ({number})" if len(found) > 1 else ""
        fields += [
            _credit(f"Drawn from{which}", credit, f"{credit.share:.0%} of what is drawn")
            for credit in picture.references
        ]
        for near in picture.nearest or ():
            alike = "a near copy" if near.near_copy else f"{near.similarity:.2f} alike"
            fields.append(_credit(f"Nearest in training{which}", near, alike))
    unknown = any(picture.nearest is None for picture in found)
    text = (
        "Pictures that this rests on, and the nearest others that its model learned from."
        if not unknown
        else "Which pictures this model learned from is not known here."
    )
    return Reply(title="Credits", text=text, fields=tuple(fields))


def _credit(label: str, credit: Credit | Neighbor, share: str) -> Field:
    return Field(
        label=label,
        value=f"{credit.title} by {credit.author} ({credit.license}), {share}; {credit.source}",
        url=credit.license_url,
    )


def my_data(data: bytes, *, events: int, pictures: int, left_out: int) -> Reply:
    """A copy of one's own record, as a file."""
    rest = (
        f" {left_out} {plural('file', left_out)} did not fit here: the operator can export everything."
        if left_out
        else ""
    )
    return Reply(
        title="Your data",
        text=(
            f"{events} {plural('event', events)} and {pictures} {plural('picture', pictures)}. "
            f"Open gallery.html in the file to look at them; usage-log.json is for programs.{rest}"
        ),
        documents=(Document(name="verso-my-data.zip", data=data),),
    )


def too_much_data() -> Reply:
    """Where not even the log fits into a file of this platform."""
    return Reply(
        text="Your data is too large for a file here: please ask the operator for it.", tone="warning"
    )


def forget_me(held: str | None) -> Reply:
    """What erasing means, with the button that does it; or why it cannot be done now."""
    if held is not None:
        return Reply(
            title="Not now",
            text=(
                "A disputed picture keeps your record for now; it can be erased when the dispute is over. "
                f"Reason given: {held}"
            ),
            tone="warning",
        )
    return Reply(
        title="Erase everything about you?",
        text=(
            "Your name, your words, your pictures, and the key that opens them are destroyed for good. "
            "What stays in the ledger cannot be linked to you or opened by anybody. Posts in chats stay "
            "until they are deleted there; backups expire on their own schedule. To keep a copy, ask for "
            "your data first."
        ),
        buttons=(
            Button(
                name="forgetme",
                target="me",
                label="Erase me",
                style="danger",
                ask=f"Write {ERASE_WORD} to erase everything for good.",
            ),
        ),
        tone="warning",
    )


def not_forgotten() -> Reply:
    """The word was not written."""
    return Reply(text=f"Nothing was erased: the word {ERASE_WORD} was not written.", tone="warning")


def forgotten() -> Reply:
    """After an erasure."""
    return Reply(text="Everything about you is erased. To draw again is to begin anew.", tone="good")


def unknown_here() -> Reply:
    """Asked by somebody of whom nothing is recorded."""
    return Reply(text="Nothing is recorded of you.")


def inspected(outcome: AccountView | NotModerator) -> Reply:
    """A member's usage log, as a moderator reads it."""
    if isinstance(outcome, NotModerator):
        return not_moderator()
    shown = history(outcome)
    return replace(
        shown,
        title=f"Usage log of {outcome.name or 'a member'}",
        text=f"{shown.text.split('.')[0]}. This look and its reason are in it.",
    )


def stands(outcome: Stands | NotModerator) -> Reply:
    """Where a member stands with moderation."""
    if isinstance(outcome, NotModerator):
        return not_moderator()
    standing = outcome.standing
    until = standing.timeout_until_ms
    pause = "no pause runs" if until is None else "a pause runs"
    return Reply(
        title=f"{outcome.name} ({outcome.user_id})",
        text=(
            f"{standing.live} live {plural('strike', standing.live)}, "
            f"{standing.timeouts} recent {plural('pause', standing.timeouts)}; {pause}."
        ),
        fields=() if until is None else (Field(label="May ask again", value="", at_ms=until),),
        tone="neutral" if until is None else "warning",
    )


def paused_notice(outcome: Stands, reason: str) -> Reply:
    """Told in private to a member whom a moderator let pause."""
    why = f" Reason given: {shorten(reason, 300)}" if reason.strip() else ""
    until = outcome.standing.timeout_until_ms
    return Reply(
        title="Pause",
        text=f"A moderator asks you to pause; what you had waiting is cancelled.{why}",
        fields=() if until is None else (Field(label="You can ask again", value="", at_ms=until),),
        tone="warning",
    )


def unpaused(outcome: Stands | NotModerator) -> Reply:
    """After a moderator ended a pause."""
    if isinstance(outcome, NotModerator):
        return not_moderator()
    if not outcome.changed:
        return Reply(text=f"No pause runs for {outcome.name}.")
    return Reply(text=f"{outcome.name} may ask again; strikes stay and fade.", tone="good")


def _event(kind: str, private: Mapping[str, str]) -> str:
    words = kind.replace("_", " ")
    prompt = private.get("prompt") or private.get("reason")
    return f"{words}: {shorten(prompt, 120)}" if prompt else words
