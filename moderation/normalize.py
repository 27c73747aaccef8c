"""Undoes tricks with Unicode, digits and spacing, so that a word list sees the words a reader sees.

A text becomes several *views*, each the text after one more step: `base` (compatibility forms,
case, invisible characters), `folded` (lookalike letters and accents), `leet` and `leet_l` (digits
that stand for letters), `joined` (letters pulled apart), `closed` (every sign inside a word
removed), `once` and `twice` (stretched letters), `respelled` (the likeliest words). A view equal to
an earlier one is left out. Every view keeps, for each character, its place in the original text.
All of it is pure and linear.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from moderation.confusables import LEET
from moderation.respelling import Change, known_share, respell
from moderation.unicode_forms import INVISIBLE, MAX_CHARS, base_view, fold, plain
from moderation.views import POINTS, View, substitute, words
from moderation.words import load_words

__all__ = ["MAX_CHARS", "RESPELLED", "RUN", "Masked", "Normalized", "View", "normalize", "plain", "words"]

RESPELLED = "respelled"  # the view that is a guess: see `moderation.respelling`
RUN = "run"  # the view in which word boundaries mean nothing
_MAX_MASKED = 16
_FEW_MASKED = 2
_ACCENTED = 0.2  # share of a text's characters; languages with many accents stay below, or are no English
_ENGLISH = 0.5  # share of the letters in known words

_HARMLESS_INVISIBLE = frozenset(
    "\u200c\u200d\ufe0e\ufe0f\u00ad"
)  # emoji, Persian and Indic spelling, hyphens
_STYLED = re.compile("[\uff21-\uff3a\uff41-\uff5a\u2460-\u24ff\U0001d400-\U0001d7ff\U0001f110-\U0001f189]")
_OVERRIDE = "\u202e"
_MASK = re.compile(
    r"(?<![^\W\d_])[^\W\d_]+(?:[*#%?_•]+[^\W\d_]+)+"  # inside
    r"|(?<![\w*•])[*•][^\W\d_]{2,}(?![\w*•])|(?<![\w*•])[^\W\d_]{2,}[*•](?![\w*•])"  # at an end
)
_INSIDE = re.compile(rf"(?<=[^\W_])(?:_|[^\w\s{POINTS}])+(?=[^\W_])")
_SPLIT = re.compile(r"(?<![^\W_])[^\W_]{1,3}(?:[-.·~^|\\/+=:;*_,'\"]{1,3}[^\W_]{1,3})+(?![^\W_])")
_ODD = re.compile(r"(?<=[^\W\d_])[*_~^|\\·•=+<>{}\[\]()#%]+(?=[^\W\d_])")
_SPACED = re.compile(r"(?<![^\W_])[^\W\d_](?:[\s.\-_*,~|/\\]{1,3}[^\W\d_]){2,}(?![^\W_])")
_LEET_SIGNS = re.escape("".join(LEET))
_SPACED_SIGNS = re.compile(rf"(?<!\S)[a-z{_LEET_SIGNS}](?: [a-z{_LEET_SIGNS}]){{2,}}(?!\S)")
_STRETCH = re.compile(r"([^\W\d_])\1{2,}")
_LEET_INSIDE = re.compile(rf"(?<=[a-z])[{_LEET_SIGNS}]+(?=[a-z])")
_LEET_WORD = re.compile(rf"[a-z{_LEET_SIGNS}]+")
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
        "respelled": 0.05,
    }
)


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


def normalize(text: str) -> Normalized:
    """Return every view of `text`; never raises, and takes time linear in its length."""
    cut = text[:MAX_CHARS]
    base, overflow = base_view(cut)
    signs = dict.fromkeys(_WEIGHTS, 0)
    if not cut.isascii():
        signs["invisible"] = sum(c.group() not in _HARMLESS_INVISIBLE for c in INVISIBLE.finditer(cut))
        signs["styled"] = len(_STYLED.findall(cut))
        signs["override"] = cut.count(_OVERRIDE)
    folded, signs["lookalike"], signs["marks"] = fold(base)
    masked = tuple(_masked(folded))
    signs["masked"] = len(masked)
    spelled = substitute("spelled", folded, _LEET_INSIDE, _read_leet)
    signs["leet"] = sum(1 for _ in _LEET_INSIDE.finditer(folded.text))
    signs["spaced"] = sum(1 for _ in _SPACED.finditer(spelled.text))
    joined = substitute("joined", spelled, _SPACED, _letters)
    signs["split"] = sum(1 for m in _SPLIT.finditer(joined.text) if not _ordinary_split(m.group()))
    joined = substitute("joined", joined, _SPLIT, _close_split)
    signs["split"] += sum(1 for _ in _ODD.finditer(joined.text))
    joined = substitute("joined", joined, _ODD, lambda _: "")
    signs["stretched"] = sum(1 for _ in _STRETCH.finditer(joined.text))
    twice = substitute("twice", joined, _STRETCH, lambda m: m.group()[:2])
    once = substitute("once", joined, _STRETCH, lambda m: m.group()[:1])
    closed = substitute("closed", joined, _INSIDE, lambda _: "")
    leet = substitute("leet", folded, _LEET_WORD, _read_leet)
    leet_l = substitute("leet_l", folded, _LEET_WORD, lambda m: _read_leet(m, one="l"))
    candidates = [base, folded, leet, leet_l, joined, closed, twice, once]
    if signs["spaced"]:  # "a n u d e" may begin with an article
        candidates.append(substitute("article", spelled, _SPACED, _letters_after_article))
        candidates.append(_run(spelled))
    if _SPACED_SIGNS.search(folded.text):
        spread = substitute("spread", folded, _SPACED_SIGNS, _signs_joined)
        candidates.append(substitute("spread", spread, _LEET_WORD, _read_leet))
    if signs["override"]:
        candidates.append(_reversed(base, cut))
    changes = respell(folded.text)
    if (
        len(masked) > _FEW_MASKED and changes
    ):  # a habit, not a word that somebody is shy of: the likeliest counts
        masked = ()
    signs["respelled"] = len(changes)
    guess = _changed(folded, changes)
    candidates.append(guess)
    evasion = 1.0 - math.exp(-sum(_WEIGHTS[name] * min(count, 4) for name, count in signs.items()))
    accented = folded.text != base.text and _accented(base.text, folded.text)
    undone = once if accented or any(signs.values()) else base
    return Normalized(
        original=text,
        views=tuple(_distinct(candidates)),
        masked=masked,
        reading=base.text,
        recovered=guess.text if changes else undone.text,
        evasion=evasion,
        signs=MappingProxyType(signs),
        truncated=overflow or len(text) > MAX_CHARS,
    )


def _accented(base: str, folded: str) -> bool:
    """Whether a text full of accents is English once they are gone, and was not before."""
    if sum(char > "\x7f" for char in base) < _ACCENTED * len(base):
        return False
    share = known_share(folded)
    return share >= _ENGLISH and share - known_share(base) > _ENGLISH / 4


def _changed(view: View, changes: Sequence[Change]) -> View:
    places = {start: (end, piece) for start, end, piece in changes}
    out: list[str] = []
    offsets: list[int] = []
    last = 0
    for start, (end, piece) in sorted(places.items()):
        out += (view.text[last:start], piece)
        offsets += view.offsets[last:start]
        step = (end - 1 - start) / max(1, len(piece) - 1)
        offsets += [view.offsets[start + round(i * step)] for i in range(len(piece))]
        last = end
    out.append(view.text[last:])
    offsets += view.offsets[last:]
    return View(name=RESPELLED, text="".join(out), offsets=tuple(offsets))


def _distinct(views: list[View]) -> Iterator[View]:
    seen: set[str] = set()
    for view in views:
        if view.text not in seen:
            seen.add(view.text)
            yield view


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
        edge = not (match.group()[0].isalpha() and match.group()[-1].isalpha())
        if edge and match.group().strip("*•") in load_words():  # a word with a footnote or stress
            continue
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
