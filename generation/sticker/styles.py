"""Finds the style in a prompt's words."""

from __future__ import annotations

from dataclasses import dataclass

from generation.sticker.vocabulary import vocabulary

_MOST = 4  # style words of one prompt: "flat vector illustration, minimalist"
_ARTICLES = frozenset({"a", "an", "the"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Style:
    """A style that was found, and the words that are left."""

    name: str | None  # of `vocabulary.STYLE_CAPTIONS`
    words: list[str]
    word: str | None = None  # what was asked for, where no set has it and `name` is only the nearest


def take_style(words: list[str]) -> Style:
    """Find a style and take its words out; a "flat tire" stays a tire, a "pencil" a thing."""
    known = vocabulary()
    words = _joined(words)
    found: list[str] = []
    for _ in range(_MOST):
        at = next((i for i in range(len(words)) if _is_style(words, i)), None)
        if at is None:
            break
        found.append(words[at])
        words = _without(words, at)
    plain = next((word for word in found if word in known.styles), None)
    if plain:
        return Style(name=known.styles[plain], words=words)
    if found:
        return Style(name=known.near_styles[found[0]], words=words, word=found[0])
    return Style(name=None, words=words)


def _joined(words: list[str]) -> list[str]:
    """Write "low poly" as "low-poly"."""
    known = vocabulary()
    out: list[str] = []
    for word in words:
        pair = f"{out[-1]}-{word}" if out else ""
        if pair in known.styles or pair in known.near_styles:
            out[-1] = pair
        else:
            out.append(word)
    return out


def _is_style(words: list[str], i: int) -> bool:
    known = vocabulary()
    word = words[i]
    if word not in known.styles and word not in known.near_styles:
        return False
    following = words[i + 1] if i + 1 < len(words) else ","
    if word in known.style_anywhere or (following in known.style_heads and word != following):
        return True
    if following in known.styles and word in known.styles and _is_style(words, i + 1):
        return True
    start = i
    while start > 0 and words[start - 1] in _ARTICLES | {"in", "as"}:
        start -= 1
    before = words[start - 1] if start else ","
    if following in {"of", "showing"}:
        return word in known.works or word in known.styles
    if following == ",":
        articled = bool(_ARTICLES & set(words[start:i]))
        first = "," not in words[:i]
        if {"in", "as"} & set(words[start:i]):
            return True
        return before == "," and not first and (word in known.works or not articled)
    return False


def _without(words: list[str], i: int) -> list[str]:
    """Drop the style word with the words that belong to it: "in the style of", "3d render of"."""
    known = vocabulary()
    start, end = i, i + 1
    while end < len(words) and words[end] in known.style_heads:
        end += 1
    following = words[end] if end < len(words) else ","
    if following == ",":
        while start > 0 and words[start - 1] in _ARTICLES:
            start -= 1
        if start > 0 and words[start - 1] in {"in", "as"}:
            start -= 1
    elif following == "of":
        end += 1
    return [*words[:start], *words[end:]]
