"""What a chat platform must be able to do: turn events into commands, and replies into messages."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from bot.conversation import Command, Origin, Progress, Reply

Handler = Callable[[Command], Awaitable[Reply]]
"""Answers a command. Never raises for anything a person did: a refusal is a Reply, too."""


class Platform(Protocol):
    """A connection to one chat platform.

    A `post` is an opaque reference to one public message (JSON text that the platform wrote); it is
    stored, so a later process can still edit or remove that message.
    """

    name: str

    async def run(self, stop: asyncio.Event) -> None:
        """Connect and serve until `stop` is set; reconnects by itself.

        Raises:
            ConfigurationError: the platform refuses the token.
        """
        ...

    async def placeholder(self, origin: Origin, text: str) -> str | None:
        """Post a public message that a picture will fill later; None where none can be posted."""
        ...

    async def update(self, post: str, progress: Progress) -> None:
        """Show progress in the placeholder. Lossy: the platform drops what comes too fast."""
        ...

    async def fill(self, origin: Origin, post: str | None, reply: Reply, *, key: str) -> str:
        """Show a finished reply in the placeholder, or in a new message where there is none.

        Idempotent by `key`: a repeat after a crash never shows the pictures twice.

        Raises:
            PlatformRateLimitError, PlatformForbiddenError, PlatformError.
        """
        ...

    async def notify(self, origin: Origin, reply: Reply) -> None:
        """Tell the requester something in private, best effort."""
        ...

    async def remove(self, post: str) -> None:
        """Delete a message; done already is fine."""
        ...
