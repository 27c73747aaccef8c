"""What the ledger says of itself once an older backup came back: the published leaves that are lost.

The tree goes on from the backup's last leaf, so it forks from checkpoints that were published later. That
cannot be mended; it can be said, in the ledger itself, so that an auditor need not guess.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from attribution.checkpoint import VerifierKey, open_checkpoint
from attribution.errors import RecordError, VerificationError
from attribution.record import Entry, EventKind, parse
from attribution.tables import leaves


@dataclass(frozen=True, kw_only=True, slots=True)
class Restoration:
    """That the ledger came back from a backup."""

    backup_size: int  # leaves in the backup
    published_size: int  # leaves of the largest checkpoint known to be published; the backup's, if larger

    @property
    def facts(self) -> Mapping[str, int]:
        """The public facts of the entry *ledger restored*."""
        return {"backup_size": self.backup_size, "published_size": self.published_size}

    def explains(self, tree_size: int) -> bool:
        """Whether the loss makes a checkpoint over so many leaves fail.

        A larger one than was named stays unexplained: else a restore would excuse whatever is done after it.
        """
        return self.backup_size < tree_size <= self.published_size


def restoration_in(entry: Entry, leaf_index: int) -> Restoration:
    """What an entry *ledger restored* says, which stands at `leaf_index`.

    Raises:
        RecordError: it says nothing that could be so.
    """
    backup_size, published_size = (entry.public.get(name) for name in ("backup_size", "published_size"))
    if (
        entry.kind is not EventKind.LEDGER_RESTORED
        or not isinstance(backup_size, int)
        or not isinstance(published_size, int)
        or not 0 <= backup_size <= leaf_index
        or published_size < backup_size
    ):
        raise RecordError("an entry about a restored ledger names two sizes, the backup's first")
    return Restoration(backup_size=backup_size, published_size=published_size)


async def read_restorations(connection: AsyncConnection) -> dict[int, Restoration]:
    """Every restore that the ledger declares, by leaf index; entries that are malformed declare nothing."""
    rows = await connection.execute(
        select(leaves.c.leaf_index, leaves.c.leaf)
        .where(leaves.c.kind == EventKind.LEDGER_RESTORED.value)
        .order_by(leaves.c.leaf_index)
    )
    found = {}
    for row in rows:
        try:
            found[row.leaf_index] = restoration_in(parse(row.leaf), row.leaf_index)
        except RecordError:
            continue  # the audit reports a leaf that is no entry; one with other facts explains nothing
    return found


def largest_published(notes: Iterable[str], keys: Sequence[VerifierKey]) -> tuple[int, int]:
    """Leaves of the largest of these checkpoints, and how many none of the keys signed."""
    largest = unknown = 0
    for note in notes:
        try:
            largest = max(largest, open_checkpoint(note, keys).tree_size)
        except VerificationError:
            unknown += 1
    return largest, unknown
