"""From an interaction to the origin of a command."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

import discord

from bot.conversation import Origin

DIRECT = "discord:dm"
DEFAULT_UPLOAD_LIMIT = 10 * 1024 * 1024  # bytes; what Discord grants everybody
REPLY_WINDOW_S = 14 * 60  # the token lives 15 minutes; the last one is left for slow uploads


@dataclass(frozen=True, kw_only=True, slots=True)
class ReplyToken:
    """What it takes to edit the private reply to an interaction, also from another process."""

    application_id: int
    token: str
    message_id: int | None  # of the private reply; None where Discord did not tell
    expires_at: float  # Unix seconds

    def to_json(self) -> str:
        """Serialise for `Origin.token`."""
        return json.dumps(
            {
                "app": str(self.application_id),
                "token": self.token,
                "message": "" if self.message_id is None else str(self.message_id),
                "until": round(self.expires_at),
            },
            separators=(",", ":"),
        )

    @classmethod
    def parse(cls, text: str) -> ReplyToken | None:
        """Read what `to_json` wrote; None where there is no token in it."""
        try:
            values = json.loads(text)
            return cls(
                application_id=int(values["app"]),
                token=str(values["token"]),
                message_id=int(values["message"]) if values["message"] else None,
                expires_at=float(values["until"]),
            )
        except (ValueError, KeyError, TypeError):
            return None


@dataclass(frozen=True, kw_only=True, slots=True)
class Translator:
    """Reads interactions, knowing who moderates here and what time it is."""

    moderator_roles: frozenset[str]
    now: Callable[[], float]

    def origin(
        self, interaction: discord.Interaction, *, message_id: int | None = None, private: bool = False
    ) -> Origin:
        """Where this interaction comes from. Snowflakes stay text: they do not fit a float.

        Args:
            interaction: what Discord sent.
            message_id: the private reply that has been opened for it.
            private: whether the asker wants the answer for themselves.
        """
        roles = _roles(interaction.user)
        token = ReplyToken(
            application_id=interaction.application_id,
            token=interaction.token,
            message_id=message_id,
            expires_at=self.now() + REPLY_WINDOW_S,
        )
        limit = interaction.filesize_limit
        return Origin(
            platform="discord",
            workspace_id=DIRECT if interaction.guild_id is None else f"discord:{interaction.guild_id}",
            channel_id="" if interaction.channel_id is None else str(interaction.channel_id),
            user_id=str(interaction.user.id),
            user_name=interaction.user.display_name,
            locale=str(interaction.locale),
            event_id=str(interaction.id),
            token=token.to_json(),
            upload_limit=limit if isinstance(limit, int) and limit > 0 else DEFAULT_UPLOAD_LIMIT,
            age_restricted=_age_restricted(interaction.channel),
            roles=roles,
            is_moderator=bool(
                interaction.guild_id is not None
                and (interaction.permissions.manage_messages or self.moderator_roles.intersection(roles))
            ),
            private=private,
        )


def _roles(user: discord.User | discord.Member) -> tuple[str, ...]:
    """A member's role ids. Their names need the guild in the cache, and a moderator must not wait for it."""
    if not isinstance(user, discord.Member):
        return ()
    return tuple(str(role) for role in user._roles)  # noqa: SLF001 - `roles` drops what is not cached


def _age_restricted(channel: object) -> bool:
    """Whether the channel carries the age-restricted flag; a thread has that of its parent."""
    if isinstance(
        channel, discord.TextChannel | discord.VoiceChannel | discord.StageChannel | discord.ForumChannel
    ):
        return channel.is_nsfw()
    return channel.is_nsfw() if isinstance(channel, discord.Thread) else False
