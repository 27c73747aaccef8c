"""A member may look up so often an hour, and is told when again."""

from __future__ import annotations

import asyncio

import pytest

from attribution.lookup_times import HOUR_MS, LookupTimes, forget_lookups
from attribution.vault import Vault
from bot.conversation import Origin
from bot.usecases.lookup_limit import LookupLimit, LookupsSpent

START_MS = 1_790_000_000_000


def _origin(user: str = "ada", *, platform: str = "discord", workspace: str = "discord:1") -> Origin:
    return Origin(platform=platform, workspace_id=workspace, user_id=user, event_id="e")


@pytest.fixture
def a_limit(engine):
    """A limit as one process has it; the clock is a list of one number."""

    def build(per_hour: int, now: list[int]) -> LookupLimit:
        vault = Vault(engine, vault_key=bytes(32), lookup_key=bytes(32))
        return LookupLimit(LookupTimes(engine), vault=vault, per_hour=per_hour, now_ms=lambda: now[0])

    return build


async def test_the_hour_slides_and_a_refusal_costs_nothing(a_limit) -> None:
    now = [START_MS]
    limit = a_limit(2, now)
    assert await limit.take(_origin()) is None
    now[0] += 600_000
    assert await limit.take(_origin()) is None
    spent = LookupsSpent(limit=2, again_ms=START_MS + HOUR_MS)
    assert [await limit.take(_origin()) for _ in range(3)] == [spent] * 3
    now[0] = spent.again_ms - 1
    assert await limit.take(_origin()) == spent
    now[0] = spent.again_ms
    assert await limit.take(_origin()) is None
    assert await limit.take(_origin()) == LookupsSpent(limit=2, again_ms=START_MS + 600_000 + HOUR_MS)


async def test_members_count_for_themselves_and_the_operator_does_not(a_limit) -> None:
    limit = a_limit(1, [START_MS])
    for who in (_origin(), _origin("bob"), _origin(workspace="discord:2"), _origin(platform="slack")):
        assert await limit.take(who) is None
        assert await limit.take(who) is not None
    assert [await limit.take(_origin(platform="terminal")) for _ in range(3)] == [None] * 3


async def test_all_processes_count_together_and_a_restart_forgets_nothing(a_limit) -> None:
    now = [START_MS]
    one, other = a_limit(5, now), a_limit(5, now)
    await one.take(_origin())  # the person is known: what is tested are the look-ups at once
    taken = await asyncio.gather(*((one if n % 2 else other).take(_origin()) for n in range(12)))
    assert taken.count(None) == 4
    assert await a_limit(5, now).take(_origin()) == LookupsSpent(limit=5, again_ms=START_MS + HOUR_MS)


async def test_a_lower_limit_counts_what_was_taken_under_the_higher_one(a_limit) -> None:
    now = [START_MS]
    for _ in range(4):
        assert await a_limit(4, now).take(_origin()) is None
        now[0] += 1000
    spent = await a_limit(2, now).take(_origin())
    assert spent == LookupsSpent(limit=2, again_ms=START_MS + 2000 + HOUR_MS)


async def test_old_look_ups_are_deleted_and_an_erased_persons_at_once(a_limit, engine) -> None:
    async def rows() -> int:
        async with engine.connect() as connection:
            return (await connection.exec_driver_sql("SELECT count(*) FROM lookups")).scalar_one()

    now = [START_MS]
    limit = a_limit(3, now)
    for user in ("ada", "bob", "bob"):
        await limit.take(_origin(user))
    assert await rows() == 3
    vault = Vault(engine, vault_key=bytes(32), lookup_key=bytes(32))
    async with engine.begin() as connection:
        await forget_lookups(connection, await vault.find("discord", "discord:1", "bob"))
    assert await rows() == 1
    now[0] += HOUR_MS
    await limit.take(_origin("carol"))
    assert await rows() == 1  # Carol's; Ada's hour is over
