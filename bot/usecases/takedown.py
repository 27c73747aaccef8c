"""Taking pictures down: a moderator confirms, the posts go, and the requester is told once.

Confirming writes one outbox item for each job in the same transaction, so the removal survives a crash. The
courier carries it out on whatever platform the post stands, and tries again until the platform obeys.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncEngine

from attribution.errors import ErasedError, LedgerError, VaultError
from attribution.gallery import Gallery, GalleryImage
from attribution.record import EventKind
from attribution.releases import Releases
from attribution.vault import Vault
from bot.conversation import Origin
from bot.errors import NotFoundError, UsageError
from bot.usecases.request import now_ms, subject_of
from bot.usecases.review import NotModerator, sees
from generation import outbox
from generation.job import Job
from moderation.errors import TakedownError
from moderation.takedowns import CANDIDATE, CONFIRMED, Item, Takedown, Takedowns


@dataclass(frozen=True, kw_only=True, slots=True)
class TakenDown:
    """The pictures are out of sight; their posts go as fast as the platforms obey."""

    takedown: Takedown
    elsewhere: int  # identical pictures in other workspaces, which only the operator can take down


class TakeDown:
    """The moderators' list of take-downs, and what follows from a decision."""

    def __init__(
        self, *, engine: AsyncEngine, takedowns: Takedowns, gallery: Gallery, releases: Releases, vault: Vault
    ) -> None:
        self._engine, self._takedowns, self._gallery = engine, takedowns, gallery
        self._releases, self._vault = releases, vault

    async def open_(
        self,
        origin: Origin,
        image_ids: Sequence[str],
        *,
        requested_by: str,
        reason: str,
        received_ms: int | None = None,
    ) -> Takedown | NotModerator:
        """Take in a request about known pictures; the 48 hours run from `received_ms` (None: now).

        Raises:
            NotFoundError: a picture is not here, or was taken back before.
            TakedownError: the request names nobody.
        """
        if not origin.is_moderator:
            return NotModerator()
        items, homes = [], []
        for image_id in dict.fromkeys(image_ids):
            image = await self._gallery.get(image_id)
            home = await self._home(image) if image else None
            if image is None or home is None or sees(origin) not in {None, home}:
                raise NotFoundError("image", image_id)
            items.append(_item(image, "named"))
            homes.append(home)
        if len(set(homes)) > 1:
            raise UsageError("The pictures belong to several workspaces: one take-down for each.")
        return await self._takedowns.open_(
            workspace_id=homes[0] if homes else origin.workspace_id,
            requested_by=requested_by,
            reason=reason,
            actor=await subject_of(self._vault, origin),
            items=items,
            received_ms=received_ms,
        )

    async def pending(self, origin: Origin) -> tuple[Takedown, ...] | NotModerator:
        """What waits for a decision or for a platform: what is overdue first, then by deadline."""
        if not origin.is_moderator:
            return NotModerator()
        return await self._takedowns.unfinished(sees(origin))

    async def show(self, origin: Origin, takedown_id: str) -> Takedown | NotModerator:
        """One take-down with its pictures."""
        if not origin.is_moderator:
            return NotModerator()
        return await self._get(origin, takedown_id)

    async def confirm(
        self, origin: Origin, takedown_id: str, *, only: Sequence[str] = ()
    ) -> TakenDown | NotModerator:
        """Take the pictures down, with every copy that has the same pixels.

        Args:
            origin: the moderator's; copies in other workspaces go only at the operator's word (the terminal).
            takedown_id: which.
            only: image ids; empty: all candidates. The others stand.

        Raises:
            TakedownError: no such take-down here, or it was decided before.
            UsageError: `only` names a picture that is no candidate.
        """
        if not origin.is_moderator:
            return NotModerator()
        takedown = await self._get(origin, takedown_id)
        candidates = {item.image_id: item for item in takedown.items if item.status == CANDIDATE}
        unknown = set(only) - candidates.keys()
        if unknown and takedown.open:
            raise UsageError(f"No candidate of this take-down: {', '.join(sorted(unknown))}.", field="only")
        chosen = (
            [candidates[image_id] for image_id in only if image_id in candidates]
            if only
            else list(candidates.values())
        )
        copies, elsewhere = await self._copies(
            chosen, home=takedown.workspace_id, everywhere=not sees(origin)
        )
        actor = await subject_of(self._vault, origin)
        async with self._engine.begin() as connection:
            await self._takedowns.confirm(
                takedown_id,
                actor=actor,
                images=[item.image_id for item in chosen],
                copies=copies,
                connection=connection,
            )
            for job_id in dict.fromkeys(item.job_id for item in (*chosen, *copies)):
                await outbox.put_again(connection, job_id, "remove")
        await self._record([*chosen, *copies], actor)
        return TakenDown(takedown=await self._takedowns.get(takedown_id), elsewhere=elsewhere)

    async def dismiss(self, origin: Origin, takedown_id: str) -> Takedown | NotModerator:
        """Let the pictures stand.

        Raises:
            TakedownError: no such take-down here, or it was decided before.
        """
        if not origin.is_moderator:
            return NotModerator()
        await self._get(origin, takedown_id)
        await self._takedowns.dismiss(takedown_id, actor=await subject_of(self._vault, origin))
        return await self._takedowns.get(takedown_id)

    async def removed(self, job: Job) -> bool:
        """The posts of a job are gone: record what belongs to it. True: the requester is to be told, now."""
        tell = False
        for takedown, item in await self._takedowns.of_job(job.id):
            await self._record([item], takedown.decided_by or "")
            tell |= await self._takedowns.tell(takedown.id, job.user_id)
        await self._takedowns.removed(job.id)
        return tell

    async def _record(self, items: Sequence[Item], actor: str) -> None:
        """One ledger leaf for each picture, however often this runs."""
        for item in items:
            try:
                await self._releases.mark_deleted(item.image_id, kind=EventKind.TAKE_DOWN, actor=actor)
            except (ErasedError, VaultError, LedgerError):  # the person was erased: nothing is left to show
                continue

    async def _copies(self, chosen: Sequence[Item], *, home: str, everywhere: bool) -> tuple[list[Item], int]:
        known = {item.image_id for item in chosen}
        pixels = []
        for item in chosen:
            image = await self._gallery.get(item.image_id)
            if image is not None:
                pixels.append(image.pixels_sha256)
        copies, elsewhere = [], 0
        for image in await self._gallery.identical(list(dict.fromkeys(pixels))):
            if image.image_id in known:
                continue
            if everywhere or await self._home(image) == home:
                copies.append(_item(image, "identical"))
            else:
                elsewhere += 1
        return copies, elsewhere

    async def _home(self, image: GalleryImage) -> str | None:
        try:
            return (await self._vault.identity(image.subject)).workspace_id
        except (ErasedError, VaultError):
            return None

    async def _get(self, origin: Origin, takedown_id: str) -> Takedown:
        takedown = await self._takedowns.get(takedown_id)
        if sees(origin) not in {None, takedown.workspace_id}:
            raise TakedownError(f"there is no take-down {takedown_id!r} here")
        return takedown


def overdue(takedown: Takedown) -> bool:
    """Whether the 48 hours are over."""
    return takedown.deadline_ms <= now_ms()


def _item(image: GalleryImage, why: str) -> Item:
    status = CONFIRMED if why == "identical" else CANDIDATE
    return Item(image_id=image.image_id, job_id=image.job_id, subject=image.subject, why=why, status=status)
