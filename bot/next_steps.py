"""Going on from pictures, as commands and as buttons: vary, enlarge, remix, blend, describe."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import numpy as np
import numpy.typing as npt

from bot import next_replies
from bot.conversation import (
    BlendCommand,
    ButtonCommand,
    DescribeCommand,
    ExtendCommand,
    NextCommand,
    Reply,
    UpscaleCommand,
    VaryCommand,
)
from bot.nearest import TrainingPictures
from bot.replies import Replies
from bot.usecases.blend import Blend
from bot.usecases.deliver import Courier
from bot.usecases.describe import Describe, Described
from bot.usecases.extend import ZOOM, Extend
from bot.usecases.inpaint import Inpaint
from bot.usecases.iterate import Iterate
from bot.usecases.outcomes import Accepted, ImagineOutcome
from bot.usecases.uploads import Uploads
from moderation.moderator import Moderator
from moderation.picture_text import TextReader


class NextSteps:
    """Dispatches the steps that follow a picture."""

    def __init__(
        self,
        *,
        iterate: Iterate,
        extend: Extend,
        inpaint: Inpaint,
        blend: Blend,
        describe: Describe,
        courier: Courier,
        replies: Replies,
    ) -> None:
        self.iterate, self.extend, self.inpaint = iterate, extend, inpaint
        self.blend, self.describe = blend, describe
        self._courier, self._replies = courier, replies
        self.buttons: Mapping[str, Callable[[ButtonCommand], Awaitable[Reply]]] = {
            "vary": self._vary,
            "vary_weak": self._vary_weak,
            "upscale": self._upscale,
            "upscale4": self._upscale4,
            "zoom_out": self._zoom_out,
            "reroll": self._reroll,
            "remix": self._remix,
        }

    async def __call__(self, command: NextCommand) -> Reply:
        """Answer a command."""
        match command:
            case VaryCommand(mask=bytes() as mask):
                outcome = await self.inpaint(command, mask)
            case VaryCommand():
                outcome = await self.iterate.vary(
                    command.origin, command.image_id, prompt=command.prompt, strength=command.strength
                )
            case UpscaleCommand():
                outcome = await self.iterate.upscale(command.origin, command.image_id, factor=command.factor)
            case ExtendCommand():
                outcome = await self.extend(command)
            case BlendCommand():
                outcome = await self.blend(command)
            case DescribeCommand():
                found = await self.describe(command)
                if isinstance(found, Described):
                    return next_replies.described(found)
                outcome = found
        return await self._drawn(outcome)

    async def _drawn(self, outcome: ImagineOutcome) -> Reply:
        if isinstance(outcome, Accepted) and outcome.created:
            await self._courier.announce(outcome.job)
        return self._replies.imagine(outcome)

    async def _vary(self, command: ButtonCommand) -> Reply:
        return await self._drawn(await self.iterate.vary(command.origin, command.target))

    async def _vary_weak(self, command: ButtonCommand) -> Reply:
        return await self._drawn(await self.iterate.vary(command.origin, command.target, strength="weak"))

    async def _upscale(self, command: ButtonCommand) -> Reply:
        return await self._drawn(await self.iterate.upscale(command.origin, command.target, factor=2))

    async def _upscale4(self, command: ButtonCommand) -> Reply:
        return await self._drawn(await self.iterate.upscale(command.origin, command.target, factor=4))

    async def _zoom_out(self, command: ButtonCommand) -> Reply:
        wanted = ExtendCommand(origin=command.origin, image_id=command.target, zoom=ZOOM)
        return await self._drawn(await self.extend(wanted))

    async def _reroll(self, command: ButtonCommand) -> Reply:
        return await self._drawn(await self.iterate.reroll(command.origin, command.target))

    async def _remix(self, command: ButtonCommand) -> Reply:
        return await self._drawn(
            await self.iterate.remix(command.origin, command.target, prompt=command.text)
        )


def open_next_steps(
    iterate: Iterate,
    *,
    extend: Extend,
    moderator: Moderator,
    uploads: Uploads,
    inpaint: Callable[..., Inpaint],
    blend: Callable[..., Blend],
    training: TrainingPictures,
    courier: Courier,
    replies: Replies,
) -> NextSteps:
    """Build them; the text reader's networks are loaded with the first description."""
    opened: list[TextReader] = []

    def read_text(pixels: npt.NDArray[np.uint8]) -> list[tuple[str, float]]:
        if not opened:
            opened.append(TextReader.open())
        return [(line.text, line.certainty) for line in opened[0].read(pixels)]

    describe = Describe(uploads=uploads, moderator=moderator, read_text=read_text, likenesses=training.likest)
    return NextSteps(
        iterate=iterate,
        extend=extend,
        inpaint=inpaint(uploads=uploads),
        blend=blend(uploads=uploads),
        describe=describe,
        courier=courier,
        replies=replies,
    )
