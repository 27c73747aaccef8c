"""Finds what rights holders asked this workspace to protect, in prompts and in pictures."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from moderation.errors import RuleError
from moderation.protected import Fingerprint, ProtectedEntry
from moderation.rules.base import Context, Tools
from moderation.types import Action, Category, Content, Finding, PromptContent, Scope

CLAUSE = "house/rights_holder"
_SCORES = {Action.HOLD: 0.75, Action.BLOCK: 0.95}


@dataclass(frozen=True, kw_only=True, slots=True)
class ProtectedRule:
    """Does what each entry says, whatever the policy says of its category; names are never quoted."""

    fingerprint: Fingerprint | None
    name: str = "protected"
    category: Category = Category.TRADEMARK

    @classmethod
    def open(cls, tools: Tools) -> Self:
        """Take the fingerprint of the house; the lists come with each review."""
        return cls(fingerprint=tools.fingerprint)

    def check(self, content: Content, scope: Scope, context: Context) -> tuple[Finding, ...]:  # noqa: ARG002
        """Return one finding per category that an entry falls under.

        Raises:
            RuleError: pictures are protected, and nobody can compare them.
        """
        return entry_findings(self.name, self._found(content, context), context)

    def _found(self, content: Content, context: Context) -> tuple[ProtectedEntry, ...]:
        protected = context.protected
        if isinstance(content, PromptContent):
            return protected.find(context.normalized(content.text)) if protected else ()
        if not protected.has_images:
            return ()
        if self.fingerprint is None:
            raise RuleError(self.name, "pictures are protected here, but there is no fingerprint")
        return protected.alike(self.fingerprint(content.pixels))


def entry_findings(rule: str, entries: Iterable[ProtectedEntry], context: Context) -> tuple[Finding, ...]:
    """Return the gravest entry of each category as a finding of `rule`."""
    gravest: dict[Category, ProtectedEntry] = {}
    for entry in entries:
        known = gravest.get(entry.category)
        if known is None or entry.action > known.action:
            gravest[entry.category] = entry
    clause = CLAUSE if CLAUSE in context.policy.clauses else None
    return tuple(
        Finding(
            rule=rule,
            category=category,
            score=_SCORES[entry.action],
            action=entry.action,
            clause=clause,
            advice="protected",
        )
        for category, entry in gravest.items()
    )
