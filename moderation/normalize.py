"""Undoes tricks with Unicode, digits and spacing, so that a word list sees the words a reader sees.

A text becomes several *views*, each the text after one more step: `base` (compatibility forms,
case, invisible characters), `folded` (lookalike letters and accents), `leet` and `leet_l` (digits
that stand for letters), `joined` (letters pulled apart), `closed` (every sign inside a word
removed), `once` and `twice` (stretched letters). A view equal to an earlier one is left out. Every
view keeps, for each character, its place in the original text. All of it is pure and linear.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from moderation.confusables import EMOJI_WORDS, LEET, LOOKALIKES

RUN = "run"  # the view in which word boundaries mean nothing
MAX_CHARS = 4000  # of the original; longer texts are cut here and the moderator holds them
_MAX_MASKED = 16

_MARKS = re.compile("[\u0300-\u036f\u0483-\u0487\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]")
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\uffff\U000e0000-\U000e0fff]"
)
_HARMLESS_INVISIBLE = frozenset(
    "\u200c\u200d\ufe0e\ufe0f\u00ad"
)  # emoji, Persian and Indic spelling, hyphens
_STYLED = re.compile("[\uff21-\uff3a\uff41-\uff5a\u2460-\u24ff\U0001d400-\U0001d7ff\U0001f110-\U0001f189]")
_OVERRIDE = "\u202e"
_DROPPED = frozenset({"Cf", "Cs", "Co", "Cn"})
# Marks that belong to their word: accents, Hebrew and Arabic points, Indic and Thai vowel signs.
_POINTS = "\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u0670\u0900-\u0963\u0966-\u0fff"
_WORD = re.compile(r"\S+")
_TOKEN = re.compile(rf"(?:[^\W_]|[{_POINTS}])+")
_MASK = re.compile(r"(?<![^\W\d_])[^\W\d_]+(?:[*#%?_•]+[^\W\d_]+)+")
_INSIDE = re.compile(rf"(?<=[^\W_])(?:_|[^\w\s{_POINTS}])+(?=[^\W_])")
_SPLIT = re.compile(r"(?<![^\W_])[^\W_]{1,3}(?:[-.·~^|\\/+=:;*_,'\"]{1,3}[^\W_]{1,3})+(?![^\W_])")
_ODD = re.compile(r"(?<=[^\W\d_])[*_~^|\\·•=+<>{}\[\]()#%]+(?=[^\W\d_])")
_SPACED = re.compile(r"(?<![^\W_])[^\W\d_](?:[\s.\-_*,~|/\\]{1,3}[^\W\d_]){2,}(?![^\W_])")
_LEET_SIGNS = re.escape("".join(LEET))
_SPACED_SIGNS = re.compile(rf"(?<!\S)[a-z{_LEET_SIGNS}](?: [a-z{_LEET_SIGNS}]){{2,}}(?!\S)")
_STRETCH = re.compile(r"([^\W\d_])\1{2,}")
_LEET_INSIDE = re.compile(rf"(?<=[a-z])[{_LEET_SIGNS}]+(?=[a-z])")
_LEET_WORD = re.compile(rf"[a-z{_LEET_SIGNS}]+")
# Cyrillic and Greek letters that look exactly like a Latin one: only these make a whole foreign word suspect.
_EXACT = frozenset("асԁеһіјӏорԛѕтυѵԝхукмнвονραικτυχϲϳ")

_WEIGHTS = MappingProxyType(
    {
        "invisible": 0.35,
        "lookalike": 0.5,
        "styled": 0.15,
        "marks": 0.2,
        "leet": 0.3,
        "spaced": 0.5,
        "split": 0.3,
        "masked": 0.25,
        "stretched": 0.03,
        "override": 1.0,
    }
)


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """One reading of a text; `offsets[i]` is the original's index of the character behind `text[i]`."""

    name: str
    text: str
    offsets: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Masked:
    """A word with letters starred out: `pattern` holds a full stop for each hidden letter."""

    pattern: str
    offset: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Normalized:
    """Everything that the rules need to know about the spelling of a text."""

    original: str
    views: tuple[View, ...]
    masked: tuple[Masked, ...]
    reading: str  # what a reader sees, for the sentence encoder: `base`
    recovered: str  # the same after undoing the tricks, or equal to `reading`
    evasion: float  # 0..1: how much the spelling looks meant to slip past a list
    signs: Mapping[str, int]  # what was counted for it
    truncated: bool


def plain(text: str) -> str:
    """Return the NFKC, case-folded text without invisible characters; applying it twice changes nothing."""
    return _base(text[:MAX_CHARS])[0].text


def words(view: View) -> View:
    """Return the view with every run of signs and spaces as one space: the form that names are matched on."""
    out: list[str] = []
    offsets: list[int] = []
    for match in _TOKEN.finditer(view.text):
        out += (match.group(), " ")
        offsets += view.offsets[match.start() : match.end()]
        offsets.append(view.offsets[match.end() - 1])
    return View(name="words", text="".join(out[:-1]), offsets=tuple(offsets[:-1]))


def normalize(text: str) -> Normalized:
    """Return every view of `text`; never raises, and takes time linear in its length."""
    cut = text[:MAX_CHARS]
    base, overflow = _base(cut)
    signs = dict.fromkeys(_WEIGHTS, 0)
    if not cut.isascii():
        signs["invisible"] = sum(c.group() not in _HARMLESS_INVISIBLE for c in _INVISIBLE.finditer(cut))
        signs["styled"] = len(_STYLED.findall(cut))
        signs["override"] = cut.count(_OVERRIDE)
    folded = _fold(base, signs)
    masked = tuple(_masked(folded))
    signs["masked"] = len(masked)
    spelled = _substitute("spelled", folded, _LEET_INSIDE, _read_leet)
    signs["leet"] = sum(1 for _ in _LEET_INSIDE.finditer(folded.text))
    signs["spaced"] = sum(1 for _ in _SPACED.finditer(spelled.text))
    joined = _substitute("joined", spelled, _SPACED, _letters)
    signs["split"] = sum(1 for m in _SPLIT.finditer(joined.text) if not _ordinary_split(m.group()))
    joined = _substitute("joined", joined, _SPLIT, _close_split)
    signs["split"] += sum(1 for _ in _ODD.finditer(joined.text))
    joined = _substitute("joined", joined, _ODD, lambda _: "")
    signs["stretched"] = sum(1 for _ in _STRETCH.finditer(joined.text))
    twice = _substitute("twice", joined, _STRETCH, lambda m: m.group()[:2])
    once = _substitute("once", joined, _STRETCH, lambda m: m.group()[:1])
    closed = _substitute("closed", joined, _INSIDE, lambda _: "")
    leet = _substitute("leet", folded, _LEET_WORD, _read_leet)
    leet_l = _substitute("leet_l", folded, _LEET_WORD, lambda m: _read_leet(m, one="l"))
    candidates = [base, folded, leet, leet_l, joined, closed, twice, once]
    if signs["spaced"]:  # "a n u d e" may begin with an article
        candidates.append(_substitute("article", spelled, _SPACED, _letters_after_article))
        candidates.append(_run(spelled))
    if _SPACED_SIGNS.search(folded.text):
        spread = _substitute("spread", folded, _SPACED_SIGNS, _signs_joined)
        candidates.append(_substitute("spread", spread, _LEET_WORD, _read_leet))
    if signs["override"]:
        candidates.append(_reversed(base, cut))
    evasion = 1.0 - math.exp(-sum(_WEIGHTS[name] * min(count, 4) for name, count in signs.items()))
    tricky = any(count for name, count in signs.items() if name != "stretched")
    return Normalized(
        original=text,
        views=tuple(_distinct(candidates)),
        masked=masked,
        reading=base.text,
        recovered=once.text if tricky or signs["stretched"] else base.text,
        evasion=evasion,
        signs=MappingProxyType(signs),
        truncated=overflow or len(text) > MAX_CHARS,
    )


def _distinct(views: list[View]) -> Iterator[View]:
    seen: set[str] = set()
    for view in views:
        if view.text not in seen:
            seen.add(view.text)
            yield view


# --- base: what Unicode itself says is the same -------------------------------------------------


def _base(text: str) -> tuple[View, bool]:
    """Return the base view, and whether expanding took it over the limit."""
    if text.isascii():
        return _collapse(text.lower(), list(range(len(text)))), False
    chars, offsets = _expand(text, list(range(len(text))))
    for _ in range(4):  # composing can make letters that fold again; rarely more than one round
        if unicodedata.is_normalized("NFKC", chars) and chars == chars.casefold():
            break
        chars, offsets = _expand(*_compose(chars, offsets))
    unread = len(chars) >= MAX_CHARS and offsets[-1] < len(text) - 1
    return _collapse(chars, offsets), unread


def _expand(text: str, places: list[int]) -> tuple[str, list[int]]:
    out: list[str] = []
    offsets: list[int] = []
    for char, place in zip(text, places, strict=True):
        piece = _piece(char)
        out.append(piece)
        offsets += [place] * len(piece)
        if len(offsets) > MAX_CHARS:
            break
    return "".join(out)[:MAX_CHARS], offsets[:MAX_CHARS]


@lru_cache(maxsize=8192)
def _piece(char: str) -> str:
    """What one character becomes on its own: folded, a word, a space, or nothing."""
    if char in EMOJI_WORDS:
        return f" {EMOJI_WORDS[char]} "
    category = unicodedata.category(char)
    if category in _DROPPED or _INVISIBLE.match(char):
        return ""
    if category in {"Cc", "Zs", "Zl", "Zp"}:
        return " "
    piece = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", char).casefold())
    return _INVISIBLE.sub("", piece)


def _compose(text: str, offsets: list[int]) -> tuple[str, list[int]]:
    """NFC over base-and-marks clusters, each keeping the place of its base."""
    out: list[str] = []
    places: list[int] = []
    start = 0
    for index in range(1, len(text) + 1):
        if index < len(text) and (unicodedata.combining(text[index]) or _joins(text[index])):
            continue
        piece = text[start:index]
        if not piece.isascii():
            piece = unicodedata.normalize("NFC", piece)
        out.append(piece)
        places += offsets[start : start + 1] * len(piece)
        start = index
    return "".join(out), places


def _joins(char: str) -> bool:
    """Whether a character without combining class may still compose with the one before it."""
    return "\u1160" < char < "\u1200" or (char > "\u0900" and unicodedata.category(char) == "Mc")


def _collapse(text: str, offsets: list[int]) -> View:
    if " ".join(text.split()) == text:
        return View(name="base", text=text, offsets=tuple(offsets))
    out: list[str] = []
    places: list[int] = []
    for match in _WORD.finditer(text):
        out += (match.group(), " ")
        places += offsets[match.start() : match.end()]
        places.append(offsets[match.end() - 1])
    return View(name="base", text="".join(out[:-1]), offsets=tuple(places[:-1]))


# --- folding and substitutions ------------------------------------------------------------------


def _fold(base: View, signs: dict[str, int]) -> View:
    if base.text.isascii():
        return View(name="folded", text=base.text, offsets=base.offsets)
    out: list[str] = []
    offsets: list[int] = []
    last = 0
    for match in _WORD.finditer(base.text):
        out.append(base.text[last : match.start()])
        offsets += base.offsets[last : match.start()]
        word = match.group()
        last = match.end()
        if word.isascii():
            out.append(word)
            offsets += base.offsets[match.start() : last]
            continue
        latin = any("a" <= c <= "z" for c in word)
        foreign = [c for c in word if c in LOOKALIKES]
        whole = not latin and all(c in _EXACT or not c.isalpha() for c in word)
        if latin and any(c > "\u0370" for c in foreign):
            signs["lookalike"] += 1
        fold = bool(foreign) and (latin or whole)
        for index, char in enumerate(word):
            piece = _MARKS.sub("", unicodedata.normalize("NFD", char)) if char > "\x7f" else char
            if char > "\x7f" and len(piece) > 1:
                piece = char  # Hangul and Indic letters stay composed
            elif _MARKS.match(char):
                signs["marks"] += 1
            if fold:
                piece = LOOKALIKES.get(char, LOOKALIKES.get(piece, piece))
            out.append(piece)
            offsets += [base.offsets[match.start() + index]] * len(piece)
    out.append(base.text[last:])
    offsets += base.offsets[last:]
    signs["marks"] = max(0, signs["marks"] - 2)  # one or two stray marks are somebody's spelling
    return View(name="folded", text="".join(out), offsets=tuple(offsets))


def _substitute(
    name: str, view: View, pattern: re.Pattern[str], replace: Callable[[re.Match[str]], str]
) -> View:
    """Replace matches; the new characters take the places of those they stand for, in order."""
    out: list[str] = []
    offsets: list[int] = []
    last = 0
    for match in pattern.finditer(view.text):
        piece = replace(match)
        if piece == match.group():
            continue
        out += (view.text[last : match.start()], piece)
        offsets += view.offsets[last : match.start()]
        if piece:
            span = view.offsets[match.start() : match.end()]
            step = (len(span) - 1) / max(1, len(piece) - 1)
            offsets += [span[round(i * step)] for i in range(len(piece))]
        last = match.end()
    if last == 0:
        return View(name=name, text=view.text, offsets=view.offsets)
    out.append(view.text[last:])
    offsets += view.offsets[last:]
    return View(name=name, text="".join(out), offsets=tuple(offsets))


def _read_leet(match: re.Match[str], one: str = "i") -> str:
    word = match.group()
    inside = match.re is _LEET_INSIDE
    if not inside and (word.isalpha() or not any("a" <= c <= "z" for c in word)):
        return word
    if not inside and len(word) < 3:
        return word
    return "".join((one if c in "1|!" else LEET.get(c, c)) for c in word)


def _letters(match: re.Match[str]) -> str:
    return "".join(c for c in match.group() if c.isalpha())


def _run(view: View) -> View:
    """Only the letters that were pulled apart, run by run: where words began in them nobody can tell."""
    out: list[str] = []
    offsets: list[int] = []
    for match in _SPACED.finditer(view.text):
        for index in range(match.start(), match.end()):
            if view.text[index].isalpha():
                out.append(view.text[index])
                offsets.append(view.offsets[index])
        out.append(" ")
        offsets.append(view.offsets[match.end() - 1])
    return View(name=RUN, text="".join(out), offsets=tuple(offsets))


def _signs_joined(match: re.Match[str]) -> str:
    joined = match.group().replace(" ", "")
    return joined if sum(map(str.isalpha, joined)) * 2 > len(joined) else match.group()


def _letters_after_article(match: re.Match[str]) -> str:
    letters = _letters(match)
    return f"{letters[0]} {letters[1:]}" if letters[0] in "ai" else letters


def _ordinary_split(piece: str) -> bool:
    """Spellings such as "sci-fi", "t-rex", "a/c" and "9-to-5" are nobody's trick."""
    parts = re.split(r"[^\w]+", piece)
    return len(parts) < 3 or any(c.isdigit() for c in piece) or max(map(len, parts)) == 3


def _close_split(match: re.Match[str]) -> str:
    piece = match.group()
    return piece if _ordinary_split(piece) else "".join(c for c in piece if c.isalnum())


def _masked(view: View) -> Iterator[Masked]:
    for count, match in enumerate(_MASK.finditer(view.text)):
        if count == _MAX_MASKED:
            return
        if len(match.group()) <= 24:
            pattern = "".join(c if c.isalpha() else "." for c in match.group())
            yield Masked(pattern=pattern, offset=view.offsets[match.start()])


def _reversed(base: View, original: str) -> View:
    """What a reader sees where a right-to-left override turns the rest of the text around."""
    start = original.index(_OVERRIDE)
    split = next((i for i, place in enumerate(base.offsets) if place > start), len(base.offsets))
    return View(
        name="reversed",
        text=base.text[:split] + base.text[split:][::-1],
        offsets=base.offsets[:split] + base.offsets[split:][::-1],
    )
