from __future__ import annotations

import io
import tarfile

import numpy as np
import pytest

from generation.sticker.clipart import CLIPART_FOLDER, draw_clipart, file_words, read_clipart
from generation.sticker.entries import LeftOut
from generation.sticker.packages import DatasetError
from generation.sticker.sources import CLIPART
from generation.sticker.svg import MAX_BYTES, SvgError, plain, read_svg

PUBLIC_DOMAIN = "http://web.resource.org/cc/PublicDomain"


def drawing(
    title="Red Ball",
    author="Ann Example",
    *,
    license_uri=PUBLIC_DOMAIN,
    keywords=("Toy",),
    size='width="40" height="40"',
    body='<circle cx="20" cy="20" r="15" fill="red"/>',
    doctype="",
    xmlns='xmlns="http://www.w3.org/2000/svg"',
):
    subjects = "".join(f"<rdf:li>{word}</rdf:li>" for word in keywords)
    return f"""<?xml version="1.0" encoding="UTF-8"?>{doctype}
<svg {xmlns} {size}><metadata><rdf:RDF xmlns:cc="http://web.resource.org/cc/"
xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<cc:Work rdf:about=""><dc:title>{title}</dc:title>
<dc:subject><rdf:Bag>{subjects}</rdf:Bag></dc:subject>
<dc:publisher><cc:Agent><dc:title>Open Clip Art Library</dc:title></cc:Agent></dc:publisher>
<dc:creator><cc:Agent><dc:title>{author}</dc:title></cc:Agent></dc:creator>
<cc:license rdf:resource="{license_uri}"/></cc:Work>
<cc:Work><dc:title>another</dc:title><cc:license rdf:resource="none"/></cc:Work></rdf:RDF></metadata>
{body}</svg>""".encode()


def tarball(members, mode="w:xz"):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, data in members:
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def ar(members):
    out = b"!<arch>\n"
    for name, data in members:
        out += f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(data):<10}`\n".encode()
        out += data + b"\n" * (len(data) % 2)
    return out


def deb(members, *, package=CLIPART.package, version=CLIPART.version):
    control = f"Package: {package}\nVersion: {version}\nDescription: a\n b: c\n".encode()
    return ar(
        [
            ("debian-binary", b"2.0\n"),
            ("control.tar.xz/", tarball([("./control", control)])),
            ("data.tar.xz", tarball(members)),
        ]
    )


@pytest.fixture
def put(tmp_path):
    """Writes the clip art package into a folder of packages."""

    def put(drawings, **options):
        members = [(f"./{CLIPART_FOLDER}{name}", data) for name, data in drawings.items()]
        (tmp_path / "openclipart-svg_0.18+dfsg-19_all.deb").write_bytes(deb(members, **options))
        return tmp_path

    return put


# -- SVG -----------------------------------------------------------------------------------------------------


def test_an_svg_says_what_it_is_whose_and_under_which_terms():
    svg = read_svg(drawing("Big\n  Ball", "Ann &amp;amp; Bo", keywords=("toy", "round")))
    assert (svg.title, svg.creator, svg.subjects) == ("Big Ball", "Ann & Bo", ["toy", "round"])
    assert svg.license == PUBLIC_DOMAIN
    assert {"svg", "circle", "metadata"} == svg.elements


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (drawing(doctype='<!DOCTYPE svg [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]>', title="&b;"), "entity a"),
        (
            drawing(doctype='<!DOCTYPE svg [<!ENTITY a SYSTEM "file:///etc/passwd">]>', title="&a;"),
            "entity a",
        ),
        (drawing(doctype='<!DOCTYPE svg [<!ENTITY % p SYSTEM "http://localhost/x"> %p;]>'), "entity p"),
        (drawing()[:-20], "not well-formed"),
        (b"<html/>", "not svg"),
        (b"\xff\xfe<svg/>", "UTF-8"),
        (b"<svg>" + b"<g>" * 200 + b"</g>" * 200 + b"</svg>", "too many elements"),
        (b"<svg>" + b"<g/>" * 30_000 + b"</svg>", "too many elements"),
        (drawing(body=" " * MAX_BYTES), "larger than"),
    ],
)
def test_an_svg_that_is_more_than_a_drawing_is_refused(data, said):
    with pytest.raises(SvgError, match=said):
        read_svg(data)


def test_a_document_type_is_not_loaded():
    doctype = '<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.0//EN" "http://localhost:1/svg10.dtd">'
    assert read_svg(drawing(doctype=doctype)).title == "Red Ball"


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("caff&amp;egrave;  nero", "caff\u00e8 nero"),
        ("l\u00c3\u00a9zard", "l\u00e9zard"),
        ("pi\u00f1ata", "pi\u00f1ata"),
        ("o\u2019clock", "o\u2019clock"),
        ("a\x07b", "a b"),
    ],
)
def test_text_is_shown_as_it_was_meant(text, meant):
    assert plain(text) == meant


# -- clip art ------------------------------------------------------------------------------------------------


def test_drawings_come_with_title_author_and_keywords(put):
    apple_words = ("HASH(0x1)", "jo doe", "Sweet")
    folder = put(
        {
            "food/fruit/b.svg": drawing("Apple 02", "Jo Doe (jo@example.org)", keywords=apple_words),
            "tools/shovel_jeff_simps_01.svg": drawing("various_tools", "Jeff Simpson"),
            "readme.txt": b"no drawing",
        }
    )
    apple, shovel = read_clipart(folder)
    assert (apple.title, apple.keywords) == ("apple", ("food", "fruit", "sweet"))
    assert (apple.source.author, apple.source.license) == ("Jo Doe", "CC-PDDC")
    assert apple.file == "usr/share/openclipart/svg/food/fruit/b.svg"
    assert apple.source.locate("x") == "deb:openclipart-svg@1:0.18+dfsg-19, x (https://openclipart.org)"
    assert (shovel.title, shovel.group) == ("shovel", None)


def test_a_title_that_many_have_gives_way_to_the_file_name(put):
    folder = put({f"food/{name}_01.svg": drawing("Menu") for name in ("egg", "bun", "pie", "jam")})
    assert [record.title for record in read_clipart(folder)] == ["bun", "egg", "jam", "pie"]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (drawing(license_uri="http://creativecommons.org/licenses/GPL/2.0/"), "public domain"),
        (drawing(license_uri=""), "public domain"),
        (drawing(license_uri="http://example.org/?http://web.resource.org/cc/PublicDomain"), "public domain"),
        (drawing(author=""), "no author"),
        (drawing(body='<image href="data:image/png;base64,"/>'), "holds image"),
        (drawing(body='<image href="/etc/passwd"/><script/>'), "holds image and script"),
        (b"<svg", "not well-formed"),
    ],
)
def test_drawings_without_clear_credit_or_with_more_than_lines_are_left_out(put, data, said):
    (item,) = read_clipart(put({"a.svg": data}))
    assert isinstance(item, LeftOut)
    assert said in item.reason


def test_an_unpacked_package_gives_the_same(put, tmp_path_factory):
    drawings = {"tools/axe.svg": drawing("Axe"), "tools/saw.svg": drawing("Saw")}
    unpacked = tmp_path_factory.mktemp("unpacked")
    for name, data in drawings.items():
        path = unpacked / "deep" / CLIPART_FOLDER / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (path.parent / "link.svg").symlink_to(path)
    assert list(read_clipart(unpacked)) == list(read_clipart(put(drawings)))


def test_a_missing_or_other_package_is_named(put, tmp_path):
    with pytest.raises(DatasetError, match="clip art is missing"):
        list(read_clipart(tmp_path))
    with pytest.raises(DatasetError, match=r"written for 1:0\.18"):
        list(read_clipart(put({"a.svg": drawing()}, version="1:0.19")))


@pytest.mark.parametrize(
    "size", ['width="40" height="40"', 'width="40pt" height="40pt"', 'viewBox="0 0 40 40"']
)
@pytest.mark.parametrize("xmlns", ['xmlns="http://www.w3.org/2000/svg"', ""])
def test_a_drawing_fills_the_square_whatever_its_units_and_with_no_namespace(put, size, xmlns):
    (record,) = read_clipart(put({"a.svg": drawing(size=size, xmlns=xmlns)}))
    alpha = np.asarray(draw_clipart(record, edge=128))[..., 3]
    filled = np.flatnonzero((alpha > 128).any(axis=0))
    assert (filled[0], filled[-1]) == pytest.approx((4, 123), abs=1)
    assert alpha[64, 64] == 255
    assert alpha[8, 8] == 0


@pytest.mark.parametrize(
    ("body", "said"),
    [('<rect width="40" height="3"/>', "too slim"), ("<g/>", "empty"), ("<text>words</text>", "empty")],
)
def test_what_is_no_sticker_is_not_drawn(put, body, said):
    (record,) = read_clipart(put({"a.svg": drawing(body=body)}))
    with pytest.raises(ValueError, match=said):
        draw_clipart(record, edge=128)


@pytest.mark.parametrize(
    ("name", "author", "words"),
    [
        ("tools/axe_peterm_.svg", "peterm", ["axe"]),
        ("orca_matthew_gates_r.svg", "Matthew Gates", ["orca", "r"]),
        ("mo.svg", "mo", ["mo"]),
    ],
)
def test_file_names_are_read_without_the_author(name, author, words):
    assert file_words(name, author) == words
