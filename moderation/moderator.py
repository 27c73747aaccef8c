"""Runs every rule over a content and joins what they find into one verdict.

Fails closed: a rule that raises, takes too long or cannot be loaded becomes a finding that holds.
`review` never raises for content.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from moderation.errors import ModerationError
from moderation.pictures import PictureError, decode
from moderation.policy import Policy
from moderation.protected import NOTHING, Fingerprint, ProtectedList
from moderation.rules import RULES, open_rule
from moderation.rules.base import Context, Embed, Rule, Tools
from moderation.types import Action, Category, Content, Finding, ImageContent, PromptContent, Scope, Verdict

if TYPE_CHECKING:
    from typing import Self

_LOG = logging.getLogger(__name__)
UNCHECKED = "house/unchecked"

Protected = Callable[[str], Awaitable[ProtectedList]]  # workspace id -> its list as it is now


class Moderator:
    """Screens prompts and pictures under one policy; build it with `open`.

    At most `workers` reviews run at once, each rule on a thread of its own, so that a rule's time
    is its own and never the time it waited.
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
        self._workers = max(1, workers)
        self._pool = self._new_pool()
        self._slots = asyncio.Semaphore(self._workers)
        self._rules: dict[str, Rule] = {}
        self._warm = False
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
        """
        tools = Tools(embed=embed, data=data, fingerprint=fingerprint)
        return cls(policy, names=rules, tools=tools, workers=workers, protected=protected)

    @property
    def policy(self) -> Policy:
        """The policy in force."""
        return self._policy

    def use(self, policy: Policy) -> None:
        """Put another policy in force for reviews that start from now on."""
        self._policy = policy

    async def warm(self) -> None:
        """Load every rule and run each once, without a time limit."""
        await asyncio.get_running_loop().run_in_executor(None, self._load)

    async def review(self, content: Content, scope: Scope) -> Verdict:
        """Judge a prompt or a decoded picture; a failing rule holds, nothing raises for content."""
        if not self._warm:
            await self.warm()
        async with self._slots:
            started = time.perf_counter()
            policy = self._policy
            findings: list[Finding] = []
            context = Context(policy, protected=await self._protected_in(scope, policy, findings))
            for name in self._names:
                findings += await self._run(name, content, scope, context)
            return _join(findings, policy, scope, started)

    async def review_file(self, data: bytes, scope: Scope, *, prompt: str = "") -> Verdict:
        """Judge a picture file; one that cannot be decoded within the limits is held."""
        started = time.perf_counter()
        try:
            pixels = await asyncio.get_running_loop().run_in_executor(None, decode, data)
        except PictureError:
            finding = _unchecked("picture", Category.SEXUAL, self._policy, advice="unreadable_image")
            return _join([finding], self._policy, scope, started)
        return await self.review(ImageContent(pixels=pixels, prompt=prompt), scope)

    def close(self) -> None:
        """Give the threads back; a rule that still runs is not waited for."""
        self._pool.shutdown(wait=False, cancel_futures=True)

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
        pool = self._pool
        future = asyncio.get_running_loop().run_in_executor(pool, rule.check, content, scope, context)
        try:
            found = await asyncio.wait_for(asyncio.shield(future), context.policy.rule_timeout_s)
        except TimeoutError:
            _LOG.warning("rule %s took longer than %s s", name, context.policy.rule_timeout_s)
            future.add_done_callback(_forget)
            self._abandon(pool)
        except Exception as error:  # noqa: BLE001 - whatever a rule raises, the content is held
            _LOG.warning(
                "rule %s failed: %s", name, type(error).__name__
            )  # no message: it may quote a prompt
        else:
            if isinstance(found, tuple) and all(isinstance(item, Finding) for item in found):
                return found
            _LOG.warning("rule %s answered with something that is no finding", name)
        return (_unchecked(name, rule.category, context.policy),)

    def _abandon(self, pool: ThreadPoolExecutor) -> None:
        """Leave a pool with a hanging thread behind, so that the next review has a thread of its own."""
        with self._lock:
            if self._pool is pool:
                self._pool = self._new_pool()
        pool.shutdown(wait=False)

    def _new_pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self._workers, thread_name_prefix="moderation")

    def _load(self) -> None:
        with self._lock:
            scope, context = Scope(), Context(self._policy)
            samples = (
                PromptContent(text="a red apple on a blue plate", negative="blurry"),
                ImageContent(pixels=np.arange(32 * 32 * 3, dtype=np.uint8).reshape(32, 32, 3)),
            )
            for name in self._names:
                if name in self._rules:
                    continue
                try:
                    rule = open_rule(name, self._tools)
                    for sample in samples:
                        rule.check(sample, scope, context)
                except ModerationError as error:  # names a file or a model, never content
                    _LOG.error("rule %s cannot be loaded, everything is held: %s", name, error)
                except Exception as error:  # noqa: BLE001 - whatever it was, everything is held
                    _LOG.error("rule %s cannot be loaded: %s", name, type(error).__name__)
                else:
                    self._rules[name] = rule
            self._warm = len(self._rules) == len(self._names)


def risk(verdict: Verdict) -> float:
    """Return one number in 0..1 that orders prompts by risk, over all categories but style and spelling.

    Within one verdict the categories' scores are joined as if they were independent doubts, so that
    a prompt with two doubts ranks above a prompt with the greater of them alone.
    """
    left_out = {Category.ARTIST_STYLE, Category.EVASION}
    calm = 1.0
    for category, score in verdict.scores.items():
        if category not in left_out:
            calm *= 1.0 - 0.999 * min(1.0, max(0.0, score))
    held = 0.5 if verdict.action is Action.HOLD and not verdict.scores else 0.0
    return max(held, 1.0 - calm)


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


def _forget(future: asyncio.Future[tuple[Finding, ...]]) -> None:
    """Take note of a late failure, so that it is not reported as never retrieved."""
    if not future.cancelled():
        future.exception()
