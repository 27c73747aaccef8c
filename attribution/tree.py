"""The Merkle tree's rows: the head that all writers lock, and the complete subtrees."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from sqlalchemy import BindParameter, bindparam, literal_column, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from attribution import merkle
from attribution.errors import LedgerError
from attribution.statements import Statement, insert_rows
from attribution.tables import nodes, tree_heads

_HEAD = 1
_AUDIT = "run `verso ledger audit`"
_SELECT = select(
    tree_heads.c.tree_size, tree_heads.c.frontier, tree_heads.c.root_hash, tree_heads.c.note
).where(tree_heads.c.id == literal_column(str(_HEAD)))
_READ = Statement(_SELECT)
_LOCK = Statement(_SELECT.with_for_update())
_MOVE = Statement(
    update(tree_heads)
    .where(tree_heads.c.id == literal_column(str(_HEAD)))
    .values(
        tree_size=bindparam("new_size"),
        frontier=bindparam("new_frontier"),
        root_hash=bindparam("new_root"),
        note=bindparam("new_note"),
    )
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Head:
    """The newest state of the tree."""

    tree_size: int
    frontier: tuple[bytes, ...]
    root_hash: bytes
    note: str  # signed checkpoint; empty before the first leaf


EMPTY = Head(tree_size=0, frontier=(), root_hash=merkle.EMPTY_ROOT, note="")


async def read_head(connection: AsyncConnection, *, lock: bool = False) -> Head | None:
    """The stored head; None before the first append.

    Raises:
        LedgerError: its parts do not belong together.
    """
    rows = await (_LOCK if lock else _READ).rows(connection, {})
    if not rows:
        return None
    ((tree_size, packed, root_hash, note),) = rows
    frontier = tuple(packed[at : at + merkle.HASH_BYTES] for at in range(0, len(packed), merkle.HASH_BYTES))
    if len(frontier) != tree_size.bit_count() or merkle.fold(frontier) != root_hash:
        raise LedgerError(f"the ledger's stored head is damaged; {_AUDIT}")
    return Head(tree_size=tree_size, frontier=frontier, root_hash=root_hash, note=note)


async def lock_head(connection: AsyncConnection) -> Head:
    """The head, which no other writer can change until the transaction ends.

    Raises:
        LedgerError: as `read_head`.
    """
    if not connection.in_transaction():
        await connection.begin()  # on SQLite this takes the lock
    head = await read_head(connection, lock=True)
    if head is not None:
        return head
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    await connection.execute(
        dialect.insert(tree_heads)
        .values(id=_HEAD, tree_size=0, frontier=b"", root_hash=merkle.EMPTY_ROOT, note="")
        .on_conflict_do_nothing(index_elements=["id"])
    )
    return await read_head(connection, lock=True) or EMPTY


async def write_growth(connection: AsyncConnection, growth: merkle.Growth, note: str) -> Head:
    """Store what an append added, under the lock of `lock_head`."""
    await insert_rows(
        connection, nodes, [{"id": node, "hash": value} for node, value in growth.nodes.items()]
    )
    head = Head(tree_size=growth.tree_size, frontier=growth.frontier, root_hash=growth.root_hash, note=note)
    await _MOVE.write(
        connection,
        {
            "new_size": head.tree_size,
            "new_frontier": b"".join(head.frontier),
            "new_root": head.root_hash,
            "new_note": note,
        },
    )
    return head


async def read_nodes(connection: AsyncConnection, ranges: Iterable[tuple[int, int]]) -> dict[int, bytes]:
    """The complete subtrees that make up these leaf ranges, by `merkle.node_id`.

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
    rows = await _by_id(len(places)).rows(
        connection, {f"node_{number}": place for number, place in enumerate(places)}
    )
    found = dict(rows)
    if found.keys() != wanted:
        raise LedgerError(f"stored nodes of the ledger are missing; {_AUDIT}")
    return found


@lru_cache(maxsize=256)
def _by_id(count: int) -> Statement:
    names: list[BindParameter[int]] = [bindparam(f"node_{number}") for number in range(count)]
    return Statement(select(nodes.c.id, nodes.c.hash).where(nodes.c.id.in_(names)))
