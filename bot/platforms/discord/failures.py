"""The SDK's exceptions as our own."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import aiohttp
import discord

from bot.errors import PlatformError, PlatformForbiddenError, PlatformRateLimitError

UNKNOWN_MESSAGE = 10008
ALREADY_ACKNOWLEDGED = 40060
UNREADABLE = (LookupError, TypeError, ValueError, AttributeError)
"""What the SDK raises over a successful answer that lacks what it expects, e.g. an empty one."""
_DEFAULT_WAIT_S = 5.0
_GONE = frozenset({10003, 10004, 10013})  # channel, guild, user: waiting brings none of them back


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Raise what Discord or the network answers as a `PlatformError`."""
    try:
        yield
    except discord.DiscordException as error:
        raise platform_error(error) from error
    except (aiohttp.ClientError, OSError) as error:
        raise PlatformError(f"Discord could not be reached ({type(error).__name__})") from error


def platform_error(error: discord.DiscordException) -> PlatformError:
    """The platform error that says the same; its words carry codes only, never what a user wrote."""
    if isinstance(error, discord.RateLimited):
        return PlatformRateLimitError(error.retry_after)
    if not isinstance(error, discord.HTTPException):
        return PlatformError(f"Discord's client failed ({type(error).__name__})")
    words = f"Discord answered {error.status} (code {error.code})"
    if error.status == 429:
        return PlatformRateLimitError(_retry_after(error))
    if error.status in {401, 403} or error.code in _GONE:
        return PlatformForbiddenError(words)
    failure = PlatformError(words)
    failure.retryable = error.status >= 500
    return failure


def _retry_after(error: discord.HTTPException) -> float:
    """Seconds that Discord asks to wait."""
    try:
        seconds = float(error.response.headers.get("Retry-After", _DEFAULT_WAIT_S))
    except ValueError:
        return _DEFAULT_WAIT_S
    return seconds if 0 <= seconds < 86_400 else _DEFAULT_WAIT_S
