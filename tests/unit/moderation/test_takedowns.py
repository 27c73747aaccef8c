"""Take-downs: one decision, a clock, and who was told."""

from __future__ import annotations

import asyncio

import pytest

from moderation.errors import TakedownError
from moderation.takedowns import CLOCK_MS, CONFIRMED, DISMISSED, Item, Takedowns
from moderation.withheld import Withheld


class Clock:
    def __init__(self):
        self.now = 10 * CLOCK_MS

    def __call__(self):
        self.now += 1
        return self.now


def an_item(image_id="i1", job_id="j1", subject="s1", why="name", **values):
    return Item(image_id=image_id, job_id=job_id, subject=subject, why=why, **values)


async def open_(takedowns, *items, **values):
    defaults = {"workspace_id": "w1", "requested_by": "the estate", "reason": "likeness", "actor": "mod"}
    return await takedowns.open_(items=items or (an_item(),), **(defaults | values))


async def confirm(takedowns, engine, takedown, *images, copies=()):
    async with engine.begin() as connection:
        await takedowns.confirm(takedown.id, actor="mod", images=images, copies=copies, connection=connection)


async def test_the_clock_runs_from_the_request(engine):
    clock = Clock()
    takedowns = Takedowns(engine, now_ms=clock)
    late = await open_(takedowns)
    early = await open_(takedowns, received_ms=clock.now - CLOCK_MS)
    assert late.deadline_ms == late.created_ms + CLOCK_MS
    assert early.deadline_ms <= clock.now
    assert [one.id for one in await takedowns.unfinished()] == [early.id, late.id]
    assert await takedowns.unfinished("w2") == ()
    with pytest.raises(TakedownError):
        await open_(takedowns, received_ms=clock.now + 10_000)


async def test_confirming_takes_the_chosen_and_their_copies_and_lets_the_others_stand(engine):
    takedowns, withheld = Takedowns(engine), Withheld(engine)
    takedown = await open_(takedowns, an_item("i1"), an_item("i2"), an_item("i3", "j3"))
    assert await withheld.images(["i1", "i2", "i3", "i9"]) == frozenset()
    copies = [an_item("i9", "j9", "s9", "identical", status=CONFIRMED)]
    await confirm(takedowns, engine, takedown, "i1", "i3", copies=copies)
    states = {item.image_id: item.status for item in (await takedowns.get(takedown.id)).items}
    assert states == {"i1": CONFIRMED, "i2": DISMISSED, "i3": CONFIRMED, "i9": CONFIRMED}
    assert await withheld.images(["i1", "i2", "i3", "i9"]) == {"i1", "i3", "i9"}


async def test_it_is_listed_until_the_posts_are_gone(engine):
    takedowns = Takedowns(engine)
    takedown = await open_(takedowns)
    await confirm(takedowns, engine, takedown, "i1")
    assert [one.id for one in await takedowns.unfinished()] == [takedown.id]
    await takedowns.removed("j1")
    assert await takedowns.unfinished() == ()
    ((known, item),) = await takedowns.of_job("j1")
    assert (known.id, item.image_id, item.removed_ms is not None) == (takedown.id, "i1", True)


async def test_of_two_moderators_one_decides(engine):
    takedowns = Takedowns(engine)
    takedown = await open_(takedowns)
    results = await asyncio.gather(
        *(takedowns.dismiss(takedown.id, actor=f"m{n}") for n in range(4)), return_exceptions=True
    )
    assert sum(result is None for result in results) == 1
    assert sum(isinstance(result, TakedownError) for result in results) == 3
    with pytest.raises(TakedownError):
        await confirm(takedowns, engine, takedown, "i1")
    assert (await takedowns.get(takedown.id)).status == DISMISSED


async def test_a_person_is_told_once(engine):
    takedowns = Takedowns(engine)
    takedown = await open_(takedowns, an_item("i1"), an_item("i2", "j2"), an_item("i3", "j3", "s2"))
    assert not await takedowns.tell(takedown.id, "s1")  # nothing is confirmed yet
    await confirm(takedowns, engine, takedown, "i1", "i2", "i3")
    assert [await takedowns.tell(takedown.id, "s1") for _ in range(3)] == [True, False, False]
    assert await takedowns.tell(takedown.id, "s2")


async def test_nothing_to_take_down_is_no_take_down(engine):
    takedowns = Takedowns(engine)
    with pytest.raises(TakedownError):
        await takedowns.open_(workspace_id="w1", requested_by="x", reason="y", actor="mod", items=())
    with pytest.raises(TakedownError):
        await takedowns.get("none")


async def test_a_request_with_an_id_of_its_own_is_taken_in_once(engine):
    takedowns = Takedowns(engine)
    first = await open_(takedowns, an_item("i1"), takedown_id="0" * 16)
    again = await open_(takedowns, an_item("i2"), takedown_id="0" * 16)
    assert (again.id, [item.image_id for item in again.items]) == (first.id, ["i1"])
    await takedowns.dismiss(first.id, actor="m1")
    with pytest.raises(TakedownError, match="decided before: dismissed"):
        await takedowns.dismiss(first.id, actor="m2")
    assert (await open_(takedowns, takedown_id="0" * 16)).status == DISMISSED
    assert await takedowns.unfinished() == ()
