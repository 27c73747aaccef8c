"""One moderator's question at the shell: open the house, ask a use case, show the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from bot.cli.output import print_json, show_reply
from bot.cli.people import moderator
from bot.compose import open_app
from bot.composition.app import App
from bot.conversation import Origin, Reply
from bot.platforms.terminal import TerminalPlatform
from bot.settings import load_settings
from bot.usecases.review import NotModerator

Answer = TypeVar("Answer")


def ask(
    actor: str | None,
    question: Callable[[App, Origin], Awaitable[Answer | NotModerator]],
    *,
    words: Callable[[Answer | NotModerator], Reply],
    document: Callable[[Answer], Mapping[str, object] | list[object]] | None = None,
    deliver: bool = False,
) -> None:
    """Put a question as the moderator `actor`, and show the answer.

    Args:
        actor: the name after `--as`; None: the shell's user.
        question: asks a use case.
        words: the answer for people.
        document: the answer as JSON, where that was asked for.
        deliver: carry out at once what the decision sets off here; posts on Discord and Slack go through the
            running server.
    """
    settings = load_settings()

    async def run() -> None:
        async with open_app(settings, platforms=[TerminalPlatform()] if deliver else []) as app:
            outcome = await question(app, moderator(settings, actor))
            if deliver:
                await app.courier.drain()
            if document is None or isinstance(outcome, NotModerator):
                show_reply(words(outcome))
            else:
                print_json(document(outcome))

    asyncio.run(run())
