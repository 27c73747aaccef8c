"""What another policy would have decided: the recorded prompts screened once more, nothing recorded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from attribution.errors import ErasedError, VaultError
from attribution.ledger import Ledger
from moderation.decisions import Decisions, StoredDecision
from moderation.moderator import Moderator
from moderation.types import Action, Category, PromptContent, Scope


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """One prompt that would be decided differently."""

    decision_id: str
    workspace_id: str
    created_ms: int
    old: Action
    new: Action
    category: Category | None  # of the finding that decides now
    rule: str | None
    prompt: str = field(repr=False)  # for the eyes of whoever asks for it explicitly


@dataclass(frozen=True, kw_only=True, slots=True)
class Replayed:
    """All of it, counted."""

    policy_version: str
    counts: Mapping[tuple[Action, Action], int]  # (old, new) -> prompts
    changes: tuple[Change, ...]
    skipped: int  # nobody can open these any more


class Replay:
    """Opens recorded prompts through the vault; erased people's stay closed."""

    def __init__(self, *, decisions: Decisions, ledger: Ledger) -> None:
        self._decisions, self._ledger = decisions, ledger

    async def run(
        self, moderator: Moderator, *, since_ms: int = 0, workspace_id: str | None = None
    ) -> Replayed:
        """Screen every recorded prompt from `since_ms` (Unix ms) on with `moderator`."""
        counts: Counter[tuple[Action, Action]] = Counter()
        changes: list[Change] = []
        skipped = 0
        after = (0, "")
        while page := await self._decisions.since(
            since_ms, content_kind="prompt", workspace_id=workspace_id, after=after
        ):
            after = (page[-1].created_ms, page[-1].id)
            for decision in page:
                content = await self._content(decision)
                if content is None:
                    skipped += 1
                    continue
                change = await self._screen(moderator, decision, content)
                counts[change.old, change.new] += 1
                if change.old is not change.new:
                    changes.append(change)
        return Replayed(
            policy_version=moderator.policy.version,
            counts=dict(counts),
            changes=tuple(changes),
            skipped=skipped,
        )

    async def _screen(self, moderator: Moderator, decision: StoredDecision, content: PromptContent) -> Change:
        scope = Scope(
            platform=decision.platform,
            workspace_id=decision.workspace_id,
            age_restricted=decision.age_restricted,
        )
        verdict = await moderator.review(content, scope)
        finding = verdict.gravest
        return Change(
            decision_id=decision.id,
            workspace_id=decision.workspace_id,
            created_ms=decision.created_ms,
            old=decision.action,
            new=verdict.action,
            category=finding.category if finding else None,
            rule=finding.rule if finding else None,
            prompt=content.text,
        )

    async def _content(self, decision: StoredDecision) -> PromptContent | None:
        """Prompt and negative prompt as they were asked for; None: erased or expired."""
        try:
            text = await self._decisions.text(decision.id)
            negative = await self._negative(decision)
        except (ErasedError, VaultError):
            return None
        return None if text is None else PromptContent(text=text, negative=negative)

    async def _negative(self, decision: StoredDecision) -> str:
        entries: Sequence[str] = [
            stored.entry.id
            for stored in await self._ledger.of_job(decision.job_id or "")
            if stored.entry.public.get("decision") == decision.id
        ]
        openings = await self._ledger.openings(entries)
        return next((o.fields.get("negative_prompt", "") for o in openings.values()), "")
