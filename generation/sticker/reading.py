"""Cuts a prompt into words, in any script: one pass over the characters, whatever they are.

Signs that end a phrase become commas, emoji become the names of their pictures, and what only another
generator understands (`--ar 16:9`, `(word:1.2)`, `<lora:x>`, web addresses) goes.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

MAX_CHARS = 4000
MAX_WORDS = 120  # a description is at the start; the rest of a very long prompt is left out

_LONGEST_WORD = 60
_LONGEST_EMOJI = 12  # code points of a family or a flag
_LONGEST_TAG = 60
_JOINERS = "\u200d\ufe0f"
_TONES = range(0x1F3FB, 0x1F400)
_SPELLED = {"&": "and", "+": "and"}
_SILENT = frozenset("_*#@^~`=\\%$\u20ac\u00a3")  # neither end a phrase nor belong to a word
_QUOTES = {'"': '"', "\u201c": "\u201d", "\u201e": "\u201c", "\u00ab": "\u00bb", "\u300c": "\u300d"}
_LETTERING = frozenset(
    ["says", "saying", "say", "text", "word", "words", "written", "titled", "caption", "slogan", "lettering",
     "letters", "sign", "reads", "reading", "named", "called", "typed", "write"]
)  # fmt: skip
_OPTIONS = re.compile(r"(?:^|\s)--[a-z]")
_COUNTED_NOUN = re.compile(r"([0-9]{1,2})([^\W\d_]{3,})")


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """A prompt's words."""

    words: list[str]  # lower case; "," is a word of its own
    lettering: bool = False  # it asks for words in the picture, which are left out here


def read(prompt: str, *, emoji: Mapping[str, str] | None = None) -> Reading:
    """Cut a prompt into words.

    Args:
        prompt: anything a person may type, of any length.
        emoji: code points without joiners and skin tones -> the title of the picture.
    """
    text = unicodedata.normalize("NFKC", prompt[:MAX_CHARS])[:MAX_CHARS].casefold()
    text = text.replace("\u2019", "'").replace("\u2018", "'")
    option = _OPTIONS.search(text)
    if option:
        text = text[: option.start()]
    cutter = _Cutter(text, emoji or {})
    words = cutter.run()
    return Reading(words=words[:MAX_WORDS], lettering=cutter.lettering)


class _Cutter:
    """One pass over a text."""

    def __init__(self, text: str, emoji: Mapping[str, str]) -> None:
        self.text = text
        self.emoji = emoji
        self.words: list[str] = []
        self.lettering = False

    def run(self) -> list[str]:
        at = 0
        while at < len(self.text) and len(self.words) <= MAX_WORDS:
            at = self._step(at)
        return self.words

    def _step(self, at: int) -> int:
        """Take what starts at `at`; returns where the next one starts."""
        char = self.text[at]
        if _in_word(char):
            return self._word(at)
        pictured = self._emoji(at)
        if pictured:
            return pictured
        if char == "<":
            close = self.text.find(">", at, at + _LONGEST_TAG)
            if close > 0:
                return close + 1
        if char in _QUOTES:
            quoted = self._quoted(at)
            if quoted:
                return quoted
        if char in _SPELLED:
            self.words.append(_SPELLED[char])
        elif (
            not char.isspace() and char not in _SILENT and char not in _JOINERS and char not in "'-"
        ) or char == "\n":
            self._pause()
        return at + 1

    def _word(self, at: int) -> int:
        end = at
        text = self.text
        while end < len(text) and (
            _in_word(text[end])
            or (text[end] in "'-" and end + 1 < len(text) and _in_word(text[end + 1]))
            or (text[end] in ".:" and text[end - 1].isdigit() and text[end + 1 : end + 2].isdigit())
        ):
            end += 1
        word = text[at:end]
        if word in {"http", "https", "www"}:
            while end < len(text) and not text[end].isspace():
                end += 1
        elif word[0].isdigit() and ("." in word or ":" in word):
            pass  # a ratio or a weight
        else:
            self._add(word[:_LONGEST_WORD])
        return end

    def _add(self, word: str) -> None:
        counted = _COUNTED_NOUN.fullmatch(word)
        if counted:  # "3cats"
            self.words += counted.groups()
        else:
            self.words.append(word)

    def _pause(self) -> None:
        if self.words and self.words[-1] != ",":
            self.words.append(",")

    def _quoted(self, at: int) -> int:
        """Leave out a quotation that is to be written in the picture."""
        close = self.text.find(_QUOTES[self.text[at]], at + 1, at + 1 + 200)
        if close < 0 or not self.words or self.words[-1] not in _LETTERING:
            return 0
        self.words.pop()
        self.lettering = True
        return close + 1

    def _emoji(self, at: int) -> int:
        """Put the name of the emoji that starts at `at`; returns its end, or 0 if there is none."""
        char = self.text[at]
        if char < "\u203c" or unicodedata.category(char) not in {"So", "Sk", "Cn", "Po", "Sm"}:
            return 0
        best, end = "", at + 1
        key = ""
        for i in range(at, min(len(self.text), at + _LONGEST_EMOJI)):
            step = self.text[i]
            if step in _JOINERS or ord(step) in _TONES:
                end = i + 1 if best and i == end else end
                continue
            key += step
            if key in self.emoji:
                best, end = self.emoji[key], i + 1
        if not best and unicodedata.category(char) == "So":
            best = unicodedata.name(char, "").casefold()
        if not best:
            return 0
        self._pause()
        self.words += [best, ","]
        return end


def _in_word(char: str) -> bool:
    return char.isalnum() or (unicodedata.category(char)[0] == "M" and char not in _JOINERS)
