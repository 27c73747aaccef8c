"""The authorship statement: what a human being did and what the machine did, step by step; pure.

It lists recorded acts and draws no conclusion: whether they make somebody an author is a question of law.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from attribution.record import EventKind
from attribution.release_facts import Json

Side = Literal["human", "machine"]

NO_LAW = (
    "This statement lists recorded acts. It decides no question of law: not whether the image is a work that "
    "copyright or a similar right protects, not who its author or owner is, and not how much human "
    "contribution a law asks for. Countries answer differently, and words alone have been held not to be "
    "enough in some. Courts and registration offices decide; this list is what they can be shown."
)

_HUMAN: Mapping[EventKind, str] = {
    EventKind.PROMPT_SUBMITTED: "wrote a prompt",
    EventKind.PROMPT_HELD: "wrote a prompt, which was held for a moderator",
    EventKind.PROMPT_BLOCKED: "wrote a prompt, which was refused",
    EventKind.APPEAL_OPENED: "asked for another decision",
    EventKind.CANDIDATE_CHOSEN: "chose an image to go on from",
    EventKind.EDIT_APPLIED: "edited an image",
    EventKind.DELETED: "took back the post",
}
_MACHINE: Mapping[EventKind, str] = {
    EventKind.JOB_ACCEPTED: "was set to draw with these parameters",
    EventKind.IMAGE_RELEASED: "made the pixels of an image",
    EventKind.CANDIDATE_SHOWN: "proposed a candidate",
}
_WORDS = ("prompt", "negative_prompt")
_LONGEST = 600  # characters of one value; the steps of the lineage have the whole


@dataclass(frozen=True, kw_only=True, slots=True)
class Act:
    """One recorded step, as far as it may be shown."""

    leaf_index: int
    at_ms: int  # Unix milliseconds
    kind: EventKind
    subject: str  # pseudonym of who acted
    public: Mapping[str, str | int]
    fields: Mapping[str, str] = field(repr=False)  # opened; empty where they may not be shown


@dataclass(frozen=True, kw_only=True, slots=True)
class Contribution:
    """One line of the statement."""

    leaf_index: int  # the ledger's entry that it rests on
    at_ms: int
    by: Side
    act: str
    details: str = field(repr=False)

    def to_json(self) -> dict[str, Json]:
        """Plain values for JSON."""
        return {
            "leaf_index": self.leaf_index,
            "at_ms": self.at_ms,
            "by": self.by,
            "act": self.act,
            "details": self.details,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Statement:
    """Human and machine contributions in the ledger's order, and what they do not decide."""

    contributions: tuple[Contribution, ...]

    def of(self, side: Side) -> tuple[Contribution, ...]:
        """The lines of one side."""
        return tuple(one for one in self.contributions if one.by == side)

    @property
    def summary(self) -> str:
        """How many recorded acts there are of each side."""
        human, machine = len(self.of("human")), len(self.of("machine"))
        return f"{human} recorded {_acts(human)} of people, {machine} of the machine."

    def to_json(self) -> dict[str, Json]:
        """Plain values for JSON."""
        return {
            "summary": self.summary,
            "contributions": [one.to_json() for one in self.contributions],
            "decides_no_law": NO_LAW,
        }


def statement(acts: Sequence[Act], *, owner: str) -> Statement:
    """Sort what was recorded into what people and what machines contributed.

    Args:
        acts: steps of a lineage in any order; those of the house and of moderators are left out.
        owner: pseudonym of the person whose image it is: others are named as "another person".
    """
    lines = []
    for act in sorted(acts, key=lambda one: one.leaf_index):
        human = act.kind in _HUMAN
        title = (_HUMAN if human else _MACHINE).get(act.kind)
        if title is None:
            continue
        if human and act.subject != owner:
            title = f"another person {title}"
        lines.append(
            Contribution(
                leaf_index=act.leaf_index,
                at_ms=act.at_ms,
                by="human" if human else "machine",
                act=title,
                details=details(act),
            )
        )
    return Statement(contributions=tuple(lines))


def details(act: Act) -> str:
    """The choices and parameters of a step in one paragraph; empty where none is shown."""
    public, fields = act.public, act.fields
    parts = []
    if isinstance(public.get("place"), int) and isinstance(public.get("of"), int):
        parts.append(f"candidate {public['place']} of {public['of']}")
    if public.get("step"):
        parts.append(f"step: {public['step']}")
    if act.kind in _HUMAN:
        # The request repeats the words of the prompt: they stand at the step that wrote them.
        parts += [f'{_label(name)}: "{_short(fields[name])}"' for name in _WORDS if fields.get(name)]
    if act.kind is not EventKind.IMAGE_RELEASED:
        parts += [
            f"{_label(name)}: {_short(value)}"
            for name, value in sorted(fields.items())
            if value and name not in _WORDS
        ]
    for name in ("image_id", "parent_image_id", "second_parent_image_id"):
        if public.get(name):
            parts.append(f"{_label(name).removesuffix(' id')} {public[name]}")
    return "; ".join(parts)


def _label(name: str) -> str:
    return name.replace("_", " ")


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _acts(count: int) -> str:
    return "act" if count == 1 else "acts"
