"""Discord's own description of its HTTP interface, as a judge of what we send.

`openapi-extract.json.gz` holds the request bodies and parameters of the routes that Verso uses, taken
from Discord's OpenAPI document (MIT license), without its prose.
"""

from __future__ import annotations

import copy
import gzip
import json
import re
from collections.abc import Mapping
from pathlib import Path

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

EXTRACT = Path(__file__).with_name("openapi-extract.json.gz")


class Contract:
    """Finds the route of a request and what is wrong with it."""

    def __init__(self) -> None:
        document = json.loads(gzip.decompress(EXTRACT.read_bytes()))
        self._components = document["components"]
        self._routes = sorted(
            (
                (path.count("{"), re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path))), path, item)
                for path, item in document["paths"].items()
            ),
            key=lambda route: route[0],  # a path that says @original comes before one that says any id
        )

    def problems(
        self, method: str, path: str, *, query: Mapping[str, str], body: object, multipart: bool
    ) -> list[str]:
        """What Discord's document says against this request; nothing for a good one."""
        found = self._route(method, path)
        if found is None:
            return [f"{method} {path}: no such route"]
        template, operation = found
        declared = {entry["name"] for entry in operation["parameters"]}
        problems = [
            f"{method} {template}: unknown parameter {name}" for name in query if name not in declared
        ]
        if body is None:
            if operation.get("requestBody", {}).get("required"):
                problems.append(f"{method} {template}: a body is required")
            return problems
        kind = "multipart/form-data" if multipart else "application/json"
        media = operation.get("requestBody", {}).get("content", {}).get(kind)
        if media is None:
            return [*problems, f"{method} {template}: takes no {kind}"]
        validator = Draft202012Validator({**media["schema"], "components": self._components})
        error = best_match(validator.iter_errors(_as_documented(body)))
        if error is not None:
            place = "/".join(map(str, error.absolute_path))
            problems.append(f"{method} {template}: {place}: {error.message[:300]}")
        return problems

    def _route(self, method: str, path: str) -> tuple[str, dict[str, object]] | None:
        for _, pattern, template, item in self._routes:
            if pattern.fullmatch(path) and method.lower() in item:
                return template, item[method.lower()]
        return None


def _as_documented(body: object) -> object:
    """The body with attachment ids as text: Discord takes the SDK's numbers, its document does not."""
    if not isinstance(body, dict):
        return body
    body = copy.deepcopy(body)
    for holder in (body, body.get("data")):
        if isinstance(holder, dict):
            for attachment in holder.get("attachments") or ():
                if isinstance(attachment.get("id"), int):
                    attachment["id"] = str(attachment["id"])
    return body
