"""How the report looks: fonts, headings, tables, pictures."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

import numpy as np
from PIL import Image as PillowImage

from attribution.errors import EvidenceError, ImageError
from attribution.images import decode

if TYPE_CHECKING:
    from reportlab.pdfgen.canvas import Canvas
    from reportlab.platypus import Flowable, SimpleDocTemplate

_PREVIEW = 512  # pixels of the longer side


def footer(canvas: Canvas, document: SimpleDocTemplate) -> None:
    """The line below every page."""
    canvas.setFont("Helvetica", 8)
    canvas.drawRightString(
        document.pagesize[0] - document.rightMargin, 24, f"{document.title}, page {document.page}"
    )


class Styles:
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
        """The name of the document."""
        return self._paragraph(text, "title")

    def heading(self, text: str) -> Flowable:
        """The head of a section; stays with what follows."""
        return self._paragraph(text, "heading")

    def text(self, text: str, *, markup: bool = False) -> Flowable:
        """A paragraph; `markup`: our own words with reportlab's tags, never a stranger's."""
        return self._paragraph(text, "text", markup=markup)

    def small(self, text: str) -> Flowable:
        """A paragraph of quoted text."""
        return self._paragraph(text, "small")

    def gap(self) -> Flowable:
        """A little room, in points."""
        from reportlab.platypus import Spacer  # noqa: PLC0415

        return Spacer(1, 6)

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

        shown = text if markup else escape(printable(text))
        return Paragraph(shown.replace("\n", "<br/>"), self._styles[style])


def picture(png: bytes, *, edge_mm: int = 85) -> Flowable:
    """A picture file of any kind that Verso reads, its longer edge `edge_mm`; no metadata is copied.

    Raises:
        EvidenceError: it cannot be decoded.
    """
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
    scale = edge_mm * mm / max(width, height)
    return Image(buffer, width=width * scale, height=height * scale, hAlign="LEFT")


def paragraphs(text: str, *, joined: bool = False) -> list[str]:
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


def shortened(text: str, limit: int, where: str = "the accompanying files") -> str:
    """At most `limit` characters; says where the rest is."""
    return text if len(text) <= limit else f"{text[:limit]}... (the whole text is in {where})"


def printable(text: str) -> str:
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
