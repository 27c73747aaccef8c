from __future__ import annotations

import dataclasses
import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps
from sqlalchemy import select, update

from attribution.credentials import Credentials
from attribution.errors import ImageError
from attribution.images import ImageLimits, decode, encode_png
from attribution.lookup import PDQ_FALSE_MATCH_RATE, Lookup
from attribution.matches import Confidence
from attribution.tables import releases


def copied(data: bytes, kind: str) -> bytes:
    """A copy as it is found in the wild, without any metadata."""
    image = Image.fromarray(decode(data))
    buffer = io.BytesIO()
    if kind == "jpeg50":
        image.save(buffer, "JPEG", quality=50)
    elif kind == "webp":
        image.save(buffer, "WEBP", quality=80)
    elif kind == "half":
        image.resize((image.width // 2, image.height // 2)).save(buffer, "JPEG", quality=90)
    elif kind == "mirrored":
        image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(buffer, "JPEG", quality=90)
    else:
        image.save(buffer, "PNG")
    return buffer.getvalue()


async def test_the_posted_bytes_are_certain(engine, a_house, a_picture):
    house = await a_house(engine)
    release = await house.release(await house.person(), a_picture())
    result = await house.lookup.find(await house.posted_bytes(release))
    (match,) = result.matches
    assert (match.image_id, match.subject) == (release.image_id, release.subject)
    assert match.confidence is Confidence.CERTAIN
    assert match.evidence == ("sha256", "c2pa")
    assert match.false_match_rate == 0.0
    assert result.searched == 1
    assert result.ms > 0


async def test_credentials_that_hold_are_certain_even_in_other_bytes(sqlite_engine, a_house, a_picture):
    house = await a_house(sqlite_engine)
    release = await house.release(await house.person(), a_picture())
    async with sqlite_engine.begin() as connection:  # as if this copy were another, equally signed one
        await connection.execute(update(releases).values(sha256="0" * 64))
    (match,) = (await house.lookup.find(await house.posted_bytes(release))).matches
    assert (match.confidence, match.evidence) == (Confidence.CERTAIN, ("c2pa",))


@pytest.mark.parametrize("kind", ["png", "jpeg50", "webp", "half", "mirrored"])
async def test_a_stripped_copy_is_found_by_its_looks(sqlite_engine, a_house, a_picture, kind):
    house = await a_house(sqlite_engine)
    subject = await house.person()
    release = await house.release(subject, a_picture(1, 256, 256))
    for seed in range(2, 6):
        await house.release(subject, a_picture(seed))
    result = await house.lookup.find(copied(await house.posted_bytes(release), kind))
    (match,) = result.matches
    assert match.image_id == release.image_id
    assert match.confidence is Confidence.STRONG
    assert match.evidence == ("pdq",)
    assert match.false_match_rate == PDQ_FALSE_MATCH_RATE
    assert match.distance <= 16
    assert result.searched == 5


async def test_identical_pixels_of_two_people_name_both_and_neither_for_sure(engine, a_house, a_picture):
    house = await a_house(engine)
    ada = await house.release(await house.person("ada"), a_picture())
    bob = await house.release(await house.person("bob"), a_picture())
    found = (await house.lookup.find(copied(await house.posted_bytes(ada), "png"))).matches
    assert {match.subject for match in found} == {ada.subject, bob.subject}
    assert {match.confidence for match in found} == {Confidence.WEAK}
    (certain,) = (await house.lookup.find(await house.posted_bytes(bob))).matches
    assert certain.subject == bob.subject


async def test_a_stranger_is_not_found(sqlite_engine, a_house, a_picture):
    house = await a_house(sqlite_engine)
    await house.release(await house.person(), a_picture())
    result = await house.lookup.find(encode_png(a_picture(99)))
    assert result.matches == ()
    assert result.to_json()["matches"] == []


async def test_new_releases_are_found_without_a_restart(engine, a_house, a_picture):
    house = await a_house(engine)
    subject = await house.person()
    await house.release(subject, a_picture(0))
    assert await house.lookup.refresh() == 1
    later = await house.release(subject, a_picture(1))
    (match,) = (await house.lookup.find(copied(await house.posted_bytes(later), "jpeg50"))).matches
    assert match.image_id == later.image_id
    assert await house.lookup.refresh() == 2


async def test_a_manifest_moved_to_another_picture_convicts_nobody(sqlite_engine, a_house, a_picture):
    house = await a_house(sqlite_engine)
    release = await house.release(await house.person(), a_picture())
    signed = await house.posted_bytes(release)
    sidecar = (await house.releases.details(release.image_id)).sidecar
    start = signed.index(sidecar) - 8
    other = encode_png(a_picture(50))
    moved = other[:33] + signed[start : start + len(sidecar) + 12] + other[33:]
    assert (await house.lookup.find(moved)).matches == ()


async def test_a_record_named_under_another_root_convicts_nobody(
    sqlite_engine, a_house, a_picture, another_chain
):
    house = await a_house(sqlite_engine)
    release = await house.release(await house.person(), a_picture())
    forger = Credentials(**another_chain("A forger"), generator_version="1")
    facts = house.manifest_facts(release.image_id, "0" * 64)
    forged = forger.sign(encode_png(a_picture(50)), facts).data
    report = house.credentials.read(forged)
    assert report.valid
    assert report.record_id == release.image_id
    assert (await house.lookup.find(forged)).matches == ()


async def test_our_signature_without_a_record_in_the_ledger_is_no_match(sqlite_engine, a_house, a_picture):
    house = await a_house(sqlite_engine)
    draft = await house.draft(await house.person(), a_picture())
    data = await house.vault.unseal(draft.subject, house.blobs[draft.blob])
    assert (await house.lookup.find(data)).matches == ()


async def test_an_erased_person_is_reported_as_erased(engine, a_house, a_picture):
    house = await a_house(engine)
    release = await house.release(await house.person(), a_picture())
    signed = await house.posted_bytes(release)
    await house.lookup.refresh()
    await house.vault.erase(release.subject)
    await house.releases.forget(release.subject)

    (match,) = (await house.lookup.find(signed)).matches
    assert match.erased
    assert match.evidence == ("c2pa",)
    assert match.to_json()["erased"] is True
    assert (await house.lookup.find(copied(signed, "png"))).matches == ()  # the fingerprint is gone
    assert await house.lookup.refresh() == 0


async def test_fingerprints_can_be_dropped_at_once(sqlite_engine, a_house, a_picture):
    house = await a_house(sqlite_engine)
    release = await house.release(await house.person(), a_picture())
    await house.lookup.refresh()
    house.lookup.forget([release.image_id, "unknown"])
    assert (await house.lookup.find(copied(await house.posted_bytes(release), "png"))).matches == ()


async def test_a_flat_picture_says_that_it_cannot_be_compared(sqlite_engine, a_house):
    house = await a_house(sqlite_engine)
    flat = np.full((64, 64, 3), 200, np.uint8)
    release = await house.release(await house.person(), flat)
    result = await house.lookup.find(copied(await house.posted_bytes(release), "png"))
    assert result.matches == ()
    assert "too flat" in result.note
    (match,) = (await house.lookup.find(await house.posted_bytes(release))).matches
    assert match.confidence is Confidence.CERTAIN


async def test_a_damaged_manifest_does_not_hide_the_picture(sqlite_engine, a_house, a_picture):
    house = await a_house(sqlite_engine)
    release = await house.release(await house.person(), a_picture())
    signed = await house.posted_bytes(release)
    plain = encode_png(decode(signed))
    chunk = b"caBX\xff\xff\xff\xff"
    broken = plain[:33] + struct.pack(">I", 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) + plain[33:]
    (match,) = (await house.lookup.find(broken)).matches
    assert match.evidence == ("pdq",)


@pytest.mark.parametrize("data", [b"", b"hello", b"\x89PNG\r\n\x1a\n", b"GIF89a\xff\xff\xff\xff"])
async def test_what_is_no_picture_is_refused(sqlite_engine, a_house, data):
    house = await a_house(sqlite_engine)
    with pytest.raises(ImageError):
        await house.lookup.find(data)


async def test_the_limits_are_those_of_the_caller(sqlite_engine, a_house, a_picture):
    house = await a_house(sqlite_engine)
    small = Lookup(
        sqlite_engine,
        credentials=house.credentials,
        vault=house.vault,
        reader=house.lookup._reader_of_marks,
        limits=dataclasses.replace(ImageLimits(), max_pixels=100),
    )
    with pytest.raises(ImageError, match="pixels"):
        await small.find(encode_png(a_picture()))


def attacked(data: bytes, attack: str) -> bytes:
    """What somebody may do to a posted file before it is found again."""
    with Image.open(io.BytesIO(data)) as image:
        picture = image.convert("RGB")
    width, height = picture.size
    if attack == "cut":
        picture = picture.crop((20, 40, 20 + width * 3 // 4, height))
    elif attack == "mirror":
        picture = ImageOps.mirror(picture)
    elif attack == "frame":
        framed = Image.new("RGB", (width + 160, height + 90), (40, 40, 44))
        framed.paste(picture, (80, 45))
        picture = framed
    elif attack == "small":
        picture = picture.resize((width // 2, height // 2), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=75)
    return buffer.getvalue()


@pytest.mark.parametrize("attack", ["none", "cut", "mirror", "frame", "small"])
async def test_the_mark_tells_copies_of_equal_pixels_apart(sqlite_engine, a_house, a_picture, attack):
    house = await a_house(sqlite_engine)
    pixels = a_picture(3, 512, 512)
    people = {name: await house.person(name) for name in ("ada", "bob", "eve")}
    copies = {name: await house.release(subject, pixels, marked=True) for name, subject in people.items()}
    found = await house.lookup.find(attacked(await house.posted_bytes(copies["bob"]), attack))
    first, *rest = found.matches
    assert (first.image_id, first.subject) == (copies["bob"].image_id, people["bob"])
    assert first.confidence is Confidence.STRONG
    assert first.evidence[-1] == "mark"
    assert 0 < first.false_match_rate < 1e-6
    assert all(match.confidence is Confidence.WEAK for match in rest)


async def test_a_mark_moved_onto_another_picture_names_nobody(sqlite_engine, a_house, a_picture):
    house = await a_house(sqlite_engine)
    mine, other = a_picture(3, 512, 512), a_picture(4, 512, 512)
    release = await house.release(await house.person(), mine, marked=True)
    with Image.open(io.BytesIO(await house.posted_bytes(release))) as image:
        mark = np.asarray(image.convert("RGB")).astype(int) - mine
    forged = np.clip(other + mark, 0, 255).astype(np.uint8)
    assert (await house.lookup.find(encode_png(forged))).matches == ()


async def test_an_unmarked_copy_is_nobodys_by_mark(sqlite_engine, a_house, a_picture):
    house = await a_house(sqlite_engine)
    pixels = a_picture(3, 512, 512)
    for name in ("ada", "bob"):
        await house.release(await house.person(name), pixels, marked=True)
    found = await house.lookup.find(encode_png(pixels))
    assert {match.confidence for match in found.matches} == {Confidence.WEAK}
    assert {match.evidence for match in found.matches} == {("pdq",)}
    cut = await house.lookup.find(encode_png(np.ascontiguousarray(pixels[:, :330])))
    assert cut.matches == ()  # key points alone name nobody


async def test_an_erased_copy_is_not_found_by_parts_or_mark(sqlite_engine, a_house, a_picture):
    house = await a_house(sqlite_engine)
    subject = await house.person()
    release = await house.release(subject, a_picture(3, 512, 512), marked=True)
    cut = attacked(await house.posted_bytes(release), "cut")
    assert (await house.lookup.find(cut)).matches
    await house.releases.forget(subject)
    async with sqlite_engine.connect() as connection:
        row = (await connection.execute(select(releases))).one()
    assert (row.mark_id, row.keypoints, row.pdq) == (None, None, None)
    assert (await house.lookup.find(cut)).matches == ()  # this process still had its points in memory
