"""Who shares the next forward."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from generation.batching import PREVIEW_STEPS, Flight, next_batch


def a_flight(id_: int, *, key="a", arrival=0.0, step=5, steps=20, step_s=1.0) -> Flight:
    return Flight(id=id_, key=key, arrival=arrival, step=step, steps=steps, step_s=step_s)


def ids(*flights: Flight, rows: int = 4) -> list[int]:
    return [flight.id for flight in next_batch([replace(flight, rows=rows) for flight in flights])]


def test_nobody_makes_an_empty_batch() -> None:
    assert next_batch(()) == ()


def test_newcomers_get_their_preview_first() -> None:
    assert ids(a_flight(1, steps=6), a_flight(2, step=1, steps=50, arrival=9.0), rows=1) == [2]
    assert ids(a_flight(1, step=1, arrival=2.0), a_flight(2, step=0, arrival=1.0), rows=1) == [2]


def test_short_rests_pass_long_ones_but_age_wins() -> None:
    assert ids(a_flight(1, steps=50), a_flight(2, steps=10, arrival=10.0), rows=1) == [2]
    assert ids(a_flight(1, steps=50), a_flight(2, steps=10, arrival=500.0), rows=1) == [1]


def test_only_equal_keys_share_a_forward() -> None:
    assert ids(a_flight(1), a_flight(2, key="b"), a_flight(3)) == [1, 3]


FLIGHTS = st.lists(
    st.builds(
        Flight,
        id=st.integers(0, 10**6),
        key=st.sampled_from("abc"),
        arrival=st.floats(0, 1e4),
        step=st.integers(0, 9),
        steps=st.just(10),
        step_s=st.floats(0.01, 10),
    ),
    min_size=1,
    max_size=20,
    unique_by=lambda flight: flight.id,
)


@given(flights=FLIGHTS, rows=st.integers(1, 8))
def test_a_batch_is_full_uniform_and_led_by_the_most_urgent(flights: list[Flight], rows: int) -> None:
    flights = [replace(flight, rows=rows) for flight in flights]
    batch = next_batch(flights)
    assert len({flight.key for flight in batch}) == 1
    assert len(batch) == min(rows, sum(flight.key == batch[0].key for flight in flights))
    assert len(set(batch)) == len(batch)
    assert batch[0] == replace(next_batch([replace(f, rows=1) for f in flights])[0], rows=rows)
    if any(flight.step < PREVIEW_STEPS for flight in flights):
        assert batch[0].step < PREVIEW_STEPS
    assert next_batch(list(reversed(flights))) == batch
