"""Replaying evidence: the recorded request of a bundle drawn once more, and its pixels compared."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from attribution.errors import ErasedError, EvidenceError, VaultError
from attribution.standalone.verify import read_container
from attribution.vault import Vault
from attribution.verify import verify_bundle
from bot.errors import UsageError
from bot.usecases import ranking
from generation.blobs import BlobStore
from generation.catalog import Catalog
from generation.engine import Engine
from generation.errors import BlobMissingError, UnknownModelError
from generation.job import ImageRequest
from generation.upscaling import card_of

_KEYS = ("revision", "weights_sha256")


@dataclass(frozen=True, kw_only=True, slots=True)
class Given:
    """The files that a job started from; None: it had none, or it is not at hand."""

    source: bytes | None = field(default=None, repr=False)
    mask: bytes | None = field(default=None, repr=False)  # white where to draw


@dataclass(frozen=True, kw_only=True, slots=True)
class Recorded:
    """What a bundle says about how its image was drawn."""

    image_id: str
    subject: str  # pseudonym of who asked
    index: int  # 0-based place in the job
    request: ImageRequest
    pixels_sha256: str  # hex, of the drawn RGB before any mark
    profile: Mapping[str, object]
    given: Given = field(repr=False)  # of what the bundle itself holds


@dataclass(frozen=True, kw_only=True, slots=True)
class Redrawn:
    """How the second drawing compares with the recorded one."""

    image_id: str
    recorded_sha256: str
    drawn_sha256: str
    differences: tuple[str, ...]  # facts of the profile that are not as they were, e.g. "machine.threads"

    @property
    def same(self) -> bool:
        """Whether the pixels are equal, bit for bit."""
        return self.recorded_sha256 == self.drawn_sha256


def read_recorded(bundle: bytes, *, trust: str | None = None) -> Recorded:
    """Read what is to be drawn from a bundle that holds.

    Raises:
        BundleError, EvidenceError: the bundle does not hold, or lacks what a replay needs.
    """
    checklist = verify_bundle(bundle, trust)
    if not checklist.ok:
        failed = next(step for step in checklist.steps if not step.ok)
        raise EvidenceError(f"the bundle does not hold: {failed.title}: {failed.detail}")
    members, _ = read_container(bundle)
    try:
        fields = json.loads(members["commitments.json"])["fields"]
        profile = json.loads(members["profile.json"])
        if profile.get("replayable") is False:
            raise EvidenceError("an image server drew it, another program: nothing here can draw it again")
        entry = json.loads(members["record.json"])["entry"]
        public, subject = entry["public"], entry["subject"]
        steps = json.loads(members["lineage.json"])["steps"]
        asked = _asked(steps, str(public["job_id"]))
        source, mask = (str(asked.get(name, "")) or None for name in ("source", "mask"))
        if (profile.get("mask") and mask is None) or (profile.get("source") and source is None):
            raise EvidenceError("it was made from a picture or a mask that the record does not name")
        strength = profile.get("strength")
        request = ImageRequest(
            prompt=str(fields["prompt"]),
            negative_prompt=str(fields.get("negative_prompt", "")),
            model_id=str(public["model_id"]),
            width=int(profile["width"]),
            height=int(profile["height"]),
            seed=int(asked["seed"]),
            count=int(asked.get("count", "1")),
            num_inference_steps=int(profile["num_inference_steps"]),
            guidance_scale=float(profile["guidance_scale"]),
            strength=None if strength is None else float(strength),
            source_blob=source,
            mask_blob=mask,
            upscale=int(asked.get("upscale", "0")),
            extend=tuple(int(side) for side in asked.get("extend", "").split(",") if side),
        )
        return Recorded(
            image_id=str(public["image_id"]),
            subject=str(subject),
            index=int(public["index"]),
            request=request,
            pixels_sha256=str(fields["pixels_sha256"]),
            profile=profile,
            given=Given(source=members.get("source.png"), mask=members.get("mask.png")),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise EvidenceError(f"the bundle lacks what a replay needs ({error})") from error


def check_model(catalog: Catalog, recorded: Recorded) -> None:
    """Refuse to replay with another model than the recorded one.

    Raises:
        UsageError: the catalog has no such model, or another revision or other weights of it.
    """
    try:
        card = card_of(catalog.get(recorded.request.model_id), recorded.request)
    except UnknownModelError:
        raise UsageError(
            f"The image was drawn by {recorded.request.model_id!r}, which is not in the catalog here.",
            field="replay",
        ) from None
    here: Mapping[str, object] = {"revision": card.revision, "weights_sha256": card.weights_sha256}
    other = [name for name in _KEYS if here[name] != recorded.profile.get(name)]
    if other:
        raise UsageError(
            f"{card.id} is here in another state than the recorded one: {', '.join(other)} differ.",
            field="replay",
        )


async def given_of(recorded: Recorded, *, blobs: BlobStore, vault: Vault) -> Given:
    """The picture and the mask that the job started from: out of the bundle, else as they are kept here.

    The record commits to what is in the bundle, and to the id of the stored file, which is its digest: it is
    these files and no others.

    Raises:
        UsageError: one of them is kept no longer, or its owner was erased.
    """

    async def file(held: bytes | None, blob: str | None) -> bytes | None:
        if held is not None or blob is None:
            return held
        try:
            return await vault.unseal(recorded.subject, await blobs.get(blob))
        except (BlobMissingError, VaultError, ErasedError):
            raise UsageError(
                "The image was made from another picture, which is not kept here any more.", field="replay"
            ) from None

    request = recorded.request
    return Given(
        source=await file(recorded.given.source, request.source_blob),
        mask=await file(recorded.given.mask, request.mask_blob),
    )


async def redraw(engine: Engine, recorded: Recorded, *, given: Given) -> Redrawn:
    """Draw the whole job again and compare the image's pixels; `given`: what it started from.

    Raises:
        GenerationError: it cannot be drawn.
    """
    images = await engine.generate(recorded.request, source=given.source, mask=given.mask)
    image = next(one for one in images if one.index == recorded.index)
    # How well a picture fits its words is noted after it is drawn, and no part of drawing it again.
    stated = {name: fact for name, fact in recorded.profile.items() if name != ranking.KEY}
    return Redrawn(
        image_id=recorded.image_id,
        recorded_sha256=recorded.pixels_sha256,
        drawn_sha256=str(image.profile["pixels_sha256"]),
        differences=tuple(differences(stated, image.profile)),
    )


def differences(one: object, other: object, name: str = "") -> Sequence[str]:
    """Dotted names of the facts that two profiles state differently."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        found: list[str] = []
        for key in sorted({*one, *other}):
            found += differences(one.get(key), other.get(key), f"{name}.{key}" if name else str(key))
        return found
    plain = json.loads(json.dumps([one, other], default=str))
    return [] if plain[0] == plain[1] else [name]


def _asked(steps: Sequence[Mapping[str, object]], job_id: str) -> Mapping[str, str]:
    """The opened parameters of the accepted job."""
    for step in steps:
        entry, opening = step.get("entry"), step.get("opening")
        if not isinstance(entry, Mapping) or not isinstance(opening, Mapping):
            continue
        if entry.get("kind") == "job_accepted" and entry["public"].get("job_id") == job_id:
            fields = opening.get("fields")
            return fields if isinstance(fields, Mapping) else {}
    raise EvidenceError("the bundle does not open the parameters of the job")
