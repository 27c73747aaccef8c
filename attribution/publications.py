"""Which checkpoints were published where, and which are due; many processes publish each once.

A place is a name that the caller chooses: a file, a channel, an authority that dates checkpoints. A
publication is claimed in the database first, so that a restart or a second process goes on with the same
checkpoint instead of choosing another.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Row, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from attribution import tree
from attribution.errors import LedgerError
from attribution.tables import checkpoints

MAX_PLACE = 200  # characters


@dataclass(frozen=True, kw_only=True, slots=True)
class Publication:
    """A checkpoint that is to be shown, or was shown, at a place."""

    id: int
    place: str
    tree_size: int
    note: str
    token: bytes | None = None  # the time stamp token (DER), where the place is an authority


class Publications:
    """The rows of `checkpoints`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._reader = engine.execution_options(read_only=True)

    async def claim(self, place: str, *, now_ms: int, period_ms: int, lease_ms: int) -> Publication | None:
        """Take the task of publishing the newest checkpoint at a place; None: nothing is due there.

        Due is what was claimed and not published in time, else the newest head once `period_ms` have passed
        since the last one and the tree has grown. The claim lasts `lease_ms`; say `done` or `postpone`.

        Raises:
            LedgerError: the name of the place is too long, or the stored head is damaged.
        """
        if len(place) > MAX_PLACE:
            raise LedgerError(f"the name of a place of publication may have {MAX_PLACE} characters")
        async with self._engine.begin() as connection:
            head = await tree.lock_head(connection)  # one process at a time decides what is due
            last = await _newest(connection, place)
            if last is not None and last.due_ms is not None:
                if last.due_ms > now_ms:
                    return None
                await connection.execute(
                    update(checkpoints).where(checkpoints.c.id == last.id).values(due_ms=now_ms + lease_ms)
                )
                return _publication(last)
            if not head.note or (
                last and (head.tree_size <= last.tree_size or not _over(last, now_ms, period_ms))
            ):
                return None
            fresh = insert(checkpoints).values(
                place=place,
                tree_size=head.tree_size,
                note=head.note,
                published_ms=now_ms,
                due_ms=now_ms + lease_ms,
            )
            return _publication((await connection.execute(fresh.returning(checkpoints))).one())

    async def done(self, publication: Publication, *, now_ms: int, token: bytes | None = None) -> None:
        """It was published; `token` is what an authority gave for it."""
        await self._set(publication, due_ms=None, published_ms=now_ms, token=token)

    async def postpone(self, publication: Publication, *, until_ms: int) -> None:
        """It failed, and is to be tried again from `until_ms` on."""
        await self._set(publication, due_ms=until_ms)

    async def notes(self) -> tuple[str, ...]:
        """Every checkpoint that was published anywhere, oldest first."""
        published = select(checkpoints).where(checkpoints.c.due_ms.is_(None)).order_by(checkpoints.c.id)
        async with self._reader.connect() as connection:
            rows = await connection.execute(published)
            return tuple(dict.fromkeys(row.note for row in rows))

    async def dated(self, leaf_index: int, tree_size: int) -> Publication | None:
        """The earliest checkpoint with a time stamp that covers a leaf, in a tree of at most this size."""
        covering = (
            select(checkpoints)
            .where(
                checkpoints.c.token.is_not(None),
                checkpoints.c.tree_size > leaf_index,
                checkpoints.c.tree_size <= tree_size,
            )
            .order_by(checkpoints.c.tree_size, checkpoints.c.id)
            .limit(1)
        )
        async with self._reader.connect() as connection:
            row = (await connection.execute(covering)).one_or_none()
        return None if row is None else _publication(row)

    async def _set(self, publication: Publication, **values: object) -> None:
        async with self._engine.begin() as connection:
            await connection.execute(
                update(checkpoints).where(checkpoints.c.id == publication.id).values(**values)
            )


async def _newest(connection: AsyncConnection, place: str) -> Row[tuple[object, ...]] | None:
    found = select(checkpoints).where(checkpoints.c.place == place)
    newest = found.order_by(checkpoints.c.tree_size.desc()).limit(1)
    return (await connection.execute(newest)).one_or_none()


def _over(last: Row[tuple[object, ...]], now_ms: int, period_ms: int) -> bool:
    return bool(now_ms >= last.published_ms + period_ms)


def _publication(row: Row[tuple[object, ...]]) -> Publication:
    return Publication(id=row.id, place=row.place, tree_size=row.tree_size, note=row.note, token=row.token)
