"""Throws random and mutated prompts at every prompt rule: `python -m moderation.fuzz [--count N] [--seed N]`.

No input may raise, and none of up to 2,000 characters may take more than 80 ms of CPU time on one core
once everything is loaded. The program prints what it measured and ends with 1 where one of them failed.
The same seed gives the same inputs.
"""

from __future__ import annotations

import argparse
import csv
import random
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib import resources

import numpy as np

from moderation.evasions import TRANSFORMS
from moderation.policy import Policy
from moderation.rules import PROMPT_RULES, open_rule
from moderation.rules.base import Context, Rule, Tools
from moderation.types import PromptContent, Scope

LIMIT_MS = 80.0
MAX_CHARS = 2000
_SHOWN = 5
# Units that make careless patterns and loops slow when they are repeated.
_UNITS = (
    "a", "n u d e ", "n.u.", "a-b.", "z*", "1!", "4@$", "a\u0301", "\u1161", "\u202e", "\u200b", "😀", "👧",
    "*", ". ", "aa ", "naked", "nak ed ", "xq zv ", "qqqqqqq ",
    "नंगी ", "ни", "中", "\ufdfa", "=+", "\t\n", "((((", "a,",
    "''", "\\", "anakedwomaninaroom", "th1s 1s l33t ", "\U000e0041",
    "\ufb01", "\u0130", "\u1e9e", "\u212a",
)  # fmt: skip


@dataclass(slots=True)
class Outcome:
    """What a run found."""

    count: int = 0
    times_ms: list[float] = field(default_factory=list)
    failures: list[tuple[str, str]] = field(default_factory=list)  # error, input
    slow: list[tuple[float, str]] = field(default_factory=list)  # ms, input

    @property
    def passed(self) -> bool:
        """Whether nothing raised and nothing ran away."""
        return not self.failures and not self.slow

    def lines(self) -> Iterator[str]:
        """Yield the report."""
        p50, p99, worst = (float(np.percentile(self.times_ms, share)) for share in (50, 99, 100))
        yield f"{self.count} inputs, {len(self.failures)} errors, {len(self.slow)} over {LIMIT_MS:g} ms"
        yield f"CPU ms per input: p50 {p50:.2f}, p99 {p99:.2f}, worst {worst:.2f}"
        yield from (f"error {error}: {text[:120]!r}" for error, text in self.failures[:_SHOWN])
        yield from (f"{ms:.1f} ms: {text[:120]!r}" for ms, text in sorted(self.slow, reverse=True)[:_SHOWN])


def inputs(count: int, seed: int) -> Iterator[PromptContent]:
    """Yield prompts: random characters, repeated units, and our own sentences mutated and glued together."""
    rng = random.Random(seed)
    with (resources.files("moderation") / "data" / "seeds.csv").open(encoding="utf-8") as stream:
        sentences = [row["text"] for row in csv.DictReader(stream)]
    for _ in range(count):
        text = rng.choice((_random, _repeated, _mutated, _mutated, _mutated))(rng, sentences)[:MAX_CHARS]
        yield PromptContent(text=text, negative=rng.choice(sentences) if rng.random() < 0.1 else "")


def run(count: int, seed: int, rules: Sequence[Rule] | None = None) -> Outcome:
    """Check every input with every rule; `rules` None: all that judge prompts but the guard."""
    checked = rules or [open_rule(name, Tools()) for name in sorted(PROMPT_RULES - {"guard"})]
    policy, scope, outcome = Policy.load(), Scope(), Outcome()
    for content in [PromptContent(text="a red apple on a blue plate", negative="blurry")] * 3:
        _check(checked, content, scope, policy)
    for content in inputs(count, seed):
        started = time.thread_time()
        error = _check(checked, content, scope, policy)
        spent = (time.thread_time() - started) * 1e3
        outcome.count += 1
        outcome.times_ms.append(spent)
        if error is not None:
            outcome.failures.append((error, content.text))
        elif spent > LIMIT_MS:
            outcome.slow.append((spent, content.text))
    return outcome


def _check(rules: Sequence[Rule], content: PromptContent, scope: Scope, policy: Policy) -> str | None:
    context = Context(policy)
    for rule in rules:
        try:
            rule.check(content, scope, context)
        except Exception as error:  # noqa: BLE001 - finding these is what the program is for
            return f"{rule.name}: {type(error).__name__}"
    return None


def _random(rng: random.Random, _sentences: Sequence[str]) -> str:
    top = rng.choice((0x7F, 0x24F, 0xFFFF, 0x10FFFF))
    return "".join(chr(rng.randrange(top + 1)) for _ in range(rng.choice((1, 10, 100, 1000, MAX_CHARS))))


def _repeated(rng: random.Random, _sentences: Sequence[str]) -> str:
    units = [rng.choice(_UNITS) for _ in range(rng.randrange(1, 4))]
    return "".join(units) * rng.randrange(1, MAX_CHARS)


def _mutated(rng: random.Random, sentences: Sequence[str]) -> str:
    text = " ".join(rng.choice(sentences) for _ in range(rng.choice((1, 1, 1, 2, 8, 40))))
    for _ in range(rng.randrange(3)):
        text = rng.choice(list(TRANSFORMS.values()))(text, rng)
    for _ in range(rng.randrange(4)):
        place = rng.randrange(len(text) + 1)
        kind = rng.randrange(3)
        if kind == 0:
            text = text[:place] + chr(rng.randrange(0x11000)) + text[place:]
        elif kind == 1:
            text = text[:place] + text[place + rng.randrange(9) :]
        else:
            text = text[place:] + text[:place]
    return text


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m moderation.fuzz", description=__doc__)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=20250101)
    options = parser.parse_args(arguments)
    outcome = run(options.count, options.seed)
    for line in outcome.lines():
        print(line)  # noqa: T201 - a program for the terminal
    return 0 if outcome.passed else 1


if __name__ == "__main__":
    sys.exit(main())
