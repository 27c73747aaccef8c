from __future__ import annotations

import asyncio
import dataclasses
import json

import pytest
from sqlalchemy import func, select

from attribution.checkpoint import VerifierKey
from attribution.errors import ErasedError, LedgerError, RecordError, VaultError
from attribution.record import EventKind
from attribution.release_facts import canonical_json
from attribution.tables import leaves, releases


async def count(engine, kind: EventKind) -> int:
    async with engine.connect() as connection:
        return await connection.scalar(select(func.count()).where(leaves.c.kind == kind.value))


async def test_a_release_is_a_row_and_an_entry(engine, a_house, a_picture):
    house = await a_house(engine)
    draft = await house.draft(await house.person(), a_picture())

    release = await house.releases.release(draft)

    assert release.receipt.verify([VerifierKey.parse(house.ledger.verifier_key)])
    entry = release.receipt.entry
    assert entry.kind is EventKind.IMAGE_RELEASED
    assert entry.id == release.image_id == release.entry_id
    assert entry.public["job_id"] == draft.job_id
    assert release.sha256 == draft.sha256
    assert release.pdq == draft.pdq.hex
    assert not release.deleted
    assert release.posted is None
    assert await house.releases.get(release.image_id) == release
    assert await house.releases.find(draft.job_id, 0) == release
    assert await house.releases.of_job(draft.job_id) == (release,)
    assert await house.releases.of_subject(draft.subject) == (release,)


async def test_the_entry_commits_to_every_fact_and_shows_none_of_them(sqlite_engine, a_house, a_picture):
    house = await a_house(sqlite_engine)
    draft = await house.draft(await house.person(), a_picture())
    release = await house.releases.release(draft)
    opening = await house.ledger.opening(release.entry_id)
    opening.check(release.receipt.entry)
    assert opening.fields["sha256"] == draft.sha256
    assert opening.fields["pixels_sha256"] == draft.pixels_sha256
    assert opening.fields["seed"] == "7"
    assert opening.fields["guidance_scale"] == "3.0"
    for hidden in (draft.sha256, draft.pixels_sha256, draft.pdq.hex, draft.prompt):
        assert hidden.encode() not in release.receipt.leaf


async def test_a_second_release_gives_the_first(engine, a_house, a_picture):
    house = await a_house(engine)
    draft = await house.draft(await house.person(), a_picture())
    first = await house.releases.release(draft)
    again = dataclasses.replace(draft, image_id="f" * 16, blob="0" * 64, sha256="1" * 64)
    assert await house.releases.release(again) == first
    assert await count(engine, EventKind.IMAGE_RELEASED) == 1


async def test_racing_releases_agree_on_one(engine, a_house, a_picture):
    house = await a_house(engine)
    draft = await house.draft(await house.person(), a_picture())
    drafts = [
        dataclasses.replace(draft, image_id=f"{number:x}" * 16, blob=str(number)) for number in range(6)
    ]
    found = await asyncio.gather(*(house.releases.release(one) for one in drafts))
    assert len({release.image_id for release in found}) == 1
    assert await count(engine, EventKind.IMAGE_RELEASED) == 1


async def test_a_release_that_the_ledger_refuses_leaves_nothing_behind(engine, a_house, a_picture):
    house = await a_house(engine)
    subject = await house.person()
    draft = await house.draft(subject, a_picture())
    await house.ledger.append(EventKind.POSTED, subject=subject, entry_id=draft.image_id)
    with pytest.raises(LedgerError):
        await house.releases.release(draft)
    assert await house.releases.find(draft.job_id, 0) is None
    async with engine.connect() as connection:
        assert await connection.scalar(select(func.count()).select_from(releases)) == 0


async def test_an_image_id_of_another_job_is_refused(sqlite_engine, a_house, a_picture):
    house = await a_house(sqlite_engine)
    draft = await house.draft(await house.person(), a_picture())
    await house.releases.release(draft)
    with pytest.raises(LedgerError, match="another job"):
        await house.releases.release(dataclasses.replace(draft, job_id="e" * 32))


async def test_the_receipt_stays_the_first_one(engine, a_house, a_picture):
    house = await a_house(engine)
    subject = await house.person()
    release = await house.release(subject, a_picture())
    await house.release(subject, a_picture(1))
    assert (await house.releases.get(release.image_id)).receipt == release.receipt
    assert release.receipt.tree_size == release.receipt.leaf_index + 1


async def test_the_sealed_part_opens_again(sqlite_engine, a_house, a_picture):
    house = await a_house(sqlite_engine)
    draft = await house.draft(await house.person(), a_picture())
    release = await house.releases.release(draft)
    details = await house.releases.details(release.image_id)
    assert details.sidecar == draft.sidecar
    assert json.loads(details.credits)[0]["title"] == "Apple"
    assert details.profile == canonical_json(draft.profile)
    assert await house.releases.details("0" * 16) is None


async def test_posting_and_deleting_are_noted_once(engine, a_house, a_picture):
    house = await a_house(engine)
    release = await house.release(await house.person(), a_picture())
    assert await house.releases.set_posted(release.image_id, '{"message": 1}')
    assert not await house.releases.set_posted(release.image_id, '{"message": 2}')
    assert await house.releases.mark_deleted(release.image_id)
    assert not await house.releases.mark_deleted(release.image_id, kind=EventKind.TAKE_DOWN)

    found = await house.releases.get(release.image_id)
    assert await house.vault.unseal(release.subject, found.posted) == b'{"message": 1}'
    assert found.deleted
    kinds = [stored.entry.kind for stored in await house.ledger.of_image(release.image_id)]
    assert kinds == [EventKind.IMAGE_RELEASED, EventKind.POSTED, EventKind.DELETED]
    with pytest.raises(LedgerError, match="no image"):
        await house.releases.set_posted("0" * 16, "{}")
    with pytest.raises(LedgerError, match="no image"):
        await house.releases.mark_deleted("0" * 16)


async def test_forgetting_blanks_the_rows_of_one_person_only(engine, a_house, a_picture):
    house = await a_house(engine)
    ada, bob = await house.person("ada"), await house.person("bob")
    mine = [await house.release(ada, a_picture(seed)) for seed in (0, 1)]
    theirs = await house.release(bob, a_picture(0))
    async with engine.begin() as connection:
        await house.vault.erase(ada, connection=connection)
        blobs = await house.releases.forget(ada, connection=connection)
    assert set(blobs) == {release.blob for release in mine}
    assert await house.releases.forget(ada) == ()

    blank = await house.releases.get(mine[0].image_id)
    assert (blank.blob, blank.sha256, blank.pixels_sha256, blank.pdq) == ("", "", "", None)
    assert blank.receipt == mine[0].receipt
    assert await house.releases.get(theirs.image_id) == theirs
    with pytest.raises((ErasedError, VaultError)):
        await house.releases.details(mine[0].image_id)
    assert (await house.ledger.audit()).ok


async def test_nothing_is_released_for_a_person_who_was_erased(sqlite_engine, a_house, a_picture):
    house = await a_house(sqlite_engine)
    draft = await house.draft(await house.person(), a_picture())
    await house.vault.erase(draft.subject)
    with pytest.raises(ErasedError):
        await house.releases.release(draft)


@pytest.mark.parametrize(
    "profile",
    [{"x": float("nan")}, {"x": 2**60}, {"x": "\ud800"}, {"x": object()}, {1: "x"}],
    ids=["nan", "too large", "half a surrogate pair", "no JSON", "a number as a key"],
)
async def test_what_json_cannot_say_exactly_is_refused(sqlite_engine, a_house, a_picture, profile):
    house = await a_house(sqlite_engine)
    draft = await house.draft(await house.person(), a_picture(), profile=profile)
    with pytest.raises(RecordError):
        await house.releases.release(draft)
