"""What Slack sends to an app: commands, clicks, forms, shortcuts, events; by signed HTTP or WebSocket."""

from __future__ import annotations

import asyncio
import itertools
import json
from urllib.parse import urlencode

import aiohttp
from slack_sdk.signature import SignatureVerifier

SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
TEAM = "T000000001"
_numbers = itertools.count(1)


class Sender:
    """Acts for the people of a workspace."""

    def __init__(self, workspace, *, port=None) -> None:
        self.workspace, self.port = workspace, port
        self._verifier = SignatureVerifier(SECRET)

    async def trigger(self, user, token):
        """A trigger id that opens one form."""
        return (await self.workspace.ask("views.generateTriggerId", token, user_id=user))["trigger_id"]

    def slash(self, command, text, *, user, channel, trigger="", url=True):
        number = next(_numbers)
        return {
            "command": command,
            "text": text,
            "team_id": TEAM,
            "team_domain": "emulate",
            "channel_id": channel,
            "channel_name": "art",
            "user_id": user,
            "user_name": "ann",
            "api_app_id": "A0VERSO",
            "is_enterprise_install": "false",
            "trigger_id": trigger or f"{number}.1.a",
            "response_url": f"{self.workspace.url}/response/r{number}" if url else "",
        }

    def click(self, button, *, user, channel="", trigger="", ephemeral=False, home=False):
        """A click on `button`, an element as it was posted."""
        number = next(_numbers)
        container = {"type": "message", "channel_id": channel, "is_ephemeral": ephemeral}
        payload = {
            "type": "block_actions",
            "team": {"id": TEAM, "domain": "emulate"},
            "user": {"id": user, "username": "ann", "team_id": TEAM},
            "api_app_id": "A0VERSO",
            "trigger_id": trigger or f"{number}.2.b",
            "container": {"type": "view"} if home else container,
            "actions": [
                {
                    "type": "button",
                    "action_id": button["action_id"],
                    "block_id": "b",
                    "text": button["text"],
                    "value": button["value"],
                    "action_ts": f"{number}.0",
                }
            ],
        }
        if not home:
            payload["channel"] = {"id": channel, "name": "art"}
            payload["response_url"] = f"{self.workspace.url}/response/r{number}"
        return payload

    def submit(self, view, values, *, user):
        """The form `view`, as it was opened, filled with `values` (block id -> input's state)."""
        return {
            "type": "view_submission",
            "team": {"id": TEAM, "domain": "emulate"},
            "user": {"id": user, "username": "ann", "team_id": TEAM},
            "api_app_id": "A0VERSO",
            "trigger_id": f"{next(_numbers)}.3.c",
            "view": {**view, "state": {"values": {name: {"value": one} for name, one in values.items()}}},
        }

    def shortcut(self, message, *, user, channel):
        number = next(_numbers)
        return {
            "type": "message_action",
            "callback_id": "who_made",
            "team": {"id": TEAM, "domain": "emulate"},
            "user": {"id": user, "username": "ann", "team_id": TEAM},
            "channel": {"id": channel, "name": "art"},
            "message": message,
            "message_ts": message.get("ts", "1.1"),
            "trigger_id": f"{number}.4.d",
            "action_ts": f"{number}.0",
            "response_url": f"{self.workspace.url}/response/r{number}",
        }

    def event(self, event, event_id=""):
        return {
            "type": "event_callback",
            "team_id": TEAM,
            "api_app_id": "A0VERSO",
            "event_id": event_id or f"Ev{next(_numbers)}",
            "event_time": 1,
            "event": event,
        }

    async def send(self, payload, *, retry=None, age=0, secret=None):
        """Deliver; returns (status, body). Over HTTP unless there is a WebSocket."""
        if self.port is None:
            return 200, await self.envelope(payload, retry=retry)
        return await self.post(encoded(payload), retry=retry, age=age, secret=secret)

    async def post(self, body, *, retry=None, age=0, secret=None, content_type=None):
        """POST raw `body`, signed `age` seconds ago."""
        import time

        stamp = str(int(time.time()) - age)
        verifier = self._verifier if secret is None else SignatureVerifier(secret)
        headers = {
            "X-Slack-Request-Timestamp": stamp,
            "X-Slack-Signature": verifier.generate_signature(
                timestamp=stamp, body=body if isinstance(body, str) else body.decode(errors="replace")
            ),
            "Content-Type": content_type
            or ("application/json" if body.startswith(("{", b"{")[isinstance(body, bytes)]) else FORM),
        }
        if retry is not None:
            headers |= {"X-Slack-Retry-Num": str(retry), "X-Slack-Retry-Reason": "http_timeout"}
        url = f"http://127.0.0.1:{self.port}/slack/events"
        async with (
            aiohttp.ClientSession() as session,
            session.post(url, data=body, headers=headers) as answer,
        ):
            return answer.status, await answer.text()

    async def envelope(self, payload, *, retry=None):
        """Send over the newest WebSocket and wait for the acknowledgment; its payload, or None."""
        kind = "slash_commands" if "command" in payload else "interactive"
        kind = "events_api" if payload.get("type") == "event_callback" else kind
        number = f"e{next(_numbers)}"
        waiting = self.workspace.acks[number] = asyncio.get_running_loop().create_future()
        message = {"envelope_id": number, "type": kind, "payload": payload, "accepts_response_payload": True}
        if retry is not None:
            message |= {"retry_attempt": retry, "retry_reason": "timeout"}
        await self.workspace.sockets[-1].send_json(message)
        async with asyncio.timeout(20):
            return (await waiting).get("payload")


FORM = "application/x-www-form-urlencoded"


def encoded(payload):
    """The body Slack would send: commands are forms, interactions a form around JSON, events JSON."""
    if "command" in payload:
        return urlencode(payload)
    if payload.get("type") == "event_callback":
        return json.dumps(payload)
    return urlencode({"payload": json.dumps(payload)})
