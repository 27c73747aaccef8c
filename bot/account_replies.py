"""What people read about themselves and about pictures: usage log, terms, models, who made what."""

from __future__ import annotations

from collections.abc import Mapping

from attribution.licenses import License
from bot.conversation import Field, Reply
from bot.usecases.account import AccountView
from bot.usecases.lookup import Found, MadeBy
from bot.words import plural, shorten, when
from generation.catalog import Catalog


def history(view: AccountView) -> Reply:
    """The latest events of one's own usage log."""
    lines = view.lines[-20:]
    if not lines:
        return Reply(text="Nothing is recorded of you yet.")
    return Reply(
        title="Your usage log",
        text=f"The latest {len(lines)} of {len(view.lines)} events. The operator can export them all.",
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


def _event(kind: str, private: Mapping[str, str]) -> str:
    words = kind.replace("_", " ")
    prompt = private.get("prompt")
    return f"{words}: {shorten(prompt, 120)}" if prompt else words
