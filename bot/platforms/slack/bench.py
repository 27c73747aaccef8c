"""Measures how soon a slash command is acknowledged while many others are being worked on."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping
from http import HTTPStatus
from urllib.parse import urlencode

import aiohttp
import numpy as np
from aiohttp import web
from slack_sdk.signature import SignatureVerifier
from slack_sdk.web.async_client import AsyncWebClient

from bot.errors import PlatformError
from bot.platforms.base import Handler, Platform
from bot.platforms.slack.app import SlackPlatform

ROUNDS = 4
SIGNING_SECRET = "bench"  # noqa: S105 - of a server that lives for a second


async def bench_ack(
    handle: Handler, *, connect: Callable[[Platform], None], in_flight: int, prompt: str
) -> Mapping[str, object]:
    """Flood the real platform with signed slash commands over loopback.

    Its Web API calls go to a peer that accepts everything; each command runs the whole path of `handle`.

    Args:
        handle: answers commands.
        connect: told of the platform, so that answers reach it.
        in_flight: commands at the same time.
        prompt: what each command asks for.

    Returns:
        `in_flight`, `commands`, `p50_ms`, `p99_ms`, `max_ms`: from sending a command to its response.
    """
    async with _accepting_peer():
        platform = SlackPlatform(
            bot_token="xoxb-bench",  # noqa: S106 - for a peer that accepts everything
            signing_secret=SIGNING_SECRET,
            handler=handle,
            host="127.0.0.1",
            port=0,
        )
        connect(platform)
        stop = asyncio.Event()
        serving = asyncio.create_task(platform.run(stop))
        try:
            await asyncio.wait_for(platform.listening.wait(), 10)
            url = f"http://127.0.0.1:{platform.port}/slack/events"
            await _flood(url, 8, prompt)  # warms up
            times = [t for _ in range(ROUNDS) for t in await _flood(url, in_flight, prompt)]
        finally:
            stop.set()
            await serving
    return {
        "in_flight": in_flight,
        "commands": len(times),
        "p50_ms": round(float(np.percentile(times, 50)), 1),
        "p99_ms": round(float(np.percentile(times, 99)), 1),
        "max_ms": round(max(times), 1),
    }


async def _flood(url: str, count: int, prompt: str) -> list[float]:
    async with aiohttp.ClientSession() as session:
        return await asyncio.gather(*(_command(session, url, prompt) for _ in range(count)))


async def _command(session: aiohttp.ClientSession, url: str, prompt: str) -> float:
    body = urlencode(
        {
            "command": "/imagine",
            "text": prompt,
            "team_id": "T0BENCH",
            "channel_id": "C0BENCH",
            "user_id": f"U{secrets.token_hex(4).upper()}",
            "user_name": "bench",
            "trigger_id": f"1.2.{secrets.token_hex(8)}",
            "response_url": "",
            "api_app_id": "A0BENCH",
        }
    )
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    now = str(int(time.time()))
    signature = SignatureVerifier(SIGNING_SECRET).generate_signature(timestamp=now, body=body)
    headers |= {"X-Slack-Request-Timestamp": now, "X-Slack-Signature": signature or ""}
    started = time.perf_counter()
    async with session.post(url, data=body, headers=headers) as response:
        await response.read()
        if response.status != HTTPStatus.OK:
            raise PlatformError(f"the platform answered {response.status}")
    return 1000 * (time.perf_counter() - started)


@contextlib.asynccontextmanager
async def _accepting_peer() -> AsyncIterator[None]:
    """A Web API on loopback that accepts every call."""

    async def accept(_request: web.Request) -> web.Response:
        return web.json_response(
            {
                "ok": True,
                "user_id": "U0BOT",
                "bot_id": "B0BOT",
                "team_id": "T0BENCH",
                "ts": "1.1",
                "channel": "C0BENCH",
            }
        )

    peer = web.Application()
    peer.router.add_route("*", "/{method:.*}", accept)
    runner = web.AppRunner(peer)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    public = AsyncWebClient.BASE_URL
    AsyncWebClient.BASE_URL = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    try:
        yield
    finally:
        AsyncWebClient.BASE_URL = public
        await runner.cleanup()
