"""Which images were released: one row and one ledger entry for each, written together or not at all.

The row makes an image findable, the entry makes it provable. What is personal lies sealed in both: once a
person is erased, a row says no more than that there was an image.
"""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import rfc8785
from sqlalchemy import ColumnElement, RowMapping, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from attribution.errors import LedgerError, RecordError, VaultError
from attribution.fingerprints import PdqHash
from attribution.ledger import Ledger
from attribution.receipt import Receipt
from attribution.record import EventKind
from attribution.tables import releases
from attribution.vault import Vault

Json = str | int | float | bool | Sequence["Json"] | Mapping[str, "Json"] | None

_PENDING = -1  # the leaf index of a row inside the transaction that is about to learn it


@dataclass(frozen=True, kw_only=True, slots=True)
class ReleaseDraft:
    """Everything that is recorded about an image whose signed and sealed file is stored already."""

    image_id: str  # 16 hex digits; also the id of the ledger entry, and the record id in the manifest
    job_id: str
    index: int  # 0-based place in the job
    subject: str
    blob: str  # where the sealed PNG lies
    sha256: str  # hex, of the signed PNG as posted
    pixels_sha256: str  # hex, of the drawn RGB before any mark
    posted_pixels_sha256: str  # hex, of the RGB in the signed PNG
    pdq: PdqHash | None  # of the posted pixels
    mark_id: str | None = None  # of the mark in the posted pixels
    keypoints: bytes = field(default=b"", repr=False)  # of the posted pixels, see `KeyPoints.to_bytes`
    width: int
    height: int
    model_id: str
    model_revision: str
    weights_sha256: str
    license_id: str
    license_version: str
    license_text_sha256: str  # of the accepted terms
    prompt: str = field(repr=False)
    negative_prompt: str = field(default="", repr=False)
    seed: int
    num_inference_steps: int
    guidance_scale: float
    credits: Sequence[Mapping[str, Json]] = ()
    profile: Mapping[str, Json] = field(default_factory=dict)  # what a replay needs
    moderation: Sequence[Mapping[str, Json]] = ()  # the decisions that let it pass
    sidecar: bytes = field(default=b"", repr=False)  # the C2PA manifest on its own


@dataclass(frozen=True, kw_only=True, slots=True)
class Release:
    """A released image. After an erasure only ids, sizes, times and the receipt are left."""

    image_id: str
    job_id: str
    index: int
    subject: str
    blob: str
    sha256: str
    pixels_sha256: str
    pdq: str | None  # hex
    pdq_quality: int
    width: int
    height: int
    model_id: str
    license_id: str
    license_version: str
    entry_id: str
    receipt: Receipt
    created_ms: int
    posted: bytes | None  # sealed reference to the message
    deleted_ms: int | None

    @property
    def deleted(self) -> bool:
        """Whether the posted image was taken back."""
        return self.deleted_ms is not None


@dataclass(frozen=True, kw_only=True, slots=True)
class ReleaseDetails:
    """The sealed part of a row: exactly the bytes whose digests the entry committed to."""

    credits: bytes  # canonical JSON
    profile: bytes  # canonical JSON
    moderation: bytes  # canonical JSON
    sidecar: bytes


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
            public=_public(draft),
            private=_private(draft, texts),
            entry_id=draft.image_id,
        )
        sealed = await self._vault.seal(draft.subject, _pack(texts, draft.sidecar))
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
        return None if row is None else _unpack(await self._vault.unseal(row["subject"], row["sealed"]))

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


def canonical_json(value: Json) -> bytes:
    """RFC 8785 JSON.

    Raises:
        RecordError: the value holds something that JSON cannot say exactly.
    """
    try:
        return rfc8785.dumps(value)
    except (ValueError, TypeError, RecursionError) as error:
        raise RecordError(f"this cannot be written as canonical JSON: {error}") from error


def _public(draft: ReleaseDraft) -> dict[str, str | int]:
    return {
        "job_id": draft.job_id,
        "image_id": draft.image_id,
        "index": draft.index,
        "width": draft.width,
        "height": draft.height,
        "model_id": draft.model_id,
        "license_id": draft.license_id,
        "license_version": draft.license_version,
    }


def _private(draft: ReleaseDraft, texts: Mapping[str, bytes]) -> dict[str, str]:
    return {
        "sha256": draft.sha256,
        "pixels_sha256": draft.pixels_sha256,
        "posted_pixels_sha256": draft.posted_pixels_sha256,
        "pdq": draft.pdq.hex if draft.pdq else "",
        "model_revision": draft.model_revision,
        "weights_sha256": draft.weights_sha256,
        "license_text_sha256": draft.license_text_sha256,
        "prompt": draft.prompt,
        "negative_prompt": draft.negative_prompt,
        "seed": str(draft.seed),
        "num_inference_steps": str(draft.num_inference_steps),
        "guidance_scale": repr(float(draft.guidance_scale)),
        "sidecar_sha256": _digest(draft.sidecar),
        **({"mark_id": draft.mark_id} if draft.mark_id else {}),
        **{f"{name}_sha256": _digest(text) for name, text in texts.items()},
    }


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _pack(texts: Mapping[str, bytes], sidecar: bytes) -> bytes:
    values = {name: text.decode() for name, text in texts.items()}
    return rfc8785.dumps({**values, "sidecar": base64.b64encode(sidecar).decode()})


def _unpack(data: bytes) -> ReleaseDetails:
    try:
        values = json.loads(data)
        return ReleaseDetails(
            credits=values["credits"].encode(),
            profile=values["profile"].encode(),
            moderation=values["moderation"].encode(),
            sidecar=base64.b64decode(values["sidecar"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        raise VaultError("the sealed part of a release is damaged") from None
