"""Words of every script in the report: in a font that has them, joined, and in the right order."""

from __future__ import annotations

import io
import re
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reportlab.platypus import SimpleDocTemplate

from attribution import report_fonts
from attribution.report_layout import Styles

RUSSIAN, HINDI = "Красное яблоко", "क्षत्रिय हिन्दी"
ARABIC = "تفاحة حمراء على طبق أزرق"
THAI, EMOJI = "แอปเปิ้ลสีแดงบนจานสีน้ำเงิน", "\U0001f34e\U0001f469\u200d\U0001f3a8"
CHINESE, JAPANESE, KOREAN = "蓝色盘子上的红苹果", "青い皿の上の赤いりんご", "파란 접시 위의 빨간 사과"


def pdf_of(*texts: str) -> bytes:
    looks, buffer = Styles(), io.BytesIO()
    cells = looks.table([("prompt", text) for text in texts], (40, 126))
    SimpleDocTemplate(buffer, invariant=1).build([*map(looks.text, texts), cells])
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("text", "font"),
    [
        (RUSSIAN, b"DejaVuSans"),
        (ARABIC, b"DejaVuSans"),
        (HINDI, b"NotoSansDevanagari"),
        (CHINESE, b"DroidSansFallback"),
        (JAPANESE, b"DroidSansFallback"),
        (KOREAN, b"NanumSquareR"),
        (THAI, b"NotoSansThai"),
        (EMOJI, b"NotoEmoji"),
    ],
)
def test_each_script_is_drawn_by_an_embedded_part_of_a_font(text: str, font: bytes) -> None:
    assert report_fonts.printable(text) == text
    pdf = pdf_of(text)
    assert b"/FontFile2" in pdf
    assert re.search(rb"/BaseFont /\w{6}\+" + font, pdf)
    assert len(pdf) < 60_000
    assert pdf == pdf_of(text)


def test_plain_words_embed_nothing() -> None:
    assert b"/FontFile2" not in pdf_of("a red apple – “on” a blue plate, € 5")


def test_letters_of_one_word_are_joined() -> None:
    """Joined, an Arabic word takes other glyphs than its letters one by one, and a Hindi cluster fewer."""
    from reportlab.pdfbase.ttfonts import shapeStr

    report_fonts.use_fonts()
    word = ARABIC.split(maxsplit=1)[0]
    drawn = shapeStr(word, "DejaVuSans", 9.5)
    assert len(drawn) == len(word)
    assert not set(drawn) & set(word[1:-1])
    cluster = shapeStr("क्षत्रिय", "NotoSansDevanagari", 9.5)
    assert len(cluster) < len("क्षत्रिय")


def test_what_no_font_has_and_what_nobody_sees_is_a_code_point() -> None:
    shown = report_fonts.printable("ok \u202e\u1200\x00 \u200dx\ufe0f a\ufe0f\u200d")
    assert shown == "ok [U+202E][U+1200][U+0000] [U+200D]x[U+FE0F] a[U+FE0F][U+200D]"
    for emoji in (EMOJI, "\u2764\ufe0f", "1\ufe0f\u20e3", "\U0001f1e9\U0001f1ea"):
        assert report_fonts.printable(emoji) == emoji
    joined = "می\u200cخواهم"
    assert report_fonts.printable(joined) == joined


def test_words_from_right_to_left_change_places_line_by_line() -> None:
    one, two, three, four = "אחת", "שתיים", "שלוש", "ארבע"

    def lines(text: str, width: float) -> list[str]:
        return report_fonts.visual_lines(text, width, len)

    assert lines(f"{one} {two} {three}", 99) == [f"{three} {two} {one}"]
    assert lines(f"{one} {two} {three} {four}", 9) == [f"{two} {one}", f"{four} {three}"]
    assert lines(f"{one} red apple {two}", 99) == [f"{two} red apple {one}"]
    assert lines(f"a {one} {two} b", 99) == [f"a {two} {one} b"]
    assert lines(f"{one} 12 {two}", 99) == [f"{two} 12 {one}"]
    assert lines(f"{one} - {two}", 99) == [f"{two} - {one}"]
    assert lines(f"{one} 12 - {two}", 99) == [f"{two} - 12 {one}"]
    assert lines(f"{one} red - apple {two}", 99) == [f"{two} red - apple {one}"]
    assert lines(f"{one} (3d), {two}", 99) == [f"{two} ,(3d) {one}"]
    assert lines(f"{one} (red apple). {two}", 99) == [f"{two} .(red apple) {one}"]
    assert lines("x" * 30, 9) == ["x" * 30]


def test_a_word_of_two_fonts_is_drawn_by_both() -> None:
    assert report_fonts.markup("AI蓝", joined=False) == 'AI<font name="DroidSansFallbackFull">蓝</font>'
    assert report_fonts.markup("<b>&", joined=False) == "&lt;b&gt;&amp;"
    mixed = report_fonts.markup("苹果हिन्दी", joined=True)
    assert mixed.count("<font") == 2
    assert "</font> <font" in mixed  # one font shapes one word


def test_a_long_prompt_breaks_over_pages() -> None:
    for text in (ARABIC, HINDI, CHINESE, THAI):
        assert len(re.findall(rb"/Type /Page\b", pdf_of(f"{text} " * 400))) > 1


def test_thai_without_spaces_breaks_between_letters_and_never_before_a_mark() -> None:
    lines = report_fonts.spaced_lines(f"ab cd {THAI}{EMOJI}", 8, len)
    assert "".join(lines).replace(" ", "") == f"abcd{THAI}{EMOJI}"
    assert lines[0] == "ab cd แอ"  # a vowel that stands before its letter stays with it
    assert all(len(line) <= 8 for line in lines)
    assert all(re.match(r"[^\u0e30-\u0e3a\u0e45-\u0e4e]", line) for line in lines)
    assert lines[-1].endswith(EMOJI[1:])
    assert report_fonts.spaced_lines("one two three", 8, len) == ["one two", "three"]
    assert report_fonts.spaced_lines("", 8, len) == [""]


def test_a_mark_above_a_mark_is_set_higher_and_the_parts_of_an_emoji_are_one_sign() -> None:
    from reportlab.pdfbase.ttfonts import shapeStr

    report_fonts.use_fonts()
    assert len(shapeStr("น้ำ", "NotoSansThai", 9.5)) >= len("น้ำ")  # the vowel is drawn as two signs
    assert len(shapeStr(EMOJI[1:], "NotoEmoji", 9.5)) == 1


@settings(max_examples=25, deadline=None)
@given(
    st.text(
        alphabet=st.sampled_from("ab 1(،.)\n<&اבक्ि蓝の가яน้ำ\u200c\u0301\u064b🍎\u200d\ufe0f"), max_size=60
    )
)
def test_no_text_stops_the_report(text: str) -> None:
    assert pdf_of(text or "-").startswith(b"%PDF")


def test_the_embedded_letters_are_the_ones_used() -> None:
    sizes = [len(zlib.compress(pdf_of(text))) for text in ("蓝", CHINESE)]
    assert sizes[0] < sizes[1] < 60_000
