"""What an image was made from: the file that its request started from, its mask, the images it went on from.

The record commits to the digests of file and mask, the ledger to those of the person's own earlier images. So
a stranger can see that a bundle holds these very pictures. Another person's picture is never handed out with
somebody's evidence: its id and digest stand in its place.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from attribution.errors import EvidenceError
from attribution.lineage import PARENTS
from attribution.release_facts import Json, Release, canonical_json
from attribution.releases import Releases

Role = Literal["source", "mask", "parent", "earlier"]

_TITLES: Mapping[str, str] = {
    "source": "The picture that the request started from",
    "mask": "The mask: white where the image was to be drawn anew",
}
_MOST_REFERENCES = 6  # pictures in the report
_MOST_EARLIER = 24  # files in a bundle
_ANOTHERS = "it is another person's"
_GONE = "it is kept no longer, or a moderator closed it off"


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """One picture that the image was made from."""

    role: Role
    sha256: str  # hex, of the file; empty: the record does not say
    image_id: str = ""  # of a parent, or of an earlier image
    data: bytes | None = field(default=None, repr=False)  # the file; None: it cannot be shown
    absent: str = ""  # why there is no file

    @property
    def title(self) -> str:
        """What it is, for people."""
        name = _TITLES.get(self.role) or f"Image {self.image_id}, which the person went on from"
        return f"{name}; {self.absent}" if self.absent else name


@dataclass(frozen=True, kw_only=True, slots=True)
class Reference:
    """A training picture that the image is credited to, for the report."""

    title: str
    data: bytes = field(repr=False)


def members_of(origins: Sequence[Origin]) -> dict[str, bytes]:
    """The members of a bundle that hold these pictures, with the list that explains them; empty: none.

    A file whose digest the record does not state is no member: nobody could tell it from another.
    """
    members: dict[str, bytes] = {}
    listed: list[Json] = []
    parents = 0
    for origin in origins:
        parents += origin.role == "parent"
        names = {"parent": f"parent-{parents}.png", "earlier": f"image-{origin.image_id}.png"}
        name = names.get(origin.role, f"{origin.role}.png")
        held = origin.data is not None and bool(origin.sha256)
        if held and origin.data is not None:
            members[name] = origin.data
        listed.append(
            {
                "role": origin.role,
                "member": name if held else None,
                "image_id": origin.image_id,
                "sha256": origin.sha256,
                "absent": origin.absent,
            }
        )
    if listed:
        members["sources.json"] = canonical_json({"sources": listed})
    return members


class MadeFrom:
    """Finds the pictures behind an image."""

    def __init__(
        self,
        releases: Releases,
        *,
        source: Callable[[str, str], Awaitable[bytes | None]],
        parent: Callable[[Release], Awaitable[bytes | None]],
        reference: Callable[[str], Awaitable[bytes | None]],
    ) -> None:
        """Keep what is needed; each callable gives None where the picture cannot or may not be shown.

        Args:
            releases: the released images.
            source: the file that a job (first argument) started from, or its mask, by the id of its sealed
                form (second).
            parent: the posted file of a release.
            reference: the file behind a credited source.
        """
        self._releases, self._source, self._parent, self._reference = releases, source, parent, reference

    async def of(
        self,
        release: Release,
        *,
        public: Mapping[str, str | int],
        asked: Mapping[str, str],
        recorded: Mapping[str, str],
    ) -> tuple[Origin, ...]:
        """The pictures that a job started from or went on from.

        Args:
            release: of the image.
            public: the public facts of its *job accepted*.
            asked: the opened fields of that entry.
            recorded: the opened fields of *image released*.

        Raises:
            EvidenceError: a stored file is not the recorded one.
        """
        roles: tuple[Role, ...] = ("source", "mask")
        files = [await self._file(release, role, asked, recorded) for role in roles if asked.get(role)]
        ids = [str(public[name]) for name in PARENTS if name in public]
        return (*files, *[await self._parent_of(release, image_id) for image_id in ids])

    async def _file(
        self, release: Release, role: Role, asked: Mapping[str, str], recorded: Mapping[str, str]
    ) -> Origin:
        data = await self._source(release.job_id, asked[role])
        sha256 = recorded.get(f"{role}_sha256", "")
        return _checked(Origin(role=role, sha256=sha256, data=data, absent="" if data else _GONE))

    async def earlier(self, release: Release, image_ids: Sequence[str]) -> tuple[Origin, ...]:
        """The person's other images on the way to this one: candidates, and what those came from.

        Args:
            release: of the image.
            image_ids: of released images, oldest first; another person's are passed over, and so are those
                that were taken back, or that there are too many of.

        Raises:
            EvidenceError: a stored file is not the recorded one.
        """
        found: list[Origin] = []
        for image_id in image_ids:
            other = await self._releases.get(image_id)
            if other is None or other.subject != release.subject or other.deleted:
                continue
            if len(found) < _MOST_EARLIER and (data := await self._parent(other)) is not None:
                origin = Origin(role="earlier", sha256=other.sha256, image_id=image_id, data=data)
                found.append(_checked(origin))
        return tuple(found)

    async def references(self, credits_: bytes) -> tuple[Reference, ...]:
        """The pictures of an image's credits (canonical JSON), as far as they are at hand."""
        found = []
        for credit in json.loads(credits_)[:_MOST_REFERENCES]:
            data = await self._reference(str(credit.get("source", "")))
            if data is not None:
                title = f"Reference: {credit.get('title')} by {credit.get('author')}"
                found.append(Reference(title=title, data=data))
        return tuple(found)

    async def _parent_of(self, release: Release, image_id: str) -> Origin:
        parent = await self._releases.get(image_id)
        if parent is None:
            return Origin(role="parent", sha256="", image_id=image_id, absent=_GONE)
        if parent.subject != release.subject:
            return Origin(role="parent", sha256=parent.sha256, image_id=image_id, absent=_ANOTHERS)
        data = await self._parent(parent)
        absent = "" if data else _GONE
        return _checked(
            Origin(role="parent", sha256=parent.sha256, image_id=image_id, data=data, absent=absent)
        )


def _checked(origin: Origin) -> Origin:
    data, sha256 = origin.data, origin.sha256
    if data is not None and sha256 and hashlib.sha256(data).hexdigest() != sha256:
        raise EvidenceError(f"the stored {origin.role} picture is not the recorded one")
    return origin
