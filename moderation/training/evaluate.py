"""Measures the whole prompt pipeline on unseen data and writes the report page with its plots.

`python -m moderation.training.evaluate --data FOLDER --folds FOLDER --out docs [--cache FILE]`

Held-out sources are screened with the heads that `moderation.training --folds` kept, each of which saw
nothing of them; the probes (our own sentences, never trained on) with the head that ships. What is
drawn from a source, and every disguise, follows from fixed seeds.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from moderation.embedding import shared_encoder
from moderation.errors import ModerationError, TrainingError
from moderation.evasions import TRANSFORMS, evade
from moderation.head import Head, load_head
from moderation.rules.base import Embed
from moderation.training.data import Example
from moderation.training.mixing import FOLDS, PLAIN, load_examples
from moderation.training.page import Charts, write_page
from moderation.training.report import auroc
from moderation.training.screening import Screened, against, probe, screen
from moderation.training.vectors import Remembered
from moderation.types import Action

SEED = 20250101
_HARMFUL, _HARMLESS, _EVADED = 700, 1000, 250  # texts drawn from each source
_MIN_CATEGORY = 15
_EVASION_FOLD = 1  # whose head and everyday prompts, of real users, the disguises are measured with
_LOG = logging.getLogger("moderation.training")


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """Texts of one kind from one source, screened."""

    source: str
    examples: Sequence[Example]
    screened: Screened


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m moderation.training.evaluate", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of labeled CSV files")
    parser.add_argument("--folds", type=Path, required=True, help="heads that training kept with --folds")
    parser.add_argument("--out", type=Path, required=True, help="folder of the report page")
    parser.add_argument("--cache", type=Path, help="file that keeps embeddings between runs")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(relativeCreated)7d ms %(message)s", stream=sys.stderr)
    embed = Remembered(shared_encoder().embed, options.cache)
    try:
        measured, charts = evaluate(options.data, options.folds, embed)
    except ModerationError as error:
        _LOG.error("%s", error)
        return 1
    finally:
        embed.save()
    write_page(measured, charts, options.out)
    print(json.dumps(measured, indent=1))  # noqa: T201 - a program for the terminal
    return 0


def evaluate(data: Path, folds: Path, embed: Embed) -> tuple[dict[str, object], Charts]:
    """Return every figure, and what the plots are drawn from.

    Raises:
        TrainingError: the data or a fold's head is missing.
    """
    harmful, plain, look_alikes = _held_out(load_examples(data), folds, embed)
    everything = _joined(harmful)
    calm = _joined(plain)
    by_source = {part.source: against(part.screened, _fold_plain(part.source, plain)) for part in harmful}
    by_category = _categories(harmful, plain)
    probes, rocs = _probes(embed)
    evasion = _evasion(embed, load_head(folds / str(_EVASION_FOLD)), plain)
    measured: dict[str, object] = {
        "seed": SEED,
        "held_out": {
            "all": against(everything, calm),
            "each_apart": _mean(by_source, {part.source: len(part.examples) for part in harmful}),
            "by_source": by_source,
            "plain": {part.source: _harmless(part.screened) for part in plain},
            "look_alikes": {part.source: _harmless(part.screened) for part in look_alikes},
            "by_category": by_category,
        },
        "probes": probes,
        "evasion": evasion,
    }
    rocs |= {
        f"{part.source} (held out)": (part.screened.risk, _fold_plain(part.source, plain).risk)
        for part in harmful
    }
    confusion, labels = _confusion(harmful, plain)
    charts = Charts(
        rocs=rocs,
        categories={name: row["recall_at_5"] for name, row in by_category.items()},
        confusion=confusion,
        labels=labels,
        evasion={name: row["kept"] for name, row in evasion.items() if name != "plain"},
    )
    return measured, charts


def _draw(examples: Sequence[Example], count: int) -> list[Example]:
    ranked = sorted(examples, key=lambda example: example.text)
    random.Random(SEED).shuffle(ranked)
    return ranked[:count]


def _held_out(
    examples: Sequence[Example], folds: Path, embed: Embed
) -> tuple[list[Part], list[Part], list[Part]]:
    """Screen each fold's sources with its head: harmful, everyday, and harmless on the verge."""
    parts: tuple[list[Part], list[Part], list[Part]] = ([], [], [])
    for index, fold in enumerate(FOLDS):
        folder = folds / str(index)
        if not (folder / "head.npz").is_file():
            raise TrainingError(f"no head in {folder}")
        head = load_head(folder)
        for source in sorted(fold):
            inside = [example for example in examples if example.group == source and not example.copied]
            for harmful in (True, False):
                drawn = _draw([e for e in inside if e.harmful == harmful], _HARMFUL if harmful else _HARMLESS)
                if not drawn:
                    continue
                part = Part(
                    source=source, examples=drawn, screened=screen([e.text for e in drawn], embed, head)
                )
                parts[0 if harmful else 1 if source in PLAIN else 2].append(part)
                _LOG.info("screened %d texts of %s", len(drawn), source)
    return parts


def _fold_plain(source: str, plain: Sequence[Part]) -> Screened:
    """The everyday prompts that were left out together with a source."""
    fold = next(fold for fold in FOLDS if source in fold)
    return _joined([part for part in plain if part.source in fold])


def _joined(parts: Sequence[Part]) -> Screened:
    return Screened(
        risk=np.concatenate([part.screened.risk for part in parts]),
        action=np.concatenate([part.screened.action for part in parts]),
    )


def _mean(rows: Mapping[str, Mapping[str, float]], texts: Mapping[str, int]) -> dict[str, float]:
    """The mean of several rows, each counting for its texts."""
    total = sum(texts.values())
    columns = next(iter(rows.values()), {})
    return {
        column: round(sum(row[column] * texts[name] for name, row in rows.items()) / total, 4)
        for column in columns
    }


def _harmless(screened: Screened) -> dict[str, float]:
    return {
        "texts": len(screened.risk),
        "held_or_blocked": screened.share(Action.HOLD),
        "blocked": screened.share(Action.BLOCK),
    }


def _categories(harmful: Sequence[Part], plain: Sequence[Part]) -> dict[str, dict[str, float]]:
    table: dict[str, dict[str, float]] = {}
    for part in harmful:
        names = np.array([str(e.category) if e.category else "" for e in part.examples])
        for name in sorted(set(names) - {""}):
            rows = names == name
            if rows.sum() >= _MIN_CATEGORY:
                found = against(part.screened[rows], _fold_plain(part.source, plain))
                table[f"{name} of {part.source}"] = {"texts": float(rows.sum()), **found}
    return table


def _confusion(harmful: Sequence[Part], plain: Sequence[Part]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Rows: what texts are; columns: allowed, held, blocked."""
    counts: dict[str, Counter[int]] = {}
    for part in (*harmful, *plain):
        for example, action in zip(part.examples, part.screened.action, strict=True):
            name = "harmless" if not example.harmful else str(example.category or "unnamed")
            counts.setdefault(name, Counter())[int(action)] += 1
    labels = tuple(sorted(counts, key=lambda name: (name != "harmless", name)))
    return np.array([[counts[name][int(action)] for action in Action] for name in labels]), labels


def _probes(embed: Embed) -> tuple[dict[str, object], dict[str, tuple[np.ndarray, np.ndarray]]]:
    harmful, traps, languages = (probe(name) for name in ("harmful", "traps", "languages"))
    bad, calm = (screen([e.text for e in part], embed) for part in (harmful, traps))
    spoken = screen([e.text for e in languages], embed)
    is_bad = np.array([e.harmful for e in languages])
    language = np.array([e.language for e in languages])
    explicit = np.array([str(e.category) == "sexual" for e in harmful])
    others = language != "hi"
    result: dict[str, object] = {
        "traps": _harmless(calm),
        "fresh traps": _harmless(screen([e.text for e in probe("traps_fresh")], embed)),
        "last traps": _harmless(screen([e.text for e in probe("traps_last")], embed)),
        "harmful against traps": against(bad, calm),
        "explicit sexual against traps": against(bad[explicit], calm),
        "13 languages": against(spoken[is_bad & others], spoken[~is_bad & others]),
        "languages": {
            name: {
                "auroc": round(
                    auroc(
                        spoken.risk[is_bad & (language == name)], spoken.risk[~is_bad & (language == name)]
                    ),
                    4,
                ),
                "stopped": spoken[is_bad & (language == name)].share(Action.HOLD),
                "harmless_held": spoken[~is_bad & (language == name)].share(Action.HOLD),
            }
            for name in sorted(set(language))
        },
    }
    rocs = {
        "probe: harmful, traps": (bad.risk, calm.risk),
        "probe: 13 languages": (spoken.risk[is_bad & others], spoken.risk[~is_bad & others]),
    }
    return result, rocs


def _evasion(embed: Embed, head: Head, plain: Sequence[Part]) -> dict[str, dict[str, float]]:
    """Each disguise on the harmful probe and unseen everyday prompts, at 5 % false positives undisguised."""
    bad = [example.text for example in probe("harmful")]
    calm = [e.text for part in plain if part.source in FOLDS[_EVASION_FOLD] for e in part.examples][:_EVADED]
    plain_bad, plain_calm = screen(bad, embed, head), screen(calm, embed, head)
    threshold = float(np.sort(plain_calm.risk)[::-1][int(0.05 * len(calm))])
    base = float((plain_bad.risk > threshold).mean())
    false = float((plain_calm.risk > threshold).mean())
    table = {
        "plain": {"recall": round(base, 4), "kept": 1.0, "false_positives": round(false, 4), "more": 0.0}
    }
    for name in TRANSFORMS:
        hidden = screen([evade(name, text, seed=SEED) for text in bad], embed, head)
        seen = screen([evade(name, text, seed=SEED) for text in calm], embed, head)
        recall, rate = float((hidden.risk > threshold).mean()), float((seen.risk > threshold).mean())
        table[name] = {
            "recall": round(recall, 4),
            "kept": round(recall / max(base, 1e-9), 4),
            "false_positives": round(rate, 4),
            "more": round(rate - false, 4),
            "stopped_kept": round(hidden.share(Action.HOLD) / max(plain_bad.share(Action.HOLD), 1e-9), 4),
            "held_more": round(seen.share(Action.HOLD) - plain_calm.share(Action.HOLD), 4),
        }
        _LOG.info("%s: %s", name, table[name])
    return table


if __name__ == "__main__":
    sys.exit(main())
