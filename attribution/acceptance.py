"""Who accepted which version of which terms, and when; each step is a leaf of the ledger."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

from sqlalchemy import ColumnElement, Row, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from attribution.errors import LedgerConflictError
from attribution.ledger import Ledger, Prepared
from attribution.licenses import License
from attribution.record import EventKind
from attribution.tables import acceptances, terms_texts


@dataclass(frozen=True, kw_only=True, slots=True)
class Acceptance:
    """That one person accepted one version of one license's terms."""

    subject: str
    license_id: str
    version: str  # `License.version`: edition and beginning of the sheet's digest
    round: int  # 1, and one more after each withdrawal
    text_sha256: str  # of the sheet that was shown, see `Acceptances.text`
    entry_id: str
    leaf_index: int
    accepted_ms: int
    withdrawn_ms: int | None = None
    withdrawn_entry_id: str | None = None


class Acceptances:
    """Records acceptances and withdrawals."""

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        ledger: Ledger,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._engine = engine
        self._reader = engine.execution_options(read_only=True)
        self._ledger = ledger
        self._now_ms = now_ms

    async def of(self, subject: str, license_id: str, version: str) -> Acceptance | None:
        """The acceptance in force; None where there is none or it was withdrawn."""
        async with self._reader.connect() as connection:
            return await self._in_force(connection, subject, license_id, version)

    async def accept(
        self, subject: str, license_: License, *, origin: Mapping[str, str] | None = None
    ) -> Acceptance:
        """Record that a person accepted the license's sheet; a second time gives the first acceptance.

        Args:
            subject: the person's pseudonym.
            license_: whose `terms_text` was shown.
            origin: where it happened (platform, channel, message, ...); hidden in the leaf.

        Raises:
            ErasedError, VaultError, RecordError: as `Ledger.prepare`.
            LedgerConflictError: another process recorded something else at the same moment; try again.
        """
        standing = await self.of(subject, license_.id, license_.version)
        if standing is not None:
            return standing
        prepared = await self._ledger.prepare(
            EventKind.TERMS_ACCEPTED,
            subject=subject,
            public={
                "license_id": license_.id,
                "version": license_.version,
                "text_sha256": license_.text_sha256,
            },
            private=origin or {},
        )
        try:
            async with self._engine.begin() as connection:
                return await self._record(connection, prepared, license_)
        except _AcceptedMeanwhileError as meanwhile:
            return meanwhile.acceptance  # our own leaf was rolled back
        except IntegrityError as error:
            raise LedgerConflictError("another acceptance stands where this one should go") from error

    async def withdraw(self, subject: str, license_id: str | None = None) -> int:
        """End a person's acceptances, of one license or of all; gives how many were in force.

        Raises:
            LedgerConflictError, LedgerError: as `Ledger.append_many`.
        """
        in_force = (acceptances.c.subject == subject) & acceptances.c.withdrawn_ms.is_(None)
        if license_id is not None:
            in_force &= acceptances.c.license_id == license_id
        standing = await self._select(in_force)
        batch = [
            await self._ledger.prepare(
                EventKind.TERMS_WITHDRAWN,
                subject=subject,
                public={
                    "license_id": one.license_id,
                    "version": one.version,
                    "accepted_entry": one.entry_id,
                },
            )
            for one in standing
        ]
        if not batch:
            return 0
        ended = 0
        async with self._engine.begin() as connection:
            # A row that is already ended makes no leaf: a withdrawal is recorded once.
            for one, prepared in zip(standing, batch, strict=True):
                done = await connection.execute(
                    update(acceptances)
                    .where(acceptances.c.entry_id == one.entry_id, acceptances.c.withdrawn_ms.is_(None))
                    .values(withdrawn_ms=self._now_ms(), withdrawn_entry_id=prepared.entry.id)
                )
                if done.rowcount:
                    await self._ledger.append_prepared(prepared, connection)
                    ended += 1
        return ended

    async def history(self, subject: str) -> tuple[Acceptance, ...]:
        """Every acceptance of a person, ended ones included, oldest first."""
        return await self._select(acceptances.c.subject == subject)

    async def text(self, text_sha256: str) -> str | None:
        """The sheet that was accepted under this digest."""
        async with self._reader.connect() as connection:
            found: str | None = await connection.scalar(
                select(terms_texts.c.text).where(terms_texts.c.sha256 == text_sha256)
            )
        return found

    async def _record(self, connection: AsyncConnection, prepared: Prepared, license_: License) -> Acceptance:
        # The ledger's lock comes first: from here on nobody else can accept.
        receipt = await self._ledger.append_prepared(prepared, connection)
        subject = prepared.entry.subject
        standing = await self._in_force(connection, subject, license_.id, license_.version)
        if standing is not None:
            raise _AcceptedMeanwhileError(standing)
        acceptance = Acceptance(
            subject=subject,
            license_id=license_.id,
            version=license_.version,
            round=1 + await self._rounds(connection, subject, license_),
            text_sha256=license_.text_sha256,
            entry_id=receipt.entry_id,
            leaf_index=receipt.leaf_index,
            accepted_ms=prepared.entry.at_ms,
        )
        dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
        await connection.execute(
            dialect.insert(terms_texts)
            .values(sha256=license_.text_sha256, text=license_.terms_text)
            .on_conflict_do_nothing(index_elements=["sha256"])
        )
        await connection.execute(insert(acceptances).values(asdict(acceptance)))
        return acceptance

    async def _rounds(self, connection: AsyncConnection, subject: str, license_: License) -> int:
        count = await connection.scalar(
            select(func.count())
            .select_from(acceptances)
            .where(
                acceptances.c.subject == subject,
                acceptances.c.license_id == license_.id,
                acceptances.c.version == license_.version,
            )
        )
        return count or 0

    async def _in_force(
        self, connection: AsyncConnection, subject: str, license_id: str, version: str
    ) -> Acceptance | None:
        row = (
            await connection.execute(
                select(acceptances).where(
                    acceptances.c.subject == subject,
                    acceptances.c.license_id == license_id,
                    acceptances.c.version == version,
                    acceptances.c.withdrawn_ms.is_(None),
                )
            )
        ).one_or_none()
        return None if row is None else _acceptance(row)

    async def _select(self, condition: ColumnElement[bool]) -> tuple[Acceptance, ...]:
        async with self._reader.connect() as connection:
            rows = await connection.execute(
                select(acceptances).where(condition).order_by(acceptances.c.leaf_index)
            )
            return tuple(_acceptance(row) for row in rows)


class _AcceptedMeanwhileError(Exception):
    """Rolls the transaction back."""

    def __init__(self, acceptance: Acceptance) -> None:
        super().__init__()
        self.acceptance = acceptance


def _acceptance(row: Row[tuple[object, ...]]) -> Acceptance:
    return Acceptance(**row._mapping)  # noqa: SLF001 - SQLAlchemy's documented way to a row's mapping
