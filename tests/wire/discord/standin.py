"""A small Discord on the loopback: HTTP, gateway and CDN, as far as a bot of our kind meets them."""

from __future__ import annotations

import asyncio
import json
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import WSMsgType, web

APPLICATION = "900000000000000001"
BOT = {"id": APPLICATION, "username": "verso", "discriminator": "0", "avatar": None, "bot": True}
GUILD = "900000000000000002"
CHANNEL = "900000000000000003"
ROLE = "900000000000000004"
ADA = "900000000000000005"
TOKEN = "test-token"
MANAGE_MESSAGES = 1 << 13
EPHEMERAL = 64
WHEN = "2026-01-01T00:00:00+00:00"


@dataclass
class Request:
    """One HTTP request as it arrived."""

    method: str
    path: str
    query: dict[str, str]
    body: object
    files: dict[str, tuple[str, bytes]]
    headers: dict[str, str]


@dataclass
class Fault:
    """What the next matching request gets instead of an answer."""

    method: str
    path: str
    status: int
    body: dict[str, object]
    headers: dict[str, str] = field(default_factory=dict)


class StandIn:
    """Discord's side of every conversation; tests read what it recorded."""

    GUILD = GUILD
    CHANNEL = CHANNEL
    ROLE = ROLE

    def __init__(self, judge: Callable[..., list[str]]) -> None:
        self.requests: list[Request] = []
        self.problems: list[str] = []
        self.faults: list[Fault] = []
        self.messages: dict[str, dict[str, object]] = {}
        self.commands: dict[str, list[dict[str, object]]] = {}
        self.identifies: list[dict[str, object]] = []
        self.resumes: list[dict[str, object]] = []
        self.heartbeats = 0
        self.heartbeat_ms = 41_250
        self.forget_sessions = False
        self.blobs: dict[str, bytes] = {}
        self._judge = judge
        self._nonces: dict[str, str] = {}
        self._replies: dict[str, str] = {}  # interaction token -> id of the private reply
        self._events: list[dict[str, object]] = []
        self._socket: web.WebSocketResponse | None = None
        self._write: Callable[[dict[str, object]], object] | None = None
        self._online = asyncio.Event()
        self._ids = iter(range(910_000_000_000_000_000, 920_000_000_000_000_000))
        self._changed = asyncio.Condition()
        self.base = ""

    # ------------------------------------------------------------------ the tests' side

    async def start(self) -> None:
        application = web.Application(client_max_size=64 * 1024 * 1024)
        application.router.add_get("/gateway/", self._gateway)
        application.router.add_get("/cdn/{name}", self._cdn)
        application.router.add_route("*", "/api/v10/{path:.*}", self._rest)
        self._runner = web.AppRunner(application, shutdown_timeout=1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        port = self._runner.addresses[0][1]
        self.base = f"http://127.0.0.1:{port}"
        self.gateway = f"ws://127.0.0.1:{port}/gateway/"

    async def close(self) -> None:
        if self._socket is not None:
            await self._socket.close()
        await self._runner.cleanup()

    async def online(self) -> None:
        """Wait until a client has identified or resumed."""
        await asyncio.wait_for(self._online.wait(), 30)

    async def until(self, condition: Callable[[], object]) -> object:
        """Wait until the recorded state satisfies a condition; its value."""
        async with asyncio.timeout(30), self._changed:
            await self._changed.wait_for(condition)
            return condition()

    def fault(
        self,
        method: str,
        path: str,
        status: int,
        body: dict[str, object],
        headers: dict[str, str] | None = None,
    ) -> None:
        """Answer the next matching request with an error."""
        self.faults.append(Fault(method, path, status, body, headers or {}))

    def new_id(self) -> str:
        return str(next(self._ids))

    def sent(self, method: str, pattern: str) -> list[Request]:
        return [r for r in self.requests if r.method == method and re.fullmatch(pattern, r.path)]

    def reply(self, interaction: dict[str, object]) -> dict[str, object] | None:
        """The private reply to an interaction, as it stands."""
        return self.messages.get(self._replies.get(str(interaction["token"]), ""))

    async def answered(self, interaction: dict[str, object]) -> dict[str, object]:
        """Wait for the private reply to an interaction to get its text."""
        return await self.until(
            lambda: (message := self.reply(interaction)) is not None and not message["pending"] and message
        )

    async def event(self, name: str, data: dict[str, object], *, live: bool = True) -> None:
        """Dispatch an event; `live` False keeps it for the next resume."""
        payload = {"op": 0, "t": name, "s": len(self._events) + 1, "d": data}
        self._events.append(payload)
        if live:
            await self.online()
            await self._write(payload)

    async def interact(
        self, kind: int, data: dict[str, object], *, live: bool = True, **extra: object
    ) -> dict[str, object]:
        """Send an interaction of Ada's in the art channel."""
        interaction_id = self.new_id()
        payload = {
            "id": interaction_id,
            "application_id": APPLICATION,
            "type": kind,
            "token": f"token-{interaction_id}",
            "version": 1,
            "data": data,
            "guild_id": GUILD,
            "channel_id": CHANNEL,
            "channel": _channel(),
            "member": {
                "user": _user(ADA, "ada"),
                "roles": [ROLE],
                "joined_at": WHEN,
                "deaf": False,
                "mute": False,
                "flags": 0,
                "permissions": "0",
            },
            "locale": "de",
            "guild_locale": "en-US",
            "app_permissions": "0",
            "entitlements": [],
            "authorizing_integration_owners": {"0": GUILD},
            "context": 0,
            "attachment_size_limit": 10 * 1024 * 1024,
            **extra,
        }
        await self.event("INTERACTION_CREATE", payload, live=live)
        return payload

    async def slash(self, name: str, *, live: bool = True, **options: object) -> dict[str, object]:
        kinds = {str: 3, int: 4, bool: 5}
        values = [{"name": k, "type": kinds[type(v)], "value": v} for k, v in options.items()]
        data = {"id": self.command_id(name), "name": name, "type": 1, "options": values}
        return await self.interact(2, data, live=live)

    async def click(self, message: dict[str, object], custom_id: str) -> dict[str, object]:
        return await self.interact(3, {"component_type": 2, "custom_id": custom_id}, message=_public(message))

    def command_id(self, name: str) -> str:
        return next(c["id"] for commands in self.commands.values() for c in commands if c["name"] == name)

    async def drop(self, code: int) -> None:
        """Close the gateway connection."""
        self._online.clear()
        await self._socket.close(code=code)

    async def ask_to_reconnect(self) -> None:
        self._online.clear()
        await self._write({"op": 7, "d": None, "s": None, "t": None})

    # ------------------------------------------------------------------ gateway

    async def _gateway(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        deflate = zlib.compressobj() if request.query.get("compress") == "zlib-stream" else None

        async def write(payload: dict[str, object]) -> None:
            text = json.dumps(payload)
            if deflate is None:
                await socket.send_str(text)
            else:
                await socket.send_bytes(deflate.compress(text.encode()) + deflate.flush(zlib.Z_SYNC_FLUSH))

        await write({"op": 10, "d": {"heartbeat_interval": self.heartbeat_ms}, "s": None, "t": None})
        async for message in socket:
            if message.type is not WSMsgType.TEXT:
                continue
            payload = json.loads(message.data)
            await self._hear(payload, socket, write)
            async with self._changed:
                self._changed.notify_all()
        if self._socket is socket:
            self._online.clear()
        return socket

    async def _hear(self, payload, socket, write) -> None:
        if payload["op"] == 1:
            self.heartbeats += 1
            await write({"op": 11, "d": None, "s": None, "t": None})
        elif payload["op"] == 2:
            self.identifies.append(payload["d"])
            await self._welcome(write)
            self._socket, self._write = socket, write
            self._online.set()
        elif payload["op"] == 6:
            self.resumes.append(payload["d"])
            if self.forget_sessions:
                self.forget_sessions = False
                await write({"op": 9, "d": False, "s": None, "t": None})
                return
            for event in self._events[payload["d"]["seq"] :]:
                await write(event)
            await write({"op": 0, "t": "RESUMED", "s": len(self._events), "d": {}})
            self._socket, self._write = socket, write
            self._online.set()

    async def _welcome(self, write) -> None:
        self._events = []
        for name, data in (
            (
                "READY",
                {
                    "v": 10,
                    "user": BOT,
                    "guilds": [{"id": GUILD, "unavailable": True}],
                    "session_id": f"session-{len(self.identifies)}",
                    "resume_gateway_url": self.gateway,
                    "application": {"id": APPLICATION, "flags": 0},
                },
            ),
            ("GUILD_CREATE", _guild()),
        ):
            payload = {"op": 0, "t": name, "s": len(self._events) + 1, "d": data}
            self._events.append(payload)
            await write(payload)

    # ------------------------------------------------------------------ HTTP

    async def _cdn(self, request: web.Request) -> web.Response:
        data = self.blobs.get(request.match_info["name"])
        return web.Response(status=404) if data is None else web.Response(body=data)

    async def _rest(self, request: web.Request) -> web.Response:
        record = await _record(request)
        self.requests.append(record)
        self.problems += self._judge(
            record.method,
            record.path,
            query=record.query,
            body=record.body,
            multipart=request.content_type == "multipart/form-data",
        )
        response = self._answer(record)
        async with self._changed:
            self._changed.notify_all()
        return response

    def _answer(self, request: Request) -> web.Response:
        for fault in self.faults:
            if fault.method == request.method and re.fullmatch(fault.path, request.path):
                self.faults.remove(fault)
                if fault.status < 300:
                    self._do(request)  # done, but the answer is not what it should be
                return _json(fault.body, status=fault.status, headers=fault.headers)
        needs_token = not request.path.startswith(("/webhooks/", "/interactions/"))
        if needs_token and request.headers.get("Authorization") != f"Bot {TOKEN}":
            return _json({"message": "401: Unauthorized", "code": 0}, status=401)
        return self._do(request)

    def _do(self, request: Request) -> web.Response:
        for method, pattern, answer in (
            ("GET", "/users/@me", self._me),
            ("GET", "/oauth2/applications/@me", self._application),
            ("PUT", "/applications/[^/]+(/guilds/[^/]+)?/commands", self._register),
            ("GET", "/applications/[^/]+(/guilds/[^/]+)?/commands", self._registered),
            ("DELETE", "/applications/[^/]+(/guilds/[^/]+)?/commands/[^/]+", self._unregister),
            ("POST", "/interactions/[^/]+/[^/]+/callback", self._callback),
            ("PATCH", "/webhooks/[^/]+/[^/]+/messages/[^/]+", self._edit_reply),
            ("POST", "/webhooks/[^/]+/[^/]+", self._follow_up),
            ("POST", "/channels/[^/]+/messages", self._send),
            ("PATCH", "/channels/[^/]+/messages/[^/]+", self._edit),
            ("DELETE", "/channels/[^/]+/messages/[^/]+", self._delete),
            ("POST", "/users/@me/channels", self._direct),
        ):
            if request.method == method and re.fullmatch(pattern, request.path):
                return answer(request)
        return _missing(0)

    def _me(self, _request: Request) -> web.Response:
        return _json(BOT)

    def _application(self, _request: Request) -> web.Response:
        return _json(
            {
                "id": APPLICATION,
                "name": "verso",
                "icon": None,
                "description": "",
                "bot_public": False,
                "bot_require_code_grant": False,
                "verify_key": "0" * 64,
                "owner": _user(ADA, "ada"),
                "team": None,
                "flags": 0,
            }
        )

    def _register(self, request: Request) -> web.Response:
        scope = request.path.split("/")[4] if "/guilds/" in request.path else ""
        self.commands[scope] = [
            {
                "description": "",
                **command,
                "id": self.new_id(),
                "application_id": APPLICATION,
                "version": "1",
                **({"guild_id": scope} if scope else {}),
            }
            for command in request.body
        ]
        return _json(self.commands[scope])

    def _registered(self, request: Request) -> web.Response:
        scope = request.path.split("/")[4] if "/guilds/" in request.path else ""
        return _json(self.commands.get(scope, []))

    def _unregister(self, request: Request) -> web.Response:
        command_id = Path(request.path).name
        for commands in self.commands.values():
            commands[:] = [command for command in commands if command["id"] != command_id]
        return web.Response(status=204)

    def _callback(self, request: Request) -> web.Response:
        _, _, interaction_id, token, _ = request.path.split("/")
        kind = request.body["type"]
        interaction = {"id": interaction_id, "type": 2, "response_message_loading": kind == 5}
        if kind in {4, 5}:
            data = request.body.get("data") or {}
            message = self._new_message(CHANNEL, data, {}, pending=kind == 5)
            self._replies[token] = message["id"]
            interaction["response_message_id"] = message["id"]
            interaction["response_message_ephemeral"] = bool(data.get("flags", 0) & EPHEMERAL)
        return _json({"interaction": interaction})

    def _edit_reply(self, request: Request) -> web.Response:
        _, _, _, token, _, message_id = request.path.split("/")
        if token not in self._replies:
            return _missing(10015)
        if message_id == "@original":
            message_id = self._replies[token]
        return self._change(message_id, request)

    def _follow_up(self, request: Request) -> web.Response:
        return _json(_public(self._new_message(CHANNEL, request.body, request.files)))

    def _send(self, request: Request) -> web.Response:
        nonce = request.body.get("nonce")
        if nonce and request.body.get("enforce_nonce") and nonce in self._nonces:
            return _json(_public(self.messages[self._nonces[nonce]]))
        message = self._new_message(request.path.split("/")[2], request.body, request.files)
        if nonce:
            self._nonces[nonce] = message["id"]
        return _json(_public(message))

    def _edit(self, request: Request) -> web.Response:
        return self._change(Path(request.path).name, request)

    def _delete(self, request: Request) -> web.Response:
        found = self.messages.pop(Path(request.path).name, None)
        return _missing(10008) if found is None else web.Response(status=204)

    def _direct(self, request: Request) -> web.Response:
        user = _user(request.body["recipient_id"], "ada")
        return _json({"id": f"1{user['id'][1:]}", "type": 1, "recipients": [user]})

    def _change(self, message_id: str, request: Request) -> web.Response:
        message = self.messages.get(message_id)
        if message is None:
            return _missing(10008)
        body = request.body
        message |= {key: body[key] for key in ("content", "embeds", "components") if key in body}
        message["content"] = message["content"] or ""
        if "attachments" in body:
            message["attachments"] = self._attachments(body, request.files)
        message["pending"] = False
        return _json(_public(message))

    def _new_message(self, channel_id, body, files, *, pending: bool = False) -> dict[str, object]:
        message = {
            "id": self.new_id(),
            "channel_id": channel_id,
            "author": BOT,
            "content": body.get("content") or "",
            "timestamp": WHEN,
            "edited_timestamp": None,
            "tts": False,
            "mention_everyone": False,
            "mentions": [],
            "mention_roles": [],
            "attachments": self._attachments(body, files),
            "embeds": body.get("embeds") or [],
            "components": body.get("components") or [],
            "pinned": False,
            "type": 0,
            "flags": body.get("flags", 0),
            "pending": pending,
        }
        self.messages[message["id"]] = message
        return message

    def _attachments(self, body, files) -> list[dict[str, object]]:
        attachments = []
        for entry in body.get("attachments") or ():
            name, data = files[f"files[{entry['id']}]"]
            attachment_id = self.new_id()
            self.blobs[attachment_id] = data
            url = f"{self.base}/cdn/{attachment_id}"
            attachments.append(
                {
                    "id": attachment_id,
                    "filename": name,
                    "description": entry.get("description"),
                    "content_type": "image/png",
                    "size": len(data),
                    "url": url,
                    "proxy_url": url,
                }
            )
        return attachments


async def _record(request: web.Request) -> Request:
    body: object = None
    files: dict[str, tuple[str, bytes]] = {}
    if request.content_type == "multipart/form-data":
        async for part in await request.multipart():
            if part.name == "payload_json":
                body = json.loads(await part.text())
            else:
                files[part.name] = (part.filename, bytes(await part.read()))
    elif request.can_read_body:
        body = await request.json()
    path = "/" + request.match_info["path"]
    return Request(request.method, path, dict(request.query), body, files, dict(request.headers))


def _json(data: object, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """A JSON answer; the SDK reads it only when the content type names no charset."""
    return web.Response(
        body=json.dumps(data).encode(),
        status=status,
        headers={"Content-Type": "application/json", **(headers or {})},
    )


def _missing(code: int) -> web.Response:
    return _json({"message": "Unknown", "code": code}, status=404)


def _public(message: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in message.items() if key != "pending"}


def _user(user_id: str, name: str) -> dict[str, object]:
    return {
        "id": user_id,
        "username": name,
        "discriminator": "0",
        "avatar": None,
        "global_name": name.title(),
    }


def _channel() -> dict[str, object]:
    return {
        "id": CHANNEL,
        "guild_id": GUILD,
        "type": 0,
        "name": "art",
        "position": 0,
        "permission_overwrites": [],
        "nsfw": True,
        "parent_id": None,
    }


def _guild() -> dict[str, object]:
    everyone = _role(GUILD, "@everyone")
    return {
        "id": GUILD,
        "name": "Studio",
        "owner_id": ADA,
        "roles": [everyone, _role(ROLE, "Curators")],
        "channels": [_channel()],
        "threads": [],
        "members": [],
        "emojis": [],
        "stickers": [],
        "features": [],
        "member_count": 2,
        "large": False,
        "unavailable": False,
        "joined_at": WHEN,
        "voice_states": [],
        "presences": [],
        "stage_instances": [],
        "guild_scheduled_events": [],
        "preferred_locale": "en-US",
        "afk_timeout": 300,
        "verification_level": 0,
        "default_message_notifications": 0,
        "explicit_content_filter": 0,
        "mfa_level": 0,
        "nsfw_level": 0,
        "premium_tier": 0,
        "system_channel_flags": 0,
    }


def _role(role_id: str, name: str) -> dict[str, object]:
    return {
        "id": role_id,
        "name": name,
        "color": 0,
        "colors": {"primary_color": 0, "secondary_color": None, "tertiary_color": None},
        "hoist": False,
        "position": 0,
        "permissions": "0",
        "managed": False,
        "mentionable": False,
        "flags": 0,
    }
