"""The words that parser and retrieval know: colors, numbers, sizes, styles, places, aliases."""

from __future__ import annotations

from collections.abc import Mapping

_PLAIN = [
    "red",
    "orange",
    "yellow",
    "green",
    "teal",
    "blue",
    "purple",
    "pink",
    "brown",
    "beige",
    "white",
    "gray",
    "black",
]

COLOR_WORDS: Mapping[str, str] = {
    **{name: name for name in _PLAIN},
    "amber": "orange",
    "aqua": "teal",
    "azure": "light blue",
    "blond": "yellow",
    "bronze": "brown",
    "burgundy": "dark red",
    "cobalt": "blue",
    "cream": "beige",
    "crimson": "red",
    "cyan": "teal",
    "emerald": "green",
    "fuchsia": "pink",
    "gold": "yellow",
    "golden": "yellow",
    "grey": "gray",
    "indigo": "dark blue",
    "ivory": "beige",
    "lavender": "light purple",
    "lilac": "light purple",
    "lime": "light green",
    "magenta": "pink",
    "maroon": "dark red",
    "mauve": "light purple",
    "mint": "light green",
    "navy": "dark blue",
    "olive": "dark green",
    "peach": "light orange",
    "rose": "pink",
    "ruby": "red",
    "scarlet": "red",
    "silver": "gray",
    "silvery": "gray",
    "tan": "beige",
    "turquoise": "teal",
    "violet": "purple",
}
"""Color word -> key of `colors.COLORS`, possibly with light/dark."""

NOUN_COLORS = frozenset(
    ["rose", "violet", "gold", "orange", "olive", "peach", "lime", "ruby", "mint", "lavender", "cream"]
)
"""Color words that are also things: colors only when a noun follows."""

SHADES: Mapping[str, str] = {
    "light": "light",
    "pale": "light",
    "pastel": "light",
    "bright": "",
    "vivid": "",
    "neon": "",
    "dark": "dark",
    "deep": "dark",
    "baby": "light",
    "sky": "light",
    "royal": "",
    "forest": "dark",
    "hot": "",
}
"""Words before a color word -> the shade of it."""

NUMBERS: Mapping[str, int] = {
    "one": 1,
    "single": 1,
    "two": 2,
    "couple": 2,
    "pair": 2,
    "twin": 2,
    "three": 3,
    "trio": 3,
    "few": 3,
    "several": 3,
    "some": 3,
    "four": 4,
    "many": 4,
    "lots": 4,
    "five": 4,
    "six": 4,
    "seven": 4,
    "eight": 4,
    "nine": 4,
    "ten": 4,
    "dozen": 4,
}
"""Number word -> how many are drawn (four at most)."""

SIZES: Mapping[str, str] = {
    **dict.fromkeys(("small", "tiny", "little", "mini", "miniature", "wee"), "small"),
    **dict.fromkeys(
        ("big", "large", "huge", "giant", "gigantic", "enormous", "massive", "oversized"), "large"
    ),
}

STYLES: Mapping[str, str] = {
    "3d": "3d",
    "3-d": "3d",
    "three-dimensional": "3d",
    "rendered": "3d",
    "clay": "3d",
    "glossy": "3d",
    "flat": "flat",
    "2d": "flat",
    "minimalist": "flat",
    "minimal": "flat",
    "simple": "flat",
    "vector": "flat",
    "icon": "icon",
    "shaded": "shaded",
    "cartoon": "shaded",
    "cartoony": "shaded",
    "comic": "shaded",
    "drawing": "shaded",
    "drawn": "shaded",
    "clipart": "shaded",
    "illustration": "shaded",
    "illustrated": "shaded",
    "painted": "shaded",
}
"""Style word -> one of the four drawing styles of the reference sets."""

STYLE_CAPTIONS: Mapping[str, str] = {
    "3d": "3d style",
    "flat": "flat style",
    "shaded": "shaded style",
    "icon": "flat icon",
}
"""Style -> how captions name it in training."""

FILLERS = frozenset(
    [
        "a",
        "an",
        "the",
        "my",
        "your",
        "his",
        "her",
        "its",
        "our",
        "their",
        "this",
        "that",
        "these",
        "those",
        "some",
        "any",
        "of",
        "very",
        "really",
        "quite",
        "so",
        "too",
        "just",
        "please",
        "draw",
        "drawing",
        "me",
        "make",
        "create",
        "generate",
        "show",
        "paint",
        "image",
        "picture",
        "photo",
        "sticker",
        "emoji",
        "icon",
        "logo",
        "render",
        "illustration",
        "depicting",
        "showing",
        "featuring",
        "scene",
        "containing",
        "cute",
        "nice",
        "beautiful",
        "pretty",
        "lovely",
        "adorable",
        "funny",
        "happy",
        "kawaii",
        "style",
        "styled",
        "high",
        "quality",
        "best",
        "detailed",
        "hd",
        "4k",
        "8k",
        "masterpiece",
        "there",
        "is",
        "are",
        "was",
        "with",
        "i",
        "want",
        "would",
        "like",
        "could",
        "you",
        "can",
        "get",
        "need",
        "looking",
        "realistic",
        "colorful",
        "clean",
        "plain",
        "simple",
        "background",
    ]
)
"""Words that name nothing to draw."""

_PLACE_WORDS = {
    "grass": """grass lawn meadow field park garden grassland hill hills farm countryside forest woods jungle
        pasture prairie savanna""",
    "sea": "sea ocean seaside beach waves water shore coast lake river seashore underwater",
    "snow": "snow winter ice arctic antarctica blizzard snowfield winterland snowfall",
    "sunset": "sunset sunrise dusk dawn twilight evening",
    "city": "city street town downtown skyline cityscape road metropolis avenue",
    "night sky": "night midnight nighttime stars starlight space galaxy cosmos universe moonlight",
}

PLACES: Mapping[str, str] = {
    **{word: place for place, words in _PLACE_WORDS.items() for word in words.split()},
    **dict.fromkeys(("night sky", "starry sky", "starry night", "outer space", "night time"), "night sky"),
    **dict.fromkeys(("sky", "blue sky", "clouds"), "light blue"),
}
"""Place word -> background, after a preposition of place ("in the snow") or before "background"."""

ADJECTIVE_PLACES: Mapping[str, str] = {
    "grassy": "grass",
    "snowy": "snow",
    "wintry": "snow",
    "starry": "night sky",
    "urban": "city",
}

UPWARD = frozenset(
    [
        "airplane",
        "bird",
        "eagle",
        "dove",
        "bat",
        "butterfly",
        "honeybee",
        "fly",
        "mosquito",
        "rocket",
        "satellite",
        "helicopter",
        "balloon",
        "parachute",
        "kite",
        "cloud",
        "sun",
        "star",
        "rainbow",
        "comet",
        "moon",
        "flying",
        "ringed",
        "lightning",
        "crescent",
    ]
)
"""Title words of things that belong in the sky of a scene."""

WORN_ON_TOP = frozenset(
    ["hat", "crown", "cap", "helmet", "bow", "ribbon", "beanie", "headphone", "headphones"]
)
"""Things that a subject wears on its head."""
