"""Remembers which message belongs to which job, and which command waits for accepted terms."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, replace

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bot.conversation import ImagineCommand, Origin
from bot.tables import parked, posts

Sealer = Callable[[str, bytes], Awaitable[bytes]]
PARKED_FOR_MS = 72 * 3600 * 1000  # longer than any appeal may take


class Posts:
    """The message of each job: a placeholder first, the picture later. References are stored sealed."""

    def __init__(self, engine: AsyncEngine, *, seal: Sealer, unseal: Sealer) -> None:
        self._engine, self._seal, self._unseal = engine, seal, unseal

    async def get(self, job_id: str) -> tuple[str, str] | None:
        """The (reference, state) of a job's message; None where none was posted."""
        async with self._engine.execution_options(read_only=True).connect() as connection:
            row = (await connection.execute(select(posts).where(posts.c.job_id == job_id))).one_or_none()
        if row is None:
            return None
        return (await self._unseal(row.subject, row.sealed)).decode(), str(row.state)

    async def put(self, job_id: str, *, subject: str, post: str, state: str) -> None:
        """Store the reference and the state of a job's message."""
        sealed = await self._seal(subject, post.encode())
        try:
            async with self._engine.begin() as connection:
                await connection.execute(
                    insert(posts).values(
                        job_id=job_id, subject=subject, state=state, sealed=sealed, created_ms=_now_ms()
                    )
                )
        except IntegrityError:
            async with self._engine.begin() as connection:
                await connection.execute(
                    update(posts).where(posts.c.job_id == job_id).values(state=state, sealed=sealed)
                )

    async def park(self, command: ImagineCommand, *, subject: str) -> str:
        """Keep a command until its terms are accepted; returns the id for the button."""
        command_id = secrets.token_hex(8)
        sealed = await self._seal(subject, command_to_bytes(command))
        async with self._engine.begin() as connection:
            await connection.execute(delete(parked).where(parked.c.created_ms < _now_ms() - PARKED_FOR_MS))
            await connection.execute(
                insert(parked).values(id=command_id, subject=subject, sealed=sealed, created_ms=_now_ms())
            )
        return command_id

    async def keep_blocked(self, decision_id: str, command: ImagineCommand, *, subject: str) -> None:
        """Keep a blocked command under its decision, so that an appeal can run it unchanged."""
        sealed = await self._seal(subject, command_to_bytes(command))
        async with self._engine.begin() as connection:
            await connection.execute(
                insert(parked).values(id=decision_id, subject=subject, sealed=sealed, created_ms=_now_ms())
            )

    async def unpark(self, command_id: str, *, subject: str) -> ImagineCommand | None:
        """Take a parked command of this person; None where it is gone or another's."""
        async with self._engine.begin() as connection:
            row = (
                await connection.execute(
                    delete(parked)
                    .where(parked.c.id == command_id, parked.c.subject == subject)
                    .returning(parked.c.sealed)
                )
            ).one_or_none()
        return None if row is None else command_from_bytes(await self._unseal(subject, row.sealed))

    async def expire(
        self, connection: AsyncConnection, *, older_than_ms: int, keep: Sequence[str] = ()
    ) -> None:
        """Delete rows from before `older_than_ms`, except of people under legal hold."""
        for table in (posts, parked):
            await connection.execute(
                delete(table).where(table.c.created_ms < older_than_ms, table.c.subject.not_in(keep))
            )

    @staticmethod
    async def forget(subject: str, *, connection: AsyncConnection) -> None:
        """Delete all rows of an erased person."""
        await connection.execute(delete(posts).where(posts.c.subject == subject))
        await connection.execute(delete(parked).where(parked.c.subject == subject))


def command_to_bytes(command: ImagineCommand) -> bytes:
    """Serialise a command as JSON."""
    return json.dumps(asdict(command), separators=(",", ":")).encode()


def command_from_bytes(data: bytes) -> ImagineCommand:
    """Read what `command_to_bytes` wrote."""
    values = json.loads(data)
    origin = Origin.from_bytes(json.dumps(values.pop("origin")).encode())
    values["source_images"] = tuple(values.get("source_images", ()))
    values["extend"] = tuple(values.get("extend", ()))
    values["size"] = tuple(values["size"]) if values.get("size") else None
    return replace(ImagineCommand(origin=origin, prompt=values.pop("prompt")), **values)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
