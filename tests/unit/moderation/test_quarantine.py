"""Cases: closed off at once, preserved until a date, lifted where it was a mistake."""

from __future__ import annotations

import pytest

from moderation.errors import QuarantineError
from moderation.quarantine import Case, Quarantine
from moderation.types import Category
from moderation.withheld import Withheld

YEAR = 365 * 86_400_000


def a_case(case_id="c1", **values):
    defaults = {
        "workspace_id": "w1",
        "subject": "s1",
        "job_id": "j1",
        "index": 0,
        "image_id": "i1",
        "category": Category.ILLEGAL,
        "actor": "mod",
        "keeper": "k1",
        "blob": "b1",
        "sealed": b"sealed",
        "digests": {"sha256": "00"},
    }
    return Case(id=case_id, **(defaults | values))


class Clock:
    now = 1_000

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def quarantine(engine, clock):
    return Quarantine(engine, keep_ms=YEAR, now_ms=clock)


async def add(quarantine, engine, case):
    async with engine.begin() as connection:
        return await quarantine.add(case, connection)


async def test_a_case_hides_its_picture_and_its_job(quarantine, engine):
    withheld = Withheld(engine)
    assert await add(quarantine, engine, a_case())
    assert await withheld.images(["i1", "i2"]) == {"i1"}
    assert await withheld.quarantined(["i1"]) == {"i1"}
    assert await withheld.jobs(["j1", "j2", ""]) == {"j1"}
    known = await quarantine.get("c1", "w1")
    assert (known.created_ms, known.keep_until_ms, known.digests) == (1_000, 1_000 + YEAR, {"sha256": "00"})
    with pytest.raises(QuarantineError):
        await quarantine.get("c1", "w2")
    assert await quarantine.cases("w2") == ()


async def test_a_second_time_keeps_what_was_preserved_first(quarantine, engine):
    await add(quarantine, engine, a_case())
    assert not await add(quarantine, engine, a_case(sealed=b"other", blob="b2"))
    assert (await quarantine.get("c1")).sealed == b"sealed"


async def test_lifting_shows_it_again_and_a_new_mark_closes_it_again(quarantine, engine):
    withheld = Withheld(engine)
    await add(quarantine, engine, a_case())
    await quarantine.lift("c1", actor="mod")
    assert await withheld.images(["i1"]) == frozenset()
    assert await quarantine.cases() == ()
    with pytest.raises(QuarantineError):
        await quarantine.lift("c1", actor="mod")
    await add(quarantine, engine, a_case())
    assert await withheld.images(["i1"]) == {"i1"}


async def test_after_its_time_only_the_ban_is_left(quarantine, engine, clock):
    await add(quarantine, engine, a_case())
    await add(quarantine, engine, a_case("c2", image_id="i2"))
    await quarantine.lift("c2", actor="mod")
    assert await quarantine.due() == ()
    clock.now += YEAR
    due = await quarantine.due()
    assert [case.id for case in due] == ["c1", "c2"]
    async with engine.begin() as connection:
        for case in due:
            await quarantine.unkeep(case, connection)
    assert await quarantine.due() == ()
    left = await quarantine.get("c1")
    assert (left.sealed, left.blob, left.digests) == (b"", None, {})
    assert await Withheld(engine).images(["i1", "i2"]) == {"i1"}
    assert await quarantine.find("c2") is None
