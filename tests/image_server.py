"""An image server with OpenAI's interface on 127.0.0.1, which can be told to behave badly."""

from __future__ import annotations

import base64
import contextlib
import email.parser
import email.policy
import hashlib
import io
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
from PIL import Image


@dataclass
class Asked:
    """One request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    values: dict[str, object]  # JSON, or the fields of a form
    files: dict[str, bytes]


Behavior = Callable[["Handler", Asked], None]


def drawn(asked: Asked, size: tuple[int, int] | None = None) -> bytes:
    """A PNG that depends on all that a server reads; equal requests give equal pictures."""
    width, height = size or tuple(int(edge) for edge in str(asked.values["size"]).split("x"))
    told = {key: value for key, value in asked.values.items() if key != "size"}
    digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode())
    for name in sorted(asked.files):
        digest.update(asked.files[name])
    noise = np.random.default_rng(int.from_bytes(digest.digest()[:8])).integers(0, 256, (8, 8, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC).save(stream, "PNG")
    return stream.getvalue()


def answer(*pictures: bytes) -> dict[str, object]:
    return {"created": 1, "data": [{"b64_json": base64.b64encode(png).decode()} for png in pictures]}


def well(handler: Handler, asked: Asked) -> None:
    """As such a server should."""
    if asked.path == "/v1/models":
        handler.say(200, {"object": "list", "data": [{"id": "flux", "object": "model"}]})
    elif asked.path in {"/v1/images/generations", "/v1/images/edits"}:
        handler.say(200, answer(drawn(asked)))
    else:
        handler.say(404, {"error": {"message": "no such path", "code": "not_found"}})


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def say(self, status: int, document: object, **headers: str) -> None:
        self.send(status, json.dumps(document).encode(), "application/json", **headers)

    def send(self, status: int, body: bytes, media: str, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", media)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self._serve(b"")

    def do_POST(self) -> None:
        self._serve(self.rfile.read(int(self.headers.get("Content-Length", "0"))) or self._chunks())

    def _chunks(self) -> bytes:
        body = b""
        while length := int(self.rfile.readline(), 16):
            body += self.rfile.read(length)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _serve(self, body: bytes) -> None:
        values, files = _read(self.headers.get("Content-Type", ""), body)
        asked = Asked(self.command, self.path, dict(self.headers.items()), values, files)
        house: Server = self.server.house
        house.asked.append(asked)
        house.arrived.set()
        with contextlib.suppress(ConnectionError):
            (house.behaviors.pop(0) if house.behaviors else house.behavior)(self, asked)

    def log_message(self, *_: object) -> None:
        """Silent."""


@dataclass
class Server:
    """`behaviors` are used up one by one; then `behavior` answers."""

    url: str
    behavior: Behavior = well
    behaviors: list[Behavior] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    arrived: threading.Event = field(default_factory=threading.Event)
    gate: threading.Event = field(default_factory=threading.Event)  # opened when the test is over

    def hang(self, handler: Handler, asked: Asked) -> None:
        """Answer when the gate opens, or never."""
        self.gate.wait(60)
        well(handler, asked)


@contextlib.contextmanager
def running() -> Iterator[Server]:
    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    server = Server(url=f"http://127.0.0.1:{http.server_port}")
    http.house = server
    thread = threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.gate.set()
        http.shutdown()
        http.server_close()
        thread.join()


def _read(media: str, body: bytes) -> tuple[dict[str, object], dict[str, bytes]]:
    if media.startswith("application/json"):
        return json.loads(body), {}
    if not media.startswith("multipart/form-data"):
        return {}, {}
    head = f"Content-Type: {media}\r\n\r\n".encode()
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
    values: dict[str, object] = {}
    files: dict[str, bytes] = {}
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        data = part.get_payload(decode=True)
        if part.get_filename():
            files[name] = data
        else:
            values[name] = data.decode()
    return values, files
