"""Rights holders: what a workspace protects, and which past pictures an entry would have stopped."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from attribution.errors import ErasedError, VaultError
from attribution.fingerprints import MIN_QUALITY, THRESHOLD, mirrored, pdq
from attribution.gallery import Gallery, GalleryImage
from attribution.images import decode
from attribution.ledger import Ledger
from attribution.record import EventKind
from attribution.vault import Vault
from bot.conversation import Origin
from bot.errors import UsageError
from bot.usecases.image_check import event_id
from bot.usecases.request import clean_prompt, dedupe_key_of, now_ms, subject_of
from bot.usecases.review import NotModerator, sees
from moderation.keypoints import KeyPoints
from moderation.normalize import normalize
from moderation.protected import Kind, ProtectedEntry, ProtectedList
from moderation.protections import Protections
from moderation.takedowns import Item, Takedown, Takedowns
from moderation.types import Action

_SKETCH = 256  # pixels of the shorter side that are enough for the hashes of turned pictures


@dataclass(frozen=True, kw_only=True, slots=True)
class ProtectRequest:
    """What a rights holder asks for: a name or mark in words, or a picture's bytes with what it is called."""

    kind: Kind
    term: str
    image: bytes | None = None
    action: Action = Action.HOLD
    requested_by: str
    reason: str
    received_ms: int | None = None  # when they asked, Unix ms; None: now


@dataclass(frozen=True, kw_only=True, slots=True)
class Protected:
    """The entry counts from now on; past pictures that it matches wait in a take-down."""

    entry: ProtectedEntry
    takedown: Takedown | None
    searched: int  # past pictures


def fingerprint(pixels: npt.NDArray[np.uint8]) -> tuple[bytes, ...]:
    """PDQ hashes of (H, W, 3) 8-bit pixels, and of what they may have been turned from.

    The first is the picture's own. Then come its mirror image, quarter turns, swapped color channels (which
    also stand for turned hues) and the negatives of all these; none where the picture is too flat.
    """
    direct = pdq(pixels)
    if direct.quality < MIN_QUALITY:
        return ()
    step = max(1, min(pixels.shape[:2]) // _SKETCH)  # the hash samples 64 x 64 anyway
    sketch = pixels[::step, ::step]
    turned = [np.rot90(side, quarters) for side in (sketch, sketch[:, ::-1]) for quarters in range(4)]
    hashes = [
        pdq(np.ascontiguousarray(view[:, :, list(channels)])).bits
        for view in turned
        for channels in itertools.permutations(range(3))
    ]
    negatives = [bytes(255 - byte for byte in bits) for bits in hashes]
    return tuple(dict.fromkeys([direct.bits, mirrored(pixels).bits, *hashes, *negatives]))


class Protect:
    """Adds, lists and removes protected entries; only moderators may, each in their own workspace."""

    def __init__(
        self,
        *,
        protections: Protections,
        takedowns: Takedowns,
        gallery: Gallery,
        vault: Vault,
        ledger: Ledger,
    ) -> None:
        self._protections, self._takedowns, self._gallery = protections, takedowns, gallery
        self._vault, self._ledger = vault, ledger

    async def add(
        self, origin: Origin, request: ProtectRequest, *, workspace_id: str = ""
    ) -> Protected | NotModerator:
        """Protect something, and list the past pictures that it matches; the same event twice counts once.

        Args:
            origin: the moderator's.
            request: what is asked for.
            workspace_id: only whoever has the shell may name another workspace than their own.

        Raises:
            ProtectedError: the request is incomplete.
            ImageError: the picture cannot be read.
            UsageError: the picture is missing or too flat to be told from others, a text is too long, or the
                request comes from the future.
        """
        if not origin.is_moderator:
            return NotModerator()
        if (request.kind == "image") != (request.image is not None):
            raise UsageError("A picture is protected by its file; names and marks need none.", field="image")
        if request.received_ms is not None and request.received_ms > now_ms():
            raise UsageError("They cannot have asked in the future.", field="received")
        hashes: tuple[bytes, ...] = ()
        keypoints: bytes | None = None
        if request.image is not None:
            pixels = await asyncio.to_thread(decode, request.image)
            hashes = await asyncio.to_thread(fingerprint, pixels)
            keypoints = (await asyncio.to_thread(KeyPoints.of, pixels)).to_bytes()
            if not hashes:
                raise UsageError("The picture is too flat to be told from others.", field="image")
        actor = await subject_of(self._vault, origin)
        event = f"{origin.workspace_id}/{dedupe_key_of(origin)}"
        entry = await self._protections.add(
            workspace_of(origin, workspace_id),
            kind=request.kind,
            term=clean_prompt(request.term, field="name"),
            pdq=hashes[0] if hashes else None,
            keypoints=keypoints,
            action=request.action,
            requested_by=clean_prompt(request.requested_by, field="name of who asked"),
            reason=clean_prompt(request.reason, field="reason"),
            actor=actor,
            entry_id=event_id(event, "protect"),
        )
        await self._note(entry, "protected", actor)
        items, searched = await self._search(entry, hashes)
        takedown = None
        if items:
            takedown = await self._takedowns.open_(
                workspace_id=entry.workspace_id,
                requested_by=entry.requested_by,
                reason=entry.reason,
                actor=actor,
                items=items,
                protected_id=entry.id,
                received_ms=request.received_ms,
                takedown_id=event_id(entry.id, "take-down"),
            )
        return Protected(entry=entry, takedown=takedown, searched=searched)

    async def entries(
        self, origin: Origin, *, workspace_id: str = ""
    ) -> tuple[ProtectedEntry, ...] | NotModerator:
        """What is protected here; from the terminal, in all workspaces or the named one."""
        if not origin.is_moderator:
            return NotModerator()
        return await self._protections.entries(sees(origin) or workspace_id or None)

    async def remove(self, origin: Origin, entry_id: str) -> ProtectedEntry | NotModerator:
        """End a protection.

        Raises:
            ProtectedError: no such entry here.
        """
        if not origin.is_moderator:
            return NotModerator()
        actor = await subject_of(self._vault, origin)
        entry = await self._protections.remove(entry_id, actor=actor, workspace_id=sees(origin))
        await self._note(entry, "unprotected", actor)
        return entry

    async def _note(self, entry: ProtectedEntry, change: str, actor: str) -> None:
        public = {"change": change, "entry": entry.id, "what": entry.kind, "actor": actor}
        await self._ledger.append(
            EventKind.POLICY_CHANGED, subject="", public=public, entry_id=event_id(entry.id, change)
        )

    async def _search(self, entry: ProtectedEntry, hashes: Sequence[bytes]) -> tuple[list[Item], int]:
        """Past pictures of the workspace that the entry matches, and how many were looked at."""
        alone = ProtectedList([entry])
        homes: dict[str, str | None] = {}
        found: list[Item] = []
        searched, after = 0, -1
        while page := await self._gallery.page(after=after):
            after = page[-1].leaf_index
            here = [image for image in page if await self._home(image.subject, homes) == entry.workspace_id]
            searched += len(here)
            if entry.kind == "image":
                hits = [image for image in here if image.pdq is not None and _alike(image.pdq, hashes)]
            else:
                prompts = await self._prompts(here)
                named = await asyncio.to_thread(_named(alone), prompts)
                hits = [image for image in here if image.image_id in named]
            found += [
                Item(image_id=hit.image_id, job_id=hit.job_id, subject=hit.subject, why=entry.kind)
                for hit in hits
            ]
        return found, searched

    async def _prompts(self, images: Sequence[GalleryImage]) -> dict[str, str]:
        """The prompts as the ledger committed to them, by image id; erased and expired ones are left out."""
        try:
            openings = await self._ledger.openings([image.image_id for image in images])
        except ErasedError:  # somebody left while we read: one by one
            openings = {}
            for image in images:
                if not await self._vault.erased(image.subject):
                    openings |= await self._ledger.openings([image.image_id])
        return {image_id: opening.fields.get("prompt", "") for image_id, opening in openings.items()}

    async def _home(self, subject: str, homes: dict[str, str | None]) -> str | None:
        if subject not in homes:
            try:
                homes[subject] = (await self._vault.identity(subject)).workspace_id
            except (ErasedError, VaultError):  # nobody knows any more whose it was
                homes[subject] = None
        return homes[subject]


def workspace_of(origin: Origin, named: str) -> str:
    """The workspace that a moderator acts in: their own; whoever has the shell may name another."""
    return named if named and origin.platform == "terminal" else origin.workspace_id


def _alike(stored: bytes, hashes: Sequence[bytes]) -> bool:
    known = np.frombuffer(b"".join(hashes), dtype=np.uint64).reshape(-1, 4)
    distances = np.bitwise_count(known ^ np.frombuffer(stored, dtype=np.uint64)).sum(axis=1, dtype=np.uint16)
    return bool((distances <= THRESHOLD).any())


def _named(entries: ProtectedList) -> Callable[[dict[str, str]], set[str]]:
    def search(prompts: dict[str, str]) -> set[str]:
        return {image_id for image_id, prompt in prompts.items() if entries.find(normalize(prompt))}

    return search
