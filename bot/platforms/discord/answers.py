"""Answering an interaction: acknowledge at once, ask the handler, show its reply; never leave silence."""

from __future__ import annotations

import asyncio
import logging
import secrets
import traceback
from collections.abc import Awaitable, Callable

import aiohttp
import discord

from bot.conversation import Command, Origin, Reply
from bot.errors import PlatformError
from bot.platforms.base import Handler
from bot.platforms.discord import words
from bot.platforms.discord.failures import ALREADY_ACKNOWLEDGED, UNREADABLE, translated
from bot.platforms.discord.messages import Draft, draft, sentence
from bot.platforms.discord.translate import Translator
from bot.platforms.discord.views import Click, Questions

logger = logging.getLogger(__name__)

Build = Callable[[Origin], Awaitable[Command | Reply]]
"""Makes the command of an acknowledged interaction, or says at once why there is none."""
_NOBODY = discord.AllowedMentions.none()
_DRAIN_S = 5.0


class Answers:
    """The conversation with people: one method per kind of event.

    Args:
        handle: answers commands.
        translator: reads the interaction's origin.
        questions: builds buttons and their modals.
    """

    def __init__(self, handle: Handler, *, translator: Translator, questions: Questions) -> None:
        self._handle = handle
        self._translator = translator
        self._questions = questions
        self._busy: set[asyncio.Task[None]] = set()

    async def answer(self, interaction: discord.Interaction, build: Build, *, private: bool = False) -> None:
        """Acknowledge privately, run the command, show the reply."""
        task = asyncio.current_task()
        if task is not None:
            self._busy.add(task)
        try:
            await self._answer(interaction, build, private=private)
        finally:
            if task is not None:
                self._busy.discard(task)

    async def ask(self, interaction: discord.Interaction, click: Click) -> None:
        """Open the modal of a button that asks for a sentence; its submission is the command."""
        try:
            with translated():
                await interaction.response.send_modal(self._questions.modal(click))
        except PlatformError as error:
            logger.warning("a dialog could not be opened: %s (event %s)", error, interaction.id)
        except UNREADABLE:
            logger.debug("a dialog was opened, with an answer that the SDK cannot read")

    async def choices(self, interaction: discord.Interaction, command: Callable[[Origin], Command]) -> Reply:
        """Ask the handler while the user types; an empty reply where that fails."""
        try:
            return await self._handle(command(self._translator.origin(interaction)))
        except Exception as error:  # noqa: BLE001 - a broken handler means no suggestions, not a broken command
            self._log(error, code="-", interaction=interaction)
            return Reply(text="")

    async def drain(self) -> None:
        """Let the running answers finish, for a few seconds at most."""
        if self._busy:
            await asyncio.wait(set(self._busy), timeout=_DRAIN_S)

    async def _answer(self, interaction: discord.Interaction, build: Build, *, private: bool) -> None:
        acknowledged, message_id = await self._acknowledge(interaction)
        if not acknowledged:
            return
        try:
            origin = self._translator.origin(
                interaction, message_id=message_id, private=private or _under_a_private_picture(interaction)
            )
            command = await build(origin)
            reply = command if isinstance(command, Reply) else await self._handle(command)
            await self._show(interaction, reply, upload_limit=origin.upload_limit)
        except Exception as error:  # noqa: BLE001 - whatever broke, the user gets a word
            code = secrets.token_hex(4)
            self._log(error, code=code, interaction=interaction)
            await self._apologise(interaction, code)

    async def _acknowledge(self, interaction: discord.Interaction) -> tuple[bool, int | None]:
        """Open the private reply. False: Discord no longer waits, and the user has been told so."""
        try:
            opened = await interaction.response.defer(ephemeral=True, thinking=True)
        except discord.HTTPException as error:
            # The gateway may deliver an event twice. Its key keeps the work single, and the
            # reply that the first delivery opened can still be edited.
            if error.code == ALREADY_ACKNOWLEDGED:
                return True, None
            logger.warning(
                "too late to answer: Discord said %s (code %s, event %s)",
                error.status,
                error.code,
                interaction.id,
            )
            return False, None
        except (aiohttp.ClientError, OSError) as error:
            logger.warning("no answer reached Discord: %s (event %s)", type(error).__name__, interaction.id)
            return False, None
        except UNREADABLE:
            return True, None  # Discord has taken it, with an answer that the SDK cannot read
        return True, None if opened is None else opened.message_id

    async def _show(self, interaction: discord.Interaction, reply: Reply, *, upload_limit: int) -> None:
        message = draft(reply, upload_limit=upload_limit, public=not reply.private)
        with translated():
            if reply.private:
                await self._edit(interaction, message)
                return
            await interaction.edit_original_response(
                content=sentence(words.POSTED_BELOW, public=False), allowed_mentions=_NOBODY
            )
            view = self._questions.view(message.buttons)
            await interaction.followup.send(
                content=message.content or discord.utils.MISSING,
                embeds=list(message.embeds),
                files=message.files(),
                view=view if view is not None else discord.utils.MISSING,
                allowed_mentions=_NOBODY,
                wait=True,
            )

    async def _edit(self, interaction: discord.Interaction, message: Draft) -> None:
        await interaction.edit_original_response(
            content=message.content,
            embeds=list(message.embeds),
            attachments=message.files(),
            view=self._questions.view(message.buttons),
            allowed_mentions=_NOBODY,
        )

    async def _apologise(self, interaction: discord.Interaction, code: str) -> None:
        text = sentence(words.APOLOGY.format(code=code), public=False)
        try:
            with translated():
                await interaction.edit_original_response(
                    content=text, embeds=[], attachments=[], view=None, allowed_mentions=_NOBODY
                )
        except PlatformError as error:
            logger.warning("the apology %s did not reach the user: %s", code, error)

    def _log(self, error: BaseException, *, code: str, interaction: discord.Interaction) -> None:
        """Where it broke, without the message of the error: it may quote what the user typed."""
        frames = "".join(traceback.format_tb(error.__traceback__))
        logger.error("%s (code %s, event %s)\n%s", type(error).__name__, code, interaction.id, frames)


def _under_a_private_picture(interaction: discord.Interaction) -> bool:
    """Whether the button belongs to pictures that the clicker alone sees: what follows stays there."""
    message = interaction.message
    return message is not None and message.flags.ephemeral and bool(message.attachments)
