"""The pictures that an image was made from: in the bundle, bound by the record, and nobody else's."""

from __future__ import annotations

import hashlib
import json
import random

import pytest

from attribution import bundle as layout
from attribution.errors import EvidenceError
from attribution.images import encode_png
from attribution.standalone.verify import check, read_container, write_container
from attribution.verify import verify_bundle


@pytest.fixture
async def made(sqlite_engine, a_house, a_picture):
    """Ada in-paints an image that she made from one of her own: (house, release, files)."""
    house = await a_house(sqlite_engine)
    ada = await house.person("ada")
    parent = await house.release(ada, a_picture(1, 32, 32))
    source, mask = encode_png(a_picture(2, 32, 32)), encode_png(a_picture(3, 32, 32))
    release = await house.release(
        ada, a_picture(4, 32, 32), source=source, mask=mask, parents=[parent.image_id]
    )
    files = {"source.png": source, "mask.png": mask, "parent-1.png": await house.posted_bytes(parent)}
    return house, release, files


def failures(bundle: bytes, key: str | None = None) -> list[str]:
    return [f"{step.title}: {step.detail}" for step in check(bundle, key).steps if not step.ok]


def signed_again(house, monkeypatch, parts, **changes: bytes | None) -> bytes:
    """A bundle whose house itself swaps pictures: all digests of the index fit, and its signature holds."""
    real = layout.members_of

    def bent(origins):
        members = real(origins)
        for name, data in changes.items():
            full = "sources.json" if name == "sources" else f"{name.replace('_', '-')}.png"
            if data is None:
                del members[full]
            else:
                members[full] = data
        return members

    monkeypatch.setattr(layout, "members_of", bent)
    return layout.build_bundle(parts, signer=house.signer)


async def test_the_pictures_are_members_and_bound_by_the_record(made):
    house, release, files = made
    bundle = await house.room.export(release.image_id)
    assert failures(bundle, house.ledger.verifier_key) == []
    assert verify_bundle(bundle, house.ledger.verifier_key).ok
    members, _ = read_container(bundle)
    assert {name: members[name] for name in files} == files
    listed = json.loads(members["sources.json"])["sources"]
    assert [(one["role"], one["member"], one["absent"]) for one in listed] == [
        ("source", "source.png", ""),
        ("mask", "mask.png", ""),
        ("parent", "parent-1.png", ""),
    ]
    fields = json.loads(members["commitments.json"])["fields"]
    for role in ("source", "mask"):
        assert fields[f"{role}_sha256"] == hashlib.sha256(files[f"{role}.png"]).hexdigest()


async def test_any_altered_byte_of_them_is_named(made):
    house, release, _ = made
    bundle = await house.room.export(release.image_id)
    members, _ = read_container(bundle)
    chance = random.Random(3)
    for name in ("source.png", "mask.png", "parent-1.png", "sources.json"):
        start = bundle.index(members[name])
        size = len(members[name])
        for place in {0, size - 1, *(chance.randrange(size) for _ in range(6))}:
            altered = bytearray(bundle)
            altered[start + place] ^= 1 << chance.randrange(8)
            assert any(f"{name} was altered" in line for line in failures(bytes(altered)))


@pytest.mark.parametrize("name", ["source.png", "mask.png", "parent-1.png", "sources.json"])
async def test_one_that_is_dropped_or_added_is_named(made, name):
    house, release, _ = made
    members, _ = read_container(await house.room.export(release.image_id))
    dropped = write_container({one: data for one, data in members.items() if one != name})
    assert any(f"{name} is listed but missing" in line for line in failures(dropped))
    added = write_container({**members, "parent-2.png": members["parent-1.png"]})
    assert any("parent-2.png" in line for line in failures(added))


@pytest.mark.parametrize("name", ["source", "mask", "parent_1"])
async def test_a_house_that_signs_another_picture_is_caught(made, a_picture, monkeypatch, name):
    house, release, _ = made
    parts = await house.room.collect(release.image_id)
    other = encode_png(a_picture(9, 32, 32))
    (line,) = failures(signed_again(house, monkeypatch, parts, **{name: other}))
    assert f"{name.replace('_', '-')}.png is not the picture that was recorded" in line


async def test_a_house_that_leaves_pictures_out_is_caught(made, monkeypatch):
    house, release, _ = made
    parts = await house.room.collect(release.image_id)
    nothing = dict.fromkeys(("source", "mask", "parent_1", "sources"))
    (line,) = failures(signed_again(house, monkeypatch, parts, **nothing))
    assert "sources.json is missing" in line


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda listed: listed[:-1], "other images than the accepted job"),
        (lambda listed: listed[1:], "leaves out"),
        (lambda listed: [listed[0], *listed], "that it should not"),
        (lambda listed: [{**listed[0], "sha256": "0" * 64}, *listed[1:]], "another digest of source.png"),
        (lambda listed: [{**listed[0], "member": None}, *listed[1:]], "source.png is not listed"),
        (lambda listed: [{**listed[0], "member": "image.png"}, *listed[1:]], "that it should not"),
        (lambda listed: [{**listed[0], "role": "index"}, *listed[1:]], "index"),
        (lambda _: [], "leaves out"),
        (lambda _: "none", "lists no pictures"),
        (lambda listed: listed * 32, "lists no pictures"),
        (lambda listed: [{}, *listed[1:]], "other fields"),
    ],
)
async def test_a_list_that_does_not_fit_the_record_is_caught(made, monkeypatch, change, said):
    house, release, _ = made
    parts = await house.room.collect(release.image_id)
    listed = json.loads(layout.members_of(parts.origins)["sources.json"])["sources"]
    bent = json.dumps({"sources": change(listed)}).encode()
    lines = failures(signed_again(house, monkeypatch, parts, sources=bent))
    assert len(lines) == 1
    assert said in lines[0]


async def test_another_persons_picture_stays_out(made, a_picture):
    house, _, _ = made
    theirs = await house.release(await house.person("bob"), a_picture(5, 32, 32), prompt="a secret garden")
    ada = await house.person("ada")
    release = await house.release(ada, a_picture(6, 32, 32), parents=[theirs.image_id])
    bundle = await house.room.export(release.image_id)
    assert failures(bundle, house.ledger.verifier_key) == []
    members, _ = read_container(bundle)
    assert "parent-1.png" not in members
    (listed,) = json.loads(members["sources.json"])["sources"]
    assert listed == {
        "role": "parent",
        "member": None,
        "image_id": theirs.image_id,
        "sha256": theirs.sha256,
        "absent": "it is another person's",
    }
    assert (await house.posted_bytes(theirs))[:4096] not in bundle
    assert b"secret garden" not in bundle


async def test_the_images_on_the_way_are_members_and_bound_by_their_own_entries(made, a_picture, monkeypatch):
    house, release, _ = made
    ada = await house.person("ada")
    parent = (await house.releases.of_subject(ada))[0]
    beside = await house.release(ada, a_picture(11, 32, 32), job_id=parent.job_id, index=1)
    taken_back = await house.release(ada, a_picture(12, 32, 32), job_id=parent.job_id, index=2)
    await house.releases.mark_deleted(taken_back.image_id)
    parts = await house.room.collect(release.image_id)
    bundle = layout.build_bundle(parts, signer=house.signer)
    assert failures(bundle, house.ledger.verifier_key) == []
    members, _ = read_container(bundle)
    name = f"image-{beside.image_id}.png"
    assert members[name] == await house.posted_bytes(beside)
    assert [one for one in members if one.startswith("image-")] == [name]
    shown = [one.title for one in layout._on_the_way(parts)]
    assert [title.partition(":")[0] for title in shown] == sorted(title.partition(":")[0] for title in shown)
    assert sum("(this image)" in title for title in shown) == 1
    assert len(shown) == 3  # parent, this one, the one beside it

    altered = bytearray(bundle)
    altered[bundle.index(members[name]) + 9] ^= 4
    assert any(f"{name} was altered" in line for line in failures(bytes(altered)))
    added = write_container({**members, "image-0123456789abcdef.png": members[name]})
    assert any("image-0123456789abcdef.png" in line for line in failures(added))
    real = layout.members_of
    swapped = {name: members["parent-1.png"]}
    monkeypatch.setattr(layout, "members_of", lambda origins: {**real(origins), **swapped})
    (line,) = failures(layout.build_bundle(parts, signer=house.signer))
    assert f"{name} is not the picture that was recorded" in line
    extra = {"image-0123456789abcdef.png": members[name]}
    monkeypatch.setattr(layout, "members_of", lambda origins: {**real(origins), **extra})
    (line,) = failures(layout.build_bundle(parts, signer=house.signer))
    assert "image-0123456789abcdef.png is not listed" in line


async def test_what_is_kept_no_longer_is_said_and_not_claimed(made):
    house, release, _ = made
    house.given.clear()
    bundle = await house.room.export(release.image_id)
    assert failures(bundle, house.ledger.verifier_key) == []
    members, _ = read_container(bundle)
    assert {"source.png", "mask.png"}.isdisjoint(members)
    told = {one["role"]: one for one in json.loads(members["sources.json"])["sources"]}
    assert "kept no longer" in told["source"]["absent"]
    assert len(told["mask"]["sha256"]) == 64  # the record still says which it was


async def test_a_stored_picture_that_is_not_the_recorded_one_is_not_handed_out(made, a_picture):
    house, release, _ = made
    (blob,) = (one for one in house.given if one.startswith("source"))
    house.given[blob] = encode_png(a_picture(8, 32, 32))
    with pytest.raises(EvidenceError, match="not the recorded one"):
        await house.room.export(release.image_id)


async def test_an_older_record_without_digests_still_makes_a_bundle(made, a_picture):
    house, _, _ = made
    ada = await house.person("ada")
    source = encode_png(a_picture(7, 32, 32))
    old = await house.release(ada, a_picture(6, 32, 32), source=source, source_sha256="")
    bundle = await house.room.export(old.image_id)
    assert failures(bundle, house.ledger.verifier_key) == []
    assert "source.png" not in read_container(bundle)[0]  # nobody could tell it from another
