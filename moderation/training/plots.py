"""The report's pictures, drawn with Pillow: ROC curves, bars, a confusion matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from moderation.training.report import Scores

_FINER = 2  # drawn larger and shrunk: smooth lines
_COLORS = ("#1f5fbf", "#c8402f", "#2b8a4b", "#8b4fb3", "#b07a10", "#4a4a4a", "#0d8a8a")
_GRID, _TEXT = "#d8d8d8", "#222222"


class _Sheet:
    def __init__(self, width: int, height: int, title: str) -> None:
        self.image = Image.new("RGB", (width * _FINER, height * _FINER), "white")
        self.pen = ImageDraw.Draw(self.image)
        self.font = ImageFont.load_default(13 * _FINER)
        self.text(12, 10, title)

    def text(self, x: float, y: float, text: str, *, color: str = _TEXT, anchor: str = "la") -> None:
        self.pen.text((x * _FINER, y * _FINER), text, fill=color, font=self.font, anchor=anchor)

    def line(self, points: Sequence[tuple[float, float]], color: str, width: float = 1) -> None:
        scaled = [(x * _FINER, y * _FINER) for x, y in points]
        self.pen.line(scaled, fill=color, width=round(width * _FINER), joint="curve")

    def box(self, left: float, top: float, right: float, bottom: float, color: str) -> None:
        self.pen.rectangle([left * _FINER, top * _FINER, right * _FINER, bottom * _FINER], fill=color)

    def finished(self) -> Image.Image:
        width, height = self.image.size
        return self.image.resize((width // _FINER, height // _FINER), Image.Resampling.LANCZOS)


def roc_chart(pairs: Mapping[str, tuple[Scores, Scores]], title: str) -> Image.Image:
    """Draw the ROC curve of each (harmful, harmless) pair of scores; false positives up to 20 %."""
    sheet = _Sheet(720, 420, title)
    left, top, width, height, reach = 56, 40, 420, 330, 0.2
    for tick in range(6):
        x, y = left + width * tick / 5, top + height * (1 - tick / 5)
        sheet.line([(x, top), (x, top + height)], _GRID)
        sheet.line([(left, y), (left + width, y)], _GRID)
        sheet.text(x, top + height + 6, f"{reach * tick * 20:.0f} %", anchor="ma")
        sheet.text(left - 6, y, f"{tick * 20} %", anchor="rm")
    sheet.text(left + width / 2, top + height + 24, "harmless prompts above the threshold", anchor="ma")
    for place, (name, (harmful, harmless)) in enumerate(pairs.items()):
        color = _COLORS[place % len(_COLORS)]
        thresholds = np.quantile(harmless, 1 - np.linspace(0, reach, 81))
        points = [
            (left + width * step / 80, top + height * (1 - float((harmful > threshold).mean())))
            for step, threshold in enumerate(thresholds)
        ]
        sheet.line(points, color, 2)
        sheet.text(left + width + 20, top + 8 + 22 * place, name, color=color)
    return sheet.finished()


def bar_chart(values: Mapping[str, float], title: str, *, bar: float | None = None) -> Image.Image:
    """Draw shares (0 to 1) as bars with their names; `bar` draws the share to reach."""
    left, row = 190, 24
    sheet = _Sheet(720, 60 + row * len(values), title)
    for place, (name, value) in enumerate(values.items()):
        y = 44 + row * place
        sheet.text(left - 8, y + 8, name, anchor="rm")
        sheet.box(left, y, left + 430 * max(0.0, min(1.0, value)), y + 16, _COLORS[0])
        sheet.text(left + 440, y + 8, f"{value:.1%}", anchor="lm")
    if bar is not None:
        x = left + 430 * bar
        sheet.line([(x, 38), (x, 44 + row * len(values))], _COLORS[1])
    return sheet.finished()


def matrix_chart(table: np.ndarray, rows: Sequence[str], columns: Sequence[str], title: str) -> Image.Image:
    """Draw counts as a table, each cell as dark as its share of the row."""
    left, top, wide, high = 110, 70, 76, 28
    sheet = _Sheet(left + wide * len(columns) + 20, top + high * len(rows) + 20, title)
    for place, name in enumerate(columns):
        sheet.text(left + wide * (place + 0.5), top - 8, name[:10], anchor="md")
    for i, name in enumerate(rows):
        sheet.text(left - 8, top + high * (i + 0.5), name, anchor="rm")
        total = max(1, int(table[i].sum()))
        for j in range(len(columns)):
            x, y, share = left + wide * j, top + high * i, float(table[i, j]) / total
            level = round(255 - 190 * share)
            sheet.box(x + 1, y + 1, x + wide - 1, y + high - 1, f"#{level:02x}{level:02x}ff")
            sheet.text(x + wide / 2, y + high / 2, str(int(table[i, j])), anchor="mm")
    return sheet.finished()
