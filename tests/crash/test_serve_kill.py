"""Kills `verso serve` at random moments: no accepted request is lost, no picture is shown twice."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import random
import signal
import sys
from pathlib import Path

import pytest

from bot.compose import open_app
from bot.settings import Settings

KILLS = int(os.environ.get("VERSO_TEST_KILLS", "50"))
SEED = 20261124
HERE = Path(__file__).parent


def _module(path: Path):
    spec = importlib.util.spec_from_file_location(f"kill_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


class Server:
    """One life of `verso serve` after another."""

    def __init__(self, peer, data: Path) -> None:
        self._peer, self._data = peer, data
        self.process: asyncio.subprocess.Process | None = None
        self.lives = 0

    async def start(self) -> None:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self._data),
            "VERSO_DATA_DIR": str(self._data),
            "VERSO_DISCORD__TOKEN": "test-token",
            "VERSO_QUOTA__JOBS_IN_FLIGHT": "1000",
            "VERSO_QUOTA__IMAGES_PER_DAY": "100000",
            "OMP_WAIT_POLICY": "passive",
        }
        self.lives += 1
        with (self._data / f"serve-{self.lives}.log").open("wb") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable,
                str(HERE / "serve_over_discord.py"),
                f"{self._peer.base}/api/v10",
                self._peer.gateway,
                env=environment,
                cwd=self._data,
                stdout=log,
                stderr=log,
            )

    async def kill(self) -> None:
        self._peer._online.clear()
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGKILL)
        await self.process.wait()


def _texts(message: dict[str, object] | None) -> str:
    embeds = " ".join(str(e.get("description", "")) for e in (message or {}).get("embeds", ()))
    return f"{(message or {}).get('content', '')} {embeds}"


def _accepted(peer, interactions) -> list[dict[str, object]]:
    return [i for i in interactions if "Queued" in _texts(peer.reply(i))]


@pytest.mark.slow
@pytest.mark.timeout(3000)
async def test_killing_the_server_loses_nothing_and_shows_nothing_twice(tmp_path: Path) -> None:
    wire = HERE.parent / "wire" / "discord"
    peer = _module(wire / "standin.py").StandIn(_module(wire / "contract.py").Contract().problems)
    await peer.start()
    server = Server(peer, tmp_path)
    chance = random.Random(SEED)
    interactions: list[dict[str, object]] = []
    try:
        await server.start()
        await peer.online()
        await peer.until(lambda: any(peer.commands.values()))
        first = await peer.slash("imagine", prompt="a red apple on a blue plate")
        terms = await peer.answered(first)
        accept = next(
            c["custom_id"]
            for row in terms["components"]
            for c in row["components"]
            if "accept" in c["custom_id"]
        )
        interactions.append(await peer.click(terms, accept))
        await peer.answered(interactions[0])

        for _ in range(KILLS):
            if server.process is None:
                await server.start()
            life = chance.uniform(0.2, 9.0)
            if chance.random() < 0.4:
                # The other lives may end before the server is online; on a busy machine most of them would.
                await asyncio.wait_for(peer._online.wait(), 120)
                life /= 2
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(life):
                    await peer._online.wait()
                    while True:
                        if len(interactions) - len(_accepted(peer, interactions)) < 60:
                            subject = chance.choice(["cat", "dog", "pizza", "rocket", "castle"])
                            interactions.append(await peer.slash("imagine", prompt=f"a {subject}"))
                        await asyncio.sleep(chance.uniform(0.5, 4.0))
            await server.kill()
            server.process = None

        await server.start()
        await _quiet(tmp_path)
        server.process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(server.process.wait(), 60) == 0
        server.process = None
    finally:
        if server.process is not None:
            await server.kill()
        await peer.close()

    accepted = _accepted(peer, interactions)
    assert len(accepted) >= KILLS // 5, "too few requests were accepted for the test to mean anything"
    async with open_app(Settings(data_dir=tmp_path, _env_file=None)) as app:
        subject = await app.vault.find("discord", f"discord:{peer.GUILD}", "900000000000000005")
        jobs = {
            entry.entry.public["job_id"]
            for entry in await app.ledger.entries(subject)
            if entry.entry.kind == "job_accepted"
        }
        pictures: dict[str, int] = {}
        for job_id in jobs:
            job = await app.queue.get(job_id)
            assert job.status == "succeeded", (job_id, job.status, job.error_code)
            (release,) = await app.releases.of_job(job_id)
            name = f"verso-{release.image_id}.png"
            pictures[job_id] = sum(
                attachment["filename"] == name
                for message in peer.messages.values()
                for attachment in message.get("attachments", ())
            )
        assert (await app.ledger.audit()).ok
    assert len(jobs) >= len(accepted), "an accepted request is not in the ledger"
    assert set(pictures.values()) == {1}, {k: v for k, v in pictures.items() if v != 1}
    empty = [
        message
        for message in peer.messages.values()
        if "Drawing" in _texts(message) and not message.get("attachments")
    ]
    assert len(empty) <= len(jobs)
    assert not peer.problems


async def _quiet(data: Path) -> None:
    """Wait until every job is told."""
    from sqlalchemy import text

    from bot.database import open_database

    database = open_database(f"sqlite:///{data / 'verso.db'}")
    unfinished = text(
        "SELECT (SELECT count(*) FROM jobs WHERE status IN ('queued', 'running'))"
        " + (SELECT count(*) FROM outbox WHERE done_ms IS NULL)"
    )
    async with asyncio.timeout(1500):
        while True:
            async with database.execution_options(read_only=True).connect() as connection:
                if await connection.scalar(unfinished) == 0:
                    break
            await asyncio.sleep(1)
    await database.dispose()
