"""The per-user usage log: what Verso knows of a person, who may look at it, withdrawing terms, erasing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy.ext.asyncio import AsyncEngine

from attribution.acceptance import Acceptances
from attribution.erasing import after_erase
from attribution.erasures import Erasures
from attribution.errors import LegalHoldError
from attribution.ledger import Ledger
from attribution.record import EventKind
from attribution.release_facts import Release
from attribution.releases import Releases
from attribution.vault import Vault
from bot.conversation import Origin
from bot.errors import NotFoundError, UsageError
from bot.usecases.credits import Credited, Credits
from bot.usecases.forget import forget
from bot.usecases.request import clean_prompt, now_ms, subject_of
from bot.usecases.review import NotModerator
from generation.blobs import BlobStore
from generation.errors import BlobMissingError
from moderation.withheld import Withheld


@dataclass(frozen=True, kw_only=True, slots=True)
class LogLine:
    """One event of a person's usage log, opened."""

    at_ms: int
    kind: str
    public: Mapping[str, str | int]
    private: Mapping[str, str]
    leaf_index: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """One posted picture of a person's gallery."""

    release: Release
    prompt: str
    negative_prompt: str
    seed: str
    status: str  # "posted", "deleted", "taken down", "expired"
    png: bytes | None = field(repr=False)  # the signed file; None: it may not be shown, or is gone
    credited: Credited | None


@dataclass(frozen=True, kw_only=True, slots=True)
class AccountView:
    """All of a person's usage log."""

    subject: str
    platform: str
    workspace_id: str
    name: str
    lines: tuple[LogLine, ...]


class Accounts:
    """What one person has done here, from the ledger, with its sealed fields opened."""

    def __init__(
        self,
        *,
        engine: AsyncEngine,
        vault: Vault,
        ledger: Ledger,
        acceptances: Acceptances,
        releases: Releases,
        erasures: Erasures,
        blobs: BlobStore,
        forget_pictures: Callable[[Sequence[str]], None],
        withheld: Withheld,
        credits_: Credits,
    ) -> None:
        self._engine, self._vault, self._ledger = engine, vault, ledger
        self._acceptances, self._releases, self._erasures = acceptances, releases, erasures
        self._blobs, self._withheld, self._credits = blobs, withheld, credits_
        self._forget_pictures = forget_pictures  # the look-up's index in memory

    async def show(self, subject: str) -> AccountView:
        """The usage log of a person, oldest first.

        Raises:
            ErasedError: the person's data were erased.
        """
        identity = await self._vault.identity(subject)
        lines = []
        entries = await self._ledger.entries(subject)
        openings = await self._ledger.openings([stored.entry.id for stored in entries])
        hidden = await self._withheld.jobs([str(stored.entry.public.get("job_id", "")) for stored in entries])
        for stored in entries:
            opening = openings.get(stored.entry.id)
            job_id = stored.entry.public.get("job_id", "")
            lines.append(
                LogLine(
                    at_ms=stored.entry.at_ms,
                    kind=str(stored.entry.kind),
                    public=stored.entry.public,
                    private=opening.fields if opening and job_id not in hidden else {},
                    leaf_index=stored.leaf_index,
                )
            )
        return AccountView(
            subject=subject,
            platform=identity.platform,
            workspace_id=identity.workspace_id,
            name=identity.name,
            lines=tuple(lines),
        )

    async def inspect(self, origin: Origin, user_id: str, *, reason: str) -> AccountView | NotModerator:
        """A member's usage log, for a moderator of their workspace; the look is recorded with its reason.

        Args:
            origin: the moderator's.
            user_id: the platform's own id of the member.
            reason: why; the member can read it in their own log.

        Raises:
            NotFoundError: nobody of this id has been here.
            UsageError: no reason is given.
        """
        if not origin.is_moderator:
            return NotModerator()
        subject = await self._vault.find(origin.platform, origin.workspace_id, user_id)
        if subject is None:
            raise NotFoundError("person", user_id)
        await self.looked_up(origin, subject, reason=reason)
        return await self.show(subject)

    async def looked_up(self, origin: Origin, subject: str, *, reason: str) -> None:
        """Record that somebody looks at a person's usage log; one's own is nobody's business.

        Raises:
            UsageError: no reason is given.
            ErasedError: the person's data were erased.
        """
        actor = await subject_of(self._vault, origin)
        if actor == subject:
            return
        why = clean_prompt(reason, field="reason")
        if not why:
            raise UsageError(
                "Looking at somebody's usage log needs a reason: they can read it.", field="reason"
            )
        await self._ledger.append(
            EventKind.LOOKED_UP,
            subject=subject,
            public={"actor": actor, "what": "usage log"},
            private={"reason": why},
        )

    async def pictures(self, subject: str) -> tuple[Picture, ...]:
        """A person's released pictures, newest first; what may not be shown comes without its file.

        Raises:
            ErasedError: the person's data were erased.
        """
        releases = await self._releases.of_subject(subject)
        ids = [release.image_id for release in releases]
        quarantined, hidden = await self._withheld.quarantined(ids), await self._withheld.images(ids)
        openings = await self._ledger.openings([release.entry_id for release in releases])
        pictures = []
        for release in reversed(releases):
            if release.image_id in quarantined:
                continue
            opening = openings.get(release.entry_id)
            words = opening.fields if opening else {}
            png = None if release.image_id in hidden else await self._file(release)
            pictures.append(
                Picture(
                    release=release,
                    prompt=words.get("prompt", ""),
                    negative_prompt=words.get("negative_prompt", ""),
                    seed=words.get("seed", ""),
                    status=_status(release, hidden),
                    png=png,
                    credited=await self._credits.of_image(release.image_id) if release.blob else None,
                )
            )
        return tuple(pictures)

    async def _file(self, release: Release) -> bytes | None:
        if not release.blob:
            return None
        try:
            sealed = await self._blobs.get(release.blob)
        except BlobMissingError:  # deleted by retention while this ran
            return None
        return await self._vault.unseal(release.subject, sealed)

    async def withdraw(self, subject: str, license_id: str | None = None) -> int:
        """Withdraw acceptance: no further pictures until the terms are accepted again."""
        return await self._acceptances.withdraw(subject, license_id)

    async def erase(self, subject: str) -> None:
        """Erase a person: keys, words, names, pictures. The ledger keeps commitments that nobody can open.

        Raises:
            LegalHoldError: a disputed picture keeps this person's record for now.
        """
        if (reason := await self._vault.held(subject)) is not None:
            raise LegalHoldError(subject, reason)
        await self._ledger.append(EventKind.ERASED, subject=subject)
        pictures = [release.image_id for release in await self._releases.of_subject(subject)]
        async with self._engine.begin() as connection:
            await self._vault.erase(subject, connection=connection)
            blobs = await forget(connection, subject, erased_ms=now_ms())
        self._forget_pictures(pictures)
        for blob in blobs:
            try:
                await self._blobs.delete(blob)
            except BlobMissingError:  # an earlier, interrupted erasure got so far
                continue
        await after_erase(self._engine)
        await self._erasures.settle()


def _status(release: Release, hidden: frozenset[str]) -> str:
    if release.image_id in hidden:
        return "taken down"
    if not release.blob:
        return "expired"
    return "deleted" if release.deleted else "posted"
