"""Who made this picture: by the button under a post, or from a found file alone."""

from __future__ import annotations

from dataclasses import dataclass

from attribution.errors import ErasedError
from attribution.ledger import Ledger
from attribution.lookup import Lookup
from attribution.matches import LookupResult
from attribution.record import EventKind
from attribution.release_facts import Release
from attribution.releases import Releases
from attribution.vault import Vault
from bot.conversation import Origin
from bot.errors import NotFoundError
from bot.usecases.lookup_limit import LookupLimit, LookupsSpent
from bot.usecases.request import subject_of


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """Matches, each with the name of its requester as the asker may see it."""

    result: LookupResult
    requesters: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class MadeBy:
    """Who asked for one known picture."""

    name: str
    release: Release


class WhoMade:
    """Looks up a picture's maker. Looking somebody up is itself recorded."""

    def __init__(
        self, *, lookup: Lookup, releases: Releases, vault: Vault, ledger: Ledger, limit: LookupLimit
    ) -> None:
        self._lookup, self._releases, self._vault = lookup, releases, vault
        self._ledger, self._limit = ledger, limit

    async def spent(self, origin: Origin) -> LookupsSpent | None:
        """Count a look-up in a chat; the reason if it is one too many."""
        return await self._limit.take(origin)

    async def find(self, data: bytes, *, origin: Origin) -> Found:
        """All matches of a found file.

        Raises:
            ImageError: the file is no picture that can be opened within the limits.
        """
        result = await self._lookup.find(data)
        names = []
        for match in result.matches:
            names.append(await self.name_for(match.subject, origin))
            await self._record(origin, image_id=match.image_id, subject=match.subject)
        return Found(result=result, requesters=tuple(names))

    async def by_id(self, origin: Origin, image_id: str) -> MadeBy:
        """The requester of a known picture of the asker's own workspace.

        Raises:
            NotFoundError: no such picture in this workspace.
        """
        release = await self._releases.get(image_id)
        if release is None:
            raise NotFoundError("image", image_id)
        try:
            identity = await self._vault.identity(release.subject)
        except ErasedError:
            return MadeBy(name="somebody whose data were erased", release=release)
        if identity.workspace_id != origin.workspace_id:
            raise NotFoundError("image", image_id)
        await self._record(origin, image_id=image_id, subject=release.subject)
        return MadeBy(name=identity.name or "a member", release=release)

    async def name_for(self, subject: str, origin: Origin) -> str:
        """A requester's name: moderators and the operator see all, members those of their own workspace."""
        try:
            identity = await self._vault.identity(subject)
        except ErasedError:
            return "erased"
        if origin.platform == "terminal":
            return f"{identity.name or identity.user_id} ({identity.workspace_id})"
        if identity.workspace_id == origin.workspace_id:
            return identity.name or "a member"
        return "somebody in another workspace"

    async def _record(self, origin: Origin, *, image_id: str, subject: str) -> None:
        actor = await subject_of(self._vault, origin)
        await self._ledger.append(
            EventKind.LOOKED_UP, subject=subject, public={"image_id": image_id, "actor": actor}
        )
