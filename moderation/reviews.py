"""The moderators' queue: held prompts and appeals, each decided once by one person."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final, Literal

from sqlalchemy import RowMapping, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from moderation.decisions import Seal, new_id, now_ms
from moderation.errors import AlreadyDecidedError, AppealError, OutcomeError, ReviewMissingError
from moderation.tables import decisions, reviews
from moderation.types import Action, Category

ReviewKind = Literal["hold", "appeal", "image"]
Also = Callable[[AsyncConnection], Awaitable[None]]  # a step within the transaction of a decision
Outcome = Literal["approved", "upheld", "warned", "timed_out"]
OUTCOMES: Final = ("approved", "upheld", "warned", "timed_out")
OPEN: Final = "open"
EXPIRED: Final = "expired"
MAX_REASON: Final = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class Review:
    """One entry of the queue. `payload` and `reason` are open only where a single review was asked for."""

    id: str
    decision_id: str
    subject: str
    workspace_id: str
    kind: ReviewKind
    status: str  # "open", an outcome, or "expired"
    actor: str | None
    created_ms: int
    deadline_ms: int
    decided_ms: int | None
    payload: bytes | None = None  # the command to run once approved
    reason: str | None = None

    @property
    def open(self) -> bool:
        """Whether it still waits."""
        return self.status == OPEN


class Reviews:
    """Opens, lists and decides reviews."""

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

    async def open_(
        self,
        *,
        decision_id: str,
        subject: str,
        workspace_id: str,
        payload: bytes,
        kind: ReviewKind,
        deadline_ms: int,
    ) -> str:
        """Put a decision before the moderators; returns the review's id.

        Asking for the same hold twice returns the first review, so that a replayed event is harmless.

        Raises:
            AppealError: it was appealed before, or it is a decision about minors that nothing can overturn.
        """
        if kind == "appeal":
            await self._may_appeal(decision_id)
        sealed = await self._seal(subject, payload)
        values = {
            "id": self._new_id(),
            "decision_id": decision_id,
            "subject": subject,
            "workspace_id": workspace_id,
            "kind": kind,
            "payload": sealed,
            "status": OPEN,
            "created_ms": self._now_ms(),
            "deadline_ms": deadline_ms,
        }
        async with self._engine.begin() as connection:
            dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
            made = await connection.scalar(
                dialect.insert(reviews)
                .values(**values)
                .on_conflict_do_nothing(index_elements=["decision_id", "kind"])
                .returning(reviews.c.id)
            )
            if made is not None:
                return str(made)
            if kind == "appeal":
                raise AppealError("this decision was appealed before")
            known = select(reviews.c.id).where(reviews.c.decision_id == decision_id, reviews.c.kind == kind)
            return str(await connection.scalar(known))

    async def get(self, review_id: str) -> Review:
        """Return one review with its payload.

        Raises:
            ReviewMissingError: there is none.
        """
        row = await self._row(review_id)
        return await self._opened(row)

    async def pending(self, workspace_id: str | None = None) -> tuple[Review, ...]:
        """Return what waits, oldest first; None: of every workspace."""
        statement = (
            select(reviews).where(reviews.c.status == OPEN).order_by(reviews.c.created_ms, reviews.c.id)
        )
        if workspace_id is not None:
            statement = statement.where(reviews.c.workspace_id == workspace_id)
        async with self._engine.execution_options(read_only=True).connect() as connection:
            return tuple(_review(row) for row in (await connection.execute(statement)).mappings())

    async def of_decision(self, decision_id: str, kind: ReviewKind) -> Review | None:
        """Return the review of a decision, if it was put before the moderators."""
        statement = select(reviews).where(reviews.c.decision_id == decision_id, reviews.c.kind == kind)
        async with self._engine.execution_options(read_only=True).connect() as connection:
            row = (await connection.execute(statement)).mappings().one_or_none()
        return None if row is None else _review(row)

    async def of_subject(self, subject: str) -> tuple[Review, ...]:
        """Return a person's reviews, oldest first."""
        statement = (
            select(reviews).where(reviews.c.subject == subject).order_by(reviews.c.created_ms, reviews.c.id)
        )
        async with self._engine.execution_options(read_only=True).connect() as connection:
            return tuple(_review(row) for row in (await connection.execute(statement)).mappings())

    async def decide(
        self, review_id: str, *, outcome: Outcome, actor: str, reason: str, also: Also | None = None
    ) -> Review:
        """Decide a review that still waits: of two moderators at once, one succeeds.

        `also` runs in the same transaction: what must follow from the decision cannot get lost.

        Raises:
            OutcomeError: no such outcome, no actor, or a reason of more than 1,000 characters.
            ReviewMissingError: no such review.
            AlreadyDecidedError: somebody else was faster; names the outcome.
        """
        if outcome not in OUTCOMES:
            raise OutcomeError(f"the outcome must be one of {', '.join(OUTCOMES)}")
        if not actor.strip() or len(reason) > MAX_REASON:
            raise OutcomeError("a decision needs an actor, and a reason of at most 1,000 characters")
        row = await self._row(review_id)
        sealed = await self._seal(row["subject"], reason.encode("utf-8", "replace"))
        statement = (
            update(reviews)
            .where(reviews.c.id == review_id, reviews.c.status == OPEN)
            .values(status=outcome, actor=actor[:128], reason=sealed, decided_ms=self._now_ms())
            .returning(*reviews.c)
        )
        async with self._engine.begin() as connection:
            decided = (await connection.execute(statement)).mappings().one_or_none()
            if decided is not None and also is not None:
                await also(connection)
        if decided is None:
            row = await self._row(review_id)
            raise AlreadyDecidedError(review_id, outcome=row["status"], actor=row["actor"] or "")
        return await self._opened(decided)

    async def expire(self) -> tuple[Review, ...]:
        """Close what has waited past its deadline; returns it, so that people can be told."""
        now = self._now_ms()
        statement = (
            update(reviews)
            .where(reviews.c.status == OPEN, reviews.c.deadline_ms <= now)
            .values(status=EXPIRED, actor="deadline", decided_ms=now)
            .returning(*reviews.c)
        )
        async with self._engine.begin() as connection:
            return tuple(_review(row) for row in (await connection.execute(statement)).mappings())

    async def _may_appeal(self, decision_id: str) -> None:
        async with self._engine.execution_options(read_only=True).connect() as connection:
            findings = await connection.scalar(
                select(decisions.c.findings).where(decisions.c.id == decision_id)
            )
        if findings is None:
            raise AppealError("there is no such decision")
        block = Action.BLOCK.name.lower()
        if any(item["category"] == Category.MINORS and item["action"] == block for item in findings):
            raise AppealError("a decision that protects minors cannot be appealed")

    async def _row(self, review_id: str) -> RowMapping:
        async with self._engine.execution_options(read_only=True).connect() as connection:
            row = (
                (await connection.execute(select(reviews).where(reviews.c.id == review_id)))
                .mappings()
                .one_or_none()
            )
        if row is None:
            raise ReviewMissingError(review_id)
        return row

    async def _opened(self, row: RowMapping) -> Review:
        payload = await self._unseal(row["subject"], row["payload"])
        reason = None
        if row["reason"] is not None:
            reason = (await self._unseal(row["subject"], row["reason"])).decode("utf-8", "replace")
        return replace(_review(row), payload=payload, reason=reason)


def _review(row: RowMapping) -> Review:
    return Review(
        id=row["id"],
        decision_id=row["decision_id"],
        subject=row["subject"],
        workspace_id=row["workspace_id"],
        kind=row["kind"],
        status=row["status"],
        actor=row["actor"],
        created_ms=row["created_ms"],
        deadline_ms=row["deadline_ms"],
        decided_ms=row["decided_ms"],
    )
