"""A blank or uniform picture is a failure of drawing, not something to show: it is held."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from moderation.errors import RuleError
from moderation.rules.base import Context, Tools
from moderation.types import Action, Category, Content, Finding, ImageContent, Scope


@dataclass(frozen=True, kw_only=True, slots=True)
class BlankRule:
    """Holds a picture in which nothing can be seen.

    Contrast is what lies between the 1st and the 99th percentile of a channel, in 8-bit levels; the policy
    says how little of it is nothing.
    """

    name: str = "blank"
    category: Category = Category.EVASION

    @classmethod
    def open(cls, tools: Tools) -> Self:  # noqa: ARG003 - every rule opens with the same tools
        """Build the rule; it has no data."""
        return cls()

    def check(self, content: Content, scope: Scope, context: Context) -> tuple[Finding, ...]:  # noqa: ARG002
        """Return one finding for a picture without contrast.

        Raises:
            RuleError: the pixels are not a (H, W, 3) 8-bit array.
        """
        if not isinstance(content, ImageContent):
            return ()
        pixels = content.pixels
        if (
            not isinstance(pixels, np.ndarray)
            or pixels.dtype != np.uint8
            or pixels.ndim != 3
            or not pixels.size
        ):
            raise RuleError(self.name, "the pixels are not 8-bit RGB")
        step = max(1, max(pixels.shape[:2]) // 256)
        sample = pixels[::step, ::step].reshape(-1, pixels.shape[2])
        low, high = np.percentile(sample, (1, 99), axis=0)
        if float((high - low).max()) >= context.policy.rules[self.name].threshold:
            return ()
        clause = "house/unchecked" if "house/unchecked" in context.policy.clauses else None
        return (
            Finding(
                rule=self.name,
                category=Category.EVASION,
                score=0.5,
                action=Action.HOLD,
                clause=clause,
                advice="blank_image",
            ),
        )
