"""Finds listed words and phrases in every reading of a prompt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from moderation.rules.base import Context, Tools
from moderation.terms import Match, TermList, load_terms
from moderation.types import Category, Content, Finding, ImageContent, Scope


@dataclass(frozen=True, kw_only=True, slots=True)
class LexiconRule:
    """Reports, per category, the severest listed term. The negative prompt is not searched."""

    terms: TermList
    name: str = "lexicon"
    category: Category = Category.SEXUAL

    @classmethod
    def open(cls, tools: Tools) -> Self:
        """Load the shipped word list.

        Raises:
            RuleDataError: the list cannot be read.
        """
        return cls(terms=load_terms("lexicon.toml", tools.data))

    def check(self, content: Content, scope: Scope, context: Context) -> tuple[Finding, ...]:
        """Return one finding per category that has a hit."""
        if isinstance(content, ImageContent):
            return ()
        scores: dict[Category, float] = {}
        for match in lexicon_matches(self.terms, content.text, context):
            category = match.entry.category
            scores[category] = max(scores.get(category, 0.0), match.entry.score)
        return tuple(
            context.finding(rule=self.name, category=category, score=score, scope=scope)
            for category, score in scores.items()
        )


def lexicon_matches(terms: TermList, text: str, context: Context) -> tuple[Match, ...]:
    """Return the hits of a text, searched once per review."""
    return context.shared(f"lexicon\0{id(terms)}\0{text}", lambda: terms.find(context.normalized(text)))
