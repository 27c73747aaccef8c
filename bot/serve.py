"""Runs a server: platforms, the local engine, the courier and the housekeeping, until told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import logging
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from attribution.errors import LedgerError
from bot import review_replies
from bot.backup_expiry import expire_backups
from bot.composition.app import App
from bot.platforms.base import Platform
from bot.settings import Settings
from generation.outage import is_away
from moderation.errors import PolicyError

log = logging.getLogger(__name__)

HEARTBEAT_S = 10.0
HEARTBEAT_OLD_S = 60.0
REAP_S = 5.0
SWEEP_S = 3600.0
RELOAD_S = 5.0
TELL_S = 60.0

NO_TOKENS = """No chat platform is connected.

Discord: create an application at discord.com/developers, copy its bot token, and set
  VERSO_DISCORD__TOKEN=...
Slack: create an app from slack-manifest.yaml at api.slack.com/apps, and set
  VERSO_SLACK__BOT_TOKEN=xoxb-...
  VERSO_SLACK__APP_TOKEN=xapp-...        (Socket Mode)
  or VERSO_SLACK__SIGNING_SECRET=...     (HTTP)
in the environment or in a file .env here. docs/discord.md and docs/slack.md go step by step.
Until then this server draws what 'verso imagine' asks for."""


def connect(app: App) -> list[Platform]:
    """Make the platforms that have tokens, and let the app answer through them."""
    made: list[Platform] = []
    settings = app.settings
    if settings.discord.token is not None:
        from bot.platforms.discord.platform import DiscordPlatform  # noqa: PLC0415 - loads the SDK

        made.append(
            DiscordPlatform(
                settings.discord.token.get_secret_value(),
                handle=app.handle,
                guild_id=settings.discord.guild_id,
                moderator_roles=settings.discord.moderator_roles,
                command_state=settings.data_dir / "discord-commands.json",
                on_removed=app.uninstall.left,
                on_added=app.uninstall.returned,
            )
        )
    if settings.slack.bot_token is not None:
        from bot.platforms.slack.app import SlackPlatform  # noqa: PLC0415 - loads the SDK

        app_token, secret = settings.slack.app_token, settings.slack.signing_secret
        made.append(
            SlackPlatform(
                bot_token=settings.slack.bot_token.get_secret_value(),
                app_token=app_token.get_secret_value() if app_token else None,
                signing_secret=secret.get_secret_value() if secret else None,
                host=settings.slack.host,
                port=settings.slack.port,
                handler=app.handle,
                moderator_groups=settings.slack.moderator_groups,
                moderators=settings.slack.moderators,
                models=[card.id for card in app.catalog if card.enabled],
                aspects=list(app.catalog.get(None).aspects),
                seen=app.imagine.seen,
                on_uninstalled=app.uninstall.left,
                on_connected=app.uninstall.returned,
            )
        )
    for platform in made:
        app.add_platform(platform)
    return made


async def serve(app: App, stop: asyncio.Event, *, engine: bool, platforms: bool = True) -> None:
    """Run until `stop` is set. A platform that fails for good ends the server, with its reason."""
    connected = connect(app) if platforms else []
    log.info("serving: %s; engine: %s", ", ".join(p.name for p in connected) or "no chat platform", engine)
    await app.moderator.warm()
    async with asyncio.TaskGroup() as tasks:
        for platform in connected:
            tasks.create_task(platform.run(stop))
        if engine:
            tasks.create_task(draw(app, stop))
        if platforms:
            tasks.create_task(app.courier.run(stop))
        tasks.create_task(_persist(app, stop, _reap))
        tasks.create_task(_persist(app, stop, _sweep))
        tasks.create_task(_persist(app, stop, _reload))
        if platforms:
            tasks.create_task(_persist(app, stop, _tell))
            tasks.create_task(_persist(app, stop, _publish))
        tasks.create_task(_beat(heartbeat_file(app.settings), stop))


async def draw(app: App, stop: asyncio.Event, *, workspace: str | None = None) -> None:
    """Serve the queue with an engine of this process; None: every workspace's jobs."""
    engine = app.engine()
    try:
        await app.worker(engine, workspace=workspace).run(stop)
    finally:
        await engine.close()


def heartbeat_file(settings: Settings) -> Path:
    """Where a running server says that it is alive."""
    return settings.data_dir / "serve.json"


def alive(settings: Settings) -> bool:
    """Whether a server on this data folder has been alive within a minute."""
    try:
        age = time.time() - heartbeat_file(settings).stat().st_mtime
    except OSError:
        return False
    return age < HEARTBEAT_OLD_S


async def _beat(file: Path, stop: asyncio.Event) -> None:
    while not stop.is_set():
        await asyncio.to_thread(file.write_text, json.dumps({"pid": os.getpid()}))
        await _pause(stop, HEARTBEAT_S)
    await asyncio.to_thread(file.unlink, missing_ok=True)


async def _persist(
    app: App, stop: asyncio.Event, what: Callable[[App, asyncio.Event], Awaitable[None]]
) -> None:
    """Begin anew after the database was away: these loops keep nothing between their rounds."""
    while not stop.is_set():
        try:
            await what(app, stop)
        except Exception as error:
            if not is_away(error):
                raise
            await app.queue.outage.wait(error, stop)


async def _reap(app: App, stop: asyncio.Event) -> None:
    """Give jobs of dead workers back to the queue."""
    while not stop.is_set():
        count = await app.queue.reap()
        if count:
            log.warning("took back %d jobs from silent workers", count)
        await _pause(stop, REAP_S)


async def _sweep(app: App, stop: asyncio.Event) -> None:
    """Delete what the retention period no longer covers."""
    while not stop.is_set():
        gone = await app.retention.sweep()
        if gone:
            log.info("%d pictures went with their retention period", gone)
        await app.quarantine.sweep()
        await app.uninstall.sweep()
        await app.erasures.settle()
        if app.settings.retention.backup_dir is not None:
            for folder in await asyncio.to_thread(expire_backups, app.settings.retention.backup_dir):
                log.info("the backup %s has expired and is deleted", folder)
        orphans = await app.sweep()
        if orphans:
            log.info("%d stored files that nothing refers to were deleted", orphans)
        await _pause(stop, SWEEP_S)


async def _reload(app: App, stop: asyncio.Event) -> None:
    """Take in an edited policy; a wrong one is named once, and the old one stays in force."""
    complained = ""
    while not stop.is_set():
        try:
            policy = await app.policies.reload()
        except PolicyError as error:
            if str(error) != complained:
                log.warning("the policy stays as it was: %s", error)
            complained = str(error)
        else:
            complained = ""
            if policy is not None:
                log.info("policy %s (%s) is in force", policy.name, policy.version[:16])
        await _pause(stop, RELOAD_S)


async def _tell(app: App, stop: asyncio.Event) -> None:
    """Close reviews that nobody decided in time, and tell moderators what is due."""
    while not stop.is_set():
        for view in await app.review_room.expire():
            requester = dataclasses.replace(view.command.origin, token="")
            await app.courier.notify(requester, review_replies.expired_notice(view))
        await app.digest.send()
        await _pause(stop, TELL_S)


async def _publish(app: App, stop: asyncio.Event) -> None:
    """Show checkpoints of the ledger to the public when they are due."""
    while not stop.is_set():
        try:
            await app.publisher.send()
        except LedgerError as error:  # appends say so, too; serving goes on for what does not append
            log.warning("no checkpoint can be published: %s", error)
        await _pause(stop, TELL_S)


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
