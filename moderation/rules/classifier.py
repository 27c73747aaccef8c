"""Scores what a prompt means, in many languages, with the trained head."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from moderation import hindi
from moderation.embedding import shared_encoder
from moderation.head import NAMELESS, Floats, Head, load_head
from moderation.normalize import Normalized
from moderation.respelling import known_share
from moderation.rules.base import Context, Embed, Tools
from moderation.subject import subject
from moderation.types import Category, Content, Finding, ImageContent, Scope

SEGMENT = 320  # characters: what the head was trained on at most
_CLAUSE = 120  # characters of the pieces in which a longer text is searched: one bad sentence must not drown
LESS = 1.0  # raw value by which a text with its style words or misspellings counts less than without
_EMBEDDED = (2, 1)  # of those pieces, the worst by their n-grams: of the text as written, as recovered
_SIGN = re.compile(r"[,.;:!?|\n\u3002\u3001\uff0c]")
_BREAK = re.compile(r"[,.;:!?|\n\u3002\u3001\uff0c]|\s(?=\S)")
_DISGUISED = 3  # respelled words from which on a text is a disguise, and not a slip
_EVASIVE = 0.25  # the same for the spelling's score
_MORE_KNOWN = 0.15  # the same for the share of letters in known words that undoing it gains

# A poster against drugs reads much like one for them: a word that says so caps what the head alone can do.
# With a plain one nothing happens (listed words still count), with a vague one a person looks.
_AGAINST = re.compile(
    r"\b(?:prevent(?:ion|ing|ive)?|awareness|hotline|helpline|help line|support group|in recovery|"
    r"anti[ -]?(?:racis[mt]|drugs?|bullying|hate|violence|war|smoking|discrimination)|"
    r"against (?:racism|hate|hatred|violence|drugs?|war|bullying|abuse|discrimination|drunk driving|smoking)|"
    r"(?:stop|end) (?:racism|hate|violence|bullying|war|abuse|the war)|rehabilitation|crossed out|"
    r"fact.?check\w*|media literacy|first aid|detection|screening|survivors?)\b"
)
_AGAINST_CAP = 0.45
_VAGUE = re.compile(
    r"\b(?:anti|against|stop|campaign|recovery|therapy|educational|education|museum|memorial|documentary|"
    r"history|safety|warning|charity)\b"
)
_VAGUE_CAP = 0.7
# Whether a person or a mark is real is the name list's to say: here they only order prompts by risk.
_NAMELESS_CAP = 0.39

SexualScore = Callable[[str, Context], float]
HeadScores = Callable[[str, Context], Mapping[Category, float]]


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
        scores = {c: min(s, _NAMELESS_CAP) if c in NAMELESS else s for c, s in scores.items()}
        cap = _cap(context.normalized(content.text).reading)
        scores = {c: s if c is Category.SEXUAL else min(s, cap) for c, s in scores.items()}
        return tuple(
            context.finding(rule=self.name, category=category, score=score, scope=scope)
            for category, score in scores.items()
        )


def _cap(reading: str) -> float:
    if _AGAINST.search(reading):
        return _AGAINST_CAP
    return _VAGUE_CAP if _VAGUE.search(reading) else 1.0


def sexual_score(tools: Tools) -> SexualScore:
    """Return a function that gives the head's sexual score of a text, for rules that combine it.

    Raises:
        RuleDataError: the head cannot be read.
    """
    scores = head_of(tools)
    return lambda text, context: scores(text, context).get(Category.SEXUAL, 0.0)


def head_of(tools: Tools) -> HeadScores:
    """Return a function that gives the head's scores of a text, computed once per review; empty text: none.

    Raises:
        RuleDataError: the head cannot be read.
    """
    head, embed = load_head(tools.data), tools.embed or shared_encoder().embed
    return lambda text, context: head_scores(head, embed, text, context) if text.strip() else {}


def head_scores(head: Head, embed: Embed, text: str, context: Context) -> dict[Category, float]:
    """Return the scores of the worst segment per category, computed once per review."""

    def compute() -> dict[Category, float]:
        parts = _segments(head, context.normalized(text))
        less = np.array(list(parts.values()), dtype=np.float32)
        raw = head.raw(list(parts), embed(list(parts))) - less[:, None]
        return head.scores(raw.max(axis=0))

    return context.shared(f"head\0{id(head)}\0{text}", compute)


def _segments(head: Head, normalized: Normalized) -> dict[str, float]:
    """The pieces to score, and by how much each counts less.

    Fully counts what is left of the text once its tricks are undone and its style words gone. How it stands
    counts less: there, misspelled or praised words make the score, and yet nothing hides behind "by".
    """
    written, recovered = hindi.read(normalized.reading), hindi.read(normalized.recovered)
    if recovered == written:
        readings = [written]
    elif _disguised(normalized):
        readings = [recovered]
    else:
        readings = [written, recovered]
    chosen = dict.fromkeys((split(subject(readings[-1]))[0],), 0.0)
    for reading, count in zip(readings, _EMBEDDED, strict=False):
        chosen.setdefault(split(reading)[0], LESS)
        if len(reading) > SEGMENT:
            pieces = split(reading, _CLAUSE, least=_CLAUSE // 3)
            cheap: Floats = head.from_ngrams(pieces).max(axis=1)
            for index in np.argsort(-cheap)[:count]:
                chosen[pieces[int(index)]] = 0.0
    return chosen


def _disguised(normalized: Normalized) -> bool:
    """Whether what is written is nothing that the head was trained on: then only `recovered` is scored."""
    if normalized.signs["respelled"] >= _DISGUISED or normalized.evasion >= _EVASIVE:
        return True
    return known_share(normalized.recovered) - known_share(normalized.reading) > _MORE_KNOWN


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
