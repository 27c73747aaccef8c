"""Failures of screening; facts are attributes, words are chosen by the bot."""

from __future__ import annotations


class ModerationError(Exception):
    """Something went wrong while screening."""

    code = "moderation_failed"
    retryable = False


class PolicyError(ModerationError):
    """The policy cannot be used: `field` names the key, `line` the line of the file where known."""

    code = "policy"

    def __init__(self, reason: str, *, field: str = "", line: int | None = None, path: str = "") -> None:
        where = ", ".join(
            part
            for part in (
                path,
                f"line {line}" if line is not None else "",
                f"field {field!r}" if field else "",
            )
            if part
        )
        super().__init__(f"{where}: {reason}" if where else reason)
        self.reason = reason
        self.field = field
        self.line = line
        self.path = path


class RuleError(ModerationError):
    """A rule could not do its work; the moderator turns this into a finding that holds."""

    code = "rule"

    def __init__(self, rule: str, reason: str) -> None:
        super().__init__(f"rule {rule!r}: {reason}")
        self.rule = rule
        self.reason = reason


class RuleDataError(ModerationError):
    """A shipped or configured word list, name list or trained head cannot be read."""

    code = "rule_data"

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.name = name
        self.reason = reason


class TrainingError(ModerationError):
    """The training data cannot be used."""

    code = "training"


class ReviewMissingError(ModerationError):
    """There is no such review."""

    code = "review_missing"

    def __init__(self, review_id: str) -> None:
        super().__init__(f"no review {review_id!r}")
        self.review_id = review_id


class AlreadyDecidedError(ModerationError):
    """Another moderator was faster."""

    code = "already_decided"

    def __init__(self, review_id: str, *, outcome: str, actor: str) -> None:
        super().__init__(f"review {review_id!r} was already decided: {outcome}")
        self.review_id = review_id
        self.outcome = outcome
        self.actor = actor


class AppealError(ModerationError):
    """This decision cannot be appealed (again)."""

    code = "appeal"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ProtectedError(ModerationError):
    """An entry of the protected list cannot be added, or is not there."""

    code = "protected"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class TakedownError(ModerationError):
    """There is no such take-down here, or it cannot be decided (again)."""

    code = "takedown"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class QuarantineError(ModerationError):
    """There is no such quarantine case, or what it asks for cannot be done."""

    code = "quarantine"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class OutcomeError(ModerationError):
    """A review was decided with a word or reason that is not one."""

    code = "outcome"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
