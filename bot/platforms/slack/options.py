"""The small option language of `/imagine`: `a red apple --aspect 3:2 --seed 5 --no "blur" --private`.

Prompts are prose: apostrophes, dashes and quotes in them mean themselves. Only a word that starts with two
dashes (or the long dash that phones make of them) is an option.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from bot.errors import UsageError

MAX_SEED = 2**32 - 1
MAX_COUNT = 4
USAGE = (
    "/imagine a red apple on a blue plate\n"
    "--aspect 3:2   shape of the picture\n"
    "--count 2   how many pictures, 1 to 4\n"
    "--seed 5   the same seed draws the same picture again\n"
    '--no "text, blur"   what to avoid\n'
    "--model NAME   see /verso models\n"
    "--private   answer in a direct message\n"
    "With nothing after it, /imagine opens a form."
)

_OPTION = re.compile(r"(?:(?<=\s)|^)(?:--|\u2014|\u2013)([A-Za-z]+)(?=[\s=]|$)=?[^\S\n]*")
_QUOTED = re.compile(r"[\"\u201c\u201d\u201e](?P<text>[^\"\u201c\u201d\u201e]*)[\"\u201c\u201d]")
_WORD = re.compile(r"\S+")
_ASPECT = re.compile(r"[1-9][0-9]?:[1-9][0-9]?")
_NUMBER = re.compile(r"[0-9]{1,10}")
_NAMES = {
    "aspect": "aspect",
    "ar": "aspect",
    "seed": "seed",
    "count": "count",
    "no": "no",
    "negative": "no",
    "model": "model",
    "private": "private",
    "help": "help",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class ImagineOptions:
    """What the text after `/imagine` asks for."""

    prompt: str
    negative_prompt: str = ""
    aspect: str = "1:1"
    seed: int | None = None
    count: int = 1
    model_id: str | None = None
    private: bool = False
    help: bool = False


def parse_options(text: str) -> ImagineOptions:
    """Read the text after `/imagine`.

    Raises:
        UsageError: an option is unknown, given twice, or its value cannot be used; `field` names it.
    """
    given: dict[str, str] = {}
    prose: list[str] = []
    position = 0
    while match := _OPTION.search(text, position):
        prose.append(text[position : match.start()])
        name = _NAMES.get(match[1].lower())
        if name is None:
            raise UsageError(f"--{match[1][:40]} is not an option.\n{USAGE}", field=match[1][:40])
        if name in given:
            raise UsageError(f"--{name} is given twice.", field=name)
        given[name], position = _value(name, text, match.end())
    prose.append(text[position:])
    return ImagineOptions(
        prompt=" ".join(part.strip() for part in prose if part.strip()),
        negative_prompt=given.get("no", ""),
        aspect=read_aspect(given.get("aspect", "1:1")),
        seed=read_seed(given.get("seed", "")),
        count=read_count(given.get("count", "1")),
        model_id=given.get("model"),
        private="private" in given,
        help="help" in given,
    )


def read_aspect(text: str) -> str:
    """Check an aspect ratio such as `3:2`; whether the model draws it is not known here."""
    if not _ASPECT.fullmatch(text):
        raise UsageError("--aspect takes a ratio such as 3:2.", field="aspect")
    return text


def read_seed(text: str) -> int | None:
    """Read a seed, 0 to 4294967295; empty means any."""
    if not text:
        return None
    if not _NUMBER.fullmatch(text) or int(text) > MAX_SEED:
        raise UsageError(f"--seed takes a whole number from 0 to {MAX_SEED}.", field="seed")
    return int(text)


def read_count(text: str) -> int:
    """Read how many pictures, 1 to 4."""
    if not _NUMBER.fullmatch(text) or not 1 <= int(text) <= MAX_COUNT:
        raise UsageError(f"--count takes a number from 1 to {MAX_COUNT}.", field="count")
    return int(text)


def _value(name: str, text: str, start: int) -> tuple[str, int]:
    """The value of option `name` that begins at `start`, and where it ends."""
    if name in {"private", "help"}:
        return "", start
    if quoted := _QUOTED.match(text, start):
        value, end = quoted["text"].strip(), quoted.end()
    elif name == "no":  # unquoted: everything up to the next option
        following = _OPTION.search(text, start)
        end = following.start() if following else len(text)
        value = text[start:end].strip()
    elif word := _WORD.match(text, start):
        value, end = word[0], word.end()
    else:
        value, end = "", start
    if not value or (name != "no" and _OPTION.match(value)):
        raise UsageError(f"--{name} needs a value after it.", field=name)
    return value, end
