"""Asks Slack whether the token works and which permissions it carries."""

from __future__ import annotations

from slack_sdk.errors import SlackApiError

from bot.errors import ConfigurationError, PlatformError
from bot.platforms.slack.client import lossy_client
from bot.platforms.slack.failures import UNREACHABLE

NEEDED = frozenset({"commands", "chat:write", "files:write", "files:read"})


async def check(bot_token: str) -> str:
    """Who we are in Slack.

    Raises:
        ConfigurationError: the token is refused, or lacks a scope.
        PlatformError: Slack cannot be reached.
    """
    try:
        answer = await lossy_client(bot_token).auth_test()
    except SlackApiError as error:
        raise ConfigurationError(
            f"Slack refuses it ({error.response.get('error')}): copy it again from OAuth & Permissions",
            setting="VERSO_SLACK__BOT_TOKEN",
        ) from error
    except UNREACHABLE as error:
        raise PlatformError(f"Slack cannot be reached: {error}") from error
    scopes = {part.strip() for part in str(answer.headers.get("x-oauth-scopes", "")).split(",")}
    missing = sorted(NEEDED - scopes)
    if missing:
        raise ConfigurationError(
            f"the Slack app lacks {', '.join(missing)}: add them under OAuth & Permissions and reinstall it",
            setting="VERSO_SLACK__BOT_TOKEN",
        )
    return f"{answer.get('user')} in {answer.get('team')}"
