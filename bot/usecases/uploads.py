"""A picture that somebody sends along: decoded within limits, and judged before anything is made of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from attribution.vault import Vault
from bot.conversation import Origin
from bot.errors import BotError
from bot.usecases.outcomes import TimedOut
from bot.usecases.request import scope_of, subject_of
from bot.words import awaits_moderator
from moderation.decisions import Decisions
from moderation.moderator import Moderator
from moderation.pictures import decode, media_type
from moderation.strikes import Strikes
from moderation.types import Action, ImageContent, Verdict


class UploadRefusedError(BotError):
    """The picture may not be used here, by the image check."""

    code = "upload_refused"

    def __init__(self, verdict: Verdict) -> None:
        super().__init__("The image check does not let this picture be used here.")
        self.verdict = verdict


@dataclass(frozen=True, kw_only=True, slots=True)
class Upload:
    """A picture that may be looked at."""

    pixels: npt.NDArray[np.uint8] = field(repr=False)  # (H, W, 3)
    media_type: str  # by its bytes
    size: int  # bytes
    decision_id: str


class Uploads:
    """Takes in strangers' files; what comes out passed the image check, and the decision is recorded."""

    def __init__(
        self,
        *,
        moderator: Moderator,
        decisions: Decisions,
        strikes: Strikes,
        vault: Vault,
        close_off: Callable[[str], Awaitable[None]],
    ) -> None:
        """`close_off` puts a decision into quarantine."""
        self._moderator, self._decisions = moderator, decisions
        self._strikes, self._vault, self._close_off = strikes, vault, close_off

    async def take(self, origin: Origin, data: bytes) -> Upload | TimedOut:
        """Decode and judge one file.

        Raises:
            PictureError: it is no picture that can be read within the limits.
            UploadRefusedError: the image check blocks it, or would ask a moderator: nothing is made from
                what nobody has looked at.
        """
        subject = await subject_of(self._vault, origin)
        until = await self._strikes.timeout_until(subject, origin.workspace_id)
        if until is not None:
            return TimedOut(until_ms=until)
        pixels = await asyncio.to_thread(decode, data)
        verdict = await self._moderator.review(ImageContent(pixels=pixels), scope_of(origin))
        decision = await self._decisions.record(
            subject=subject,
            scope=scope_of(origin),
            content_kind="image",
            text="",
            verdict=verdict,
        )
        # A blank picture awaits nobody: drawn it would be a failure, sent along it is what it is.
        if verdict.action is Action.BLOCK or awaits_moderator(verdict):
            if verdict.zero_tolerance:
                await self._close_off(decision)
            raise UploadRefusedError(verdict)
        return Upload(pixels=pixels, media_type=media_type(data) or "", size=len(data), decision_id=decision)
