"""Asks whether a drawn picture is a near copy of one that its own model was trained on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

from moderation.errors import RuleError
from moderation.rules.base import Context, NearCopy, Tools
from moderation.types import Category, Content, Finding, ImageContent, Scope

_COPY = 0.75  # a moderator compares the two


@dataclass(frozen=True, kw_only=True, slots=True)
class NearCopyRule:
    """Trusts the index of the model's training pictures; where a model has none, there is nothing to ask.

    What the job was given to draw from, and pictures of the same title, are no copies: the index leaves them
    out, and the picture names them with credit.
    """

    likeness: NearCopy | None
    name: str = "near_copy"
    category: Category = Category.TRADEMARK

    @classmethod
    def open(cls, tools: Tools) -> Self:
        """Take the index of the house."""
        return cls(likeness=tools.near_copy)

    def check(self, content: Content, scope: Scope, context: Context) -> tuple[Finding, ...]:
        """Return one finding, or none.

        Raises:
            RuleError: the policy demands the check and there is no index, or the index answers nonsense.
        """
        if not isinstance(content, ImageContent):
            return ()
        settings = context.policy.rules[self.name]
        if self.likeness is None:
            if settings.demanded:
                raise RuleError(self.name, "the policy demands it, but there is no index to ask")
            return ()
        found = self.likeness(content.pixels, content.model_id, content.references)
        if found is None:
            return ()
        if math.isnan(found):
            raise RuleError(self.name, "the index answered with something that is no likeness")
        if found < settings.threshold:
            return ()
        return (context.finding(rule=self.name, category=Category.TRADEMARK, score=_COPY, scope=scope),)
