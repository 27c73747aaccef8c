"""The queue: one decision per review, however many moderators click."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import text

from moderation.decisions import Decisions
from moderation.errors import AlreadyDecidedError, AppealError, OutcomeError, ReviewMissingError
from moderation.retention import forget
from moderation.reviews import Reviews
from moderation.types import Action, Category, Finding, Scope, Verdict

FAR = 10**15


async def seal(subject: str, data: bytes) -> bytes:
    return b"sealed:" + subject.encode() + b":" + data[::-1]


async def unseal(subject: str, data: bytes) -> bytes:
    return data.removeprefix(b"sealed:" + subject.encode() + b":")[::-1]


class Clock:
    def __init__(self):
        self.now = 1_000

    def __call__(self):
        self.now += 1
        return self.now


def a_queue(engine, clock=None) -> Reviews:
    return Reviews(engine, seal=seal, unseal=unseal, now_ms=clock or Clock())


async def a_decision(engine, category=Category.VIOLENCE, action=Action.BLOCK) -> str:
    finding = Finding(rule="lexicon", category=category, score=1.0, action=action)
    return await Decisions(engine, seal=seal, unseal=unseal).record(
        subject="s1",
        scope=Scope(),
        content_kind="prompt",
        text="words",
        verdict=Verdict(action=action, findings=(finding,)),
    )


async def open_(queue, decision_id="d1", **values):
    defaults = {
        "subject": "s1",
        "workspace_id": "w1",
        "payload": b"the command",
        "kind": "hold",
        "deadline_ms": FAR,
    }
    return await queue.open_(decision_id=decision_id, **(defaults | values))


async def test_a_hold_waits_with_its_payload(engine):
    queue = a_queue(engine)
    review_id = await open_(queue)
    review = await queue.get(review_id)
    assert (review.payload, review.status, review.kind, review.reason) == (
        b"the command",
        "open",
        "hold",
        None,
    )
    assert review.open
    (waiting,) = await queue.pending()
    assert (waiting.id, waiting.payload) == (review_id, None)


async def test_the_payload_is_sealed(engine):
    await open_(a_queue(engine))
    async with engine.connect() as connection:
        assert "the command" not in repr((await connection.execute(text("SELECT * FROM reviews"))).all())


async def test_pending_is_oldest_first_and_per_workspace(engine):
    queue = a_queue(engine)
    first = await open_(queue, "d1")
    second = await open_(queue, "d2", workspace_id="w2")
    third = await open_(queue, "d3")
    assert [r.id for r in await queue.pending()] == [first, second, third]
    assert [r.id for r in await queue.pending("w1")] == [first, third]


async def test_the_same_hold_twice_is_one_review(engine):
    queue = a_queue(engine)
    assert await open_(queue) == await open_(queue)


@pytest.mark.parametrize("outcome", ["approved", "upheld", "warned", "timed_out"])
async def test_a_decision_is_recorded(engine, outcome):
    queue = a_queue(engine)
    review_id = await open_(queue)
    decided = await queue.decide(review_id, outcome=outcome, actor="mod", reason="because")
    assert (decided.status, decided.actor, decided.reason) == (outcome, "mod", "because")
    assert decided.payload == b"the command"
    assert decided.decided_ms is not None
    assert await queue.pending() == ()
    assert await queue.get(review_id) == decided


async def test_the_second_moderator_is_told(engine):
    queue = a_queue(engine)
    review_id = await open_(queue)
    await queue.decide(review_id, outcome="approved", actor="first", reason="")
    with pytest.raises(AlreadyDecidedError) as caught:
        await queue.decide(review_id, outcome="upheld", actor="second", reason="")
    assert (caught.value.outcome, caught.value.actor) == ("approved", "first")
    assert (await queue.get(review_id)).status == "approved"


async def test_of_many_moderators_at_once_one_succeeds(engine):
    queue = a_queue(engine)
    review_id = await open_(queue)
    results = await asyncio.gather(
        *(queue.decide(review_id, outcome="approved", actor=f"m{n}", reason="") for n in range(8)),
        return_exceptions=True,
    )
    winners = [r for r in results if not isinstance(r, BaseException)]
    assert len(winners) == 1
    assert sum(isinstance(r, AlreadyDecidedError) for r in results) == 7
    assert (await queue.get(review_id)).actor == winners[0].actor


@pytest.mark.parametrize("values", [{"outcome": "maybe"}, {"actor": "  "}, {"reason": "x" * 1001}])
async def test_a_bad_decision_is_refused(engine, values):
    queue = a_queue(engine)
    review_id = await open_(queue)
    with pytest.raises(OutcomeError):
        await queue.decide(review_id, **({"outcome": "approved", "actor": "m", "reason": ""} | values))
    assert (await queue.get(review_id)).open


async def test_an_unknown_review(engine):
    queue = a_queue(engine)
    with pytest.raises(ReviewMissingError):
        await queue.get("none")
    with pytest.raises(ReviewMissingError):
        await queue.decide("none", outcome="approved", actor="m", reason="")


async def test_an_appeal_is_possible_once(engine):
    queue = a_queue(engine)
    decision_id = await a_decision(engine)
    await open_(queue, decision_id, kind="appeal")
    with pytest.raises(AppealError, match="before"):
        await open_(queue, decision_id, kind="appeal")


async def test_no_appeal_where_minors_are_protected(engine):
    decision_id = await a_decision(engine, Category.MINORS)
    with pytest.raises(AppealError, match="minors"):
        await open_(a_queue(engine), decision_id, kind="appeal")


async def test_no_appeal_without_a_decision(engine):
    with pytest.raises(AppealError):
        await open_(a_queue(engine), "none", kind="appeal")


async def test_what_nobody_decides_expires(engine):
    clock = Clock()
    queue = a_queue(engine, clock)
    late = await open_(queue, "d1", deadline_ms=2_000)
    await open_(queue, "d2")
    assert await queue.expire() == ()
    clock.now = 3_000
    assert [(r.id, r.status) for r in await queue.expire()] == [(late, "expired")]
    assert await queue.expire() == ()
    with pytest.raises(AlreadyDecidedError):
        await queue.decide(late, outcome="approved", actor="m", reason="")


async def test_forgetting_deletes_a_persons_reviews(engine):
    queue = a_queue(engine)
    await open_(queue, "d1")
    await open_(queue, "d2", subject="s2")
    assert len(await queue.of_subject("s1")) == 1
    async with engine.begin() as connection:
        await forget(connection, "s1")
    assert [r.subject for r in await queue.pending()] == ["s2"]


async def test_what_follows_from_a_decision_is_written_with_it_or_not_at_all(engine):
    queue = a_queue(engine)
    review_id = await open_(queue, kind="image")
    assert (await queue.of_decision("d1", "image")).id == review_id
    assert await queue.of_decision("d1", "hold") is None

    async def broken(connection):
        del connection
        raise OSError

    with pytest.raises(OSError):  # noqa: PT011 - ours
        await queue.decide(review_id, outcome="approved", actor="m", reason="", also=broken)
    assert (await queue.get(review_id)).open
    seen = []

    async def note(connection):
        seen.append((await connection.execute(text("SELECT status FROM reviews"))).scalar())

    await queue.decide(review_id, outcome="approved", actor="m", reason="", also=note)
    with pytest.raises(AlreadyDecidedError):
        await queue.decide(review_id, outcome="upheld", actor="n", reason="", also=note)
    assert seen == ["approved"]
