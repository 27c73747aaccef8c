"""Writes what other programs read about a picture into its PNG: XMP with IPTC fields, and `parameters`.

The prompt and the user's name stay out: they are personal data, and a posted file travels. The compressed
pixels are not touched, so the picture is the same bit for bit, and equal facts give equal bytes.

Sources: IPTC Photo Metadata Standard 2025.1 (DigitalSourceType, AI fields), PLUS LDF 2.0.1 (Licensor,
DataMining), XMP part 3 section 1.1.5 (the PNG chunk), PNG third edition.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from attribution.errors import ImageError

TRAINED_ALGORITHMIC_MEDIA = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
COMPOSITE_MEDIA = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
MINING_PROHIBITED = "http://ns.useplus.org/ldf/vocab/DMI-PROHIBITED"

_MAGIC = b"\x89PNG\r\n\x1a\n"
_XMP_KEYWORD = b"XML:com.adobe.xmp"
_KEPT = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"sRGB", b"gAMA", b"cHRM"}  # all else is not ours
_MAX_CHUNKS = 65_536
_MAX_TEXT = 1024 * 1024
_NAMESPACES = {
    "dc": "http://purl.org/dc/elements/1.1/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "xmpRights": "http://ns.adobe.com/xap/1.0/rights/",
    "plus": "http://ns.useplus.org/ldf/xmp/1.0/",
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
}
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0 section 2.2


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageFacts:
    """What a posted file says about itself; nothing here is about a person."""

    image_id: str
    created_ms: int
    generator: str  # e.g. "Verso 0.1.0"
    provider: str  # who runs the bot
    model_name: str
    model_revision: str
    weights_sha256: str
    license_name: str
    license_url: str
    notice: str = ""  # what the license asks to be shown
    width: int
    height: int
    seed: int
    num_inference_steps: int
    guidance_scale: float
    sampler: str
    digital_source_type: str = TRAINED_ALGORITHMIC_MEDIA  # or COMPOSITE_MEDIA for one made from a picture


def write(png: bytes, facts: ImageFacts) -> bytes:
    """Put the facts into a PNG, in place of any metadata that is in it.

    Raises:
        ImageError: the bytes are no well-formed PNG, or the time is none.
    """
    parts = [_MAGIC]
    for kind, body in chunks(png):
        if kind in _KEPT:
            parts.append(_chunk(kind, body))
        if kind == b"IHDR":
            parts.append(_chunk(b"iTXt", _XMP_KEYWORD + bytes(5) + _xmp(facts).encode()))
            parts.append(_chunk(b"tEXt", b"parameters\x00" + _parameters(facts).encode("ascii")))
    return b"".join(parts)


def read(png: bytes) -> Mapping[str, str]:
    """Read the XMP properties and the `parameters` text of a PNG.

    Returns:
        `prefix:Name` -> value for the properties that `write` knows, and `parameters`.

    Raises:
        ImageError: the bytes are no well-formed PNG, or its XMP is not well-formed.
    """
    found: dict[str, str] = {}
    for kind, body in chunks(png):
        if kind == b"iTXt" and body.startswith(_XMP_KEYWORD + bytes(5)) and len(body) <= _MAX_TEXT:
            found.update(_properties(body[len(_XMP_KEYWORD) + 5 :]))
        elif kind == b"tEXt" and body.startswith(b"parameters\x00") and len(body) <= _MAX_TEXT:
            found["parameters"] = body.partition(b"\x00")[2].decode("latin-1")
    return found


def chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Walk over the (type, body) of every chunk of a PNG, from IHDR to IEND, and check each checksum.

    Raises:
        ImageError: the bytes are no well-formed PNG, or go on after IEND.
    """
    if not png.startswith(_MAGIC):
        raise ImageError("the file is no PNG")
    place = len(_MAGIC)
    for count in range(_MAX_CHUNKS):
        head = png[place : place + 8]
        if len(head) < 8:
            raise ImageError("the PNG breaks off")
        length, kind = struct.unpack(">I4s", head)
        body = png[place + 8 : place + 8 + length]
        checksum = png[place + 8 + length : place + 12 + length]
        if len(body) != length or len(checksum) != 4:
            raise ImageError("the PNG breaks off")
        if zlib.crc32(kind + body) != int.from_bytes(checksum):
            raise ImageError(f"a checksum in the PNG is wrong ({kind.decode('latin-1')!r})")
        if (count == 0) != (kind == b"IHDR"):
            raise ImageError("the PNG does not begin with exactly one header")
        yield kind, body
        place += 12 + length
        if kind == b"IEND":
            if place != len(png):
                raise ImageError("there are bytes after the end of the PNG")
            return
    raise ImageError("the PNG has too many chunks")


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _xmp(facts: ImageFacts) -> str:
    try:
        created = dt.datetime.fromtimestamp(facts.created_ms / 1000, dt.UTC).isoformat(
            timespec="milliseconds"
        )
    except (ValueError, OverflowError, OSError):
        raise ImageError(f"{facts.created_ms} is no time in Unix milliseconds") from None
    rights = f"AI-generated with {facts.model_name}, {facts.license_name}."
    notice = f"{rights} {facts.notice}".strip()
    # An image server keeps its weights to itself.
    weights = f" (weights sha256 {facts.weights_sha256})" if facts.weights_sha256 else ""
    simple = {
        "Iptc4xmpExt:DigitalSourceType": facts.digital_source_type,
        "Iptc4xmpExt:AISystemUsed": facts.model_name,
        "Iptc4xmpExt:AISystemVersionUsed": facts.model_revision + weights,
        "xmpRights:WebStatement": facts.license_url,
        "plus:DataMining": MINING_PROHIBITED,
        "dc:identifier": facts.image_id,
        "dc:format": "image/png",
        "xmp:CreatorTool": facts.generator,
        "xmp:CreateDate": created,
    }
    lines = [f"<{name}>{_text(value)}</{name}>" for name, value in simple.items()]
    lines += [
        f'<{name}><rdf:Alt><rdf:li xml:lang="x-default">{_text(notice)}</rdf:li></rdf:Alt></{name}>'
        for name in ("dc:rights", "xmpRights:UsageTerms")
    ]
    lines.append(f"<dc:publisher><rdf:Bag><rdf:li>{_text(facts.provider)}</rdf:li></rdf:Bag></dc:publisher>")
    lines.append(
        '<plus:Licensor><rdf:Seq><rdf:li rdf:parseType="Resource">'
        f"<plus:LicensorName>{_text(facts.license_name)}</plus:LicensorName>"
        f"<plus:LicensorURL>{_text(facts.license_url)}</plus:LicensorURL>"
        "</rdf:li></rdf:Seq></plus:Licensor>"
    )
    spaces = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in _NAMESPACES.items())
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{_RDF}">'
        f'<rdf:Description rdf:about="" {spaces}>{"".join(lines)}</rdf:Description>'
        '</rdf:RDF></x:xmpmeta><?xpacket end="r"?>'
    )


def _text(value: str) -> str:
    return escape(_UNPRINTABLE.sub("\ufffd", value))


def _parameters(facts: ImageFacts) -> str:
    """One line in the form that gallery tools and web front ends parse; the prompt's line is left out."""
    values = {
        "Steps": facts.num_inference_steps,
        "Sampler": _quoted(facts.sampler),
        "CFG scale": f"{facts.guidance_scale:g}",
        "Seed": facts.seed,
        "Size": f"{facts.width}x{facts.height}",
        **({"Model hash": facts.weights_sha256[:10]} if facts.weights_sha256 else {}),
        "Model": _quoted(facts.model_name),
        "Version": _quoted(facts.generator),
    }
    return ", ".join(f"{name}: {value}" for name, value in values.items())


def _quoted(value: str) -> str:
    plain = value.isascii() and value.isprintable() and not set(value) & set(',:"')
    return value if plain else json.dumps(value)


def _properties(packet: bytes) -> dict[str, str]:
    if b"<!" in packet:  # no entity, no document type, no comment has a place in an XMP packet
        raise ImageError("the XMP packet holds a declaration")
    try:
        root = ET.fromstring(packet)  # noqa: S314 - without declarations nothing can expand
    except (ET.ParseError, ValueError) as error:
        raise ImageError(f"the XMP packet is not well-formed: {error}") from error
    prefixes = {uri: prefix for prefix, uri in _NAMESPACES.items()}
    found: dict[str, str] = {}
    for description in root.iter(f"{{{_RDF}}}Description"):
        pairs = [(name, value) for name, value in description.attrib.items()]
        pairs += [(child.tag, "".join(child.itertext()).strip()) for child in description]
        pairs += [(node.tag, node.text or "") for node in description.iter() if "Licensor" in node.tag]
        for name, value in pairs:
            uri, _, local = name.removeprefix("{").partition("}")
            if uri in prefixes and value:
                found[f"{prefixes[uri]}:{local}"] = value
    return found
