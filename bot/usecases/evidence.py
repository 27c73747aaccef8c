"""The bundle for a dispute: who may have it, and how a found copy led to the picture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from attribution.evidence import EvidenceRoom
from attribution.lookup import Lookup
from attribution.release_facts import Json
from attribution.vault import Vault
from bot.conversation import Origin
from bot.errors import NotFoundError, UsageError
from bot.usecases.finish import json_values
from bot.usecases.request import subject_of
from moderation.withheld import Withheld


class Evidence:
    """Hands out evidence bundles; each export is recorded with its actor."""

    def __init__(self, *, room: EvidenceRoom, lookup: Lookup, vault: Vault, withheld: Withheld) -> None:
        self._room, self._lookup, self._vault = room, lookup, vault
        self._withheld = withheld

    async def collect(self, origin: Origin, image_id: str, *, found: bytes | None = None) -> bytes:
        """The bundle of a picture; with the copy that was found, also how it led here.

        Raises:
            EvidenceError: no such picture, or something that a bundle needs is missing.
            ImageError: the found file is no picture.
            NotFoundError: the picture lies in quarantine.
        """
        if await self._withheld.quarantined([image_id]):
            raise NotFoundError("image", image_id)
        match: Mapping[str, Json] | None = None
        if found is not None:
            result = await self._lookup.find(found)
            hit = next((m for m in result.matches if m.image_id == image_id), None)
            if hit is None:
                raise UsageError("The found file does not match this picture.", field="found")
            match = json_values({"searched": result.searched, **hit.to_json()})
        return await self._room.export(image_id, actor=await subject_of(self._vault, origin), match=match)


def read_bounded(path: Path, limit: int) -> bytes:
    """A file's bytes, if there are not too many of them.

    Raises:
        UsageError: there is no such file, or it is larger than `limit` bytes.
    """
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.", field="file") from error
    if len(data) > limit:
        raise UsageError(f"{path} is larger than {limit // 1024**2} MiB.", field="file")
    return data
