"""Finds well-known persons, brands, characters and artists by their full names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from moderation.entities import EntityList, Named, load_entities
from moderation.rules.base import Context, Tools
from moderation.types import Category, Content, Finding, ImageContent, Scope

_MARK = re.compile(
    r"\b(logos?|logotype|trademarks?|watermarks?|emblem|wordmark|packaging|brand label|official poster|"
    r"merchandise|merch|counterfeit|replica)\b"
)
_SCORES = {"person": 0.75, "brand": 0.5, "character": 0.5, "artist": 0.6}
_PAST = 0.45  # a person of the past: noted
_DEAD_ARTIST = 0.3
_MARK_ITSELF = 0.75  # the logo, not merely the name


@dataclass(frozen=True, kw_only=True, slots=True)
class NamesRule:
    """Reports the highest score per category; names are never quoted."""

    entities: EntityList
    name: str = "names"
    category: Category = Category.REAL_PERSON

    @classmethod
    def open(cls, tools: Tools) -> Self:
        """Load the list of names.

        Raises:
            RuleDataError: the list cannot be read.
        """
        return cls(entities=load_entities(tools.data))

    def check(self, content: Content, scope: Scope, context: Context) -> tuple[Finding, ...]:
        """Return one finding per category that has a name."""
        if isinstance(content, ImageContent):
            return ()
        normalized = context.normalized(content.text)
        scores: dict[Category, float] = {}
        for named in self.entities.find(normalized):
            mark = named.kind in {"brand", "character"} and _MARK.search(normalized.reading) is not None
            score = _MARK_ITSELF if mark else _score(named)
            scores[named.category] = max(scores.get(named.category, 0.0), score)
        return tuple(
            context.finding(rule=self.name, category=category, score=score, scope=scope)
            for category, score in scores.items()
        )


def _score(named: Named) -> float:
    if not named.living:
        return _DEAD_ARTIST if named.kind == "artist" else _PAST
    return _SCORES[named.kind]
