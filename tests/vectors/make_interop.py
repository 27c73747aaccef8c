"""Makes interop-v1.json: a small ledger with a rotated key, its checkpoints and proofs, by Verso's own code.

`.venv/bin/python tests/vectors/make_interop.py` prints it, from the project's folder; equal code gives equal
bytes, and a test compares them with what is recorded. `run_interop.sh` has Go and npm packages check it.
"""

from __future__ import annotations

import base64
import json
import sys

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from attribution import merkle
from attribution.checkpoint import Checkpoint, sign_checkpoint
from attribution.record import Entry, EventKind, canonical
from attribution.rotation import Endorsement

ORIGIN = "verso/0123456789abcdef"
OLD, NEW = (Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in (1, 2))
START_MS = 1_790_000_000_000
ROTATED = 6  # the leaf that says so
SIZES = (1, 2, 3, 4, 6, 7, 8, 13)


def document() -> dict[str, object]:
    """The whole vector."""
    endorsement = Endorsement.make(ORIGIN, OLD, NEW, overlap_until_ms=START_MS + 8)
    leaves = [_leaf(number, endorsement) for number in range(max(SIZES))]
    hashes = [merkle.leaf_hash(leaf) for leaf in leaves]
    nodes = merkle.grow(0, (), hashes).nodes
    roots = {size: merkle.range_hash(0, size, nodes) for size in SIZES}
    return {
        "about": "A ledger of 13 entries, its key rotated by entry 6; see run_interop.sh. Never change it.",
        "verifier_keys": [str(endorsement.old), str(endorsement.new)],
        "endorsement": str(endorsement),
        "leaves": [base64.b64encode(leaf).decode() for leaf in leaves],
        "checkpoints": [
            {
                "tree_size": size,
                "root_hash": roots[size].hex(),
                "signed_by": signed_by,
                "note": sign_checkpoint(
                    Checkpoint(origin=ORIGIN, tree_size=size, root_hash=roots[size]),
                    *((OLD, NEW)[number] for number in signed_by),
                ),
            }
            for size, signed_by in ((size, _signers(size)) for size in SIZES)
        ],
        "inclusion": [
            {
                "leaf_index": index,
                "tree_size": size,
                "proof": _proof(merkle.inclusion_ranges(index, size), nodes),
            }
            for size in SIZES
            for index in range(size)
        ],
        "consistency": [
            {"old_size": old, "new_size": new, "proof": _proof(merkle.consistency_ranges(old, new), nodes)}
            for new in SIZES
            for old in SIZES
            if old <= new
        ],
    }


def _leaf(number: int, endorsement: Endorsement) -> bytes:
    rotated = number == ROTATED
    return canonical(
        Entry(
            kind=EventKind.KEY_ROTATED if rotated else EventKind.POSTED,
            id=endorsement.entry_id if rotated else f"{number:016x}",
            at_ms=START_MS + number,
            subject="",
            public={"endorsement": str(endorsement)} if rotated else {"number": number},
        )
    )


def _signers(size: int) -> list[int]:
    """Which keys sign a head of this size: the old one, both in the overlap, the new one."""
    return [0] if size <= ROTATED else [1, 0] if size <= ROTATED + 2 else [1]


def _proof(ranges: tuple[tuple[int, int], ...], nodes: dict[int, bytes]) -> list[str]:
    return [merkle.range_hash(start, end, nodes).hex() for start, end in ranges]


if __name__ == "__main__":
    sys.stdout.write(json.dumps(document(), indent=1, ensure_ascii=False) + "\n")
