"""Evidence for a dispute: everything recorded about one image, in a form that a stranger can check.

`EvidenceRoom` collects it from the database, `attribution.bundle` lays it out. Every member is named in the
signed index; the entries of the ledger come with proofs up to one signed checkpoint.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from attribution.bundle import BundleParts, DatedCheckpoint, ProvedEntry, build_bundle
from attribution.errors import ErasedError, EvidenceError
from attribution.ledger import Ledger
from attribution.lineage import Lineage, Step
from attribution.made_from import MadeFrom, Origin
from attribution.publications import Publications
from attribution.record import EventKind
from attribution.release_facts import Json, Release
from attribution.releases import Releases
from attribution.tables import terms_texts
from attribution.vault import Vault

# About the image, but no part of how it came about; who looked it up is nobody else's business.
_AFTERWARDS = {EventKind.LOOKED_UP, EventKind.EVIDENCE_EXPORTED}


async def _none(*_: object) -> bytes | None:
    return None


class EvidenceRoom:
    """Collects and exports evidence."""

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        ledger: Ledger,
        publications: Publications,
        vault: Vault,
        releases: Releases,
        get_blob: Callable[[str], Awaitable[bytes]],
        made_from: MadeFrom | None = None,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        """Keep what is needed.

        Args:
            engine: the database.
            ledger: proves the entries.
            publications: dated checkpoints.
            vault: opens what is sealed.
            releases: the released images.
            get_blob: reads a sealed file by its id.
            made_from: finds the pictures behind an image; None: none can be shown.
            now_ms: the time, Unix ms.
        """
        self._reader = engine.execution_options(read_only=True)
        self._ledger = ledger
        self._publications = publications
        self._vault = vault
        self._releases = releases
        self._get_blob = get_blob
        self._made_from = made_from or MadeFrom(releases, source=_none, parent=_none, reference=_none)
        self._now_ms = now_ms

    async def export(
        self, image_id: str, *, actor: str = "", match: Mapping[str, Json] | None = None
    ) -> bytes:
        """Collect and build a bundle, and record that it was handed out.

        Args:
            image_id: of a released image.
            actor: who asked for it; recorded, and visible to the image's owner only.
            match: the match report, where a found picture led to this image.

        Raises:
            EvidenceError: there is no such image, or something that a bundle needs is missing.
            ErasedError: the person's data was erased: nothing can be shown any more.
            LedgerError, VaultError: the stored record is damaged.
        """
        parts = await self.collect(image_id, match=match)
        bundle = build_bundle(parts, signer=self._ledger.keys.signer)
        entry = parts.record.receipt.entry
        await self._ledger.append(
            EventKind.EVIDENCE_EXPORTED,
            subject=entry.subject,
            public={"image_id": image_id},
            private={"actor": actor, "bundle_sha256": hashlib.sha256(bundle).hexdigest()},
        )
        return bundle

    async def collect(self, image_id: str, *, match: Mapping[str, Json] | None = None) -> BundleParts:
        """Gather the parts; arguments and errors as `export`."""
        release = await self._releases.get(image_id)
        if release is None:
            raise EvidenceError(f"there is no released image {image_id!r}")
        if await self._vault.erased(release.subject):
            raise ErasedError(release.subject)
        details = await self._releases.details(image_id)
        if details is None:
            raise EvidenceError(f"the release of {image_id!r} has no details")
        size = await self._ledger.size()
        timeline = await Lineage(self._ledger).of_job(release.job_id, opened=False)
        steps = [
            await self._proved(step.leaf_index, size, owner=release.subject, step=step)
            for step in timeline.steps
            if step.kind not in _AFTERWARDS and step.leaf_index < size
        ]
        record = next((step for step in steps if step.receipt.entry_id == release.entry_id), None)
        if record is None or record.opening is None:
            raise EvidenceError(f"the record of {image_id!r} cannot be opened")
        text_sha256 = record.opening.fields.get("license_text_sha256", "")
        return BundleParts(
            image_id=image_id,
            record=record,
            first_receipt=release.receipt,
            consistency=await self._ledger.consistency(release.receipt.tree_size, size),
            image=await self._image(release),
            sidecar=details.sidecar,
            origins=await self._origins(release, steps, record.opening.fields),
            references=await self._made_from.references(details.credits),
            acceptance=await self._acceptance(release, text_sha256, size),
            terms=await self._terms(text_sha256),
            steps=tuple(steps),
            rotations=await self._rotations(size),
            dated=await self._dated(release.receipt.leaf_index, size),
            moderation=details.moderation,
            profile=details.profile,
            match=match,
            exported_at_ms=self._now_ms(),
            verifier_key=self._ledger.verifier_key,
        )

    async def _proved(
        self, leaf_index: int, size: int, *, owner: str, step: Step | None = None
    ) -> ProvedEntry:
        """An entry with its proof; another person's (the maker of a source image) stays closed."""
        receipt = await self._ledger.prove(leaf_index, size)
        entry = receipt.entry
        closed = not entry.commitments or entry.subject not in {owner, ""}
        return ProvedEntry(
            receipt=receipt,
            opening=None if closed else await self._ledger.opening(entry.id),
            actor=step.actor if step else "person",
            title=step.title if step else "accepted the terms",
        )

    async def _rotations(self, size: int) -> tuple[ProvedEntry, ...]:
        places = [place for place, _ in await self._ledger.rotations() if place < size]
        return tuple([await self._proved(place, size, owner="") for place in places])

    async def _dated(self, leaf_index: int, size: int) -> DatedCheckpoint | None:
        found = await self._publications.dated(leaf_index, size)
        if found is None or found.token is None:
            return None
        return DatedCheckpoint(
            checkpoint=found.note,
            token=found.token,
            authority=found.place.removeprefix("rfc3161:"),
            consistency=await self._ledger.consistency(found.tree_size, size),
        )

    async def _origins(
        self, release: Release, steps: Sequence[ProvedEntry], recorded: Mapping[str, str]
    ) -> tuple[Origin, ...]:
        """What the image's own job started from and went on from, and the images before and beside it."""
        for step in steps:
            entry = step.receipt.entry
            if entry.kind is EventKind.JOB_ACCEPTED and entry.public.get("job_id") == release.job_id:
                asked = step.opening.fields if step.opening else {}
                direct = await self._made_from.of(
                    release, public=entry.public, asked=asked, recorded=recorded
                )
                known = {release.image_id, *(one.image_id for one in direct)}
                ids = [
                    str(one.receipt.entry.public.get("image_id"))
                    for one in steps
                    if one.receipt.entry.kind is EventKind.IMAGE_RELEASED and one.opening is not None
                ]
                others = [image_id for image_id in ids if image_id not in known]
                return direct + await self._made_from.earlier(release, others)
        return ()

    async def _image(self, release: Release) -> bytes:
        image = await self._vault.unseal(release.subject, await self._get_blob(release.blob))
        if hashlib.sha256(image).hexdigest() != release.sha256:
            raise EvidenceError(f"the stored file of {release.image_id!r} is not the released one")
        return image

    async def _terms(self, text_sha256: str) -> bytes:
        statement = select(terms_texts.c.text).where(terms_texts.c.sha256 == text_sha256)
        async with self._reader.connect() as connection:
            text = await connection.scalar(statement)
        if text is None:
            raise EvidenceError(f"the accepted terms (sha256 {text_sha256!r}) are not stored")
        return str(text).encode()

    async def _acceptance(self, release: Release, text_sha256: str, size: int) -> ProvedEntry:
        """The newest acceptance of these very terms that was in force when the image was released."""
        withdrawn: set[str | int] = set()
        for stored in reversed(await self._ledger.entries(release.subject)):
            public = stored.entry.public
            if stored.leaf_index > release.receipt.leaf_index:
                continue
            if stored.entry.kind is EventKind.TERMS_WITHDRAWN:
                withdrawn.add(public.get("accepted_entry", ""))
            if stored.entry.kind is not EventKind.TERMS_ACCEPTED or stored.entry.id in withdrawn:
                continue
            if public.get("text_sha256") == text_sha256:
                return await self._proved(stored.leaf_index, size, owner=release.subject)
        raise EvidenceError("no acceptance of the terms is recorded that was in force for this image")
