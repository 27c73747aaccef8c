"""Reading the ledger: heads, proofs, entries, and the audit.

Every complete subtree is stored, so a proof reads O(log n) rows.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, bindparam, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from attribution import merkle, tree
from attribution.audit import AuditReport, audit, endorsement_in
from attribution.checkpoint import Checkpoint, VerifierKey
from attribution.errors import LedgerError, VerificationError
from attribution.receipt import Receipt
from attribution.record import Entry, EventKind, Opening, parse
from attribution.rotation import Endorsement
from attribution.signing import LedgerKeys
from attribution.statements import Statement, Steps, query
from attribution.tables import leaves
from attribution.vault import Vault

_LEAF = Statement(select(leaves.c.leaf, leaves.c.entry_id).where(leaves.c.leaf_index == bindparam("place")))


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredEntry:
    """An entry and its place in the tree."""

    leaf_index: int
    leaf: bytes
    entry: Entry


class LedgerReader:
    """Proves what is recorded, with the keys that sign its heads."""

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        keys: LedgerKeys,
        vault: Vault,
        reload_keys: Callable[[], LedgerKeys] | None = None,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        """Keep what is needed; `reload_keys` reads the keys anew where another process rotated them."""
        self._reader = engine.execution_options(read_only=True)
        self._keys = keys
        self._reload_keys = reload_keys
        self._known_note = ""  # the newest note whose signers were looked at
        self._vault = vault
        self._now_ms = now_ms

    @property
    def keys(self) -> LedgerKeys:
        """The keys that sign now."""
        return self._keys

    @property
    def verifier_key(self) -> str:
        """The newest public key, `name+hash+base64`."""
        return self._keys.verifier_key

    def reload_keys(self) -> None:
        """Take in what happened to the key ring.

        Raises:
            KeyFileError: the key ring is damaged.
        """
        if self._reload_keys is not None:
            self._keys = self._reload_keys()
            self._known_note = ""

    async def head(self) -> str:
        """The newest checkpoint, as a signed note."""
        async with self._reader.connect() as connection:
            return (await self._head(connection)).note

    async def size(self) -> int:
        """How many entries there are."""
        async with self._reader.connect() as connection:
            return (await self._head(connection)).tree_size

    async def rotations(self) -> tuple[tuple[int, Endorsement], ...]:
        """The recorded changes of the key, as (leaf index, endorsement), oldest first.

        Raises:
            LedgerError: one of them does not hold.
        """
        found = await self._select(leaves.c.kind == EventKind.KEY_ROTATED.value)
        try:
            return tuple((stored.leaf_index, endorsement_in(stored.entry)) for stored in found)
        except VerificationError as error:
            raise LedgerError(f"a recorded change of the key does not hold: {error}") from error

    async def prove(self, leaf_index: int, tree_size: int | None = None) -> Receipt:
        """A receipt for a leaf, against the newest head (None) or an older size of the tree.

        Raises:
            VerificationError: there is no such leaf in a tree of that size.
            LedgerError: the tree was never so large, or a stored leaf or node is missing.
        """
        async with self._reader.connect() as connection:
            head = await self._head(connection, tree_size)
            receipt: Receipt = await query(connection, proved(leaf_index, head))
            return receipt

    async def consistency(self, old_size: int, new_size: int | None = None) -> tuple[bytes, ...]:
        """The proof that the tree of `old_size` is the beginning of the one of `new_size` (None: newest).

        Raises:
            VerificationError: the sizes are not 0 <= old <= new.
            LedgerError: the tree was never so large, or a stored node is missing.
        """
        async with self._reader.connect() as connection:
            head = await self._head(connection, new_size)
            ranges = merkle.consistency_ranges(old_size, head.tree_size)
            stored = await tree.read_nodes(connection, ranges)
        return tuple(merkle.range_hash(start, end, stored) for start, end in ranges)

    async def checkpoint(self, tree_size: int) -> str:
        """The signed checkpoint of the tree when it had this many leaves; errors as `consistency`."""
        async with self._reader.connect() as connection:
            return (await self._head(connection, tree_size)).note

    async def entry(self, entry_id: str) -> StoredEntry | None:
        """The entry with this id."""
        found = await self._select(leaves.c.entry_id == entry_id)
        return found[0] if found else None

    async def entries(self, subject: str) -> tuple[StoredEntry, ...]:
        """A person's entries, oldest first."""
        return await self._select(leaves.c.subject == subject)

    async def of_job(self, job_id: str) -> tuple[StoredEntry, ...]:
        """The entries whose public facts name this job, oldest first."""
        return await self._select(leaves.c.job_id == job_id)

    async def of_image(self, image_id: str) -> tuple[StoredEntry, ...]:
        """The entries whose public facts name this image, oldest first."""
        return await self._select(leaves.c.image_id == image_id)

    async def opening(self, entry_id: str) -> Opening | None:
        """An entry's hidden fields, see `Vault.opening`."""
        return await self._vault.opening(entry_id)

    async def openings(self, entry_ids: Sequence[str]) -> dict[str, Opening]:
        """The hidden fields of many entries, see `Vault.openings`."""
        return await self._vault.openings(entry_ids)

    async def audit(
        self, checkpoints: Sequence[str] = (), *, verifier_keys: Sequence[str] = ()
    ) -> AuditReport:
        """Compute the whole ledger again, see `attribution.audit`.

        Args:
            checkpoints: notes from outside: published ones, those in receipts.
            verifier_keys: the keys to trust, of any age; none: this ledger's own.

        Raises:
            VerificationError: a verifier key is malformed.
        """
        trusted = [VerifierKey.parse(key) for key in verifier_keys] or list(self._keys.verifier_keys)
        reader = self._reader
        if reader.dialect.name == "postgresql":
            # One snapshot for all statements: appends must not look like surplus leaves.
            reader = reader.execution_options(isolation_level="REPEATABLE READ")
        async with reader.connect() as connection, connection.begin():
            return await audit(connection, checkpoints=checkpoints, trusted=trusted)

    async def _head(self, connection: AsyncConnection, tree_size: int | None = None) -> tree.Head:
        """The newest head, or the one the tree had at an older size, signed again."""
        newest = await tree.read_head(connection) or tree.EMPTY
        await self._meet(newest.note)
        size = newest.tree_size if tree_size is None else tree_size
        if size == newest.tree_size and self._keys.newest_signed(newest.note):
            return newest
        if not 0 <= size <= newest.tree_size:
            raise LedgerError(f"the ledger has {newest.tree_size} leaves, not {size}")
        stored = await tree.read_nodes(connection, [(0, size)])
        frontier = tuple(stored[merkle.node_id(*place)] for place in merkle.range_nodes(0, size))
        root_hash = merkle.fold(frontier)
        return tree.Head(
            tree_size=size, frontier=frontier, root_hash=root_hash, note=self._sign(size, root_hash)
        )

    def _sign(self, tree_size: int, root_hash: bytes) -> str:
        checkpoint = Checkpoint(origin=self._keys.origin, tree_size=tree_size, root_hash=root_hash)
        return self._keys.sign(checkpoint, now_ms=self._now_ms())

    async def _meet(self, note: str) -> None:
        """Look who signed the newest head: keys that another process rotated are read anew.

        Writers do this under the lock, so no head is ever signed with the old key alone after the leaf that
        retired it.
        """
        if not note or note == self._known_note:
            return
        if self._know(note):
            self._known_note = note
        else:
            await asyncio.to_thread(self._meet_now, note)

    def _meet_now(self, note: str) -> None:
        if not note or note == self._known_note:
            return
        if not self._know(note):
            self.reload_keys()
        if not self._know(note):
            raise LedgerError(
                "the ledger was signed with a key that this key folder does not have; put back the newest "
                "copy of the folder, and then run `verso ledger audit`"
            )
        self._known_note = note

    def _know(self, note: str) -> bool:
        try:
            return self._keys.know(note)
        except VerificationError as error:
            raise LedgerError(f"the ledger's stored head is damaged: {error}") from error

    async def _select(self, condition: ColumnElement[bool]) -> tuple[StoredEntry, ...]:
        async with self._reader.connect() as connection:
            rows = await connection.execute(
                select(leaves.c.leaf_index, leaves.c.leaf).where(condition).order_by(leaves.c.leaf_index)
            )
            return tuple(
                StoredEntry(leaf_index=row.leaf_index, leaf=row.leaf, entry=parse(row.leaf)) for row in rows
            )


def proved(leaf_index: int, head: tree.Head) -> Steps:
    """Steps: the receipt of a leaf against a head; errors as `LedgerReader.prove`."""
    ranges = merkle.inclusion_ranges(leaf_index, head.tree_size)
    stored = yield from tree.nodes_of(ranges)
    rows = yield _LEAF, {"place": leaf_index}
    if not rows:
        raise LedgerError(f"leaf {leaf_index} is missing; run `verso ledger audit`")
    ((leaf, entry_id),) = rows
    return receipt_of(
        leaf,
        entry_id,
        leaf_index=leaf_index,
        proof=tuple(merkle.range_hash(start, end, stored) for start, end in ranges),
        head=head,
    )


def receipt_of(
    leaf: bytes, entry_id: str, *, leaf_index: int, proof: tuple[bytes, ...], head: tree.Head
) -> Receipt:
    """A receipt against a head."""
    return Receipt(
        leaf_index=leaf_index,
        tree_size=head.tree_size,
        root_hash=head.root_hash,
        leaf=leaf,
        inclusion_proof=proof,
        checkpoint=head.note,
        entry_id=entry_id,
    )
