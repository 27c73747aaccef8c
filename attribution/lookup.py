"""From a found picture to the images it may be: sure signs first, likeness last.

1. SHA-256: these are the very bytes that were posted.
2. Content credentials: our own signature holds over these bytes, and the ledger knows the record it names.
   A manifest moved to another picture fails its hard binding; one signed under another root may say what it
   likes and is not believed.
3. PDQ, also of the mirrored picture: it looks the same. Equal pixels look the same whoever asked for them, so
   this alone never names a person for certain.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import ColumnElement, RowMapping, func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from attribution.credentials import CredentialReport, Credentials
from attribution.errors import CredentialError
from attribution.fingerprints import MIN_QUALITY, THRESHOLD, Hit, PdqHash, PdqIndex, mirrored, pdq
from attribution.images import DEFAULT_LIMITS, ImageLimits, decode
from attribution.tables import leaves, releases
from attribution.vault import Vault

# For one comparison at the threshold: 0 of 12,208 pairs of different photographs, hence at most 3 in 12,208
# with 95 % confidence (rule of three). Pairs of 7,425 emoji pictures, many of them drawn alike: 1,195 of
# 27,561,600, or 4.3e-5.
PDQ_FALSE_MATCH_RATE = 3 / 12_208
_STRONG = 16  # bits; every attack that leaves the whole picture in view stays below
_MAX_MATCHES = 20


class Confidence(StrEnum):
    """How sure a match is; see the stages above."""

    CERTAIN = "certain"
    STRONG = "strong"
    WEAK = "weak"


@dataclass(frozen=True, kw_only=True, slots=True)
class Match:
    """One released image that the found picture may be."""

    image_id: str
    subject: str  # pseudonym of who asked for it
    erased: bool  # this person's data was erased: nothing more is known
    confidence: Confidence
    evidence: tuple[str, ...]  # "sha256", "c2pa", "pdq"
    false_match_rate: float  # measured upper bound for one comparison; 0 for cryptographic evidence
    distance: int | None = None  # bits of 256 in which the fingerprints differ

    def to_json(self) -> dict[str, object]:
        """Plain values; who may learn which person the subject is, the caller decides."""
        return {
            "image_id": self.image_id,
            "subject": self.subject,
            "erased": self.erased,
            "confidence": self.confidence.value,
            "evidence": list(self.evidence),
            "false_match_rate": self.false_match_rate,
            "distance": self.distance,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class LookupResult:
    """What was found: best first, and no match where nothing was."""

    matches: tuple[Match, ...]
    searched: int  # images that could have been found
    ms: float
    note: str = ""  # why a stage could say nothing, for the reader

    def to_json(self) -> dict[str, object]:
        """Plain values, as `whomade --json` and `match.json` carry them."""
        matches = [match.to_json() for match in self.matches]
        return {"matches": matches, "searched": self.searched, "ms": round(self.ms, 3), "note": self.note}


class Lookup:
    """Finds released images; keeps every fingerprint in memory and follows the database."""

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        credentials: Credentials,
        vault: Vault,
        limits: ImageLimits = DEFAULT_LIMITS,
    ) -> None:
        self._reader = engine.execution_options(read_only=True)
        self._credentials = credentials
        self._vault = vault
        self._limits = limits
        self._index = PdqIndex()
        self._seen = -1  # the last leaf index in the fingerprint index
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
        if not matches and examined.direct.quality < MIN_QUALITY:
            note = "the picture is too flat to be compared by its looks"
        elif not matches:
            await self.refresh()
            matches = await self._alike(examined)
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
                select(releases.c.image_id, releases.c.pdq, leaves.c.leaf_index)
                .select_from(leaves.join(releases, releases.c.image_id == leaves.c.entry_id))
                .where(leaves.c.leaf_index > self._seen, releases.c.pdq.is_not(None))
                .where(releases.c.pdq_quality >= MIN_QUALITY)
                .order_by(leaves.c.leaf_index)
            )
            async with self._reader.connect() as connection:
                rows = (await connection.execute(statement)).all()
            if rows:
                self._index.add((image_id, bytes.fromhex(code)) for image_id, code, _ in rows)
                self._seen = rows[-1][2]
            return len(self._index)

    def forget(self, image_ids: Sequence[str]) -> None:
        """Drop fingerprints from memory at once; other processes drop them when they next come up."""
        self._index.remove(image_ids)

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
        hits = self._index.search([examined.direct.bits, examined.mirrored.bits], THRESHOLD)[:_MAX_MATCHES]
        if not hits:
            return ()
        stored = await self._rows(releases.c.image_id.in_([hit.key for hit in hits]))
        rows = {row["image_id"]: row for row in stored if row["pdq"] is not None}
        self._index.remove([hit.key for hit in hits if hit.key not in rows])  # erased by another process
        live = [hit for hit in hits if hit.key in rows]
        near = {rows[hit.key]["subject"] for hit in live if hit.distance <= _STRONG}
        return tuple([await self._likeness(hit, rows[hit.key], only=len(near) == 1) for hit in live])

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

    async def _rows(self, condition: ColumnElement[bool]) -> Sequence[RowMapping]:
        statement = select(
            releases.c.image_id, releases.c.subject, releases.c.pdq, releases.c.leaf_index
        ).where(condition)
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
