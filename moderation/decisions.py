"""Stores every verdict with the sealed text it was about, for reviews, evidence and replays."""

from __future__ import annotations

import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import RowMapping, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

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
        return max(self.findings, key=lambda f: (f.action, f.score), default=None)


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
    ) -> str:
        """Store a verdict; returns the decision's id. `text` is sealed before anything is written."""
        sealed = await self._seal(subject, text.encode("utf-8", "replace"))
        decision_id = self._new_id()
        values = {
            "id": decision_id,
            "subject": subject,
            "workspace_id": scope.workspace_id,
            "platform": scope.platform,
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
            await connection.execute(decisions.insert().values(**values))
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

    async def text(self, decision_id: str) -> str | None:
        """Open the text of a decision; None where there is no such decision."""
        async with self._engine.execution_options(read_only=True).connect() as connection:
            row = (
                await connection.execute(
                    select(decisions.c.subject, decisions.c.text).where(decisions.c.id == decision_id)
                )
            ).one_or_none()
        return None if row is None else (await self._unseal(row.subject, row.text)).decode("utf-8", "replace")

    async def forget(self, subject: str, connection: AsyncConnection | None = None) -> None:
        """Delete a person's decisions."""
        statement = delete(decisions).where(decisions.c.subject == subject)
        if connection is not None:
            await connection.execute(statement)
            return
        async with self._engine.begin() as own:
            await own.execute(statement)

    async def _select(self, where: Any) -> tuple[StoredDecision, ...]:  # noqa: ANN401 - a column expression
        statement = select(decisions).where(where).order_by(decisions.c.created_ms, decisions.c.id)
        async with self._engine.execution_options(read_only=True).connect() as connection:
            return tuple(_decision(row) for row in (await connection.execute(statement)).mappings())


def _decision(row: RowMapping) -> StoredDecision:
    return StoredDecision(
        id=row["id"],
        subject=row["subject"],
        workspace_id=row["workspace_id"],
        platform=row["platform"],
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
