"""The full check of a stored ledger: every leaf, node and head is computed again.

Each stored node is compared with its own stored children, so an alteration is named where it was made. Roots
are computed from the leaves alone, and compared with the signed head and with every checkpoint given.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from sqlalchemy import Row, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from attribution import merkle, tree
from attribution.checkpoint import Checkpoint, VerifierKey
from attribution.errors import LedgerError, RecordError, VerificationError
from attribution.record import Entry, EventKind, parse
from attribution.restored import Restoration, read_restorations
from attribution.rotation import Endorsement, KeyChain
from attribution.tables import leaves, nodes

MAX_PROBLEMS = 1000  # a rewritten ledger would name every leaf
_CHUNK = 1000

Kind = Literal[
    "altered", "missing", "reordered", "extra", "index", "node", "head", "checkpoint", "key", "restored"
]


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditProblem:
    """One thing that does not hold."""

    kind: Kind
    leaf_index: int | None  # None: the problem is not at one leaf
    detail: str


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditReport:
    """What an audit found."""

    size: int  # leaves the head speaks of
    root_hash: bytes  # computed from the leaves
    checkpoints: int  # checkpoints that were compared, the head's own included
    problems: tuple[AuditProblem, ...]

    @property
    def ok(self) -> bool:
        """Whether everything holds."""
        return not self.problems


@dataclass(kw_only=True)
class _Audit:
    """The state of one run."""

    chain: KeyChain
    expected: dict[int, list[tuple[str, bytes]]] = field(default_factory=dict)  # size -> (which, root)
    problems: list[AuditProblem] = field(default_factory=list)
    suspects: dict[bytes, int] = field(default_factory=dict)  # leaf hash -> place where it does not belong
    restorations: dict[int, Restoration] = field(default_factory=dict)  # by leaf index
    compared: int = 0

    def report(self, kind: Kind, leaf_index: int | None, detail: str) -> None:
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(AuditProblem(kind=kind, leaf_index=leaf_index, detail=detail))

    def expect(self, which: str, note: str, kind: Kind) -> Checkpoint | None:
        try:
            checkpoint = self.chain.open(note)
        except VerificationError as error:
            self.report(kind, None, f"{which}: {error}")
            return None
        self.expected.setdefault(checkpoint.tree_size, []).append((which, checkpoint.root_hash))
        return checkpoint

    def compare(self, size: int, root_hash: bytes) -> None:
        for which, expected in self.expected.pop(size, ()):
            self.compared += 1
            if expected != root_hash:
                self.differs(size, f"{which}: the first {size} leaves are not the ones it was signed over")

    def differs(self, size: int, detail: str) -> None:
        """Report a checkpoint that does not fit, with the restore that the ledger declares as the reason."""
        for leaf_index, one in self.restorations.items():
            if one.explains(size):
                lost = (
                    f"leaf {leaf_index} declares a restore from a backup of {one.backup_size} leaves, which "
                    f"lost the leaves {one.backup_size} to {one.published_size - 1}"
                )
                self.report("restored", leaf_index, f"{detail}; {lost}")
                return
        self.report("checkpoint", None, detail)


async def audit(
    connection: AsyncConnection, *, checkpoints: Sequence[str], trusted: Sequence[VerifierKey]
) -> AuditReport:
    """Check the whole ledger that `connection` reads.

    Args:
        connection: one read transaction, so that appends do not move what is read.
        checkpoints: signed notes that were published or handed out, of any age.
        trusted: keys that may have signed them and the head. The rotations that the ledger recorded lead from
            any of them to the others. What is wrong is reported, not raised.
    """
    run = _Audit(chain=KeyChain.of(trusted))
    await _follow_rotations(connection, run, trusted)
    run.restorations = await read_restorations(connection)
    try:
        head = await tree.read_head(connection) or tree.EMPTY
    except LedgerError as error:
        run.report("head", None, str(error))
        head = await _damaged_head(connection)
    if head.note:
        signed = run.expect("the stored head", head.note, "head")
        if signed and (signed.tree_size, signed.root_hash) != (head.tree_size, head.root_hash):
            run.report("head", None, "the stored head is not the one that was signed")
    elif head.tree_size:
        run.report("head", None, "the stored head is not signed")
    for number, note in enumerate(checkpoints, start=1):
        found = run.expect(f"checkpoint {number}", note, "checkpoint")
        if found and found.tree_size > head.tree_size:
            run.differs(
                found.tree_size,
                f"checkpoint {number} speaks of {found.tree_size} leaves, the ledger has {head.tree_size}",
            )
    root_hash = await _walk(connection, run, head)
    await _name_reordered(connection, run)
    return AuditReport(
        size=head.tree_size, root_hash=root_hash, checkpoints=run.compared, problems=tuple(run.problems)
    )


async def _follow_rotations(connection: AsyncConnection, run: _Audit, trusted: Sequence[VerifierKey]) -> None:
    """Learn from the leaves which keys followed the trusted ones, and when."""
    rotations: list[tuple[int, Endorsement]] = []
    rows = await connection.execute(
        select(leaves.c.leaf_index, leaves.c.leaf)
        .where(leaves.c.kind == EventKind.KEY_ROTATED.value)
        .order_by(leaves.c.leaf_index)
    )
    for row in rows:
        try:
            found = (row.leaf_index, endorsement_in(parse(row.leaf)))
            run.chain = KeyChain.of(trusted, [*rotations, found])
        except (RecordError, VerificationError) as error:
            run.report("key", row.leaf_index, f"leaf {row.leaf_index} changes the key wrongly: {error}")
        else:
            rotations.append(found)


async def _walk(connection: AsyncConnection, run: _Audit, head: tree.Head) -> bytes:
    actual: tuple[bytes, ...] = ()  # frontier over the leaves as they are
    stored: list[bytes] = []  # the same over the nodes as stored
    run.compare(0, merkle.EMPTY_ROOT)
    async for start, rows, found in _chunks(connection, head.tree_size):
        for index in range(start, min(start + _CHUNK, head.tree_size)):
            claimed = found.pop(merkle.node_id(0, index), None)
            computed = _check_leaf(run, index, rows.get(index), claimed)
            actual = merkle.grow(index, actual, [computed]).frontier
            _check_nodes(run, index, claimed or computed, stored, found)
            if index + 1 in run.expected:
                run.compare(index + 1, merkle.fold(actual))
        for node in found:
            run.report("node", None, f"there is a stored node {node} that belongs to no subtree")
    if tuple(stored) != head.frontier:
        run.report("head", None, "the head's subtrees are not the stored nodes")
    root_hash = merkle.fold(actual)
    if root_hash != head.root_hash:
        run.report("head", None, "the head's root is not the root of the leaves")
    await _check_surplus(connection, run, head)
    return root_hash


def _check_leaf(run: _Audit, index: int, row: Row[tuple[object, ...]] | None, claimed: bytes | None) -> bytes:
    """Compare one leaf with its node and its columns; gives the leaf's hash."""
    if row is None:
        run.report("missing", index, f"leaf {index} is missing")
        return claimed or bytes(merkle.HASH_BYTES)
    computed = merkle.leaf_hash(row.leaf)
    if claimed is None:
        run.report("node", index, f"the stored hash of leaf {index} is missing")
    elif computed != claimed:
        run.suspects[computed] = index
        run.report("altered", index, f"leaf {index} is not what was recorded there")
    try:
        entry = parse(row.leaf)
    except RecordError as error:
        run.report("altered", index, f"leaf {index} is no entry: {error}")
        return computed
    columns = (row.entry_id, row.kind, row.subject, row.job_id, row.image_id)
    if columns != (entry.id, entry.kind.value, entry.subject, *references(entry)):
        run.report("index", index, f"the look-up columns of leaf {index} do not say what the leaf says")
    return computed


def _check_nodes(
    run: _Audit, index: int, current: bytes, stored: list[bytes], found: dict[int, bytes]
) -> None:
    """Compare the subtrees that leaf `index` completes with their stored children."""
    level = 0
    while index & 1:
        expected = merkle.node_hash(stored.pop(), current)
        level += 1
        index >>= 1
        current = found.pop(merkle.node_id(level, index), b"")
        if current != expected:
            first, last = index << level, ((index + 1) << level) - 1
            what = "is not the hash of its two halves" if current else "is missing"
            run.report("node", None, f"the stored node over leaves {first} to {last} {what}")
            current = current or expected
    stored.append(current)


async def _chunks(
    connection: AsyncConnection, size: int
) -> AsyncIterator[tuple[int, dict[int, Row[tuple[object, ...]]], dict[int, bytes]]]:
    for start in range(0, size, _CHUNK):
        end = min(start + _CHUNK, size)
        rows = await connection.execute(
            select(leaves).where(leaves.c.leaf_index >= start, leaves.c.leaf_index < end)
        )
        found = await connection.execute(
            select(nodes).where(nodes.c.id >= merkle.node_id(0, start), nodes.c.id < merkle.node_id(0, end))
        )
        yield start, {row.leaf_index: row for row in rows}, {row.id: row.hash for row in found}


async def _check_surplus(connection: AsyncConnection, run: _Audit, head: tree.Head) -> None:
    beyond = (leaves.c.leaf_index >= head.tree_size) | (leaves.c.leaf_index < 0)
    for index in await connection.scalars(select(leaves.c.leaf_index).where(beyond).limit(MAX_PROBLEMS)):
        run.report("extra", index, f"leaf {index} lies beyond the head's {head.tree_size} leaves")
    end = merkle.node_id(0, head.tree_size)
    surplus = await connection.scalar(
        select(func.count()).select_from(nodes).where((nodes.c.id >= end) | (nodes.c.id < 0))
    )
    if surplus:
        run.report("node", None, f"there are {surplus} stored nodes beyond the head")


async def _name_reordered(connection: AsyncConnection, run: _Audit) -> None:
    """Say of altered leaves which of them were recorded elsewhere."""
    wanted = list(run.suspects)[:MAX_PROBLEMS]
    if not wanted:
        return
    for row in await connection.execute(select(nodes).where(nodes.c.hash.in_(wanted))):
        index = run.suspects[row.hash]
        run.report("reordered", index, f"leaf {index} holds what was recorded as leaf {_leaf_index(row.id)}")


async def _damaged_head(connection: AsyncConnection) -> tree.Head:
    """What to audit when the head itself is useless: all leaves there are."""
    last = await connection.scalar(select(func.max(leaves.c.leaf_index)))
    return tree.Head(
        tree_size=0 if last is None else last + 1, frontier=(), root_hash=merkle.EMPTY_ROOT, note=""
    )


def _leaf_index(node: int) -> int:
    """The leaf whose hash is stored under this number."""
    guess = node // 2
    while merkle.node_id(0, guess) < node:
        guess += 1
    return guess


def references(entry: Entry) -> tuple[str | None, str | None]:
    """The job and the image that an entry speaks of, as the look-up columns hold them."""
    job, image = (entry.public.get(name) for name in ("job_id", "image_id"))
    return (
        job if isinstance(job, str) and len(job) <= 64 else None,
        image if isinstance(image, str) and len(image) <= 64 else None,
    )


def endorsement_in(entry: Entry) -> Endorsement:
    """What an entry *key rotated* says.

    Raises:
        VerificationError: it says something else.
    """
    endorsement = Endorsement.parse(str(entry.public.get("endorsement", "")))
    if entry.kind is not EventKind.KEY_ROTATED or entry.id != endorsement.entry_id:
        raise VerificationError("the entry is not the one that belongs to its endorsement")
    return endorsement
