"""`/describe`, `/blend`, `/upscale` and `/vary`: what is done with pictures that are there already."""

from __future__ import annotations

from typing import Literal

import discord
from discord import app_commands

from bot.conversation import (
    BlendCommand,
    Command,
    DescribeCommand,
    Origin,
    Reply,
    UpscaleCommand,
    VaryCommand,
)
from bot.platforms.discord import words
from bot.platforms.discord.answers import Answers
from bot.platforms.discord.downloads import Downloads
from bot.platforms.discord.moderation import Id

Words = app_commands.Range[str, 1, 2000]
Strength = app_commands.Range[float, 0.05, 1.0]


def add_picture_commands(
    tree: app_commands.CommandTree[discord.Client], answers: Answers, downloads: Downloads
) -> None:
    """Add them to the tree."""
    _add_describe(tree, answers, downloads)
    _add_blend(tree, answers, downloads)

    @tree.command(name="upscale", description="Enlarge one of your pictures")
    @app_commands.describe(picture="The id on its card", factor="How many times as large")
    async def upscale(interaction: discord.Interaction, picture: Id, factor: Literal["2", "4"] = "2") -> None:
        async def build(origin: Origin) -> Command:
            return UpscaleCommand(origin=origin, image_id=picture.strip(), factor=int(factor))

        await answers.answer(interaction, build)

    @tree.command(name="vary", description="Draw one more from one of your pictures")
    @app_commands.describe(
        picture="The id on its card",
        prompt="Other words",
        strength="How much to redraw: 0.05 hardly anything, 1 everything",
        mask="A picture: redraw only where it is white",
    )
    async def vary(
        interaction: discord.Interaction,
        picture: Id,
        prompt: Words | None = None,
        strength: Strength | None = None,
        mask: discord.Attachment | None = None,
    ) -> None:
        async def build(origin: Origin) -> Command | Reply:
            white = None if mask is None else await downloads.picture(mask)
            if isinstance(white, Reply):
                return white
            return VaryCommand(
                origin=origin,
                image_id=picture.strip(),
                prompt=prompt,
                strength="strong" if strength is None else strength,
                mask=white,
            )

        await answers.answer(interaction, build)


def _add_describe(
    tree: app_commands.CommandTree[discord.Client], answers: Answers, downloads: Downloads
) -> None:
    @tree.command(name="describe", description="What can be told of a picture, and what cannot")
    @app_commands.describe(image="The picture to look at")
    async def describe(interaction: discord.Interaction, image: discord.Attachment) -> None:
        async def build(origin: Origin) -> Command | Reply:
            data = await downloads.picture(image)
            return data if isinstance(data, Reply) else DescribeCommand(origin=origin, image=data)

        await answers.answer(interaction, build)


def _add_blend(
    tree: app_commands.CommandTree[discord.Client], answers: Answers, downloads: Downloads
) -> None:
    @tree.command(
        name="blend", description="Draw one picture from two: give two ids, two files, or one of each"
    )
    @app_commands.describe(
        first="The id of a picture of yours",
        second="The id of another",
        first_file="Or a file",
        second_file="Or a file",
        prompt="What they shall become; without it, the words of both",
    )
    async def blend(  # noqa: PLR0917 - the SDK reads options from positional parameters
        interaction: discord.Interaction,
        first: Id | None = None,
        second: Id | None = None,
        first_file: discord.Attachment | None = None,
        second_file: discord.Attachment | None = None,
        prompt: Words | None = None,
    ) -> None:
        async def build(origin: Origin) -> Command | Reply:
            found: list[str | bytes] = []
            for given in (first, first_file, second, second_file):
                if isinstance(given, discord.Attachment):
                    data = await downloads.picture(given)
                    if isinstance(data, Reply):
                        return data
                    found.append(data)
                elif given:
                    found.append(given.strip())
            if len(found) != 2:
                return Reply(text=words.TWO_PICTURES, tone="warning")
            return BlendCommand(origin=origin, first=found[0], second=found[1], prompt=prompt or "")

        await answers.answer(interaction, build)
