"""Reads the text in a picture, and looks in it for agencies' marks, brands and what is protected here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import resources
from typing import Self

import numpy as np

from moderation.entities import EntityList, load_entities
from moderation.errors import PolicyError, RuleDataError
from moderation.normalize import Normalized, plain
from moderation.picture_text import TextReader
from moderation.policy_file import parse
from moderation.rules.base import Context, Tools
from moderation.rules.image_safety import to_image
from moderation.rules.protected import entry_findings
from moderation.types import Category, Content, Finding, ImageContent, Scope

_AGENCY = 0.75  # a stock agency's mark lies across the picture
_BRAND = 0.6  # a brand's or character's name stands in the picture: more than naming it, less than its mark
_INSTRUCTION = 0.6  # the picture speaks to machines that read it
_LETTERS_PER_SLIP = 5  # of an agency's name: one letter in so many may be wrong
_LONG = 8  # letters from which a name is found with letters amiss, and inside a longer run
_FILE = "picture_text.toml"


@dataclass(frozen=True, kw_only=True, slots=True)
class WatermarkRule:
    """Reports the highest score per category; what was read is never quoted.

    Only text of which the network is as sure as the policy asks counts, and in all its spellings.
    """

    reader: TextReader
    entities: EntityList
    agencies: tuple[str, ...]
    instructions: tuple[str, ...]
    name: str = "watermark"
    category: Category = Category.TRADEMARK

    @classmethod
    def open(cls, tools: Tools) -> Self:
        """Load the networks and the lists.

        Raises:
            RuleDataError: a list cannot be read, or a network is not the one that was measured.
        """
        try:
            table = parse((resources.files("moderation") / "data" / _FILE).read_text("utf-8"), _FILE)
            table.only("schema", "agencies", "instructions")
            agencies, instructions = table.texts("agencies"), table.texts("instructions")
        except (OSError, PolicyError) as error:
            raise RuleDataError(_FILE, str(error)) from None
        return cls(
            reader=TextReader.open(),
            entities=load_entities(tools.data),
            agencies=agencies,
            instructions=tuple(plain(text) for text in instructions),
        )

    def check(self, content: Content, scope: Scope, context: Context) -> tuple[Finding, ...]:
        """Return one finding per category, and what the protected list says.

        Raises:
            RuleError: the pixels cannot be judged, or hold more text than can be read in time.
        """
        if not isinstance(content, ImageContent):
            return ()
        pixels = np.asarray(to_image(content.pixels, self.name))
        sure = context.policy.rules[self.name].threshold
        lines = [line.text for line in self.reader.read(pixels) if line.certainty >= sure]
        if not lines:
            return ()
        text = context.normalized(" ".join(lines))
        scores = self._scores(lines, text)
        found = tuple(
            context.finding(rule=self.name, category=category, score=score, scope=scope)
            for category, score in scores.items()
        )
        return found + entry_findings(self.name, context.protected.find(text), context)

    def _scores(self, lines: list[str], text: Normalized) -> dict[Category, float]:
        scores: dict[Category, float] = {}
        if any(shows_agency(lines, agency) for agency in self.agencies):
            scores[Category.TRADEMARK] = _AGENCY
        elif any(named.category is Category.TRADEMARK for named in self.entities.find(text)):
            scores[Category.TRADEMARK] = _BRAND
        if any(phrase in view.text for view in text.views for phrase in self.instructions):
            scores[Category.EVASION] = _INSTRUCTION
        return scores


def shows_agency(lines: list[str], agency: str) -> bool:
    """Whether an agency's name, in letters and digits alone, stands in lines of text.

    A short name has to stand there as a word of its own. A long one may be cut off by an edge of the picture
    or have one letter in five wrong, and may run across lines.
    """
    if len(agency) < _LONG:
        return any(agency in re.findall(r"[a-z0-9]+", line.casefold()) for line in lines)
    run = "".join(re.findall(r"[a-z0-9]", "".join(lines).casefold()))
    return least_slips(agency, run) <= len(agency) // _LETTERS_PER_SLIP


def least_slips(name: str, text: str) -> int:
    """The fewest letters to change, add or drop before `name` stands somewhere in `text` (Sellers, 1980)."""
    row = list(range(len(name) + 1))
    best = row[-1]
    for letter in text:
        diagonal = row[0]
        for place, wanted in enumerate(name, start=1):
            above = row[place]
            row[place] = min(above + 1, row[place - 1] + 1, diagonal + (letter != wanted))
            diagonal = above
        best = min(best, row[-1])
    return best
