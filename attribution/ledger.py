"""The ledger: an append-only Merkle tree over entries, with signed heads.

Every complete subtree is stored, so a proof reads O(log n) rows. All writers lock the one row of
`tree_heads`: on SQLite through BEGIN IMMEDIATE, on PostgreSQL through FOR UPDATE. Should both fail,
the primary key of `leaves` refuses a second leaf at the same place.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import ColumnElement, bindparam, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from attribution import merkle, tree
from attribution.audit import AuditReport, audit, references
from attribution.checkpoint import Checkpoint, VerifierKey, sign_checkpoint
from attribution.errors import LedgerConflictError, LedgerError
from attribution.receipt import Receipt
from attribution.record import Entry, EventKind, Opening, canonical, commit, parse
from attribution.statements import Statement, insert_rows
from attribution.tables import checkpoints, leaves
from attribution.vault import SealedOpening, Vault

_LEAF = Statement(select(leaves.c.leaf, leaves.c.entry_id).where(leaves.c.leaf_index == bindparam("place")))


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """An entry that is ready to be appended: everything slow or secret is done."""

    entry: Entry
    leaf: bytes
    sealed_opening: bytes | None = field(repr=False)
    named: bool  # the caller chose the id: appending it again is no mistake


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredEntry:
    """An entry and its place in the tree."""

    leaf_index: int
    leaf: bytes
    entry: Entry


class Ledger:
    """Appends entries and proves them."""

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        signer: Ed25519PrivateKey,
        origin: str,
        vault: Vault,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        new_id: Callable[[], str] = lambda: secrets.token_hex(8),
    ) -> None:
        self._engine = engine
        self._reader = engine.execution_options(read_only=True)
        self._signer = signer
        self._origin = origin
        self._vault = vault
        self._now_ms = now_ms
        self._new_id = new_id
        self.verifier_key = str(VerifierKey.of(origin, signer))

    async def prepare(
        self,
        kind: EventKind,
        *,
        subject: str,
        public: Mapping[str, str | int] | None = None,
        private: Mapping[str, str] | None = None,
        entry_id: str | None = None,
    ) -> Prepared:
        """Build the leaf and seal its hidden fields; call it before opening the transaction.

        Args:
            kind: what happened.
            subject: the person's pseudonym; empty for an event of the house.
            public: facts that anybody may read.
            private: facts that only commitments show; they can be opened until the person is erased.
            entry_id: 16 hex digits of the caller, for an event that may be recorded twice by mistake.

        Raises:
            RecordError: a field is malformed.
            ErasedError, VaultError: hidden fields cannot be sealed for this person.
        """
        opening = commit(private or {})
        entry = Entry(
            kind=kind,
            id=entry_id or self._new_id(),
            at_ms=self._now_ms(),
            subject=subject,
            public=public or {},
            commitments=opening.commitments,
        )
        leaf = canonical(entry)
        sealed = await self._vault.seal(subject, opening.to_bytes()) if private else None
        return Prepared(entry=entry, leaf=leaf, sealed_opening=sealed, named=entry_id is not None)

    async def append(
        self,
        kind: EventKind,
        *,
        subject: str,
        public: Mapping[str, str | int] | None = None,
        private: Mapping[str, str] | None = None,
        entry_id: str | None = None,
        connection: AsyncConnection | None = None,
    ) -> Receipt:
        """`prepare` and `append_prepared` in one; arguments and errors are theirs."""
        prepared = await self.prepare(
            kind, subject=subject, public=public, private=private, entry_id=entry_id
        )
        return (await self.append_many([prepared], connection=connection))[0]

    async def append_prepared(self, prepared: Prepared, connection: AsyncConnection) -> Receipt:
        """Append inside the caller's transaction, best as its last step: all writers wait for its end.

        An id that is already recorded with the same facts gives the first entry's receipt.

        Raises:
            LedgerConflictError: the id is recorded with other facts.
            LedgerError: the stored head is damaged.
        """
        return (await self.append_many([prepared], connection=connection))[0]

    async def append_many(
        self, batch: Sequence[Prepared], *, connection: AsyncConnection | None = None
    ) -> tuple[Receipt, ...]:
        """Append a batch in order, under one signed head; errors as `append_prepared`."""
        if connection is None:
            async with self._engine.begin() as own:
                return await self._append(batch, own)
        return await self._append(batch, connection)

    async def head(self) -> str:
        """The newest checkpoint, as a signed note."""
        async with self._reader.connect() as connection:
            return (await self._head(connection)).note

    async def size(self) -> int:
        """How many entries there are."""
        async with self._reader.connect() as connection:
            return (await self._head(connection)).tree_size

    async def publish(self, place: str) -> str:
        """Note that the newest checkpoint is shown to the public at `place`; gives the checkpoint."""
        async with self._engine.begin() as connection:
            head = await self._head(connection)
            await connection.execute(
                insert(checkpoints).values(
                    tree_size=head.tree_size, note=head.note, place=place, published_ms=self._now_ms()
                )
            )
        return head.note

    async def published(self) -> tuple[str, ...]:
        """Every checkpoint that was published, oldest first."""
        async with self._reader.connect() as connection:
            return tuple(await connection.scalars(select(checkpoints.c.note).order_by(checkpoints.c.id)))

    async def prove(self, leaf_index: int, tree_size: int | None = None) -> Receipt:
        """A receipt for a leaf, against the newest head (None) or an older size of the tree.

        Raises:
            VerificationError: there is no such leaf in a tree of that size.
            LedgerError: the tree was never so large, or a stored leaf or node is missing.
        """
        async with self._reader.connect() as connection:
            head = await self._head(connection, tree_size)
            return await self._prove(connection, leaf_index, head)

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

    async def audit(self, checkpoints: Sequence[str] = (), *, verifier_key: str | None = None) -> AuditReport:
        """Compute the whole ledger again, see `attribution.audit`.

        Args:
            checkpoints: notes from outside: published ones, those in receipts.
            verifier_key: the key to trust; None: this ledger's own.
        """
        reader = self._reader
        if reader.dialect.name == "postgresql":
            # One snapshot for all statements: appends must not look like surplus leaves.
            reader = reader.execution_options(isolation_level="REPEATABLE READ")
        async with reader.connect() as connection, connection.begin():
            return await audit(
                connection, checkpoints=checkpoints, verifier_keys=[verifier_key or self.verifier_key]
            )

    async def _append(self, batch: Sequence[Prepared], connection: AsyncConnection) -> tuple[Receipt, ...]:
        head = await tree.lock_head(connection)
        recorded = await self._recorded(batch, connection)
        fresh = [prepared for prepared in batch if prepared.entry.id not in recorded]
        added: dict[str, Receipt] = {}
        if fresh:
            growth = merkle.grow(
                head.tree_size, head.frontier, [merkle.leaf_hash(prepared.leaf) for prepared in fresh]
            )
            old = merkle.range_nodes(0, head.tree_size)
            known = {merkle.node_id(*place): node for place, node in zip(old, head.frontier, strict=True)}
            known.update(growth.nodes)
            try:
                await self._insert(fresh, head.tree_size, connection)
                new_head = await tree.write_growth(
                    connection, growth, self._sign(growth.tree_size, growth.root_hash)
                )
            except IntegrityError as error:
                raise LedgerConflictError("another entry stands where this one should go") from error
            for offset, prepared in enumerate(fresh):
                ranges = merkle.inclusion_ranges(head.tree_size + offset, new_head.tree_size)
                added[prepared.entry.id] = _receipt(
                    prepared.leaf,
                    prepared.entry.id,
                    leaf_index=head.tree_size + offset,
                    proof=tuple(merkle.range_hash(start, end, known) for start, end in ranges),
                    head=new_head,
                )
            head = new_head
        for entry_id, leaf_index in recorded.items():
            added[entry_id] = await self._prove(connection, leaf_index, head)
        return tuple(added[prepared.entry.id] for prepared in batch)

    async def _recorded(self, batch: Sequence[Prepared], connection: AsyncConnection) -> dict[str, int]:
        """Which of the ids that callers chose are in the ledger already, and where."""
        named = {prepared.entry.id: prepared.entry for prepared in batch if prepared.named}
        if not named:
            return {}
        found: dict[str, int] = {}
        for row in await connection.execute(select(leaves).where(leaves.c.entry_id.in_(list(named)))):
            stored, wanted = parse(row.leaf), named[row.entry_id]
            if _facts(stored) != _facts(wanted):
                raise LedgerConflictError(f"the entry {row.entry_id} is recorded with other facts")
            found[row.entry_id] = row.leaf_index
        return found

    async def _insert(self, fresh: Sequence[Prepared], start: int, connection: AsyncConnection) -> None:
        rows = []
        for offset, prepared in enumerate(fresh):
            job_id, image_id = references(prepared.entry)
            rows.append(
                {
                    "leaf_index": start + offset,
                    "entry_id": prepared.entry.id,
                    "kind": prepared.entry.kind.value,
                    "subject": prepared.entry.subject,
                    "job_id": job_id,
                    "image_id": image_id,
                    "leaf": prepared.leaf,
                }
            )
        await insert_rows(connection, leaves, rows)
        await self._vault.keep(
            connection,
            [
                SealedOpening(
                    entry_id=prepared.entry.id,
                    subject=prepared.entry.subject,
                    sealed=prepared.sealed_opening,
                )
                for prepared in fresh
                if prepared.sealed_opening is not None
            ],
        )

    async def _prove(self, connection: AsyncConnection, leaf_index: int, head: tree.Head) -> Receipt:
        ranges = merkle.inclusion_ranges(leaf_index, head.tree_size)
        stored = await tree.read_nodes(connection, ranges)
        rows = await _LEAF.rows(connection, {"place": leaf_index})
        if not rows:
            raise LedgerError(f"leaf {leaf_index} is missing; run `verso ledger audit`")
        ((leaf, entry_id),) = rows
        return _receipt(
            leaf,
            entry_id,
            leaf_index=leaf_index,
            proof=tuple(merkle.range_hash(start, end, stored) for start, end in ranges),
            head=head,
        )

    async def _head(self, connection: AsyncConnection, tree_size: int | None = None) -> tree.Head:
        """The newest head, or the one the tree had at an older size, signed again."""
        newest = await tree.read_head(connection) or tree.EMPTY
        size = newest.tree_size if tree_size is None else tree_size
        if size == newest.tree_size and newest.note:
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
        return sign_checkpoint(
            Checkpoint(origin=self._origin, tree_size=tree_size, root_hash=root_hash), self._signer
        )

    async def _select(self, condition: ColumnElement[bool]) -> tuple[StoredEntry, ...]:
        async with self._reader.connect() as connection:
            rows = await connection.execute(
                select(leaves.c.leaf_index, leaves.c.leaf).where(condition).order_by(leaves.c.leaf_index)
            )
            return tuple(
                StoredEntry(leaf_index=row.leaf_index, leaf=row.leaf, entry=parse(row.leaf)) for row in rows
            )


def _receipt(
    leaf: bytes, entry_id: str, *, leaf_index: int, proof: tuple[bytes, ...], head: tree.Head
) -> Receipt:
    return Receipt(
        leaf_index=leaf_index,
        tree_size=head.tree_size,
        root_hash=head.root_hash,
        leaf=leaf,
        inclusion_proof=proof,
        checkpoint=head.note,
        entry_id=entry_id,
    )


def _facts(entry: Entry) -> tuple[object, ...]:
    """What two recordings of one event share; times and nonces differ."""
    return entry.kind, entry.subject, dict(entry.public), set(entry.commitments)
