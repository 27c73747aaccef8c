"""Renders the evidence as a PDF that a lawyer can read: the picture, who, when, what, and how it is proved.

The PDF explains, it proves nothing by itself: what counts are the other members of the bundle. Equal facts
give equal bytes.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

import numpy as np
from PIL import Image as PillowImage

from attribution.errors import EvidenceError, ImageError
from attribution.images import decode
from attribution.record import Entry
from attribution.standalone.verify import when

if TYPE_CHECKING:
    from reportlab.pdfgen.canvas import Canvas
    from reportlab.platypus import Flowable, SimpleDocTemplate

_PREVIEW = 512  # pixels of the longer side
_MAX_STEPS = 200
_MAX_TEXT = 4000  # characters of one cell
_MAX_TERMS = 6000  # characters of the terms that the report repeats

_SHOWN = {  # opened field -> label, in this order
    "prompt": "Words",
    "negative_prompt": "Words for what not to draw",
    "seed": "Seed",
    "num_inference_steps": "Steps",
    "guidance_scale": "Guidance",
    "model_revision": "Model revision",
    "weights_sha256": "Model weights (SHA-256)",
}

_INTRODUCTION = """
Drawn up on {exported} from the records of the operator whose ledger is {ledger}. This report explains the
accompanying files; they, and not this report, are the evidence. All times are those of the operator's clock.
"""
_NO_REFERENCES = "The image names no picture that it was made from."
_ORDER = """
Each line is one entry of the ledger. The number is its place: entries are only ever added at the end, and
none can be changed, moved or taken out without breaking the proofs in this bundle.
"""
_TERMS = """
On {accepted}, with entry {acceptance} of the ledger, the person accepted the text below (SHA-256 {digest}).
The image is entry {leaf_index}: it came after.
"""
_PROOF = """
The operator keeps a ledger of numbered entries. At the time of this report it had {tree_size} entries; the
record of this image is number {leaf_index}. All entries together have one fingerprint (the root hash),
{root_hash}, which the operator signed (checkpoint.txt). The proof in proof.json leads from the record to that
fingerprint: it could not do so if the record had been altered, or added later than the checkpoint.

consistency.json proves that the ledger of this report is the one whose checkpoint the user received with the
image, with entries only added. Anybody who kept that receipt, or a published checkpoint, can compare.

The record holds no personal data in the clear, but commitments: fingerprints of each fact mixed with a random
number. commitments.json opens them. A fact that had been changed would not fit.

The image carries Content Credentials (C2PA): a signature over its own bytes, which names the record. If any
pixel or byte had been changed afterwards, that signature would not hold.

The key that signed this bundle and the ledger is {verifier_key}.
"""
_CHECK = """
Run <b>python verify.py BUNDLE.zip --trust KEYFILE</b> with the script of this bundle, or better with one that
you have from elsewhere. It needs Python 3.9 and the package cryptography, connects to nothing, and fails if a
single byte of any file was altered. KEYFILE holds the operator's public key, which must come from a source
other than this bundle.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportStep:
    """One entry with what may be shown of its hidden fields."""

    entry: Entry
    leaf_index: int
    fields: Mapping[str, str] = field(repr=False)
    actor: str  # person, machine, moderator or house
    title: str  # what happened


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportFacts:
    """What the report tells."""

    image: bytes = field(repr=False)
    entry: Entry  # *image released*
    fields: Mapping[str, str] = field(repr=False)
    acceptance: ReportStep
    steps: tuple[ReportStep, ...]
    references: tuple[str, ...]  # pictures that the image rests on
    terms: str
    moderation: bytes  # JSON: a list of decisions
    limits: str
    leaf_index: int
    tree_size: int
    root_hash: str
    checkpoint: str
    verifier_key: str
    exported_at_ms: int
    matched: bool  # a found picture led here


def render(facts: ReportFacts) -> bytes:
    """Give the PDF's bytes.

    Raises:
        EvidenceError: the image cannot be decoded, or the text cannot be laid out.
    """
    from reportlab.lib.pagesizes import A4  # noqa: PLC0415 - a large library, for the few who export
    from reportlab.lib.units import mm  # noqa: PLC0415
    from reportlab.platypus import SimpleDocTemplate  # noqa: PLC0415
    from reportlab.platypus.doctemplate import LayoutError  # noqa: PLC0415

    title = f"Evidence for image {facts.entry.public.get('image_id', facts.entry.id)}"
    buffer = io.BytesIO()
    document = SimpleDocTemplate(
        buffer,
        pagesize=A4,
        leftMargin=20 * mm,
        rightMargin=20 * mm,
        topMargin=18 * mm,
        bottomMargin=18 * mm,
        title=title,
        author="Verso",
        invariant=1,  # no time of day and no random id in the file
    )
    try:
        document.build(_story(facts, title), onFirstPage=_footer, onLaterPages=_footer)
    except LayoutError as error:
        raise EvidenceError("the report cannot be laid out") from error
    return buffer.getvalue()


def _footer(canvas: Canvas, document: SimpleDocTemplate) -> None:
    canvas.setFont("Helvetica", 8)
    canvas.drawRightString(
        document.pagesize[0] - document.rightMargin, 24, f"{document.title}, page {document.page}"
    )


def _story(facts: ReportFacts, title: str) -> list[Flowable]:
    from reportlab.platypus import Spacer  # noqa: PLC0415

    styles = _Styles()
    story: list[Flowable] = [
        styles.title(title),
        *(styles.text(part) for part in _opening_words(facts)),
        Spacer(1, 8),
        _picture(facts.image),
        Spacer(1, 8),
        styles.heading("1. What the record says"),
        styles.table(_summary(facts), (40, 126)),
        styles.heading("2. What happened, in order"),
        styles.text(" ".join(_ORDER.split())),
        styles.table(_timeline(facts), (13, 42, 22, 89), header=True),
        styles.heading("3. The pictures it rests on"),
        *(styles.text(reference) for reference in facts.references or (_NO_REFERENCES,)),
        styles.heading("4. The terms that were accepted"),
        styles.text(_terms_words(facts)),
        *(styles.small(part) for part in _shortened(facts.terms, _MAX_TERMS, "terms.txt").split("\n\n")),
        styles.heading("5. What moderation decided"),
        styles.table(_decisions(facts.moderation), (40, 126)),
        styles.heading("6. How this is proved"),
        *(styles.text(part) for part in _proof_words(facts)),
        styles.heading("7. How to check it"),
        styles.text(" ".join(_CHECK.split()), markup=True),
        styles.heading("8. What this does not prove"),
        *(styles.text(part) for part in _paragraphs(facts.limits.partition("\n\n")[2], joined=True)),
    ]
    return story


def _opening_words(facts: ReportFacts) -> list[str]:
    ledger = facts.verifier_key.partition("+")[0]
    return _paragraphs(_INTRODUCTION.format(exported=when(facts.exported_at_ms), ledger=ledger))


class _Styles:
    """The few looks that the report has."""

    def __init__(self) -> None:
        from reportlab.lib import colors  # noqa: PLC0415
        from reportlab.lib.styles import ParagraphStyle  # noqa: PLC0415

        self._ink, self._line = colors.HexColor("#1d2530"), colors.HexColor("#c8cdd4")
        self._shade = colors.HexColor("#eef1f5")
        body = ParagraphStyle("body", fontName="Helvetica", fontSize=9.5, leading=13, textColor=self._ink)
        self._styles = {
            "text": ParagraphStyle("text", parent=body, spaceAfter=4),
            "small": ParagraphStyle(
                "small", parent=body, fontSize=8, leading=10.5, leftIndent=8, spaceAfter=3
            ),
            "cell": ParagraphStyle("cell", parent=body, fontSize=8.5, leading=11, splitLongWords=1),
            "title": ParagraphStyle(
                "title", parent=body, fontName="Helvetica-Bold", fontSize=17, leading=22, spaceAfter=6
            ),
            "heading": ParagraphStyle(
                "heading",
                parent=body,
                fontName="Helvetica-Bold",
                fontSize=12,
                leading=16,
                spaceBefore=10,
                spaceAfter=4,
                keepWithNext=1,
            ),
        }

    def title(self, text: str) -> Flowable:
        return self._paragraph(text, "title")

    def heading(self, text: str) -> Flowable:
        return self._paragraph(text, "heading")

    def text(self, text: str, *, markup: bool = False) -> Flowable:
        return self._paragraph(text, "text", markup=markup)

    def small(self, text: str) -> Flowable:
        return self._paragraph(text, "small")

    def table(
        self, rows: Iterable[Sequence[str]], widths: Sequence[int], *, header: bool = False
    ) -> Flowable:
        """A ruled table; `widths` in millimeters."""
        from reportlab.lib.units import mm  # noqa: PLC0415
        from reportlab.platypus import Table, TableStyle  # noqa: PLC0415

        cells = [[self._paragraph(cell, "cell") for cell in row] for row in rows]
        looks: list[tuple[object, ...]] = [
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("LINEBELOW", (0, 0), (-1, -1), 0.4, self._line),
            ("TOPPADDING", (0, 0), (-1, -1), 2.5),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 3.5),
        ]
        looks.append(("BACKGROUND", (0, 0), (-1, 0) if header else (0, -1), self._shade))
        return Table(
            cells,
            colWidths=[width * mm for width in widths],
            style=TableStyle(looks),
            repeatRows=int(header),
            hAlign="LEFT",
            splitInRow=1,
        )

    def _paragraph(self, text: str, style: str, *, markup: bool = False) -> Flowable:
        from reportlab.platypus import Paragraph  # noqa: PLC0415

        shown = text if markup else escape(_printable(text))
        return Paragraph(shown.replace("\n", "<br/>"), self._styles[style])


def _picture(png: bytes) -> Flowable:
    from reportlab.lib.units import mm  # noqa: PLC0415
    from reportlab.platypus import Image  # noqa: PLC0415

    try:
        pixels = decode(png)
    except ImageError as error:
        raise EvidenceError(f"the image cannot be shown: {error}") from error
    picture = PillowImage.fromarray(np.ascontiguousarray(pixels))
    picture.thumbnail((_PREVIEW, _PREVIEW))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=90)
    width, height = picture.size
    scale = 85 * mm / max(width, height)
    return Image(buffer, width=width * scale, height=height * scale, hAlign="LEFT")


def _summary(facts: ReportFacts) -> list[tuple[str, str]]:
    public, fields = facts.entry.public, facts.fields
    person = [f"pseudonym {facts.entry.subject}"]
    person += [f"{name}: {value}" for name, value in facts.acceptance.fields.items() if _says_who(name)]
    rows = [
        (
            "Image",
            f"{public.get('image_id')} (image {_ordinal(public.get('index'))} of job {public.get('job_id')})",
        ),
        ("Who asked for it", "\n".join(person)),
        ("Released", when(facts.entry.at_ms)),
        ("Size", f"{public.get('width')} x {public.get('height')} pixels"),
        ("Model", str(public.get("model_id", ""))),
        ("License", f"{public.get('license_id')}, version {public.get('license_version')}"),
    ]
    rows += [
        (label, _shortened(fields[name], _MAX_TEXT)) for name, label in _SHOWN.items() if fields.get(name)
    ]
    rows += [
        ("File (SHA-256)", fields.get("sha256", "")),
        ("Pixels (SHA-256)", fields.get("pixels_sha256", "")),
    ]
    if facts.matched:
        rows.append(
            ("Found picture", "A found picture led to this image; match.json says how, and how sure that is.")
        )
    return rows


def _says_who(name: str) -> bool:
    return name not in {"text_sha256", "license_id", "license_version", "version"}


def _ordinal(index: object) -> str:
    return str(index + 1) if isinstance(index, int) else "?"


def _timeline(facts: ReportFacts) -> list[tuple[str, ...]]:
    steps = sorted({step.leaf_index: step for step in (*facts.steps, facts.acceptance)}.items())
    rows: list[tuple[str, ...]] = [("Entry", "Time", "Who", "What happened")]
    for place, step in steps[:_MAX_STEPS]:
        words = [step.title]
        if step.fields.get("prompt"):
            words.append(f'"{_shortened(step.fields["prompt"], 600)}"')
        image_id = step.entry.public.get("image_id")
        if image_id:
            words.append(f"image {image_id}" + (" (this one)" if image_id == facts.entry.id else ""))
        actor = step.actor
        if step.entry.subject not in {facts.entry.subject, ""}:
            actor = f"another {actor}"
        rows.append((str(place), when(step.entry.at_ms), actor, "\n".join(words)))
    if len(steps) > _MAX_STEPS:
        rows.append(("", "", "", f"{len(steps) - _MAX_STEPS} more entries are in lineage.json."))
    return rows


def _terms_words(facts: ReportFacts) -> str:
    return " ".join(
        _TERMS.format(
            accepted=when(facts.acceptance.entry.at_ms),
            acceptance=facts.acceptance.leaf_index,
            digest=facts.fields.get("license_text_sha256", ""),
            leaf_index=facts.leaf_index,
        ).split()
    )


def _decisions(moderation: bytes) -> list[tuple[str, str]]:
    decisions = json.loads(moderation)
    if not isinstance(decisions, list) or not decisions:
        return [("", "No decision is recorded.")]
    rows = []
    for decision in decisions:
        facts = decision if isinstance(decision, dict) else {"decision": decision}
        title = str(facts.get("content_kind") or facts.get("kind") or "decision")
        lines = [
            f"{name}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
            for name, value in sorted(facts.items())
        ]
        rows.append((title, _shortened("\n".join(lines), _MAX_TEXT)))
    return rows


def _proof_words(facts: ReportFacts) -> list[str]:
    text = _PROOF.format(
        tree_size=facts.tree_size,
        leaf_index=facts.leaf_index,
        root_hash=facts.root_hash,
        verifier_key=facts.verifier_key,
    )
    return _paragraphs(text)


def _paragraphs(text: str, *, joined: bool = False) -> list[str]:
    """Split at empty lines, or (`joined`) at numbered points whose lines are put together."""
    if not joined:
        return [" ".join(part.split()) for part in text.split("\n\n") if part.strip()]
    parts: list[str] = []
    for line in text.splitlines():
        if line[:1].isdigit():
            parts.append(line)
        elif parts and line.strip():
            parts[-1] += " " + line.strip()
    return parts


def _shortened(text: str, limit: int, where: str = "the accompanying files") -> str:
    return text if len(text) <= limit else f"{text[:limit]}... (the whole text is in {where})"


def _printable(text: str) -> str:
    """Text in the letters that the PDF's standard fonts have; others as their code points."""
    return "".join(
        letter if letter == "\n" or (letter.isprintable() and _in_font(letter)) else f"[U+{ord(letter):04X}]"
        for letter in text.replace("\r\n", "\n").replace("\t", " ")
    )


def _in_font(letter: str) -> bool:
    try:
        letter.encode("cp1252")
    except UnicodeEncodeError:
        return False
    return True
