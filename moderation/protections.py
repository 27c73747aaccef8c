"""The protected lists as they are stored: who asked for what, why, when, and through which moderator."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from sqlalchemy import RowMapping, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from moderation.decisions import new_id, now_ms
from moderation.errors import ProtectedError
from moderation.protected import CATEGORIES, NOTHING, Kind, ProtectedEntry, ProtectedList
from moderation.tables import protected, protected_lists
from moderation.types import Action

MAX_TERM = 200
MIN_LETTERS = 3  # letters or digits of a name: shorter ones are everywhere
_CACHED = 256  # workspaces
_PDQ_BYTES = 32


class Protections:
    """Adds, lists and removes entries; every process sees a change with its next review."""

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        new_id: Callable[[], str] = new_id,
        now_ms: Callable[[], int] = now_ms,
    ) -> None:
        self._engine = engine
        self._reader = engine.execution_options(read_only=True)
        self._new_id = new_id
        self._now_ms = now_ms
        self._lists: OrderedDict[str, ProtectedList] = OrderedDict()

    async def add(
        self,
        workspace_id: str,
        *,
        kind: Kind,
        term: str,
        pdq: bytes | None = None,
        keypoints: bytes | None = None,
        action: Action = Action.HOLD,
        requested_by: str,
        reason: str,
        actor: str,
        entry_id: str | None = None,
    ) -> ProtectedEntry:
        """Protect a name, a mark, or a picture by its 32-byte PDQ hash; it counts from now on.

        `keypoints`: of a picture, `KeyPoints.to_bytes`, so that parts of it are found as well.

        `entry_id`: 16 hex digits of the caller, for an entry that may be added twice by mistake.

        Raises:
            ProtectedError: a field is missing, too long, or does not fit the kind.
        """
        term, requested_by, reason = term.strip(), requested_by.strip(), reason.strip()
        _check(kind, term=term, pdq=pdq, action=action, requested_by=requested_by, reason=reason)
        entry = ProtectedEntry(
            id=entry_id or self._new_id(),
            workspace_id=workspace_id,
            kind=kind,
            term=term,
            pdq=pdq,
            keypoints=keypoints if kind == "image" else None,
            action=action,
            requested_by=requested_by,
            reason=reason,
            actor=actor[:128],
            created_ms=self._now_ms(),
        )
        async with self._engine.begin() as connection:
            dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
            fresh = dialect.insert(protected).values(
                id=entry.id,
                workspace_id=workspace_id,
                kind=kind,
                term=term,
                pdq=pdq.hex() if pdq else None,
                keypoints=entry.keypoints,
                action=int(action),
                requested_by=requested_by,
                reason=reason,
                actor=entry.actor,
                created_ms=entry.created_ms,
            )
            fresh = fresh.on_conflict_do_nothing(index_elements=["id"])
            if await connection.scalar(fresh.returning(protected.c.id)) is not None:
                await _changed(connection, workspace_id)
        return entry

    async def remove(self, entry_id: str, *, actor: str, workspace_id: str | None = None) -> ProtectedEntry:
        """End the protection; the row stays, with who ended it.

        Raises:
            ProtectedError: no such entry in this workspace (None: in any), or it was removed before.
        """
        which = (protected.c.id == entry_id) & protected.c.removed_ms.is_(None)
        if workspace_id is not None:
            which &= protected.c.workspace_id == workspace_id
        statement = (
            update(protected)
            .where(which)
            .values(removed_ms=self._now_ms(), removed_by=actor[:128])
            .returning(*protected.c)
        )
        async with self._engine.begin() as connection:
            row = (await connection.execute(statement)).mappings().one_or_none()
            if row is None:
                raise ProtectedError(f"there is no protected entry {entry_id!r} here")
            await _changed(connection, row["workspace_id"])
        return _entry(row)

    async def entries(self, workspace_id: str | None = None) -> tuple[ProtectedEntry, ...]:
        """What is protected, oldest first; None: in every workspace."""
        statement = select(protected).where(protected.c.removed_ms.is_(None))
        if workspace_id is not None:
            statement = statement.where(protected.c.workspace_id == workspace_id)
        async with self._reader.connect() as connection:
            rows = await connection.execute(statement.order_by(protected.c.created_ms, protected.c.id))
            return tuple(_entry(row) for row in rows.mappings())

    async def current(self, workspace_id: str) -> ProtectedList:
        """The list to search, as it is now: one look at its version, and a read only after a change."""
        version = await self._version(workspace_id)
        if not version:
            return NOTHING
        known = self._lists.get(workspace_id)
        if known is None or known.version != version:
            # The version was read first: entries that are newer than it are searched, and read once more.
            known = ProtectedList(await self.entries(workspace_id), version=version)
            self._lists[workspace_id] = known
        self._lists.move_to_end(workspace_id)
        while len(self._lists) > _CACHED:
            self._lists.popitem(last=False)
        return known

    async def _version(self, workspace_id: str) -> int:
        statement = select(protected_lists.c.version).where(protected_lists.c.workspace_id == workspace_id)
        async with self._reader.connect() as connection:
            return int(await connection.scalar(statement) or 0)


def _check(
    kind: str, *, term: str, pdq: bytes | None, action: Action, requested_by: str, reason: str
) -> None:
    if kind not in CATEGORIES:
        raise ProtectedError(f"the kind must be one of {', '.join(CATEGORIES)}")
    if not term or len(term) > MAX_TERM:
        raise ProtectedError(f"a protected {kind} needs a name of at most {MAX_TERM} characters")
    if kind != "image" and term.isascii() and sum(map(str.isalnum, term)) < MIN_LETTERS:
        raise ProtectedError(f"{term!r} is too short: ordinary prompts would be refused")
    if (kind == "image") != (pdq is not None) or (pdq is not None and len(pdq) != _PDQ_BYTES):
        raise ProtectedError("a picture is protected by its 32-byte PDQ hash, and only a picture")
    if action is Action.ALLOW:
        raise ProtectedError("a protected entry holds or blocks")
    if not requested_by or len(requested_by) > 200 or not reason or len(reason) > 1000:
        raise ProtectedError("say who asked (at most 200 characters) and why (at most 1,000)")


async def _changed(connection: AsyncConnection, workspace_id: str) -> None:
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(protected_lists).values(workspace_id=workspace_id, version=1)
    await connection.execute(
        statement.on_conflict_do_update(
            index_elements=["workspace_id"], set_={"version": protected_lists.c.version + 1}
        )
    )


def _entry(row: RowMapping) -> ProtectedEntry:
    return ProtectedEntry(
        id=row["id"],
        workspace_id=row["workspace_id"],
        kind=row["kind"],
        term=row["term"],
        pdq=bytes.fromhex(row["pdq"]) if row["pdq"] else None,
        keypoints=row["keypoints"],
        action=Action(row["action"]),
        requested_by=row["requested_by"],
        reason=row["reason"],
        actor=row["actor"],
        created_ms=row["created_ms"],
    )
