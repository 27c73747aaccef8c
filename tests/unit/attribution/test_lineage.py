from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncEngine

from attribution.errors import VerificationError
from attribution.ledger import Ledger
from attribution.lineage import Lineage
from attribution.record import EventKind as Kind
from attribution.tables import openings
from attribution.vault import Vault

MakeLedger = Callable[..., Ledger]


async def a_story(ledger: Ledger, subject: str) -> dict[str, str]:
    """A prompt, two candidates, one chosen, varied into a second job and posted; entry ids by name."""

    async def add(name: str, kind: Kind, public: dict[str, str | int], **private: str) -> None:
        receipt = await ledger.append(kind, subject=subject, public=public, private=private)
        ids[name] = receipt.entry_id

    ids: dict[str, str] = {}
    await add("prompt", Kind.PROMPT_SUBMITTED, {"job_id": "job1"}, prompt="a red apple")
    await add("job", Kind.JOB_ACCEPTED, {"job_id": "job1", "seed": 7}, prompt="a red apple")
    for image in ("img1", "img2"):
        await add(image, Kind.IMAGE_RELEASED, {"job_id": "job1", "image_id": image})
    await ledger.append(Kind.PROMPT_SUBMITTED, subject=subject, public={"job_id": "unrelated"})
    await add("chosen", Kind.CANDIDATE_CHOSEN, {"image_id": "img2"})
    await add(
        "variation",
        Kind.JOB_ACCEPTED,
        {"job_id": "job2", "parent_image_id": "img2"},
        prompt="a green apple",
    )
    await add("img3", Kind.IMAGE_RELEASED, {"job_id": "job2", "image_id": "img3"})
    await add("posted", Kind.POSTED, {"image_id": "img3"}, message="1234")
    return ids


async def test_a_timeline_follows_a_job_back_through_its_source_images(
    engine: AsyncEngine, a_ledger: MakeLedger, a_vault: Callable[..., Vault]
) -> None:
    vault = a_vault(engine)
    ledger = a_ledger(engine, vault=vault)
    ids = await a_story(ledger, await vault.subject("t", "t", "1"))
    timeline = await Lineage(ledger).of_image("img3")
    assert timeline.jobs == ("job2", "job1")
    assert [step.entry_id for step in timeline.steps] == list(ids.values())
    assert [step.number for step in timeline.steps] == list(range(1, 9))
    assert timeline.steps[0].hidden == {"prompt": "a red apple"}
    assert timeline.steps[2].hidden == {}
    assert [step.kind for step in timeline.by_person] == [Kind.PROMPT_SUBMITTED, Kind.CANDIDATE_CHOSEN]
    assert timeline.complete
    first = await Lineage(ledger).of_job("job1")
    assert first.jobs == ("job1",)
    assert ids["img3"] not in {step.entry_id for step in first.steps}


async def test_a_timeline_is_plain_json(
    sqlite_engine: AsyncEngine, a_ledger: MakeLedger, a_vault: Callable[..., Vault]
) -> None:
    vault = a_vault(sqlite_engine)
    ledger = a_ledger(sqlite_engine, vault=vault)
    await a_story(ledger, await vault.subject("t", "t", "1"))
    value = json.loads(json.dumps((await Lineage(ledger).of_job("job1")).to_json()))
    assert value["jobs"] == ["job1"]
    step = value["steps"][1]
    assert (step["kind"], step["actor"]) == ("job_accepted", "house")
    assert step["public"] == {"job_id": "job1", "seed": 7}
    assert step["hidden"] == {"prompt": "a red apple"}


async def test_who_may_not_see_the_words_sees_the_steps(
    sqlite_engine: AsyncEngine, a_ledger: MakeLedger, a_vault: Callable[..., Vault]
) -> None:
    vault = a_vault(sqlite_engine)
    ledger = a_ledger(sqlite_engine, vault=vault)
    await a_story(ledger, await vault.subject("t", "t", "1"))
    closed = await Lineage(ledger).of_image("img3", opened=False)
    assert len(closed.steps) == 8
    assert {step.hidden is None for step in closed.steps} == {True}


async def test_after_an_erasure_the_steps_remain_and_the_words_are_gone(
    sqlite_engine: AsyncEngine, a_ledger: MakeLedger, a_vault: Callable[..., Vault]
) -> None:
    vault = a_vault(sqlite_engine)
    ledger = a_ledger(sqlite_engine, vault=vault)
    subject = await vault.subject("t", "t", "1")
    await a_story(ledger, subject)
    await vault.erase(subject)
    timeline = await Lineage(ledger).of_job("job2")
    assert len(timeline.steps) == 8
    assert timeline.steps[0].hidden is None
    assert "apple" not in json.dumps(timeline.to_json())


async def test_an_opening_moved_to_another_entry_is_not_believed(
    sqlite_engine: AsyncEngine, a_ledger: MakeLedger, a_vault: Callable[..., Vault]
) -> None:
    vault = a_vault(sqlite_engine)
    ledger = a_ledger(sqlite_engine, vault=vault)
    ids = await a_story(ledger, await vault.subject("t", "t", "1"))
    async with sqlite_engine.begin() as connection:
        await connection.execute(
            update(openings).where(openings.c.entry_id == ids["prompt"]).values(entry_id="x")
        )
        await connection.execute(
            update(openings).where(openings.c.entry_id == ids["variation"]).values(entry_id=ids["prompt"])
        )
    with pytest.raises(VerificationError):
        await Lineage(ledger).of_job("job1")


async def test_images_that_name_each_other_as_sources_do_not_loop(
    sqlite_engine: AsyncEngine, a_ledger: MakeLedger
) -> None:
    ledger = a_ledger(sqlite_engine)
    for job, image, parent in (("a", "ia", "ib"), ("b", "ib", "ia")):
        await ledger.append(
            Kind.IMAGE_RELEASED,
            subject="",
            public={"job_id": job, "image_id": image, "parent_image_id": parent},
        )
    timeline = await Lineage(ledger).of_job("a")
    assert timeline.jobs == ("a", "b")
    assert timeline.complete
    assert len(timeline.steps) == 2


async def test_a_chain_that_is_too_long_says_so(
    sqlite_engine: AsyncEngine, a_ledger: MakeLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("attribution.lineage._MAX_JOBS", 2)
    ledger = a_ledger(sqlite_engine)
    for number in range(4):
        await ledger.append(
            Kind.IMAGE_RELEASED,
            subject="",
            public={
                "job_id": f"j{number}",
                "image_id": f"i{number}",
                "parent_image_id": f"i{number - 1}",
            },
        )
    timeline = await Lineage(ledger).of_job("j3")
    assert timeline.jobs == ("j3", "j2")
    assert not timeline.complete


async def test_what_was_never_recorded_has_an_empty_timeline(
    sqlite_engine: AsyncEngine, a_ledger: MakeLedger
) -> None:
    lineage = Lineage(a_ledger(sqlite_engine))
    assert (await lineage.of_image("nothing")).steps == ()
    assert (await lineage.of_job("nothing")).steps == ()


async def test_a_persons_whole_log(
    sqlite_engine: AsyncEngine, a_ledger: MakeLedger, a_vault: Callable[..., Vault]
) -> None:
    vault = a_vault(sqlite_engine)
    ledger = a_ledger(sqlite_engine, vault=vault)
    subject = await vault.subject("t", "t", "1")
    await ledger.append(Kind.POLICY_CHANGED, subject="")
    await a_story(ledger, subject)
    assert len((await Lineage(ledger).of_subject(subject)).steps) == 9


def test_every_kind_of_event_has_an_actor_and_a_title() -> None:
    from attribution import lineage

    assert set(lineage._ACTORS) == set(Kind)
    assert set(lineage._TITLES) == set(Kind)
