"""What a prompt asks for, as values: subjects, how they stand to each other, background and style."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

MAX_SUBJECTS = 6
MOST = 4  # of one thing

Size = Literal["small", "normal", "large"]


class Layout(StrEnum):
    """How a subject stands to the one named before it."""

    BESIDE = "beside"  # no order asked for
    LEFT = "left"  # the first one is on the left
    RIGHT = "right"  # the first one is on the right
    ABOVE = "above"  # the first one is above
    BELOW = "below"
    ON = "on"  # the first one stands on the second
    IN = "in"  # the second one hides the first one's lower part
    FRONT = "front"  # the first one is before the second
    BEHIND = "behind"
    WEARING = "wearing"  # the second one is on the first one's head, or before its eyes


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """One thing to draw."""

    text: str  # without number, size and color; never empty
    color: str | None = None  # of `colors.COLORS`, with "light"/"dark" where said
    count: int = 1  # 1 to MOST
    size: Size = "normal"
    relation: Layout = Layout.BESIDE  # of the subject before it to this one
    joined: bool = False  # by "and" to the subject before it
    plural: bool = False  # named in the plural, without a number
    vague: bool = False  # one of several fragments between commas: perhaps no thing at all


@dataclass(frozen=True, kw_only=True, slots=True)
class Scene:
    """What a prompt asks for."""

    subjects: tuple[Subject, ...]  # at most MAX_SUBJECTS; may be empty
    background: str | None = None  # of `backgrounds.paint`; None: not said
    style: str | None = None  # of `vocabulary.STYLE_CAPTIONS`; None: not said
    style_word: str | None = None  # what was asked for where no set has that style
    more: bool = False  # more than MOST of one thing were asked for
    lettering: bool = False  # words were to stand in the picture
    left_out: tuple[str, ...] = ()  # what was read and is not drawn

    @property
    def layout(self) -> Layout:
        """How the first subject stands to the second."""
        return self.subjects[1].relation if len(self.subjects) > 1 else Layout.BESIDE
