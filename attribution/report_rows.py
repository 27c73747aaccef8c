"""The rows of the report's tables: parties, record, timeline, findings, match."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from attribution.authorship import Act, Statement, details, taken_over, title_of
from attribution.record import Entry, EventKind
from attribution.report_layout import shortened
from attribution.standalone.verify import when

_MAX_STEPS = 200
_MAX_TEXT = 4000  # characters of one cell
_SHOWN = {  # opened field -> label, in this order
    "prompt": "Words",
    "negative_prompt": "Words for what not to draw",
    "seed": "Seed",
    "num_inference_steps": "Steps",
    "guidance_scale": "Guidance",
    "model_revision": "Model revision",
    "weights_sha256": "Model weights (SHA-256)",
}
_TERMS_FIELDS = {"text_sha256", "license_id", "license_version", "version"}


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportStep:
    """One entry with what may be shown of its hidden fields."""

    entry: Entry
    leaf_index: int
    fields: Mapping[str, str] = field(repr=False)
    actor: str  # person, machine, moderator or house
    title: str  # what happened

    @property
    def act(self) -> Act:
        """The same, for an authorship statement."""
        return Act(
            leaf_index=self.leaf_index,
            at_ms=self.entry.at_ms,
            kind=self.entry.kind,
            subject=self.entry.subject,
            public=self.entry.public,
            fields=self.fields,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class SourcePicture:
    """A picture that the image was made from."""

    title: str
    data: bytes | None = field(repr=False)  # the file; None: it cannot be shown


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportFacts:
    """What the report tells."""

    image: bytes = field(repr=False)
    entry: Entry  # *image released*
    fields: Mapping[str, str] = field(repr=False)
    acceptance: ReportStep
    steps: tuple[ReportStep, ...]
    authorship: Statement
    references: tuple[str, ...]  # pictures that the image rests on
    sources: tuple[SourcePicture, ...] = ()  # the same and others, to be seen beside the image
    on_the_way: tuple[SourcePicture, ...] = ()  # the images of the lineage, oldest first
    signer: str  # of the image, as its certificate names itself
    terms: str
    moderation: bytes  # JSON: a list of decisions
    limits: str
    leaf_index: int
    tree_size: int
    root_hash: str
    checkpoint: str
    verifier_key: str
    exported_at_ms: int
    match: Mapping[str, object] | None  # how a found picture led here
    digests: Mapping[str, str]  # member -> hex SHA-256, of those that were ready before the report


def parties(facts: ReportFacts) -> list[tuple[str, str]]:
    """Who keeps the ledger, and whose account it was."""
    account = [f"pseudonym {facts.entry.subject}"]
    account += [
        f"{name.replace('_', ' ')}: {value}"
        for name, value in facts.acceptance.fields.items()
        if value and name not in _TERMS_FIELDS
    ]
    return [
        ("Operator", f"{facts.signer or 'unnamed'} (as its own certificate names it; nobody else vouches)"),
        ("Operator's ledger", facts.verifier_key.partition("+")[0]),
        ("Operator's public key", facts.verifier_key),
        ("Account that asked", "\n".join(account)),
        ("Drawn up on", when(facts.exported_at_ms)),
    ]


def record(facts: ReportFacts) -> list[tuple[str, str]]:
    """What the entry *image released* says."""
    public, fields = facts.entry.public, facts.fields
    index = public.get("index")
    place = str(index + 1) if isinstance(index, int) else "?"
    rows = [
        ("Image", f"{public.get('image_id')} (image {place} of job {public.get('job_id')})"),
        ("Released", f"{when(facts.entry.at_ms)}, entry {facts.leaf_index} of the ledger"),
        ("Size", f"{public.get('width')} x {public.get('height')} pixels"),
        ("Model", str(public.get("model_id", ""))),
        ("License", f"{public.get('license_id')}, version {public.get('license_version')}"),
    ]
    rows += [
        (label, shortened(fields[name], _MAX_TEXT)) for name, label in _SHOWN.items() if fields.get(name)
    ]
    return [
        *rows,
        ("File (SHA-256)", fields.get("sha256", "")),
        ("Pixels before marking (SHA-256)", fields.get("pixels_sha256", "")),
    ]


def timeline(facts: ReportFacts) -> list[tuple[str, ...]]:
    """Every entry, oldest first."""
    steps = sorted({step.leaf_index: step for step in (*facts.steps, facts.acceptance)}.items())
    rows: list[tuple[str, ...]] = [("Entry", "Time", "Who", "What happened")]
    repeated = taken_over([step.act for step in facts.steps])
    for place, step in steps[:_MAX_STEPS]:
        told = details(step.act) if step is not facts.acceptance and step.fields else ""
        image_id = step.entry.public.get("image_id")
        if image_id and not told:
            told = f"image {image_id}"
        chosen = step.entry.kind is EventKind.CANDIDATE_CHOSEN
        title = (title_of(step.act) if chosen else None) or step.title
        words = [title, told] if told else [title]
        if image_id == facts.entry.id:
            words[-1] += " (this image)"
        actor = step.actor
        if place in repeated:
            words, actor = ["the words of an earlier request were taken over"], "house"
        if step.entry.subject not in {facts.entry.subject, ""}:
            actor = f"another {actor}"
        rows.append((str(place), when(step.entry.at_ms), actor, "\n".join(words)))
    if len(steps) > _MAX_STEPS:
        rows.append(("", "", "", f"{len(steps) - _MAX_STEPS} more entries are in lineage.json."))
    return rows


def authorship(facts: ReportFacts) -> list[tuple[str, ...]]:
    """What the person and what the machine did, side by side."""
    rows: list[tuple[str, ...]] = [("Entry", "The human being", "The machine")]
    lines = facts.authorship.contributions
    for line in lines[:_MAX_STEPS]:
        words = line.act + (f"\n{line.details}" if line.details else "")
        human = line.by == "human"
        rows.append((str(line.leaf_index), words if human else "", "" if human else words))
    if len(lines) > _MAX_STEPS:
        rows.append(("", f"{len(lines) - _MAX_STEPS} more lines are in lineage.json.", ""))
    return rows


def decisions(moderation: bytes) -> list[tuple[str, str]]:
    """What was decided on words and picture."""
    listed = json.loads(moderation)
    if not isinstance(listed, list) or not listed:
        return [("", "No decision is recorded.")]
    rows = []
    for decision in listed:
        facts = decision if isinstance(decision, dict) else {"decision": decision}
        title = str(facts.get("content") or facts.get("content_kind") or facts.get("kind") or "decision")
        lines = [_line(name, value) for name, value in sorted(facts.items()) if name != "content"]
        rows.append((title, shortened("\n".join(lines), _MAX_TEXT)))
    return rows


def match(found: Mapping[str, object]) -> list[tuple[str, str]]:
    """How a found picture led to the record."""
    return [(name.replace("_", " "), shortened(_plain(value), _MAX_TEXT)) for name, value in found.items()]


def _line(name: str, value: object) -> str:
    if name == "at_ms" and isinstance(value, int):
        return f"time: {when(value)}"
    if name == "findings" and value == []:
        return "findings: none"
    if name == "nearest" and isinstance(value, list):
        near = [one for one in value if isinstance(one, dict)]
        lines = [
            f"  {one.get('title')} by {one.get('author')}: similarity {one.get('similarity')}"
            + (", a NEAR COPY" if one.get("near_copy") else "")
            for one in near
        ]
        return "\n".join(["most similar training pictures:", *lines])
    return f"{name.replace('_', ' ')}: {_plain(value)}"


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
