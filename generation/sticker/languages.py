"""Puts the words of other languages into the English ones that the parser knows.

Tables in `data/languages` hold what a sentence encoder cannot tell (colors, numbers, relations, backgrounds)
and the commonest things. Other nouns stay as they are: the encoder finds them by their meaning.
"""

from __future__ import annotations

import tomllib
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from generation.sticker.aliases import aliases, kin
from generation.sticker.vocabulary import DATA, split_names, vocabulary

LATIN = ("de", "fr", "es", "it", "pt", "nl", "pl")
_SCRIPTS = {
    "CYRILLIC": "ru",
    "ARABIC": "ar",
    "DEVANAGARI": "hi",
    "HANGUL": "ko",
    "HIRAGANA": "ja",
    "KATAKANA": "ja",
}
_LEFT_OUT = "-"
_IN = "in<"
_LONGEST = 6  # words of a phrase
_LONGEST_RUN = 10  # characters of a word where none are spaced
_SHARED = 0.3  # how much a word that is English, too, speaks for another language
_OF = frozenset({"の", "的"})  # "the beach's turtle" is at the beach
_KANA = frozenset("のはがをにでとなたも")  # particles, but parts of words as well
_POSSESSIVE = "의"
_AND = ("와", "과", "랑", "이랑", "하고")


@dataclass(frozen=True, kw_only=True, slots=True)
class Language:
    """The words of one language."""

    phrases: Mapping[tuple[str, ...], tuple[str, ...]]  # folded words -> English words
    characters: Mapping[str, tuple[str, ...]]  # the same for a language without spaces
    particles: tuple[str, ...]  # endings that may be cut off a word
    postpositions: bool  # "table on cat": the relation follows what it is about
    elisions: bool  # l'eau, d'un


@dataclass(frozen=True, kw_only=True, slots=True)
class Translation:
    """A prompt's words, English where known."""

    words: list[str]
    foreign: bool  # adjectives and numbers may stand after their noun


@cache
def language(code: str) -> Language:
    """Read a language's table once."""
    with (DATA / "languages" / f"{code}.toml").open("rb") as stream:
        table = tomllib.load(stream)
    endings = [*split_names(table["endings"]), ""]
    phrases: dict[tuple[str, ...], tuple[str, ...]] = {}
    for english, text in table["words"].items():
        target = () if english == _LEFT_OUT else tuple(_targets(english))
        for form in split_names(text):
            stem, marked, _ = form.partition("~")
            for ending in endings if marked else [""]:
                exact = tuple(_plain(stem + ending).split())
                phrases.setdefault(exact, target)
    for exact, target in list(phrases.items()):
        phrases.setdefault(tuple(fold(word) for word in exact), target)
    unspaced = bool(table.get("unspaced"))
    return Language(
        phrases={} if unspaced else phrases,
        characters={"".join(words): target for words, target in phrases.items()} if unspaced else {},
        particles=tuple(split_names(table.get("particles", ""))),
        postpositions=bool(table.get("postpositions")),
        elisions=bool(table.get("elisions")),
    )


def _targets(english: str) -> list[str]:
    """The English words of a table's key; "left of<" is one word."""
    return [english] if english.endswith("<") else english.split()


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def fold(word: str) -> str:
    """A word as careless typing has it: without accents, Arabic alef forms as one."""
    parts = unicodedata.normalize("NFD", word)
    kept = "".join(char for char in parts if unicodedata.category(char) != "Mn")
    return unicodedata.normalize("NFC", kept)


def translate(words: Sequence[str]) -> Translation:
    """Put known words of another language into English.

    Args:
        words: the prompt's words, lower case, commas as words of their own.
    """
    code = _language_of(words)
    if code is None:
        return Translation(words=list(words), foreign=False)
    spoken = language(code)
    if spoken.elisions:
        words = [part for word in words for part in _parted(word, spoken)]
    out = _characters(words, spoken) if spoken.characters else _phrases(words, spoken)
    return Translation(words=_places_first(out), foreign=True)


def _language_of(words: Sequence[str]) -> str | None:
    letters = "".join(words)
    scripts = {unicodedata.name(char, "").split(" ")[0] for char in set(letters) if char.isalpha()}
    for script, code in _SCRIPTS.items():
        if script in scripts:
            return code
    if "CJK" in scripts:
        return "ja" if _unread(letters, language("zh")) and not _unread(letters, language("ja")) else "zh"
    if "LATIN" not in scripts:
        return None
    english = _english()
    scores = dict.fromkeys(LATIN, 0.0)
    own = 0.0
    for word in words:
        own += word in english
        for code in LATIN:
            table = language(code).phrases
            if (word,) in table or (fold(word),) in table:
                scores[code] += _SHARED if word in english else 1.0
    best = max(LATIN, key=lambda code: scores[code])
    unknown = any(word not in english and word != "," for word in words)
    return best if scores[best] > own or (scores[best] == own and own >= 1 and unknown) else None


@cache
def _english() -> frozenset[str]:
    single = {word for name in (*aliases(), *aliases().values(), *kin()) for word in name.split()}
    return vocabulary().english | single


def _unread(letters: str, spoken: Language) -> int:
    return sum(len(run) for run, known in _segments(letters, spoken) if not known)


def _phrases(words: Sequence[str], spoken: Language) -> list[str]:
    """Spaced languages: the longest phrase at each place."""
    out: list[str] = []
    at = 0
    was_thing = False
    while at < len(words):
        found, taken = _longest(words, at, spoken)
        if found is None:
            found, taken = _inflected(words[at], spoken), 1
        thing = found is not None and _is_thing(found)
        if spoken.postpositions and thing and was_thing:
            out.append(",")  # "a dog, the grass on": two things without a word between them
        out += [words[at]] if found is None else found
        was_thing = thing or (was_thing and found == ())
        at += taken
    return out


def _longest(words: Sequence[str], at: int, spoken: Language) -> tuple[tuple[str, ...] | None, int]:
    for size in range(min(_LONGEST, len(words) - at), 0, -1):
        run = tuple(words[at : at + size])
        found = spoken.phrases.get(run)
        if found is None:
            found = spoken.phrases.get(tuple(fold(word) for word in run))
        if found is not None:
            return found, size
    return None, 1


def _parted(word: str, spoken: Language) -> list[str]:
    """An article and its noun: l'eau."""
    article, _, rest = word.partition("'")
    known = len(article) == 1 or (article,) in spoken.phrases
    return [article, rest] if rest and known else [word]


def _inflected(word: str, spoken: Language) -> tuple[str, ...] | None:
    """A word with something grown on: the Arabic article, Korean particles."""
    bare = fold(word)
    for prefix, put in (("ال", ()), ("وال", ("and",)), ("و", ("and",)), ("بال", ("in",))):
        if bare.startswith(prefix) and (bare[len(prefix) :],) in spoken.phrases:
            return (*put, *spoken.phrases[(bare[len(prefix) :],)])
    for particle in (*_AND, *spoken.particles):
        stem = word.removesuffix(particle)
        if spoken.particles and stem and stem != word and (stem,) in spoken.phrases:
            found = spoken.phrases[(stem,)]
            if particle == _POSSESSIVE and _place_at_end(found):
                return (*found, _IN)
            return (*found, "and") if particle in _AND else found
    return None


def _characters(words: Sequence[str], spoken: Language) -> list[str]:
    out: list[str] = []
    for word in words:
        was_thing = False
        for run, found in _segments(word, spoken):
            thing = found is not None and _is_thing(found)
            if thing and was_thing:
                out.append(",")
            if run in _OF and _place_at_end(out):
                out.append(_IN)
            out += [run] if found is None else found
            was_thing = thing or (was_thing and run in _OF)
    return out


def _segments(text: str, spoken: Language) -> list[tuple[str, tuple[str, ...] | None]]:
    """Cut a text without spaces: the longest known word at each place; the rest in runs, with None."""
    out: list[tuple[str, tuple[str, ...] | None]] = []
    at = 0
    while at < len(text):
        for size in range(min(_LONGEST_RUN, len(text) - at), 0, -1):
            run = text[at : at + size]
            if run not in spoken.characters:
                continue
            if run in _KANA and (not out or (out[-1][1] is None and "\u3041" <= out[-1][0][-1] <= "\u309f")):
                continue  # inside a word
            out.append((run, spoken.characters[run]))
            at += size
            break
        else:
            if out and out[-1][1] is None:
                out[-1] = (out[-1][0] + text[at], None)
            else:
                out.append((text[at], None))
            at += 1
    return out


def _is_thing(found: tuple[str, ...]) -> bool:
    known = vocabulary()
    tables = (known.colors, known.numbers, known.sizes, known.shades, known.places, known.fillers)
    return bool(found) and not any(
        word.endswith("<")
        or word in {"and", "background"}
        or (word,) in known.relations
        or any(word in table for table in tables)
        for word in found
    )


def _place_at_end(words: Sequence[str]) -> int:
    """How many words at the end name a place."""
    places = vocabulary().places
    return next((n for n in (2, 1) if len(words) >= n and " ".join(words[-n:]) in places), 0)


def _places_first(words: list[str]) -> list[str]:
    """A place before its relation ("snow in<", "night sky below<") becomes an English phrase of place."""
    out: list[str] = []
    for word in words:
        size = _place_at_end(out) if word.endswith("<") else 0
        if size:
            place = out[-size:]
            del out[-size:]
            out += [",", "in", *place, ","]
        else:
            out.append(word)
    return out
