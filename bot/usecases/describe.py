"""What can be told of a picture by the networks that ship with Verso, and what cannot."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bot.conversation import DescribeCommand
from bot.nearest import Neighbor
from bot.usecases.outcomes import TimedOut
from bot.usecases.request import clean_prompt, scope_of
from bot.usecases.uploads import Uploads
from generation.sticker.dominant import dominant_colors
from moderation.moderator import Moderator
from moderation.types import Action, PromptContent, Scope

SURE = 0.6
"""Cosine of the picture encoder's projected vectors below which no likeness is named.

Even above it, the nearest of the other credited pictures has the very same title for 39 of 100 cut-outs only:
a likeness, not a label.
"""
_LIKENESSES = 3
_LEGIBLE = 0.8  # certainty of the text reader
_MAX_TEXT = 500  # characters

ReadText = Callable[[npt.NDArray[np.uint8]], Sequence[tuple[str, float]]]
"""Pixels (H, W, 3) -> (line, certainty 0..1), from the top left; blocking."""
Likenesses = Callable[[npt.NDArray[np.uint8]], Awaitable[Sequence[Neighbor]]]
"""Pixels -> the credited pictures nearest to them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Described:
    """What was found; whatever is empty could not be told."""

    width: int
    height: int
    media_type: str
    size: int  # bytes
    colors: tuple[tuple[str, float], ...]  # name, share of the picture
    text: str
    text_withheld: bool  # there is text that is not repeated here
    likenesses: tuple[Neighbor, ...]


class Describe:
    """Describes uploads. It never names a person: what the screening would hold as a name is left out."""

    def __init__(
        self, *, uploads: Uploads, moderator: Moderator, read_text: ReadText, likenesses: Likenesses
    ) -> None:
        self._uploads, self._moderator = uploads, moderator
        self._read_text, self._likenesses = read_text, likenesses

    async def __call__(self, command: DescribeCommand) -> Described | TimedOut:
        """Look at a picture that passed the image check.

        Raises:
            PictureError, UploadRefusedError: as `Uploads.take`.
            RuleError: there is more text than can be read in time.
            GenerationError: the picture encoder or its index cannot be loaded.
        """
        upload = await self._uploads.take(command.origin, command.image)
        if isinstance(upload, TimedOut):
            return upload
        scope = scope_of(command.origin)
        lines = await asyncio.to_thread(self._read_text, upload.pixels)
        legible = " / ".join(line for line, certainty in lines if certainty >= _LEGIBLE)
        text = clean_prompt(legible[:_MAX_TEXT])
        passes = not text or await self._passes(text, scope)
        near: dict[str, Neighbor] = {}
        for one in await self._likenesses(upload.pixels):
            if one.similarity >= SURE and await self._passes(one.title, scope):
                near.setdefault(one.title, one)
        return Described(
            width=upload.pixels.shape[1],
            height=upload.pixels.shape[0],
            media_type=upload.media_type,
            size=upload.size,
            colors=await asyncio.to_thread(dominant_colors, upload.pixels),
            text=text if passes else "",
            text_withheld=not passes,
            likenesses=tuple(near.values())[:_LIKENESSES],
        )

    async def _passes(self, words: str, scope: Scope) -> bool:
        return (await self._moderator.review(PromptContent(text=words), scope)).action is Action.ALLOW
