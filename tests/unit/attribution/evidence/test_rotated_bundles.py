"""Bundles of a ledger whose key was rotated, and bundles with a time stamp."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import runpy
import sys
from pathlib import Path

import pytest
import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from attribution.checkpoint import Checkpoint, VerifierKey, parse_note, sign_checkpoint
from attribution.publications import Publications
from attribution.record import EventKind
from attribution.rotation import Endorsement
from attribution.signing import LedgerKeys
from attribution.standalone import verify as standalone
from attribution.verify import verify_bundle

ORIGIN = "verso/0123456789abcdef"
NEW, STRANGER = (Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in (11, 12))
OVERLAP_MS = 1_000  # long over, by the clock of the houses
HELPER = runpy.run_path(str(Path(__file__).parents[1] / "authority.py"))
real = pytest.mark.skipif(HELPER["OPENSSL"] is None, reason="needs the openssl program")


def public(key: Ed25519PrivateKey) -> str:
    return str(VerifierKey.of(ORIGIN, key))


async def rotate(house, new: Ed25519PrivateKey) -> Endorsement:
    endorsement = Endorsement.make(ORIGIN, house.ledger.keys.signer, new, overlap_until_ms=OVERLAP_MS)
    keys = LedgerKeys(
        origin=ORIGIN,
        signer=new,
        retiring=((house.ledger.keys.signer, OVERLAP_MS),),
        endorsements=(*house.ledger.keys.endorsements, endorsement),
    )
    house.ledger._reload_keys = lambda: keys
    house.ledger.reload_keys()
    assert await house.ledger.record_rotations() == 1
    return endorsement


def failed(checklist) -> str:
    return "\n".join(f"{step.title}: {step.detail}" for step in checklist.steps if not step.ok)


def detail(checklist, title: str) -> str:
    return next(step.detail for step in checklist.steps if title in step.title)


def bent(bundle: bytes, signer: Ed25519PrivateKey, changes: dict[str, object]) -> bytes:
    """The bundle with other members (None: without), rightly signed by somebody who has this key."""
    members, problem = standalone.read_container(bundle)
    assert not problem
    for name, value in changes.items():
        members.pop(name, None)
        if value is not None:
            members[name] = rfc8785.dumps(value)
    index = json.loads(members.pop("index.json"))
    del index["signature"]
    index["verifier_key"] = public(signer)
    index["members"] = {
        name: {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
        for name, data in members.items()
    }
    signature = signer.sign(b"verso-evidence/1\n" + rfc8785.dumps(index))
    index["signature"] = base64.b64encode(signature).decode()
    return standalone.write_container({**members, "index.json": rfc8785.dumps(index)})


def member(bundle: bytes, name: str) -> dict:
    return json.loads(standalone.read_container(bundle)[0][name])


@pytest.fixture
async def rotated(sqlite_engine, a_house, a_picture):
    house = await a_house(sqlite_engine)
    release = await house.release(await house.person("ada"), a_picture(0, 48, 48))
    before = await house.room.export(release.image_id)
    old = house.ledger.keys.signer
    endorsement = await rotate(house, NEW)
    return house, release, old, before, await house.room.export(release.image_id), endorsement


async def test_a_bundle_after_the_rotation_is_trusted_through_old_key_or_new(rotated) -> None:
    _, _, old, _, bundle, endorsement = rotated
    assert member(bundle, "rotations.json")["rotations"][0]["entry"]["public"] == {
        "endorsement": str(endorsement)
    }
    for trust in (public(old), public(NEW), f"{public(old)}\n{public(NEW)}\n{endorsement}\n"):
        checklist = verify_bundle(bundle, trust)
        assert checklist.ok, failed(checklist)
        assert not checklist.self_certified
    assert "which a trusted key endorsed" in detail(verify_bundle(bundle, public(old)), "the signer is")
    assert "2 keys" in detail(verify_bundle(bundle), "keys follow each other")
    assert "signer" in failed(verify_bundle(bundle, public(STRANGER)))


async def test_a_bundle_from_before_stays_verifiable(rotated) -> None:
    _, _, old, bundle, _, endorsement = rotated
    assert "rotations.json" not in standalone.read_container(bundle)[0]
    assert verify_bundle(bundle, public(old)).ok
    assert verify_bundle(bundle, f"{public(old)}\n{public(NEW)}\n{endorsement}").ok
    assert not verify_bundle(bundle, public(NEW)).ok


async def test_the_script_in_the_bundle_says_the_same_without_verso(rotated, tmp_path: Path) -> None:
    _, _, old, _, bundle, _ = rotated
    (tmp_path / "verify.py").write_bytes(standalone.read_container(bundle)[0]["verify.py"])
    (tmp_path / "bundle.zip").write_bytes(bundle)
    for key, code in ((old, 0), (STRANGER, 1)):
        (tmp_path / "trust").write_text(public(key))
        run = await asyncio.create_subprocess_exec(
            sys.executable, "-I", "verify.py", "bundle.zip", "--trust", "trust", cwd=tmp_path, stdout=-1
        )
        output, _ = await run.communicate()
        assert run.returncode == code, output


async def test_a_receipt_from_before_holds_with_the_rotation_and_not_without_it(rotated) -> None:
    _, release, old, before, bundle, _ = rotated
    kept = member(before, "consistency.json")["receipt_checkpoint"]
    assert VerifierKey.parse(public(old)).key_hash in {one.key_hash for one in parse_note(kept).signatures}
    consistency = {**member(bundle, "consistency.json"), "receipt_checkpoint": kept}
    assert release.receipt.checkpoint == kept
    with_it = bent(bundle, NEW, {"consistency.json": consistency})
    assert verify_bundle(with_it).ok, failed(verify_bundle(with_it))
    without = bent(bundle, NEW, {"consistency.json": consistency, "rotations.json": None})
    assert "no key of this ledger that was in use" in failed(verify_bundle(without))


async def test_a_forged_rotation_is_refused(rotated) -> None:
    _, _, old, _, bundle, endorsement = rotated
    rotations = member(bundle, "rotations.json")
    words = str(endorsement).split(" ")
    rotations["rotations"][0]["entry"]["public"]["endorsement"] = " ".join([*words[:5], words[4]])
    assert "another root" in failed(verify_bundle(bent(bundle, NEW, {"rotations.json": rotations})))
    for broken in (
        {"rotations": []},
        {"rotations": {}},
        {},
        {"rotations": member(bundle, "rotations.json")["rotations"] * 2},
    ):
        assert not verify_bundle(bent(bundle, NEW, {"rotations.json": broken}), public(old)).ok


async def test_a_ledger_that_records_a_forged_rotation_convinces_nobody(
    sqlite_engine, a_house, a_picture
) -> None:
    """An owner of the database who lacks the old key goes on under a key of their own."""
    house = await a_house(sqlite_engine)
    release = await house.release(await house.person("ada"), a_picture(0, 48, 48))
    old = house.ledger.keys.signer
    words = str(Endorsement.make(ORIGIN, STRANGER, NEW, overlap_until_ms=0)).split(" ")
    forged = " ".join([words[0], public(old), *words[2:]])
    house.ledger._keys = LedgerKeys(origin=ORIGIN, signer=NEW)
    house.ledger._known_note = await _newest_note(sqlite_engine)  # the thief's program looks at nothing
    receipt = await house.ledger.append(EventKind.KEY_ROTATED, subject="", public={"endorsement": forged})

    async def unchecked() -> tuple[tuple[int, None], ...]:
        return ((receipt.leaf_index, None),)

    house.ledger.rotations = unchecked
    checklist = verify_bundle(await house.room.export(release.image_id), public(old))
    assert "the old key's endorsement of the new one does not hold" in failed(checklist)
    assert "signer" in failed(checklist)


async def _newest_note(engine) -> str:
    from sqlalchemy import select

    from attribution.tables import tree_heads

    async with engine.connect() as connection:
        return await connection.scalar(select(tree_heads.c.note))


async def test_a_thief_of_the_retired_key_cannot_sign_what_came_after_it(rotated) -> None:
    house, _, old, _, bundle, _ = rotated
    consistency = member(bundle, "consistency.json")
    size = await house.ledger.size()
    newest = (await house.ledger.prove(0)).root_hash
    forged = sign_checkpoint(Checkpoint(origin=ORIGIN, tree_size=size, root_hash=newest), old)
    consistency.update(receipt_checkpoint=forged, proof=[])
    # Up to its retirement the old key counts; of a later tree its signature alone does not.
    checklist = verify_bundle(bent(bundle, NEW, {"consistency.json": consistency}), public(old))
    assert "no key of this ledger that was in use" in failed(checklist)


async def test_a_thief_who_endorses_another_key_is_found_by_who_knows_the_true_one(
    rotated, sqlite_engine, a_house, a_picture
) -> None:
    from sqlalchemy import delete

    from attribution.tables import metadata

    _, _, old, _, _, endorsement = rotated
    async with sqlite_engine.begin() as connection:
        for table in reversed(metadata.sorted_tables):
            await connection.execute(delete(table))
    fork = await a_house(sqlite_engine)  # the thief keeps a ledger of the same name
    release = await fork.release(await fork.person("eve"), a_picture(1, 48, 48))
    await rotate(fork, STRANGER)
    bundle = await fork.room.export(release.image_id)
    checklist = verify_bundle(bundle, f"{public(old)}\n{public(NEW)}\n{endorsement}")
    assert "endorsed two different keys" in failed(checklist)


# -- time stamps


async def stamped(engine, authority, now_ms: int) -> str:
    """Date the newest checkpoint, as the publisher does."""
    publications = Publications(engine)
    claimed = await publications.claim("rfc3161:https://tsa.example/", now_ms=now_ms, period_ms=0, lease_ms=0)
    query = standalone.timestamp_request(claimed.note.encode(), 77)
    token = standalone.timestamp_token(authority.reply(query))
    await publications.done(claimed, now_ms=now_ms, token=token)
    return claimed.note


@real
async def test_a_bundle_carries_the_time_stamp_of_a_checkpoint_over_its_record(
    sqlite_engine, a_house, a_picture, tmp_path: Path
) -> None:
    authority = HELPER["Authority"](tmp_path / "tsa")
    house = await a_house(sqlite_engine)
    await house.ledger.append(EventKind.POSTED, subject="")
    too_old = await stamped(sqlite_engine, authority, 1)
    release = await house.release(await house.person("ada"), a_picture(0, 48, 48))
    note = await stamped(sqlite_engine, authority, 2)
    await rotate(house, NEW)  # the dated checkpoint is by a retired key
    bundle = await house.room.export(release.image_id)
    key = public(house.signer)
    dated = member(bundle, "timestamp.json")
    assert (dated["checkpoint"], dated["authority"]) == (note, "https://tsa.example/")
    plain = verify_bundle(bundle, key)
    assert plain.ok, failed(plain)
    assert "CN=Test authority, for whom nobody vouches" in detail(plain, "authority outside")
    vouched = verify_bundle(bundle, f"{key}\n{authority.root_pem}")
    assert vouched.ok
    assert "under a certificate that you trust" in detail(vouched, "authority outside")

    older = await Publications(sqlite_engine).dated(0, 1)
    assert older.note == too_old
    consistency = [node.hex() for node in await house.ledger.consistency(1)]
    old_stamp = {**dated, "checkpoint": too_old, "token": base64.b64encode(older.token).decode()}
    token = bytearray(base64.b64decode(dated["token"]))
    token[-1] ^= 1
    for change, reason in (
        ({**old_stamp, "consistency_proof": consistency}, "older than the record"),
        ({**dated, "token": old_stamp["token"]}, "over something else"),
        ({**dated, "token": base64.b64encode(token).decode()}, "does not hold"),
        ({**dated, "token": ""}, "time stamp"),
        ({**dated, "consistency_proof": []}, "consistency proof"),
        (
            {**dated, "checkpoint": dated["checkpoint"].replace("\n\u2014", "\n\u2014 x", 1)},
            "authority outside",
        ),
        ({**dated, "extra": 1}, "other fields"),
    ):
        assert reason in failed(verify_bundle(bent(bundle, NEW, {"timestamp.json": change}))), reason


async def test_a_bundle_without_a_time_stamp_says_whose_times_it_states(rotated) -> None:
    *_, bundle, _ = rotated
    assert "all times are the operator's" in detail(verify_bundle(bundle), "authority outside")
