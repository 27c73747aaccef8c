from __future__ import annotations

import ast
import base64
import hashlib
import io
import json
import random
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from attribution import merkle
from attribution.checkpoint import VerifierKey
from attribution.errors import VerificationError
from attribution.images import decode, encode_png, pixels_digest
from attribution.standalone import verify as standalone
from attribution.verify import BundleError, Checklist, verify, verify_bundle, verify_image

SCRIPT = Path(standalone.__file__)
SCRIPT_BYTES = SCRIPT.read_bytes()
_KEPT: list[tuple[bytes, str, Ed25519PrivateKey, bytes, bytes]] = []


class Case:
    """One good bundle, made once, and ways to bend it."""

    def __init__(self, bundle: bytes, key: str, signer: Ed25519PrivateKey, image: bytes, root: bytes) -> None:
        self.bundle, self.key, self.signer, self.image, self.root = bundle, key, signer, image, root
        self.members, problem = standalone.read_container(bundle)
        assert problem == ""

    def check(self, data: bytes) -> standalone.Result:
        return standalone.check(data, self.key, lambda png: pixels_digest(decode(png)))

    def places(self) -> dict[str, int]:
        """Where the bytes of each member begin."""
        found, place = {}, 0
        for name in sorted(self.members):
            found[name] = place + 30 + len(name)
            place = found[name] + len(self.members[name])
        return found

    def signed_again(self, changes: dict[str, bytes], signer: Ed25519PrivateKey | None = None) -> bytes:
        """A bundle with other members, whose index is right and rightly signed: a cheating operator's."""
        members = {**self.members, **changes}
        index = json.loads(members.pop("index.json"))
        del index["signature"]
        key = signer or self.signer
        index["verifier_key"] = str(VerifierKey.of("verso/0123456789abcdef", key))
        index["members"] = {
            name: {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
            for name, data in members.items()
        }
        signature = key.sign(b"verso-evidence/1\n" + rfc8785.dumps(index))
        index["signature"] = base64.b64encode(signature).decode()
        return standalone.write_container({**members, "index.json": rfc8785.dumps(index)})

    def changed(self, name: str, change: Callable[[dict], None]) -> dict[str, bytes]:
        value = json.loads(self.members[name])
        change(value)
        return {name: rfc8785.dumps(value)}


@pytest.fixture
async def case(sqlite_engine, a_house, a_picture) -> Case:
    if not _KEPT:
        house = await a_house(sqlite_engine)
        await house.release(await house.person("bob"), a_picture(5))
        release = await house.release(await house.person("ada"), a_picture(0, 48, 48))
        await house.releases.set_posted(release.image_id, "{}")
        found = await house.lookup.find(await house.posted_bytes(release))
        bundle = await house.room.export(release.image_id, match=found.to_json())
        image = await house.posted_bytes(release)
        _KEPT.append((bundle, house.ledger.verifier_key, house.signer, image, house.credentials.root_pem))
    return Case(*_KEPT[0])


def failed(checklist: Checklist | standalone.Result) -> str:
    return "\n".join(f"{step.title}: {step.detail}" for step in checklist.steps if not step.ok)


def flipped(data: bytes, place: int, mask: int = 1) -> bytes:
    altered = bytearray(data)
    altered[place] ^= mask
    return bytes(altered)


# -- the good bundle


async def test_every_step_holds(case):
    checklist = verify_bundle(case.bundle, case.key)
    assert checklist.ok, failed(checklist)
    assert [step.number for step in checklist.steps] == list(range(1, 22))
    assert checklist.signer == case.key
    assert not checklist.self_certified
    assert verify(case.bundle, case.key) == checklist
    assert json.loads(json.dumps(checklist.to_json()))["ok"] is True


async def test_without_a_trusted_key_the_signer_is_self_certified(case):
    checklist = verify_bundle(case.bundle)
    assert checklist.ok
    assert checklist.self_certified
    assert "self-certified" in checklist.steps[19].detail


async def test_a_key_that_did_not_sign_fails_the_signer(case):
    other = str(VerifierKey.of("verso/0123456789abcdef", Ed25519PrivateKey.generate()))
    for trust in (other, "", "no key", f"# comment\n{other}\n"):
        checklist = verify_bundle(case.bundle, trust)
        assert not checklist.ok
        assert "signer" in failed(checklist)
    assert verify_bundle(case.bundle, f"# ours\n{other}\n  {case.key}  \n").ok


# -- any altered byte


async def test_an_altered_byte_in_any_member_is_found_and_named(case):
    chance = random.Random(1)
    for name, start in case.places().items():
        size = len(case.members[name])
        places = {0, size - 1, *(chance.randrange(size) for _ in range(3))}
        for place in places:
            mask = 1 << chance.randrange(8)
            result = case.check(flipped(case.bundle, start + place, mask))
            assert not result.ok, (name, place)
            assert name in failed(result), (name, place)
            # The same with a container that was made to fit: now only the digests can tell.
            altered = {**case.members, name: flipped(case.members[name], place, mask)}
            result = case.check(standalone.write_container(altered))
            assert not result.ok, (name, place)
            assert result.steps[0].ok
            assert name in failed(result) or name == "index.json", (name, place)


async def test_an_altered_byte_anywhere_in_the_index_is_found(case):
    index = case.members["index.json"]
    for place in range(0, len(index), 13):
        altered = {**case.members, "index.json": flipped(index, place)}
        result = case.check(standalone.write_container(altered))
        assert result.steps[0].ok
        assert not result.steps[3].ok, place
        assert "index" in result.steps[3].title


async def test_an_altered_byte_anywhere_in_the_container_is_found(case):
    bodies = {
        place
        for name, start in case.places().items()
        for place in range(start, start + len(case.members[name]))
    }
    structure = [place for place in range(len(case.bundle)) if place not in bodies]
    for place in structure[::11]:
        result = case.check(flipped(case.bundle, place, 0x41))
        assert not result.ok, place
        assert "container" in failed(result), place


async def test_an_altered_pixel_is_found(case):
    pixels = decode(case.image).copy()
    pixels[20, 20, 1] ^= 1
    result = case.check(case.signed_again({"image.png": encode_png(pixels)}))
    assert "the bytes of the image" in failed(result)
    assert "the pixels of the image" in failed(result)
    assert "content credentials" in failed(result)


async def test_a_cut_or_longer_bundle_is_refused(case):
    size = len(case.bundle)
    for length in (0, 1, 3, 22, 31, size // 2, size - 23, size - 22, size - 1):
        assert not case.check(case.bundle[:length]).ok, length
    for data in (case.bundle + b"\x00", b"\x00" + case.bundle, case.bundle + case.bundle):
        assert not case.check(data).ok


async def test_a_missing_or_added_member_is_named(case):
    for name in case.members:
        members = {key: data for key, data in case.members.items() if key != name}
        result = case.check(standalone.write_container(members))
        assert not result.ok, name
        assert name in failed(result), name
    result = case.check(standalone.write_container({**case.members, "extra.txt": b"x"}))
    assert "added: extra.txt" in failed(result)
    assert "extra.txt is not listed" in failed(result)
    assert "added: extra.txt" in failed(case.check(case.signed_again({"extra.txt": b"x"})))


async def test_the_optional_match_report_may_be_missing_only_if_it_never_was_there(case):
    members = {name: data for name, data in case.members.items() if name != "match.json"}
    assert "match.json is listed but missing" in failed(case.check(standalone.write_container(members)))
    with_fewer = Case(*_KEPT[0])
    del with_fewer.members["match.json"]
    assert case.check(with_fewer.signed_again({})).ok


# -- containers of other kinds


def rezipped(members: dict[str, bytes], **options: object) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", **options) as archive:
        for name in sorted(members):
            archive.writestr(zipfile.ZipInfo(name), members[name], options.get("compression"))
    return buffer.getvalue()


async def test_the_same_members_in_another_container_are_refused(case):
    commented = bytearray(case.bundle)
    commented[-2:] = b"\x01\x00"
    for data in (
        rezipped(case.members, compression=zipfile.ZIP_STORED),
        rezipped(case.members, compression=zipfile.ZIP_DEFLATED),
        bytes(commented) + b"x",
    ):
        result = case.check(data)
        assert not result.ok
        assert "container" in failed(result)


async def test_a_member_that_is_there_twice_is_refused(case):
    name = "LIMITS.txt"
    first = case.bundle[: 30 + len(name) + len(case.members[name])]
    result = case.check(first + case.bundle)
    assert not result.ok
    assert "LIMITS.txt is there twice" in failed(result)


async def test_sizes_and_bombs_cost_nothing(case):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("LIMITS.txt", bytes(50_000_000))
    assert "compressed" in failed(case.check(buffer.getvalue()))
    claim = bytearray(case.bundle)
    claim[18:26] = b"\xff\xff\xff\x7f" * 2
    assert "claims 2,147,483,647 bytes" in failed(case.check(bytes(claim)))
    many = standalone.write_container({f"m{number:03}": b"" for number in range(100)})
    assert "too many members" in failed(case.check(many))


def test_a_file_beyond_all_bundles_is_not_looked_at(monkeypatch):
    monkeypatch.setattr(standalone, "MAX_BUNDLE", 1000)
    with pytest.raises(BundleError, match="more than 1,000"):
        verify_bundle(bytes(1001))
    with pytest.raises(standalone.BundleError):
        standalone.write_container({"a": bytes(1001)})


@pytest.mark.parametrize(
    "data", [b"", b"PK", b"PK\x05\x06" + bytes(18), b"PK\x03\x04" + bytes(40), b"%PDF-1.7"]
)
def test_other_files_fail_the_first_step(data):
    checklist = verify_bundle(data)
    assert not checklist.ok
    assert len(checklist.steps) == 1


@given(st.binary(max_size=400))
def test_noise_never_raises(data):
    assert not verify_bundle(b"PK\x03\x04" + data).ok


# -- an operator who cheats, and signs what was altered


def another_text(value: str) -> Callable[[dict], None]:
    def change(opened: dict) -> None:
        opened["fields"]["prompt"] = value

    return change


async def test_altered_facts_fail_even_when_signed_again(case):
    cases = {
        "opened fields": case.changed("commitments.json", another_text("something else")),
        "terms": {"terms.txt": case.members["terms.txt"] + b"And your soul.\n"},
        "moderation decisions": {"moderation.json": b"[]"},
        "drawing profile": {"profile.json": b"{}"},
        "record is in the ledger": case.changed("proof.json", lambda p: p.update(leaf_index=1)),
        "one well-formed entry": case.changed("record.json", lambda r: r["entry"].update(at_ms=1)),
        "only grown": case.changed("consistency.json", lambda c: c.update(proof=["00" * 32])),
        "in order": case.changed("lineage.json", lambda v: v["steps"].reverse()),
        "same person accepted": case.changed("acceptance.json", lambda a: a.update(leaf_index=0)),
        "content credentials": {"manifest.c2pa": case.members["manifest.c2pa"][:-1]},
    }
    for expected, changes in cases.items():
        assert all(data != case.members[name] for name, data in changes.items())
        result = case.check(case.signed_again(changes))
        assert not result.ok, expected
        assert expected in failed(result), (expected, failed(result))
        assert "self-certified" not in failed(result)


async def test_an_altered_checkpoint_fails_even_when_signed_again(case):
    note = case.members["checkpoint.txt"].decode()
    size = note.split("\n")[1]
    for altered in (
        note.replace(f"\n{size}\n", f"\n{int(size) + 1}\n", 1),
        note.replace("verso/0123456789abcdef\n", "verso/another\n", 1),
        note[:-1],
        note.replace("\n\n", "\n"),
        note.replace("\u2014 ", "- "),
        "",
    ):
        result = case.check(case.signed_again({"checkpoint.txt": altered.encode()}))
        assert "the checkpoint is signed by the ledger" in failed(result)


async def test_anothers_acceptance_does_not_stand_in(case):
    """Bob accepted too, and his acceptance is in the same ledger."""

    def as_bob(value: dict) -> None:
        value["entry"]["subject"] = "b" * 32

    result = case.check(case.signed_again(case.changed("acceptance.json", as_bob)))
    assert "same person accepted" in failed(result)


async def test_a_bundle_that_a_stranger_signed_is_consistent_at_best(case):
    stranger = Ed25519PrivateKey.generate()
    result = case.check(case.signed_again({}, stranger))
    assert "the checkpoint is signed by the ledger" in failed(result)
    assert "the signer is the one you trust" in failed(result)


@pytest.mark.parametrize("name", ["record", "proof", "consistency", "acceptance", "lineage", "commitments"])
@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"{}", b"null", b"[" * 100_000, b'{"steps":[1]}', b"\xff", b'{"entry":{"public":[]}}'],
)
async def test_hostile_members_fail_and_never_raise(case, name, data):
    assert not case.check(case.signed_again({f"{name}.json": data})).ok


@pytest.mark.parametrize("name", ["leaf.bin", "image.png", "manifest.c2pa", "checkpoint.txt", "index.json"])
@pytest.mark.parametrize("data", [b"", b"\x89PNG\r\n\x1a\n", b"\x00" * 100])
async def test_hostile_files_fail_and_never_raise(case, name, data):
    if name == "index.json":
        result = case.check(standalone.write_container({**case.members, name: data}))
    else:
        result = case.check(case.signed_again({name: data}))
    assert not result.ok


async def test_an_index_of_another_spelling_is_refused(case):
    index = json.loads(case.members["index.json"])
    spellings = [
        json.dumps(index).encode(),
        case.members["index.json"] + b"\n",
        rfc8785.dumps({**index, "signature": index["signature"][:-2]}),
        rfc8785.dumps({**index, "note": "x"}),
        case.members["index.json"].replace(b'{"exported', b'{"exported_at_ms":1,"exported', 1),
    ]
    last = index["signature"][-3]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    other = alphabet[alphabet.index(last) + 1]  # the unused bits of base64
    spellings.append(rfc8785.dumps({**index, "signature": index["signature"][:-3] + other + "=="}))
    for spelling in spellings:
        result = case.check(standalone.write_container({**case.members, "index.json": spelling}))
        assert not result.ok, spelling[-120:]
        assert "index" in failed(result)


async def test_what_a_hostile_bundle_says_cannot_write_to_the_terminal(case):
    def change(value: dict) -> None:
        value["entry"]["kind"] = "\x1b[31mgood\u202e"

    result = case.check(case.signed_again(case.changed("record.json", change) | {"leaf.bin": b"\x1b[2J"}))
    assert not result.ok
    assert all(step.detail.isprintable() for step in result.steps)


async def test_a_key_with_a_bent_name_is_no_key(case):
    for name in ("verso/\x9b31m", "a b", "", "x\u202e"):
        data = b"\x01" + case.signer.public_key().public_bytes_raw()
        digest = standalone._key_hash(name, data[1:]).hex()
        assert standalone.trusted_keys(f"{name}+{digest}+{base64.b64encode(data).decode()}") == []
    assert standalone.trusted_keys(case.key) == [case.key]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(noise=st.binary(min_size=1, max_size=40), place=st.integers(0, 10_000))
async def test_a_hostile_manifest_fails_or_says_the_same(case, noise, place):
    manifest = bytearray(case.members["manifest.c2pa"])
    start = place % len(manifest)
    manifest[start : start + len(noise)] = noise
    chunk = b"caBX" + bytes(manifest)
    size = 12 + len(case.members["manifest.c2pa"])
    begin = case.image.index(b"caBX") - 4
    packed = struct.pack(">I", len(manifest)) + chunk + struct.pack(">I", zlib.crc32(chunk))
    png = case.image[:begin] + packed + case.image[begin + size :]
    said = standalone.read_credential(case.image)
    try:
        found = standalone.read_credential(png)
    except standalone.FailedError as failure:
        assert str(failure)  # noqa: PT017 - either outcome is right, a foreign error is not
    else:  # the noise hit padding, or was no change
        assert (found.record_id, found.signer, found.assertions) == (
            said.record_id,
            said.signer,
            said.assertions,
        )


# -- the script that goes along


def run_script(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own script
        [sys.executable, "-I", str(SCRIPT), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


async def test_the_script_in_the_bundle_reaches_the_same_verdicts(case, tmp_path):
    assert case.members["verify.py"] == SCRIPT_BYTES
    trust = tmp_path / "key.txt"
    trust.write_text(case.key)
    places = case.places()
    bundles = {
        "good": case.bundle,
        "pixel": flipped(case.bundle, places["image.png"] + 3000),
        "index": flipped(case.bundle, places["index.json"] + 40),
        "container": case.bundle + b"x",
        "facts": case.signed_again(case.changed("commitments.json", another_text("no"))),
    }
    for name, data in bundles.items():
        path = tmp_path / f"{name}.zip"
        path.write_bytes(data)
        run = run_script(str(path), "--trust", str(trust), "--json")
        ours = verify_bundle(data, case.key)
        theirs = json.loads(run.stdout)
        assert run.returncode == (0 if ours.ok else 1), (name, run.stderr)
        assert theirs["ok"] == ours.ok == (name == "good")
        verdicts = [(step["number"], step["ok"]) for step in theirs["steps"]]
        assert verdicts == [(step.number, step.ok) for step in ours.steps[: len(verdicts)]], name
        assert run.stderr == ""


async def test_the_script_prints_a_checklist(case, tmp_path):
    path = tmp_path / "b.zip"
    path.write_bytes(case.bundle)
    run = run_script(str(path))
    assert run.returncode == 0
    assert run.stdout.splitlines()[0].startswith(" 1. ok   the container")
    assert "self-certified" in run.stdout


def test_the_script_says_how_it_is_used(tmp_path):
    for arguments in ((), ("--help",), ("a", "b"), ("a", "--trust")):
        assert run_script(*arguments).returncode == 2
    missing = run_script(str(tmp_path / "none.zip"))
    assert missing.returncode == 1
    assert "Traceback" not in missing.stderr


def test_nothing_heavy_is_loaded_before_it_is_needed():
    modules = "credentials, evidence, lookup, metadata, releases, report, verify"
    code = f"import sys; from attribution import {modules}; print({{'c2pa', 'reportlab'}} & set(sys.modules))"
    run = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        cwd=SCRIPT.parents[2],
    )
    assert run.stdout.strip() == "set()"


def test_the_script_needs_python_3_9_and_cryptography_only():
    tree = ast.parse(SCRIPT_BYTES, feature_version=(3, 9))
    imported = {
        alias.name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    imported |= {
        str(node.module).split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)
    }
    assert imported - set(sys.stdlib_module_names) == {"cryptography"}


# -- its parts against the ones that the ledger uses


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=4), inner, max_size=4)
    ),
)


@given(JSON)
def test_canonical_json_is_that_of_rfc_8785(value):
    assert standalone.canonical_json(value) == rfc8785.dumps(value)


def grown(leaves: int) -> tuple[list[bytes], dict[int, bytes], list[bytes]]:
    """Leaf hashes, stored nodes, and the root after each leaf."""
    frontier: tuple[bytes, ...] = ()
    nodes: dict[int, bytes] = {}
    hashes, roots = [], []
    for number in range(leaves):
        hashes.append(merkle.leaf_hash(str(number).encode()))
        growth = merkle.grow(number, frontier, hashes[-1:])
        frontier = growth.frontier
        nodes.update(growth.nodes)
        roots.append(growth.root_hash)
    return hashes, nodes, roots


HASHES, NODES, ROOTS = grown(70)


@given(st.integers(1, 70), st.data())
def test_inclusion_is_judged_as_by_the_ledger(size, data):
    index = data.draw(st.integers(0, size - 1))
    proof = [merkle.range_hash(*part, NODES) for part in merkle.inclusion_ranges(index, size)]
    assert standalone.root_from_inclusion(HASHES[index], index, size, proof) == ROOTS[size - 1]
    wrong = data.draw(st.integers(0, size))
    bent = data.draw(st.sampled_from([proof, proof[:-1], [*proof, bytes(32)], [bytes(32), *proof[1:]]]))
    try:
        ours = standalone.root_from_inclusion(HASHES[index], wrong, size, bent) == ROOTS[size - 1]
    except standalone.FailedError:
        ours = False
    try:
        merkle.verify_inclusion(
            leaf=HASHES[index], leaf_index=wrong, tree_size=size, proof=bent, root_hash=ROOTS[size - 1]
        )
    except VerificationError:
        assert not ours
    else:
        assert ours


@given(st.integers(1, 70), st.integers(1, 70), st.data())
def test_consistency_is_judged_as_by_the_ledger(one, other, data):
    old, new = sorted((one, other))
    proof = [merkle.range_hash(*part, NODES) for part in merkle.consistency_ranges(old, new)]
    standalone.check_consistency(old, ROOTS[old - 1], new, ROOTS[new - 1], proof)
    bent = data.draw(st.sampled_from([[*proof, bytes(32)], [bytes(32), *proof[1:]], proof[:-1]]))
    root = data.draw(st.sampled_from([ROOTS[old - 1], bytes(32)]))
    if (bent, root) == (proof, ROOTS[old - 1]):
        return
    with pytest.raises(standalone.FailedError):
        standalone.check_consistency(old, root, new, ROOTS[new - 1], bent)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32), st.booleans())
def test_pixels_are_read_as_by_pillow(height, width, seed, smooth):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    if smooth:  # other row filters pay off
        pixels = np.cumsum(pixels // 60, axis=seed % 2).astype(np.uint8)
    assert standalone.pixels_digest(encode_png(pixels)) == pixels_digest(pixels)


def test_pictures_that_are_not_plain_rgb_are_refused():
    for image in (Image.new("L", (4, 4)), Image.new("RGBA", (4, 4)), Image.new("P", (4, 4))):
        buffer = io.BytesIO()
        image.save(buffer, "PNG")
        with pytest.raises(standalone.FailedError, match="not plain 8-bit RGB"):
            standalone.pixels_digest(buffer.getvalue())


# -- images on their own


async def test_a_signed_image_says_what_can_be_said(case):
    checklist = verify_image(case.image)
    assert checklist.ok
    assert checklist.self_certified
    assert checklist.signer == "Test house image signer"
    assert "nobody vouches" in checklist.steps[-1].detail
    assert verify(case.image) == checklist


async def test_the_ledgers_key_vouches_for_the_images_it_endorsed(case):
    for trust in (case.key, case.root.decode(), f"# keys\n{case.key}\n{case.root.decode()}"):
        checklist = verify_image(case.image, trust)
        assert checklist.ok, failed(checklist)
        assert not checklist.self_certified
    other = str(VerifierKey.of("verso/0123456789abcdef", Ed25519PrivateKey.generate()))
    for trust in (other, "", "-----BEGIN CERTIFICATE-----\nno\n-----END CERTIFICATE-----"):
        checklist = verify_image(case.image, trust)
        assert not checklist.ok
        assert checklist.self_certified
        assert "vouches for" in failed(checklist)


async def test_an_altered_image_fails(case):
    chunk = case.image.index(b"IDAT")
    altered = decode(case.image).copy()
    altered[0, 0, 0] ^= 1
    checklist = verify_image(flipped(case.image, chunk + 60))
    assert not checklist.ok
    stripped = verify_image(encode_png(altered))
    assert not stripped.ok
    assert "does not say" in failed(stripped)


async def test_a_manifest_on_another_picture_fails_the_binding(case):
    sidecar = case.members["manifest.c2pa"]
    start = case.image.index(sidecar) - 8
    other = encode_png(decode(case.image)[::-1].copy())
    moved = other[:33] + case.image[start : start + len(sidecar) + 12] + other[33:]
    assert "assertion.dataHash.mismatch" in failed(verify_image(moved))


@pytest.mark.parametrize("data", [b"", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"\xff\xd8\xff\xe0" + bytes(30)])
def test_what_is_no_picture_fails_the_first_step(data):
    checklist = verify_image(data)
    assert not checklist.ok
    assert len(checklist.steps) == 1
