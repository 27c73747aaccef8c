"""Asks Discord whether the token works, and tells the address that invites the bot."""

from __future__ import annotations

import aiohttp
import discord

from bot.errors import ConfigurationError, PlatformError
from bot.platforms.discord.platform import invite_url


async def check(token: str) -> str:
    """Who we are on Discord, and how to invite the bot.

    Raises:
        ConfigurationError: the token is refused.
        PlatformError: Discord cannot be reached.
    """
    client = discord.Client(intents=discord.Intents.none())
    try:
        await client.login(token)
        info = await client.application_info()
    except discord.LoginFailure as error:
        raise ConfigurationError(
            "Discord refuses the token: copy it again from the application's Bot page",
            setting="VERSO_DISCORD__TOKEN",
        ) from error
    except (discord.HTTPException, aiohttp.ClientError, OSError) as error:
        raise PlatformError(f"Discord cannot be reached: {error}") from error
    finally:
        await client.close()
    return f"{info.name}; invite it with {invite_url(info.id)}"
