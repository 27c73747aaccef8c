"""Reads the negative prompt for what it takes away: "clothes" there means the opposite in the picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from moderation.rules.base import Context, Tools
from moderation.terms import TermList, load_terms
from moderation.types import Category, Content, Finding, ImageContent, Scope


@dataclass(frozen=True, kw_only=True, slots=True)
class RemovalRule:
    """Holds a prompt about a person whose negative prompt removes clothes.

    Users put unwanted words into the negative prompt ("nude, gore, ugly"), so its words are not
    judged by themselves; only words whose absence is the problem are.
    """

    removed: TermList  # entries of category sexual: what is taken away
    people: TermList  # entries that say somebody is in the picture
    name: str = "removal"
    category: Category = Category.SEXUAL

    @classmethod
    def open(cls, tools: Tools) -> Self:
        """Load the shipped lists.

        Raises:
            RuleDataError: a list cannot be read.
        """
        return cls(
            removed=load_terms("removal.toml", tools.data), people=load_terms("people.toml", tools.data)
        )

    def check(self, content: Content, scope: Scope, context: Context) -> tuple[Finding, ...]:
        """Return a finding per category whose removal matters."""
        if isinstance(content, ImageContent) or not content.negative.strip() or not content.text.strip():
            return ()
        if not removals(self.removed, content.negative, context):
            return ()
        if not self.people.find(context.normalized(content.text)):
            return ()
        return (context.finding(rule=self.name, category=Category.SEXUAL, score=0.75, scope=scope),)


def removals(terms: TermList, negative: str, context: Context) -> bool:
    """Whether the negative prompt takes away clothes or the like."""
    return context.shared(
        f"removal\0{id(terms)}\0{negative}", lambda: bool(terms.find(context.normalized(negative)))
    )
