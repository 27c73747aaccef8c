"""From words and a seed to a plan: chooses references, style and background, and says what is unknown."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from generation.sticker.colors import COLORS
from generation.sticker.draft import Part, Plan, plan
from generation.sticker.prompt import Layout, Scene, Subject, parse
from generation.sticker.references import Reference, References
from generation.sticker.retrieval import Embed, Match, Retrieval
from generation.sticker.vocabulary import COLOR_WORDS, STYLE_CAPTIONS

_STYLE_ORDER = ("3d", "shaded", "icon", "flat")
_UNSTYLED = (("3d", 0.62), ("shaded", 0.18), ("icon", 0.12), ("flat", 0.08))
_UNSAID_BACKGROUNDS = (
    ("white", 0.5),
    ("light blue", 0.12),
    ("beige", 0.1),
    ("light yellow", 0.08),
    ("light green", 0.08),
    ("light pink", 0.07),
    ("light purple", 0.05),
)
_NEAR_ENOUGH = 0.34  # an unknown subject is drawn as its nearest from here on
_FALLBACK = "artist palette"
_FIRST_TITLES = 3

_SCENE_WORDS = {
    "night sky": " under a night sky",
    "grass": " on the grass",
    "sea": " by the sea",
    "snow": " in the snow",
    "sunset": " at sunset",
    "city": " in the city",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Drawable:
    """A plan with what else a model and a reader need."""

    plan: Plan
    caption: str  # the scene in the words of the training captions
    note: str | None  # what is not known, for the reader


class Illustrator:
    """Turns prompts into plans with the pictures of one reference pack."""

    def __init__(self, references: References, *, embed: Embed | None = None) -> None:
        self.references = references
        self._retrieval = Retrieval(references, embed=embed)

    def plan(self, prompt: str, *, width: int, height: int, seed: int) -> Drawable:
        """Plan a picture.

        Args:
            prompt: anything; what names nothing known gets a note.
            width: native px.
            height: native px.
            seed: equal seeds give equal plans; others differ in picture, style, layout or shade.
        """
        rng = random.Random(f"sticker {seed}")
        scene = parse(prompt, phrases=self.references.phrases)
        style = scene.style or _weighted(_UNSTYLED, rng)
        parts, unknown = self._parts(scene, style, rng)
        background = scene.background or self._background(parts, rng)
        relation = scene.layout if len(parts) == len(scene.subjects) else Layout.BESIDE
        planned = plan(
            parts,
            relation,
            background=background,
            width=width,
            height=height,
            references=self.references,
            rng=rng,
        )
        return Drawable(
            plan=planned,
            caption=caption(parts, relation, background=background, style=style),
            note=_note(unknown),
        )

    def _parts(
        self, scene: Scene, style: str, rng: random.Random
    ) -> tuple[list[Part], list[tuple[str, str | None]]]:
        found = [(subject, self._find(subject)) for subject in scene.subjects]
        parts: list[Part] = []
        unknown: list[tuple[str, str | None]] = []
        for i, (subject, match) in enumerate(found):
            if match is None or not match.known:
                shown = match.title if match and match.score >= _NEAR_ENOUGH else None
                unknown.append((subject.text, shown))
                if shown is None:
                    continue
                title = shown
            else:
                title = match.title
            if i == 0 and scene.layout is Layout.WEARING and f"{title} face" in self.references.by_title:
                title = f"{title} face"  # a hat sits well on a head that looks at us
            parts.append(_part(subject, self._choose(title, style, rng)))
        if not parts:
            if not unknown:
                unknown.append(("", _FALLBACK))
            else:
                unknown[0] = (unknown[0][0], _FALLBACK)
            parts.append(Part(reference=self._choose(_FALLBACK, style, rng)))
        return parts, unknown

    def _find(self, subject: Subject) -> Match | None:
        text = subject.text
        if subject.color:  # "orange juice", "black cat": the color may be part of a name
            for word in _spoken(subject.color):
                if f"{word} {text}" in self.references.by_title:
                    return Match(title=f"{word} {text}", score=1.5, known=True)
        matches = self._retrieval.find(text, color=subject.color, limit=_FIRST_TITLES)
        return matches[0] if matches else None

    def _choose(self, title: str, style: str, rng: random.Random) -> Reference:
        candidates = self.references.by_title[title]
        ranked = sorted(candidates, key=lambda ref: _style_rank(ref.source.style, style))
        same = [ref for ref in ranked if ref.source.style == ranked[0].source.style]
        return rng.choice(same)

    def _background(self, parts: Sequence[Part], rng: random.Random) -> str:
        chosen = _weighted(_UNSAID_BACKGROUNDS, rng)
        if chosen == "white" and any(part.color == "white" for part in parts):
            return "light blue"  # white on white would not be seen
        return chosen


def _style_rank(style: str, wanted: str) -> tuple[int, int]:
    pairs = {"flat": "icon", "icon": "flat", "shaded": "icon", "3d": "shaded"}
    if style == wanted:
        return (0, 0)
    return (1 if pairs[wanted] == style else 2, _STYLE_ORDER.index(style))


def _part(subject: Subject, reference: Reference) -> Part:
    """Recolor only what has not that color by name."""
    color = subject.color
    if color and set(_spoken(color)) & set(reference.title.split()):
        color = None
    return Part(reference=reference, color=color, count=subject.count, size=subject.size)


def _spoken(color: str) -> list[str]:
    return [word for word, name in COLOR_WORDS.items() if name == color]


def _weighted(choices: Sequence[tuple[str, float]], rng: random.Random) -> str:
    return rng.choices([name for name, _ in choices], weights=[weight for _, weight in choices])[0]


def _article(words: str) -> str:
    return f"an {words}" if words[:1] in "aeiou" else f"a {words}"


def _plural(words: str) -> str:
    if words.endswith("s"):
        return words
    return words + ("es" if words.endswith(("sh", "ch", "x")) else "s")


def caption(parts: Sequence[Part], relation: Layout, *, background: str, style: str) -> str:
    """Describe a plan as the training captions do."""
    numbers = {2: "two", 3: "three", 4: "four"}
    names = []
    for part in parts:
        title = part.reference.title
        if part.color:
            core = " ".join(word for word in title.split() if word not in COLORS) or title
            title = f"{part.color.split()[-1]} {core}"
        title = f"small {title}" if part.size == "small" else title
        names.append(f"{numbers[part.count]} {_plural(title)}" if part.count > 1 else title)
    single = [name if name.split()[0] in numbers.values() else _article(name) for name in names]
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
    if background in _SCENE_WORDS:
        return text + _SCENE_WORDS[background]
    if background == "white":
        return text
    ground = background if background == "light blue" else background.rsplit(maxsplit=1)[-1]
    return f"{text} on a {ground} background"


def _note(unknown: Sequence[tuple[str, str | None]]) -> str | None:
    lines = []
    for text, shown in unknown:
        name = text[:40]
        if not name:
            lines.append(f"I found nothing to draw in these words; here is: {shown}")
        elif shown is None:
            lines.append(f'I know no picture of "{name}" and left it out')
        elif shown == _FALLBACK:
            lines.append(f'I know no picture of "{name}" and nothing like it; here is: {shown}')
        else:
            lines.append(f'I know no picture of "{name}"; the nearest I know: {shown}')
    return "; ".join(lines) or None
