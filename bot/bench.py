"""Measures the whole path: what it adds to an image, and how soon a command is acknowledged."""

from __future__ import annotations

import asyncio
import json
import secrets
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from attribution.fingerprints import pdq
from bot.compose import open_app
from bot.composition.app import App
from bot.conversation import ImagineCommand, Origin
from bot.errors import BotError
from bot.platforms.terminal import TerminalPlatform
from bot.settings import Quota, Settings
from bot.usecases.marking import pixels_of
from bot.usecases.outcomes import Accepted
from generation.engine import Engine
from moderation.types import ImageContent, Scope

PROMPT = "a red apple on a blue plate"
IMAGES = 8


def bench_settings(folder: str) -> Settings:
    """Settings for a house of its own that asks nobody for anything."""
    quota = Quota(images_per_day=1_000_000, jobs_in_flight=100_000)
    return Settings(data_dir=Path(folder), quota=quota, _env_file=None)  # type: ignore[call-arg]


async def bench_path(images: int = IMAGES) -> Mapping[str, object]:
    """What the path adds to an image, beside the engine alone, the image check and the stamping.

    Returns:
        `path_ms` (a whole request), `engine_ms` (the same request on the engine alone), `image_check_ms`,
        `stamp_ms` (metadata, signature, fingerprint) and `added_ms` = path - engine - check - stamp: medians
        over interleaved runs, in milliseconds. `added_cpu_ms` is the same in CPU time of all threads, which
        other load on the machine does not change.
    """
    with tempfile.TemporaryDirectory(prefix="verso-bench-") as folder:
        async with open_app(bench_settings(folder), platforms=[TerminalPlatform()]) as app:
            engine, stop = app.engine(), asyncio.Event()
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(app.worker(engine, workspace="terminal").run(stop))
                    tasks.create_task(app.courier.run(stop))
                    try:
                        runs = [await _one_image(app, engine, folder, number) for number in range(images + 1)]
                    finally:
                        stop.set()
            finally:
                await engine.close()
    rows = np.array(runs[1:])  # the first one warms up
    names = ("path_ms", "engine_ms", "image_check_ms", "stamp_ms", "added_ms", "added_cpu_ms")
    return {name: round(float(np.median(rows[:, n])), 1) for n, name in enumerate(names)}


class _Span:
    """Seconds that pass, and CPU seconds that this process spends meanwhile."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def taken(self) -> npt.NDArray[np.float64]:
        """Milliseconds since the start: (passed, of CPU time)."""
        return 1000 * np.array([time.perf_counter() - self._wall, time.process_time() - self._cpu])


async def _one_image(app: App, engine: Engine, folder: str, number: int) -> tuple[float, ...]:
    origin = Origin(
        platform="terminal",
        workspace_id="terminal",
        user_id="bench",
        event_id=secrets.token_hex(8),
        token=json.dumps({"out": f"{folder}/out"}),
    )
    command = ImagineCommand(origin=origin, prompt=PROMPT, seed=number, accept_terms=True)
    span = _Span()
    outcome = await app.imagine(command)
    if not isinstance(outcome, Accepted):
        raise BotError(f"the benchmark's own prompt was not accepted: {type(outcome).__name__}")
    await app.courier.announce(outcome.job)
    settled = await app.courier.settled(outcome.job.id)
    path = span.taken()
    if not settled.images:
        raise BotError("the benchmark's own picture was withheld")

    span = _Span()
    (alone,) = await engine.generate(outcome.job.request)
    drawing = span.taken()

    pixels = pixels_of(alone.png)
    span = _Span()
    await app.moderator.review(ImageContent(pixels=pixels, prompt=PROMPT), Scope())
    checking = span.taken()

    stored = (await app.queue.results(outcome.job.id))[0]
    span = _Span()
    await asyncio.to_thread(
        app.finisher.stamper.stamp,
        outcome.job,
        stored,
        alone.png,
        pixels=pixels,
        image_id=settled.images[0].release.image_id,
        accepted_leaf=b"bench",
    )
    await asyncio.to_thread(pdq, pixels)
    stamping = span.taken()
    added = path - drawing - checking - stamping
    return (*(float(wall) for wall, _ in (path, drawing, checking, stamping)), *map(float, added))


async def bench_acknowledgement(in_flight: int = 50) -> Mapping[str, object]:
    """How soon a command is acknowledged while many others run the whole path: see `bench_ack`."""
    from bot.platforms.slack.bench import bench_ack  # noqa: PLC0415 - loads the SDK

    with tempfile.TemporaryDirectory(prefix="verso-bench-") as folder:
        async with open_app(bench_settings(folder)) as app:
            await app.moderator.warm()
            return await bench_ack(app.handle, connect=app.add_platform, in_flight=in_flight, prompt=PROMPT)
