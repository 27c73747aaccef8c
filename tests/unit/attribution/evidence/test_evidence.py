from __future__ import annotations

import io
import json
import zipfile

import pytest

from attribution.bundle import build_bundle
from attribution.errors import ErasedError, EvidenceError
from attribution.record import EventKind
from attribution.verify import verify_bundle

MEMBERS = {
    "record.json",
    "commitments.json",
    "leaf.bin",
    "proof.json",
    "checkpoint.txt",
    "consistency.json",
    "image.png",
    "manifest.c2pa",
    "terms.txt",
    "acceptance.json",
    "lineage.json",
    "moderation.json",
    "profile.json",
    "report.pdf",
    "verify.py",
    "LIMITS.txt",
    "index.json",
}


async def test_a_bundle_verifies_and_has_the_promised_members(engine, a_house, a_picture):
    house = await a_house(engine)
    subject = await house.person()
    release = await house.release(subject, a_picture())
    await house.releases.set_posted(release.image_id, '{"message": "1"}')

    bundle = await house.room.export(release.image_id, actor="mod")

    checklist = verify_bundle(bundle, house.ledger.verifier_key)
    assert checklist.ok, [step for step in checklist.steps if not step.ok]
    assert not checklist.self_certified
    archive = zipfile.ZipFile(io.BytesIO(bundle))
    assert set(archive.namelist()) == MEMBERS
    assert archive.testzip() is None
    assert archive.read("image.png") == await house.posted_bytes(release)


async def test_the_bundle_tells_the_story(sqlite_engine, a_house, a_picture):
    house = await a_house(sqlite_engine)
    release = await house.release(await house.person(), a_picture())
    archive = zipfile.ZipFile(io.BytesIO(await house.room.export(release.image_id)))

    kinds = [step["entry"]["kind"] for step in json.loads(archive.read("lineage.json"))["steps"]]
    assert kinds == ["prompt_submitted", "job_accepted", "image_released"]
    assert json.loads(archive.read("commitments.json"))["fields"]["prompt"].startswith('a "red" apple')
    assert json.loads(archive.read("acceptance.json"))["opening"]["fields"]["user_id"] == "ada"
    assert json.loads(archive.read("profile.json")) == {"device": "cpu", "threads": 2, "torch": "2.13"}
    assert archive.read("report.pdf").startswith(b"%PDF-")


async def test_equal_parts_give_equal_bytes(sqlite_engine, a_house, a_picture):
    house = await a_house(sqlite_engine)
    release = await house.release(await house.person(), a_picture())
    parts = await house.room.collect(release.image_id)
    assert build_bundle(parts, signer=house.signer) == build_bundle(parts, signer=house.signer)


async def test_exporting_is_itself_recorded(sqlite_engine, a_house, a_picture):
    house = await a_house(sqlite_engine)
    subject = await house.person()
    release = await house.release(subject, a_picture())
    await house.room.export(release.image_id, actor="a moderator")
    last = (await house.ledger.entries(subject))[-1].entry
    assert last.kind is EventKind.EVIDENCE_EXPORTED
    assert (await house.ledger.opening(last.id)).fields["actor"] == "a moderator"


async def test_a_match_report_goes_along(sqlite_engine, a_house, a_picture):
    house = await a_house(sqlite_engine)
    release = await house.release(await house.person(), a_picture())
    found = await house.lookup.find(await house.posted_bytes(release))
    bundle = await house.room.export(release.image_id, match=found.to_json())
    assert verify_bundle(bundle, house.ledger.verifier_key).ok
    assert json.loads(zipfile.ZipFile(io.BytesIO(bundle)).read("match.json"))["matches"][0]["evidence"] == [
        "sha256",
        "c2pa",
    ]


async def test_hostile_words_do_not_bend_the_report(sqlite_engine, a_house, a_picture):
    house = await a_house(sqlite_engine)
    prompt = "<b>&amp;</para> \u4e2d\u6587 \U0001f600 \u202e\x00\x1b[31m" + "x" * 1500 + "\n" * 40
    release = await house.release(await house.person(), a_picture(), prompt=prompt)
    assert verify_bundle(await house.room.export(release.image_id), house.ledger.verifier_key).ok


async def test_long_words_fit_the_report(sqlite_engine, a_house, a_picture):
    house = await a_house(sqlite_engine)
    decisions = tuple({"content_kind": "prompt", "note": "word " * 600, "n": n} for n in range(12))
    release = await house.release(
        await house.person(), a_picture(height=40, width=400), prompt="y" * 20_000, moderation=decisions
    )
    assert verify_bundle(await house.room.export(release.image_id), house.ledger.verifier_key).ok


async def test_no_evidence_without_an_image_or_an_acceptance(sqlite_engine, a_house, a_picture):
    house = await a_house(sqlite_engine)
    with pytest.raises(EvidenceError, match="no released image"):
        await house.room.export("0" * 16)
    release = await house.release(await house.person(accepts=False), a_picture())
    with pytest.raises(EvidenceError, match="acceptance"):
        await house.room.export(release.image_id)


async def test_an_acceptance_after_the_image_does_not_count(sqlite_engine, a_house, a_picture):
    house = await a_house(sqlite_engine)
    release = await house.release(await house.person(accepts=False), a_picture())
    await house.person(accepts=True)
    with pytest.raises(EvidenceError, match="acceptance"):
        await house.room.export(release.image_id)


async def test_a_swapped_file_is_not_exported(sqlite_engine, a_house, a_picture):
    house = await a_house(sqlite_engine)
    subject = await house.person()
    release = await house.release(subject, a_picture())
    house.blobs[release.blob] = await house.vault.seal(subject, b"another file")
    with pytest.raises(EvidenceError, match="not the released one"):
        await house.room.export(release.image_id)


async def test_nothing_can_be_shown_after_an_erasure(sqlite_engine, a_house, a_picture):
    house = await a_house(sqlite_engine)
    subject = await house.person()
    release = await house.release(subject, a_picture())
    await house.vault.erase(subject)
    await house.releases.forget(subject)
    with pytest.raises(ErasedError):
        await house.room.export(release.image_id)
