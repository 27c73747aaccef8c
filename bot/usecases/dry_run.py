"""A dry run for moderators: what would be decided about words here and now, with nothing recorded."""

from __future__ import annotations

from dataclasses import dataclass

from bot.conversation import Origin
from bot.errors import UsageError
from bot.usecases.request import clean_prompt, scope_of
from bot.usecases.review import NotModerator
from moderation.moderator import Moderator
from moderation.types import PromptContent, Verdict


@dataclass(frozen=True, kw_only=True, slots=True)
class Screened:
    """What the policy in force says about the words."""

    policy: str  # its name
    verdict: Verdict


class DryRun:
    """Screens as `/imagine` would in the same place, the workspace's protected list included."""

    def __init__(self, moderator: Moderator) -> None:
        self._moderator = moderator

    async def __call__(self, origin: Origin, prompt: str, *, negative: str = "") -> Screened | NotModerator:
        """Screen a prompt.

        Raises:
            UsageError: it is empty, or longer than 2,000 characters.
        """
        if not origin.is_moderator:
            return NotModerator()
        content = PromptContent(
            text=clean_prompt(prompt), negative=clean_prompt(negative, field="negative prompt")
        )
        if not content.text:
            raise UsageError("The prompt is empty.", field="prompt")
        verdict = await self._moderator.review(content, scope_of(origin))
        return Screened(policy=self._moderator.policy.name, verdict=verdict)
