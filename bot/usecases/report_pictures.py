"""The pictures that a released one was made from, for the evidence report."""

from __future__ import annotations

import asyncio
import io

import numpy as np
from PIL import Image

from attribution.errors import ErasedError, VaultError
from attribution.release_facts import Release
from attribution.vault import Vault
from generation.blobs import BlobStore
from generation.errors import BlobMissingError
from generation.queue import JobQueue
from generation.sticker.references import ReferencePackError, References
from moderation.withheld import Withheld

_EDGE = 128  # px of a reference


class ReportPictures:
    """Finds source and reference pictures; what a moderator closed off stays closed."""

    def __init__(self, *, queue: JobQueue, blobs: BlobStore, vault: Vault, withheld: Withheld) -> None:
        self._queue, self._blobs, self._vault, self._withheld = queue, blobs, vault, withheld

    async def source(self, job_id: str, blob: str) -> bytes | None:
        """The file that a job started from, or its mask; None: it may not be shown, or is kept no longer.

        Args:
            job_id: whose picture it is.
            blob: the id of the sealed file that the ledger's entry of the job names.
        """
        job = await self._queue.get(job_id)
        if job is None or blob not in {job.request.source_blob, job.request.mask_blob}:
            return None
        if await self._withheld.images(job.request.source_images) or await self._withheld.jobs([job_id]):
            return None
        try:
            return await self._vault.unseal(job.user_id, await self._blobs.get(blob))
        except (BlobMissingError, VaultError, ErasedError):
            return None

    async def parent(self, release: Release) -> bytes | None:
        """A posted file from which its own requester went on; None: as `source`."""
        if await self._withheld.images([release.image_id]) or await self._withheld.jobs([release.job_id]):
            return None
        try:
            return await self._vault.unseal(release.subject, await self._blobs.get(release.blob))
        except (BlobMissingError, VaultError, ErasedError):
            return None

    async def reference(self, source: str) -> bytes | None:
        """The embedded model's own picture with this credited source, as a PNG on white; None: not ours."""
        return await asyncio.to_thread(_reference, source)


def _reference(source: str) -> bytes | None:
    try:
        with References() as references:
            found = next((one for one in references.all if one.source.locate(one.file) == source), None)
            pixels = None if found is None else references.picture(found, edge=_EDGE)
    except ReferencePackError:  # the report does without: the credit stands in words
        return None
    if pixels is None:
        return None
    drawn = Image.fromarray(np.ascontiguousarray(pixels))
    paper = Image.new("RGBA", drawn.size, "white")
    paper.alpha_composite(drawn)
    buffer = io.BytesIO()
    paper.convert("RGB").save(buffer, "PNG")
    return buffer.getvalue()
