"""Where a member stands with moderation: strikes, pauses, and moderators who set or end one by hand."""

from __future__ import annotations

from dataclasses import dataclass

from attribution.ledger import Ledger
from attribution.record import EventKind
from attribution.vault import Vault
from bot.conversation import Origin
from bot.errors import NotFoundError
from bot.usecases.request import subject_of
from bot.usecases.review import NotModerator
from generation.queue import Cancelled, JobQueue
from moderation.strikes import Standing, Strikes


@dataclass(frozen=True, kw_only=True, slots=True)
class Stands:
    """A member's standing in their workspace."""

    name: str
    user_id: str
    standing: Standing
    changed: bool = True  # False: there was no pause to end


@dataclass(frozen=True, kw_only=True, slots=True)
class Stopped:
    """What a moderator stopped of a member's."""

    name: str
    user_id: str
    jobs: int
    images: int  # that go back to quotas


class People:
    """Moderators' view of one member."""

    def __init__(self, *, vault: Vault, ledger: Ledger, strikes: Strikes, queue: JobQueue) -> None:
        self._vault, self._ledger = vault, ledger
        self._strikes, self._queue = strikes, queue

    async def standing(self, origin: Origin, user_id: str) -> Stands | NotModerator:
        """Live strikes and a running pause.

        Raises:
            NotFoundError: nobody of this id has been here.
        """
        if not origin.is_moderator:
            return NotModerator()
        subject = await self._subject(origin, user_id)
        return await self._stands(subject, origin.workspace_id, user_id)

    async def pause(self, origin: Origin, user_id: str, *, reason: str = "") -> Stands | NotModerator:
        """Let a member pause at once, for as long as their history calls for; what waits is cancelled.

        Raises:
            NotFoundError: nobody of this id has been here.
        """
        if not origin.is_moderator:
            return NotModerator()
        subject = await self._subject(origin, user_id)
        actor = await subject_of(self._vault, origin)
        await self._strikes.time_out(subject, origin.workspace_id, actor=actor)
        await self.cancel_all(subject, actor=actor, reason=reason)
        return await self._stands(subject, origin.workspace_id, user_id)

    async def unpause(self, origin: Origin, user_id: str) -> Stands | NotModerator:
        """End a member's pause; strikes stay and fade.

        Raises:
            NotFoundError: nobody of this id has been here.
        """
        if not origin.is_moderator:
            return NotModerator()
        subject = await self._subject(origin, user_id)
        changed = await self._strikes.lift(subject, origin.workspace_id)
        return await self._stands(subject, origin.workspace_id, user_id, changed=changed)

    async def cancel(self, origin: Origin, user_id: str, *, reason: str = "") -> Stopped | NotModerator:
        """Stop everything that a member has waiting or running here; their quota gets it back.

        The ledger notes who did it, and why.

        Raises:
            NotFoundError: nobody of this id has been here.
        """
        if not origin.is_moderator:
            return NotModerator()
        subject = await self._subject(origin, user_id)
        identity = await self._vault.identity(subject)
        actor = await subject_of(self._vault, origin)
        stopped = await self.cancel_all(subject, actor=actor, reason=reason)
        return Stopped(
            name=identity.name or "a member", user_id=user_id, jobs=stopped.jobs, images=stopped.images
        )

    async def cancel_all(self, subject: str, *, actor: str, reason: str = "") -> Cancelled:
        """Stop all of a person's requests, and note it in the ledger if there were any.

        Args:
            subject: whose.
            actor: pseudonym of who stops them.
            reason: in the actor's words.
        """
        stopped = await self._queue.cancel_user(subject)
        if stopped.jobs:
            await self._ledger.append(
                EventKind.JOBS_CANCELLED,
                subject=subject,
                public={"jobs": stopped.jobs, "images": stopped.images},
                private={"actor": actor, "reason": reason},
            )
        return stopped

    async def _subject(self, origin: Origin, user_id: str) -> str:
        subject = await self._vault.find(origin.platform, origin.workspace_id, user_id)
        if subject is None:
            raise NotFoundError("person", user_id)
        return subject

    async def _stands(self, subject: str, workspace_id: str, user_id: str, *, changed: bool = True) -> Stands:
        identity = await self._vault.identity(subject)
        return Stands(
            name=identity.name or "a member",
            user_id=user_id,
            standing=await self._strikes.standing(subject, workspace_id),
            changed=changed,
        )
