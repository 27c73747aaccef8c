"""Looks for what is personal in the bytes of a posted file: in every layer of it, and in every disguise."""

from __future__ import annotations

import base64
import binascii
import hashlib
import html
import io
import json
import re
import struct
import zlib
from collections.abc import Iterator
from urllib.parse import quote, unquote_to_bytes
from xml.sax.saxutils import escape

from PIL import Image

PNG = b"\x89PNG\r\n\x1a\n"
DEEPEST = 6
_DIGESTS = ("md5", "sha1", "sha224", "sha256", "sha384", "sha512", "sha3_256", "blake2b", "blake2s")
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{16,}={0,2}")
_HEX = re.compile(rb"(?:[0-9A-Fa-f]{2}){8,}")
_ESCAPE = re.compile(rb"\\u([0-9A-Fa-f]{4})")
_ZLIB = re.compile(rb"\x78[\x01\x5e\x9c\xda]|\x1f\x8b\x08")


def layers(data: bytes, name: str = "file", depth: int = 0) -> Iterator[tuple[str, bytes]]:
    """Every layer of a file as (where it lies, its bytes): the whole, its parts, and what they decode to."""
    yield name, data
    if depth == DEEPEST or not data:
        return
    parts = list(_parts(data))
    # Text is looked for in leaves: a picture with its "%41" resolved is no picture any more.
    for label, inner in (*parts, *_decoded(data), *(() if parts else _unescaped(data))):
        if inner and inner != data:
            yield from layers(inner, f"{name} > {label}", depth + 1)


def _parts(data: bytes) -> Iterator[tuple[str, bytes]]:
    if data.startswith(PNG):
        yield from _png(data)
    elif data[4:8] == b"jumb":
        yield from _boxes(data)
    elif data.startswith((b"II*\x00", b"MM\x00*", b"Exif\x00\x00")):
        yield from _exif(data)


def _png(data: bytes) -> Iterator[tuple[str, bytes]]:
    place, pixels = len(PNG), []
    while place < len(data):
        length, kind = struct.unpack(">I4s", data[place : place + 8])
        body = data[place + 8 : place + 8 + length]
        place += 12 + length
        label = kind.decode("latin-1")
        if kind == b"IDAT":
            pixels.append(body)
            continue
        yield label, body
        if kind in {b"zTXt", b"iCCP"}:
            yield f"{label} inflated", zlib.decompress(body.partition(b"\x00")[2][1:])
        if kind == b"iTXt":
            keyword, _, rest = body.partition(b"\x00")
            text = rest[2:].partition(b"\x00")[2].partition(b"\x00")[2]
            yield f"iTXt {keyword.decode('latin-1')}", zlib.decompress(text) if rest[:1] == b"\x01" else text
    if pixels:
        yield "IDAT inflated", zlib.decompressobj().decompress(b"".join(pixels))
    picture = Image.open(io.BytesIO(data))
    picture.load()
    yield "pixels", picture.tobytes()
    yield "what Pillow reads", repr(picture.info).encode()


def _exif(data: bytes) -> Iterator[tuple[str, bytes]]:
    exif = Image.Exif()
    exif.load(data.removeprefix(b"Exif\x00\x00"))
    for number in (None, 0x8769, 0x8825):  # the main directory, EXIF, GPS
        yield f"EXIF {number}", repr(dict(exif if number is None else exif.get_ifd(number))).encode()


def _boxes(data: bytes) -> Iterator[tuple[str, bytes]]:
    """The boxes of a manifest store (ISO 19566-5), flat; CBOR and JSON in them decoded."""
    place = 0
    while place + 8 <= len(data):
        size, kind = struct.unpack(">I4s", data[place : place + 8])
        body = data[place + 8 : place + size]
        place += max(size, 8)
        label = kind.decode("latin-1")
        if kind == b"jumb":
            yield from _boxes(body)
            continue
        yield label, body
        if kind == b"cbor":
            yield from (("cbor string", one) for one in strings_of(body))
        if kind == b"json":
            yield "json", json.dumps(json.loads(body), ensure_ascii=False).encode()


def strings_of(data: bytes) -> list[bytes]:
    """Every text and byte string in CBOR (RFC 8949), the pieces of indefinite ones joined."""
    found: list[bytes] = []
    place = 0
    while place < len(data):
        place = _item(data, place, found)
    return found


def _item(data: bytes, place: int, found: list[bytes]) -> int:
    major, short = data[place] >> 5, data[place] & 31
    place += 1
    width = 1 << (short - 24) if 24 <= short <= 27 else 0
    number = int.from_bytes(data[place : place + width], "big") if width else short
    place += width
    if short == 31:  # of indefinite length, to the break
        inner: list[bytes] = []
        while data[place] != 0xFF:
            place = _item(data, place, inner)
        found += [b"".join(inner)] if major in {2, 3} else inner
        return place + 1
    if major in {2, 3}:
        found.append(data[place : place + number])
        return place + number
    for _ in range({4: number, 5: 2 * number, 6: 1}.get(major, 0)):
        place = _item(data, place, found)
    return place


def _decoded(data: bytes) -> Iterator[tuple[str, bytes]]:
    """What runs of letters and digits, compressed streams and escapes in `data` stand for."""
    for match in _BASE64.finditer(data):
        run = match[0].rstrip(b"=").replace(b"-", b"+").replace(b"_", b"/")
        yield "base64", base64.b64decode(run[: len(run) - (len(run) % 4 == 1)] + b"==")
    for match in _HEX.finditer(data):
        yield "hex", binascii.unhexlify(match[0])
    for match in _ZLIB.finditer(data):
        unpacker = zlib.decompressobj(47)  # zlib or gzip
        try:
            inner = unpacker.decompress(data[match.start() :], 1 << 24)
        except zlib.error:
            continue  # two bytes that only looked like a header
        if len(inner) >= 8:
            yield "inflated", inner


def _unescaped(data: bytes) -> Iterator[tuple[str, bytes]]:
    """The text in `data` with the escapes of XML, addresses and JSON resolved."""
    if b"&" in data:
        yield "entities", html.unescape(data.decode("utf-8", "replace")).encode("utf-8", "replace")
    if b"%" in data:
        yield "percent", unquote_to_bytes(data)
    if b"\\u" in data:
        yield "escapes", _ESCAPE.sub(lambda one: chr(int(one[1], 16)).encode("utf-8", "replace"), data)


def disguises(secret: str) -> dict[bytes, str]:
    """The forms in which a secret may lie in a file: bytes to search -> what they are."""
    found: dict[bytes, str] = {}
    for spelling in {secret, secret.lower(), secret.upper(), secret.title()}:
        encoded = {name: spelling.encode(name) for name in ("utf-8", "utf-16-le", "utf-16-be", "utf-32-le")}
        raw = encoded["utf-8"]
        for name in _DIGESTS:
            digest = hashlib.new(name, raw).digest()
            # The first eight bytes, so that a shortened digest is found as well.
            encoded[f"{name} of it"] = digest[:8]
            found[digest.hex()[:16].encode()] = f"{name} of it in hex"
            found[digest.hex()[:16].upper().encode()] = f"{name} of it in hex"
            found[base64.b64encode(digest)[:10]] = f"{name} of it in base64"
            found[base64.urlsafe_b64encode(digest)[:10]] = f"{name} of it in base64"
        found |= {form: name for name, form in encoded.items()}
        for name in ("utf-8", "utf-16-le", "utf-16-be"):
            found[encoded[name].hex().encode()] = f"{name} in hex"
            for lead in range(3):  # base64 of a longer text that the secret stands in
                coded = base64.b64encode(bytes(lead) + encoded[name])
                inner = coded[(0, 2, 3)[lead] : -4]
                found[inner] = f"{name} in base64"
                found[inner.replace(b"+", b"-").replace(b"/", b"_")] = f"{name} in base64"
        found[raw[::-1]] = "backwards"
        found[quote(spelling).encode()] = "percent-encoded"
        found[json.dumps(spelling)[1:-1].encode()] = "JSON"
        found[escape(spelling).encode()] = "XML"
    if secret.isdigit():
        for order in ("little", "big"):
            found[int(secret).to_bytes(8, order)] = f"a number, {order} end first"
    return {form: name for form, name in found.items() if len(form) >= 5}


def leaks(data: bytes, secrets: dict[str, str]) -> list[str]:
    """Where any secret (its name -> its text) lies in a file, and in which form; empty: nowhere."""
    forms = [(name, form, how) for name, text in secrets.items() for form, how in disguises(text).items()]
    found: dict[str, None] = {}
    for place, layer in layers(data):
        # Lower case too: a search must not miss a word because somebody wrote it otherwise.
        for name, form, how in forms:
            if form in layer or (how == "utf-8" and form in layer.lower()):
                found[f"{name} as {how} in {place}"] = None
    return list(found)
