"""A part of a picture drawn anew: a mask, sent along as a picture, is white there."""

from __future__ import annotations

import asyncio
import io
import secrets

import numpy as np
import numpy.typing as npt
from PIL import Image

from bot.conversation import ImagineCommand, VaryCommand
from bot.errors import UsageError
from bot.usecases.imagine import Imagine
from bot.usecases.iterate import aspect_of, started_from, strength_of
from bot.usecases.outcomes import ImagineOutcome, TimedOut
from bot.usecases.request import MAX_SEED
from bot.usecases.sources import Sources
from bot.usecases.uploads import Uploads
from generation.catalog import Catalog
from generation.queue import JobQueue

_SHAPE = 0.02  # how far the mask's shape may be from the picture's


class Inpaint:
    """In-paints one of one's own pictures."""

    def __init__(
        self, *, imagine: Imagine, catalog: Catalog, queue: JobQueue, sources: Sources, uploads: Uploads
    ) -> None:
        self._imagine, self._catalog, self._queue = imagine, catalog, queue
        self._sources, self._uploads = sources, uploads

    async def __call__(self, command: VaryCommand, mask: bytes) -> ImagineOutcome:
        """Ask for the picture with the white part of `mask` drawn anew; the mask passes the image check.

        Raises:
            NotFoundError, SourceGoneError, NotYourPictureError: as `Sources.picture`.
            PictureError, UploadRefusedError: as `Uploads.take`.
            UsageError: the model cannot, the mask marks nothing or has another shape, or a strength is wrong.
            RequestLimitError: the queue takes no more for now.
        """
        source = await self._sources.picture(command.origin, command.image_id)
        request = source.job.request
        card = self._catalog.get(request.model_id)
        if "inpaint" not in card.abilities:
            raise UsageError(f"{card.name} cannot draw a part of a picture anew.", field="mask")
        upload = await self._uploads.take(command.origin, mask)
        if isinstance(upload, TimedOut):
            return upload
        stored = await self._queue.results(source.job.id)
        drawn = next(one for one in stored if one.index == source.release.index)
        png = await asyncio.to_thread(_mask_png, upload.pixels, (drawn.width, drawn.height))
        return await started_from(
            self._imagine,
            self._sources,
            ImagineCommand(
                origin=command.origin,
                prompt=request.prompt if command.prompt is None else command.prompt,
                negative_prompt=request.negative_prompt,
                model_id=card.id,
                aspect=aspect_of(card, drawn.width, drawn.height),
                seed=secrets.randbelow(MAX_SEED - 4),
                step="inpaint",
                source_images=(command.image_id,),
                strength=None if command.strength == "strong" else strength_of(card, command.strength),
                size=(drawn.width, drawn.height),
            ),
            subject=source.job.user_id,
            png=source.png,
            mask=png,
        )


def _mask_png(pixels: npt.NDArray[np.uint8], size: tuple[int, int]) -> bytes:
    """The mask in gray, of the picture's size.

    Raises:
        UsageError: it has another shape, or marks nothing.
    """
    height, width, _ = pixels.shape
    if abs(width * size[1] - height * size[0]) > _SHAPE * height * size[0]:
        raise UsageError(
            f"The mask needs the shape of the picture, {size[0]} x {size[1]} pixels.", field="mask"
        )
    gray = Image.fromarray(pixels).convert("L").resize(size, Image.Resampling.BILINEAR)
    if not (np.asarray(gray) >= 128).any():
        raise UsageError("The mask marks nothing: paint white what shall be drawn anew.", field="mask")
    stream = io.BytesIO()
    gray.save(stream, "PNG")
    return stream.getvalue()
