"""Which policy was in force from when."""

from __future__ import annotations

import asyncio
import hashlib

from moderation.decisions import Decisions
from moderation.policies import PolicyLog
from moderation.policy import Policy
from moderation.types import Action, Category, Finding, Scope, Verdict


async def test_a_line_for_each_change(engine):
    log = PolicyLog(engine, now_ms=iter(range(100, 200)).__next__)
    community, workplace = Policy.load("community"), Policy.load("workplace")
    assert await log.enter(community) == ""
    assert await log.enter(community) is None
    assert await log.enter(workplace) == community.version
    assert await log.enter(community) == workplace.version
    history = await log.history()
    assert [(one.name, one.in_force_ms) for one in history] == [
        ("community", 100),
        ("workplace", 101),
        ("community", 102),
    ]
    for one in history:  # the digest in a decision opens to what the policy said
        assert hashlib.sha256(one.content.encode()).hexdigest() == one.version


async def test_many_processes_note_a_change_once(engine):
    policy = Policy.load()
    results = await asyncio.gather(*(PolicyLog(engine).enter(policy) for _ in range(6)))
    assert sorted(map(str, results)) == ["", *["None"] * 5]


def test_alerts_have_their_numbers_and_count_for_the_version():
    text = 'extends = "community"\nname = "mine"\n[alerts]\nblocks = {}\nhours = 2\n'
    few, many = Policy.parse(text.format(2)), Policy.parse(text.format(9))
    assert (few.alerts.blocks, few.alerts.hours) == (2, 2.0)
    assert few.version != many.version


async def keep(subject: str, data: bytes) -> bytes:
    del subject
    return data


async def test_the_days_figures_and_who_has_many_blocks(engine):
    clock = iter(range(1_000, 9_000, 10))
    decisions = Decisions(engine, seal=keep, unseal=keep, now_ms=clock.__next__)

    async def record(action, category=Category.HATE, subject="s1", workspace="w1", kind="prompt"):
        found = (
            ()
            if action is Action.ALLOW
            else (Finding(rule="r", category=category, score=1.0, action=action),)
        )
        await decisions.record(
            subject=subject,
            scope=Scope(workspace_id=workspace),
            content_kind=kind,
            text="words",
            verdict=Verdict(action=action, findings=found),
        )

    await record(Action.BLOCK)  # at 1,000: before the day
    for _ in range(3):
        await record(Action.BLOCK)
    await record(Action.BLOCK, Category.SEXUAL, subject="s2")
    await record(Action.HOLD, kind="image")
    await record(Action.ALLOW)
    await record(Action.BLOCK, workspace="w2")
    assert await decisions.tally("w1", since_ms=1_001) == {
        ("prompt", Action.BLOCK, Category.HATE): 3,
        ("prompt", Action.BLOCK, Category.SEXUAL): 1,
        ("image", Action.HOLD, Category.HATE): 1,
        ("prompt", Action.ALLOW, None): 1,
    }
    assert await decisions.frequent(since_ms=1_001, blocks=3) == (("w1", "s1", 3),)
    assert await decisions.frequent(since_ms=0, blocks=4) == (("w1", "s1", 4),)
    assert await decisions.frequent(since_ms=0, blocks=5) == ()
    pages = []
    after = (0, "")
    while page := await decisions.since(1_001, content_kind="prompt", after=after, limit=2):
        after = (page[-1].created_ms, page[-1].id)
        pages += [one.created_ms for one in page]
    assert pages == [1_010, 1_020, 1_030, 1_040, 1_060, 1_070]


async def test_a_decision_under_a_chosen_id_is_made_once(engine):
    decisions = Decisions(engine, seal=keep, unseal=keep)
    for action in (Action.HOLD, Action.BLOCK):
        await decisions.record(
            subject="s1",
            scope=Scope(age_restricted=True),
            content_kind="image",
            text="words",
            verdict=Verdict(action=action),
            decision_id="0123456789abcdef",
        )
    known = await decisions.get("0123456789abcdef")
    assert (known.action, known.age_restricted) == (Action.HOLD, True)
