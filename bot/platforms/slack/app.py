"""The Slack platform: connects by Socket Mode or signed HTTP, hears, and posts."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TypeVar

from aiohttp import web
from aiohttp.typedefs import Handler as WebHandler
from slack_bolt.adapter.socket_mode.async_handler import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp

from bot.conversation import Origin, Progress, Reply
from bot.errors import BotError, ConfigurationError, PlatformError, PlatformForbiddenError
from bot.platforms.base import Handler
from bot.platforms.slack.client import lossy_client, patient_client, sdk_log
from bot.platforms.slack.desk import Desk
from bot.platforms.slack.failures import APP_TOKEN, BOT_TOKEN, translated
from bot.platforms.slack.listeners import Listeners
from bot.platforms.slack.modals import ASPECTS
from bot.platforms.slack.payload import word
from bot.platforms.slack.people import People
from bot.platforms.slack.posting import Post, Poster
from bot.platforms.slack.private import Whisper
from bot.platforms.slack.uploads import Uploads

log = logging.getLogger(__name__)

PATH = "/slack/events"
_GRACE_S = 10.0  # for running work when the bot stops
_CHECK_S = 15.0  # between looks at the WebSocket
_SLOWEST_S = 60.0  # between attempts to reach Slack

Answer = TypeVar("Answer")


class SlackPlatform:
    """Verso in one Slack workspace.

    With `app_token` it opens a WebSocket to Slack (Socket Mode: works behind a firewall); otherwise it
    listens on `host`:`port` for requests signed with `signing_secret`.
    """

    name = "slack"

    def __init__(
        self,
        *,
        bot_token: str,
        handler: Handler,
        app_token: str | None = None,
        signing_secret: str | None = None,
        host: str = "127.0.0.1",
        port: int = 3000,
        moderator_groups: frozenset[str] = frozenset(),
        moderators: frozenset[str] = frozenset(),
        models: Sequence[str] = (),
        aspects: Sequence[str] = ASPECTS,
        seen: Callable[[str], Awaitable[bool]] | None = None,
        on_uninstalled: Callable[[str], Awaitable[None]] | None = None,
        on_connected: Callable[[str], Awaitable[None]] | None = None,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Nothing connects before `run`.

        Args:
            bot_token: `xoxb-...`.
            handler: answers commands.
            app_token: `xapp-...` with `connections:write`, for Socket Mode.
            signing_secret: for HTTP mode.
            host: where HTTP mode listens.
            port: same; 0 takes a free one.
            moderator_groups: user group ids (`S...`) whose members moderate; needs `usergroups:read`.
            moderators: user ids (`U...`) who moderate.
            models: model ids that the form offers, the default first.
            aspects: aspect ratios that the form offers, the default first.
            seen: whether an event id is known in the database; asked for Slack's retries only.
            on_uninstalled: called with the workspace id when the app is removed there; may be repeated.
            on_connected: called with the workspace id once Slack has taken the token.
            pause: sleeps; injected by tests.

        Raises:
            ConfigurationError: neither an app token nor a signing secret is given, or no bot token.
        """
        if not bot_token:
            raise ConfigurationError("Slack needs a bot token (xoxb-...)", setting=BOT_TOKEN)
        if not app_token and not signing_secret:
            raise ConfigurationError(
                f"Slack needs {APP_TOKEN} (Socket Mode) or VERSO_SLACK__SIGNING_SECRET (HTTP)",
                setting=APP_TOKEN,
            )
        self._app_token, self._signing_secret = app_token, signing_secret or ""
        self._host, self._port, self._pause = host, port, pause
        self._client = patient_client(bot_token)
        self._bot_user = ""
        self._on_connected = on_connected
        uploads = Uploads(self._client, bot_user=self._who_am_i, pause=pause)
        self._poster = Poster(self._client, lossy=lossy_client(bot_token), uploads=uploads)
        self._whisper = Whisper(self._client)
        people = People(self._client, moderators=moderators, moderator_groups=moderator_groups)
        self._desk = Desk(
            self._client, handler=handler, people=people, poster=self._poster, whisper=self._whisper
        )
        self._listeners = Listeners(
            self._desk,
            models=tuple(models),
            aspects=tuple(aspects) or ASPECTS,
            seen=seen,
            on_uninstalled=on_uninstalled,
        )
        self.listening: asyncio.Event = asyncio.Event()

    @property
    def port(self) -> int:
        """The port that HTTP mode listens on, once `listening` is set."""
        return self._port

    async def run(self, stop: asyncio.Event) -> None:
        """Connect and serve until `stop` is set; unreachable Slack is tried again, ever more slowly.

        Raises:
            ConfigurationError: Slack refuses a token, or the port is taken.
        """
        if not await self._patiently(self._who_am_i, stop, setting=BOT_TOKEN):
            return
        app = AsyncApp(
            client=self._client,
            signing_secret=self._signing_secret,
            logger=sdk_log,
            raise_error_for_unhandled_request=True,
        )
        self._listeners.register(app)
        try:
            if self._app_token:
                await self._serve_socket(app, self._app_token, stop)
            else:
                await self._serve_http(app, stop)
        finally:
            self.listening.clear()
            await self._desk.work.drain(_GRACE_S)

    async def placeholder(self, origin: Origin, text: str) -> str | None:
        """Post a message that a picture will fill later; None where not even a direct one can be posted."""
        try:
            with _delivering():
                return (await self._poster.placeholder(origin, text)).dump()
        except PlatformForbiddenError as error:
            log.warning("no placeholder: %s", error)
            return None

    async def update(self, post: str, progress: Progress) -> None:
        """Show progress in the placeholder; at most every three seconds, lossy."""
        if (place := Post.parse(post)) is not None:
            await self._poster.update(place, progress)

    async def fill(self, origin: Origin, post: str | None, reply: Reply, *, key: str) -> str:
        """Show a finished reply in the placeholder. A repeat with the same `key` uploads nothing twice.

        Raises:
            PlatformRateLimitError, PlatformForbiddenError, PlatformError.
        """
        place = Post.parse(post) if post else None
        with _delivering():
            return (await self._poster.fill(origin, place, reply, key=key)).dump()

    async def notify(self, origin: Origin, reply: Reply) -> None:
        """Tell the requester in private, best effort."""
        try:
            await self._desk.tell(origin, reply)
        except BotError as error:
            log.warning("a person could not be told: %s", error)

    async def remove(self, post: str) -> None:
        """Delete a message and the pictures in it; done already is fine.

        Raises:
            PlatformRateLimitError, PlatformForbiddenError, PlatformError.
        """
        if (place := Post.parse(post)) is not None:
            with _delivering():
                await self._poster.remove(place)

    async def _serve_socket(self, app: AsyncApp, app_token: str, stop: asyncio.Event) -> None:
        handler = AsyncSocketModeHandler(app, app_token, logger=sdk_log)
        connecting: asyncio.Task[None] | None = None
        try:
            address = await self._patiently(handler.client.issue_new_wss_url, stop, setting=APP_TOKEN)
            if address is None:
                return
            handler.client.wss_uri = address
            connecting = asyncio.create_task(self._connect(handler))
            while not await _within(stop.wait(), _CHECK_S):
                if not await handler.client.is_connected():
                    # The SDK tries one address again and again, but Slack's addresses expire: take a new one.
                    handler.client.wss_uri = None
        finally:
            if connecting is not None:
                connecting.cancel()
                await asyncio.gather(connecting, return_exceptions=True)
            await handler.close_async()  # type: ignore[no-untyped-call]

    async def _connect(self, handler: AsyncSocketModeHandler) -> None:
        await handler.connect_async()  # type: ignore[no-untyped-call]
        log.info("Slack: connected by Socket Mode")
        self.listening.set()

    async def _serve_http(self, app: AsyncApp, stop: asyncio.Event) -> None:
        application = app.server(port=self._port, path=PATH, host=self._host).web_app
        application.middlewares.append(_refuse_malformed)
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        try:
            site = web.TCPSite(runner, self._host, self._port)
            try:
                await site.start()
            except OSError as error:
                raise ConfigurationError(
                    f"cannot listen on {self._host}:{self._port} ({error.strerror})",
                    setting="VERSO_SLACK__PORT",
                ) from error
            self._port = runner.addresses[0][1]
            log.info("Slack: listening on http://%s:%d%s", self._host, self._port, PATH)
            self.listening.set()
            await stop.wait()
        finally:
            await runner.cleanup()

    async def _who_am_i(self) -> str:
        if not self._bot_user:
            with translated():
                answer = await self._client.auth_test()
            self._bot_user = word(answer.data, "user_id")
            if self._on_connected is not None and (team := word(answer.data, "team_id")):
                await self._on_connected(f"slack:{team}")
        return self._bot_user

    async def _patiently(
        self, call: Callable[[], Awaitable[Answer]], stop: asyncio.Event, *, setting: str
    ) -> Answer | None:
        """The answer of `call`, tried until Slack can be reached; None once `stop` is set.

        Raises:
            ConfigurationError: Slack was reached and refuses the token.
        """
        wait = 1.0
        while not stop.is_set():
            try:
                with translated(setting=setting):
                    return await call()
            except PlatformForbiddenError as error:
                raise ConfigurationError(str(error), setting=setting) from error
            except PlatformError as error:
                log.warning("%s; trying again in %.0f s", error, wait)
            await _within(stop.wait(), wait)
            wait = min(wait * 2, _SLOWEST_S)
        return None


@contextlib.contextmanager
def _delivering() -> Iterator[None]:
    """A refused token stops the start of the bot, but a delivery only waits until the operator mends it."""
    try:
        yield
    except ConfigurationError as error:
        raise PlatformError(str(error)) from error


async def _within(event: Awaitable[object], seconds: float) -> bool:
    """Whether `event` came within so many seconds."""
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(event, seconds)
        return True
    return False


@web.middleware
async def _refuse_malformed(request: web.Request, handler: WebHandler) -> web.StreamResponse:
    """Answer 400 to bodies that Bolt cannot read: it parses them before it checks the signature."""
    try:
        return await handler(request)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return web.Response(status=400)
