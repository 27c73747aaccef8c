"""English nouns: their singular, the meaning words of a text and its head."""

from __future__ import annotations

import re

from generation.sticker.vocabulary import vocabulary

_WORDS = re.compile(r"[^\W_]+(?:'[a-z]+)?", re.UNICODE)
_SPLIT = re.compile(r" (?:with|on|in|at|to|of|for|from|near|flying|by|that|who|which) ")
_IRREGULAR = {
    "mice": "mouse", "geese": "goose", "wolves": "wolf", "leaves": "leaf", "knives": "knife",
    "feet": "foot", "teeth": "tooth", "children": "child", "men": "man", "women": "woman",
    "people": "person", "loaves": "loaf", "buses": "bus", "potatoes": "potato", "tomatoes": "tomato",
    "octopi": "octopus", "cacti": "cactus", "shoes": "shoe", "cookies": "cookie", "scarves": "scarf",
    "fairies": "fairy", "elves": "elf", "lens": "lens", "dwarves": "dwarf", "calves": "calf",
    "mangoes": "mango", "movies": "movie", "selfies": "selfie", "zombies": "zombie", "pies": "pie",
    "genies": "genie", "brownies": "brownie", "gas": "gas", "news": "news", "christmas": "christmas",
}  # fmt: skip


def singular(word: str) -> str:
    """The likely singular of an English word, in lower case; a phrase's last word counts."""
    rest, space, last = word.rpartition(" ")
    if space:
        return f"{rest} {singular(last)}"
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("shes", "ches", "xes", "sses", "zes")):
        return word[:-2]
    if word.endswith("s") and not word.endswith(("ss", "us", "is")) and len(word) > 3:
        return word[:-1]
    return word


def tokens(text: str) -> list[str]:
    """The meaning words of a text, singular."""
    fillers = vocabulary().fillers
    return [singular(word) for word in _WORDS.findall(text.lower()) if word not in fillers]


def head(text: str) -> str:
    """The noun that a phrase is about: the last word before a preposition."""
    words = _SPLIT.split(text)[0].split()
    return words[-1] if words else ""
