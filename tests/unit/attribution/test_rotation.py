"""Rotation of the ledger's key: endorsements, the key ring, crashes, tampering."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine

import attribution
from attribution import key_files
from attribution.checkpoint import Checkpoint, VerifierKey, open_checkpoint, parse_note, sign_checkpoint
from attribution.errors import KeyFileError, LedgerError, VerificationError
from attribution.key_index import load_ledger_keys, rotate_ledger_key
from attribution.keys import KeyRing
from attribution.ledger import Ledger
from attribution.record import EventKind
from attribution.rotation import Endorsement, KeyChain
from attribution.signing import LedgerKeys
from attribution.standalone import verify as standalone

ORIGIN = "verso/0123456789abcdef"
ONE, TWO, THREE, THIEF = (Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in range(1, 5))
FIRST = Endorsement.make(ORIGIN, ONE, TWO, overlap_until_ms=1_800_000_000_000)
SECOND = Endorsement.make(ORIGIN, TWO, THREE, overlap_until_ms=1_900_000_000_000)
NOW, DAY = 1_790_000_000_000, 86_400_000


def public(key: Ed25519PrivateKey) -> VerifierKey:
    return VerifierKey.of(ORIGIN, key)


def head(size: int, *keys: Ed25519PrivateKey) -> str:
    return sign_checkpoint(Checkpoint(origin=ORIGIN, tree_size=size, root_hash=bytes([size]) * 32), *keys)


# -- endorsements


def test_an_endorsement_is_one_line_that_both_readers_accept() -> None:
    line = str(FIRST)
    assert "\n" not in line
    assert len(line) <= 512  # fits a public fact of a leaf
    assert Endorsement.parse(line) == FIRST
    assert standalone.open_endorsement(line) == (str(FIRST.old), str(FIRST.new))
    assert Endorsement.make(ORIGIN, ONE, TWO, overlap_until_ms=1_800_000_000_000).entry_id == FIRST.entry_id
    assert FIRST.entry_id != SECOND.entry_id


@given(st.integers(0, 365), st.integers(0, 255))
def test_an_altered_endorsement_is_refused_by_both_readers(place: int, byte: int) -> None:
    line = str(FIRST)
    altered = line[: place % len(line)] + chr(byte) + line[place % len(line) + 1 :]
    if altered == line:
        return
    with pytest.raises(VerificationError):
        Endorsement.parse(altered)
    with pytest.raises((standalone.FailedError, ValueError)):
        standalone.open_endorsement(altered)


@pytest.mark.parametrize(
    "line",
    [
        "",
        str(FIRST) + " ",
        str(FIRST).replace(" ", "  ", 1),
        str(FIRST) + "\n",
        " ".join([*str(FIRST).split(" ")[:4], *reversed(str(FIRST).split(" ")[4:])]),  # signatures swapped
        " ".join([*str(FIRST).split(" ")[:5], str(SECOND).split(" ")[5]]),
        "x" * 2000,
    ],
)
def test_malformed_endorsements_are_refused(line: str) -> None:
    with pytest.raises(VerificationError):
        Endorsement.parse(line)


def test_a_thief_cannot_endorse_itself_without_the_old_key() -> None:
    with pytest.raises(VerificationError, match="did not endorse"):
        Endorsement(
            old=public(ONE),
            new=public(THIEF),
            overlap_until_ms=NOW,
            old_signature=THIEF.sign(b"anything"),
            new_signature=THIEF.sign(b"anything"),
        )
    with pytest.raises(VerificationError, match="one key"):
        Endorsement.make(ORIGIN, ONE, ONE, overlap_until_ms=NOW)


# -- chains


def test_every_key_of_the_chain_is_trusted_from_any_of_its_links() -> None:
    for trusted in (ONE, TWO, THREE):
        chain = KeyChain.of([public(trusted)], [(5, FIRST), (9, SECOND)])
        for note in (head(3, ONE), head(5, ONE), head(6, TWO), head(9, TWO), head(10, THREE), head(2, THREE)):
            chain.open(note)


def test_a_retired_key_signs_nothing_beyond_its_retirement() -> None:
    chain = KeyChain.of([public(ONE)], [(5, FIRST), (9, SECOND)])
    for note in (head(6, ONE), head(10, TWO), head(10, ONE, TWO)):
        with pytest.raises(VerificationError, match="retired"):
            chain.open(note)
    assert chain.open(head(6, TWO, ONE)).tree_size == 6  # beside its successor, in the overlap
    with pytest.raises(VerificationError):
        chain.open(head(6, THIEF))
    with pytest.raises(VerificationError):
        KeyChain.of([public(THIEF)], [(5, FIRST)]).open(head(3, ONE))


@pytest.mark.parametrize(
    "rotations",
    [
        [(5, FIRST), (5, SECOND)],
        [(9, FIRST), (5, SECOND)],
        [(5, SECOND), (9, FIRST)],
        [(5, FIRST), (9, Endorsement.make(ORIGIN, ONE, THIEF, overlap_until_ms=NOW))],  # a fork
        [(5, FIRST), (9, Endorsement.make(ORIGIN, TWO, ONE, overlap_until_ms=NOW))],  # a retired key again
    ],
)
def test_rotations_that_do_not_follow_each_other_are_refused(rotations) -> None:
    with pytest.raises(VerificationError):
        KeyChain.of([public(ONE)], rotations)


# -- signing


def test_both_keys_sign_until_the_overlap_ends() -> None:
    keys = LedgerKeys(
        origin=ORIGIN, signer=TWO, retiring=((ONE, FIRST.overlap_until_ms),), endorsements=(FIRST,)
    )
    body = Checkpoint(origin=ORIGIN, tree_size=7, root_hash=bytes(32))
    for moment, count in ((FIRST.overlap_until_ms - 1, 2), (FIRST.overlap_until_ms, 1)):
        note = keys.sign(body, now_ms=moment)
        assert len(parse_note(note).signatures) == count
        assert open_checkpoint(note, [public(TWO)]) == body
    with pytest.raises(VerificationError):
        open_checkpoint(note, [public(ONE)])
    assert "private" not in repr(keys).lower()
    with pytest.raises(VerificationError, match="follow"):
        LedgerKeys(origin=ORIGIN, signer=THREE, endorsements=(FIRST,))
    with pytest.raises(VerificationError, match="follow"):
        LedgerKeys(origin=ORIGIN, signer=TWO, endorsements=(SECOND, FIRST))


# -- the key ring


def test_a_rotated_ring_signs_with_both_keys_and_shows_both(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    old = KeyRing.open(folder)
    endorsement = rotate_ledger_key(folder, now_ms=NOW, overlap_ms=DAY)
    ring = KeyRing.open(folder)
    assert (str(endorsement.old), str(endorsement.new)) == (old.ledger_verifier_key, ring.ledger_verifier_key)
    assert endorsement.overlap_until_ms == NOW + DAY
    assert ring.vault_key == old.vault_key
    assert [info.name for info in ring.describe()][:2] == ["ledger", "ledger (retired)"]
    note = ring.ledger.sign(Checkpoint(origin=ring.origin, tree_size=0, root_hash=bytes(32)), now_ms=NOW)
    for key in ring.ledger.verifier_keys:
        open_checkpoint(note, [key])
    second = rotate_ledger_key(folder, now_ms=NOW + 2 * DAY, overlap_ms=DAY)
    third = KeyRing.open(folder)
    assert third.ledger.endorsements == (endorsement, second)
    assert len(set(third.ledger.verifier_keys)) == 3
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


def test_the_file_of_a_retired_key_may_be_removed(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    KeyRing.open(folder)
    rotate_ledger_key(folder, now_ms=NOW, overlap_ms=DAY)
    (folder / "ledger-1.pem").unlink()
    ring = KeyRing.open(folder)
    assert ring.ledger.retiring == ()
    assert len(ring.ledger.verifier_keys) == 2
    assert all(info.path.is_file() for info in ring.describe())
    rotate_ledger_key(folder, now_ms=NOW, overlap_ms=DAY)
    assert len(KeyRing.open(folder).ledger.verifier_keys) == 3


def test_a_crash_before_the_list_is_replaced_leaves_the_old_key_in_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "keys"
    old = KeyRing.open(folder)

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", crash)
        with pytest.raises(KeyboardInterrupt):
            rotate_ledger_key(folder, now_ms=NOW, overlap_ms=DAY)
    left = (folder / "ledger-2.pem").read_bytes()
    assert KeyRing.open(folder).ledger_verifier_key == old.ledger_verifier_key
    rotate_ledger_key(folder, now_ms=NOW, overlap_ms=DAY)
    assert (folder / "ledger-2.pem").read_bytes() == left
    assert len(KeyRing.open(folder).ledger.verifier_keys) == 2


def test_a_process_killed_at_any_moment_leaves_a_working_ring(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    KeyRing.open(folder)
    program = (
        "import sys; from pathlib import Path; from attribution.key_index import rotate_ledger_key\n"
        "print('ready', flush=True)\n"
        "while True: rotate_ledger_key(Path(sys.argv[1]), now_ms=0, overlap_ms=1)\n"
    )
    chance = random.Random(7)
    count = 1
    for _ in range(4):
        child = subprocess.Popen(  # noqa: S603 - our own interpreter and words
            [sys.executable, "-c", program, str(folder)],
            stdout=subprocess.PIPE,
            cwd=Path(attribution.__file__).parents[1],
        )
        assert child.stdout.readline() == b"ready\n"
        time.sleep(0.02 + chance.random() / 10)
        os.kill(child.pid, signal.SIGKILL)
        child.communicate()
        keys = load_ledger_keys(folder)
        assert len(keys.verifier_keys) >= count
        assert len(set(keys.verifier_keys)) == len(keys.verifier_keys)
        count = len(keys.verifier_keys)
        rotate_ledger_key(folder, now_ms=NOW, overlap_ms=DAY)
        KeyRing.open(folder)
    assert count > 1


def test_two_processes_that_rotate_at_once_take_turns(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    KeyRing.open(folder)
    program = (
        "import sys; from pathlib import Path; from attribution.key_index import rotate_ledger_key\n"
        "for _ in range(5): rotate_ledger_key(Path(sys.argv[1]), now_ms=0, overlap_ms=1)\n"
    )
    children = [
        subprocess.Popen(  # noqa: S603 - our own interpreter and words
            [sys.executable, "-c", program, str(folder)], cwd=Path(attribution.__file__).parents[1]
        )
        for _ in range(2)
    ]
    assert [child.wait(60) for child in children] == [0, 0]
    assert len(KeyRing.open(folder).ledger.verifier_keys) == 11


def _tampered(folder: Path, change: Callable[[list[dict[str, str]]], None]) -> None:
    index = json.loads((folder / "keys.json").read_text())
    change(index["keys"]["ledger"])
    (folder / "keys.json").write_text(json.dumps(index))


@pytest.mark.parametrize(
    "change",
    [
        lambda files: files[1].update(endorsement=str(FIRST)),  # of other keys
        lambda files: files[1].update(endorsement=files[1]["endorsement"][:-8] + "AAAAAAA="),
        lambda files: files[1].pop("endorsement"),
        lambda files: files.reverse(),
        lambda files: files.pop(0),
        lambda files: files.insert(1, dict(files[1])),
    ],
)
def test_a_forged_list_of_keys_is_refused(tmp_path: Path, change) -> None:
    folder = tmp_path / "keys"
    KeyRing.open(folder)
    rotate_ledger_key(folder, now_ms=NOW, overlap_ms=DAY)
    _tampered(folder, change)
    if len(json.loads((folder / "keys.json").read_text())["keys"]["ledger"]) == 1:
        # Without its history the new key opens, but it signs for a ledger that has another one: see below.
        assert KeyRing.open(folder).ledger.endorsements == ()
        return
    with pytest.raises(KeyFileError, match="rotation of the ledger's key"):
        KeyRing.open(folder)


# -- the ledger


def a_ledger(engine: AsyncEngine, folder: Path, a_vault, *, now_ms: int = NOW) -> Ledger:
    return Ledger(
        engine,
        keys=KeyRing.open(folder).ledger,
        vault=a_vault(engine),
        reload_keys=lambda: load_ledger_keys(folder),
        now_ms=lambda: now_ms,
    )


async def test_a_rotation_is_recorded_once_and_old_and_new_keys_audit(
    engine: AsyncEngine, tmp_path: Path, a_vault
) -> None:
    folder = tmp_path / "keys"
    ledger = a_ledger(engine, folder, a_vault)
    receipts = [await ledger.append(EventKind.POSTED, subject="") for _ in range(3)]
    old = ledger.verifier_key
    endorsement = rotate_ledger_key(folder, now_ms=NOW, overlap_ms=DAY)
    ledger.reload_keys()
    assert await ledger.record_rotations() == 1
    assert await ledger.record_rotations() == 0
    assert await ledger.rotations() == ((3, endorsement),)
    receipts += [await ledger.append(EventKind.POSTED, subject="") for _ in range(2)]
    new = ledger.verifier_key
    receipts[-1].verify([VerifierKey.parse(old)])  # both sign in the overlap
    receipts[-1].verify([VerifierKey.parse(new)])
    later = a_ledger(engine, folder, a_vault, now_ms=NOW + 2 * DAY)
    receipts.append(await later.append(EventKind.POSTED, subject=""))
    with pytest.raises(VerificationError):
        receipts[-1].verify([VerifierKey.parse(old)])
    for trust in ([old], [new], []):
        report = await later.audit([one.checkpoint for one in receipts], verifier_keys=trust)
        assert report.ok, report.problems
    stranger = str(VerifierKey.of(later.keys.origin, THIEF))
    assert not (await later.audit(verifier_keys=[stranger])).ok


async def test_a_rotation_cut_off_before_its_leaf_is_completed_by_the_next_start(
    sqlite_engine: AsyncEngine, tmp_path: Path, a_vault
) -> None:
    folder = tmp_path / "keys"
    before = a_ledger(sqlite_engine, folder, a_vault)
    await before.append(EventKind.POSTED, subject="")
    rotate_ledger_key(folder, now_ms=NOW, overlap_ms=DAY)  # and here the process dies
    await before.append(EventKind.POSTED, subject="")  # one that runs on with the old key harms nothing
    after = a_ledger(sqlite_engine, folder, a_vault)
    assert len(parse_note(await after.head()).signatures) == 2
    (await after.prove(0)).verify([VerifierKey.parse(after.verifier_key)])
    assert await after.record_rotations() == 1
    await before.append(EventKind.POSTED, subject="")  # and takes the new key up as soon as it is recorded
    assert before.verifier_key == after.verifier_key
    assert (await after.audit()).ok


async def test_a_key_folder_that_was_rolled_back_is_noticed_and_signs_nothing(
    engine: AsyncEngine, tmp_path: Path, a_vault
) -> None:
    folder = tmp_path / "keys"
    ledger = a_ledger(engine, folder, a_vault)
    await ledger.append(EventKind.POSTED, subject="")
    kept = (folder / "keys.json").read_bytes()
    rotate_ledger_key(folder, now_ms=NOW, overlap_ms=DAY)
    ledger.reload_keys()
    await ledger.record_rotations()
    newest = (folder / "keys.json").read_bytes()
    key_files.replace(folder / "keys.json", kept)
    rolled_back = a_ledger(engine, folder, a_vault)
    for attempt in (
        rolled_back.append(EventKind.POSTED, subject=""),
        rolled_back.record_rotations(),
        rolled_back.head(),
        rolled_back.prove(0),
    ):
        with pytest.raises(LedgerError, match="key folder does not have"):
            await attempt
    assert (await rolled_back.audit()).size == 2  # looking is still possible
    key_files.replace(folder / "keys.json", newest)
    assert (await rolled_back.append(EventKind.POSTED, subject="")).leaf_index == 2
    assert (await rolled_back.audit()).ok


async def test_the_audit_names_a_forged_rotation(
    sqlite_engine: AsyncEngine, a_ledger: Callable[..., Ledger]
) -> None:
    ledger = a_ledger(sqlite_engine, keys=LedgerKeys(origin=ORIGIN, signer=ONE))
    await ledger.append(EventKind.POSTED, subject="")
    # An owner of the database without the old key records an endorsement that the old key never gave.
    words = str(Endorsement.make(ORIGIN, ONE, THIEF, overlap_until_ms=NOW)).split(" ")
    forged = " ".join([*words[:4], words[5], words[5]])
    await ledger.append(EventKind.KEY_ROTATED, subject="", public={"endorsement": forged})
    report = await ledger.audit()
    assert [(problem.kind, problem.leaf_index) for problem in report.problems] == [("key", 1)]
    assert "did not endorse" in report.problems[0].detail
    with pytest.raises(LedgerError, match="does not hold"):
        await ledger.rotations()


async def test_the_audit_names_a_second_rotation_of_one_key(
    sqlite_engine: AsyncEngine, a_ledger: Callable[..., Ledger]
) -> None:
    ledger = a_ledger(sqlite_engine, keys=LedgerKeys(origin=ORIGIN, signer=TWO, endorsements=(FIRST,)))
    await ledger.record_rotations()
    stolen = Endorsement.make(ORIGIN, ONE, THIEF, overlap_until_ms=NOW)
    await ledger.append(
        EventKind.KEY_ROTATED,
        subject="",
        public={"endorsement": str(stolen)},
        entry_id=stolen.entry_id,
    )
    report = await ledger.audit(verifier_keys=[str(FIRST.old)])
    assert [(problem.kind, problem.leaf_index) for problem in report.problems] == [("key", 1)]
    assert "not in use" in report.problems[0].detail


async def test_a_head_signed_with_the_retired_key_alone_is_a_problem(
    sqlite_engine: AsyncEngine, a_ledger: Callable[..., Ledger]
) -> None:
    ledger = a_ledger(sqlite_engine, keys=LedgerKeys(origin=ORIGIN, signer=TWO, endorsements=(FIRST,)))
    await ledger.append(EventKind.POSTED, subject="")
    await ledger.record_rotations()
    await ledger.append(EventKind.POSTED, subject="")
    newest = open_checkpoint(await ledger.head(), [public(TWO)])
    report = await ledger.audit([sign_checkpoint(newest, ONE)])
    assert [problem.kind for problem in report.problems] == ["checkpoint"]
    assert "retired" in report.problems[0].detail
