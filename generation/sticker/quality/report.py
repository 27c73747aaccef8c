"""Writes the quality report: figures, plots and sheets, all computed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from generation.sticker.quality.judge import SEEDS_DIFFER, Quality
from generation.sticker.quality.measures import BLOTCH, PLAIN_ERROR, SCENE_ERROR
from generation.sticker.quality.plots import line_chart
from generation.sticker.quality.prompts import SHEET_SEEDS
from generation.sticker.quality.sheet import draw_sheet
from generation.sticker.quality.strengths import (
    BLOTCHED,
    BROKEN_BAR,
    SOFT,
    SUBJECT_BAR,
    StrengthRow,
    earned_strength,
)
from generation.sticker.quality.subjects import TOP

_PER_IMAGE = 16
_COLUMNS = 2
_QUALITY = 82  # of WebP
_GROWTH_STRENGTHS = (0.125, 0.25, 0.45, 1.0)

_FIGURES = (  # key, what it says, the bar (None: it has none), whether smaller is better
    ("subject_top5", "one subject, found", 0.80, False),
    ("draft_only_top5", "the same for the bare draft", None, False),
    ("yardstick_top5", "the same for the reference picture itself, as it ships", None, False),
    ("two_subject_top5", "two subjects, both found", 0.60, False),
    ("draft_only_two_subject_top5", "the same for the bare draft", None, False),
    ("colour", "asked color is the subject's main one", 0.85, False),
    ("background", "asked background is there", 0.95, False),
    ("earned_strength", "earned strength", 0.45, False),
    ("strength", "strength that ships", None, False),
    ("change_from_draft", "change from the draft at it, of 255", None, False),
    ("change_from_draft_db", "the same, dB", None, False),
    ("blotches", "blotched cells at it", None, True),
    ("edges", "sharpness of edges kept at it", None, False),
    ("broken", "pictures that look smeared or soft at it", None, True),
    ("seeds_differ", "prompts whose two seeds differ visibly", None, False),
    ("cpu_s", "CPU seconds of the model for a picture", 3.0, True),
    ("path_ms", "ms for a whole request, everything included", 5000, True),
)


def write_report(
    folder: Path,
    figures: Mapping[str, object],
    quality: Quality,
    *,
    growth: Mapping[int, Sequence[StrengthRow]],
) -> Path:
    """Write `sticker-quality.md` and its images.

    Args:
        folder: of the documentation; images go to `images/` in it.
        figures: those of `quality`, with `path_ms` where the whole path was measured.
        quality: what the bench found.
        growth: training samples -> the rows that were measured after them.

    Returns:
        The page.
    """
    images = folder / "images"
    images.mkdir(parents=True, exist_ok=True)
    for old in images.glob("sticker-*"):
        old.unlink()
    page = folder / "sticker-quality.md"
    parts = [
        *_head(figures),
        *_strengths(quality.strengths, images),
        *_growth(growth, images),
        *_sheets(quality, images),
        *_missed(quality),
        *_method(figures),
    ]
    page.write_text("\n".join(parts) + "\n", encoding="utf-8")
    return page


def _head(figures: Mapping[str, object]) -> Iterator[str]:
    yield "# The sticker model, measured\n"
    yield (
        f"Written by `verso bench sticker --report docs` for `{figures['model']}`; every number and picture "
        "on this page is computed by it. What the model is: [model card](model-card-sticker.md).\n"
    )
    yield "| figure | value | bar | |\n|---|---|---|---|"
    for key, name, bar, smaller in _FIGURES:
        value = figures.get(key)
        if not isinstance(value, int | float):
            continue
        reached = bar is None or (value <= bar if smaller else value >= bar)
        sign = ("at most" if smaller else "at least") if bar is not None else ""
        yield (
            f"| {name} (`{key}`) | {value:.3g} | {f'{sign} {bar:g}' if bar is not None else ''} "
            f"| {'' if bar is None else 'reached' if reached else '**missed**'} |"
        )
    megabytes = figures["megabytes"]
    if isinstance(megabytes, Mapping):
        for name, size in megabytes.items():
            yield f"| {name} (`megabytes`) | {size:.1f} | {_size_bar(name)} | {_size_reached(name, size)} |"


_SIZES = {"weights": 30, "references": 20}  # MB


def _size_bar(name: str) -> str:
    return f"at most {_SIZES[name]}" if name in _SIZES else ""


def _size_reached(name: str, size: float) -> str:
    return "" if name not in _SIZES else "reached" if size <= _SIZES[name] else "**missed**"


def _strengths(rows: Sequence[StrengthRow], images: Path) -> Iterator[str]:
    yield "\n## Strength\n"
    yield (
        "The more noise the draft gets, the more diffusion draws by itself. *Earned* is the largest strength "
        f"up to which the subject is found in at least {SUBJECT_BAR:.0%} of the pictures and at most "
        f"{BROKEN_BAR:.0%} of them look broken: more than {BLOTCHED:.0%} of the draft's even cells blotched, "
        f"or less than {SOFT:.0%} of the sharpness of its edges left.\n"
    )
    yield "| strength | subject found | blotched cells | edges kept | broken | change, of 255 | dB | |"
    yield "|---|---|---|---|---|---|---|---|"
    for row in rows:
        yield (
            f"| {row.strength:g} | {row.subject_top5:.0%} | {row.blotches:.1%} | {row.edges:.0%} "
            f"| {row.broken:.0%} | {row.change:.1f} | {row.change_db:.1f} "
            f"| {'passes' if row.passes else ''} |"
        )
    names = {
        "subject found": "subject_top5",
        "edges kept": "edges",
        "blotched cells": "blotches",
        "broken pictures": "broken",
    }
    chart = line_chart(
        {name: [(row.strength, max(0.0, getattr(row, key))) for row in rows] for name, key in names.items()},
        title="What strength does to a picture",
        across="strength",
        top=1.0,
        marks={f"subject bar {SUBJECT_BAR:g}": SUBJECT_BAR},
    )
    chart.save(images / "sticker-strengths.png", optimize=True)
    yield "\n![Figures by strength](images/sticker-strengths.png)"


def _growth(growth: Mapping[int, Sequence[StrengthRow]], images: Path) -> Iterator[str]:
    yield "\n## Growth with training\n"
    if not growth:
        yield "No row yet: `verso bench sticker --growth-row SAMPLES` adds the model that it measures."
        return
    yield "| training samples | earned strength |" + "".join(f" edges at {s:g} |" for s in _GROWTH_STRENGTHS)
    yield "|---|---|" + "---|" * len(_GROWTH_STRENGTHS)
    edges: dict[float, list[tuple[float, float]]] = {strength: [] for strength in _GROWTH_STRENGTHS}
    earned = []
    for samples, rows in growth.items():
        found = {row.strength: row for row in rows}
        for strength, points in edges.items():
            if strength in found:
                points.append((samples, max(0.0, found[strength].edges)))
        earned.append((float(samples), earned_strength(rows)))
        cells = "".join(f" {found[s].edges:.0%} |" if s in found else " |" for s in _GROWTH_STRENGTHS)
        yield f"| {samples:,} | {earned[-1][1]:g} |{cells}"
    chart = line_chart(
        {"earned strength": earned, **{f"edges at {s:g}": points for s, points in edges.items()}},
        title="What training does to the earned strength and to sharpness",
        across="training samples",
        top=1.0,
        marks={"bar of the earned strength": 0.45},
    )
    chart.save(images / "sticker-growth.png", optimize=True)
    yield "\n![Growth with training](images/sticker-growth.png)"


def _sheets(quality: Quality, images: Path) -> Iterator[str]:
    yield f"\n## The sheet\n\nEvery prompt with seeds {' and '.join(map(str, SHEET_SEEDS))}, as it ships."
    for start in range(0, len(quality.sheet), _PER_IMAGE):
        entries = quality.sheet[start : start + _PER_IMAGE]
        name = f"sticker-sheet-{start // _PER_IMAGE + 1}.webp"
        draw_sheet(entries, columns=_COLUMNS).save(images / name, quality=_QUALITY, method=6)
        yield f"\n![Prompts {entries[0].number} to {entries[-1].number}](images/{name})\n"
        for entry in entries:
            yield f"{entry.number}. {entry.prompt}" + (f" ({entry.note})" if entry.note else "")


def _missed(quality: Quality) -> Iterator[str]:
    yield "\n## What counted as wrong"
    for figure, lines in quality.missed.items():
        yield f"\n**`{figure}`**" + ("" if lines else ": none") + "\n"
        yield from (f"* {line}" for line in lines)


def _method(figures: Mapping[str, object]) -> Iterator[str]:
    counts = figures["n"]
    yield "\n## How it is measured\n"
    if isinstance(counts, Mapping):
        named = ", ".join(f"`{key}` {n}" for key, n in counts.items())
        yield f"* Prompts: {named}. They are fixed in `generation/sticker/quality/` with what each must show."
    yield _METHOD


_METHOD = f"""\
* Seeds: the place in the list, counted from 1; {" and ".join(map(str, SHEET_SEEDS))} on the sheet.
* Subject: each asked subject is cut out of the finished picture where the plan put it (all that differs
  from the bare ground, smears included), laid on white and embedded with EfficientNet-Lite0, which never
  saw our titles. It is found if its title is among the {TOP} titles whose reference pictures are nearest. The
  very pictures that the result rests on are left out, so another drawing of the same thing must be nearer
  than those of some 1,600 other things. "cat face" counts as "cat"; other titles count only where the fixed
  list says that the word means them, too. The distance (centered, 512 directions, mostly whitened) was
  chosen on the reference pictures alone. Both subjects must be found for a pair. `yardstick_top5` is what
  the measure makes of the untouched reference picture: it misses some of these, too.
* Color: the most frequent of 13 plain color names (by lightness, chroma and hue in CIELAB) among the pixels
  in the subject's place that differ visibly from the ground.
* Background: where the draft left the ground free, 90 % of the pixels are within {PLAIN_ERROR} of 255 of
  the asked plain color in every channel, or the mean difference from the asked scene, painted anew, is at
  most {SCENE_ERROR:g}.
* Blotches: a cell of 8 x 8 native px that was even in the draft is blotched if a tenth of its pixels differ
  by more than dE {BLOTCH:g} from what happened to all cells of its color. Edges: the gradient of the result
  along that of the draft at the draft's strongest edges. Both compare with the draft, so they say little at
  strength 1, where none is left. The limits were set by looking at pictures of every strength at 256 px;
  they order trainings, and the eye has the last word.
* Seeds differ: the mean difference of both pictures is at least {SEEDS_DIFFER:g} of 255.
* Seconds: medians after a warm-up, one thread; `path_ms` is a whole request with moderation, signature and
  record."""
