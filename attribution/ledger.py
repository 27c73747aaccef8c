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

from sqlalchemy import bindparam, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from attribution import merkle, tree
from attribution.audit import references
from attribution.errors import LedgerConflictError
from attribution.ledger_reader import LedgerReader, proved, receipt_of
from attribution.receipt import Receipt
from attribution.record import Entry, EventKind, canonical, commit, parse
from attribution.signing import LedgerKeys
from attribution.statements import Statement, Steps, perform, transact
from attribution.tables import leaves
from attribution.vault import SealedOpening, Vault

_BY_ENTRY = Statement(
    select(leaves.c.leaf_index, leaves.c.leaf).where(leaves.c.entry_id == bindparam("wanted"))
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """An entry that is ready to be appended: everything slow or secret is done."""

    entry: Entry
    leaf: bytes
    opening: SealedOpening | None = field(repr=False)
    named: bool  # the caller chose the id: appending it again is no mistake


class Ledger(LedgerReader):
    """Appends entries and proves them."""

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        keys: LedgerKeys,
        vault: Vault,
        reload_keys: Callable[[], LedgerKeys] | None = None,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        new_id: Callable[[], str] = lambda: secrets.token_hex(8),
    ) -> None:
        """As `LedgerReader`; `new_id` gives the ids of entries whose callers name none."""
        super().__init__(engine, keys=keys, vault=vault, reload_keys=reload_keys, now_ms=now_ms)
        self._engine = engine
        self._new_id = new_id

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
        sealed = (
            SealedOpening(
                entry_id=entry.id,
                subject=subject,
                sealed=await self._vault.seal(subject, opening.to_bytes()),
            )
            if private
            else None
        )
        return Prepared(entry=entry, leaf=leaf, opening=sealed, named=entry_id is not None)

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
        steps = self._appended(batch)
        try:
            receipts: tuple[Receipt, ...] = (
                await transact(self._engine, steps)
                if connection is None
                else await perform(connection, steps)
            )
        except IntegrityError as error:
            raise LedgerConflictError("another entry stands where this one should go") from error
        return receipts

    async def record_rotations(self) -> int:
        """Record the changes of the key that are not in the ledger yet; gives how many there were.

        A rotation that was cut off between the key ring and the ledger is completed by this.

        Raises:
            LedgerError: the ledger was signed with a key that the key ring does not have.
        """
        await self.size()  # a key ring that another process rotated is read first
        recorded = {endorsement.entry_id for _, endorsement in await self.rotations()}
        missing = [one for one in self._keys.endorsements if one.entry_id not in recorded]
        for endorsement in missing:
            await self.append(
                EventKind.KEY_ROTATED,
                subject="",
                public={"endorsement": str(endorsement)},
                entry_id=endorsement.entry_id,
            )
        return len(missing)

    def _appended(self, batch: Sequence[Prepared]) -> Steps:
        """Steps: append under the lock of the head; gives the receipts."""
        head: tree.Head = yield from tree.locked_head()
        self._meet_now(head.note)
        recorded = yield from _recorded(batch)
        fresh = [prepared for prepared in batch if prepared.entry.id not in recorded]
        added: dict[str, Receipt] = {}
        if fresh:
            size, known = head.tree_size, head.nodes
            growth = merkle.grow(size, head.frontier, [merkle.leaf_hash(one.leaf) for one in fresh])
            known.update(growth.nodes)
            head = tree.Head.after(growth, self._sign)
            yield from tree.written_head(
                head,
                growth.nodes,
                leaf_rows=[_leaf_row(one, size + offset) for offset, one in enumerate(fresh)],
                opening_rows=self._vault.opening_rows([one.opening for one in fresh if one.opening]),
            )
            for offset, prepared in enumerate(fresh):
                ranges = merkle.inclusion_ranges(size + offset, head.tree_size)
                added[prepared.entry.id] = receipt_of(
                    prepared.leaf,
                    prepared.entry.id,
                    leaf_index=size + offset,
                    proof=tuple(merkle.range_hash(start, end, known) for start, end in ranges),
                    head=head,
                )
        for entry_id, leaf_index in recorded.items():
            added[entry_id] = yield from proved(leaf_index, head)
        self._known_note = head.note
        return tuple(added[prepared.entry.id] for prepared in batch)


def _recorded(batch: Sequence[Prepared]) -> Steps:
    """Steps: which of the ids that callers chose are in the ledger already, and where (a dict)."""
    found: dict[str, int] = {}
    for wanted in (prepared.entry for prepared in batch if prepared.named):
        for leaf_index, leaf in (yield _BY_ENTRY, {"wanted": wanted.id}):
            if _facts(parse(leaf)) != _facts(wanted):
                raise LedgerConflictError(f"the entry {wanted.id} is recorded with other facts")
            found[wanted.id] = leaf_index
    return found


def _leaf_row(prepared: Prepared, leaf_index: int) -> dict[str, object]:
    job_id, image_id = references(prepared.entry)
    return {
        "leaf_index": leaf_index,
        "entry_id": prepared.entry.id,
        "kind": prepared.entry.kind.value,
        "subject": prepared.entry.subject,
        "job_id": job_id,
        "image_id": image_id,
        "leaf": prepared.leaf,
    }


def _facts(entry: Entry) -> tuple[object, ...]:
    """What two recordings of one event share; times and nonces differ."""
    return entry.kind, entry.subject, dict(entry.public), set(entry.commitments)
