"""Merkle trees of RFC 6962 section 2.1 and RFC 9162 section 2.1: hashes, proofs, verification; pure.

A complete subtree is named by (level, index): it covers the leaves [index << level, (index + 1) << level).
Subtrees never change once complete, so each can be stored under one number, `node_id`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from attribution.errors import VerificationError

HASH_BYTES = 32
MAX_TREE_SIZE = 2**63 - 1
EMPTY_ROOT = hashlib.sha256(b"").digest()


@dataclass(frozen=True, kw_only=True, slots=True)
class Growth:
    """What appending leaves adds to a tree."""

    tree_size: int
    frontier: tuple[bytes, ...]  # hashes of `range_nodes(0, tree_size)`
    nodes: Mapping[int, bytes]  # every newly complete subtree, by `node_id`

    @property
    def root_hash(self) -> bytes:
        """The root of the grown tree."""
        return fold(self.frontier)


def leaf_hash(data: bytes) -> bytes:
    """SHA-256(0x00 || data): RFC 9162 section 2.1.1."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 || left || right): RFC 9162 section 2.1.1."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def node_id(level: int, index: int) -> int:
    """The place of a complete subtree in the order in which subtrees become complete.

    The same numbering as Go's `sumdb/tlog.StoredHashIndex`: appends only ever add larger numbers.
    """
    last_leaf = ((index + 1) << level) - 1
    return 2 * last_leaf - last_leaf.bit_count() + level


def range_nodes(start: int, end: int) -> tuple[tuple[int, int], ...]:
    """The complete subtrees (level, index) that make up the leaves [start, end), left to right.

    `start` must be a split point of RFC 6962, as in the ranges that this module gives.
    """
    found: list[tuple[int, int]] = []
    while start < end:
        level = (end - start).bit_length() - 1
        found.append((level, start >> level))
        start += 1 << level
    return tuple(found)


def fold(hashes: Sequence[bytes]) -> bytes:
    """Join the hashes of `range_nodes` into one, from right to left; no hash: the empty tree's root."""
    if not hashes:
        return EMPTY_ROOT
    joined = hashes[-1]
    for left in reversed(hashes[:-1]):
        joined = node_hash(left, joined)
    return joined


def range_hash(start: int, end: int, nodes: Mapping[int, bytes]) -> bytes:
    """The hash of the leaves [start, end) out of stored subtrees.

    Raises:
        VerificationError: a subtree is not among `nodes`.
    """
    hashes: list[bytes] = []
    for level, index in range_nodes(start, end):
        found = nodes.get(node_id(level, index))
        if found is None:
            raise VerificationError(f"the subtree {index} of level {level} is missing")
        hashes.append(found)
    return fold(hashes)


def grow(tree_size: int, frontier: Sequence[bytes], leaf_hashes: Sequence[bytes]) -> Growth:
    """Append leaves to a tree of which only the frontier is known.

    Raises:
        VerificationError: the frontier does not belong to a tree of this size.
    """
    if tree_size < 0 or len(frontier) != tree_size.bit_count():
        raise VerificationError("the frontier does not belong to a tree of this size")
    stack = list(frontier)
    nodes: dict[int, bytes] = {}
    for offset, leaf in enumerate(leaf_hashes):
        level, index, current = 0, tree_size + offset, leaf
        nodes[node_id(level, index)] = current
        while index & 1:
            current = node_hash(stack.pop(), current)
            level += 1
            index >>= 1
            nodes[node_id(level, index)] = current
        stack.append(current)
    return Growth(tree_size=tree_size + len(leaf_hashes), frontier=tuple(stack), nodes=nodes)


def inclusion_ranges(leaf_index: int, tree_size: int) -> tuple[tuple[int, int], ...]:
    """The leaf ranges whose hashes prove one leaf, from the leaf up: RFC 9162 section 2.1.3.1.

    Raises:
        VerificationError: there is no such leaf in a tree of this size.
    """
    if not 0 <= leaf_index < tree_size <= MAX_TREE_SIZE:
        raise VerificationError(f"a tree of {tree_size} leaves has no leaf {leaf_index}")
    found: list[tuple[int, int]] = []
    start, end = 0, tree_size
    while end - start > 1:
        middle = _split(start, end)
        if leaf_index < middle:
            found.append((middle, end))
            end = middle
        else:
            found.append((start, middle))
            start = middle
    return tuple(reversed(found))


def consistency_ranges(old_size: int, new_size: int) -> tuple[tuple[int, int], ...]:
    """The leaf ranges whose hashes prove that a tree only grew: RFC 9162 section 2.1.4.1.

    Raises:
        VerificationError: the sizes are not 0 <= old <= new.
    """
    if not 0 <= old_size <= new_size <= MAX_TREE_SIZE:
        raise VerificationError(f"a tree cannot grow from {old_size} to {new_size} leaves")
    if old_size in {0, new_size}:
        return ()
    found: list[tuple[int, int]] = []
    start, end = 0, new_size
    whole = True  # the subtree at hand starts at leaf 0: its old root is known to the verifier
    while end != old_size:
        middle = _split(start, end)
        if old_size <= middle:
            found.append((middle, end))
            end = middle
        else:
            found.append((start, middle))
            start, whole = middle, False
    if not whole:
        found.append((start, end))
    return tuple(reversed(found))


def verify_inclusion(
    *, leaf: bytes, leaf_index: int, tree_size: int, proof: Sequence[bytes], root_hash: bytes
) -> None:
    """Check that a leaf (its hash) is in the tree: RFC 9162 section 2.1.3.2.

    Raises:
        VerificationError: it is not, or the proof is malformed.
    """
    _check_size(leaf_index)
    _check_size(tree_size)
    _check_hashes([leaf, root_hash, *_proof(proof)])
    if leaf_index >= tree_size:
        raise VerificationError(f"a tree of {tree_size} leaves has no leaf {leaf_index}")
    current = leaf
    for sibling, on_left in _climb(leaf_index, tree_size - 1, proof):
        current = node_hash(sibling, current) if on_left else node_hash(current, sibling)
    if current != root_hash:
        raise VerificationError("the inclusion proof leads to another root")


def verify_consistency(
    *, old_size: int, new_size: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes
) -> None:
    """Check that the larger tree holds the smaller one unchanged: RFC 9162 section 2.1.4.2.

    Raises:
        VerificationError: it does not, or the proof is malformed.
    """
    _check_size(old_size)
    _check_size(new_size)
    _check_hashes([old_root, new_root, *_proof(proof)])
    if old_size > new_size:
        raise VerificationError("the tree became smaller")
    if old_size in {0, new_size}:
        expected = EMPTY_ROOT if old_size == 0 else new_root
        if proof or old_root != expected or (new_size == 0 and new_root != EMPTY_ROOT):
            raise VerificationError("two roots of one tree size differ")
        return
    path = list(proof) if old_size & (old_size - 1) else [old_root, *proof]
    if not path:
        raise VerificationError("the consistency proof is too short")
    position, last = old_size - 1, new_size - 1
    while position & 1:
        position >>= 1
        last >>= 1
    old = new = path[0]
    for sibling, on_left in _climb(position, last, path[1:]):
        if on_left:
            old = node_hash(sibling, old)
        new = node_hash(sibling, new) if on_left else node_hash(new, sibling)
    if old != old_root or new != new_root:
        raise VerificationError("the history before this checkpoint was rewritten")


def _split(start: int, end: int) -> int:
    """The largest power of two below the width, from `start`: RFC 9162 section 2.1.1."""
    return start + (1 << ((end - start - 1).bit_length() - 1))


def _climb(position: int, last: int, proof: Sequence[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Each sibling on the way to the root, with whether it stands on the left."""
    for sibling in proof:
        if last == 0:
            raise VerificationError("the proof is too long")
        on_left = bool(position & 1) or position == last
        if on_left:
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        yield sibling, on_left
        position >>= 1
        last >>= 1
    if last:
        raise VerificationError("the proof is too short")


def _check_size(value: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_TREE_SIZE:
        raise VerificationError("a tree size or leaf index must be a whole number below 2^63")


def _proof(proof: Sequence[bytes]) -> Sequence[bytes]:
    if not isinstance(proof, (list, tuple)) or len(proof) > 2 * 64:
        raise VerificationError("a proof must be a short list of hashes")
    return proof


def _check_hashes(hashes: Sequence[bytes]) -> None:
    if not all(isinstance(value, bytes) and len(value) == HASH_BYTES for value in hashes):
        raise VerificationError("a hash must be 32 bytes")
