"""Reports spelling that looks meant to slip past a list, and prompts too long to be read whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from moderation.policy import Policy
from moderation.rules.base import Context, Tools
from moderation.types import Action, Category, Content, Finding, ImageContent, Scope


@dataclass(frozen=True, kw_only=True, slots=True)
class SpellingRule:
    """A weak signal: by policy it is noted or held, and never refuses by itself."""

    floor: float = 0.05
    name: str = "spelling"
    category: Category = Category.EVASION

    @classmethod
    def open(cls, tools: Tools) -> Self:  # noqa: ARG003 - every rule opens with the same tools
        """Build the rule; it has no data."""
        return cls()

    def check(self, content: Content, scope: Scope, context: Context) -> tuple[Finding, ...]:
        """Return one finding where the prompt or the negative prompt is oddly spelled or too long."""
        if isinstance(content, ImageContent):
            return ()
        texts = [context.normalized(text) for text in (content.text, content.negative) if text]
        if any(text.truncated for text in texts):
            return (_unread(context.policy, self.name),)
        score = max((text.evasion for text in texts), default=0.0)
        if score < self.floor:
            return ()
        return (context.finding(rule=self.name, category=Category.EVASION, score=score, scope=scope),)


def _unread(policy: Policy, rule: str) -> Finding:
    """What was not read is not allowed, whatever the policy says about spelling."""
    clause = "house/unchecked" if "house/unchecked" in policy.clauses else None
    return Finding(
        rule=rule,
        category=Category.EVASION,
        score=1.0,
        action=Action.HOLD,
        clause=clause,
        advice="too_long",
    )
