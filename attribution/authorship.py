"""The authorship statement: what a human being did and what the machine did, step by step; pure.

It lists recorded acts and draws no conclusion: whether they make somebody an author is a question of law.
"""

from __future__ import annotations

import json
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
_PROMPTS = {EventKind.PROMPT_SUBMITTED, EventKind.PROMPT_HELD, EventKind.PROMPT_BLOCKED}
_MACHINE: Mapping[EventKind, str] = {
    EventKind.JOB_ACCEPTED: "was set to draw with these parameters",
    EventKind.IMAGE_RELEASED: "made the pixels of an image",
    EventKind.CANDIDATE_SHOWN: "proposed a candidate",
}
_STEPS = {  # what a person did who went on from an image
    "vary": "chose an image to vary",
    "remix": "had a request drawn again with other words",
    "reroll": "had a request drawn again with other seeds",
    "blend": "chose an image to blend",
    "extend": "chose an image to go on around its edges",
    "upscale": "chose an image to enlarge",
}
_GIVEN = {"source": "started from a picture", "mask": "drew only where a mask says"}
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
    repeated = taken_over(acts)
    for act in sorted(acts, key=lambda one: one.leaf_index):
        human = act.kind in _HUMAN
        title = title_of(act)
        if title is None or act.leaf_index in repeated:
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


def taken_over(acts: Sequence[Act]) -> frozenset[int]:
    """The entries whose words the service took over from an earlier request: nobody wrote them once more.

    So it is where a further step (a variation, an enlargement) has the very words of an entry before.
    """
    stepped = {act.public.get("job_id") for act in acts if act.public.get("step")}
    written: set[tuple[str, ...]] = set()
    found = set()
    for act in sorted(acts, key=lambda one: one.leaf_index):
        if act.kind in _PROMPTS and act.fields:
            words = (act.subject, *(act.fields.get(name, "") for name in _WORDS))
            if words in written and act.public.get("job_id") in stepped:
                found.add(act.leaf_index)
            written.add(words)
    return frozenset(found)


def title_of(act: Act) -> str | None:
    """What was done, in words; None: it is nobody's contribution."""
    step = str(act.public.get("step", ""))
    if act.kind is EventKind.CANDIDATE_CHOSEN and step in _STEPS:
        return _STEPS[step]
    return _HUMAN.get(act.kind) or _MACHINE.get(act.kind)


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
    if act.kind is EventKind.POSTED:
        parts += _place(fields.get("reference", ""))
    elif act.kind is not EventKind.IMAGE_RELEASED:
        parts += [
            _GIVEN.get(name) or f"{_label(name)}: {_short(value)}"
            for name, value in sorted(fields.items())
            if value and name not in _WORDS
        ]
    for name in ("image_id", "parent_image_id", "second_parent_image_id"):
        if public.get(name):
            parts.append(f"{_label(name).removesuffix(' id')} {public[name]}")
    return "; ".join(parts)


def _place(reference: str) -> list[str]:
    """Where an image was posted, as the platform names it: channel and message, without lists of files."""
    try:
        values = json.loads(reference) if reference else {}
    except ValueError:
        return [_short(reference)]
    named = values.items() if isinstance(values, dict) else ()
    return [f"{_label(name)}: {_short(value)}" for name, value in sorted(named) if isinstance(value, str)]


def _label(name: str) -> str:
    return name.replace("_", " ")


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _acts(count: int) -> str:
    return "act" if count == 1 else "acts"
