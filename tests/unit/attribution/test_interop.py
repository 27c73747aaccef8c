"""Vectors that Go's sumdb and npm's @sigstore/verify accepted: Verso makes and accepts the same ones."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import runpy
import shutil
import subprocess
from pathlib import Path

import pytest

from attribution import merkle
from attribution.checkpoint import VerifierKey, open_checkpoint
from attribution.errors import VerificationError
from attribution.record import parse
from attribution.rotation import Endorsement, KeyChain
from attribution.standalone import verify as standalone

VECTORS = Path(__file__).parents[2] / "vectors"
DATA = (VECTORS / "interop-v1.json").read_bytes()
VECTOR = json.loads(DATA)
RESULTS = json.loads((VECTORS / "interop-v1.results.json").read_text())
KEYS = [VerifierKey.parse(text) for text in VECTOR["verifier_keys"]]
LEAVES = [base64.b64decode(leaf) for leaf in VECTOR["leaves"]]
ROOTS = {head["tree_size"]: bytes.fromhex(head["root_hash"]) for head in VECTOR["checkpoints"]}
GO_PATH = Path("/usr/share/gocode")  # where Debian's golang-golang-x-mod-dev lies


def hashes(texts: list[str]) -> list[bytes]:
    return [bytes.fromhex(text) for text in texts]


def altered(proof: list[bytes]) -> list[list[bytes]]:
    return [
        [bytes([one[0] ^ 1]) + one[1:] if at == place else one for at, one in enumerate(proof)]
        for place in range(len(proof))
    ]


def test_the_code_of_today_makes_the_very_same_vector() -> None:
    made = runpy.run_path(str(VECTORS / "make_interop.py"))["document"]()
    assert json.dumps(made, indent=1, ensure_ascii=False).encode() + b"\n" == DATA


def test_the_recorded_verdicts_are_about_this_vector_and_complete() -> None:
    assert RESULTS["vector_sha256"] == hashlib.sha256(DATA).hexdigest()
    signatures = sum(len(head["signed_by"]) for head in VECTOR["checkpoints"])
    for package in ("golang.org/x/mod", "@sigstore/verify"):
        said = RESULTS[package]["said"]
        assert said["checkpoints"]["accepted"] == signatures
        assert said["inclusion"]["accepted"] == len(VECTOR["inclusion"])
        assert said["checkpoints"]["refused"] > 0
        assert said["inclusion"]["refused"] > len(VECTOR["inclusion"])
    said = RESULTS["golang.org/x/mod"]["said"]["consistency"]
    assert said["accepted"] == len(VECTOR["consistency"])
    assert said["refused"] == sum(len(one["proof"]) for one in VECTOR["consistency"])


@pytest.mark.skipif(
    shutil.which("go") is None or not (GO_PATH / "src/golang.org/x/mod").exists(),
    reason="needs Go and golang.org/x/mod",
)
def test_go_says_today_what_was_recorded(tmp_path: Path) -> None:
    environment = {
        "GO111MODULE": "off",
        "GOPATH": str(GO_PATH),
        "GOCACHE": str(tmp_path),
        "HOME": str(tmp_path),
    }
    run = subprocess.run(
        ["go", "run", "verify_interop.go", "interop-v1.json"],  # noqa: S607 - whichever Go there is
        cwd=VECTORS,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout) == RESULTS["golang.org/x/mod"]["said"]


def test_both_readers_open_every_checkpoint_with_the_keys_that_signed_it() -> None:
    for head in VECTOR["checkpoints"]:
        for number, key in enumerate(KEYS):
            if number in head["signed_by"]:
                opened = open_checkpoint(head["note"], [key])
                assert (opened.tree_size, opened.root_hash.hex()) == (head["tree_size"], head["root_hash"])
                again = standalone.open_checkpoint(head["note"].encode(), [str(key)])
                assert again == (opened.origin, opened.tree_size, opened.root_hash)
            else:
                with pytest.raises(VerificationError):
                    open_checkpoint(head["note"], [key])
                with pytest.raises(standalone.FailedError):
                    standalone.open_checkpoint(head["note"].encode(), [str(key)])


def test_the_rotation_in_the_vector_leads_from_one_key_to_the_other() -> None:
    endorsement = Endorsement.parse(VECTOR["endorsement"])
    assert [endorsement.old, endorsement.new] == KEYS
    (place,) = (number for number, leaf in enumerate(LEAVES) if parse(leaf).kind == "key_rotated")
    assert parse(LEAVES[place]).public["endorsement"] == VECTOR["endorsement"]
    for key in KEYS:
        chain = KeyChain.of([key], [(place, endorsement)])
        for head in VECTOR["checkpoints"]:
            assert chain.open(head["note"]).tree_size == head["tree_size"]


def test_both_readers_accept_the_proofs_and_refuse_a_flipped_bit() -> None:
    for one in VECTOR["inclusion"]:
        index, size, proof = one["leaf_index"], one["tree_size"], hashes(one["proof"])
        facts = {"leaf_index": index, "tree_size": size, "root_hash": ROOTS[size]}
        leaf = merkle.leaf_hash(LEAVES[index])
        merkle.verify_inclusion(leaf=leaf, proof=proof, **facts)
        assert standalone.root_from_inclusion(leaf, index, size, proof) == ROOTS[size]
        for bent in altered(proof):
            with pytest.raises(VerificationError):
                merkle.verify_inclusion(leaf=leaf, proof=bent, **facts)
            assert standalone.root_from_inclusion(leaf, index, size, bent) != ROOTS[size]
    for one in VECTOR["consistency"]:
        old, new, proof = one["old_size"], one["new_size"], hashes(one["proof"])
        facts = {"old_size": old, "new_size": new, "old_root": ROOTS[old], "new_root": ROOTS[new]}
        merkle.verify_consistency(proof=proof, **facts)
        standalone.check_consistency(old, ROOTS[old], new, ROOTS[new], proof)
        for bent in altered(proof):
            with pytest.raises(VerificationError):
                merkle.verify_consistency(proof=bent, **facts)
            with pytest.raises(standalone.FailedError):
                standalone.check_consistency(old, ROOTS[old], new, ROOTS[new], bent)
