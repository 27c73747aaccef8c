"""A member may look up so often an hour, and is told when again."""

from __future__ import annotations

from bot.conversation import Origin
from bot.usecases.lookup_limit import HOUR_MS, LookupLimit, LookupsSpent

START_MS = 1_790_000_000_000


def _origin(user: str = "ada", *, platform: str = "discord", workspace: str = "discord:1") -> Origin:
    return Origin(platform=platform, workspace_id=workspace, user_id=user, event_id="e")


def test_the_hour_slides_and_a_refusal_costs_nothing() -> None:
    now = [START_MS]
    limit = LookupLimit(2, now_ms=lambda: now[0])
    assert limit.take(_origin()) is None
    now[0] += 600_000
    assert limit.take(_origin()) is None
    spent = LookupsSpent(limit=2, again_ms=START_MS + HOUR_MS)
    assert [limit.take(_origin()) for _ in range(3)] == [spent] * 3
    now[0] = spent.again_ms - 1
    assert limit.take(_origin()) == spent
    now[0] = spent.again_ms
    assert limit.take(_origin()) is None
    assert limit.take(_origin()) == LookupsSpent(limit=2, again_ms=START_MS + 600_000 + HOUR_MS)


def test_members_count_for_themselves_and_the_operator_does_not() -> None:
    limit = LookupLimit(1, now_ms=lambda: START_MS)
    for who in (_origin(), _origin("bob"), _origin(workspace="discord:2"), _origin(platform="slack")):
        assert limit.take(who) is None
        assert limit.take(who) is not None
    assert [limit.take(_origin(platform="terminal")) for _ in range(3)] == [None] * 3


def test_what_is_remembered_has_a_bound() -> None:
    limit = LookupLimit(1, now_ms=lambda: START_MS)
    for number in range(10_001):
        limit.take(_origin(str(number)))
    assert limit.take(_origin("0")) is None
    assert limit.take(_origin("10000")) is not None
