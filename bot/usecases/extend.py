"""More of a picture: what lies around it, drawn by the model; the picture itself stays as it is."""

from __future__ import annotations

import secrets

from bot.conversation import ExtendCommand, ImagineCommand
from bot.errors import UsageError
from bot.usecases.clicks import Clicks
from bot.usecases.imagine import Imagine
from bot.usecases.iterate import aspect_of, started_from
from bot.usecases.outcomes import ImagineOutcome
from bot.usecases.request import MAX_SEED
from bot.usecases.sources import Sources
from generation.card import MIN_INSIDE
from generation.catalog import Catalog, ModelCard
from generation.outpainting import Sides, placed, widened
from generation.queue import JobQueue

ZOOM = 1.5
"""How much smaller the button shows the picture."""

_MOST_ZOOM = 4.0
_MOST_ADDED = 4096  # px: the model's own limit is checked later


class Extend:
    """Out-paints one of one's own pictures."""

    def __init__(
        self, *, imagine: Imagine, catalog: Catalog, queue: JobQueue, sources: Sources, clicks: Clicks
    ) -> None:
        self._imagine, self._catalog, self._queue = imagine, catalog, queue
        self._sources, self._clicks = sources, clicks

    async def __call__(self, command: ExtendCommand) -> ImagineOutcome:
        """Ask for the picture on a larger canvas, or smaller on its own.

        Raises:
            NotFoundError, SourceGoneError, NotYourPictureError: as `Sources.picture`.
            UsageError: not one of sides, zoom and aspect is given, it is out of bounds, or the model cannot.
            RequestLimitError: the queue takes no more for now.
        """
        source = await self._sources.picture(command.origin, command.image_id)
        request = source.job.request
        card = self._catalog.get(request.model_id)
        if not card.abilities:
            raise UsageError(f"{card.name} draws from words alone.", field="model")
        stored = await self._queue.results(source.job.id)
        drawn = next(one for one in stored if one.index == source.release.index)
        size, sides = _canvas(card, (drawn.width, drawn.height), command)
        what = f"extend {sides} {size} {command.prompt}"
        share = card.options.get("extend")
        return await started_from(
            self._imagine,
            self._sources,
            ImagineCommand(
                origin=self._clicks.once(command.origin, what, command.image_id),
                prompt=request.prompt if command.prompt is None else command.prompt,
                negative_prompt=request.negative_prompt,
                model_id=card.id,
                aspect=aspect_of(card, *size),
                seed=secrets.randbelow(MAX_SEED - 4),
                step="extend",
                source_images=(command.image_id,),
                strength=None if share is None else float(share),
                extend=sides,
                size=size,
            ),
            subject=source.job.user_id,
            png=source.png,
        )


def _canvas(card: ModelCard, size: tuple[int, int], command: ExtendCommand) -> tuple[tuple[int, int], Sides]:
    """The size of the finished picture, and how much of each side of it is drawn anew."""
    match command:
        case ExtendCommand(sides=(left, top, right, bottom), zoom=None, aspect=None):
            sides = (left, top, right, bottom)
            if min(sides) < 0 or not 0 < max(sides) <= _MOST_ADDED:
                raise UsageError("Add something to at least one side, in pixels.", field="extend")
            canvas, sides = widened(size, sides)
        case ExtendCommand(sides=None, zoom=float() | int() as zoom, aspect=None):
            if not 1 < zoom <= _MOST_ZOOM:
                raise UsageError(f"Zoom out above 1 and at most {_MOST_ZOOM:g} times.", field="zoom")
            canvas, sides = size, placed(size, size, scale=1 / zoom)
        case ExtendCommand(sides=None, zoom=None, aspect=str() as aspect):
            if aspect not in card.aspects:
                raise UsageError(f"The model draws these aspects: {', '.join(card.aspects)}.", field="aspect")
            canvas = card.aspects[aspect]
            sides = placed(size, canvas)
        case _:
            raise UsageError("Say how much to add: sides, a zoom or an aspect.", field="extend")
    _check(card, canvas, sides)
    return canvas, sides


def _check(card: ModelCard, canvas: tuple[int, int], sides: Sides) -> None:
    left, top, right, bottom = sides
    if not any(sides):
        raise UsageError("The picture has this shape already.", field="aspect")
    if min(canvas[0] - left - right, canvas[1] - top - bottom) < MIN_INSIDE:
        raise UsageError("Too little of the picture would be left.", field="zoom")
    if canvas not in card.aspects.values() and canvas[0] * canvas[1] > card.max_pixels:
        raise UsageError(
            f"With that the picture would have {canvas[0]} x {canvas[1]} pixels, more than "
            f"{card.name} draws ({card.max_pixels:,}). Add less, or zoom out instead.",
            field="extend",
        )
