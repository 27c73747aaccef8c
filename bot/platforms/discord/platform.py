"""The Discord platform: one gateway connection, reconnecting by itself, and the doors to it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import discord

from bot.conversation import ButtonCommand, Command, Origin, Progress, Reply
from bot.errors import ConfigurationError, PlatformError
from bot.platforms.base import Handler
from bot.platforms.discord.answers import Answers, Build
from bot.platforms.discord.commands import build_tree
from bot.platforms.discord.delivery import Delivery
from bot.platforms.discord.downloads import Downloads
from bot.platforms.discord.failures import UNREADABLE
from bot.platforms.discord.sync import sync_commands
from bot.platforms.discord.translate import Translator
from bot.platforms.discord.views import Click, Questions, VersoButton, answer_of, carries

logger = logging.getLogger(__name__)

TOKEN_SETTING = "VERSO_DISCORD__TOKEN"  # noqa: S105 - the name of a setting, not a secret
DOWNLOAD_LIMIT = 25 * 1024 * 1024  # bytes of one picture to look up
PERMISSIONS = discord.Permissions(
    view_channel=True,
    send_messages=True,
    send_messages_in_threads=True,
    embed_links=True,
    attach_files=True,
)
_MAX_RATE_LIMIT_S = 30.0  # the SDK waits shorter limits out itself; a longer one is the outbox's business
_CONNECT_WAIT_S = 10.0
_FIRST_BACKOFF_S = 1.0
_LAST_BACKOFF_S = 60.0
_BAD_TOKEN = 4004
_HOPELESS = frozenset({4010, 4011, 4012, 4013, 4014})  # close codes that no reconnect cures


Told = Callable[[str], Awaitable[None]]  # a workspace id


class VersoClient(discord.Client):
    """The SDK's client with our commands and buttons; no privileged intent, no member or message cache."""

    def __init__(
        self,
        *,
        answers: Answers,
        downloads: Downloads,
        guild_id: int | None,
        command_state: Path,
        on_removed: Told | None = None,
        on_added: Told | None = None,
    ) -> None:
        intents = discord.Intents.none()
        intents.guilds = True  # channels with their age-restricted flag; not privileged
        discord.VoiceClient.warn_nacl = discord.VoiceClient.warn_dave = False  # we never speak
        super().__init__(
            intents=intents,
            allowed_mentions=discord.AllowedMentions.none(),
            max_messages=None,
            member_cache_flags=discord.MemberCacheFlags.none(),
            chunk_guilds_at_startup=False,
            max_ratelimit_timeout=_MAX_RATE_LIMIT_S,
        )
        self.tree = build_tree(self, answers, downloads)
        self.logged_in = asyncio.Event()
        self._answers = answers
        self._guild_id = guild_id
        self._command_state = command_state
        self._on_removed, self._on_added = on_removed, on_added

    async def on_guild_remove(self, guild: discord.Guild) -> None:
        """The bot was removed from a server (not: the server is out of order, which Discord tells apart)."""
        if self._on_removed is not None:
            await self._on_removed(f"discord:{guild.id}")

    async def on_guild_available(self, guild: discord.Guild) -> None:
        """A server that the bot is in, told at every start."""
        if self._on_added is not None:
            await self._on_added(f"discord:{guild.id}")

    async def on_guild_join(self, guild: discord.Guild) -> None:
        """The bot was added to a server."""
        await self.on_guild_available(guild)

    async def setup_hook(self) -> None:
        """Register buttons and commands, once per login."""
        self.add_dynamic_items(VersoButton)
        try:
            if await sync_commands(self.tree, guild_id=self._guild_id, state=self._command_state):
                logger.info("commands registered")
        except (discord.DiscordException, *UNREADABLE) as error:
            logger.error("commands could not be registered, the former ones stay: %s", error)  # noqa: TRY400
        self.logged_in.set()

    async def on_interaction(self, interaction: discord.Interaction) -> None:
        """Take what comes neither through the command tree nor through the button class."""
        click = Click.parse(interaction.custom_id or "")
        if click is None:
            return
        if interaction.type is discord.InteractionType.modal_submit:
            await self._answers.answer(interaction, _button(click, text=answer_of(interaction)))
        elif not carries(interaction.message, click.custom_id):
            await self.clicked(interaction, click)

    async def clicked(self, interaction: discord.Interaction, click: Click) -> None:
        """Act on a click: ask first where the button asks, else run it."""
        if click.asks:
            await self._answers.ask(interaction, click)
        else:
            await self._answers.answer(interaction, _button(click, text=""))


class DiscordPlatform:
    """Verso on Discord.

    Args:
        token: the bot token.
        handle: answers commands.
        guild_id: register the commands in this server only; None: wherever the bot is.
        moderator_roles: role ids whose members moderate, besides everybody with Manage Messages.
        command_state: file that remembers which commands are registered.
        download_limit: the most bytes of a picture to look up.
        on_removed: called with the workspace id when the bot is removed from a server; may be repeated.
        on_added: called with the workspace id of each server that the bot is in, at every start.
        now: Unix seconds.
        monotonic: seconds for spacing edits.
    """

    name = "discord"

    def __init__(
        self,
        token: str,
        *,
        handle: Handler,
        command_state: Path,
        guild_id: int | None = None,
        moderator_roles: frozenset[str] = frozenset(),
        download_limit: int = DOWNLOAD_LIMIT,
        on_removed: Told | None = None,
        on_added: Told | None = None,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._token = token
        self._questions = Questions()
        self._answers = Answers(
            handle,
            translator=Translator(moderator_roles=moderator_roles, now=now),
            questions=self._questions,
        )
        self._downloads = Downloads(limit=download_limit)
        self._guild_id = guild_id
        self._command_state = command_state
        self._on_removed, self._on_added = on_removed, on_added
        self._now = now
        self._monotonic = monotonic
        self._renew()

    def _renew(self) -> None:
        """A fresh client: the SDK's cannot be used again after a failed login."""
        self.client = VersoClient(
            answers=self._answers,
            downloads=self._downloads,
            guild_id=self._guild_id,
            command_state=self._command_state,
            on_removed=self._on_removed,
            on_added=self._on_added,
        )
        self._delivery = Delivery(
            self.client, questions=self._questions, now=self._now, monotonic=self._monotonic
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Connect and serve until `stop` is set.

        Raises:
            ConfigurationError: Discord refuses the token, or the bot in the configured server.
        """
        backoff = _FIRST_BACKOFF_S
        while not stop.is_set():
            failure = await self._serve(stop)
            if stop.is_set():
                return
            if self.client.logged_in.is_set():
                backoff = _FIRST_BACKOFF_S
            logger.warning("Discord connection lost (%s), next try in %.0f s", failure, backoff)
            self._renew()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), timeout=backoff)
            backoff = min(_LAST_BACKOFF_S, backoff * 2)

    async def placeholder(self, origin: Origin, text: str) -> str | None:
        """Post a public message that a picture will fill later."""
        return await (await self._connected()).placeholder(origin, text)

    async def update(self, post: str, progress: Progress) -> None:
        """Show progress in the placeholder, at most every 3 seconds."""
        if self.client.logged_in.is_set():
            await self._delivery.update(post, progress)

    async def fill(self, origin: Origin, post: str | None, reply: Reply, *, key: str) -> str:
        """Show the finished pictures."""
        return await (await self._connected()).fill(origin, post, reply, key=key)

    async def notify(self, origin: Origin, reply: Reply) -> None:
        """Tell the requester something in private, best effort."""
        try:
            delivery = await self._connected()
        except PlatformError as error:
            logger.info("a private word did not arrive: %s (event %s)", error, origin.event_id)
            return
        await delivery.notify(origin, reply)

    async def remove(self, post: str) -> None:
        """Delete a message of ours."""
        await (await self._connected()).remove(post)

    async def _connected(self) -> Delivery:
        """The delivery, once the client may send.

        Raises:
            PlatformError: Discord has not been reached yet.
        """
        try:
            await asyncio.wait_for(self.client.logged_in.wait(), timeout=_CONNECT_WAIT_S)
        except TimeoutError:
            raise PlatformError("not connected to Discord yet") from None
        return self._delivery

    async def _serve(self, stop: asyncio.Event) -> str:
        """One connection, through all of the SDK's own reconnects; what ended it."""
        client = self.client
        serving = asyncio.create_task(client.start(self._token), name="discord")
        stopping = asyncio.create_task(stop.wait(), name="discord-stop")
        try:
            await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            if not serving.done():
                await self._answers.drain()
            await client.close()
            serving.cancel()
            await asyncio.wait({serving})
        return _reason(serving)


def _reason(serving: asyncio.Task[None]) -> str:
    """Why a connection ended, in a word.

    Raises:
        ConfigurationError: only the operator can mend it.
    """
    error = None if serving.cancelled() else serving.exception()
    if error is None:
        return "closed"
    code = error.code if isinstance(error, discord.ConnectionClosed) else None
    if isinstance(error, discord.LoginFailure) or code == _BAD_TOKEN:
        raise ConfigurationError(
            "Discord refuses the bot token. Open https://discord.com/developers/applications, choose the "
            f"application, then Bot, then Reset Token, and put the new token into {TOKEN_SETTING}.",
            setting=TOKEN_SETTING,
        ) from error
    if code in _HOPELESS or isinstance(error, discord.PrivilegedIntentsRequired):
        raise ConfigurationError(f"Discord refuses the connection (close code {code})") from error
    if isinstance(error, discord.DiscordException | aiohttp.ClientError | OSError):
        return type(error).__name__
    raise error


def _button(click: Click, *, text: str) -> Build:
    """The command of a click, made once its origin is known."""

    async def build(origin: Origin) -> Command:
        return ButtonCommand(origin=origin, name=click.name, target=click.target, text=text)

    return build


def invite_url(application_id: int) -> str:
    """The address at which a server's admin adds the bot, with the least it needs."""
    return discord.utils.oauth_url(
        application_id, permissions=PERMISSIONS, scopes=("bot", "applications.commands")
    )
