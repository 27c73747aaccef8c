"""Finds well-known persons, brands, characters and artists by name, and judges what is wanted of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from moderation.entities import EntityList, Named, load_entities
from moderation.rules.base import Context, Tools
from moderation.rules.lexicon import lexicon_matches
from moderation.rules.removal import removals
from moderation.terms import Match, TermList, load_terms
from moderation.types import Category, Content, Finding, ImageContent, PromptContent, Scope

_PERSON = 0.55  # a living person is named: a note for communities, enough to hold at work
_PAST = 0.45  # a person of the past is named
_LIKENESS = 0.75  # something is wanted of a person that needs a look
_SEXUAL = 0.95  # something sexual is wanted of a living person
_MARK = 0.5  # a brand or character is named
_MARK_ITSELF = 0.75  # the logo or watermark, not merely the name
_LIVING_ARTIST = 0.6
_DEAD_ARTIST = 0.3
_SERIOUS = 0.7  # from this score on the lexicon's sexual terms count
_BESIDE = 24  # characters between a name and the word that asks for its mark


@dataclass(frozen=True, kw_only=True, slots=True)
class NamesRule:
    """Reports the highest score per category; names are never quoted.

    A person's name alone scores 0.55 (historic: 0.45), with an arrest, an injury, staged evidence and
    the like 0.75, with something sexual 0.95 (historic: 0.75). What the score leads to is the policy's.
    """

    entities: EntityList
    contexts: TermList  # categories real_person and trademark: what makes a name worth a look
    lexicon: TermList
    removed: TermList  # what a negative prompt must not take away
    name: str = "names"
    category: Category = Category.REAL_PERSON

    @classmethod
    def open(cls, tools: Tools) -> Self:
        """Load the names and the lists that are read together with them.

        Raises:
            RuleDataError: a list cannot be read.
        """
        return cls(
            entities=load_entities(tools.data),
            contexts=load_terms("name_contexts.toml", tools.data),
            lexicon=load_terms("lexicon.toml", tools.data),
            removed=load_terms("removal.toml", tools.data),
        )

    def check(self, content: Content, scope: Scope, context: Context) -> tuple[Finding, ...]:
        """Return one finding per category that has a name."""
        if isinstance(content, ImageContent):
            return ()
        normalized = context.normalized(content.text)
        found = self.entities.find(normalized)
        if all(named.kind == "artist" for named in found):
            wanted: tuple[Match, ...] = ()
        else:
            wanted = self.contexts.find(normalized)
        scores: dict[Category, float] = {}
        for named in found:
            if named.kind == "person":
                score = self._person(named, content, wanted, context)
            elif named.kind == "artist":
                score = _LIVING_ARTIST if named.living else _DEAD_ARTIST
            else:
                score = _MARK_ITSELF if _asks_for_mark(named, wanted) else _MARK
            scores[named.category] = max(scores.get(named.category, 0.0), score)
        return tuple(
            context.finding(rule=self.name, category=category, score=score, scope=scope)
            for category, score in scores.items()
        )

    def _person(
        self, named: Named, content: PromptContent, wanted: tuple[Match, ...], context: Context
    ) -> float:
        if self._sexual(content, context):
            return _SEXUAL if named.living else _LIKENESS
        if not named.living:  # the deaths and prisons of the past are history
            return _PAST
        return _LIKENESS if any(m.entry.category is Category.REAL_PERSON for m in wanted) else _PERSON

    def _sexual(self, content: PromptContent, context: Context) -> bool:
        if content.negative.strip() and removals(self.removed, content.negative, context):
            return True
        return any(
            match.entry.category is Category.SEXUAL and match.entry.score >= _SERIOUS
            for match in lexicon_matches(self.lexicon, content.text, context)
        )


def _asks_for_mark(named: Named, wanted: tuple[Match, ...]) -> bool:
    return any(
        match.entry.category is Category.TRADEMARK
        and match.start - named.end <= _BESIDE
        and named.start - match.end <= _BESIDE
        for match in wanted
    )
