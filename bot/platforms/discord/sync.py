"""Telling Discord our commands, only when they changed: it counts 200 creations a day."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
from pathlib import Path

import discord
from discord import app_commands

from bot.errors import ConfigurationError

logger = logging.getLogger(__name__)


async def sync_commands(
    tree: app_commands.CommandTree[discord.Client], *, guild_id: int | None, state: Path
) -> bool:
    """Register the command tree where its digest differs from the one that `state` remembers.

    Args:
        tree: the commands.
        guild_id: register them in this server only, where they appear at once; None: everywhere.
        state: the file that remembers what was registered.

    Returns:
        Whether anything was sent.

    Raises:
        ConfigurationError: the bot may not register commands in that server.
        discord.HTTPException: Discord refused for another reason.
    """
    guild = None if guild_id is None else discord.Object(guild_id)
    wanted = {
        "application": str(tree.client.application_id),
        "scope": "" if guild_id is None else str(guild_id),
        "digest": _digest(tree),
    }
    known = await asyncio.to_thread(_read, state)
    if known == wanted:
        return False
    if guild is not None:
        tree.copy_global_to(guild=guild)
    try:
        await tree.sync(guild=guild)
    except discord.Forbidden as error:
        raise ConfigurationError(
            f"Discord does not let the bot register commands in server {guild_id}. Invite it there with the "
            "scopes `bot applications.commands`, or leave VERSO_DISCORD__GUILD_ID empty.",
            setting="VERSO_DISCORD__GUILD_ID",
        ) from error
    if known.get("application") == wanted["application"] and known.get("scope") != wanted["scope"]:
        await _forget(tree, known.get("scope", ""))
    await asyncio.to_thread(_write, state, wanted)
    return True


def _digest(tree: app_commands.CommandTree[discord.Client]) -> str:
    """SHA-256 over everything Discord would be told, in a fixed order."""
    payload = sorted(
        (command.to_dict(tree) for command in tree.get_commands()),
        key=lambda command: (command["type"], command["name"]),
    )
    return hashlib.sha256(json.dumps(payload, sort_keys=True).encode()).hexdigest()


async def _forget(tree: app_commands.CommandTree[discord.Client], scope: str) -> None:
    """Remove the commands of the former scope, or users would see every command twice."""
    guild = discord.Object(int(scope)) if scope else None
    try:
        for command in await tree.fetch_commands(guild=guild):
            await command.delete()
    except discord.HTTPException as error:
        logger.warning("the former commands could not be removed: Discord said %s", error.status)


def _read(state: Path) -> dict[str, str]:
    """What was registered last; nothing where the file is missing or damaged."""
    try:
        values = json.loads(state.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(key): str(value) for key, value in values.items()} if isinstance(values, dict) else {}


def _write(state: Path, values: dict[str, str]) -> None:
    """Replace the file in one step."""
    try:
        state.parent.mkdir(parents=True, exist_ok=True)
        temporary = state.with_suffix(".new")
        temporary.write_text(json.dumps(values), encoding="utf-8")
        os.replace(temporary, state)  # noqa: PTH105 - the name says that it replaces
    except OSError as error:
        logger.warning("%s cannot be written, so commands are registered at each start: %s", state, error)
