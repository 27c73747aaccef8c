"""Failures of setting up and of talking to platforms."""

from __future__ import annotations


class BotError(Exception):
    """Something around the trades went wrong."""

    code = "failed"
    retryable = False


class ConfigurationError(BotError):
    """A setting is missing or cannot be used."""

    code = "configuration"

    def __init__(self, message: str, *, setting: str = "") -> None:
        super().__init__(message)
        self.setting = setting


class UsageError(BotError):
    """The command was used wrongly."""

    code = "usage"

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class NotFoundError(BotError):
    """There is no such thing, or not for this person."""

    code = "not_found"

    def __init__(self, what: str, target: str) -> None:
        super().__init__(f"no {what} {target!r}")
        self.what = what
        self.target = target


class PlatformError(BotError):
    """The chat platform could not be reached or refused."""

    code = "platform"
    retryable = True


class PlatformForbiddenError(PlatformError):
    """The bot may not do this here."""

    code = "platform_forbidden"
    retryable = False


class PlatformRateLimitError(PlatformError):
    """The platform asks to wait."""

    code = "platform_rate_limit"

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(f"rate limited for {retry_after_s:.1f} s")
        self.retry_after_s = retry_after_s
