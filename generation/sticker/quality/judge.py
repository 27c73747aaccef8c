"""Draws the fixed prompts and judges them: the figures of `verso bench sticker`."""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from generation.sticker.backgrounds import SCENES, paint
from generation.sticker.colors import GROUNDS, Pixels, shade
from generation.sticker.draft import Plan
from generation.sticker.picture_encoder import PictureEncoder
from generation.sticker.quality.colored import BACKGROUNDS, COLOR_NAMES, COLORS
from generation.sticker.quality.drawing import Artist, Drawn, shrunk
from generation.sticker.quality.looks import Looks, main_placement
from generation.sticker.quality.measures import (
    blotches,
    change,
    decibels,
    dominant_color,
    edges_kept,
    foreground,
    plain_ground_agrees,
    scene_agrees,
)
from generation.sticker.quality.prompts import (
    GRID,
    PAIRS,
    SHEET,
    SHEET_SEEDS,
    SINGLE,
    STRENGTHS,
    Asked,
)
from generation.sticker.quality.sheet import SheetEntry, small
from generation.sticker.quality.strengths import StrengthRow, earned_strength, is_broken
from generation.sticker.quality.subjects import Gallery, box_of, same_subject

SEEDS_DIFFER = 8.0  # mean difference, of 255, from which two pictures are visibly not the same

Progress = Callable[[str, int, int], None]
"""Told the stage, how many of its pictures are done, and how many it has."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Prompts:
    """What is drawn; the fixed lists, or fewer of them."""

    single: tuple[Asked, ...] = SINGLE
    pairs: tuple[Asked, ...] = PAIRS
    colors: tuple[Asked, ...] = COLORS
    backgrounds: tuple[Asked, ...] = BACKGROUNDS
    sheet: tuple[str, ...] = SHEET
    grid: tuple[Asked, ...] = GRID  # each also in `single`
    strengths: tuple[float, ...] = STRENGTHS


@dataclass(frozen=True, kw_only=True, slots=True)
class Quality:
    """What was found."""

    figures: Mapping[str, object]  # the JSON of the bench
    strengths: tuple[StrengthRow, ...]
    sheet: tuple[SheetEntry, ...]
    missed: Mapping[str, tuple[str, ...]]  # figure -> the prompts that count against it, with what was seen


def judge(
    artist: Artist,
    encoder: PictureEncoder,
    gallery: Gallery,
    *,
    prompts: Prompts,
    progress: Progress,
) -> Quality:
    """Draw everything and measure it; some 400 pictures and the grid.

    Args:
        artist: the model.
        encoder: the independent embedding.
        gallery: its view of the reference pictures.
        prompts: what to draw.
        progress: told about every picture.
    """
    judging = _Judging(artist, encoder, gallery, progress)
    figures: dict[str, object] = {
        "model": artist.card.id,
        "seeds": {"lists": "1 + place in the list", "sheet": list(SHEET_SEEDS)},
    }
    figures |= judging.single(prompts.single) | judging.pairs(prompts.pairs)
    figures |= judging.colors(prompts.colors) | judging.backgrounds(prompts.backgrounds)
    sheet, differing = judging.sheet(prompts.sheet)
    seeds = [seed_of(prompts.single.index(asked)) for asked in prompts.grid]
    strengths = judging.strengths(prompts.grid, seeds, prompts.strengths)
    figures |= differing | {
        "earned_strength": earned_strength(strengths),
        "strengths": {
            f"{row.strength:g}": {name: value for name, value in asdict(row).items() if name != "strength"}
            for row in strengths
        },
        "n": {
            "subject_top5": len(prompts.single),
            "two_subject_top5": len(prompts.pairs),
            "colour": len(prompts.colors),
            "background": len(prompts.backgrounds),
            "seeds_differ": len(prompts.sheet),
            "strengths": len(prompts.grid),
        },
        "megabytes": artist.megabytes(),
    }
    return Quality(figures=figures, strengths=strengths, sheet=sheet, missed=judging.missed)


def seed_of(place: int) -> int:
    """The seed of the prompt at `place` in its list: each has its own, so that styles and layouts vary."""
    return place + 1


class _Judging:
    def __init__(self, artist: Artist, encoder: PictureEncoder, gallery: Gallery, progress: Progress) -> None:
        self._artist = artist
        self._encoder = encoder
        self._gallery = gallery
        self._progress = progress
        self.missed: dict[str, tuple[str, ...]] = {}

    def single(self, asked: Sequence[Asked]) -> dict[str, object]:
        """Subjects, the change from the draft, and the time it takes."""
        finished, drafts, rows, times, yardstick, strength = Looks(), Looks(), [], [], [], 0.0
        for one, drawn in self._drawn("single subjects", asked):
            draft = self._artist.enlarged_draft(drawn)
            finished.add(one, drawn, drawn.pixels)
            drafts.add(one, drawn, draft)
            rows.append((*change(drawn.pixels, draft), *_damage(drawn.pixels, draft)))
            times.append((drawn.cpu_s, drawn.wall_s))
            strength = drawn.strength
            if drawn.plan.parts:
                near = self._gallery.nearest_to_reference(drawn.plan.parts[0].reference.id)
                yardstick.append(any(same_subject(one.subjects[0], title) for title in near))
        mean = np.array(rows).mean(0)
        broken = tuple(
            f"{one.prompt}: {row[2]:.0%} of cells blotched, {row[3]:.0%} of sharpness kept"
            for one, row in zip(asked, rows, strict=True)
            if is_broken(blotches=row[2], edges=row[3])
        )
        self.missed["broken"] = broken
        warm = times[1:] or times  # the first one warms up
        return {
            "strength": strength,
            "subject_top5": self._share("subject_top5", finished),
            "draft_only_top5": self._share(None, drafts),
            "yardstick_top5": statistics.mean(yardstick),
            "change_from_draft": float(mean[0]),
            "change_from_draft_db": decibels(float(mean[1])),
            "blotches": float(mean[2]),
            "edges": float(mean[3]),
            "broken": len(broken) / len(rows),
            "cpu_s": statistics.median(cpu for cpu, _ in warm),
            "model_s": statistics.median(wall for _, wall in warm),
        }

    def pairs(self, asked: Sequence[Asked]) -> dict[str, object]:
        """Two subjects, each in its own place."""
        finished, drafts = Looks(), Looks()
        for one, drawn in self._drawn("two subjects", asked):
            finished.add(one, drawn, drawn.pixels)
            drafts.add(one, drawn, self._artist.enlarged_draft(drawn))
        return {
            "two_subject_top5": self._share("two_subject_top5", finished),
            "draft_only_two_subject_top5": self._share(None, drafts),
        }

    def colors(self, asked: Sequence[Asked]) -> dict[str, object]:
        """Whether the asked color is the subject's main one."""
        missed = []
        for one, drawn in self._drawn("colors", asked):
            seen = _color_of(drawn)
            if seen not in COLOR_NAMES[one.color or ""]:
                missed.append(f"{one.prompt}: {seen}")
        self.missed["colour"] = tuple(missed)
        return {"colour": 1 - len(missed) / len(asked)}

    def backgrounds(self, asked: Sequence[Asked]) -> dict[str, object]:
        """Whether the ground is the asked one."""
        missed = [
            f"{one.prompt}: {drawn.plan.background} was planned"
            for one, drawn in self._drawn("backgrounds", asked)
            if not _ground_agrees(drawn, one.background or "")
        ]
        self.missed["background"] = tuple(missed)
        return {"background": 1 - len(missed) / len(asked)}

    def sheet(self, prompts: Sequence[str]) -> tuple[tuple[SheetEntry, ...], dict[str, object]]:
        """The pictures for the eye, and whether seeds differ."""
        entries, apart = [], []
        for i, prompt in enumerate(prompts):
            first, *_ = drawn = [self._artist.draw(prompt, seed=seed) for seed in SHEET_SEEDS]
            pictures = tuple(small(one.pixels) for one in drawn)
            entries.append(SheetEntry(number=i + 1, prompt=prompt, pictures=pictures, note=first.note))
            apart.append(change(pictures[0], pictures[1])[0])
            self._progress("sheet", i + 1, len(prompts))
        return tuple(entries), {
            "seeds_differ": statistics.mean(difference >= SEEDS_DIFFER for difference in apart),
            "seeds_apart": statistics.median(apart),
        }

    def strengths(
        self, asked: Sequence[Asked], seeds: Sequence[int], strengths: Sequence[float]
    ) -> tuple[StrengthRow, ...]:
        """The same prompts at every strength."""
        looks = [Looks() for _ in strengths]
        rows: list[list[tuple[float, ...]]] = [[] for _ in strengths]
        for i, (one, seed) in enumerate(zip(asked, seeds, strict=True)):
            at = self._artist.draw_at(one.prompt, seed=seed, strengths=strengths)
            draft: Pixels | None = None
            for k, drawn in enumerate(at):
                draft = self._artist.enlarged_draft(drawn) if draft is None else draft
                looks[k].add(one, drawn, drawn.pixels)
                rows[k].append((*change(drawn.pixels, draft), *_damage(drawn.pixels, draft)))
            self._progress("strengths", i + 1, len(asked))
        out = []
        for strength, look, found in zip(strengths, looks, rows, strict=True):
            mean = np.array(found).mean(0)
            out.append(
                StrengthRow(
                    strength=strength,
                    subject_top5=self._share(None, look),
                    blotches=float(mean[2]),
                    edges=float(mean[3]),
                    broken=statistics.mean(is_broken(blotches=row[2], edges=row[3]) for row in found),
                    change=float(mean[0]),
                    change_db=decibels(float(mean[1])),
                )
            )
        return tuple(out)

    def _drawn(self, stage: str, asked: Sequence[Asked]) -> Iterator[tuple[Asked, Drawn]]:
        for i, one in enumerate(asked):
            yield one, self._artist.draw(one.prompt, seed=seed_of(i))
            self._progress(stage, i + 1, len(asked))

    def _share(self, figure: str | None, looks: Looks) -> float:
        """The share of prompts whose subjects are all found; under `figure`, the others are kept."""
        vectors = self._encoder.embed(np.stack(looks.cuts))
        missed: dict[str, list[str]] = {}
        for vector, (one, titles, references) in zip(vectors, looks.asked, strict=True):
            near = self._gallery.nearest_titles(vector, without=references)
            if not any(same_subject(titles, title) for title in near):
                missed.setdefault(one.prompt, []).append(f"no {titles[0]}; nearest: {', '.join(near)}")
        if figure is not None:
            self.missed[figure] = tuple(f"{prompt}: {'; '.join(seen)}" for prompt, seen in missed.items())
        return 1 - len(missed) / len({one.prompt for one, _, _ in looks.asked})


def _damage(pixels: Pixels, draft: Pixels) -> tuple[float, float]:
    native, wanted = shrunk(pixels), shrunk(draft)
    return blotches(native, wanted), edges_kept(native, wanted)


def _painted(plan: Plan, background: str) -> Pixels:
    return paint(background, width=plan.width, height=plan.height, rng=random.Random(plan.seed))


def _color_of(drawn: Drawn) -> str | None:
    placement = main_placement(drawn.plan, 0)
    if placement is None:
        return None
    ground = _painted(drawn.plan, drawn.plan.background)
    box = box_of(placement, drawn.plan, scale=1)
    return dominant_color(foreground(shrunk(drawn.pixels), ground, box))


def _ground_agrees(drawn: Drawn, background: str) -> bool:
    native = shrunk(drawn.pixels)
    bare = (drawn.start == _painted(drawn.plan, drawn.plan.background)).all(-1)  # what the draft left free
    if background in SCENES:
        return scene_agrees(native, bare, _painted(drawn.plan, background))
    return plain_ground_agrees(native, bare, np.array(shade(background, GROUNDS), np.uint8))
