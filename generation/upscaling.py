"""Enlarging a finished picture as a job like any other: queued, fair, cancelable, with a profile.

The engine runs it as a model of its own, which takes the place of the one that drew the picture. It adds no
content on purpose: Real-ESRGAN guesses edges and textures four times as large, and for twice the size that
result is shrunk again. Sizes, weights and method stand in the profile.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Hashable, Mapping, Sequence
from importlib.metadata import version
from typing import ClassVar, Final

import numpy as np
from PIL import Image

from generation.card import MAX_UPSCALED, ModelCard, weights_digest
from generation.errors import SourceImageError
from generation.families.base import Decoded, Pixels
from generation.job import ImageRequest
from generation.sticker.upscale import FACTOR, FOLDER, Upscaler

FAMILY: Final = "upscale"
NAME: Final = "Real-ESRGAN animevideov3 x4"
_MAX_SOURCE = 1024 * 1024  # px: activations of 64 channels would fill 256 MB
_PREVIEW = 128


def card_of(card: ModelCard, request: ImageRequest) -> ModelCard:
    """The model that runs a request: `card`, or the enlarging network where the request is to enlarge."""
    if not request.upscale:
        return card
    return dataclasses.replace(
        card,
        id="realesr-animevideov3-x4",
        name=NAME,
        family=FAMILY,
        folder=FOLDER,
        revision="1",
        weights_sha256=weights_digest(FOLDER),
        options={},
    )


@dataclasses.dataclass(slots=True, kw_only=True)
class UpscaleRow:
    """One picture to be enlarged: there are no denoising steps."""

    request: ImageRequest
    source: Pixels
    step: int = 0
    steps: int = 0


class UpscaleFamily:
    """Loads the enlarging network."""

    uses: ClassVar[tuple[str, ...]] = ()

    def load(self, card: ModelCard, *, device: str) -> UpscaleModel:
        """Read the weights; they run on the CPU whatever `device` is.

        Raises:
            UpscalerError: they are missing or damaged.
        """
        del device
        return UpscaleModel(Upscaler(card.folder))


class UpscaleModel:
    """The loaded network."""

    def __init__(self, upscaler: Upscaler) -> None:
        self._upscaler = upscaler

    def prepare(self, request: ImageRequest, *, index: int, source: Pixels | None) -> UpscaleRow:
        """Take the picture.

        Raises:
            SourceImageError: there is none, or it has more than a megapixel.
        """
        del index
        if source is None:
            raise SourceImageError("there is no picture to enlarge")
        if source.shape[0] * source.shape[1] > _MAX_SOURCE:
            raise SourceImageError("a picture of more than a megapixel is not enlarged")
        return UpscaleRow(request=request, source=source)

    def compatibility(self, row: UpscaleRow) -> Hashable:
        """Nothing is shared between rows."""
        return row.source.shape

    def denoise(self, rows: Sequence[UpscaleRow], *, pad_to: int | None = None) -> None:
        """Never called: no row has a step."""
        del rows, pad_to

    def preview(self, row: UpscaleRow) -> Pixels | None:
        """The picture as it is."""
        image = Image.fromarray(row.source)
        image.thumbnail((_PREVIEW, _PREVIEW))
        return np.asarray(image, np.uint8)

    def decode(self, row: UpscaleRow) -> Decoded:
        """Enlarge four times, then shrink to the wanted size."""
        pixels = self._upscaler.enlarge(row.source)
        wanted = (row.request.width, row.request.height)
        if pixels.shape[1::-1] != wanted:
            pixels = np.asarray(Image.fromarray(pixels).resize(wanted, Image.Resampling.LANCZOS), np.uint8)
        return Decoded(pixels=pixels, note=_note(row.request))

    def facts(self, row: UpscaleRow) -> Mapping[str, str | int | float | bool | None]:
        """What a replay must find equal."""
        return {
            "noise_scheduler": "",
            "noise_scheduler_sha256": "",
            "dtype": "float32",
            "embeddings_sha256": "",
            "latents_sha256": "",
            "method": NAME,
            "upscale": row.request.upscale,
            "ncnn": version("ncnn"),
            "source_pixels_sha256": hashlib.sha256(row.source.tobytes()).hexdigest(),
        }


def _note(request: ImageRequest) -> str:
    shrunk = "" if request.upscale == FACTOR else f", drawn {FACTOR} times as large and shrunk"
    return (
        f"Enlarged {request.upscale} times with {NAME}{shrunk}: "
        "edges are sharper, but detail that the picture did not have is a guess."
    )


__all__ = ["FAMILY", "MAX_UPSCALED", "NAME", "UpscaleFamily", "UpscaleModel", "UpscaleRow", "card_of"]
