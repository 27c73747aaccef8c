"""What a rule is, and what one review shares among its rules."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar, cast

import numpy as np
import numpy.typing as npt

from moderation.normalize import Normalized, normalize
from moderation.policy import Policy
from moderation.protected import NOTHING, Fingerprint, ProtectedList
from moderation.types import Category, Content, Finding, Scope

Embed = Callable[[Sequence[str]], npt.NDArray[np.float32]]  # n texts -> (n, 512), L2-normalized
NearCopy = Callable[[npt.NDArray[np.uint8], str, Sequence[str]], float | None]
"""(H, W, 3) 8-bit pixels, the model's id, sources of its references -> likeness 0..1 to the nearest of the
model's training pictures that the references do not explain; 0: there is no copy; None: no such index."""
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Tools:
    """What rules are built from."""

    embed: Embed | None = None  # None: the shipped sentence encoder, loaded on first use
    data: Path | None = None  # a folder whose files replace the shipped lists
    fingerprint: Fingerprint | None = None  # PDQ hashes of a picture, for the protected list
    near_copy: NearCopy | None = None  # compares with what a model was trained on


class Context:
    """One review's shared work: each text is normalized once, each reading scored once.

    Rules may run on different threads, so `shared` computes under a lock. A failure is not kept:
    every rule that needs the failing part fails for itself, and so holds.
    """

    def __init__(self, policy: Policy, *, protected: ProtectedList = NOTHING) -> None:
        self.policy = policy
        self.protected = protected  # of the workspace under review
        self._lock = threading.RLock()
        self._values: dict[str, object] = {}

    def shared(self, key: str, make: Callable[[], T]) -> T:
        """Return what `make` returned the first time this review asked for `key`."""
        with self._lock:
            if key not in self._values:
                self._values[key] = make()
            return cast("T", self._values[key])

    def normalized(self, text: str) -> Normalized:
        """Return the views of a text."""
        return self.shared(f"normalized\0{text}", lambda: normalize(text))

    def finding(self, *, rule: str, category: Category, score: float, scope: Scope) -> Finding:
        """Judge a score by the policy in force."""
        return self.policy.finding(
            rule=rule, category=category, score=score, age_restricted=scope.age_restricted
        )


class Rule(Protocol):
    """One question about content. Implementations are frozen dataclasses.

    `check` returns no finding for content of a kind it does not judge, changes nothing, and may
    raise: the moderator turns every failure into a finding that holds.
    """

    @property
    def name(self) -> str:
        """The rule's name in findings and in the rule map."""
        ...

    @property
    def category(self) -> Category:
        """The category under which a failure of this rule is reported."""
        ...

    def check(self, content: Content, scope: Scope, context: Context) -> tuple[Finding, ...]:
        """Return what this rule finds, in no particular order."""
        ...


class RuleClass(Protocol):
    """How a rule is built from the tools."""

    def open(self, tools: Tools) -> Rule:
        """Load the rule's data.

        Raises:
            RuleDataError: a list or model cannot be read.
        """
        ...
