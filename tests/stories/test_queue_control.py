"""The operator's hand on the queue, plans and ceilings, and what a crash left in the store."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import threading
import time
from pathlib import Path

import pytest

from bot.cli import run
from bot.conversation import AskCommand
from bot.usecases.sweep import reference_columns
from generation.pausing import EVERYWHERE, PauseMode

PLANS = """
[plans.supporter]
images_per_day = 9
jobs_in_flight = 1
users = ["room:1/bob"]

[channels."room:1/general"]
images_per_day = 4

[workspaces."room:2"]
images_per_day = 1
"""


@pytest.fixture
def settings_values(tmp_path: Path) -> dict[str, object]:
    (tmp_path / "plans.toml").write_text(PLANS)
    return {"plans": {"path": tmp_path / "plans.toml"}}


async def test_a_paused_queue_says_so_and_goes_on(house) -> None:
    await house.app.queue.pause(EVERYWHERE, PauseMode.PAUSE, reason="cleaning")
    reply = await house.imagine("a dog")
    assert "keeps its place" in reply.text
    waiting = await house.say(AskCommand(origin=house.origin(), what="queue"))
    assert "paused" in waiting.fields[0].label
    async with house.drawing():
        await house.app.queue.resume(EVERYWHERE)
        job_id = await house.job_of(reply)
        await house.app.courier.settled(job_id)
    assert house.room.filled[job_id]


async def test_a_draining_queue_refuses_with_the_reason(house) -> None:
    await house.app.queue.pause(EVERYWHERE, PauseMode.DRAIN, reason="moving house")
    reply = await house.imagine("a dog")
    assert "moving house" in reply.text
    assert not house.room.placeholders


async def test_a_channels_quota_counts_everybody_and_gives_back_what_was_cancelled(house) -> None:
    first = await house.imagine("a dog", count=3)
    assert "Queued" in first.text
    refused = await house.imagine("a cat", user="eve", count=2)
    assert "This channel has 1 of 4" in refused.text
    assert (
        "channel has 1 of 4" in (await house.say(AskCommand(origin=house.origin("eve"), what="quota"))).text
    )
    await house.app.queue.cancel(await house.job_of(first))
    assert "Queued" in (await house.imagine("a cat", user="eve", count=2)).text


async def test_a_plan_holds_for_who_has_it(house) -> None:
    assert "Queued" in (await house.imagine("a dog", user="bob")).text
    assert "at most 1" in (await house.imagine("a cat", user="bob")).text.lower()


async def test_a_workspaces_quota_is_its_own(house) -> None:
    quota = await house.say(AskCommand(origin=house.origin(workspace="room:2"), what="quota"))
    assert "workspace has 1 of 1" in quota.text


async def test_the_sweep_deletes_what_nothing_refers_to_and_nothing_else(house) -> None:
    async with house.drawing():
        job_id, _ = await house.drawn("a dog")
    left = await house.app.blobs.put(b"written by a process that died before its commit")
    young = await house.app.blobs.put(b"just being written")
    kept = await house.app.blobs.older_than(2**40)
    for file in house.settings.blobs_dir.rglob("*"):
        if file.is_file() and file.name != young:
            os.utime(file, (1000, 1000))
    assert await house.app.sweep() == 1
    assert set(await house.app.blobs.older_than(2**40)) == set(kept) - {left}
    (result,) = await house.app.queue.results(job_id)
    assert await house.app.blobs.get(result.blob)
    assert await house.app.sweep() == 0


def test_the_sweep_knows_the_columns_of_every_trade() -> None:
    names = {f"{column.table.name}.{column.name}" for column in reference_columns()}
    assert names >= {"results.blob", "jobs.source_blob", "releases.blob", "quarantine.blob"}


def test_the_operators_commands(tmp_path: Path, monkeypatch, capsys) -> None:
    for name in [name for name in os.environ if name.startswith("VERSO_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("VERSO_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)

    def told(*arguments: str) -> str:
        assert run(["queue", *arguments]) == 0
        return " ".join(capsys.readouterr().out.split())

    assert "Nothing waits" in told("show")
    assert "everywhere: nothing is drawn" in told("pause", "--reason", "a new disk")
    document = json.loads(told("show", "--json"))
    assert document["workspaces"] == []
    assert [(o["workspace"], o["mode"], o["reason"]) for o in document["pauses"]] == [
        ("*", "pause", "a new disk")
    ]
    assert "a new disk" in told("show")
    assert "in slack:T1: nothing new is taken" in told("drain", "--workspace", "slack:T1")
    assert "goes on" in told("resume")
    assert "not standing still" in told("resume")
    assert run(["queue", "cancel", "nobody"]) == 1
    assert "nobody" in capsys.readouterr().err


def test_a_paused_queue_tells_the_terminal_too(tmp_path: Path, monkeypatch, capsys) -> None:
    for name in [name for name in os.environ if name.startswith("VERSO_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("VERSO_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    assert run(["queue", "pause"]) == 0

    def resume_when_asked() -> None:
        with contextlib.closing(sqlite3.connect(tmp_path / "data" / "verso.db")) as database:
            while not database.execute("SELECT count(*) FROM jobs").fetchone()[0]:
                time.sleep(0.1)
        run(["queue", "resume"])

    threading.Thread(target=resume_when_asked, daemon=True).start()
    assert run(["imagine", "a dog", "--accept-terms"]) == 0
    assert "The drawing is paused; your request keeps its place" in " ".join(capsys.readouterr().err.split())
