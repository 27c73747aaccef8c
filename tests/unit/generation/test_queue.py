"""The queue's transitions, on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
import dataclasses
import sqlite3
from collections.abc import Sequence

import aiosqlite
import pytest
from sqlalchemy import event, func, insert, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from generation.errors import JobCancelledError, LeaseLostError, QueueClosedError, RequestLimitError
from generation.job import Credit, ImageRequest, Job, JobStatus, StoredImage
from generation.outbox import Outbox, put_again
from generation.pausing import EVERYWHERE, PauseMode
from generation.places import Place
from generation.queue import JobQueue, QueueLimits
from generation.tables import jobs, lanes, outbox, results

PROMPT = (
    "a red apple \N{GREEN APPLE} \ud800 on a plate"  # with a lone surrogate: platforms send what they like
)


async def seal(user_id: str, data: bytes) -> bytes:
    return f"{user_id}|".encode() + bytes(byte ^ 0x5A for byte in data)


async def unseal(user_id: str, sealed: bytes) -> bytes:
    owner, _, data = sealed.partition(b"|")
    if owner.decode() != user_id:
        raise PermissionError(user_id)
    return bytes(byte ^ 0x5A for byte in data)


def a_request(**changes: object) -> ImageRequest:
    request = ImageRequest(
        prompt=PROMPT,
        model_id="tiny",
        width=512,
        height=512,
        seed=7,
        num_inference_steps=10,
        guidance_scale=1.0,
    )
    return dataclasses.replace(request, **changes)


def a_picture(index: int = 0, blob: str = "b" * 64) -> StoredImage:
    return StoredImage(
        index=index,
        blob=blob,
        seed=7 + index,
        width=512,
        height=512,
        pixels_sha256="a" * 64,
        credits=(
            Credit(title="apple", author="A", license="MIT", license_url="u", source="pkg/file", share=0.5),
        ),
        note="I know no 'gryphon'",
        profile={"seed": 7, "mode": "exact"},
    )


def a_queue(engine: AsyncEngine, **limits: object) -> JobQueue:
    defaults = {"user_jobs": 1000, "workspace_jobs": 1000, "retry_pause_s": 0.0}
    return JobQueue(engine, seal=seal, unseal=unseal, limits=QueueLimits(**{**defaults, **limits}))


async def submit(queue: JobQueue, key: str, *, workspace="w", user="u", **changes) -> Job:
    weight = changes.pop("weight", 1.0)
    user_weight = changes.pop("user_weight", 1.0)
    admission = {key: changes.pop(key) for key in ("user_jobs", "free") if key in changes}
    channel = changes.pop("channel", "")
    submission = await queue.submit(
        a_request(**changes),
        workspace_id=workspace,
        user_id=user,
        reply_to=b"channel 1",
        dedupe_key=key,
        channel_id=channel,
        weight=weight,
        user_weight=user_weight,
        **admission,
    )
    return submission.job


async def expire(engine: AsyncEngine, job: Job) -> None:
    async with engine.begin() as connection:
        await connection.execute(update(jobs).where(jobs.c.id == job.id).values(lease_until_ms=1))


async def told(engine: AsyncEngine) -> list[tuple[str, str]]:
    async with engine.connect() as connection:
        rows = await connection.execute(select(outbox.c.job_id, outbox.c.kind).order_by(outbox.c.id))
        return [tuple(row) for row in rows]


async def test_a_job_goes_through_its_life(engine: AsyncEngine) -> None:
    queue = a_queue(engine)
    job = await submit(queue, "event 1", source_blob="s" * 64, strength=0.3)
    assert (job.status, job.attempt, job.fence) == (JobStatus.QUEUED, 0, 0)
    assert job.request.prompt == PROMPT
    assert job.reply_to == b"channel 1"
    assert await queue.get(job.id) == job
    assert await queue.find("event 1") == job
    assert await queue.active("u") == (job,)
    claimed = await queue.claim("worker")
    assert claimed is not None
    assert claimed == dataclasses.replace(job, status=JobStatus.RUNNING, attempt=1, fence=1)
    assert await queue.claim("worker") is None
    assert await queue.beat(claimed) is False
    pictures = (a_picture(0), dataclasses.replace(a_picture(1), note=None, credits=()))
    await queue.finish(claimed, pictures)
    assert await queue.results(job.id) == pictures
    assert (await queue.get(job.id)).status is JobStatus.SUCCEEDED
    assert await queue.active("u") == ()
    assert await told(engine) == [(job.id, "deliver")]


async def test_unknown_jobs_are_none_or_empty(engine: AsyncEngine) -> None:
    queue = a_queue(engine)
    assert await queue.get("no") is None
    assert await queue.find("no") is None
    assert await queue.results("no") == ()
    assert await queue.claim("worker") is None
    assert (await queue.place("no")).place == 0
    assert await queue.cancel("no") is False
    assert await queue.reap() == 0


async def test_nothing_personal_is_stored_in_the_clear(sqlite_engine: AsyncEngine, tmp_path) -> None:
    queue = a_queue(sqlite_engine)
    await submit(queue, "discord:8842", prompt="SECRETWORDS", negative_prompt="OTHERWORDS")
    claimed = await queue.claim("worker")
    await queue.finish(claimed, (a_picture(),))
    stored = b"".join(path.read_bytes() for path in tmp_path.glob("verso.db*"))  # with the write-ahead log
    for words in (b"SECRETWORDS", b"OTHERWORDS", b"channel 1", b"gryphon", b"discord:8842"):
        assert words not in stored
    assert claimed.id.encode() in stored  # the search itself works


async def test_the_same_event_makes_one_job(engine: AsyncEngine) -> None:
    queue = a_queue(engine)

    async def once() -> tuple[str, bool]:
        submission = await queue.submit(
            a_request(), workspace_id="w", user_id="u", reply_to=b"", dedupe_key="e"
        )
        return submission.job.id, submission.created

    outcomes = await asyncio.gather(*(once() for _ in range(8)))
    assert len({job_id for job_id, _ in outcomes}) == 1
    assert [created for _, created in outcomes].count(True) == 1


async def test_a_repeated_event_is_not_refused(engine: AsyncEngine) -> None:
    queue = a_queue(engine, user_jobs=1)
    first = await submit(queue, "e")
    assert (await submit(queue, "e")).id == first.id
    with pytest.raises(RequestLimitError) as refusal:
        await submit(queue, "another")
    assert refusal.value.field == "user_jobs"
    assert await queue.active("u") == (first,)


async def test_a_new_fence_makes_the_old_worker_powerless(engine: AsyncEngine) -> None:
    queue = a_queue(engine)
    await submit(queue, "e")
    old = await queue.claim("paused")
    await expire(engine, old)
    assert await queue.reap() == 1
    new = await queue.claim("other")
    assert (new.id, new.fence, new.attempt) == (old.id, old.fence + 1, 2)
    with pytest.raises(LeaseLostError):
        await queue.beat(old)
    with pytest.raises(LeaseLostError):
        await queue.finish(old, (a_picture(),))
    with pytest.raises(LeaseLostError):
        await queue.fail(old, code="x", message="", retryable=True)
    with pytest.raises(LeaseLostError):
        await queue.cancelled(old)
    with pytest.raises(LeaseLostError):
        await queue.release(old)
    await queue.finish(new, (a_picture(),))
    with pytest.raises(LeaseLostError):
        await queue.finish(new, (a_picture(),))
    assert await told(engine) == [(new.id, "deliver")]


async def test_a_live_lease_is_not_reaped_and_a_beat_renews_an_expired_one(engine: AsyncEngine) -> None:
    queue = a_queue(engine)
    await submit(queue, "e")
    job = await queue.claim("worker")
    assert await queue.reap() == 0
    await expire(engine, job)
    assert await queue.beat(job) is False  # nobody has taken it: it is still ours
    assert await queue.reap() == 0


async def test_a_poison_job_fails_when_its_attempts_are_used_up(engine: AsyncEngine) -> None:
    queue = a_queue(engine, max_attempts=1, max_losses=3)
    job = await submit(queue, "e")
    for attempt in (1, 2, 3):
        claimed = await queue.claim("dying")
        assert claimed.attempt == attempt
        await expire(engine, claimed)
        assert await queue.reap() == 1
    ended = await queue.get(job.id)
    assert (ended.status, ended.error_code) == (JobStatus.FAILED, "worker_lost")
    assert await queue.claim("worker") is None
    assert await told(engine) == [(job.id, "failed")]


async def test_a_lost_worker_does_not_use_up_the_attempts(engine: AsyncEngine) -> None:
    queue = a_queue(engine, max_attempts=1, max_losses=2)
    job = await submit(queue, "e")
    await expire(engine, await queue.claim("worker"))
    assert await queue.reap() == 1
    assert (await queue.get(job.id)).status is JobStatus.QUEUED
    claimed = await queue.claim("worker")
    assert await queue.fail(claimed, code="out_of_memory", message="", retryable=True) is False


async def test_failures_are_retried_only_if_that_may_help(engine: AsyncEngine) -> None:
    queue = a_queue(engine, max_attempts=2)
    job = await submit(queue, "e")
    claimed = await queue.claim("worker")
    assert await queue.fail(claimed, code="out_of_memory", message="m" * 9000, retryable=True) is True
    assert await told(engine) == []
    claimed = await queue.claim("worker")
    assert await queue.fail(claimed, code="out_of_memory", message="", retryable=True) is False
    assert (await queue.get(job.id)).error_code == "out_of_memory"
    other = await submit(queue, "f")
    claimed = await queue.claim("worker")
    assert await queue.fail(claimed, code="request_limit", message="", retryable=False) is False
    assert await told(engine) == [(job.id, "failed"), (other.id, "failed")]


async def test_a_retried_job_that_succeeds_carries_no_error(engine: AsyncEngine) -> None:
    queue = a_queue(engine)
    job = await submit(queue, "e")
    await queue.fail(await queue.claim("worker"), code="model_load", message="", retryable=True)
    await queue.finish(await queue.claim("worker"), ())
    ended = await queue.get(job.id)
    assert (ended.status, ended.error_code, ended.attempt) == (JobStatus.SUCCEEDED, None, 2)


async def test_the_pause_after_a_failure_lets_others_pass(engine: AsyncEngine) -> None:
    queue = a_queue(engine, retry_pause_s=3600.0)
    first = await submit(queue, "e")
    second = await submit(queue, "f")
    assert (await queue.claim("worker")).id == first.id
    await queue.fail(await queue.get(first.id), code="x", message="", retryable=True)
    assert (await queue.claim("worker")).id == second.id
    assert await queue.claim("worker") is None


async def test_release_gives_the_attempt_back(engine: AsyncEngine) -> None:
    queue = a_queue(engine)
    await submit(queue, "e")
    claimed = await queue.claim("stopping")
    await queue.release(claimed)
    again = await queue.claim("worker")
    assert (again.attempt, again.fence) == (1, 2)


async def test_cancelling_a_waiting_job_is_final(engine: AsyncEngine) -> None:
    queue = a_queue(engine)
    job = await submit(queue, "e")
    assert await queue.cancel(job.id, user_id="somebody else") is False
    assert await queue.cancel(job.id, user_id="u") is True
    assert await queue.cancel(job.id, user_id="u") is False
    assert (await queue.get(job.id)).status is JobStatus.CANCELLED
    assert await queue.claim("worker") is None
    assert await told(engine) == [(job.id, "cancelled")]


async def test_cancelling_a_running_job_reaches_the_worker(engine: AsyncEngine) -> None:
    queue = a_queue(engine)
    await submit(queue, "e")
    job = await queue.claim("worker")
    assert await queue.cancel(job.id) is True
    assert await queue.beat(job) is True
    with pytest.raises(JobCancelledError):
        await queue.finish(job, (a_picture(),))
    assert await queue.results(job.id) == ()
    await queue.cancelled(job)
    assert (await queue.get(job.id)).status is JobStatus.CANCELLED
    assert await told(engine) == [(job.id, "cancelled")]


@pytest.mark.parametrize("how", ["reap", "fail"])
async def test_a_cancelled_job_is_not_tried_again(engine: AsyncEngine, how: str) -> None:
    queue = a_queue(engine)
    await submit(queue, "e")
    job = await queue.claim("worker")
    await queue.cancel(job.id)
    if how == "reap":
        await expire(engine, job)
        await queue.reap()
    else:
        assert await queue.fail(job, code="x", message="", retryable=True) is False
    assert (await queue.get(job.id)).status is JobStatus.CANCELLED
    assert await told(engine) == [(job.id, "cancelled")]


async def test_all_jobs_of_a_user_can_be_stopped(engine: AsyncEngine) -> None:
    queue = a_queue(engine)
    for key in "abc":
        await submit(queue, key)
    running = await queue.claim("worker")
    other = await submit(queue, "d", user="other")
    assert (await queue.cancel_user("u")).jobs == 3
    assert await queue.beat(running) is True
    assert (await queue.claim("worker")).id == other.id


async def test_on_finish_stands_or_falls_with_the_job(engine: AsyncEngine) -> None:
    queue = a_queue(engine)
    await submit(queue, "e")
    job = await queue.claim("worker")

    async def refuse(connection: AsyncConnection, job: Job, images: Sequence[StoredImage]) -> None:
        assert await connection.scalar(select(func.count()).select_from(results)) == len(images)
        await connection.execute(
            insert(lanes).values(workspace_id=job.id, virtual_start=0.0, virtual_time=0.0)
        )
        raise RuntimeError("the ledger is full")

    with pytest.raises(RuntimeError, match="the ledger is full"):
        await queue.finish(job, (a_picture(),), on_finish=refuse)
    assert await queue.results(job.id) == ()
    assert await told(engine) == []
    assert (await queue.get(job.id)).status is JobStatus.RUNNING
    async with engine.connect() as connection:
        assert (
            await connection.scalar(
                select(func.count()).select_from(lanes).where(lanes.c.workspace_id == job.id)
            )
            == 0
        )


async def test_a_job_that_cannot_be_opened_fails_at_last_and_holds_nobody_up(engine: AsyncEngine) -> None:
    queue = a_queue(engine, max_attempts=2)
    erased = await submit(queue, "e")
    async with engine.begin() as connection:
        await connection.execute(
            update(jobs).where(jobs.c.id == erased.id).values(sealed_request=b"nobody|garbage")
        )
    fine = await submit(queue, "f", user="other")
    assert (await queue.claim("worker")).id == fine.id
    assert await queue.claim("worker") is None
    async with engine.connect() as connection:
        row = (await connection.execute(select(jobs).where(jobs.c.id == erased.id))).one()
    assert (row.status, row.error_code) == (JobStatus.FAILED, "sealed")


async def test_the_schema_refuses_a_second_job_for_an_event(engine: AsyncEngine) -> None:
    queue = a_queue(engine)
    job = await submit(queue, "e")
    async with engine.connect() as connection:
        row = (await connection.execute(select(jobs).where(jobs.c.id == job.id))).one()._asdict()
    with pytest.raises(IntegrityError):
        async with engine.begin() as connection:
            await connection.execute(insert(jobs).values({**row, "id": "another"}))


async def test_a_worker_gets_only_the_models_it_can_draw(engine: AsyncEngine) -> None:
    queue = a_queue(engine)
    await submit(queue, "e", model_id="big")
    small = await submit(queue, "f", model_id="small")
    assert (await queue.claim("worker", models=["small", "tiny"])).id == small.id
    assert await queue.claim("worker", models=["small", "tiny"]) is None
    assert await queue.claim("worker", models=[]) is None
    assert (await queue.claim("worker", models=["big"])) is not None


async def test_rivals_never_get_the_same_job(engine: AsyncEngine) -> None:
    queue = a_queue(engine)
    for number in range(12):
        await submit(queue, f"e{number}", user=f"u{number % 3}", workspace=f"w{number % 2}")

    async def work(name: str) -> list[str]:
        got = []
        while (job := await queue.claim(name)) is not None:
            got.append(job.id)
            await queue.finish(job, ())
        return got

    shares = await asyncio.gather(*(work(f"worker {number}") for number in range(4)))
    done = [job_id for share in shares for job_id in share]
    assert len(done) == len(set(done)) == 12


async def test_arrival_wakes_a_waiting_worker(sqlite_engine: AsyncEngine) -> None:
    queue = a_queue(sqlite_engine)
    await queue.arrival(0.01)
    waiting = asyncio.create_task(queue.arrival(60.0))
    await submit(queue, "e")
    await waiting


async def test_the_outbox_is_leased_and_fenced(engine: AsyncEngine) -> None:
    queue = a_queue(engine)
    box = Outbox(engine)
    assert await box.claim() is None
    job = await submit(queue, "e")
    await queue.finish(await queue.claim("worker"), ())
    first = await box.claim()
    assert (first.job_id, first.kind, first.attempt) == (job.id, "deliver", 1)
    assert await box.claim() is None
    await box.beat(first)
    async with engine.begin() as connection:
        await connection.execute(
            update(outbox).values(visible_ms=1)
        )  # its deliverer was paused past the lease
    second = await box.claim()
    assert (second.id, second.attempt) == (first.id, 2)
    with pytest.raises(LeaseLostError):
        await box.done(first)
    with pytest.raises(LeaseLostError):
        await box.beat(first)
    with pytest.raises(LeaseLostError):
        await box.retry(first, 0.0)
    await box.done(second)
    assert await box.claim() is None


async def test_a_retried_delivery_comes_back_after_its_pause(engine: AsyncEngine) -> None:
    queue = a_queue(engine)
    box = Outbox(engine)
    job = await submit(queue, "e")
    await queue.cancel(job.id)
    await box.retry(await box.claim(), 3600.0)
    assert await box.claim() is None
    async with engine.begin() as connection:
        await connection.execute(update(outbox).values(visible_ms=1))
    item = await box.claim()
    assert (item.kind, item.attempt) == ("cancelled", 2)


async def test_done_can_join_a_transaction(engine: AsyncEngine) -> None:
    queue = a_queue(engine)
    box = Outbox(engine)
    await queue.cancel((await submit(queue, "e")).id)
    item = await box.claim()

    async def fall() -> None:
        async with engine.begin() as connection:
            await box.done(item, connection=connection)
            raise RuntimeError("rolled back")

    with pytest.raises(RuntimeError):
        await fall()
    await box.done(item)  # was still open


async def test_a_worker_can_serve_one_workspace_only(engine: AsyncEngine) -> None:
    queue = a_queue(engine)
    await submit(queue, "e", workspace="discord:1")
    mine = await submit(queue, "f", workspace="terminal")
    assert (await queue.claim("worker", workspace="terminal")).id == mine.id
    assert await queue.claim("worker", workspace="terminal") is None
    assert (await queue.claim("worker")) is not None


async def test_a_deliverer_gets_only_what_it_can_reach(engine: AsyncEngine) -> None:
    queue = a_queue(engine)
    box = Outbox(engine)
    jobs_of = {
        name: await submit(queue, name, workspace=name) for name in ("slack:T1", "slacker:1", "terminal")
    }
    for job in jobs_of.values():
        await queue.cancel(job.id)
    assert await box.claim(platforms=[]) is None
    assert (await box.claim(platforms=["slack"])).job_id == jobs_of["slack:T1"].id
    assert await box.claim(platforms=["slack", "discord"]) is None
    assert (await box.claim(platforms=["terminal"])).job_id == jobs_of["terminal"].id
    assert (await box.claim()).job_id == jobs_of["slacker:1"].id


async def test_usage_counts_pictures_but_no_failures(engine: AsyncEngine) -> None:
    queue = a_queue(engine)
    await submit(queue, "a", count=3)
    await queue.cancel((await submit(queue, "b")).id)
    await submit(queue, "c", user="other")
    (entry,) = await queue.usage(user_id="u", since_ms=0)
    assert entry[1] == 3
    assert await queue.usage(user_id="u", since_ms=entry[0] + 1) == ()


async def test_usage_counts_by_channel_and_workspace_and_leaves_free_jobs_out(engine: AsyncEngine) -> None:
    queue = a_queue(engine)
    await submit(queue, "a", count=2, channel="c1")
    await submit(queue, "b", count=1, channel="c2", user="other")
    await submit(queue, "c", count=4, channel="c1", user="third", free=True)

    async def images(**whose: str) -> list[int]:
        return [images for _, images in await queue.usage(since_ms=0, **whose)]

    assert await images(channel_id="c1") == [2]
    assert await images(workspace_id="w") == [2, 1]
    assert await images(user_id="third") == []


async def test_a_pause_stops_the_drawing_and_not_the_asking(engine: AsyncEngine) -> None:
    queue = a_queue(engine)
    await queue.pause("w", PauseMode.PAUSE, reason="a new graphics card")
    job = await submit(queue, "a")
    other = await submit(queue, "b", workspace="v")
    assert await queue.place(job.id) == Place(place=1, eta_s=None, paused=True)
    assert (await queue.claim("x")).id == other.id  # only that workspace stands still
    assert await queue.claim("x") is None
    (order,) = await queue.pauses()
    assert (order.workspace_id, order.mode, order.reason) == ("w", PauseMode.PAUSE, "a new graphics card")
    assert await queue.resume("w")
    assert not await queue.resume("w")
    assert (await queue.claim("x")).id == job.id


async def test_a_pause_everywhere_holds_every_workspace(engine: AsyncEngine) -> None:
    queue = a_queue(engine)
    await submit(queue, "a")
    await submit(queue, "b", workspace="v")
    await queue.pause(EVERYWHERE, PauseMode.PAUSE)
    assert await queue.claim("x") is None
    await queue.resume(EVERYWHERE)
    assert await queue.claim("x") is not None


async def test_draining_draws_what_waits_and_takes_nothing_new(engine: AsyncEngine) -> None:
    queue = a_queue(engine)
    job = await submit(queue, "a")
    await queue.pause(EVERYWHERE, PauseMode.PAUSE)
    await queue.pause(EVERYWHERE, PauseMode.DRAIN, reason="moving house")  # replaces the pause
    with pytest.raises(QueueClosedError) as refusal:
        await submit(queue, "b")
    assert refusal.value.reason == "moving house"
    assert (await submit(queue, "a")).id == job.id  # the same event is no new request
    assert (await queue.claim("x")).id == job.id


async def test_the_load_counts_what_is_not_over(engine: AsyncEngine) -> None:
    queue = a_queue(engine)
    for name in "ab":
        await submit(queue, name)
    await submit(queue, "c", workspace="v")
    await queue.cancel((await submit(queue, "d", workspace="u")).id)
    claimed = await queue.claim("x", workspace="w")
    assert [(one.workspace_id, one.queued, one.running) for one in await queue.load()] == [
        ("v", 1, 0),
        ("w", 1, 1),
    ]
    assert min(one.oldest_ms for one in await queue.load()) == claimed.created_ms


async def test_a_plan_can_allow_fewer_jobs_at_a_time(engine: AsyncEngine) -> None:
    queue = a_queue(engine)
    await submit(queue, "a", user_jobs=1)
    with pytest.raises(RequestLimitError, match="at most 1"):
        await submit(queue, "b", user_jobs=1)


async def test_what_can_come_up_again_is_told_again(engine: AsyncEngine) -> None:
    queue, box = a_queue(engine), Outbox(engine)
    job = await submit(queue, "again")
    for _ in range(2):
        async with engine.begin() as connection:
            await put_again(connection, job.id, "remove")
            await put_again(connection, job.id, "remove")  # once is enough while it waits
            await put_again(connection, "gone", "remove")  # nobody is left to tell
        item = await box.claim()
        assert (item.job_id, item.kind, item.attempt) == (job.id, "remove", 1)
        assert await box.claim() is None
        await box.done(item)
        assert await box.is_done(job.id)
        with pytest.raises(LeaseLostError):
            await box.done(item)


async def test_a_claim_is_one_trip_to_the_database(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = a_queue(engine)
    for number in range(3):
        await submit(queue, f"e{number}")
    await queue.claim("worker")  # opens the connection
    trips: list[str] = []
    if engine.dialect.name == "sqlite":
        execute = aiosqlite.Connection._execute

        async def counted(self, function, *arguments, **options):
            trips.append(function.__name__)
            return await execute(self, function, *arguments, **options)

        monkeypatch.setattr(aiosqlite.Connection, "_execute", counted)
        assert await queue.claim("worker") is not None
        # Before it come the fixture's own.
        assert trips[trips.index("_on_thread") :] == ["_on_thread"]
        return
    listen = event.listens_for(engine.sync_engine, "before_cursor_execute")
    listen(lambda _connection, _cursor, statement, *_rest: trips.append(statement.split()[0]))
    assert await queue.claim("worker") is not None
    assert trips == ["WITH"]


async def test_a_claim_that_breaks_off_leaves_nothing(sqlite_engine: AsyncEngine) -> None:
    queue = a_queue(sqlite_engine)
    job = await submit(queue, "e")
    async with sqlite_engine.begin() as connection:
        await connection.execute(
            text("CREATE TRIGGER refuse BEFORE UPDATE ON lanes BEGIN SELECT RAISE(ABORT, 'no'); END")
        )
    with pytest.raises(sqlite3.DatabaseError):
        await queue.claim("worker")
    assert await queue.get(job.id) == job
    async with sqlite_engine.begin() as connection:  # the write lock is free
        await connection.execute(text("DROP TRIGGER refuse"))
    assert (await queue.claim("worker")).fence == 1
