from __future__ import annotations

import dataclasses
import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from attribution.errors import ImageError
from attribution.images import decode, encode_png
from attribution.metadata import ImageFacts, chunks, read, write

PNG = encode_png(np.arange(8 * 8 * 3, dtype=np.uint8).reshape(8, 8, 3))
FACTS = ImageFacts(
    image_id="0123456789abcdef",
    created_ms=1_790_000_000_123,
    generator="Verso 0.1.0",
    provider="Ann & <Bob>",
    model_name="sticker-v1",
    model_revision="r7",
    weights_sha256="31e35c80fc" + "0" * 54,
    license_name="CreativeML Open RAIL++-M",
    license_url="https://license.example/a?b=1&c=2",
    notice="Powered by a test",
    width=8,
    height=8,
    seed=42,
    num_inference_steps=20,
    guidance_scale=7.5,
    sampler="Euler a",
)


def test_the_pixels_stay_as_they_were():
    assert np.array_equal(decode(write(PNG, FACTS)), decode(PNG))


def test_equal_facts_give_equal_bytes_even_written_twice():
    once = write(PNG, FACTS)
    assert write(PNG, FACTS) == once
    assert write(once, FACTS) == once


def test_the_fields_of_the_standards_are_there():
    found = read(write(PNG, FACTS))
    assert found["Iptc4xmpExt:DigitalSourceType"].endswith("/digitalsourcetype/trainedAlgorithmicMedia")
    assert found["Iptc4xmpExt:AISystemUsed"] == "sticker-v1"
    assert found["Iptc4xmpExt:AISystemVersionUsed"].startswith("r7 (weights sha256 31e35c80fc")
    assert found["xmpRights:WebStatement"] == FACTS.license_url
    assert found["plus:LicensorURL"] == FACTS.license_url
    assert found["plus:LicensorName"] == FACTS.license_name
    assert found["plus:DataMining"].endswith("DMI-PROHIBITED")
    assert "Powered by a test" in found["dc:rights"]
    assert found["dc:identifier"] == FACTS.image_id
    assert found["dc:publisher"] == "Ann & <Bob>"
    assert found["xmp:CreateDate"] == "2026-09-21T14:13:20.123+00:00"


def test_weights_that_nobody_here_knows_are_not_named():
    written = write(PNG, dataclasses.replace(FACTS, weights_sha256=""))
    assert read(written)["Iptc4xmpExt:AISystemVersionUsed"] == "r7"
    assert "hash" not in Image.open(io.BytesIO(written)).text["parameters"]


def test_pillow_reads_both_texts():
    text = Image.open(io.BytesIO(write(PNG, FACTS))).text
    assert text["parameters"] == (
        "Steps: 20, Sampler: Euler a, CFG scale: 7.5, Seed: 42, Size: 8x8, Model hash: 31e35c80fc, "
        "Model: sticker-v1, Version: Verso 0.1.0"
    )
    assert text["XML:com.adobe.xmp"].startswith("<?xpacket")


def test_what_could_be_taken_for_another_field_is_quoted():
    facts = dataclasses.replace(FACTS, model_name='x", Seed: 1, "\u00e9', sampler="a, b")
    parameters = read(write(PNG, facts))["parameters"]
    assert 'Sampler: "a, b"' in parameters
    assert 'Model: "x\\", Seed: 1, \\"\\u00e9"' in parameters


def test_texts_that_were_in_the_file_are_dropped():
    info = PngImagePlugin.PngInfo()
    info.add_text("prompt", "a secret")
    info.add_itxt("XML:com.adobe.xmp", "<x/>")
    buffer = io.BytesIO()
    Image.open(io.BytesIO(PNG)).save(buffer, "PNG", pnginfo=info, exif=Image.Exif())
    written = write(buffer.getvalue(), FACTS)
    assert b"secret" not in written
    assert [kind for kind, _ in chunks(written)] == [b"IHDR", b"iTXt", b"tEXt", b"IDAT", b"IEND"]


@given(st.text(max_size=60), st.text(max_size=60))
def test_any_text_survives_or_is_replaced_where_xml_has_no_letter_for_it(name, notice):
    facts = dataclasses.replace(FACTS, provider=name, notice=notice)
    found = read(write(PNG, facts))
    if name.isprintable() and name.strip() == name and name:
        assert found["dc:publisher"] == name
    assert found["Iptc4xmpExt:AISystemUsed"] == "sticker-v1"


def bent(place: int) -> bytes:
    data = bytearray(PNG)
    data[place] ^= 1
    return bytes(data)


@pytest.mark.parametrize(
    "data", [b"", b"GIF89a", PNG[:20], PNG[:-1], PNG + b"x", bent(20), bent(45), PNG[:8]]
)
def test_a_png_that_is_not_well_formed_is_refused(data):
    with pytest.raises(ImageError):
        write(data, FACTS)


def with_xmp(packet: bytes) -> bytes:
    body = b"XML:com.adobe.xmp" + bytes(5) + packet
    chunk = struct.pack(">I", len(body)) + b"iTXt" + body + struct.pack(">I", zlib.crc32(b"iTXt" + body))
    return PNG[:33] + chunk + PNG[33:]


@pytest.mark.parametrize(
    "packet",
    [
        b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><x>&b;</x>',
        b'<!DOCTYPE x SYSTEM "http://127.0.0.1/x"><x/>',
        b"<x>",
        b"\xff\xfe<",
        b"",
    ],
)
def test_hostile_xmp_is_refused(packet):
    with pytest.raises(ImageError, match="XMP"):
        read(with_xmp(packet))


def test_foreign_xmp_is_read_as_far_as_it_is_known():
    packet = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        b'<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" dc:format="image/png" '
        b'xmlns:q="urn:q" q:unknown="1"/></rdf:RDF></x:xmpmeta>'
    )
    assert dict(read(with_xmp(packet))) == {"dc:format": "image/png"}
