"""Opens the unmarked original of a released picture, for the look-up to compare with."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
from PIL import Image

from attribution.errors import ErasedError, VaultError
from attribution.vault import Vault
from generation.blobs import BlobStore
from generation.errors import BlobMissingError
from generation.queue import JobQueue


class Originals:
    """Reads the pictures that jobs stored before anything was added to them."""

    def __init__(self, *, queue: JobQueue, blobs: BlobStore, vault: Vault) -> None:
        self._queue, self._blobs, self._vault = queue, blobs, vault

    async def __call__(self, job_id: str, index: int) -> npt.NDArray[np.uint8] | None:
        """(H, W, 3) 8-bit sRGB; None where the job, the file or its owner's key is gone."""
        job = await self._queue.get(job_id)
        if job is None:
            return None
        stored = next((one for one in await self._queue.results(job_id) if one.index == index), None)
        if stored is None:
            return None
        try:
            png = await self._vault.unseal(job.user_id, await self._blobs.get(stored.blob))
        except (ErasedError, VaultError, BlobMissingError):
            return None
        with Image.open(io.BytesIO(png)) as image:
            return np.asarray(image.convert("RGB"))
