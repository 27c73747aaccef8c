"""Which images were released: one row and one ledger entry for each, written together or not at all.

The row makes an image findable, the entry makes it provable. What is personal lies sealed in both: once a
person is erased, a row says no more than that there was an image.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from sqlalchemy import ColumnElement, RowMapping, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from attribution.errors import LedgerError
from attribution.ledger import Ledger
from attribution.record import EventKind
from attribution.release_facts import (
    Release,
    ReleaseDetails,
    ReleaseDraft,
    canonical_json,
    pack,
    private_facts,
    public_facts,
    unpack,
)
from attribution.tables import releases
from attribution.vault import Vault

_PENDING = -1  # the leaf index of a row inside the transaction that is about to learn it


class Releases:
    """Records images as released, and finds them again."""

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        ledger: Ledger,
        vault: Vault,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._engine = engine
        self._reader = engine.execution_options(read_only=True)
        self._ledger = ledger
        self._vault = vault
        self._now_ms = now_ms

    async def find(self, job_id: str, index: int) -> Release | None:
        """The image at this place of this job, if it was released."""
        found = await self._select(releases.c.job_id == job_id, releases.c.index == index)
        return found[0] if found else None

    async def get(self, image_id: str) -> Release | None:
        """The image with this id."""
        found = await self._select(releases.c.image_id == image_id)
        return found[0] if found else None

    async def of_job(self, job_id: str) -> tuple[Release, ...]:
        """The released images of a job, in its order."""
        return await self._select(releases.c.job_id == job_id)

    async def of_subject(self, subject: str) -> tuple[Release, ...]:
        """A person's released images, oldest first."""
        return await self._select(releases.c.subject == subject)

    async def release(self, draft: ReleaseDraft) -> Release:
        """Write the row and the entry *image released* in one transaction.

        A second call for the same place of the same job changes nothing and gives what the first one wrote,
        even if the drafts differ: the bytes that were recorded first are the ones to post. Its `blob` then
        tells which stored file counts.

        Raises:
            RecordError: a fact is malformed, or too large to be recorded.
            ErasedError, VaultError: nothing can be sealed for this person.
            LedgerError: the ledger refused.
        """
        earlier = await self.find(draft.job_id, draft.index)
        if earlier is not None:
            return earlier
        texts = {
            "credits": canonical_json(draft.credits),
            "profile": canonical_json(draft.profile),
            "moderation": canonical_json(draft.moderation),
        }
        prepared = await self._ledger.prepare(
            EventKind.IMAGE_RELEASED,
            subject=draft.subject,
            public=public_facts(draft),
            private=private_facts(draft, texts),
            entry_id=draft.image_id,
        )
        sealed = await self._vault.seal(draft.subject, pack(texts, draft.sidecar))
        async with self._engine.begin() as connection:
            if await self._insert(connection, draft, sealed):
                receipt = await self._ledger.append_prepared(prepared, connection)
                await connection.execute(
                    update(releases)
                    .where(releases.c.image_id == draft.image_id)
                    .values(leaf_index=receipt.leaf_index)
                )
        written = await self.find(draft.job_id, draft.index)
        if written is None:
            raise LedgerError(f"the id {draft.image_id} belongs to an image of another job")
        return written

    async def details(self, image_id: str) -> ReleaseDetails | None:
        """The sealed part of a row.

        Raises:
            ErasedError, VaultError: it cannot be opened (any more).
        """
        async with self._reader.connect() as connection:
            statement = select(releases.c.subject, releases.c.sealed).where(releases.c.image_id == image_id)
            row = (await connection.execute(statement)).mappings().one_or_none()
        return None if row is None else unpack(await self._vault.unseal(row["subject"], row["sealed"]))

    async def set_posted(self, image_id: str, reference: str) -> bool:
        """Note where an image was posted, in the row and the ledger; False if that is noted already.

        Args:
            image_id: of a released image.
            reference: the platform's message ids; they are stored sealed, and committed to.

        Raises:
            LedgerError: there is no such image.
            ErasedError, VaultError: nothing can be sealed for this person.
        """
        row = await self._row(image_id)
        sealed = await self._vault.seal(row["subject"], reference.encode())
        return await self._note(
            row, EventKind.POSTED, column="posted", value=sealed, private={"reference": reference}
        )

    async def mark_deleted(
        self, image_id: str, *, kind: EventKind = EventKind.DELETED, actor: str = ""
    ) -> bool:
        """Note that a posted image was taken back; False if that is noted already.

        The record stays: what was posted can still be proved. `kind` may be TAKE_DOWN where a moderator did
        it; `actor` is the pseudonym of who did.

        Raises:
            LedgerError: there is no such image.
        """
        row = await self._row(image_id)
        return await self._note(
            row, kind, column="deleted_ms", value=self._now_ms(), private={"actor": actor} if actor else {}
        )

    async def forget(self, subject: str, *, connection: AsyncConnection | None = None) -> tuple[str, ...]:
        """Blank a person's rows; gives the ids of the stored files to delete.

        Digests and fingerprints go too: nobody can ask any more whether a given picture was this person's.
        """
        if connection is None:
            async with self._engine.begin() as own:
                return await self.forget(subject, connection=own)
        return await blank(connection, releases.c.subject == subject, now_ms=self._now_ms())

    async def _insert(self, connection: AsyncConnection, draft: ReleaseDraft, sealed: bytes) -> bool:
        values = {
            "image_id": draft.image_id,
            "job_id": draft.job_id,
            "index": draft.index,
            "subject": draft.subject,
            "blob": draft.blob,
            "sha256": draft.sha256,
            "pixels_sha256": draft.pixels_sha256,
            "pdq": draft.pdq.hex if draft.pdq else None,
            "pdq_quality": draft.pdq.quality if draft.pdq else 0,
            "mark_id": draft.mark_id,
            "keypoints": draft.keypoints or None,
            "width": draft.width,
            "height": draft.height,
            "model_id": draft.model_id,
            "license_id": draft.license_id,
            "license_version": draft.license_version,
            "entry_id": draft.image_id,
            "leaf_index": _PENDING,
            "sealed": sealed,
            "created_ms": self._now_ms(),
        }
        insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
        done = await connection.execute(insert(releases).values(values).on_conflict_do_nothing())
        return done.rowcount > 0

    async def _note(
        self,
        row: RowMapping,
        kind: EventKind,
        *,
        column: str,
        value: bytes | int,
        private: Mapping[str, str],
    ) -> bool:
        """Fill an empty column and append the entry that says so."""
        prepared = await self._ledger.prepare(
            kind,
            subject=row["subject"],
            public={"job_id": row["job_id"], "image_id": row["image_id"]},
            private=private,
        )
        async with self._engine.begin() as connection:
            done = await connection.execute(
                update(releases)
                .where(releases.c.image_id == row["image_id"], releases.c[column].is_(None))
                .values({column: value})
            )
            if not done.rowcount:
                return False
            await self._ledger.append_prepared(prepared, connection)
        return True

    async def _row(self, image_id: str) -> RowMapping:
        async with self._reader.connect() as connection:
            statement = select(releases.c.image_id, releases.c.job_id, releases.c.subject)
            found = await connection.execute(statement.where(releases.c.image_id == image_id))
            row = found.mappings().one_or_none()
        if row is None:
            raise LedgerError(f"there is no image {image_id!r}")
        return row

    async def _select(self, *conditions: ColumnElement[bool]) -> tuple[Release, ...]:
        statement = select(releases).where(*conditions).order_by(releases.c.leaf_index)
        async with self._reader.connect() as connection:
            rows = (await connection.execute(statement)).mappings().all()
        return tuple([await self._release(row) for row in rows])

    async def _release(self, row: RowMapping) -> Release:
        # The receipt as it was first given: against the head that the entry itself made.
        receipt = await self._ledger.prove(row["leaf_index"], row["leaf_index"] + 1)
        return Release(
            image_id=row["image_id"],
            job_id=row["job_id"],
            index=row["index"],
            subject=row["subject"],
            blob=row["blob"],
            sha256=row["sha256"],
            pixels_sha256=row["pixels_sha256"],
            pdq=row["pdq"],
            pdq_quality=row["pdq_quality"],
            width=row["width"],
            height=row["height"],
            model_id=row["model_id"],
            license_id=row["license_id"],
            license_version=row["license_version"],
            entry_id=row["entry_id"],
            receipt=receipt,
            created_ms=row["created_ms"],
            posted=row["posted"],
            deleted_ms=row["deleted_ms"],
        )


async def blank(connection: AsyncConnection, which: ColumnElement[bool], *, now_ms: int) -> tuple[str, ...]:
    """Empty rows of all that is personal or findable; gives the ids of the stored files to delete."""
    found = tuple(await connection.scalars(select(releases.c.blob).where(which, releases.c.blob != "")))
    await connection.execute(
        update(releases)
        .where(which)
        .values(
            blob="",
            sha256="",
            pixels_sha256="",
            pdq=None,
            pdq_quality=0,
            mark_id=None,
            keypoints=None,
            sealed=b"",
            posted=None,
            deleted_ms=func.coalesce(releases.c.deleted_ms, now_ms),
        )
    )
    return found
