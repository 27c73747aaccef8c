"""Line charts of a few series, drawn with Pillow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PIL import Image, ImageDraw, ImageFont

_WIDTH, _HEIGHT = 760, 380
_LEFT, _TOP, _RIGHT, _BOTTOM = 56, 40, 24, 50
_FINER = 2  # drawn larger and shrunk: smooth lines
_COLORS = ("#1f5fbf", "#c8402f", "#2b8a4b", "#8b4fb3", "#b07a10", "#4a4a4a")
_GRID, _TEXT = "#d8d8d8", "#222222"
_TICKS = 6

Series = Sequence[tuple[float, float]]


def line_chart(
    series: Mapping[str, Series],
    *,
    title: str,
    across: str,
    top: float | None = None,
    marks: Mapping[str, float] | None = None,
) -> Image.Image:
    """Draw series over one axis.

    Args:
        series: name -> points (x, y), y from 0 up; a series may be empty.
        title: above the chart.
        across: what x is.
        top: the highest y; None: the largest value.
        marks: name -> y of a dashed line.
    """
    frame = _Frame(series, top=top, marks=marks or {})
    frame.axes(title, across)
    for i, (name, points) in enumerate(series.items()):
        frame.line(name, points, place=i)
    return frame.finished()


class _Frame:
    def __init__(
        self, series: Mapping[str, Series], *, top: float | None, marks: Mapping[str, float]
    ) -> None:
        points = [point for row in series.values() for point in row] or [(0.0, 0.0)]
        self._x = (min(x for x, _ in points), max(x for x, _ in points))
        self._top = top or max([y for _, y in points] + list(marks.values())) * 1.08 or 1.0
        self._marks = marks
        self._image = Image.new("RGB", (_WIDTH * _FINER, _HEIGHT * _FINER), "white")
        self._pen = ImageDraw.Draw(self._image)
        self._font = ImageFont.load_default(13 * _FINER)
        self._legend = _LEFT

    def _at(self, x: float, y: float) -> tuple[float, float]:
        low, high = self._x
        share = (x - low) / (high - low) if high > low else 0.5
        return (
            (_LEFT + share * (_WIDTH - _LEFT - _RIGHT)) * _FINER,
            (_HEIGHT - _BOTTOM - min(y / self._top, 1.0) * (_HEIGHT - _TOP - _BOTTOM)) * _FINER,
        )

    def _say(self, x: float, y: float, text: str, *, anchor: str, fill: str = _TEXT) -> None:
        self._pen.text((x * _FINER, y * _FINER), text, fill=fill, font=self._font, anchor=anchor)

    def axes(self, title: str, across: str) -> None:
        """Grid, numbers, names and dashed marks."""
        low, high = self._x
        for i in range(_TICKS):
            y = self._top * i / (_TICKS - 1)
            self._pen.line([self._at(low, y), self._at(high, y)], fill=_GRID, width=_FINER)
            self._say(_LEFT - 6, self._at(low, y)[1] / _FINER, f"{y:.3g}", anchor="rm")
            x = low + (high - low) * i / (_TICKS - 1)
            self._say(self._at(x, 0)[0] / _FINER, _HEIGHT - _BOTTOM + 6, f"{x:,.4g}", anchor="mt")
        self._say((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 8, across, anchor="mb")
        self._say(_LEFT, 4, title, anchor="lt")
        for name, y in self._marks.items():
            (start, at), (end, _) = self._at(low, y), self._at(high, y)
            for dash in range(int(start), int(end), 16):
                self._pen.line([(dash, at), (dash + 8, at)], fill="#777777", width=_FINER)
            self._say(end / _FINER, at / _FINER - 2, name, anchor="rb", fill="#777777")

    def line(self, name: str, points: Series, *, place: int) -> None:
        """One series with its entry in the legend."""
        color = _COLORS[place % len(_COLORS)]
        placed = [self._at(x, y) for x, y in sorted(points)]
        if len(placed) > 1:
            self._pen.line(placed, fill=color, width=2 * _FINER, joint="curve")
        for x, y in placed:
            r = 3 * _FINER
            self._pen.ellipse((x - r, y - r, x + r, y + r), fill=color)
        self._pen.line(
            [(self._legend * _FINER, 30 * _FINER), ((self._legend + 16) * _FINER, 30 * _FINER)],
            fill=color,
            width=3 * _FINER,
        )
        self._say(self._legend + 21, 30, name, anchor="lm")
        self._legend += 21 + round(self._pen.textlength(name, font=self._font) / _FINER) + 18

    def finished(self) -> Image.Image:
        """The chart at its own size."""
        return self._image.resize((_WIDTH, _HEIGHT), Image.Resampling.LANCZOS)
