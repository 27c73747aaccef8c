"""Whose turn it is to enter the engine."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generation.deficit import DeficitRoundRobin

ITEMS = st.lists(st.tuples(st.sampled_from("abc"), st.floats(0.1, 1e9)), max_size=30)  # (user, cost)


@given(items=ITEMS)
def test_everything_comes_out_once_and_each_user_in_order(items: list[tuple[str, float]]) -> None:
    lines: DeficitRoundRobin[tuple[str, int]] = DeficitRoundRobin()
    for number, (user, cost) in enumerate(items):
        lines.put(user, (user, number), cost=cost)
    out = []
    while (item := lines.pop()) is not None:
        out.append(item)
    assert sorted(number for _, number in out) == list(range(len(items)))
    for user in "abc":
        own = [number for name, number in out if name == user]
        assert own == sorted(own)
    assert len(lines) == 0


@given(flood=st.integers(5, 200), cost=st.floats(1, 100))
def test_a_light_user_does_not_wait_for_a_flood(flood: int, cost: float) -> None:
    lines: DeficitRoundRobin[str] = DeficitRoundRobin()
    for _ in range(flood):
        lines.put("heavy", "heavy", cost=cost)
    lines.put("light", "light", cost=cost)
    first = [lines.pop() for _ in range(int(2 + 40 / cost))]
    assert "light" in first


def test_users_get_equal_work_not_equal_turns() -> None:
    lines: DeficitRoundRobin[str] = DeficitRoundRobin(quantum=10)
    for _ in range(100):
        lines.put("long", "long", cost=30)
        lines.put("short", "short", cost=10)
    out = [lines.pop() for _ in range(80)]
    assert 2.5 <= out.count("short") / out.count("long") <= 3.5


def test_what_is_unwanted_is_taken_out() -> None:
    lines: DeficitRoundRobin[object] = DeficitRoundRobin()
    item, other = object(), object()
    lines.put("a", item, cost=1)
    lines.put("a", other, cost=1)
    assert lines.remove(item)
    assert not lines.remove(item)
    assert lines.pop() is other
    assert lines.pop() is None


def test_a_quantum_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="quantum"):
        DeficitRoundRobin(quantum=0)
