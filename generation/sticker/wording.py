"""Says a plan in words: the caption for the model, and what the reader should know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from generation.sticker.colors import COLORS
from generation.sticker.draft import Part
from generation.sticker.prompt import MOST, Layout, Scene
from generation.sticker.vocabulary import STYLE_CAPTIONS

_LONGEST_NAME = 40
_MOST_NAMES = 4
_LONGEST_NOTE = 400
_SCENE_WORDS = {
    "night sky": " under a night sky",
    "grass": " on the grass",
    "sea": " by the sea",
    "snow": " in the snow",
    "sunset": " at sunset",
    "city": " in the city",
    "beach": " by the sea",
    "desert": " in the desert",
}
_NUMBERS = {2: "two", 3: "three", 4: "four"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Findings:
    """What came of a prompt's words."""

    nearest: tuple[tuple[str, str], ...] = ()  # a thing without a picture, and the title shown for it
    unknown: tuple[str, ...] = ()  # things left out
    missing: tuple[str, ...] = ()  # words that their thing's picture does not show
    read_as: tuple[tuple[str, str], ...] = ()  # misspelled words, and what they were taken for
    unstyled: tuple[str, ...] = ()  # titles without a picture in the style asked for
    companion: bool = False  # nothing but a place was named: something that fits it was added
    nothing: bool = False  # nothing could be drawn: something else is shown


def caption(parts: Sequence[Part], *, background: str, style: str) -> str:
    """Describe a plan as the training captions do."""
    names = []
    for part in parts:
        title = part.reference.title
        if part.color:
            core = " ".join(word for word in title.split() if word not in COLORS) or title
            title = f"{part.color.split()[-1]} {core}"
        title = f"small {title}" if part.size == "small" else title
        names.append(f"{_NUMBERS[part.count]} {_plural(title)}" if part.count > 1 else title)
    single = [name if name.split()[0] in _NUMBERS.values() else _article(name) for name in names]
    relation = parts[1].relation if len(parts) > 1 else Layout.BESIDE
    if len(names) == 1:
        text = names[0]
    elif relation is Layout.LEFT:
        text = f"{single[0]} on the left and {single[1]} on the right"
    elif relation is Layout.RIGHT:
        text = f"{single[1]} on the left and {single[0]} on the right"
    elif relation in {Layout.ABOVE, Layout.ON}:
        text = f"{single[0]} above {single[1]}"
    elif relation is Layout.BELOW:
        text = f"{single[1]} above {single[0]}"
    else:
        text = " and ".join(single[:2])
    text += f", {STYLE_CAPTIONS[style]}"
    scene = background.removeprefix("night ")
    if background in _SCENE_WORDS or scene in _SCENE_WORDS:
        return text + (_SCENE_WORDS.get(background) or f"{_SCENE_WORDS[scene]} at night")
    if background == "white":
        return text
    ground = background if background == "light blue" else background.rsplit(maxsplit=1)[-1]
    return f"{text} on a {ground} background"


def note(scene: Scene, found: Findings, *, style: str) -> str | None:
    """What the reader should know, in one line; None if the picture shows what was asked for."""
    lines = [
        f'I know no picture of "{_short(name)}"; the nearest I know: {title}' for name, title in found.nearest
    ]
    if found.nothing:
        names = _quoted(found.unknown)
        lines.append(
            f"I know no picture of {names} and nothing like it; here is something else"
            if names
            else "I found nothing to draw in these words; here is something else"
        )
    elif found.unknown:
        lines.append(f"I know no picture of {_quoted(found.unknown)} and left it out")
    lines += [f'I read "{_short(word)}" as "{right}"' for word, right in found.read_as]
    if found.companion:
        lines.append("You named a place only, so I put something in it")
    left_out = (*found.missing, *scene.left_out)
    if left_out:
        lines.append(f"Not drawn: {_quoted(left_out)}")
    if scene.more:
        lines.append(f"I draw {_NUMBERS[MOST]} of a kind at most")
    if scene.lettering:
        lines.append("I cannot write in a picture")
    if scene.style_word:
        lines.append(f'I have no "{scene.style_word}" style; the nearest is {STYLE_CAPTIONS[style]}')
    if found.unstyled:
        lines.append(f"I have no picture of {_quoted(found.unstyled)} in that style")
    text = "; ".join(lines)
    return (text if len(text) <= _LONGEST_NOTE else text[: _LONGEST_NOTE - 1].rstrip() + "\u2026") or None


def _quoted(names: Sequence[str]) -> str:
    shown = [f'"{_short(name)}"' for name in dict.fromkeys(names)]
    more = ["..."] if len(shown) > _MOST_NAMES else []
    return ", ".join([*shown[:_MOST_NAMES], *more])


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "\u2026"


def _article(words: str) -> str:
    return f"an {words}" if words[:1] in "aeiou" else f"a {words}"


def _plural(words: str) -> str:
    if words.endswith("s"):
        return words
    return words + ("es" if words.endswith(("sh", "ch", "x")) else "s")
