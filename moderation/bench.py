"""Measures screening: time per prompt, and how well scores tell harmful from harmless."""

from __future__ import annotations

import random
import time
from importlib import resources
from pathlib import Path

import numpy as np

from moderation.evasions import TRANSFORMS, evade
from moderation.moderator import Moderator, risk
from moderation.training.data import Example, read_file
from moderation.training.report import figures
from moderation.types import Action, PromptContent, Scope, Verdict

SEED = 20250101
_PROMPTS = 400
_DISGUISED = 100  # of each side are disguised in each way


async def bench_moderation(moderator: Moderator, data: Path | None = None) -> dict[str, object]:
    """Screen prompts one after the other, each once, and return the figures of `verso bench moderation`.

    Args:
        moderator: is warmed first; its policy decides what counts as held and blocked.
        data: a CSV file with the columns text, label_unsafe, category and source; None takes 400 of
            the project's own prompts, in a fixed order, and measures time alone.

    Raises:
        TrainingError: the file cannot be read.
    """
    if data is None:
        with resources.as_file(resources.files("moderation") / "data" / "seeds.csv") as seeds:
            examples = list(read_file(seeds))
        random.Random(SEED).shuffle(examples)
        examples = examples[:_PROMPTS]
    else:
        examples = list(read_file(data))
    await moderator.warm()
    verdicts: list[Verdict] = []
    times: list[float] = []
    cpu: list[float] = []
    for example in examples:
        started, worked = time.perf_counter(), time.process_time()
        verdicts.append(await moderator.review(PromptContent(text=example.text), Scope()))
        times.append((time.perf_counter() - started) * 1e3)
        cpu.append((time.process_time() - worked) * 1e3)
    result: dict[str, object] = {
        "seed": SEED,
        "prompts": len(examples),
        "prompts_per_s": round(1e3 * len(times) / max(sum(times), 1e-9), 1),
        "p50_ms": round(float(np.percentile(times, 50)), 2) if times else 0.0,
        "p99_ms": round(float(np.percentile(times, 99)), 2) if times else 0.0,
        "cpu_p50_ms": round(float(np.percentile(cpu, 50)), 2)
        if cpu
        else 0.0,  # what a busy machine does not blur
        "cpu_p99_ms": round(float(np.percentile(cpu, 99)), 2) if cpu else 0.0,
    }
    if data is not None:
        result |= _quality(examples, verdicts)
        result["evasion"] = await _evasion(moderator, examples, verdicts)
    return result


def _quality(examples: list[Example], verdicts: list[Verdict]) -> dict[str, object]:
    scores = np.array([risk(verdict) for verdict in verdicts])
    harmful = np.array([example.harmful for example in examples], dtype=bool)
    actions = np.array([int(verdict.action) for verdict in verdicts])
    result: dict[str, object] = dict(figures(scores[harmful], scores[~harmful]))
    names = np.array([str(example.category) if example.category else "other" for example in examples])
    result["per_category"] = {
        name: {
            "prompts": int(((names == name) & harmful).sum()),
            **figures(scores[(names == name) & harmful], scores[~harmful]),
            "stopped": _share(actions[(names == name) & harmful] > Action.ALLOW),
        }
        for name in sorted(set(names[harmful]))
    }
    result["harmless_blocked"] = _share(actions[~harmful] == Action.BLOCK)
    result["harmless_blocked_or_held"] = _share(actions[~harmful] > Action.ALLOW)
    result["harmful_stopped"] = _share(actions[harmful] > Action.ALLOW)
    return result


async def _evasion(
    moderator: Moderator, examples: list[Example], verdicts: list[Verdict]
) -> dict[str, dict[str, float]]:
    """Disguise some of the prompts in each way; at the threshold of 5 % false positives undisguised."""
    scores = [risk(verdict) for verdict in verdicts]
    harmful = [(e.text, s) for e, s in zip(examples, scores, strict=True) if e.harmful]
    harmless = [(e.text, s) for e, s in zip(examples, scores, strict=True) if not e.harmful]
    if not harmful or not harmless:
        return {}
    rng = random.Random(SEED)
    harmful, harmless = (rng.sample(part, min(_DISGUISED, len(part))) for part in (harmful, harmless))
    threshold = sorted((score for _, score in harmless), reverse=True)[int(0.05 * len(harmless))]

    async def above(part: list[tuple[str, float]], name: str) -> float:
        found = [
            risk(await moderator.review(PromptContent(text=evade(name, text, seed=SEED)), Scope()))
            > threshold
            for text, _ in part
        ]
        return sum(found) / len(found)

    recall = sum(score > threshold for _, score in harmful) / len(harmful)
    false = sum(score > threshold for _, score in harmless) / len(harmless)
    return {
        name: {
            "recall_kept": round(await above(harmful, name) / max(recall, 1e-9), 4),
            "false_positives_more": round(await above(harmless, name) - false, 4),
        }
        for name in TRANSFORMS
    }


def _share(flags: np.ndarray) -> float | None:
    return round(float(flags.mean()), 4) if len(flags) else None
