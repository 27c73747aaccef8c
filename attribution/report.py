"""Renders the evidence as a PDF that a lawyer can read: who, what, when, the picture, and how it is proved.

The PDF explains, it proves nothing by itself: what counts are the other members of the bundle. Equal facts
give equal bytes.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from attribution import report_rows as rows
from attribution import report_words as words
from attribution.authorship import NO_LAW
from attribution.errors import EvidenceError
from attribution.report_layout import Styles, beside, footer, gallery, paragraphs
from attribution.report_rows import ReportFacts, ReportStep
from attribution.standalone.verify import CHECKLIST, when

if TYPE_CHECKING:
    from reportlab.platypus import Flowable

__all__ = ["ReportFacts", "ReportStep", "render"]


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
        document.build(_story(facts, title), onFirstPage=footer, onLaterPages=footer)
    except LayoutError as error:
        raise EvidenceError("the report cannot be laid out") from error
    return buffer.getvalue()


def _story(facts: ReportFacts, title: str) -> list[Flowable]:
    looks = Styles()
    return [
        *_front(looks, facts, title),
        *_what_happened(looks, facts),
        *_terms(looks, facts),
        *_findings(looks, facts),
        *_proof(looks, facts),
        looks.heading("10. The limits of this evidence"),
        *(looks.text(part) for part in paragraphs(facts.limits.partition("\n\n")[2], joined=True)),
    ]


def _front(looks: Styles, facts: ReportFacts, title: str) -> list[Flowable]:
    return [
        looks.title(title),
        looks.text(" ".join(words.INTRODUCTION.split())),
        looks.heading("Parties"),
        looks.table(rows.parties(facts), (40, 126)),
        looks.heading("1. What is asserted, and what is not"),
        looks.text("The records in this bundle show:"),
        *(looks.small(f"{place}) {line}") for place, line in zip("abcd", words.ASSERTED, strict=True)),
        looks.text("They do not show:"),
        *(looks.small(f"{place}) {line}") for place, line in zip("efgh", words.NOT_ASSERTED, strict=True)),
        looks.heading("2. The image and its record"),
        beside(looks, ("This image", facts.image), [(one.title, one.data) for one in facts.sources]),
        looks.gap(),
        looks.table(rows.record(facts), (40, 126)),
    ]


def _what_happened(looks: Styles, facts: ReportFacts) -> list[Flowable]:
    return [
        looks.heading("3. What happened, in order"),
        looks.text(" ".join(words.ORDER.split())),
        looks.table(rows.timeline(facts), (13, 42, 22, 89), header=True),
        *_pictures(looks, facts),
        looks.heading("4. Authorship statement: human and machine contributions"),
        looks.text(f"{facts.authorship.summary} {' '.join(words.PARAMETERS.split())}"),
        looks.table(rows.authorship(facts), (13, 76, 77), header=True),
        looks.gap(),
        looks.text(NO_LAW),
        looks.heading("5. The pictures it rests on"),
        *(looks.text(reference) for reference in facts.references or (words.NO_REFERENCES,)),
    ]


def _pictures(looks: Styles, facts: ReportFacts) -> list[Flowable]:
    if not facts.on_the_way:
        return []
    shown = [(one.title, one.data) for one in facts.on_the_way if one.data is not None]
    return [looks.gap(), looks.text(" ".join(words.ON_THE_WAY.split())), *gallery(looks, shown)]


def _terms(looks: Styles, facts: ReportFacts) -> list[Flowable]:
    accepted = words.TERMS.format(
        accepted=when(facts.acceptance.entry.at_ms),
        acceptance=facts.acceptance.leaf_index,
        digest=facts.fields.get("license_text_sha256", ""),
        leaf_index=facts.leaf_index,
    )
    return [
        looks.heading("6. The terms that were accepted"),
        looks.text(" ".join(accepted.split())),
        # One paragraph a line: a paragraph of the whole text could not break over pages cleanly.
        *(looks.small(line) for line in facts.terms.splitlines() if line.strip()),
    ]


def _findings(looks: Styles, facts: ReportFacts) -> list[Flowable]:
    story = [
        looks.heading("7. What moderation decided"),
        looks.table(rows.decisions(facts.moderation), (40, 126)),
        looks.heading("8. How the image was found"),
    ]
    if facts.match is None:
        return [
            *story,
            looks.text("No found picture was given: this bundle was asked for by the image's id."),
        ]
    return [
        *story,
        looks.text(" ".join(words.MATCH.split())),
        looks.table(rows.match(facts.match), (40, 126)),
    ]


def _proof(looks: Styles, facts: ReportFacts) -> list[Flowable]:
    proof = words.PROOF.format(
        tree_size=facts.tree_size, leaf_index=facts.leaf_index, root_hash=facts.root_hash
    )
    numbered = [(str(number), title) for number, (title, _) in enumerate(CHECKLIST, start=1)]
    return [
        looks.heading("9. How this is proved, and how to check it"),
        *(looks.text(part) for part in paragraphs(proof)),
        looks.text(" ".join(words.CHECK.split()), markup=True),
        looks.table([("Step", "What has to hold"), *numbered], (13, 153), header=True),
        looks.gap(),
        looks.text(" ".join(words.REPLAY.split()), markup=True),
        looks.text("The signed checkpoint of the ledger, as in checkpoint.txt:"),
        *(looks.small(line) for line in facts.checkpoint.splitlines() if line),
        looks.text("The files of this bundle, beside this report, verify.py and index.json:"),
        looks.table(
            [("File", "SHA-256"), *sorted(facts.digests.items())],
            (40, 126),
            header=True,
        ),
    ]
