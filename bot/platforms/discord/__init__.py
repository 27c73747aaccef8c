"""Discord: interactions become commands, replies become messages. The SDK loads with the first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bot.platforms.discord.platform import DiscordPlatform, invite_url

__all__ = ["DiscordPlatform", "invite_url"]


def __getattr__(name: str) -> object:
    """Import the platform when somebody asks for it, so that importing this package costs nothing."""
    if name in __all__:
        from bot.platforms.discord import platform  # noqa: PLC0415 - the SDK is heavy; see above

        return getattr(platform, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
