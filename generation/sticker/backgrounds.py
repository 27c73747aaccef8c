"""Backgrounds: plain colors and painted scenes, some of them by night as well, at any size."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageDraw

from generation.sticker.colors import GROUNDS, Pixels, Rgb, shade

_OVERSAMPLE = 2  # scenes are painted larger and shrunk: smooth edges
_UNIT = 256  # lengths inside a painter are for a canvas this high


@dataclass(frozen=True, kw_only=True, slots=True)
class Scenery:
    """What a layout must know about a background: heights are shares of the canvas height, 0 is the top."""

    ground: float | None = None  # where things stand; None: they float in the middle
    horizon: float | None = None  # above it is sky
    water: bool = False  # things sink in a little
    dark: bool = False  # a contact shadow would not be seen


SCENES: Mapping[str, Scenery] = {
    "night sky": Scenery(dark=True),
    "grass": Scenery(ground=0.87, horizon=0.6),
    "sea": Scenery(ground=0.8, horizon=0.56, water=True),
    "snow": Scenery(ground=0.87, horizon=0.6),
    "sunset": Scenery(ground=0.86, horizon=0.58),
    "city": Scenery(ground=0.93, horizon=0.45),
}
"""The scenes that the model is trained on."""

MORE_SCENES: Mapping[str, Scenery] = {
    "beach": Scenery(ground=0.89, horizon=0.5),
    "desert": Scenery(ground=0.88, horizon=0.56),
}
"""Scenes that are painted, too."""

_NIGHT = "night "
_BY_NIGHT = frozenset({"grass", "sea", "snow", "city", "beach", "desert"})
_NIGHT_TINT = np.array([0.36, 0.42, 0.66])
_NIGHT_SKY: Sequence[tuple[float, Rgb]] = ((0, (12, 14, 46)), (0.6, (34, 34, 92)), (1, (66, 54, 124)))


def by_night(name: str) -> str | None:
    """The scene `name` by night, where it can be painted."""
    return f"{_NIGHT}{name}" if name in _BY_NIGHT else None


def scenery(name: str) -> Scenery:
    """What a layout must know about a background."""
    if name in SCENES:
        return SCENES[name]
    plain = name.removeprefix(_NIGHT)
    found = SCENES.get(plain) or MORE_SCENES.get(plain)
    if found is None:
        return Scenery()
    return replace(found, dark=plain != name)


def is_background(name: str) -> bool:
    """Whether `paint` knows `name`."""
    return name in SCENES or name in MORE_SCENES or name.removeprefix(_NIGHT) in _BY_NIGHT or is_plain(name)


def is_plain(name: str) -> bool:
    """Whether `name` is a plain color."""
    return name.removeprefix("light ").removeprefix("dark ") in GROUNDS


def paint(name: str, *, width: int, height: int, rng: random.Random) -> Pixels:
    """Paint a background.

    Args:
        name: a scene, one with "night" before it, or a color with or without "light"/"dark".
        width: px.
        height: px.
        rng: chooses stars, hills, houses and the exact shade.

    Returns:
        (height, width, 3) sRGB.

    Raises:
        KeyError: there is no such background.
    """
    scene = name if name in _PAINTERS else name.removeprefix(_NIGHT)
    if scene not in _PAINTERS:
        rgb = np.array(shade(name, GROUNDS), np.float32)
        if name != "white":  # white stays white: a sticker is cut out there
            rgb = rgb * rng.uniform(0.95, 1.04)
        return np.broadcast_to(np.clip(np.rint(rgb), 0, 255).astype(np.uint8), (height, width, 3)).copy()
    big = (width * _OVERSAMPLE, height * _OVERSAMPLE)
    canvas = _Canvas(width=big[0], height=big[1], unit=big[1] / _UNIT, rng=rng, night=scene != name)
    image = _PAINTERS[scene](canvas)
    return np.asarray(image.resize((width, height), Image.Resampling.LANCZOS)).copy()


@dataclass(frozen=True, kw_only=True, slots=True)
class _Canvas:
    width: int
    height: int
    unit: float  # px per unit
    rng: random.Random
    night: bool = False

    def tone(self, rgb: Rgb) -> Rgb:
        """A color as it looks at this time of day."""
        if not self.night:
            return rgb
        red, green, blue = (round(value) for value in np.array(rgb) * _NIGHT_TINT)
        return red, green, blue

    def sky(self, stops: Sequence[tuple[float, Rgb]]) -> Image.Image:
        if self.night:
            image = self._gradient(_NIGHT_SKY)
            self.dots(ImageDraw.Draw(image), self.rng.randint(22, 32), bottom=0.6, sizes=(1.2, 1.6, 2.4))
            return image
        return self._gradient(stops)

    def _gradient(self, stops: Sequence[tuple[float, Rgb]]) -> Image.Image:
        y = np.linspace(0, 1, self.height)
        at = [stop for stop, _ in stops]
        rows = np.stack([np.interp(y, at, [color[k] for _, color in stops]) for k in range(3)], -1)
        return Image.fromarray(np.repeat(rows[:, None], self.width, 1).round().astype(np.uint8))

    def wave(self, top: float, *, swing: float, length: float) -> list[tuple[float, float]]:
        """A closed area below a wavy line at `top` (px), `swing` px high, `length` px from crest to crest."""
        phase = self.rng.uniform(0, 6.28)
        points = [
            (float(x), top + swing * math.sin(phase + x / length * 2 * math.pi))
            for x in range(0, self.width + 8, 4)
        ]
        return [*points, (self.width, self.height), (0, self.height)]

    def dots(self, draw: ImageDraw.ImageDraw, count: int, *, bottom: float, sizes: Sequence[float]) -> None:
        """White dots above `bottom` (a share of the height)."""
        for _ in range(round(count * self.width / self.height)):
            x, y = self.rng.uniform(0, self.width), self.rng.uniform(0, bottom) * self.height
            r = self.rng.choice(sizes) * self.unit
            draw.ellipse((x - r, y - r, x + r, y + r), fill=(255, 253, self.rng.randint(225, 255)))


def _night(canvas: _Canvas) -> Image.Image:
    image = canvas.sky(_NIGHT_SKY)
    canvas.dots(ImageDraw.Draw(image), canvas.rng.randint(26, 38), bottom=1, sizes=(1.2, 1.6, 2.4))
    return image


def _grass(canvas: _Canvas) -> Image.Image:
    image = canvas.sky([(0, (132, 200, 246)), (0.65, (214, 238, 250)), (1, (214, 238, 250))])
    draw, rng, unit = ImageDraw.Draw(image), canvas.rng, canvas.unit
    top = rng.uniform(0.57, 0.63) * canvas.height
    draw.polygon(
        canvas.wave(top - 8 * unit, swing=9 * unit, length=canvas.height * 1.1),
        fill=canvas.tone((132, 202, 108)),
    )
    draw.polygon(
        canvas.wave(top + 8 * unit, swing=6 * unit, length=canvas.height * 1.6),
        fill=canvas.tone((104, 184, 84)),
    )
    for _ in range(round(60 * canvas.width / canvas.height)):
        x, y = rng.uniform(0, canvas.width), rng.uniform(top + 24 * unit, canvas.height)
        near = 0.6 + (y - top) / (canvas.height - top) * 0.7
        draw.line(
            (x, y, x + rng.uniform(-3, 3) * unit, y - rng.uniform(6, 10) * unit * near),
            fill=canvas.tone(rng.choice([(84, 162, 70), (128, 202, 100)])),
            width=max(1, round(2.4 * unit * near)),
        )
    return image


def _sea(canvas: _Canvas) -> Image.Image:
    image = canvas.sky([(0, (140, 206, 248)), (0.56, (220, 241, 250)), (1, (220, 241, 250))])
    draw, unit, bands = ImageDraw.Draw(image), canvas.unit, 5
    top = canvas.rng.uniform(0.54, 0.58)
    for band in range(bands):
        y = (top + (1 - top) * band / bands) * canvas.height
        area = canvas.wave(y, swing=(1.5 + band) * unit, length=canvas.height * (0.3 + 0.06 * band))
        draw.polygon(area, fill=canvas.tone((56 - 5 * band, 150 - 12 * band, 212 - 10 * band)))
    return image


def _beach(canvas: _Canvas) -> Image.Image:
    image = canvas.sky([(0, (140, 206, 248)), (0.5, (222, 242, 250)), (1, (222, 242, 250))])
    draw, unit, rng = ImageDraw.Draw(image), canvas.unit, canvas.rng
    top = rng.uniform(0.46, 0.5) * canvas.height
    for band, color in enumerate([(56, 150, 212), (84, 176, 220), (140, 208, 226)]):
        area = canvas.wave(top + band * 16 * unit, swing=(1.5 + band) * unit, length=canvas.height * 0.4)
        draw.polygon(area, fill=canvas.tone(color))
    shore = top + 44 * unit
    for step, color in ((0, (250, 250, 246)), (6, (238, 218, 172)), (40, (244, 226, 184))):
        area = canvas.wave(shore + step * unit, swing=5 * unit, length=canvas.height * 1.5)
        draw.polygon(area, fill=canvas.tone(color))
    return image


def _desert(canvas: _Canvas) -> Image.Image:
    image = canvas.sky([(0, (124, 190, 236)), (0.6, (250, 230, 196)), (1, (250, 230, 196))])
    draw, unit = ImageDraw.Draw(image), canvas.unit
    top = canvas.rng.uniform(0.53, 0.58) * canvas.height
    for step, swing, length, color in (
        (-8, 12, 1.3, (226, 178, 112)),
        (14, 10, 0.9, (236, 194, 126)),
        (44, 9, 1.6, (244, 208, 144)),
    ):
        area = canvas.wave(top + step * unit, swing=swing * unit, length=canvas.height * length)
        draw.polygon(area, fill=canvas.tone(color))
    return image


def _snow(canvas: _Canvas) -> Image.Image:
    image = canvas.sky([(0, (150, 186, 222)), (0.62, (216, 230, 243)), (1, (216, 230, 243))])
    draw, unit = ImageDraw.Draw(image), canvas.unit
    top = canvas.rng.uniform(0.57, 0.63) * canvas.height
    draw.polygon(
        canvas.wave(top - 6 * unit, swing=10 * unit, length=canvas.height * 1.2),
        fill=canvas.tone((230, 238, 247)),
    )
    draw.polygon(
        canvas.wave(top + 10 * unit, swing=5 * unit, length=canvas.height * 1.7),
        fill=canvas.tone((249, 251, 254)),
    )
    canvas.dots(draw, 30, bottom=0.62, sizes=(1.7, 2.4, 3.4))
    return image


def _sunset(canvas: _Canvas) -> Image.Image:
    image = canvas.sky(
        [(0, (92, 62, 138)), (0.3, (206, 92, 122)), (0.58, (255, 190, 100)), (1, (255, 206, 120))]
    )
    draw, unit = ImageDraw.Draw(image), canvas.unit
    side = canvas.rng.choice((0.16, 0.84))  # beside what stands in the middle
    x, y, r = side * canvas.width, 0.58 * canvas.height, 30 * unit
    draw.ellipse((x - r, y - r, x + r, y + r), fill=(255, 236, 156))
    draw.rectangle((0, y, canvas.width, canvas.height), fill=(88, 54, 104))
    for band in range(6):
        top, half = y + (6 + 14 * band) * unit, (34 - 4 * band) * unit
        draw.rounded_rectangle(
            (x - half, top, x + half, top + 4 * unit), radius=2 * unit, fill=(240, 150, 110)
        )
    return image


def _city(canvas: _Canvas) -> Image.Image:
    image = canvas.sky([(0, (126, 176, 226)), (1, (236, 226, 226))])
    draw, rng, unit = ImageDraw.Draw(image), canvas.rng, canvas.unit
    street = 0.87 * canvas.height
    for near, wall in enumerate([(158, 172, 198), (112, 124, 156)]):
        x = -rng.uniform(0, 20) * unit
        while x < canvas.width:
            wide, high = rng.uniform(26, 46) * unit, rng.uniform(0.24, 0.5 - 0.1 * near) * canvas.height
            draw.rectangle((x, street - high, x + wide, street), fill=canvas.tone(wall))
            if near:
                _windows(draw, (x, street - high, x + wide, street), unit, rng)
            x += wide + rng.uniform(0, 4) * unit
    draw.rectangle((0, street, canvas.width, canvas.height), fill=canvas.tone((98, 100, 110)))
    draw.rectangle((0, street, canvas.width, street + 4 * unit), fill=canvas.tone((188, 190, 198)))
    return image


def _windows(
    draw: ImageDraw.ImageDraw, wall: tuple[float, float, float, float], unit: float, rng: random.Random
) -> None:
    left, top, right, bottom = wall
    for x in np.arange(left + 5 * unit, right - 9 * unit, 11 * unit):
        for y in np.arange(top + 7 * unit, bottom - 10 * unit, 14 * unit):
            if rng.random() < 0.6:
                draw.rectangle((x, y, x + 5 * unit, y + 7 * unit), fill=(252, 226, 150))


_PAINTERS: Mapping[str, Callable[[_Canvas], Image.Image]] = {
    "night sky": _night,
    "grass": _grass,
    "sea": _sea,
    "snow": _snow,
    "sunset": _sunset,
    "city": _city,
    "beach": _beach,
    "desert": _desert,
}
