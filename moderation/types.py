"""The values that moderation takes and gives: content, scope, finding, verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

import numpy as np
import numpy.typing as npt


class Category(StrEnum):
    """The policy's categories."""

    SEXUAL = "sexual"
    MINORS = "minors"
    REAL_PERSON = "real_person"
    VIOLENCE = "violence"
    HATE = "hate"
    SELF_HARM = "self_harm"
    ILLEGAL = "illegal"
    DECEPTION = "deception"
    TRADEMARK = "trademark"
    ARTIST_STYLE = "artist_style"
    EVASION = "evasion"


class Action(IntEnum):
    """What happens to content; verdicts join by maximum."""

    ALLOW = 0
    HOLD = 1  # a moderator decides
    BLOCK = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class PromptContent:
    """A prompt as the user typed it."""

    text: str
    negative: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageContent:
    """A decoded picture: (H, W, 3) 8-bit sRGB, with what it was made from where that is known."""

    pixels: npt.NDArray[np.uint8]
    prompt: str = ""
    model_id: str = ""  # that drew it; empty: an upload
    references: tuple[str, ...] = ()  # sources of the training pictures that the model was given to draw from


Content = PromptContent | ImageContent


@dataclass(frozen=True, kw_only=True, slots=True)
class Scope:
    """Where the content would appear."""

    platform: str = "terminal"
    workspace_id: str = "terminal"
    age_restricted: bool = False  # the channel carries the platform's own age flag


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What one rule found, and the clause it rests on."""

    rule: str
    category: Category
    score: float  # 0..1
    action: Action
    clause: str | None = (
        None  # e.g. "house/sexual" or "openrail-attachment-a/e", with its words in the policy
    )
    advice: str | None = None  # key of the sentence that tells the user what to change


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """The maximum of all findings."""

    action: Action
    findings: tuple[Finding, ...] = ()
    scores: Mapping[Category, float] = field(default_factory=dict)
    policy_version: str = ""  # digest of the policy in force
    elapsed_ms: float = 0.0
    rule_ms: Mapping[str, float] = field(default_factory=dict)  # how long each rule that ran took

    @property
    def zero_tolerance(self) -> bool:
        """Whether a block protects minors: no appeal makes it run, and what it is about is closed off."""
        return any(f.category is Category.MINORS and f.action is Action.BLOCK for f in self.findings)

    @property
    def gravest(self) -> Finding | None:
        """The finding that decides, or None where nothing was found."""
        return max(self.findings, key=lambda f: (f.action, f.score), default=None)
