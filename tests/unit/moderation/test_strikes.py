"""Strikes fade and time-outs grow."""

from __future__ import annotations

import asyncio

import pytest

from moderation.policy_parts import StrikePolicy
from moderation.retention import forget
from moderation.strikes import Strikes
from moderation.types import Category

DAY = 86_400_000
POLICY = StrikePolicy(per_timeout=3, decay_days=30, timeouts_s=(600, 3_600, 86_400, 604_800))


class Clock:
    def __init__(self):
        self.now = 1_700_000_000_000

    def __call__(self):
        self.now += 1
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def strikes(engine, clock):
    return Strikes(engine, policy=POLICY, now_ms=clock)


async def add(strikes, count=1, subject="s1", workspace="w1"):
    for _ in range(count):
        standing = await strikes.add(subject, workspace, category=Category.HATE)
    return standing


async def test_enough_strikes_time_out(strikes, clock):
    standing = await add(strikes, 2)
    assert (standing.live, standing.new_timeout, standing.timeout_until_ms) == (2, False, None)
    assert await strikes.timeout_until("s1", "w1") is None
    standing = await add(strikes)
    assert standing.new_timeout
    until = await strikes.timeout_until("s1", "w1")
    assert until == standing.timeout_until_ms
    assert 599_000 < until - clock.now <= 600_000


async def test_timeouts_grow_to_the_longest(strikes, clock):
    lengths = []
    for _ in range(5):
        standing = await add(strikes, 3)
        lengths.append(round((standing.timeout_until_ms - clock.now) / 1000))
        clock.now = standing.timeout_until_ms + 1
    assert lengths == [600, 3_600, 86_400, 604_800, 604_800]


async def test_a_timeout_ends(strikes, clock):
    standing = await add(strikes, 3)
    clock.now = standing.timeout_until_ms
    assert await strikes.timeout_until("s1", "w1") is None
    assert (await strikes.standing("s1", "w1")).live == 0


async def test_strikes_fade(strikes, clock):
    await add(strikes, 2)
    clock.now += 31 * DAY
    standing = await add(strikes)
    assert (standing.live, standing.new_timeout) == (1, False)


async def test_old_timeouts_no_longer_make_the_next_one_longer(strikes, clock):
    await add(strikes, 3)
    clock.now += 31 * DAY
    standing = await add(strikes, 3)
    assert round((standing.timeout_until_ms - clock.now) / 1000) == 600


async def test_people_and_workspaces_are_apart(strikes):
    await add(strikes, 3)
    assert await strikes.timeout_until("s2", "w1") is None
    assert await strikes.timeout_until("s1", "w2") is None
    assert (await add(strikes, 1, workspace="w2")).live == 1


async def test_one_decision_strikes_once(strikes):
    for _ in range(4):
        standing = await strikes.add("s1", "w1", category=Category.HATE, decision_id="d1")
    assert (standing.live, standing.new_timeout) == (1, False)


async def test_a_moderator_times_out_at_once_and_lifts(strikes):
    standing = await strikes.time_out("s1", "w1", actor="mod")
    assert standing.new_timeout
    assert await strikes.timeout_until("s1", "w1") == standing.timeout_until_ms
    assert await strikes.lift("s1", "w1")
    assert await strikes.timeout_until("s1", "w1") is None
    assert not await strikes.lift("s1", "w1")


async def test_strikes_at_the_same_moment_are_all_counted(strikes):
    standings = await asyncio.gather(*(add(strikes) for _ in range(6)))
    assert sum(standing.new_timeout for standing in standings) == 2


async def test_forgetting(strikes, engine):
    await add(strikes, 3)
    await add(strikes, 1, subject="s2")
    async with engine.begin() as connection:
        await forget(connection, "s1")
    assert await strikes.timeout_until("s1", "w1") is None
    assert (await strikes.standing("s2", "w1")).live == 1
