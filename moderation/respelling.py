"""Reads words that were split, misspelled, starred out or run together, by a list of ordinary words.

Where signs and digits alone cannot tell what was meant ("na ked", "nakde", "n*ked", "redapple"), the
likeliest words can: a text is respelled only as far as that turns unknown pieces into known words,
and only where almost all of it is known afterwards, so that other languages are left as they are.
What comes out is a guess: it is scored, and listed words in it may ask a moderator, never refuse.

The model is a unigram one (Norvig, "Natural Language Corpus Data", 2009): a word costs the negative
logarithm of its frequency, every change costs a fixed amount more, and the cheapest reading wins.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

from moderation.confusables import LEET
from moderation.words import LETTERS, Words, load_words, one_away

MAX_PIECES = 400  # of a text; the rest is left as it is
MAX_MASKED = 80  # words with starred letters
MAX_CORRECTIONS = 32  # words looked up one letter away: the only step that takes time
_MAX_RUN = 800  # letters run together
_LONGEST = 20  # letters of a word
_KNOWN_AFTER = 0.7  # share of the letters in known words without which a guess is dropped

_SQUEEZE = 1.0  # what a change costs
_JOIN = 1.5
_JOIN_WORDS = 5.0  # where both pieces are words already
_SEGMENT = 3.0
_GAP_LETTER = 6.0
_UNKNOWN, _UNKNOWN_LETTER = 14.0, 2.0

_CORE = re.compile(r"[^\W_*](?:\S*[^\W_])?|\*\S*[^\W_]")
_NOT_LETTERS = re.compile(r"[^a-z]+")
_ASCII_WORD = re.compile(r"[a-z]+")
_WILD = re.compile(r"[*#%?•]")
_STRETCHED = re.compile(r"([a-z])\1+")
_MAX_STRETCHED = 4
_ONES = re.compile(r"[1|!\u00a1]")
_LEET_BUT_ONES = str.maketrans({sign: letter for sign, letter in LEET.items() if not _ONES.match(sign)})
_LEET = str.maketrans({sign: letter for sign, letter in LEET.items() if len(letter) == 1})

Change = tuple[int, int, str]  # from, to, and what to read there instead


@dataclass(frozen=True, slots=True)
class _Reading:
    cost: float
    text: str
    known: int  # letters in known words
    changed: bool = True


@dataclass(frozen=True, slots=True)
class _Piece:
    start: int
    end: int
    text: str
    joins: bool  # nothing but a space follows


def respell(text: str) -> tuple[Change, ...]:
    """Return what to read differently in a folded, lower-case text; nothing where it is spelled as usual.

    Takes time linear in the text's length, bounded by `MAX_PIECES` and `MAX_CORRECTIONS`.
    """
    pieces = _pieces(text)
    words = load_words()
    if all(piece.text in words or not _NOT_LETTERS.sub("", piece.text) for piece in pieces):
        return ()
    path = _cheapest(pieces, words)
    letters = sum(sum(map(str.isalpha, piece.text)) for piece in pieces)
    known = sum(reading.known for _, _, reading in path)
    if known < _KNOWN_AFTER * letters or _foreign(path):
        return ()
    return tuple(
        (pieces[first].start, pieces[last].end, reading.text)
        for first, last, reading in path
        if reading.changed
    )


def known_share(text: str) -> float:
    """Return the share of a lower-case text's letters that stand in known words as they are."""
    words = load_words()
    found = [(len(piece.text), piece.text in words) for piece in _pieces(text)]
    return sum(size for size, known in found if known) / max(1, sum(size for size, _ in found))


def _foreign(path: Sequence[tuple[int, int, _Reading]]) -> bool:
    """Whether most of the short words are unknown: they are seldom disguised, and differ by language."""
    short = [
        reading.known > 0
        for first, last, reading in path
        if first == last and not reading.changed and len(reading.text) < 4 and reading.text.isalpha()
    ]
    return sum(short) * 2 < len(short)


def _pieces(text: str) -> list[_Piece]:
    pieces: list[_Piece] = []
    for match in _CORE.finditer(text):
        if len(pieces) == MAX_PIECES:
            break
        joins = text[match.end() : match.end() + 1] == " "
        pieces.append(_Piece(match.start(), match.end(), match.group(), joins))
    return pieces


def _cheapest(pieces: Sequence[_Piece], words: Words) -> list[tuple[int, int, _Reading]]:
    """The cheapest way to read all pieces, by dynamic programming over where a reading ends."""
    best: list[tuple[float, int, _Reading]] = [(0.0, -1, _Reading(0.0, "", 0))]
    budget, stars = MAX_CORRECTIONS, MAX_MASKED
    for end in range(len(pieces)):
        piece = pieces[end]
        if _ASCII_WORD.fullmatch(piece.text) and piece.text not in words and budget:
            budget -= 1
            single = _word(piece.text, words, correct=True)
        else:
            masked = bool(_WILD.search(piece.text))
            stars -= masked
            single = _alone(piece.text, words, unmask=masked and stars >= 0)
        choices = [(best[end][0] + single.cost, end, single)]
        for start in range(max(0, end - 2), end):
            joined = _joined(pieces[start : end + 1], words)
            if joined is not None:
                choices.append((best[start][0] + joined.cost, start, joined))
        run = _run(pieces, end, words)
        if run is not None:
            start, reading = run
            choices.append((best[start][0] + reading.cost, start, reading))
        best.append(min(choices, key=lambda choice: choice[0]))
    path: list[tuple[int, int, _Reading]] = []
    end = len(pieces)
    while end:
        _, start, reading = best[end]
        path.append((start, end - 1, reading))
        end = start
    return path[::-1]


@lru_cache(maxsize=4096)
def _alone(text: str, words: Words, *, unmask: bool) -> _Reading:
    """A piece by itself: a known word, a word with signs or digits in it, or something else."""
    bare = text.removesuffix("'s").removesuffix("\u2019s")
    if bare in words:
        return _Reading(words[bare], text, len(bare), changed=False)
    if _ASCII_WORD.fullmatch(text):
        return _word(text, words, correct=False)
    parts = [part for part in _NOT_LETTERS.split(text) if part]
    letters = sum(map(len, parts))
    if not text.isascii() or not letters:
        return _Reading(0.0, text, 0, changed=False)
    if all(part in words for part in parts) and min(map(len, parts)) > 1:
        return _Reading(sum(words[part] for part in parts), text, letters, changed=False)
    closed = "".join(parts)
    read = text.translate(_LEET) if letters > 1 and len(text) > 2 else text
    options = [closed] if len(closed) > 2 and len(parts) > 1 else []
    if len(read) > 2:
        options += _read_ones(text)
    if unmask:
        options += _unmasked(text, words)
    known = [word for word in options if word in words]
    if known:
        word = min(known, key=lambda item: words[item])
        return _Reading(words[word] + _SQUEEZE, word, letters)
    if len(parts) > 2 or (letters > 2 and _ASCII_WORD.fullmatch(read)):
        return _word(closed if len(parts) > 2 else read, words, correct=True, letters=letters)
    return _Reading(0.0, text, 0, changed=False)


def _word(word: str, words: Words, *, correct: bool, letters: int | None = None) -> _Reading:
    """Letters that are no known word: stretched, misspelled, run together, or simply unknown."""
    count = len(word) if letters is None else letters
    options = [_Reading(words[form] + _SQUEEZE, form, count) for form in _squeezed(word) if form in words]
    if not options and correct and 3 < len(word) <= _LONGEST:
        fixed = one_away(word)
        if fixed is not None:
            options.append(_Reading(fixed[0], fixed[1], count))
    if len(word) > 7:
        cut = _segmented(word, words, gaps=False)
        if cut is not None:
            options.append(_Reading(cut[0] + _SEGMENT, cut[1], count))
    options.append(_Reading(_UNKNOWN + _UNKNOWN_LETTER * len(word), word, 0, changed=letters is not None))
    return min(options, key=lambda option: option.cost)


def _joined(pieces: Sequence[_Piece], words: Words) -> _Reading | None:
    word = "".join(piece.text for piece in pieces)
    if word not in words or not all(piece.joins for piece in pieces[:-1]):
        return None
    fragments = any(piece.text not in words for piece in pieces)
    return _Reading(words[word] + (_JOIN if fragments else _JOIN_WORDS), word, len(word))


def _run(pieces: Sequence[_Piece], end: int, words: Words) -> tuple[int, _Reading] | None:
    """Letters that stand alone, one after the other, read as words; only at the last one."""

    def single(index: int) -> bool:
        return len(pieces[index].text) == 1 and pieces[index].text in LETTERS

    if not single(end) or (end + 1 < len(pieces) and single(end + 1)):
        return None
    start = end
    while start and single(start - 1):
        start -= 1
    if end - start < 2:
        return None
    cut = _segmented("".join(piece.text for piece in pieces[start : end + 1]), words, gaps=True)
    return None if cut is None else (start, _Reading(cut[0] + _SEGMENT, cut[1], cut[2]))


def _segmented(run: str, words: Words, *, gaps: bool) -> tuple[float, str, int] | None:
    """Cut letters into the cheapest known words; returns the cost, the words, and the letters in them.

    With `gaps`, letters that fit no word (a name's, mostly) stay together as they are; without, there is
    no way then.
    """
    if len(run) > _MAX_RUN:
        return None
    best: list[tuple[float, int, bool]] = [(0.0, 0, True)]
    for end in range(1, len(run) + 1):
        choices = [
            (best[start][0] + cost, start, True)
            for start in range(max(0, end - _LONGEST), end)
            if (cost := words.listed(run[start:end])) is not None
        ]
        if gaps:
            choices.append((best[end - 1][0] + _GAP_LETTER, end - 1, False))
        best.append(min(choices, default=(math.inf, end, False)))
    if best[-1][0] == math.inf:
        return None
    cut: list[str] = []
    known, end, apart = 0, len(run), True
    while end:
        _, start, is_word = best[end]
        known += (end - start) * is_word
        if is_word or apart:
            cut.append(run[start:end])
        else:
            cut[-1] = run[start:end] + cut[-1]
        apart = is_word
        end = start
    return best[-1][0], " ".join(reversed(cut)), known


def _read_ones(text: str) -> Iterator[str]:
    """The word with its digits as letters, each sign that may be an i or an l as either."""
    parts = _ONES.split(text.translate(_LEET_BUT_ONES))
    for letters in product("il", repeat=min(len(parts) - 1, _MAX_STRETCHED)):
        rest = ("i",) * (len(parts) - 1 - len(letters))
        yield parts[0] + "".join(a + b for a, b in zip((*letters, *rest), parts[1:], strict=True))


def _unmasked(text: str, words: Words) -> Iterator[str]:
    """Known words with one letter for each sign; at most two signs."""
    parts = _WILD.split(text)
    if len(text) > _LONGEST or len(parts) > 3 or not all(part.isalpha() or not part for part in parts):
        return
    for letters in product(LETTERS, repeat=len(parts) - 1):
        form = parts[0] + "".join(letter + part for letter, part in zip(letters, parts[1:], strict=True))
        if words.listed(form) is not None:
            yield form


def _squeezed(word: str) -> Iterator[str]:
    """The word with each stretched letter once or twice."""
    forms = [""]
    last = 0
    for match in list(_STRETCHED.finditer(word))[:_MAX_STRETCHED]:
        before, letter = word[last : match.start()], match.group(1)
        forms = [form + before + letter * times for form in forms for times in (1, 2)]
        last = match.end()
    return (form + word[last:] for form in forms if last)
