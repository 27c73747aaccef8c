"""Finds listed words and phrases in every reading of a prompt, and lets the head rule out other senses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from moderation.normalize import RESPELLED
from moderation.rules.base import Context, Tools
from moderation.rules.classifier import HeadScores, head_of
from moderation.terms import Match, TermList, load_terms
from moderation.types import Category, Content, Finding, ImageContent, Scope

_OTHER_SENSE = 0.04  # below this score of the head, a listed word counts one step less
_RULED_OUT_HOLD, _RULED_OUT_BLOCK = 0.45, 0.7
_GUESS_CAP = 0.7  # what a misspelled word was meant to be is a guess: a moderator looks, nothing refuses


@dataclass(frozen=True, kw_only=True, slots=True)
class LexiconRule:
    """Reports, per category, the severest listed term. The negative prompt is not searched."""

    terms: TermList
    scores: HeadScores | None = None  # None: the list alone decides
    name: str = "lexicon"
    category: Category = Category.SEXUAL

    @classmethod
    def open(cls, tools: Tools) -> Self:
        """Load the shipped word list and the trained head.

        Raises:
            RuleDataError: the list or the head cannot be read.
        """
        return cls(terms=load_terms("lexicon.toml", tools.data), scores=head_of(tools))

    def check(self, content: Content, scope: Scope, context: Context) -> tuple[Finding, ...]:
        """Return one finding per category that has a hit."""
        if isinstance(content, ImageContent):
            return ()
        scores: dict[Category, float] = {}
        for match in lexicon_matches(self.terms, content.text, context):
            category, score = match.entry.category, match.entry.score
            if match.view == RESPELLED:
                score = min(score, _GUESS_CAP)
            if self._ruled_out(match, content.text, context):
                score = _RULED_OUT_BLOCK if score > _GUESS_CAP else _RULED_OUT_HOLD
            scores[category] = max(scores.get(category, 0.0), score)
        return tuple(
            context.finding(rule=self.name, category=category, score=score, scope=scope)
            for category, score in scores.items()
        )

    def _ruled_out(self, match: Match, text: str, context: Context) -> bool:
        """Whether a word means something else here ("naked brick"); in English, which the head knows best."""
        if self.scores is None or match.entry.lang != "en" or match.entry.severity == "note":
            return False
        return self.scores(text, context).get(match.entry.category, 1.0) < _OTHER_SENSE


def lexicon_matches(terms: TermList, text: str, context: Context) -> tuple[Match, ...]:
    """Return the hits of a text, searched once per review."""
    return context.shared(f"lexicon\0{id(terms)}\0{text}", lambda: terms.find(context.normalized(text)))
