"""What went wrong at Slack, in Verso's own errors, with words that say what to do."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError

from bot.errors import (
    BotError,
    ConfigurationError,
    PlatformError,
    PlatformForbiddenError,
    PlatformRateLimitError,
)

BOT_TOKEN = "VERSO_SLACK__BOT_TOKEN"  # noqa: S105 - the setting's name
APP_TOKEN = "VERSO_SLACK__APP_TOKEN"  # noqa: S105
NOT_THERE = frozenset({"not_in_channel", "channel_not_found", "is_archived", "restricted_action"})
GONE = frozenset({"message_not_found", "file_not_found", "file_deleted", "thread_not_found"})
UNREACHABLE = (SlackClientError, aiohttp.ClientError, TimeoutError, OSError)  # all that a call may raise
_PASSING = frozenset(
    {
        "ratelimited",
        "rate_limited",
        "internal_error",
        "fatal_error",
        "service_unavailable",
        "request_timeout",
        "team_added_to_org",
    }
)
_DEFAULT_WAIT_S = 30.0

_BAD_TOKEN = frozenset(
    {
        "invalid_auth",
        "not_authed",
        "account_inactive",
        "token_revoked",
        "token_expired",
        "not_allowed_token_type",
    }
)
_FORBIDDEN = {
    "not_in_channel": "I am not in that channel: invite me with /invite @verso",
    "channel_not_found": "I cannot see that channel: invite me with /invite @verso",
    "is_archived": "that channel is archived",
    "restricted_action": "a workspace setting forbids me to post there",
    "restricted_action_read_only_channel": "that channel is read-only",
    "ekm_access_denied": "the workspace's key management suspends access there",
    "no_permission": "the workspace does not allow me to do that",
    "access_denied": "the workspace does not allow me to do that",
    "cant_update_message": "that message is not mine to edit",
    "edit_window_closed": "the workspace no longer lets that message be edited",
    "cant_delete_message": "that message is not mine to delete",
    "file_uploads_disabled": "the workspace has switched file uploads off",
    "storage_limit_reached": "the workspace's file storage is full",
}


def error_code(error: SlackApiError) -> str:
    """Slack's own short name for the error, such as `not_in_channel`; empty where there is none."""
    response = error.response
    if isinstance(response, str) or not hasattr(response, "get"):
        return ""
    try:
        return str(response.get("error") or "")
    except (ValueError, TypeError, AttributeError):  # an answer that is no JSON object
        return ""


def passes(error: SlackApiError) -> bool:
    """Whether the same call may work later: Slack was busy or broken, not unwilling."""
    status = getattr(error.response, "status_code", 0)
    return error_code(error) in _PASSING or status == 429 or status >= 500


def translate(error: Exception, *, setting: str = BOT_TOKEN) -> BotError:
    """The same failure as one of Verso's errors."""
    if isinstance(error, BotError):
        return error
    if isinstance(error, SlackApiError):
        return _translate_answer(error, error_code(error), setting)
    return PlatformError(f"Slack cannot be reached ({type(error).__name__})")


def _translate_answer(error: SlackApiError, code: str, setting: str) -> BotError:
    if code in {"ratelimited", "rate_limited"} or getattr(error.response, "status_code", 0) == 429:
        return PlatformRateLimitError(_wait_s(error))
    if code in _BAD_TOKEN:
        return ConfigurationError(
            f"Slack refuses the token in {setting} ({code}): copy it again from the app's settings page, "
            "and reinstall the app if it was removed",
            setting=setting,
        )
    if code == "missing_scope":
        needed = str(error.response.get("needed") or "a permission")
        return PlatformForbiddenError(
            f"the Slack app lacks the scope {needed}: add it under OAuth & Permissions and reinstall the app"
        )
    if code in _FORBIDDEN:
        return PlatformForbiddenError(_FORBIDDEN[code])
    return PlatformError(f"Slack refused the call ({code or 'no reason given'})")


@contextlib.contextmanager
def translated(*, setting: str = BOT_TOKEN) -> Iterator[None]:
    """Turn failures of the SDK inside the block into Verso's errors."""
    try:
        yield
    except UNREACHABLE as error:
        raise translate(error, setting=setting) from error


def _wait_s(error: SlackApiError) -> float:
    headers = getattr(error.response, "headers", None) or {}
    for name, value in headers.items():
        if str(name).lower() == "retry-after":
            text = str(value[0] if isinstance(value, list) and value else value)
            return float(text) if text.isdigit() else _DEFAULT_WAIT_S
    return _DEFAULT_WAIT_S
