"""Finds a part of a protected picture in a picture: cut, framed, turned or scaled, also mirrored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from moderation.keypoints import KeyPoints
from moderation.protected import ProtectedEntry
from moderation.rules.base import Context, Tools
from moderation.rules.image_safety import to_image
from moderation.rules.protected import entry_findings
from moderation.types import Category, Content, Finding, ImageContent, Scope


@dataclass(frozen=True, kw_only=True, slots=True)
class ProtectedPartsRule:
    """Does what each entry says; whole copies, also recolored ones, are the matter of the rule protected."""

    name: str = "protected_parts"
    category: Category = Category.TRADEMARK

    @classmethod
    def open(cls, tools: Tools) -> Self:  # noqa: ARG003 - every rule opens with the same tools
        """Build the rule; the lists come with each review."""
        return cls()

    def check(self, content: Content, scope: Scope, context: Context) -> tuple[Finding, ...]:  # noqa: ARG002
        """Return one finding per category that an entry falls under.

        Raises:
            RuleError: the pixels cannot be judged, or an entry's key points are damaged.
        """
        if not isinstance(content, ImageContent) or not context.protected.parts:
            return ()
        pixels = np.asarray(to_image(content.pixels, self.name))
        seen = (KeyPoints.of(pixels), KeyPoints.of(np.ascontiguousarray(pixels[:, ::-1])))
        enough = context.policy.rules[self.name].threshold

        def is_part(entry: ProtectedEntry) -> bool:
            known = KeyPoints.from_bytes(entry.keypoints or b"")
            return any(known.agreeing(one) >= enough for one in seen)

        return entry_findings(self.name, filter(is_part, context.protected.parts), context)
