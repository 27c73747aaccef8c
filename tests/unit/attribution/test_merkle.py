from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attribution import merkle
from attribution.errors import VerificationError

# The eight leaves and the roots that Certificate Transparency implementations test with.
CT_LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
CT_ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def naive_root(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962 section 2.1, word for word."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return hashlib.sha256(b"\x01" + naive_root(leaves[:k]) + naive_root(leaves[k:])).digest()


def naive_path(m: int, leaves: list[bytes]) -> list[bytes]:
    """PATH of RFC 6962 section 2.1.1."""
    if len(leaves) == 1:
        return []
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    if m < k:
        return [*naive_path(m, leaves[:k]), naive_root(leaves[k:])]
    return [*naive_path(m - k, leaves[k:]), naive_root(leaves[:k])]


def naive_subproof(m: int, leaves: list[bytes], *, whole: bool) -> list[bytes]:
    """SUBPROOF of RFC 6962 section 2.1.2."""
    if m == len(leaves):
        return [] if whole else [naive_root(leaves)]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    if m <= k:
        return [*naive_subproof(m, leaves[:k], whole=whole), naive_root(leaves[k:])]
    return [*naive_subproof(m - k, leaves[k:], whole=False), naive_root(leaves[:k])]


def grown(leaves: list[bytes]) -> merkle.Growth:
    return merkle.grow(0, (), [merkle.leaf_hash(leaf) for leaf in leaves])


def proof(ranges: tuple[tuple[int, int], ...], growth: merkle.Growth) -> list[bytes]:
    return [merkle.range_hash(start, end, growth.nodes) for start, end in ranges]


leaf_lists = st.lists(st.binary(max_size=8), min_size=1, max_size=70)


@pytest.mark.parametrize("size", range(9))
def test_roots_are_those_of_certificate_transparency(size: int) -> None:
    assert grown(CT_LEAVES[:size]).root_hash.hex() == CT_ROOTS[size]


def test_node_numbers_are_dense_and_in_order_of_completion() -> None:
    growth = grown([bytes([number]) for number in range(100)])
    assert list(growth.nodes) == list(range(len(growth.nodes)))


@given(leaves=leaf_lists, cut=st.integers(0, 70))
def test_growing_in_two_steps_gives_the_tree_of_one(leaves: list[bytes], cut: int) -> None:
    first = grown(leaves[:cut])
    second = merkle.grow(first.tree_size, first.frontier, [merkle.leaf_hash(leaf) for leaf in leaves[cut:]])
    whole = grown(leaves)
    assert second.root_hash == whole.root_hash == naive_root(leaves)
    assert {**first.nodes, **second.nodes} == whole.nodes
    assert second.frontier == whole.frontier


@given(leaves=leaf_lists, data=st.data())
def test_inclusion_proofs_are_those_of_the_rfc_and_verify(leaves: list[bytes], data: st.DataObject) -> None:
    growth = grown(leaves)
    index = data.draw(st.integers(0, len(leaves) - 1))
    found = proof(merkle.inclusion_ranges(index, len(leaves)), growth)
    assert found == naive_path(index, leaves)
    merkle.verify_inclusion(
        leaf=merkle.leaf_hash(leaves[index]),
        leaf_index=index,
        tree_size=len(leaves),
        proof=found,
        root_hash=growth.root_hash,
    )


@given(leaves=leaf_lists, data=st.data())
def test_consistency_proofs_are_those_of_the_rfc_and_verify(leaves: list[bytes], data: st.DataObject) -> None:
    growth = grown(leaves)
    old = data.draw(st.integers(1, len(leaves)))
    found = proof(merkle.consistency_ranges(old, len(leaves)), growth)
    assert found == naive_subproof(old, leaves, whole=True)
    merkle.verify_consistency(
        old_size=old,
        new_size=len(leaves),
        proof=found,
        old_root=naive_root(leaves[:old]),
        new_root=growth.root_hash,
    )


@given(leaves=st.lists(st.binary(max_size=8), min_size=2, max_size=40, unique=True), data=st.data())
def test_any_change_breaks_an_inclusion_proof(leaves: list[bytes], data: st.DataObject) -> None:
    growth = grown(leaves)
    index = data.draw(st.integers(0, len(leaves) - 1))
    found = proof(merkle.inclusion_ranges(index, len(leaves)), growth)
    place = data.draw(st.integers(0, len(found) - 1))
    flipped = [*found[:place], bytes([found[place][0] ^ 1]) + found[place][1:], *found[place + 1 :]]
    good = {
        "leaf": merkle.leaf_hash(leaves[index]),
        "leaf_index": index,
        "tree_size": len(leaves),
        "proof": found,
        "root_hash": growth.root_hash,
    }
    for change in (
        {"proof": flipped},
        {"proof": found[:-1]},
        {"proof": [*found, found[0]]},
        {"leaf": merkle.leaf_hash(b"another leaf altogether")},
        {"leaf_index": (index + 1) % len(leaves)},
        {"root_hash": bytes(32)},
    ):
        with pytest.raises(VerificationError):
            merkle.verify_inclusion(**{**good, **change})


@given(leaves=st.lists(st.binary(max_size=8), min_size=2, max_size=40, unique=True), data=st.data())
def test_a_rewritten_history_has_no_consistency_proof(leaves: list[bytes], data: st.DataObject) -> None:
    old = data.draw(st.integers(1, len(leaves) - 1))
    rewritten = data.draw(st.integers(0, old - 1))
    forged = [*leaves]
    forged[rewritten] = b"what was never there"
    growth = grown(forged)
    with pytest.raises(VerificationError):
        merkle.verify_consistency(
            old_size=old,
            new_size=len(leaves),
            proof=proof(merkle.consistency_ranges(old, len(leaves)), growth),
            old_root=naive_root(leaves[:old]),
            new_root=growth.root_hash,
        )


@given(
    old=st.integers(-1, 40),
    new=st.integers(-1, 40),
    found=st.lists(st.binary(min_size=31, max_size=33), max_size=8),
)
def test_random_proofs_are_refused_and_never_crash(old: int, new: int, found: list[bytes]) -> None:
    with pytest.raises(VerificationError):
        merkle.verify_consistency(
            old_size=old, new_size=new, proof=found, old_root=bytes(32), new_root=b"\x01" * 32
        )
    with pytest.raises(VerificationError):
        merkle.verify_inclusion(
            leaf=bytes(32), leaf_index=old, tree_size=new, proof=found, root_hash=b"\x01" * 32
        )


@pytest.mark.parametrize(
    "change",
    [
        {"leaf": "text"},
        {"leaf_index": True},
        {"leaf_index": 1.0},
        {"tree_size": 2**63},
        {"proof": "proof"},
        {"proof": [bytes(32)] * 129},
        {"proof": [None]},
        {"root_hash": b""},
    ],
)
def test_malformed_arguments_are_verification_errors(change: dict[str, object]) -> None:
    good = {
        "leaf": bytes(32), "leaf_index": 0, "tree_size": 1, "proof": [], "root_hash": bytes(32)
    }  # fmt: skip
    merkle.verify_inclusion(**good)
    with pytest.raises(VerificationError):
        merkle.verify_inclusion(**{**good, **change})


def test_the_empty_tree_is_consistent_with_every_tree() -> None:
    root = grown([b"a"]).root_hash
    merkle.verify_consistency(old_size=0, new_size=1, proof=[], old_root=merkle.EMPTY_ROOT, new_root=root)
    with pytest.raises(VerificationError):
        merkle.verify_consistency(old_size=0, new_size=1, proof=[], old_root=root, new_root=root)
    with pytest.raises(VerificationError):
        merkle.verify_consistency(old_size=0, new_size=0, proof=[], old_root=merkle.EMPTY_ROOT, new_root=root)


def test_a_tree_cannot_shrink_and_has_no_leaf_beyond_its_end() -> None:
    with pytest.raises(VerificationError):
        merkle.consistency_ranges(3, 2)
    with pytest.raises(VerificationError):
        merkle.inclusion_ranges(2, 2)
    with pytest.raises(VerificationError):
        merkle.inclusion_ranges(-1, 2)
    with pytest.raises(VerificationError):
        merkle.grow(3, (bytes(32),), [])
    with pytest.raises(VerificationError):
        merkle.range_hash(0, 2, {})
