"""Quarantine cases: what may be illegal is out of everybody's sight, and preserved until a date.

A case holds ids, digests, and bytes sealed under a key of its own, so that neither retention nor the erasure
of the person destroys it before its time; destroying the key ends it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sqlalchemy import ColumnElement, RowMapping, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from moderation.decisions import now_ms
from moderation.errors import QuarantineError
from moderation.tables import quarantine
from moderation.types import Category

AUTOMATIC = "automatic"


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One prompt or picture in quarantine. `sealed` and the bytes at `blob` open with the keeper's key."""

    id: str
    workspace_id: str
    subject: str  # the pseudonym of who asked for it
    job_id: str | None = None
    index: int | None = None  # of the picture within the job; None: a prompt
    image_id: str | None = None
    decision_id: str | None = None
    category: Category
    actor: str  # a moderator's pseudonym, or "automatic"
    keeper: str
    blob: str | None = None
    sealed: bytes
    digests: Mapping[str, str]
    created_ms: int = 0
    keep_until_ms: int = 0
    lifted_ms: int | None = None
    lifted_by: str | None = None


_COLUMNS = tuple(Case.__dataclass_fields__)


class Quarantine:
    """Adds, lists, lifts and ends cases."""

    def __init__(self, engine: AsyncEngine, *, keep_ms: int, now_ms: Callable[[], int] = now_ms) -> None:
        """`keep_ms`: how long a case is preserved."""
        self._engine = engine
        self._reader = engine.execution_options(read_only=True)
        self._keep_ms = keep_ms
        self._now_ms = now_ms

    async def add(self, case: Case, connection: AsyncConnection) -> bool:
        """Add a case in the caller's transaction; its time starts now. False: it was there before.

        A case that was lifted is closed again, with what was preserved first.
        """
        now = self._now_ms()
        values = {name: getattr(case, name) for name in _COLUMNS}
        values |= {"category": str(case.category), "created_ms": now, "keep_until_ms": now + self._keep_ms}
        values["digests"] = dict(case.digests)
        dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
        made = await connection.scalar(
            dialect.insert(quarantine)
            .values(values)
            .on_conflict_do_nothing(index_elements=["id"])
            .returning(quarantine.c.id)
        )
        if made is None:
            await connection.execute(
                update(quarantine)
                .where(quarantine.c.id == case.id)
                .values(lifted_ms=None, lifted_by=None, keep_until_ms=now + self._keep_ms)
            )
        return made is not None

    async def find(self, case_id: str) -> Case | None:
        """One case, open or lifted."""
        found = await self._select(quarantine.c.id == case_id)
        return found[0] if found else None

    async def get(self, case_id: str, workspace_id: str | None = None) -> Case:
        """One case of a workspace (None: of any).

        Raises:
            QuarantineError: there is none here.
        """
        case = await self.find(case_id)
        if case is None or workspace_id not in {None, case.workspace_id}:
            raise QuarantineError(f"there is no quarantine case {case_id!r} here")
        return case

    async def cases(self, workspace_id: str | None = None) -> tuple[Case, ...]:
        """Every case that was not lifted, oldest first; None: of every workspace."""
        open_ = quarantine.c.lifted_ms.is_(None)
        return await self._select(
            open_ if workspace_id is None else open_ & (quarantine.c.workspace_id == workspace_id)
        )

    async def lift(self, case_id: str, *, actor: str) -> None:
        """End the quarantine; what is preserved stays until its date.

        Raises:
            QuarantineError: there is no such case, or it was lifted before.
        """
        async with self._engine.begin() as connection:
            done = await connection.execute(
                update(quarantine)
                .where(quarantine.c.id == case_id, quarantine.c.lifted_ms.is_(None))
                .values(lifted_ms=self._now_ms(), lifted_by=actor[:128])
            )
        if not done.rowcount:
            raise QuarantineError(f"the case {case_id!r} is not in quarantine")

    async def due(self) -> tuple[Case, ...]:
        """Cases whose preservation is over."""
        return await self._select(quarantine.c.keep_until_ms <= self._now_ms())

    async def unkeep(self, case: Case, connection: AsyncConnection) -> None:
        """Forget what was preserved; the row stays, so that the picture stays out of sight."""
        await connection.execute(
            update(quarantine)
            .where(quarantine.c.id == case.id)
            .values(sealed=b"", blob=None, digests={}, keep_until_ms=_NEVER)
        )
        if case.lifted_ms is not None:
            await connection.execute(delete(quarantine).where(quarantine.c.id == case.id))

    async def _select(self, which: ColumnElement[bool]) -> tuple[Case, ...]:
        statement = select(quarantine).where(which).order_by(quarantine.c.created_ms, quarantine.c.id)
        async with self._reader.connect() as connection:
            return tuple(_case(row) for row in (await connection.execute(statement)).mappings())


_NEVER = 2**62


def _case(row: RowMapping) -> Case:
    values = {name: row[name] for name in _COLUMNS}
    return Case(**{**values, "category": Category(row["category"])})
