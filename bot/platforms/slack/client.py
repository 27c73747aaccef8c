"""Makes the SDK's Web API clients."""

from __future__ import annotations

import logging

from slack_sdk.http_retry.async_handler import AsyncRetryHandler
from slack_sdk.http_retry.builtin_async_handlers import (
    AsyncConnectionErrorRetryHandler,
    AsyncRateLimitErrorRetryHandler,
)
from slack_sdk.web.async_client import AsyncWebClient

sdk_log = logging.getLogger("bot.platforms.slack.sdk")
"""Where the SDK logs. Never below INFO: its debug lines quote what people wrote."""

_PUBLIC_API = "https://slack.com/api/"
_RATE_LIMIT_RETRIES = 2


def patient_client(token: str) -> AsyncWebClient:
    """A client that waits out rate limits and tries again after a broken connection."""
    return _client(
        token, [AsyncConnectionErrorRetryHandler(), AsyncRateLimitErrorRetryHandler(_RATE_LIMIT_RETRIES)]
    )


def lossy_client(token: str) -> AsyncWebClient:
    """A client that tries once, for what is worthless when late."""
    return _client(token, [])


def _client(token: str, retries: list[AsyncRetryHandler]) -> AsyncWebClient:
    sdk_log.setLevel(max(logging.INFO, sdk_log.getEffectiveLevel()))
    client = AsyncWebClient(token=token, retry_handlers=retries, logger=sdk_log)
    if AsyncWebClient.BASE_URL != _PUBLIC_API:  # another Slack, such as GovSlack: the SDK's default argument
        client.base_url = (
            AsyncWebClient.BASE_URL.rstrip("/") + "/"
        )  # was bound before anybody could change it
    return client
