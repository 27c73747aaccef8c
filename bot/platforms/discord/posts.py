"""References to messages of ours, and what is going on with each of them."""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from dataclasses import dataclass, field

from bot.errors import PlatformError

_REMEMBERED = 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class Post:
    """Where one message of ours lies. `token` is set where only the interaction may touch it."""

    channel_id: int = 0
    message_id: int
    application_id: int = 0
    token: str = ""

    def to_json(self) -> str:
        """The opaque reference that the use cases store."""
        values = {"channel": str(self.channel_id), "message": str(self.message_id)}
        if self.token:
            values |= {"app": str(self.application_id), "token": self.token}
        return json.dumps(values, separators=(",", ":"))

    @classmethod
    def parse(cls, text: str) -> Post:
        """Read what `to_json` wrote.

        Raises:
            PlatformError: this is no reference of ours.
        """
        try:
            values = json.loads(text)
            return cls(
                channel_id=int(values["channel"]),
                message_id=int(values["message"]),
                application_id=int(values.get("app", 0)),
                token=str(values.get("token", "")),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            failure = PlatformError("this is no reference to a Discord message")
            failure.retryable = False
            raise failure from error


@dataclass(slots=True)
class Traffic:
    """Edits of one message: one at a time, none too soon, no progress after the pictures."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    next_update: float = 0.0  # monotonic seconds
    closed: bool = False


class TrafficBoard:
    """The traffic of the most recent messages."""

    def __init__(self) -> None:
        self._traffic: OrderedDict[int, Traffic] = OrderedDict()

    def of(self, post: Post) -> Traffic:
        """The traffic of one message."""
        traffic = self._traffic.setdefault(post.message_id, Traffic())
        self._traffic.move_to_end(post.message_id)
        while len(self._traffic) > _REMEMBERED:
            self._traffic.popitem(last=False)
        return traffic
