"""Training pictures with captions: credited cut-outs, composed by the code that makes drafts."""

from __future__ import annotations

import copy
import io
import json
import random
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from generation.sticker.backgrounds import SCENES, Scenery, paint
from generation.sticker.colors import COLORS, GROUNDS, Pixels, recolor
from generation.sticker.draft import composite, measure, trim
from generation.sticker.geometry import Placement, Shape
from generation.sticker.layout import arrange
from generation.sticker.packages import DatasetError, check_license
from generation.sticker.prompt import Layout, Size

EDGE = 128
_PAINTED = 24  # versions of each scene, painted once: painting is slower than composing

_STYLE_WORDS = {
    "fluent3d": ("3d style", "3d", "3d render"),
    "twemoji": ("flat style", "flat sticker"),
    "noto": ("shaded style", "cartoon style"),
    "fluentflat": ("flat style", "flat icon"),
    "own": ("3d style", "3d"),
    "clipart": ("drawing style", "clipart style"),
}
_GROUP_WEIGHTS = {0: 0.6, 1: 0.2, 3: 1.4, 4: 1.4, 5: 1.2, 6: 1.0, 7: 1.1, 8: 0.25}
_OTHER_GROUP = 0.25
_SCENE_WORDS = {
    "night sky": " under a night sky",
    "grass": " on the grass",
    "sea": " by the sea",
    "snow": " in the snow",
    "sunset": " at sunset",
    "city": " in the city",
}
_COUNT_WORDS = {2: "two", 3: "three", 4: "four"}


class PictureFolder:
    """A folder of `images_128.zip`, `captions.jsonl` and `attribution.jsonl`, read into memory.

    Raises:
        DatasetError: a file is missing or damaged, or a picture's license is refused.
    """

    def __init__(self, folder: Path, *, paint_scenes: bool = True) -> None:
        try:
            self.rows = _lines(folder / "captions.jsonl")
            for row in _lines(folder / "attribution.jsonl"):
                check_license(str(row["license"]), what=str(row["file"]))
            with zipfile.ZipFile(folder / "images_128.zip") as archive:
                self.images = np.zeros((len(self.rows), EDGE, EDGE, 4), np.uint8)
                for i, row in enumerate(self.rows):
                    with Image.open(io.BytesIO(archive.read(str(row["file"])))) as picture:
                        self.images[i] = np.asarray(picture.convert("RGBA"))
        except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
            raise DatasetError(f"the pictures in {folder} cannot be read: {error}") from error
        self.titles = [str(row["title"]).lower().replace("\u2019", "'") for row in self.rows]
        self.styles = [str(row["style"]) for row in self.rows]
        weights = [
            _GROUP_WEIGHTS.get(row["group"], _OTHER_GROUP) * (1.4 if style == "fluent3d" else 1.0)
            for row, style in zip(self.rows, self.styles, strict=True)
        ]
        self.weights = np.cumsum(weights).tolist()
        self.by_style: dict[str, list[int]] = {}
        for i, style in enumerate(self.styles):
            self.by_style.setdefault(style, []).append(i)
        rng = random.Random(7)
        self.scenes = {
            name: [
                paint(name, width=EDGE, height=EDGE, rng=rng) for _ in range(_PAINTED if paint_scenes else 1)
            ]
            for name in SCENES
        }

    def part(self, every: int, *, rest: bool) -> PictureFolder:
        """The same folder with each `every`-th picture alone, or with the rest of them."""
        part = copy.copy(self)
        chosen = [(i % every != 0) == rest for i in range(len(self.rows))]
        each = np.diff(self.weights, prepend=0.0) * chosen
        part.weights = np.cumsum(each).tolist()
        part.by_style = {
            style: kept for style, all_ in self.by_style.items() if (kept := [i for i in all_ if chosen[i]])
        }
        return part

    def sample(self, rng: random.Random) -> tuple[Pixels, str]:
        """Compose one training picture (128, 128, 3) and its caption."""
        first = rng.choices(range(len(self.rows)), cum_weights=self.weights)[0]
        name, picture = self._subject(first, rng)
        background = self._background(rng)
        kind = rng.random()
        if kind < 0.6:
            size: Size = "small" if kind > 0.55 else "normal"
            text = f"small {name}" if size == "small" else self._single(first, name, rng)
            items = [(picture, first, 1, size)]
            relation = Layout.BESIDE
        elif kind < 0.76:
            count = rng.choice((2, 2, 3, 4))
            text = f"{_COUNT_WORDS[count]} {_plural(name)}"
            items = [(picture, first, count, "normal")]
            relation = Layout.BESIDE
        else:
            second = rng.choice(self.by_style[self.styles[first]])
            other, other_picture = self._subject(second, rng)
            relation = rng.choice(
                (Layout.ABOVE, Layout.ON, Layout.LEFT, Layout.LEFT, Layout.BESIDE, Layout.BESIDE)
            )
            text = _pair_caption(name, other, relation, rng)
            items = [(picture, first, 1, "normal"), (other_picture, second, 1, "normal")]
        pixels = self._compose(items, relation, background, rng)
        return pixels, text + self._tail(first, background, rng)

    def _subject(self, index: int, rng: random.Random) -> tuple[str, Pixels]:
        title, picture = self.titles[index], self.images[index]
        if rng.random() < 0.25:
            color = rng.choice(list(COLORS))
            core = " ".join(word for word in title.split() if word not in COLORS) or title
            return f"{color} {core}", recolor(picture, color)
        return title, picture

    def _single(self, index: int, name: str, rng: random.Random) -> str:
        keywords = [str(word) for word in self.rows[index]["keywords"]]
        if name == self.titles[index] and keywords:
            draw = rng.random()
            if draw < 0.2:
                return ", ".join([name, *rng.sample(keywords, min(len(keywords), rng.randint(1, 2)))])
            if draw < 0.3:
                return ", ".join(rng.sample(keywords, min(len(keywords), rng.randint(1, 3))))
        return _article(name) if rng.random() < 0.4 else name

    def _background(self, rng: random.Random) -> str:
        draw = rng.random()
        if draw < 0.45:
            return "white"
        return rng.choice(list(GROUNDS)) if draw < 0.72 else rng.choice(list(SCENES))

    def _compose(
        self,
        items: Sequence[tuple[Pixels, int, int, Size]],
        relation: Layout,
        background: str,
        rng: random.Random,
    ) -> Pixels:
        groups: list[tuple[Shape, int]] = [
            (measure(picture, title=self.titles[index], group=self.rows[index]["group"], size=size), count)
            for picture, index, count, size in items
        ]
        placements: tuple[Placement, ...] = arrange(
            groups, relation, width=EDGE, height=EDGE, scenery=SCENES.get(background, Scenery()), rng=rng
        )
        if background in SCENES:
            canvas = rng.choice(self.scenes[background])
        else:
            canvas = paint(background, width=EDGE, height=EDGE, rng=rng)
        return composite(canvas, [trim(picture) for picture, *_ in items], placements)[0]

    def _tail(self, index: int, background: str, rng: random.Random) -> str:
        text = ""
        if rng.random() < 0.8:
            text += f", {rng.choice(_STYLE_WORDS.get(self.styles[index], ('drawing style',)))}"
        if background in SCENES:
            return text + (_SCENE_WORDS[background] if rng.random() < 0.5 else f", {background} background")
        if background != "white":
            return text + rng.choice((f" on a {background} background", f", {background} background"))
        return text + (", white background" if rng.random() < 0.2 else "")


def _lines(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8") as stream:
        return [json.loads(line) for line in stream]


def _article(words: str) -> str:
    return f"an {words}" if words[:1] in "aeiou" else f"a {words}"


def _plural(words: str) -> str:
    if words.endswith("s"):
        return words
    return words + ("es" if words.endswith(("sh", "ch", "x")) else "s")


def _pair_caption(first: str, second: str, relation: Layout, rng: random.Random) -> str:
    one, two = _article(first), _article(second)
    if relation is Layout.ABOVE:
        return f"{one} above {two}"
    if relation is Layout.ON:
        return rng.choice((f"{one} on {two}", f"{one} above {two}"))
    if relation is Layout.LEFT:
        return rng.choice((f"{one} on the left and {two} on the right", f"{one} and {two}"))
    return rng.choice((f"{one} and {two}", f"{first} and {second}"))


def to_patches(pixels: npt.NDArray[np.float32], *, edge: int = 8) -> npt.NDArray[np.float32]:
    """Cut (n, H, W, 3) into (n, H / edge, W / edge, edge * edge * 3)."""
    n, height, width, channels = pixels.shape
    cut = pixels.reshape(n, height // edge, edge, width // edge, edge, channels)
    return cut.transpose(0, 1, 3, 2, 4, 5).reshape(n, height // edge, width // edge, edge * edge * channels)
