"""Refuses whatever combines a child with anything sexual: no threshold to set, no appeal to run."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from moderation.normalize import Normalized, words
from moderation.rules.base import Context, Tools
from moderation.rules.classifier import SexualScore, sexual_score
from moderation.rules.lexicon import lexicon_matches
from moderation.rules.removal import removals
from moderation.terms import TermList, load_terms
from moderation.types import Action, Category, Content, Finding, ImageContent, Scope

SEXUAL_CUT = 0.5  # of the trained head, on the policy's scale; deliberately not a setting
ADULT_AGE = 18

_NUMBERS = [
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
]
_UNITS = (
    r"years? old|year olds?|yrs? old|yr olds?|years? of age|y ?o\b|yo girl|yo boy|"
    r"ans\b|años\b|anos\b|anni\b|jahre\b|"
    r"jaar\b|lat\b|lata\b|latni\w*|letni\w*|летн\w*|лет\b|года?\b|साल|वर्ष|سنوات|سنة|عام|岁|歲|歳|才|살|세"
)
_AGE = re.compile(
    rf"(?<!\w)(\d{{1,2}}|{'|'.join(_NUMBERS)}) ?(?:{_UNITS})|"
    rf"(?<!\w)(?:aged?|age of|im alter von|âge de|edad de) (\d{{1,2}}|{'|'.join(_NUMBERS)})(?!\w)|"
    r"(?<!\w)(\d{1,2}) ?jährig\w*"
)
_ITEM = re.compile(r"[,;\n|]+")


@dataclass(frozen=True, kw_only=True, slots=True)
class MinorsRule:
    """An age word or an age under 18, together with a sexual term or a sexual score over a fixed cut."""

    ages: TermList
    sexual: TermList
    removed: TermList
    adult: TermList
    score: SexualScore | None = None  # None: the lists alone decide
    name: str = "minors"
    category: Category = Category.MINORS

    @classmethod
    def open(cls, tools: Tools) -> Self:
        """Load the shipped lists and the trained head.

        Raises:
            RuleDataError: a list or the head cannot be read.
        """
        return cls(
            ages=load_terms("minors.toml", tools.data),
            sexual=load_terms("lexicon.toml", tools.data),
            removed=load_terms("removal.toml", tools.data),
            adult=load_terms("adult.toml", tools.data),
            score=sexual_score(tools),
        )

    def check(self, content: Content, scope: Scope, context: Context) -> tuple[Finding, ...]:  # noqa: ARG002
        """Return one finding, or none."""
        if isinstance(content, ImageContent):
            return ()
        if self._young(content.text, context) and (
            self._sexual(content.text, context) or self._takes_clothes(content.negative, context)
        ):
            return (self._finding(Action.BLOCK, context),)
        for item in _ITEM.split(content.negative[:4000]):  # a list of unwanted things: items stand alone
            if item.strip() and self._young(item, context) and self._sexual(item, context):
                return (self._finding(Action.BLOCK, context),)
        if content.negative and self._removes_adults(content, context):
            return (self._finding(Action.HOLD, context),)
        return ()

    def _finding(self, action: Action, context: Context) -> Finding:
        part = context.policy.of(Category.MINORS)
        return Finding(
            rule=self.name,
            category=Category.MINORS,
            score=1.0 if action is Action.BLOCK else 0.75,
            action=action,
            clause=part.clause,
            advice=part.advice,
        )

    def _young(self, text: str, context: Context) -> bool:
        def look() -> bool:
            normalized = context.normalized(text)
            return _has_young_age(normalized) or bool(self.ages.find(normalized))

        return bool(text.strip()) and context.shared(f"young\0{id(self.ages)}\0{text}", look)

    def _sexual(self, text: str, context: Context) -> bool:
        hits = lexicon_matches(self.sexual, text, context)
        if any(hit.entry.category is Category.SEXUAL for hit in hits):
            return True
        return self.score is not None and self.score(text, context) >= SEXUAL_CUT

    def _takes_clothes(self, negative: str, context: Context) -> bool:
        return bool(negative.strip()) and removals(self.removed, negative, context)

    def _removes_adults(self, content: Content, context: Context) -> bool:
        if isinstance(content, ImageContent):
            return False
        return bool(self.adult.find(context.normalized(content.negative))) and self._sexual(
            content.text, context
        )


def _has_young_age(normalized: Normalized) -> bool:
    for view in normalized.views:
        for match in _AGE.finditer(words(view).text):
            value = next(group for group in match.groups() if group)
            age = _NUMBERS.index(value) + 1 if value in _NUMBERS else int(value)
            if age < ADULT_AGE:
                return True
    return False
