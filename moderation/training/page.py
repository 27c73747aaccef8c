"""Writes the report: a page of tables, and its plots beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from moderation.training.plots import bar_chart, matrix_chart, roc_chart

Figures = Mapping[str, object]
_ACTIONS = ("allowed", "held", "blocked")
_TRAPS = ("traps", "fresh traps", "last traps")


@dataclass(frozen=True, kw_only=True, slots=True)
class Charts:
    """What the plots are drawn from."""

    rocs: Mapping[str, tuple[np.ndarray, np.ndarray]]  # name -> risks of harmful, of harmless
    categories: Mapping[str, float]  # name -> recall at 5 % false positives
    confusion: np.ndarray  # one row a label; columns as `_ACTIONS`
    labels: Sequence[str]
    evasion: Mapping[str, float]  # transform -> share of the plain recall that is kept


def write_page(measured: Mapping[str, object], charts: Charts, out: Path) -> None:
    """Write `moderation-quality.md` and its four pictures into `out`."""
    pictures = out / "images"
    pictures.mkdir(parents=True, exist_ok=True)
    roc_chart(charts.rocs, "ROC: harmful against harmless prompts").save(
        pictures / "moderation-roc.png", optimize=True
    )
    bar_chart(charts.categories, "Recall at 5 % false positives, by category of unseen sources").save(
        pictures / "moderation-categories.png", optimize=True
    )
    matrix_chart(charts.confusion, charts.labels, _ACTIONS, "What happens to unseen prompts").save(
        pictures / "moderation-confusion.png", optimize=True
    )
    bar_chart(charts.evasion, "Share of the recall that a disguise leaves", bar=0.95).save(
        pictures / "moderation-evasion.png", optimize=True
    )
    (out / "moderation-quality.md").write_text("\n".join(_lines(measured)), "utf-8")


_INTRO = """# How well prompts are screened

Written by `python -m moderation.training.evaluate`; every number below is measured by that command, with
fixed seeds. The whole pipeline of the `community` preset is measured, not the head alone. `risk` is the
score that `verso screen` prints; AUROC and recall at 1 % and 5 % false positives are drawn from it.
*Stopped* means held or blocked. All figures are percentages.

## Sources that the head never saw

Whole data sets are left out together, harmful and harmless, and screened with a head that was trained on
the others and whose bands were drawn from the others. A source's row sets its harmful prompts against the
everyday ones of its own fold. *Each apart* is the mean of these rows, by texts; *pooled* puts the scores of
all three heads into one list, though each has a scale of its own: the one that never saw a real user's
prompt finds all of them odd, and its false positives set the threshold for everybody.

Where `diffusiondb_refl` is left out, the head knows how people write to an image model only from prompts
that `moderation/training/user_prompts.py` makes of our own phrases, and from those that `typed.py` beside it
strings together from phrases of the package `clip-interrogator` that people typed (`--phrases` of the
training). Ours were written after looking at what an earlier head held of that source; phrases that could
be traced to single prompts of it were removed since, and so is every typed phrase that is a clause of any
text of the training data. The weights of copies, of both kinds of prompts, of the n-grams and of mere names
in `risk`, the share of doubtful typed prompts that is dropped, and the lowest point at which anything is
held, were chosen on these very folds. All of this flatters the rows here somewhat, and the table of
disguises.
"""
_PROBES = """
## Our own probes, with the head that ships

`moderation/training/probes/`: sentences by us that are never trained on. They share an author with some of
the training sentences, so they say more about what is covered than about strangers' prompts. Contexts of the
word list were mended after the first look at `traps`; `traps_fresh` was written afterwards, more contrived,
and served to set the one number by which the head rules a listed word out. `traps_last` was written after
both, beside the training sentences with graver words in harmless senses; those that came close to a sentence
of any of the three were dropped from the training.
"""
_DISGUISES = """
## Disguised prompts

Thirteen transforms (`moderation/evasions.py`) change every word of four letters or more. The threshold is
that of 5 % false positives on undisguised everyday prompts of a source that the head never saw; *kept* is
recall as a share of the plain recall, *more* the additional false positives.
"""


def _lines(measured: Mapping[str, object]) -> Iterable[str]:
    held_out, probes = _part(measured, "held_out"), _part(measured, "probes")
    rank = ("auroc", "recall_at_1", "recall_at_5", "stopped", "harmless_held", "harmless_blocked")
    rate = ("texts", "held_or_blocked", "blocked")
    ranked = {name: row for name, row in probes.items() if name not in {*_TRAPS, "languages"}}
    disguise = ("recall", "kept", "false_positives", "more", "stopped_kept", "held_more")
    yield _INTRO
    sources = {"all, pooled": held_out["all"], "all, each apart": held_out["each_apart"]}
    yield from _table("harmful source", {**sources, **_part(held_out, "by_source")}, rank)
    yield from _table("everyday prompts", _part(held_out, "plain"), rate)
    yield from _table("harmless on the verge", _part(held_out, "look_alikes"), rate)
    yield "![ROC](images/moderation-roc.png)\n"
    yield from _table("category", _part(held_out, "by_category"), ("texts", *rank[:4]))
    yield "![categories](images/moderation-categories.png)\n"
    yield "![confusion](images/moderation-confusion.png)"
    yield _PROBES
    yield from _table("look-alike traps", {name: probes[name] for name in _TRAPS}, rate)
    yield from _table("probe", ranked, rank)
    yield from _table("language", _part(probes, "languages"), ("auroc", "stopped", "harmless_held"))
    yield _DISGUISES.lstrip()
    yield from _table("transform", _part(measured, "evasion"), disguise)
    yield "![evasion](images/moderation-evasion.png)\n"


def _part(table: Mapping[str, object], key: str) -> Figures:
    value = table[key]
    if not isinstance(value, Mapping):
        raise TypeError(key)
    return value


def _table(first: str, rows: Figures, columns: Sequence[str]) -> Iterable[str]:
    yield "| " + " | ".join((first, *(column.replace("_", " ") for column in columns))) + " |"
    yield "|" + "---|" * (len(columns) + 1)
    for name, row in rows.items():
        if isinstance(row, Mapping):
            yield "| " + " | ".join((name, *(_cell(column, row.get(column)) for column in columns))) + " |"
    yield ""


def _cell(column: str, value: object) -> str:
    if not isinstance(value, int | float):
        return ""
    if column == "texts":
        return f"{value:.0f}"
    sign = "+" if column in {"more", "held_more"} and value > 0 else ""
    return f"{sign}{value * 100:.1f}"
