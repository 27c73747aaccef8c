"""Reads what an SVG file says about itself, from strangers' files: no entities, nothing outside is loaded."""

from __future__ import annotations

import contextlib
import html
import re
from dataclasses import dataclass, field
from xml.parsers import expat

MAX_BYTES = 200_000  # larger ones are traced photographs, hardly ever drawings
_MAX_ELEMENTS = 20_000
_MAX_DEPTH = 100

_CC = "http://web.resource.org/cc/ "
_DC = "http://purl.org/dc/elements/1.1/ "
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns# "
_SVG = "http://www.w3.org/2000/svg "
_WORK = f"{_CC}Work"
_ROOT = re.compile(r"<svg\b")


class SvgError(ValueError):
    """This SVG is damaged, or is more than a drawing."""


@dataclass(kw_only=True, slots=True)
class Svg:
    """A drawing and what its metadata say (Dublin Core and Creative Commons terms in RDF)."""

    text: str
    title: str = ""
    creator: str = ""
    subjects: list[str] = field(default_factory=list)
    license: str = ""  # a URI
    elements: set[str] = field(default_factory=set)  # local names of SVG elements that are in it


def read_svg(data: bytes) -> Svg:
    """Read one drawing.

    Raises:
        SvgError: not well-formed XML in UTF-8, declares entities, is no SVG, or is too large.
    """
    if len(data) > MAX_BYTES:
        raise SvgError(f"larger than {MAX_BYTES} bytes")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise SvgError("not in UTF-8") from error
    svg = Svg(text=text)
    reader = _Reader(svg)
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.characters
    parser.EntityDeclHandler = _refuse_entity
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise SvgError(f"not well-formed: {error}") from error
    return svg


def _refuse_entity(name: str, *_: object) -> None:
    raise SvgError(f"declares the entity {name}")


def plain(text: str) -> str:
    """Text as it was meant: character references resolved, twice encoded UTF-8 decoded, one line."""
    text = html.unescape(html.unescape(text))
    with contextlib.suppress(UnicodeError):  # then it was right before
        text = text.encode("cp1252").decode()
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


class _Reader:
    """Handlers for expat that fill an `Svg`; only the first description of the work counts."""

    def __init__(self, svg: Svg) -> None:
        self._svg = svg
        self._open: list[str] = []
        self._texts: list[str] = []
        self._count = self._works = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if not self._open and tag not in {"svg", f"{_SVG}svg"}:
            raise SvgError(f"the root is {tag!r}, not svg")
        self._count += 1
        if self._count > _MAX_ELEMENTS or len(self._open) >= _MAX_DEPTH:
            raise SvgError("too many elements")
        if tag == "svg" and not self._open:  # old editors left the namespace out; renderers insist on it
            self._svg.text = _ROOT.sub(f'<svg xmlns="{_SVG.strip()}"', self._svg.text, count=1)
        if " " not in tag or tag.startswith(_SVG):
            self._svg.elements.add(tag.removeprefix(_SVG))
        self._works += tag == _WORK
        if self._in_work() and tag == f"{_CC}license" and self._open[-1] == _WORK:
            self._svg.license = attributes.get(f"{_RDF}resource", "")
        self._open.append(tag)
        self._texts = []

    def characters(self, text: str) -> None:
        self._texts.append(text)

    def end(self, tag: str) -> None:
        text, self._texts = plain("".join(self._texts)), []
        if text and self._in_work():
            inside = self._open[self._open.index(_WORK) + 1 :]
            if inside == [f"{_DC}title"]:
                self._svg.title = text
            elif inside[:1] == [f"{_DC}creator"] and not self._svg.creator:
                self._svg.creator = text
            elif inside[:1] == [f"{_DC}subject"] and tag == f"{_RDF}li":
                self._svg.subjects.append(text)
        self._open.pop()

    def _in_work(self) -> bool:
        return self._works == 1 and _WORK in self._open
