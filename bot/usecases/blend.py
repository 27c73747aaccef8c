"""One picture from two: laid side by side, then redrawn by the model with the words of both."""

from __future__ import annotations

import asyncio
import io
import secrets
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from PIL import Image

from attribution.vault import Vault
from bot.conversation import BlendCommand, ImagineCommand, Origin
from bot.errors import UsageError
from bot.usecases.imagine import Imagine
from bot.usecases.iterate import aspect_of, started_from, strength_of
from bot.usecases.outcomes import ImagineOutcome, TimedOut
from bot.usecases.request import MAX_PROMPT, MAX_SEED, clean_prompt, subject_of
from bot.usecases.sources import SourcePicture, Sources
from bot.usecases.uploads import Uploads
from generation.blending import collage
from generation.catalog import Catalog

_DEFAULT = 0.3  # strength, where neither the command nor the model's card says one


@dataclass(frozen=True, kw_only=True, slots=True)
class _Part:
    """One of the two."""

    pixels: npt.NDArray[np.uint8] = field(repr=False)
    source: SourcePicture | None  # None: an upload


class Blend:
    """Blends two of one's own pictures, or files that one sends along."""

    def __init__(
        self, *, imagine: Imagine, catalog: Catalog, sources: Sources, uploads: Uploads, vault: Vault
    ) -> None:
        self._imagine, self._catalog, self._vault = imagine, catalog, vault
        self._sources, self._uploads = sources, uploads

    async def __call__(self, command: BlendCommand) -> ImagineOutcome:
        """Check both pictures, lay them into one and ask for it to be redrawn.

        The model is that of the first picture of one's own, else the default; so is the aspect.

        Raises:
            NotFoundError, SourceGoneError, NotYourPictureError: as `Sources.picture`.
            PictureError, UploadRefusedError: as `Uploads.take`.
            UsageError: uploads without words, words that are too many, or a strength out of bounds.
            RequestLimitError: the queue takes no more for now.
        """
        origin = command.origin
        prompt = clean_prompt(command.prompt)
        parts = []
        for picture in (command.first, command.second):
            part = await self._part(origin, picture)
            if isinstance(part, TimedOut):
                return part
            parts.append(part)
        own = [part.source for part in parts if part.source is not None]
        if not prompt:
            prompt = _words([source.job.request.prompt for source in own])
        if not prompt:
            raise UsageError("Please say in words what the two pictures shall become.", field="prompt")
        card = self._catalog.get(own[0].job.request.model_id if own else None)
        first = own[0].job.request if own else None
        aspect = aspect_of(card, first.width, first.height) if first else "1:1"
        width, height = card.aspects[aspect]
        share = float(card.options.get("blend", _DEFAULT))
        if command.strength is not None:
            share = strength_of(card, command.strength)
        png = await asyncio.to_thread(_png, parts[0].pixels, parts[1].pixels, width, height)
        return await started_from(
            self._imagine,
            self._sources,
            ImagineCommand(
                origin=origin,
                prompt=prompt,
                model_id=card.id,
                aspect=aspect,
                seed=secrets.randbelow(MAX_SEED - 4),
                step="blend",
                source_images=tuple(dict.fromkeys(source.release.image_id for source in own)),
                strength=share,
            ),
            subject=await subject_of(self._vault, origin),
            png=png,
        )

    async def _part(self, origin: Origin, picture: str | bytes) -> _Part | TimedOut:
        if isinstance(picture, str):
            source = await self._sources.picture(origin, picture.strip())
            return _Part(pixels=await asyncio.to_thread(_pixels, source.png), source=source)
        upload = await self._uploads.take(origin, picture)
        return upload if isinstance(upload, TimedOut) else _Part(pixels=upload.pixels, source=None)


def _words(prompts: list[str]) -> str:
    """The words of both, as long as they fit."""
    both = " and ".join(dict.fromkeys(prompts))
    return both if len(both) <= MAX_PROMPT else prompts[0]


def _pixels(png: bytes) -> npt.NDArray[np.uint8]:
    with Image.open(io.BytesIO(png)) as image:
        return np.asarray(image.convert("RGB"))


def _png(first: npt.NDArray[np.uint8], second: npt.NDArray[np.uint8], width: int, height: int) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(collage(first, second, width=width, height=height)).save(stream, "PNG")
    return stream.getvalue()
