"""Words for failures: what happened, and what to do."""

from __future__ import annotations

from attribution.errors import AttributionError, ErasedError, LegalHoldError
from bot.errors import BotError, NotFoundError, UsageError
from bot.words import duration
from generation.errors import GenerationError, QueueClosedError, RequestLimitError
from moderation.errors import (
    AlreadyDecidedError,
    ModerationError,
    ProtectedError,
    QuarantineError,
    ReviewMissingError,
    TakedownError,
)

SORRY = "Something went wrong on our side; nothing was lost. Please try again in a moment."


def sentence(error: Exception) -> str:
    """One clear sentence for an error: what happened, and what to do."""
    match error:
        case RequestLimitError(retry_after_s=wait):
            later = f" Try again in {duration(wait)}." if wait else ""
            return f"{error.limit[:1].upper()}{error.limit[1:]}.{later}"
        case QueueClosedError(reason=reason):
            why = f": {reason}" if reason else ""
            return f"Nothing new is taken at the moment{why}. Please try again later."
        case NotFoundError():
            return f"There is no {error.what} {error.target!r} here."
        case ReviewMissingError():
            return "There is no such review here."
        case AlreadyDecidedError(outcome=outcome):
            return f"Another moderator has already decided this: {outcome.replace('_', ' ')}."
        case ErasedError():
            return "This person's data were erased."
        case LegalHoldError():
            return "A disputed picture keeps this record for now; it can be erased when the dispute is over."
        case ProtectedError(reason=reason) | TakedownError(reason=reason) | QuarantineError(reason=reason):
            return f"{reason[:1].upper()}{reason[1:]}."
        case UsageError() | BotError() | ModerationError() | AttributionError() | GenerationError():
            return str(error)
        case _:
            return SORRY
