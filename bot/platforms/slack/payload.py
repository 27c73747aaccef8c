"""Reads Slack's payloads, which come from outside: every look returns the asked type or an empty one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

Payload = Mapping[str, object]
_ID_LIMIT = 100


def word(payload: object, *path: str) -> str:
    """The string at `path`, or an empty one."""
    found = _at(payload, path)
    return found if isinstance(found, str) else ""


def table(payload: object, *path: str) -> Payload:
    """The object at `path`, or an empty one."""
    found = _at(payload, path)
    return found if isinstance(found, dict) else {}


def tables(payload: object, *path: str) -> tuple[Payload, ...]:
    """The objects in the list at `path`."""
    found = _at(payload, path)
    return tuple(one for one in found if isinstance(one, dict)) if isinstance(found, list) else ()


def words(payload: object, *path: str) -> tuple[str, ...]:
    """The strings in the list at `path`."""
    found = _at(payload, path)
    return tuple(one for one in found if isinstance(one, str)) if isinstance(found, list) else ()


def flag(payload: object, *path: str) -> bool:
    """Whether the value at `path` is true."""
    return _at(payload, path) is True


def event_id(payload: Payload) -> str:
    """The identity of an event, equal for every delivery of it.

    Events carry an id. A form is sent once, so its view names it. Commands, clicks and shortcuts carry a
    trigger id of their own; without any, the payload's own bytes must do. At most 100 characters.
    """
    found = word(payload, "event_id")
    if not found and word(payload, "type") == "view_submission" and (view := word(payload, "view", "id")):
        found = f"view:{view}"
    found = found or word(payload, "trigger_id")
    if 0 < len(found) <= _ID_LIMIT:
        return found
    canonical = found or json.dumps(payload, sort_keys=True, default=str, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(canonical.encode(errors="replace")).hexdigest()


def workspace_of(payload: Payload) -> str:
    """The workspace the event belongs to: the team, or the organization of an org-wide installation."""
    team = (
        word(payload, "team", "id")
        or word(payload, "team_id")
        or word(payload, "user", "team_id")
        or word(payload, "view", "team_id")
        or word(payload, "enterprise", "id")
        or word(payload, "enterprise_id")
    )
    return f"slack:{team}" if team else ""


def _at(payload: object, path: tuple[str, ...]) -> object:
    for name in path:
        if not isinstance(payload, dict):
            return None
        payload = payload.get(name)
    return payload
