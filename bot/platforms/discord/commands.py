"""The slash commands and the message menu, as Discord shows them."""

from __future__ import annotations

import logging
from typing import Literal

import aiohttp
import discord
from discord import app_commands

from bot.conversation import (
    AskCommand,
    CancelCommand,
    Command,
    ImagineCommand,
    Origin,
    Reply,
)
from bot.platforms.discord import words
from bot.platforms.discord.answers import Answers
from bot.platforms.discord.downloads import Downloads
from bot.platforms.discord.moderation import Id, moderation_group
from bot.platforms.discord.pictures import add_picture_commands
from bot.platforms.discord.text import unformatted

logger = logging.getLogger(__name__)

Aspect = Literal["1:1", "4:3", "3:4", "3:2", "2:3", "16:9", "9:16"]
Prompt = app_commands.Range[str, 1, 2000]
_MAX_SEED = 2**32 - 5  # picture i uses seed + i
_MAX_CHOICES = 25
_MAX_CHOICE = 100


class VersoTree(app_commands.CommandTree[discord.Client]):
    """A command tree whose failures are told to the user."""

    async def on_error(
        self, interaction: discord.Interaction, error: app_commands.AppCommandError, /
    ) -> None:
        """A client that still shows an old version of a command gets a word; all else is answered before."""
        logger.warning("a command was not run: %s (event %s)", type(error).__name__, interaction.id)
        if interaction.response.is_done() or interaction.type is discord.InteractionType.autocomplete:
            return
        try:
            await interaction.response.send_message(words.COMMAND_CHANGED, ephemeral=True)
        except (discord.DiscordException, aiohttp.ClientError, OSError) as failure:
            logger.warning("and the user could not be told: %s", type(failure).__name__)


def build_tree(client: discord.Client, answers: Answers, downloads: Downloads) -> VersoTree:
    """All commands: for servers and for direct messages with the bot, installed in servers."""
    tree = VersoTree(
        client,
        allowed_contexts=app_commands.AppCommandContext(guild=True, dm_channel=True, private_channel=False),
        allowed_installs=app_commands.AppInstallationType(guild=True, user=False),
    )
    _add_imagine(tree, answers)
    for name, what, description in (
        ("queue", "queue", "Where your pictures stand in the queue"),
        ("quota", "quota", "How many pictures you may still ask for, and when more come"),
        ("terms", "terms", "The terms of the model, and whether you have accepted them"),
        ("history", "history", "Your pictures and what was decided about your prompts"),
        ("mydata", "mydata", "A copy of everything that is recorded of you"),
        ("forgetme", "forgetme", "Erase everything that is recorded of you"),
    ):
        _add_question(tree, answers, name, what, description)  # type: ignore[arg-type]  # one of the literals
    _add_cancel(tree, answers)
    tree.add_command(moderation_group(answers, downloads))
    _add_who_made(tree, answers, downloads)
    add_picture_commands(tree, answers, downloads)
    return tree


def _add_imagine(tree: VersoTree, answers: Answers) -> None:
    async def models(interaction: discord.Interaction, current: str) -> list[app_commands.Choice[str]]:
        reply = await answers.choices(interaction, lambda origin: AskCommand(origin=origin, what="models"))
        wanted = current.casefold()
        return [
            app_commands.Choice(
                name=unformatted(f"{field.label}: {field.value}", limit=_MAX_CHOICE), value=field.label
            )
            for field in reply.fields
            if 0 < len(field.label) <= _MAX_CHOICE and wanted in f"{field.label} {field.value}".casefold()
        ][:_MAX_CHOICES]

    @tree.command(name="imagine", description="Draw a picture from words")
    @app_commands.describe(
        prompt="What to draw",
        negative="What to leave out",
        model="Which model draws it",
        aspect="Width to height",
        seed="The same seed and words give the same picture",
        count="How many pictures, 1 to 4",
        private="Show the result to you alone",
    )
    @app_commands.autocomplete(model=models)
    async def imagine(  # noqa: PLR0917 - the SDK reads options from positional parameters
        interaction: discord.Interaction,
        prompt: Prompt,
        negative: Prompt | None = None,
        model: str | None = None,
        aspect: Aspect = "1:1",
        seed: app_commands.Range[int, 0, _MAX_SEED] | None = None,
        count: app_commands.Range[int, 1, 4] = 1,
        private: bool = False,  # noqa: FBT001, FBT002 - same
    ) -> None:
        async def build(origin: Origin) -> Command:
            return ImagineCommand(
                origin=origin,
                prompt=prompt,
                negative_prompt=negative or "",
                model_id=model,
                aspect=aspect,
                seed=seed,
                count=count,
            )

        await answers.answer(interaction, build, private=private)


def _add_question(
    tree: VersoTree,
    answers: Answers,
    name: str,
    what: Literal["terms", "quota", "history", "queue", "mydata", "forgetme"],
    description: str,
) -> None:
    @tree.command(name=name, description=description)
    async def ask(interaction: discord.Interaction) -> None:
        async def build(origin: Origin) -> Command:
            return AskCommand(origin=origin, what=what)

        await answers.answer(interaction, build)


def _add_cancel(tree: VersoTree, answers: Answers) -> None:
    @tree.command(name="cancel", description="Stop your waiting pictures")
    @app_commands.describe(job="One job only; without it, all of yours")
    async def cancel(interaction: discord.Interaction, job: Id | None = None) -> None:
        async def build(origin: Origin) -> Command:
            return CancelCommand(origin=origin, job_id=(job or "").strip())

        await answers.answer(interaction, build)


def _add_who_made(tree: VersoTree, answers: Answers, downloads: Downloads) -> None:
    @tree.context_menu(name="Who made this?")
    async def who_made_this(interaction: discord.Interaction, message: discord.Message) -> None:
        async def build(origin: Origin) -> Command | Reply:
            return await downloads.who_made(origin, message)

        await answers.answer(interaction, build)
