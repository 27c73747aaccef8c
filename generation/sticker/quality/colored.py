"""The fixed prompts that ask for a color or a background."""

from __future__ import annotations

from collections.abc import Mapping

from generation.sticker.quality.prompts import Asked

COLOR_NAMES: Mapping[str, tuple[str, ...]] = {
    "red": ("red",), "orange": ("orange",), "yellow": ("yellow",), "green": ("green",), "teal": ("teal",),
    "blue": ("blue",), "purple": ("purple",), "pink": ("pink",), "brown": ("brown",), "beige": ("beige",),
    "white": ("white",), "gray": ("gray",), "black": ("black",),
    "amber": ("orange", "yellow"), "aqua": ("teal",), "azure": ("blue",), "bronze": ("brown",),
    "burgundy": ("red",), "cobalt": ("blue",), "cream": ("beige",), "crimson": ("red",), "cyan": ("teal",),
    "emerald": ("green",), "fuchsia": ("pink",), "golden": ("yellow",), "grey": ("gray",),
    "indigo": ("blue", "purple"), "ivory": ("beige",), "lavender": ("purple",), "lilac": ("purple",),
    "lime": ("green",), "magenta": ("pink",), "maroon": ("red",), "mauve": ("purple",), "mint": ("green",),
    "navy": ("blue",), "olive": ("green",), "peach": ("orange", "beige"), "rose": ("pink",),
    "ruby": ("red",), "scarlet": ("red",), "silver": ("gray",), "tan": ("beige",), "turquoise": ("teal",),
    "violet": ("purple",),
}  # fmt: skip
"""Color word -> the plain names of `measures.color_name` that satisfy it."""

_PLAIN = tuple(COLOR_NAMES)[:13]
_COLORED = (
    ("balloon", "balloon"),
    ("car", "automobile"),
    ("t-shirt", "t-shirt"),
    ("fish", "fish"),
    ("bird", "bird"),
    ("umbrella", "umbrella"),
    ("butterfly", "butterfly"),
    ("cat", "cat"),
    ("chair", "chair"),
    ("dress", "dress"),
    ("crab", "crab"),
    ("bus", "bus"),
    ("dog", "dog"),
    ("guitar", "guitar"),
    ("house", "house"),
    ("horse", "horse"),
    ("dragon", "dragon"),
)
"""What is asked for in each color: word and title. Some are of one color by nature, some of several."""


def _colors() -> tuple[Asked, ...]:
    """Every plain color three times, every other color word once."""
    words = [*_PLAIN * 3, *(word for word in COLOR_NAMES if word not in _PLAIN)]
    things = [_COLORED[i % len(_COLORED)] for i in range(len(words))]
    return tuple(
        Asked(
            prompt=f"{'an' if word[0] in 'aeiou' else 'a'} {word} {thing}", subjects=((title,),), color=word
        )
        for word, (thing, title) in zip(words, things, strict=True)
    )


COLORS = _colors()
"""71 prompts that ask for a color."""

_SCENES: Mapping[str, str] = {
    "night sky": "under a night sky",
    "grass": "on the grass",
    "sea": "by the sea",
    "snow": "in the snow",
    "sunset": "at sunset",
    "city": "in the city",
}
_SHADES = ("light blue", "dark blue", "light green", "dark green", "light yellow", "light pink")
_BEFORE = (
    ("a cat", "cat"),
    ("a bicycle", "bicycle"),
    ("an owl", "owl"),
    ("a red mushroom", "mushroom"),
    ("a cupcake", "cupcake"),
    ("two dogs", "dog"),
    ("a robot", "robot"),
    ("a yellow umbrella", "umbrella"),
    ("a small rabbit", "rabbit"),
    ("a guitar", "guitar"),
    ("a penguin", "penguin"),
)


def _backgrounds() -> tuple[Asked, ...]:
    """Every scene five times, every plain color twice, some shades once."""
    grounds = [
        *[(scene, words) for _ in range(5) for scene, words in _SCENES.items()],
        *[(color, f"on a {color} background") for _ in range(2) for color in _PLAIN],
        *[(color, f"on a {color} background") for color in _SHADES],
    ]
    grounds = [(ground, words.replace("a orange", "an orange")) for ground, words in grounds]
    things = [_BEFORE[i % len(_BEFORE)] for i in range(len(grounds))]
    return tuple(
        Asked(prompt=f"{thing} {words}", subjects=((title,),), background=ground)
        for (ground, words), (thing, title) in zip(grounds, things, strict=True)
    )


BACKGROUNDS = _backgrounds()
"""62 prompts that ask for a background."""
