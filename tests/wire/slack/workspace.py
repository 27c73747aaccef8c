"""The Slack side of the wire: the emulated Web API behind an adapter, response URLs, a WebSocket, and faults.

The adapter turns GET into POST and query or JSON arguments into a form, as the emulator wants them. What the
emulator lacks is here: user groups, `apps.connections.open`, response URLs, the checks that make Slack answer
`invalid_blocks`, and the delay between an upload and its share.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Self

import aiohttp
from aiohttp import web
from slack_sdk.models.blocks import Block

JSON_ARGUMENTS = ("blocks", "view", "files", "attachments", "metadata")


@dataclass
class Call:
    """One call of the Web API."""

    method: str
    args: dict
    token: str
    answer: dict = field(default_factory=dict)


@dataclass
class Fault:
    """What to answer instead, so many times."""

    error: str = ""
    times: int = 1
    retry_after: int | None = None
    after: bool = False  # let the call happen, then answer with the error: a lost answer


class Workspace:
    """A Slack workspace on one local port."""

    def __init__(self, port: int, emulator_url: str) -> None:
        self.port, self.emulator_url = port, emulator_url
        self.url = f"http://127.0.0.1:{port}"
        self.calls: list[Call] = []
        self.said: dict[str, list[dict]] = defaultdict(list)  # response URL -> answers
        self.problems: list[str] = []
        self.faults: dict[str, list[Fault]] = defaultdict(list)
        self.groups: dict[str, list[str]] = {}
        self.uploaded: list[bytes] = []  # the bodies that were sent to upload addresses, as they came
        self.share_after = 0  # looks at a file before its share shows
        self.looks: Counter[str] = Counter()
        self.uses_left, self.knocks = 5, 0  # of a response URL; attempts at all of them
        self.sockets: list[web.WebSocketResponse] = []
        self.acks: dict[str, asyncio.Future] = {}
        self.connected = asyncio.Condition()
        self.changed = asyncio.Condition()

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession()
        app = web.Application(client_max_size=2**26)
        app.router.add_route("*", "/api/{method}", self._api)
        app.router.add_post("/response/{token}", self._response)
        app.router.add_get("/link", self._link)
        app.router.add_get("/big", self._big)
        app.router.add_get("/moved", self._moved)
        app.router.add_route("*", "/{rest:.*}", self._forward)
        self._runner = web.AppRunner(app, shutdown_timeout=1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True).start()
        return self

    async def __aexit__(self, *_error: object) -> None:
        for socket in self.sockets:
            await socket.close()
        await self._runner.cleanup()
        await self._session.close()

    def made(self, method: str) -> list[Call]:
        """The calls of one method that were answered with ok."""
        return [call for call in self.calls if call.method == method and call.answer.get("ok")]

    def fail(self, method: str, error: str = "", **options: object) -> None:
        """Let the next calls of `method` fail."""
        self.faults[method].append(Fault(error=error, **options))

    async def ask(self, method: str, token: str, **args: object) -> dict:
        """Call the emulator directly, unrecorded."""
        headers = {"Authorization": f"Bearer {token}"}
        form = {k: v if isinstance(v, str) else json.dumps(v) for k, v in args.items() if v is not None}
        async with self._session.post(
            f"{self.emulator_url}/api/{method}", data=form, headers=headers
        ) as answer:
            return await answer.json()

    async def until(self, test, seconds: float = 20) -> None:
        """Wait until `test()` holds; every call and answer is a reason to look again."""
        async with asyncio.timeout(seconds), self.changed:
            await self.changed.wait_for(test)

    async def _notice(self) -> None:
        async with self.changed:
            self.changed.notify_all()

    async def _api(self, request: web.Request) -> web.Response:
        method = request.match_info["method"]
        args = await _arguments(request)
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        call = Call(method, args, token)
        self.calls.append(call)
        fault = self._fault(method)
        if fault is not None and fault.retry_after is not None:
            call.answer = {"ok": False, "error": "ratelimited"}
            headers = {"Retry-After": str(fault.retry_after)}
            return web.json_response(call.answer, status=429, headers=headers)
        if fault is None or fault.after:
            call.answer = await self._answer(method, args, token)
        if fault is not None:
            call.answer = {"ok": False, "error": fault.error}
        await self._notice()
        return web.json_response(call.answer)

    def _fault(self, method: str) -> Fault | None:
        waiting = self.faults[method]
        if not waiting:
            return None
        waiting[0].times -= 1
        return waiting.pop(0) if waiting[0].times <= 0 else waiting[0]

    async def _answer(self, method: str, args: dict, token: str) -> dict:
        if method == "apps.connections.open":
            if token != "xapp-verso":
                return {"ok": False, "error": "invalid_auth"}
            return {"ok": True, "url": f"ws://127.0.0.1:{self.port}/link?ticket={len(self.calls)}"}
        if method == "usergroups.users.list":
            users = self.groups.get(args.get("usergroup", ""))
            return (
                {"ok": True, "users": users} if users is not None else {"ok": False, "error": "missing_scope"}
            )
        if token != "xoxb-verso":  # the emulator takes any token for an administrator's
            return {"ok": False, "error": "invalid_auth"}
        blocks = args.get("blocks") or (args.get("view") or {}).get("blocks") or []
        if problem := await self._problem(blocks, modal="view" in args):
            self.problems.append(problem)
            return {"ok": False, "error": "invalid_blocks", "response_metadata": {"messages": [problem]}}
        if method == "files.getUploadURLExternal" and "alt_txt" in args:
            args = args | {"alt_text": args["alt_txt"]}  # the emulator's name for it
        answer = await self.ask(method, token, **args)
        if method == "files.info" and answer["ok"]:
            self.looks[args["file"]] += 1
            if self.looks[args["file"]] <= self.share_after:
                answer["file"]["shares"] = {}
        return answer

    async def _problem(self, blocks: list[dict], *, modal: bool = False) -> str:
        """Why Slack would refuse these blocks; empty where it would not."""
        if len(blocks) > (100 if modal else 50):
            return f"{len(blocks)} blocks"
        for block in blocks:
            parsed = Block.parse(block)
            if parsed is None:
                return f"unknown block {block}"
            parsed.validate_json()
            ids = [one.get("action_id") for one in block.get("elements", []) if block["type"] == "actions"]
            if len(ids) != len(set(ids)):
                return f"action_id is used twice: {ids}"
            named = block.get("slack_file", {}).get("id")
            if named and self.looks[named] <= self.share_after:
                return f"invalid slack file {named}"
        return ""

    async def _response(self, request: web.Request) -> web.Response:
        token, message = request.match_info["token"], await request.json()
        self.knocks += 1
        if len(self.said[token]) >= self.uses_left:
            return web.Response(status=404, text="used_url")
        if problem := await self._problem(message.get("blocks", [])):
            self.problems.append(problem)
            return web.Response(status=400, text="invalid_blocks")
        self.said[token].append(message)
        await self._notice()
        return web.Response(text="ok")

    async def _link(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_json({"type": "hello", "num_connections": 1, "debug_info": {}})
        async with self.connected:
            self.sockets.append(socket)
            self.connected.notify_all()
        async for message in socket:
            envelope = json.loads(message.data)
            waiting = self.acks.get(envelope["envelope_id"])
            if waiting is not None and not waiting.done():
                waiting.set_result(envelope)
        return socket

    async def _big(self, _request: web.Request) -> web.Response:
        return web.Response(body=bytes(200_000), content_type="image/png")

    async def _moved(self, _request: web.Request) -> web.Response:
        raise web.HTTPFound("http://127.0.0.1:9/elsewhere.png")

    async def _forward(self, request: web.Request) -> web.Response:
        headers = {k: v for k, v in request.headers.items() if k in {"Authorization", "Content-Type"}}
        body = await request.read()
        if request.method == "POST":
            self.uploaded.append(body)
        async with self._session.request(
            request.method, self.emulator_url + request.path_qs, data=body, headers=headers
        ) as answer:
            return web.Response(
                status=answer.status, body=await answer.read(), content_type=answer.content_type
            )


async def _arguments(request: web.Request) -> dict:
    args = dict(request.query)
    if request.content_type == "application/json":
        args |= await request.json()
    else:
        args |= {key: str(value) for key, value in (await request.post()).items()}
    for name in JSON_ARGUMENTS:
        if isinstance(args.get(name), str):
            args[name] = json.loads(args[name])
    return args
