"""Runs every rule over a content and joins what they find into one verdict.

Fails closed: a rule that raises, takes too long or cannot be loaded becomes a finding that holds.
`review` never raises for content.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from moderation.errors import ModerationError
from moderation.head import NAMELESS
from moderation.pictures import PictureError, decode
from moderation.policy import Policy
from moderation.pools import Pools
from moderation.protected import NOTHING, Fingerprint, ProtectedList
from moderation.rules import RULES, SLOW_RULES, judges, lacking, open_rule, require
from moderation.rules.base import Context, Embed, NearCopy, Rule, Tools
from moderation.types import Action, Category, Content, Finding, ImageContent, PromptContent, Scope, Verdict

if TYPE_CHECKING:
    from typing import Self

_LOG = logging.getLogger(__name__)
_NAMED = 0.1  # weight in the risk of a person or mark that is named and not stopped
UNCHECKED = "house/unchecked"
SAMPLES: tuple[Content, ...] = (  # what a rule is tried on before it counts as loaded
    PromptContent(text="a red apple on a blue plate", negative="blurry"),
    ImageContent(pixels=np.add.outer(np.arange(32), 7 * np.arange(96)).astype(np.uint8).reshape(32, 32, 3)),
)
_DECODING = "decoding"  # the lane of files that are not pictures yet
_DECODE_S = 10.0  # seconds; the largest picture within the limits takes two

Protected = Callable[[str], Awaitable[ProtectedList]]  # workspace id -> its list as it is now


class Moderator:
    """Screens prompts and pictures under one policy; build it with `open`.

    At most `workers` prompts and as many pictures are reviewed at once. Prompts have threads of their own,
    and so has each rule that reads pictures: a rule's time is its own and never the time it waited.
    """

    def __init__(
        self,
        policy: Policy,
        *,
        names: Iterable[str],
        tools: Tools,
        workers: int,
        protected: Protected | None = None,
    ) -> None:
        self._policy = policy
        self._protected = protected
        self._names = tuple(names)
        self._tools = tools
        workers = max(1, workers)
        self._pools = Pools(workers)
        self._slots = {is_picture: asyncio.Semaphore(workers) for is_picture in (False, True)}
        self._rules: dict[str, Rule] = {}
        self._lock = threading.Lock()

    @classmethod
    def open(
        cls,
        policy: Policy,
        *,
        embed: Embed | None = None,
        workers: int = 2,
        rules: Iterable[str] = tuple(RULES),
        data: Path | None = None,
        protected: Protected | None = None,
        fingerprint: Fingerprint | None = None,
        near_copy: NearCopy | None = None,
    ) -> Self:
        """Build a moderator; nothing is loaded until the first review or `warm`.

        Args:
            policy: what is on, and from which scores.
            embed: sentence encoder to share; None takes the shipped one.
            workers: reviews that may run at once.
            rules: names out of `moderation.rules.RULES`.
            data: a folder whose word lists replace the shipped ones.
            protected: gives the list of a workspace; None: nothing is protected.
            fingerprint: PDQ hashes of a picture, for protected pictures.
            near_copy: compares a picture with what its model was trained on; None: nobody does.

        Raises:
            PolicyError: the policy demands a rule that something is lacking for.
        """
        require(policy)
        tools = Tools(embed=embed, data=data, fingerprint=fingerprint, near_copy=near_copy)
        return cls(policy, names=rules, tools=tools, workers=workers, protected=protected)

    @property
    def policy(self) -> Policy:
        """The policy in force."""
        return self._policy

    @property
    def off(self) -> Mapping[str, str]:
        """The rules that the policy would let run but cannot, and what to install for each."""
        names = [name for name in self._names if self._policy.runs(name)]
        return {name: needed for name in names if (needed := lacking(name)) is not None}

    @property
    def wanted(self) -> tuple[str, ...]:
        """The rules that run under the policy in force; `warm` loads them."""
        return self._wanted(self._policy)

    @property
    def ready(self) -> tuple[str, ...]:
        """The rules that are loaded."""
        return tuple(self._rules)

    def use(self, policy: Policy) -> None:
        """Put another policy in force for reviews that start from now on.

        Raises:
            PolicyError: it demands a rule that something is lacking for; the old one stays in force.
        """
        require(policy)
        self._policy = policy

    async def warm(self, *samples: Content) -> None:
        """Load every rule that is on and run each once, without a time limit.

        Args:
            samples: only the rules that judge one of these are loaded; none given: all.
        """
        await asyncio.get_running_loop().run_in_executor(None, self._load, self._policy, samples or SAMPLES)

    async def review(self, content: Content, scope: Scope) -> Verdict:
        """Judge a prompt or a decoded picture; a failing rule holds, nothing raises for content."""
        if not all(name in self._rules for name in self._wanted(self._policy) if judges(name, content)):
            await self.warm(*(sample for sample in SAMPLES if isinstance(content, type(sample))))
        async with self._slots[isinstance(content, ImageContent)]:
            started = time.perf_counter()
            policy = self._policy
            findings: list[Finding] = []
            times: dict[str, float] = {}
            context = Context(policy, protected=await self._protected_in(scope, policy, findings))
            for name in self._wanted(policy):
                if judges(name, content):
                    begun = time.perf_counter()
                    findings += await self._run(name, content, scope, context)
                    times[name] = (time.perf_counter() - begun) * 1e3
            return replace(_join(findings, policy, scope, started), rule_ms=MappingProxyType(times))

    async def review_file(self, data: bytes, scope: Scope, *, prompt: str = "") -> Verdict:
        """Judge a picture file, such as an upload; one that cannot be decoded within the limits is held."""
        started = time.perf_counter()
        pool = self._pools.of(_DECODING)
        future = asyncio.get_running_loop().run_in_executor(pool, decode, data)
        try:
            pixels = await asyncio.wait_for(asyncio.shield(future), _DECODE_S)
        except (PictureError, TimeoutError) as error:
            if isinstance(error, TimeoutError):
                future.add_done_callback(_forget)
                self._pools.abandon(_DECODING, pool)
            finding = _unchecked("picture", Category.SEXUAL, self._policy, advice="unreadable_image")
            return _join([finding], self._policy, scope, started)
        return await self.review(ImageContent(pixels=pixels, prompt=prompt), scope)

    def close(self) -> None:
        """Give the threads back; a rule that still runs is not waited for."""
        self._pools.close()

    def _wanted(self, policy: Policy) -> tuple[str, ...]:
        """The rules that run: those that are on, but for optional ones that something is lacking for."""
        return tuple(name for name in self._names if policy.runs(name) and lacking(name) is None)

    async def _protected_in(self, scope: Scope, policy: Policy, findings: list[Finding]) -> ProtectedList:
        """The workspace's protected list; where it cannot be read, a finding that holds is added."""
        if self._protected is None:
            return NOTHING
        try:
            return await self._protected(scope.workspace_id)
        except Exception as error:  # noqa: BLE001 - whatever broke, the content is held
            _LOG.warning("the protected list cannot be read: %s", type(error).__name__)
            findings.append(_unchecked("protected", Category.TRADEMARK, policy))
            return NOTHING

    async def _run(self, name: str, content: Content, scope: Scope, context: Context) -> tuple[Finding, ...]:
        rule = self._rules.get(name)
        if rule is None:  # could not be loaded
            return (_unchecked(name, Category.EVASION, context.policy),)
        lane = name if isinstance(content, ImageContent) or name in SLOW_RULES else "prompt"
        pool, limit_s = self._pools.of(lane), context.policy.timeout_of(name)
        future = asyncio.get_running_loop().run_in_executor(pool, rule.check, content, scope, context)
        try:
            found = await asyncio.wait_for(asyncio.shield(future), limit_s)
        except TimeoutError:
            _LOG.warning("rule %s took longer than %s s", name, limit_s)
            future.add_done_callback(_forget)
            self._pools.abandon(lane, pool)
        except Exception as error:  # noqa: BLE001 - whatever a rule raises, the content is held
            _LOG.warning(
                "rule %s failed: %s", name, type(error).__name__
            )  # no message: it may quote a prompt
        else:
            if isinstance(found, tuple) and all(isinstance(item, Finding) for item in found):
                return found
            _LOG.warning("rule %s answered with something that is no finding", name)
        return (_unchecked(name, rule.category, context.policy),)

    def _load(self, policy: Policy, samples: Sequence[Content]) -> None:
        with self._lock:
            scope, context = Scope(), Context(policy)
            for name in self._wanted(policy):
                if name in self._rules or not any(judges(name, sample) for sample in samples):
                    continue
                try:
                    rule = open_rule(name, self._tools)
                    for sample in SAMPLES:
                        if judges(name, sample):
                            rule.check(sample, scope, context)
                except ModerationError as error:  # names a file or a model, never content
                    _LOG.error("rule %s cannot be loaded, everything is held: %s", name, error)
                except Exception as error:  # noqa: BLE001 - whatever it was, everything is held
                    _LOG.error("rule %s cannot be loaded: %s", name, type(error).__name__)
                else:
                    self._rules[name] = rule


def risk(verdict: Verdict) -> float:
    """Return one number in 0..1 that orders prompts by risk, over all categories but style and spelling.

    Scores are joined as independent doubts: two rank above the greater of them alone. A name that the
    policy merely notes hardly counts: it says who is meant, and harmless prompts are full of names.
    """
    noted = NAMELESS - {finding.category for finding in verdict.findings if finding.action >= Action.HOLD}
    calm = 1.0
    for category, score in verdict.scores.items():
        if category not in {Category.ARTIST_STYLE, Category.EVASION}:
            calm *= 1.0 - (_NAMED if category in noted else 0.999) * min(1.0, max(0.0, score))
    return max(0.5 if verdict.action is Action.HOLD and not verdict.scores else 0.0, 1.0 - calm)


def screen_row(verdict: Verdict) -> dict[str, object]:
    """Return what `verso screen --jsonl` prints for one prompt, without its id."""
    gravest = verdict.gravest
    return {
        "action": verdict.action.name.lower(),
        "category": str(gravest.category) if gravest else None,
        "score": round(risk(verdict), 6),
        "scores": {str(category): round(verdict.scores.get(category, 0.0), 6) for category in Category},
        "clause": gravest.clause if gravest else None,
        "rule": gravest.rule if gravest else None,
        "ms": round(verdict.elapsed_ms, 3),
    }


def _join(findings: Iterable[Finding], policy: Policy, scope: Scope, started: float) -> Verdict:
    """The maximum of all findings; those that neither act nor are worth a note only leave their score."""
    everything = tuple(findings)
    scores: dict[Category, float] = dict.fromkeys(Category, 0.0)
    kept: list[Finding] = []
    for finding in everything:
        part = policy.of(finding.category, age_restricted=scope.age_restricted)
        if finding.clause != UNCHECKED:
            scores[finding.category] = max(scores[finding.category], finding.score)
        if finding.action > Action.ALLOW or (part.on and finding.score >= part.note):
            kept.append(finding)
    kept.sort(key=lambda f: (-f.action, -f.score, f.rule, f.category))
    frozen: Mapping[Category, float] = MappingProxyType(scores)
    return Verdict(
        action=max((finding.action for finding in kept), default=Action.ALLOW),
        findings=tuple(kept),
        scores=frozen,
        policy_version=policy.version,
        elapsed_ms=(time.perf_counter() - started) * 1e3,
    )


def _unchecked(rule: str, category: Category, policy: Policy, *, advice: str = "unchecked") -> Finding:
    return Finding(
        rule=rule,
        category=category,
        score=0.5,
        action=Action.HOLD,
        clause=UNCHECKED if UNCHECKED in policy.clauses else None,
        advice=advice,
    )


def _forget(future: asyncio.Future[Any]) -> None:
    """Take note of a late failure, so that it is not reported as never retrieved."""
    if not future.cancelled():
        future.exception()
