"""Stores every verdict with the sealed text it was about, for reviews, evidence and replays."""

from __future__ import annotations

import secrets
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, RowMapping, func, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncEngine

from moderation.tables import decisions
from moderation.types import Action, Category, Finding, Scope, Verdict

Seal = Callable[[str, bytes], Awaitable[bytes]]  # (subject, data)
ContentKind = Literal["prompt", "image"]


def new_id() -> str:
    """Return 16 random hex digits."""
    return secrets.token_hex(8)


def now_ms() -> int:
    """Return the Unix time in milliseconds."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredDecision:
    """One verdict as it was given. The text stays sealed: `Decisions.text` opens it."""

    id: str
    subject: str
    workspace_id: str
    platform: str
    age_restricted: bool
    job_id: str | None
    content_kind: ContentKind
    action: Action
    findings: tuple[Finding, ...]
    scores: Mapping[Category, float]
    policy_version: str
    elapsed_ms: float
    created_ms: int

    @property
    def gravest(self) -> Finding | None:
        """The finding that decided."""
        return _gravest(self.findings)


class Decisions:
    """The log of verdicts."""

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        seal: Seal,
        unseal: Seal,
        new_id: Callable[[], str] = new_id,
        now_ms: Callable[[], int] = now_ms,
    ) -> None:
        self._engine = engine
        self._seal = seal
        self._unseal = unseal
        self._new_id = new_id
        self._now_ms = now_ms

    async def record(
        self,
        *,
        subject: str,
        scope: Scope,
        content_kind: ContentKind,
        text: str,
        verdict: Verdict,
        job_id: str | None = None,
        decision_id: str | None = None,
    ) -> str:
        """Store a verdict; returns the decision's id. `text` is sealed before anything is written.

        A second verdict under a chosen `decision_id` (16 hex digits) changes nothing: the first one counts.
        """
        sealed = await self._seal(subject, text.encode("utf-8", "replace"))
        decision_id = decision_id or self._new_id()
        values = {
            "id": decision_id,
            "subject": subject,
            "workspace_id": scope.workspace_id,
            "platform": scope.platform,
            "age_restricted": scope.age_restricted,
            "job_id": job_id,
            "content_kind": content_kind,
            "text": sealed,
            "action": int(verdict.action),
            "findings": [_finding_json(finding) for finding in verdict.findings],
            "scores": {str(category): round(float(score), 6) for category, score in verdict.scores.items()},
            "policy_version": verdict.policy_version,
            "elapsed_ms": float(verdict.elapsed_ms),
            "created_ms": self._now_ms(),
        }
        async with self._engine.begin() as connection:
            dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
            await connection.execute(dialect.insert(decisions).values(**values).on_conflict_do_nothing())
        return decision_id

    async def attach(self, decision_id: str, job_id: str) -> None:
        """Say which job came of a decision that was made before the job existed."""
        async with self._engine.begin() as connection:
            await connection.execute(
                update(decisions).where(decisions.c.id == decision_id).values(job_id=job_id)
            )

    async def get(self, decision_id: str) -> StoredDecision | None:
        """Return one decision."""
        found = await self._select(decisions.c.id == decision_id)
        return found[0] if found else None

    async def of_job(self, job_id: str) -> tuple[StoredDecision, ...]:
        """Return a job's decisions, oldest first."""
        return await self._select(decisions.c.job_id == job_id)

    async def of_subject(self, subject: str) -> tuple[StoredDecision, ...]:
        """Return a person's decisions, oldest first."""
        return await self._select(decisions.c.subject == subject)

    async def since(
        self,
        since_ms: int,
        *,
        content_kind: ContentKind,
        workspace_id: str | None = None,
        after: tuple[int, str] = (0, ""),
        limit: int = 500,
    ) -> tuple[StoredDecision, ...]:
        """Return a page of decisions, oldest first; `after` is (created_ms, id) of the last one seen."""
        where = (
            (decisions.c.created_ms >= since_ms)
            & (decisions.c.content_kind == content_kind)
            & (tuple_(decisions.c.created_ms, decisions.c.id) > after)
        )
        if workspace_id is not None:
            where &= decisions.c.workspace_id == workspace_id
        return await self._select(where, limit=limit)

    async def tally(
        self, workspace_id: str, *, since_ms: int
    ) -> Mapping[tuple[ContentKind, Action, Category | None], int]:
        """Count a workspace's decisions from `since_ms` on, by the category of the gravest finding."""
        statement = select(decisions.c.content_kind, decisions.c.action, decisions.c.findings).where(
            decisions.c.workspace_id == workspace_id, decisions.c.created_ms >= since_ms
        )
        counts: Counter[tuple[ContentKind, Action, Category | None]] = Counter()
        async with self._engine.execution_options(read_only=True).connect() as connection:
            for row in await connection.execute(statement):
                finding = _gravest(tuple(_finding(item) for item in row.findings))
                counts[row.content_kind, Action(row.action), finding.category if finding else None] += 1
        return dict(counts)

    async def frequent(self, *, since_ms: int, blocks: int) -> tuple[tuple[str, str, int], ...]:
        """Return (workspace, subject, blocks) of everybody with at least `blocks` since then."""
        count = func.count()
        statement = (
            select(decisions.c.workspace_id, decisions.c.subject, count)
            .where(decisions.c.created_ms >= since_ms, decisions.c.action == int(Action.BLOCK))
            .group_by(decisions.c.workspace_id, decisions.c.subject)
            .having(count >= blocks)
            .order_by(decisions.c.workspace_id, decisions.c.subject)
        )
        async with self._engine.execution_options(read_only=True).connect() as connection:
            return tuple((row[0], row[1], int(row[2])) for row in await connection.execute(statement))

    async def text(self, decision_id: str) -> str | None:
        """Open the text of a decision; None where there is no such decision."""
        async with self._engine.execution_options(read_only=True).connect() as connection:
            row = (
                await connection.execute(
                    select(decisions.c.subject, decisions.c.text).where(decisions.c.id == decision_id)
                )
            ).one_or_none()
        return None if row is None else (await self._unseal(row.subject, row.text)).decode("utf-8", "replace")

    async def _select(
        self, where: ColumnElement[bool], limit: int | None = None
    ) -> tuple[StoredDecision, ...]:
        statement = (
            select(decisions).where(where).order_by(decisions.c.created_ms, decisions.c.id).limit(limit)
        )
        async with self._engine.execution_options(read_only=True).connect() as connection:
            return tuple(_decision(row) for row in (await connection.execute(statement)).mappings())


def _gravest(findings: Sequence[Finding]) -> Finding | None:
    return max(findings, key=lambda f: (f.action, f.score), default=None)


def _decision(row: RowMapping) -> StoredDecision:
    return StoredDecision(
        id=row["id"],
        subject=row["subject"],
        workspace_id=row["workspace_id"],
        platform=row["platform"],
        age_restricted=row["age_restricted"],
        job_id=row["job_id"],
        content_kind=row["content_kind"],
        action=Action(row["action"]),
        findings=tuple(_finding(item) for item in row["findings"]),
        scores={Category(name): float(score) for name, score in row["scores"].items()},
        policy_version=row["policy_version"],
        elapsed_ms=row["elapsed_ms"],
        created_ms=row["created_ms"],
    )


def _finding_json(finding: Finding) -> dict[str, object]:
    return {
        "rule": finding.rule,
        "category": str(finding.category),
        "score": round(float(finding.score), 6),
        "action": finding.action.name.lower(),
        "clause": finding.clause,
        "advice": finding.advice,
    }


def _finding(item: Mapping[str, Any]) -> Finding:
    return Finding(
        rule=item["rule"],
        category=Category(item["category"]),
        score=item["score"],
        action=Action[item["action"].upper()],
        clause=item["clause"],
        advice=item["advice"],
    )
