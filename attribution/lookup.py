"""From a found picture to the images it may be: sure signs first, likeness last.

1. SHA-256: these are the very bytes that were posted.
2. Content credentials: our own signature holds over these bytes, and the ledger knows the record it names.
   A manifest moved to another picture fails its hard binding; one signed under another root may say what it
   likes and is not believed.
3. PDQ, also of the mirrored picture: it looks the same.
4. Key points: a part of it is there, perhaps turned or scaled. Alone they prove nothing and name nobody.
5. The mark: laid on its original, the picture carries the pattern of one copy. Equal pixels look the same
   whoever asked for them; the mark tells the copies apart. It counts only together with the original, so a
   mark that was moved onto another picture finds nobody.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import ColumnElement, RowMapping, func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from attribution.credential_reader import CredentialReport
from attribution.credentials import Credentials
from attribution.errors import CredentialError
from attribution.fingerprints import MIN_QUALITY, THRESHOLD, Hit, PdqHash, PdqIndex, mirrored, pdq
from attribution.images import DEFAULT_LIMITS, ImageLimits, decode
from attribution.keypoints import ASKED, KeyPointIndex, KeyPoints
from attribution.mark_reader import Copy, MarkReader, Named
from attribution.marks import Luma
from attribution.matches import Confidence, LookupResult, Match
from attribution.tables import leaves, releases
from attribution.vault import Vault

# For one comparison at the threshold: 0 of 12,208 pairs of different photographs, hence at most 3 in 12,208
# with 95 % confidence (rule of three). Pairs of 7,425 emoji pictures, many of them drawn alike: 1,195 of
# 27,561,600, or 4.3e-5.
PDQ_FALSE_MATCH_RATE = 3 / 12_208
_STRONG = 16  # bits; every attack that leaves the whole picture in view stays below
_MAX_MATCHES = 20
_MAX_ORIGINALS = 6  # that a found picture is laid on; each costs about a fifth of a second


class Lookup:
    """Finds released images; keeps every fingerprint in memory and follows the database."""

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        credentials: Credentials,
        vault: Vault,
        reader: MarkReader,
        limits: ImageLimits = DEFAULT_LIMITS,
    ) -> None:
        self._reader = engine.execution_options(read_only=True)
        self._credentials = credentials
        self._vault = vault
        self._reader_of_marks = reader
        self._limits = limits
        self._index = PdqIndex()
        self._parts = KeyPointIndex()
        self._seen = -1  # the last leaf index in the indexes
        self._loading = asyncio.Lock()

    async def find(self, data: bytes) -> LookupResult:
        """Search for a picture by its bytes alone.

        Raises:
            ImageError: they are no picture that can be read within the limits.
        """
        started = time.perf_counter()
        examined = await asyncio.to_thread(self._examine, data)
        matches = await self._certain(examined)
        note = ""
        if not matches:
            await self.refresh()
            matches = await self._alike(examined)
            if not matches and examined.direct.quality < MIN_QUALITY:
                note = "the picture is too flat to be compared by its looks"
        return LookupResult(
            matches=matches[:_MAX_MATCHES],
            searched=await self._count(),
            ms=(time.perf_counter() - started) * 1000,
            note=note,
        )

    async def refresh(self) -> int:
        """Take in what was released since the last call; gives how many fingerprints are held."""
        async with self._loading:
            # The ledger's own order is the primary key of `leaves`: what is new lies at its end.
            statement = (
                select(
                    releases.c.image_id,
                    releases.c.pdq,
                    releases.c.pdq_quality,
                    releases.c.keypoints,
                    leaves.c.leaf_index,
                )
                .select_from(leaves.join(releases, releases.c.image_id == leaves.c.entry_id))
                .where(leaves.c.leaf_index > self._seen, releases.c.pdq.is_not(None))
                .order_by(leaves.c.leaf_index)
            )
            async with self._reader.connect() as connection:
                rows = (await connection.execute(statement)).all()
            if rows:
                self._index.add(
                    (row.image_id, bytes.fromhex(row.pdq)) for row in rows if row.pdq_quality >= MIN_QUALITY
                )
                parts = [(row.image_id, KeyPoints.from_bytes(row.keypoints)) for row in rows if row.keypoints]
                await asyncio.to_thread(self._parts.add, parts)
                self._seen = rows[-1].leaf_index
            return len(self._index)

    def forget(self, image_ids: Sequence[str]) -> None:
        """Drop fingerprints from memory at once; other processes drop them when they next come up."""
        self._index.remove(image_ids)
        self._parts.remove(image_ids)

    def _examine(self, data: bytes) -> _Examined:
        """All that needs only the bytes; runs on a thread."""
        pixels = decode(data, self._limits)
        try:
            report = self._credentials.read(data)
        except CredentialError:  # it proves nothing; the picture may still be found
            report = CredentialReport(present=True)
        return _Examined(
            sha256=hashlib.sha256(data).hexdigest(),
            report=report,
            direct=pdq(pixels),
            mirrored=mirrored(pixels),
            parts=(
                KeyPoints.of(pixels, count=ASKED),
                KeyPoints.of(np.ascontiguousarray(pixels[:, ::-1]), count=ASKED),
            ),
            views=MarkReader.views(pixels),
        )

    async def _certain(self, examined: _Examined) -> tuple[Match, ...]:
        evidence: dict[str, list[str]] = {}
        rows: dict[str, RowMapping] = {}
        for row in await self._rows(releases.c.sha256 == examined.sha256):
            rows[row["image_id"]] = row
            evidence.setdefault(row["image_id"], []).append("sha256")
        report = examined.report
        if report.trusted and report.record_id:
            for row in await self._rows(releases.c.image_id == report.record_id):
                rows[row["image_id"]] = row
                evidence.setdefault(row["image_id"], []).append("c2pa")
        return tuple(
            [
                Match(
                    image_id=image_id,
                    subject=rows[image_id]["subject"],
                    erased=await self._vault.erased(rows[image_id]["subject"]),
                    confidence=Confidence.CERTAIN,
                    evidence=tuple(found),
                    false_match_rate=0.0,
                )
                for image_id, found in evidence.items()
            ]
        )

    async def _alike(self, examined: _Examined) -> tuple[Match, ...]:
        hits: dict[str, Hit] = {}
        if examined.direct.quality >= MIN_QUALITY:
            codes = [examined.direct.bits, examined.mirrored.bits]
            hits = {hit.key: hit for hit in self._index.search(codes, THRESHOLD)[:_MAX_MATCHES]}
        by_parts = await asyncio.to_thread(self._parts.search, examined.parts)
        parts = {hit.key for hit in by_parts[:_MAX_MATCHES]}
        rows = {row["image_id"]: row for row in await self._rows(releases.c.image_id.in_([*hits, *parts]))}
        rows = {image_id: row for image_id, row in rows.items() if row["pdq"] is not None}
        self.forget([key for key in (*hits, *parts) if key not in rows])  # erased by another process
        order = [key for key in dict.fromkeys([*hits, *(hit.key for hit in by_parts)]) if key in rows]
        named, copies = await self._marked(examined, [rows[key]["pixels_sha256"] for key in order])
        found = [
            await self._marked_copy(one, copies[one.image_id], pdq=hits.get(one.image_id), parts=parts)
            for one in named
        ]
        decided = {copies[one.image_id]["pixels_sha256"] for one in named}
        near = {rows[key]["subject"] for key, hit in hits.items() if key in rows and hit.distance <= _STRONG}
        for key, hit in hits.items():
            if key in rows and key not in {one.image_id for one in named}:
                only = len(near) == 1 and rows[key]["pixels_sha256"] not in decided
                found.append(await self._likeness(hit, rows[key], only=only))
        return tuple(found)

    async def _marked(
        self, examined: _Examined, originals: Sequence[str]
    ) -> tuple[list[Named], dict[str, RowMapping]]:
        """The copies whose marks are there, for the likeliest originals, and the rows of all copies."""
        named: list[Named] = []
        every: dict[str, RowMapping] = {}
        for pixels_sha256 in list(dict.fromkeys(originals))[:_MAX_ORIGINALS]:
            same = await self._rows(
                releases.c.pixels_sha256 == pixels_sha256, releases.c.mark_id.is_not(None)
            )
            rows = {row["image_id"]: row for row in same}
            every |= rows
            copies = [
                Copy(image_id=key, job_id=row["job_id"], index=row["index"], mark_id=row["mark_id"])
                for key, row in rows.items()
            ]
            one = await self._reader_of_marks.read(examined.views, copies)
            if one is not None:
                named.append(one)
        return sorted(named, key=lambda one: -one.score), every

    async def _marked_copy(
        self, named: Named, row: RowMapping, *, pdq: Hit | None, parts: Collection[str]
    ) -> Match:
        looks = [*(["pdq"] if pdq else []), *(["keypoints"] if named.image_id in parts else [])]
        return Match(
            image_id=named.image_id,
            subject=row["subject"],
            erased=await self._vault.erased(row["subject"]),
            confidence=Confidence.STRONG,
            evidence=(*looks, "mark"),
            false_match_rate=named.false_match_rate,
            distance=pdq.distance if pdq else None,
        )

    async def _likeness(self, hit: Hit, row: RowMapping, *, only: bool) -> Match:
        """`only`: no other person has an image that looks as much like it."""
        sure = only and hit.distance <= _STRONG
        return Match(
            image_id=hit.key,
            subject=row["subject"],
            erased=await self._vault.erased(row["subject"]),
            confidence=Confidence.STRONG if sure else Confidence.WEAK,
            evidence=("pdq",),
            false_match_rate=PDQ_FALSE_MATCH_RATE,
            distance=hit.distance,
        )

    async def _rows(self, *conditions: ColumnElement[bool]) -> Sequence[RowMapping]:
        statement = select(
            releases.c.image_id,
            releases.c.job_id,
            releases.c.index,
            releases.c.subject,
            releases.c.pdq,
            releases.c.pixels_sha256,
            releases.c.mark_id,
            releases.c.leaf_index,
        ).where(*conditions)
        async with self._reader.connect() as connection:
            found = await connection.execute(statement.order_by(releases.c.leaf_index))
            return found.mappings().all()

    async def _count(self) -> int:
        async with self._reader.connect() as connection:
            return int(await connection.scalar(select(func.count()).select_from(releases)) or 0)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Examined:
    """What the bytes alone tell."""

    sha256: str
    report: CredentialReport
    direct: PdqHash
    mirrored: PdqHash
    parts: tuple[KeyPoints, KeyPoints]  # upright and mirrored
    views: tuple[Luma, Luma]  # for the mark
