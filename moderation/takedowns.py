"""Take-downs: requests to remove pictures, decided by a moderator while a 48-hour clock runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import RowMapping, exists, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from moderation.decisions import new_id, now_ms
from moderation.errors import TakedownError
from moderation.tables import takedown_items, takedowns

CLOCK_MS: Final = 48 * 3600 * 1000  # from the request to the removal
OPEN, CONFIRMED, DISMISSED, CANDIDATE = "open", "confirmed", "dismissed", "candidate"


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """One picture of a take-down; `why` is named, name, mark, image or identical."""

    image_id: str
    job_id: str
    subject: str  # who asked for the picture
    why: str
    status: str = CANDIDATE
    removed_ms: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Takedown:
    """One request. Its items are filled where a single one was asked for."""

    id: str
    workspace_id: str
    protected_id: str | None
    requested_by: str
    reason: str
    actor: str
    status: str  # open, confirmed or dismissed
    created_ms: int
    deadline_ms: int
    decided_by: str | None = None
    items: tuple[Item, ...] = ()

    @property
    def open(self) -> bool:
        """Whether a moderator still has to decide."""
        return self.status == OPEN


class Takedowns:
    """Opens, lists and decides take-downs; knows what was taken down."""

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

    async def open_(
        self,
        *,
        workspace_id: str,
        requested_by: str,
        reason: str,
        actor: str,
        items: Sequence[Item],
        protected_id: str | None = None,
        received_ms: int | None = None,
        takedown_id: str | None = None,
    ) -> Takedown:
        """List pictures for a decision; the clock runs from `received_ms` (None: now).

        `takedown_id`: 16 hex digits of the caller, for a request that may be taken in twice by mistake; the
        second gives what the first has become.

        Raises:
            TakedownError: no picture, no requester, or a request from the future.
        """
        now = self._now_ms()
        asked = now if received_ms is None else received_ms
        if not items or not requested_by.strip() or asked > now:
            raise TakedownError("a take-down needs a picture, somebody who asked, and a time that has passed")
        takedown = Takedown(
            id=takedown_id or self._new_id(),
            workspace_id=workspace_id,
            protected_id=protected_id,
            requested_by=requested_by[:200],
            reason=reason[:1000],
            actor=actor[:128],
            status=OPEN,
            created_ms=asked,
            deadline_ms=asked + CLOCK_MS,
            items=tuple(items),
        )
        values = {name: getattr(takedown, name) for name in _COLUMNS}
        async with self._engine.begin() as connection:
            dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
            fresh = dialect.insert(takedowns).values(values).on_conflict_do_nothing(index_elements=["id"])
            if await connection.scalar(fresh.returning(takedowns.c.id)) is not None:
                await _put(connection, takedown.id, items)
                return takedown
        return await self.get(takedown.id)

    async def get(self, takedown_id: str) -> Takedown:
        """One take-down with its pictures.

        Raises:
            TakedownError: there is none.
        """
        items = select(takedown_items).where(takedown_items.c.takedown_id == takedown_id)
        async with self._reader.connect() as connection:
            found = await connection.execute(select(takedowns).where(takedowns.c.id == takedown_id))
            row = found.mappings().one_or_none()
            if row is None:
                raise TakedownError(f"there is no take-down {takedown_id!r} here")
            listed = (await connection.execute(items.order_by(takedown_items.c.image_id))).mappings().all()
        return replace(_takedown(row), items=tuple(_item(item) for item in listed))

    async def unfinished(self, workspace_id: str | None = None) -> tuple[Takedown, ...]:
        """What still has to be decided or carried out, the nearest deadline first; None: everywhere."""
        under_way = exists().where(
            takedown_items.c.takedown_id == takedowns.c.id,
            takedown_items.c.status == CONFIRMED,
            takedown_items.c.removed_ms.is_(None),
        )
        statement = select(takedowns).where(or_(takedowns.c.status == OPEN, under_way))
        if workspace_id is not None:
            statement = statement.where(takedowns.c.workspace_id == workspace_id)
        async with self._reader.connect() as connection:
            rows = await connection.execute(statement.order_by(takedowns.c.deadline_ms, takedowns.c.id))
            return tuple(_takedown(row) for row in rows.mappings())

    async def confirm(
        self,
        takedown_id: str,
        *,
        actor: str,
        images: Sequence[str],
        copies: Sequence[Item] = (),
        connection: AsyncConnection,
    ) -> None:
        """Confirm `images` with their copies and dismiss the other candidates, once, in a transaction.

        Raises:
            TakedownError: it was decided before.
        """
        await self._decide(connection, takedown_id, status=CONFIRMED, actor=actor)
        await _put(connection, takedown_id, copies)
        mine = takedown_items.c.takedown_id == takedown_id
        chosen = takedown_items.c.image_id.in_([*images, *(copy.image_id for copy in copies)])
        for which, status in ((mine & chosen, CONFIRMED), (mine & ~chosen, DISMISSED)):
            await connection.execute(update(takedown_items).where(which).values(status=status))

    async def dismiss(self, takedown_id: str, *, actor: str) -> None:
        """Let the pictures stand.

        Raises:
            TakedownError: it was decided before.
        """
        async with self._engine.begin() as connection:
            await self._decide(connection, takedown_id, status=DISMISSED, actor=actor)
            which = takedown_items.c.takedown_id == takedown_id
            await connection.execute(update(takedown_items).where(which).values(status=DISMISSED))

    async def of_job(self, job_id: str) -> tuple[tuple[Takedown, Item], ...]:
        """The confirmed pictures of a job, each with its take-down."""
        statement = (
            select(takedown_items.c.takedown_id)
            .where(takedown_items.c.job_id == job_id, takedown_items.c.status == CONFIRMED)
            .distinct()
        )
        async with self._reader.connect() as connection:
            ids = (await connection.scalars(statement)).all()
        known = [await self.get(takedown_id) for takedown_id in sorted(ids)]
        return tuple(
            (takedown, item)
            for takedown in known
            for item in takedown.items
            if item.job_id == job_id and item.status == CONFIRMED
        )

    async def removed(self, job_id: str) -> None:
        """Note that the posts of a job are gone."""
        which = (takedown_items.c.job_id == job_id) & (takedown_items.c.status == CONFIRMED)
        async with self._engine.begin() as connection:
            await connection.execute(
                update(takedown_items)
                .where(which, takedown_items.c.removed_ms.is_(None))
                .values(removed_ms=self._now_ms())
            )

    async def tell(self, takedown_id: str, subject: str) -> bool:
        """Take the task of telling a person about this take-down; True for the first caller only."""
        statement = (
            update(takedown_items)
            .where(
                takedown_items.c.takedown_id == takedown_id,
                takedown_items.c.subject == subject,
                takedown_items.c.status == CONFIRMED,
                takedown_items.c.told_ms.is_(None),
            )
            .values(told_ms=self._now_ms())
        )
        async with self._engine.begin() as connection:
            return (await connection.execute(statement)).rowcount > 0

    async def _decide(
        self, connection: AsyncConnection, takedown_id: str, *, status: str, actor: str
    ) -> None:
        done = await connection.execute(
            update(takedowns)
            .where(takedowns.c.id == takedown_id, takedowns.c.status == OPEN)
            .values(status=status, decided_by=actor[:128], decided_ms=self._now_ms())
        )
        if not done.rowcount:
            known = select(takedowns.c.status).where(takedowns.c.id == takedown_id)
            outcome = await connection.scalar(known)
            raise TakedownError(f"the take-down {takedown_id!r} was decided before: {outcome}")


_COLUMNS = (
    "id",
    "workspace_id",
    "protected_id",
    "requested_by",
    "reason",
    "actor",
    "status",
    "created_ms",
    "deadline_ms",
)


async def _put(connection: AsyncConnection, takedown_id: str, items: Sequence[Item]) -> None:
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    for item in items:
        values = {
            "takedown_id": takedown_id,
            "image_id": item.image_id,
            "job_id": item.job_id,
            "subject": item.subject,
            "why": item.why,
            "status": item.status,
        }
        await connection.execute(dialect.insert(takedown_items).values(values).on_conflict_do_nothing())


def _takedown(row: RowMapping) -> Takedown:
    return Takedown(**{name: row[name] for name in (*_COLUMNS, "decided_by")})


def _item(row: RowMapping) -> Item:
    names = ("image_id", "job_id", "subject", "why", "status", "removed_ms")
    return Item(**{name: row[name] for name in names})
