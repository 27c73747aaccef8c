"""The Merkle tree's rows: the head that all writers lock, and the complete subtrees."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from sqlalchemy import BindParameter, bindparam, literal_column, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from attribution import merkle
from attribution.errors import LedgerError
from attribution.statements import Row, Statement, Steps, Writes, perform, query
from attribution.tables import leaves, nodes, openings, tree_heads

_HEAD = 1
_AUDIT = "run `verso ledger audit`"
_SELECT = select(
    tree_heads.c.tree_size, tree_heads.c.frontier, tree_heads.c.root_hash, tree_heads.c.note
).where(tree_heads.c.id == literal_column(str(_HEAD)))
_READ = Statement(_SELECT)
_LOCK = Statement(_SELECT.with_for_update())
_BEGIN, _BEGIN_ON_POSTGRESQL = (
    dialect.insert(tree_heads).on_conflict_do_nothing(index_elements=["id"])
    for dialect in (sqlite, postgresql)
)
_FIRST = Statement(_BEGIN, on_postgresql=_BEGIN_ON_POSTGRESQL)
_GROW = Writes(
    {
        leaves: ("leaf_index", "entry_id", "kind", "subject", "job_id", "image_id", "leaf"),
        openings: ("entry_id", "subject", "sealed", "created_ms"),
        nodes: ("id", "hash"),
    },
    update(tree_heads)
    .where(tree_heads.c.id == literal_column(str(_HEAD)))
    .values(
        tree_size=bindparam("new_size"),
        frontier=bindparam("new_frontier"),
        root_hash=bindparam("new_root"),
        note=bindparam("new_note"),
    ),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Head:
    """The newest state of the tree."""

    tree_size: int
    frontier: tuple[bytes, ...]
    root_hash: bytes
    note: str  # signed checkpoint; empty before the first leaf

    @classmethod
    def after(cls, growth: merkle.Growth, sign: Callable[[int, bytes], str]) -> Head:
        """The head that an append leads to; `sign` gives the note over its size and root."""
        root_hash = growth.root_hash
        return cls(
            tree_size=growth.tree_size,
            frontier=growth.frontier,
            root_hash=root_hash,
            note=sign(growth.tree_size, root_hash),
        )

    @property
    def nodes(self) -> dict[int, bytes]:
        """The hashes of the frontier by `merkle.node_id`."""
        places = merkle.range_nodes(0, self.tree_size)
        return {merkle.node_id(*place): node for place, node in zip(places, self.frontier, strict=True)}


EMPTY = Head(tree_size=0, frontier=(), root_hash=merkle.EMPTY_ROOT, note="")


async def read_head(connection: AsyncConnection) -> Head | None:
    """The stored head; None before the first append.

    Raises:
        LedgerError: its parts do not belong together.
    """
    return _head_of(await _READ.rows(connection, {}))


def locked_head() -> Steps:
    """Steps: the head (`Head`), which no other writer can change until the transaction ends.

    Raises:
        LedgerError: as `read_head`.
    """
    head = _head_of((yield _LOCK, {}))
    if head is None:
        first = {"id": _HEAD, "tree_size": 0, "frontier": b"", "root_hash": merkle.EMPTY_ROOT, "note": ""}
        yield _FIRST, first
        head = _head_of((yield _LOCK, {}))
    return head or EMPTY


async def lock_head(connection: AsyncConnection) -> Head:
    """`locked_head` inside the connection's transaction."""
    head: Head = await perform(connection, locked_head())
    return head


def written_head(
    head: Head,
    new_nodes: Mapping[int, bytes],
    *,
    leaf_rows: Sequence[Mapping[str, object]],
    opening_rows: Sequence[Mapping[str, object]] = (),
) -> Steps:
    """Steps: store what an append added, under the lock of `locked_head`.

    The rows have all columns of their tables; `new_nodes` is by `merkle.node_id`.
    """
    yield (
        _GROW,
        {
            leaves.name: leaf_rows,
            openings.name: opening_rows,
            nodes.name: [{"id": node, "hash": value} for node, value in new_nodes.items()],
            "new_size": head.tree_size,
            "new_frontier": b"".join(head.frontier),
            "new_root": head.root_hash,
            "new_note": head.note,
        },
    )


def nodes_of(ranges: Iterable[tuple[int, int]]) -> Steps:
    """Steps: the complete subtrees that make up these leaf ranges, as a dict by `merkle.node_id`.

    Raises:
        LedgerError: one is missing.
    """
    wanted = {
        merkle.node_id(level, index)
        for start, end in ranges
        for level, index in merkle.range_nodes(start, end)
    }
    if not wanted:
        return {}
    places = sorted(wanted)
    rows = yield _by_id(len(places)), {f"node_{number}": place for number, place in enumerate(places)}
    found: dict[int, bytes] = dict(rows)
    if found.keys() != wanted:
        raise LedgerError(f"stored nodes of the ledger are missing; {_AUDIT}")
    return found


async def read_nodes(connection: AsyncConnection, ranges: Iterable[tuple[int, int]]) -> dict[int, bytes]:
    """`nodes_of`, also outside a transaction: nodes never change."""
    found: dict[int, bytes] = await query(connection, nodes_of(ranges))
    return found


def _head_of(rows: Sequence[Row]) -> Head | None:
    if not rows:
        return None
    ((tree_size, packed, root_hash, note),) = rows
    frontier = tuple(packed[at : at + merkle.HASH_BYTES] for at in range(0, len(packed), merkle.HASH_BYTES))
    if len(frontier) != tree_size.bit_count() or merkle.fold(frontier) != root_hash:
        raise LedgerError(f"the ledger's stored head is damaged; {_AUDIT}")
    return Head(tree_size=tree_size, frontier=frontier, root_hash=root_hash, note=note)


@lru_cache(maxsize=256)
def _by_id(count: int) -> Statement:
    names: list[BindParameter[int]] = [bindparam(f"node_{number}") for number in range(count)]
    return Statement(select(nodes.c.id, nodes.c.hash).where(nodes.c.id.in_(names)))
