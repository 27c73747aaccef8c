"""Every verdict is stored; the words only sealed."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from moderation.decisions import Decisions
from moderation.retention import forget
from moderation.types import Action, Category, Finding, Scope, Verdict

FINDINGS = (
    Finding(
        rule="lexicon",
        category=Category.VIOLENCE,
        score=0.95,
        action=Action.BLOCK,
        clause="house/violence",
        advice="violence",
    ),
    Finding(rule="names", category=Category.ARTIST_STYLE, score=0.3, action=Action.ALLOW),
)
VERDICT = Verdict(
    action=Action.BLOCK,
    findings=FINDINGS,
    scores={Category.VIOLENCE: 0.95, Category.ARTIST_STYLE: 0.3},
    policy_version="v" * 64,
    elapsed_ms=3.5,
)
SCOPE = Scope(platform="discord", workspace_id="discord:1")


async def seal(subject: str, data: bytes) -> bytes:
    return b"sealed:" + subject.encode() + b":" + bytes(255 - byte for byte in data)


async def unseal(subject: str, data: bytes) -> bytes:
    prefix = b"sealed:" + subject.encode() + b":"
    if not data.startswith(prefix):
        raise LookupError("erased")
    return bytes(255 - byte for byte in data[len(prefix) :])


def a_log(engine, **values) -> Decisions:
    ids = iter(f"{n:016x}" for n in range(1, 100))
    clock = iter(range(1000, 2000))
    return Decisions(
        engine, seal=seal, unseal=unseal, new_id=lambda: next(ids), now_ms=lambda: next(clock), **values
    )


async def record(log, subject="s1", **values):
    defaults = {"scope": SCOPE, "content_kind": "prompt", "text": "my very own words", "verdict": VERDICT}
    return await log.record(subject=subject, **(defaults | values))


async def test_what_was_decided_comes_back(engine):
    log = a_log(engine)
    decision_id = await record(log, job_id="j1")
    (stored,) = await log.of_job("j1")
    assert stored.id == decision_id
    assert stored.findings == FINDINGS
    assert stored.scores == VERDICT.scores
    assert (stored.action, stored.policy_version, stored.elapsed_ms) == (Action.BLOCK, "v" * 64, 3.5)
    assert (stored.platform, stored.workspace_id, stored.content_kind) == ("discord", "discord:1", "prompt")
    assert stored.gravest == FINDINGS[0]
    assert await log.text(decision_id) == "my very own words"
    assert await log.get(decision_id) == stored


async def test_the_words_are_not_in_the_database(engine):
    await record(a_log(engine))
    async with engine.connect() as connection:
        rows = (await connection.execute(text("SELECT * FROM decisions"))).all()
    assert "own words" not in repr(rows)


async def test_decisions_are_listed_oldest_first_and_only_ones_own(engine):
    log = a_log(engine)
    first = await record(log)
    second = await record(log, content_kind="image", text="")
    await record(log, subject="s2")
    assert [d.id for d in await log.of_subject("s1")] == [first, second]
    assert await log.of_subject("nobody") == ()


async def test_a_job_can_be_attached_later(engine):
    log = a_log(engine)
    decision_id = await record(log)
    assert await log.of_job("j9") == ()
    await log.attach(decision_id, "j9")
    assert [d.id for d in await log.of_job("j9")] == [decision_id]


async def test_forgetting_deletes_one_persons_rows(engine):
    log = a_log(engine)
    await record(log)
    kept = await record(log, subject="s2")
    async with engine.begin() as connection:
        await forget(connection, "s1")
    assert await log.of_subject("s1") == ()
    assert [d.id for d in await log.of_subject("s2")] == [kept]


async def test_an_unknown_decision_is_none(engine):
    log = a_log(engine)
    assert await log.get("x") is None
    assert await log.text("x") is None


async def test_a_failing_seal_stores_nothing(engine):
    async def broken(_subject, _data):
        raise LookupError("erased")

    log = Decisions(engine, seal=broken, unseal=unseal)
    with pytest.raises(LookupError):
        await record(log)
    assert await a_log(engine).of_subject("s1") == ()


async def test_lone_surrogates_do_not_break_the_log(engine):
    log = a_log(engine)
    assert await log.text(await record(log, text="a\ud800b")) == "a?b"
