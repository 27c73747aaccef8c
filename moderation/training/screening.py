"""Screens labeled texts with the whole prompt pipeline and one head: figures that mean what users meet."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path

import numpy as np
import numpy.typing as npt

from moderation.head import Head
from moderation.moderator import Moderator, risk
from moderation.policy import Policy
from moderation.rules import PROMPT_RULES
from moderation.rules.base import Embed
from moderation.training.data import Example, read_file
from moderation.training.files import save_head
from moderation.training.report import Scores, figures
from moderation.types import Action, PromptContent, Scope

PROBES = ("harmful", "traps", "traps_fresh", "traps_last", "languages")
_PATIENCE_S = 60.0  # a busy machine must not turn into held prompts: what is measured is the judgment


@dataclass(frozen=True, kw_only=True, slots=True)
class Screened:
    """What the pipeline said about n texts."""

    risk: Scores  # (n,) in 0..1
    action: npt.NDArray[np.int_]  # (n,) values of `Action`

    def share(self, least: Action) -> float:
        """Return the share of texts that met this action or a graver one."""
        return round(float((self.action >= least).mean()), 4) if len(self.action) else float("nan")

    def __getitem__(self, rows: npt.NDArray[np.bool_] | slice) -> Screened:
        return Screened(risk=self.risk[rows], action=self.action[rows])


def screen(texts: Iterable[str], embed: Embed, head: Head | None = None) -> Screened:
    """Screen texts one after the other under the community preset.

    Args:
        texts: prompts as users type them.
        embed: the sentence encoder.
        head: None takes the one that ships.
    """
    return asyncio.run(_screen(list(texts), embed, head))


async def _screen(texts: Sequence[str], embed: Embed, head: Head | None) -> Screened:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if head is not None:
            save_head(head, folder / "head.npz")
        rules = sorted(PROMPT_RULES - {"guard"})
        moderator = Moderator.open(
            replace(Policy.load(), rule_timeout_s=_PATIENCE_S),
            embed=embed,
            rules=rules,
            data=folder if head is not None else None,
        )
        try:
            await moderator.warm()
            verdicts = [await moderator.review(PromptContent(text=text), Scope()) for text in texts]
        finally:
            moderator.close()
    return Screened(
        risk=np.array([risk(verdict) for verdict in verdicts], dtype=np.float64),
        action=np.array([int(verdict.action) for verdict in verdicts], dtype=np.int_),
    )


def probe(name: str) -> list[Example]:
    """Return one of the `PROBES`: sentences of our own that are never trained on."""
    with resources.as_file(resources.files("moderation.training") / "probes" / f"{name}.csv") as path:
        return list(read_file(path))


def against(harmful: Screened, harmless: Screened) -> dict[str, float]:
    """Return the ranking figures, and what the preset would have done."""
    return {
        **figures(harmful.risk, harmless.risk),
        "stopped": harmful.share(Action.HOLD),
        "harmless_held": harmless.share(Action.HOLD),
        "harmless_blocked": harmless.share(Action.BLOCK),
    }
