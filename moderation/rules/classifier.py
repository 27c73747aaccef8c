"""Scores what a prompt means, in many languages, with the trained head."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from moderation.embedding import shared_encoder
from moderation.head import Floats, Head, load_head
from moderation.normalize import Normalized
from moderation.rules.base import Context, Embed, Tools
from moderation.types import Category, Content, Finding, ImageContent, Scope

SEGMENT = 320  # characters: what the head was trained on at most
_CLAUSE = 120  # characters of the pieces in which a longer text is searched: one bad sentence must not drown
_EMBEDDED = 3  # of those pieces, beside the beginning: the ones that look worst by their n-grams
_SIGN = re.compile(r"[,.;:!?|\n\u3002\u3001\uff0c]")
_BREAK = re.compile(r"[,.;:!?|\n\u3002\u3001\uff0c]|\s(?=\S)")
_RECOVER = 0.1  # from this spelling score on, the undisguised reading is scored too

# A poster against drugs reads much like one for them: with such a word a person looks before anyone refuses.
_HELP = re.compile(
    r"\b(?:prevent(?:ion|ing)?|awareness|hotline|helpline|anti|against|stop|campaign|support group|recovery|"
    r"therapy|educational|education|museum|memorial|documentary|history|safety|warning|charity)\b"
)
_HELP_CAP = 0.7
# Whether a person or a mark is real is the name list's to say: here they only order prompts by risk.
_NAMELESS = frozenset({Category.REAL_PERSON, Category.TRADEMARK})
_NAMELESS_CAP = 0.39

SexualScore = Callable[[str, Context], float]


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassifierRule:
    """Reports every category's score; the policy's bands decide."""

    head: Head
    embed: Embed
    name: str = "classifier"
    category: Category = Category.SEXUAL

    @classmethod
    def open(cls, tools: Tools) -> Self:
        """Load the head.

        Raises:
            RuleDataError: the head cannot be read.
        """
        return cls(head=load_head(tools.data), embed=tools.embed or shared_encoder().embed)

    def check(self, content: Content, scope: Scope, context: Context) -> tuple[Finding, ...]:
        """Return one finding per category, most of them far below every threshold."""
        if isinstance(content, ImageContent) or not content.text.strip():
            return ()
        scores = head_scores(self.head, self.embed, content.text, context)
        scores = {c: min(s, _NAMELESS_CAP) if c in _NAMELESS else s for c, s in scores.items()}
        if _HELP.search(context.normalized(content.text).reading):
            scores = {c: s if c is Category.SEXUAL else min(s, _HELP_CAP) for c, s in scores.items()}
        return tuple(
            context.finding(rule=self.name, category=category, score=score, scope=scope)
            for category, score in scores.items()
        )


def sexual_score(tools: Tools) -> SexualScore:
    """Return a function that gives the head's sexual score of a text, for rules that combine it.

    Raises:
        RuleDataError: the head cannot be read.
    """
    head, embed = load_head(tools.data), tools.embed or shared_encoder().embed

    def score(text: str, context: Context) -> float:
        return head_scores(head, embed, text, context)[Category.SEXUAL] if text.strip() else 0.0

    return score


def head_scores(head: Head, embed: Embed, text: str, context: Context) -> dict[Category, float]:
    """Return the scores of the worst segment per category, computed once per review."""

    def compute() -> dict[Category, float]:
        parts = _segments(head, context.normalized(text))
        raw = head.raw(parts, embed(parts))
        return head.scores(raw.max(axis=0))

    return context.shared(f"head\0{id(head)}\0{text}", compute)


def _segments(head: Head, normalized: Normalized) -> list[str]:
    readings = [normalized.reading]
    if normalized.evasion >= _RECOVER and normalized.recovered != normalized.reading:
        readings.append(normalized.recovered)
    chosen: dict[str, None] = {}
    for reading in readings:
        chosen.setdefault(split(reading)[0])
        if len(reading) > SEGMENT:
            pieces = split(reading, _CLAUSE, least=_CLAUSE // 3)
            cheap: Floats = head.from_ngrams(pieces).max(axis=1)
            for index in np.argsort(-cheap)[:_EMBEDDED]:
                chosen.setdefault(pieces[int(index)])
    return list(chosen)


def split(text: str, size: int = SEGMENT, *, least: int | None = None) -> Sequence[str]:
    """Cut a text into pieces of at most `size` characters, at signs or spaces where there are any.

    Pieces are as long as may be; with `least`, they end at the first sign after that many characters.
    """
    pieces: list[str] = []
    start = 0
    while len(text) - start > size:
        cut = start + size
        early = _SIGN.search(text, start + least, cut) if least is not None else None
        breaks = [m.end() for m in _BREAK.finditer(text, start + size // 2, cut)]
        cut = early.end() if early else breaks[-1] if breaks else cut
        pieces.append(text[start:cut].strip())
        start = cut
    pieces.append(text[start:].strip())
    return [piece for piece in pieces if piece] or [text]
