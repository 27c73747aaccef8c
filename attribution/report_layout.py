"""How the report looks: fonts, headings, tables, pictures."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

import numpy as np
from PIL import Image as PillowImage

from attribution import report_fonts
from attribution.errors import EvidenceError, ImageError
from attribution.images import decode

if TYPE_CHECKING:
    from reportlab.lib.styles import ParagraphStyle
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

        looks = self._styles[style]
        if markup:
            return Paragraph(text.replace("\n", "<br/>"), looks)
        shown = report_fonts.printable(text)
        if report_fonts.standard(shown):
            return Paragraph(escape(shown).replace("\n", "<br/>"), looks)
        return foreign(shown, looks)


def foreign(text: str, style: ParagraphStyle) -> Flowable:
    """A paragraph of words that the PDF's standard fonts do not have."""
    from reportlab.lib.styles import ParagraphStyle  # noqa: PLC0415
    from reportlab.platypus import Paragraph  # noqa: PLC0415
    from reportlab.platypus.flowables import Flowable  # noqa: PLC0415

    report_fonts.use_fonts()
    joined = report_fonts.shaped(text)
    looks = ParagraphStyle(
        f"{style.name}-foreign", parent=style, fontName=report_fonts.BASE, shaping=int(joined)
    )
    lines = text.split("\n")

    def laid(width: float) -> Paragraph:
        def measure(part: str) -> float:
            return report_fonts.width_of(part, looks.fontSize)

        broken: list[str] = []
        for line in lines:
            turned = report_fonts.right_to_left(line)
            breaks = report_fonts.visual_lines if turned else report_fonts.spaced_lines
            broken += breaks(line, width - looks.leftIndent - 1, measure) if joined else [line]
        return Paragraph("<br/>".join(report_fonts.markup(one, joined=joined) for one in broken), looks)

    if not joined:
        return laid(0)

    class Joined(Flowable):  # type: ignore[misc]  # reportlab has no types
        """Breaks its lines when its width is known: words change places then, or have no spaces between."""

        def getSpaceAfter(self) -> float:  # noqa: N802 - reportlab's name
            return float(looks.spaceAfter)

        def wrap(self, width: float, height: float) -> tuple[float, float]:
            self._inner = laid(width)
            size: tuple[float, float] = self._inner.wrap(width, height)
            return size

        def split(self, width: float, height: float) -> list[Flowable]:
            self.wrap(width, height)
            parts: list[Flowable] = self._inner.split(width, height)
            return parts

        def draw(self) -> None:
            self._inner.drawOn(self.canv, 0, 0)

    return Joined()


def picture(png: bytes, *, edge_mm: int = 85, pixels: int = _PREVIEW) -> Flowable:
    """A picture file of any kind that Verso reads, its longer edge `edge_mm`; no metadata is copied.

    It is shown with at most `pixels` on that edge.

    Raises:
        EvidenceError: it cannot be decoded.
    """
    from reportlab.lib.units import mm  # noqa: PLC0415
    from reportlab.platypus import Image  # noqa: PLC0415

    try:
        decoded = decode(png)
    except ImageError as error:
        raise EvidenceError(f"the image cannot be shown: {error}") from error
    picture = PillowImage.fromarray(np.ascontiguousarray(decoded))
    picture.thumbnail((pixels, pixels))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=90)
    width, height = picture.size
    scale = edge_mm * mm / max(width, height)
    return Image(buffer, width=width * scale, height=height * scale, hAlign="LEFT")


def beside(looks: Styles, main: tuple[str, bytes], others: Sequence[tuple[str, bytes | None]]) -> Flowable:
    """A picture, and smaller ones with their titles to the right of it; one that is None has only a title.

    Raises:
        EvidenceError: the main picture cannot be decoded.
    """
    from reportlab.lib.units import mm  # noqa: PLC0415
    from reportlab.platypus import Table, TableStyle  # noqa: PLC0415

    cells: list[list[Flowable]] = []
    for name, file in others:
        try:
            shown = [] if file is None else [picture(file, edge_mm=28)]
        except EvidenceError:  # a format of long ago: the words stand without it
            shown = []
        cells.append([*shown, looks.small(name)])
    half = len(cells) if len(cells) <= 3 else -(-len(cells) // 2)
    columns = [[part for cell in column for part in cell] for column in (cells[:half], cells[half:])]
    return Table(
        [[[picture(main[1]), looks.small(main[0])], *columns]],
        colWidths=[90 * mm, 38 * mm, 38 * mm],
        style=TableStyle([("VALIGN", (0, 0), (-1, -1), "TOP"), ("LEFTPADDING", (0, 0), (0, 0), 0)]),
        hAlign="LEFT",
    )


def gallery(looks: Styles, pictures: Sequence[tuple[str, bytes]]) -> list[Flowable]:
    """Small pictures with their titles, five in a row.

    Raises:
        EvidenceError: one cannot be decoded.
    """
    from reportlab.lib.units import mm  # noqa: PLC0415
    from reportlab.platypus import Table, TableStyle  # noqa: PLC0415

    cells = [[picture(file, edge_mm=29, pixels=240), looks.small(title)] for title, file in pictures]
    rows = [cells[place : place + 5] for place in range(0, len(cells), 5)]
    top = TableStyle([("VALIGN", (0, 0), (-1, -1), "TOP"), ("LEFTPADDING", (0, 0), (-1, -1), 0)])
    return [Table([row], colWidths=[33 * mm] * len(row), style=top, hAlign="LEFT") for row in rows]


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
