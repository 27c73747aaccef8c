"""What is recorded about a released image: in the open, committed to, and sealed."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import rfc8785

from attribution.errors import RecordError, VaultError
from attribution.fingerprints import PdqHash
from attribution.receipt import Receipt

Json = str | int | float | bool | Sequence["Json"] | Mapping[str, "Json"] | None


@dataclass(frozen=True, kw_only=True, slots=True)
class ReleaseDraft:
    """Everything that is recorded about an image whose signed and sealed file is stored already."""

    image_id: str  # 16 hex digits; also the id of the ledger entry, and the record id in the manifest
    job_id: str
    index: int  # 0-based place in the job
    subject: str
    blob: str  # where the sealed PNG lies
    sha256: str  # hex, of the signed PNG as posted
    pixels_sha256: str  # hex, of the drawn RGB before any mark
    posted_pixels_sha256: str  # hex, of the RGB in the signed PNG
    pdq: PdqHash | None  # of the posted pixels
    mark_id: str | None = None  # of the mark in the posted pixels
    keypoints: bytes = field(default=b"", repr=False)  # of the posted pixels, see `KeyPoints.to_bytes`
    width: int
    height: int
    model_id: str
    model_revision: str
    weights_sha256: str
    license_id: str
    license_version: str
    license_text_sha256: str  # of the accepted terms
    prompt: str = field(repr=False)
    negative_prompt: str = field(default="", repr=False)
    seed: int
    num_inference_steps: int
    guidance_scale: float
    credits: Sequence[Mapping[str, Json]] = ()
    profile: Mapping[str, Json] = field(default_factory=dict)  # what a replay needs
    moderation: Sequence[Mapping[str, Json]] = ()  # the decisions that let it pass
    sidecar: bytes = field(default=b"", repr=False)  # the C2PA manifest on its own
    source_sha256: str = ""  # hex, of the file that the drawing started from
    mask_sha256: str = ""  # hex, of the file that said where to draw


@dataclass(frozen=True, kw_only=True, slots=True)
class Release:
    """A released image. After an erasure only ids, sizes, times and the receipt are left."""

    image_id: str
    job_id: str
    index: int
    subject: str
    blob: str
    sha256: str
    pixels_sha256: str
    pdq: str | None  # hex
    pdq_quality: int
    width: int
    height: int
    model_id: str
    license_id: str
    license_version: str
    entry_id: str
    receipt: Receipt
    created_ms: int
    posted: bytes | None  # sealed reference to the message
    deleted_ms: int | None

    @property
    def deleted(self) -> bool:
        """Whether the posted image was taken back."""
        return self.deleted_ms is not None


@dataclass(frozen=True, kw_only=True, slots=True)
class ReleaseDetails:
    """The sealed part of a row: exactly the bytes whose digests the entry committed to."""

    credits: bytes  # canonical JSON
    profile: bytes  # canonical JSON
    moderation: bytes  # canonical JSON
    sidecar: bytes


def canonical_json(value: Json) -> bytes:
    """RFC 8785 JSON.

    Raises:
        RecordError: the value holds something that JSON cannot say exactly.
    """
    try:
        return rfc8785.dumps(value)
    except (ValueError, TypeError, RecursionError) as error:
        raise RecordError(f"this cannot be written as canonical JSON: {error}") from error


def public_facts(draft: ReleaseDraft) -> dict[str, str | int]:
    """What the ledger entry says in the open."""
    return {
        "job_id": draft.job_id,
        "image_id": draft.image_id,
        "index": draft.index,
        "width": draft.width,
        "height": draft.height,
        "model_id": draft.model_id,
        "license_id": draft.license_id,
        "license_version": draft.license_version,
    }


def private_facts(draft: ReleaseDraft, texts: Mapping[str, bytes]) -> dict[str, str]:
    """What the ledger entry commits to and keeps sealed; `texts` as `pack` gets them."""
    return {
        "sha256": draft.sha256,
        "pixels_sha256": draft.pixels_sha256,
        "posted_pixels_sha256": draft.posted_pixels_sha256,
        "pdq": draft.pdq.hex if draft.pdq else "",
        "model_revision": draft.model_revision,
        "weights_sha256": draft.weights_sha256,
        "license_text_sha256": draft.license_text_sha256,
        "prompt": draft.prompt,
        "negative_prompt": draft.negative_prompt,
        "seed": str(draft.seed),
        "num_inference_steps": str(draft.num_inference_steps),
        "guidance_scale": repr(float(draft.guidance_scale)),
        "sidecar_sha256": _digest(draft.sidecar),
        **({"mark_id": draft.mark_id} if draft.mark_id else {}),
        **({"source_sha256": draft.source_sha256} if draft.source_sha256 else {}),
        **({"mask_sha256": draft.mask_sha256} if draft.mask_sha256 else {}),
        **{f"{name}_sha256": _digest(text) for name, text in texts.items()},
    }


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def pack(texts: Mapping[str, bytes], sidecar: bytes) -> bytes:
    """The sealed part of a row: canonical texts by name, and the manifest."""
    values = {name: text.decode() for name, text in texts.items()}
    return rfc8785.dumps({**values, "sidecar": base64.b64encode(sidecar).decode()})


def unpack(data: bytes) -> ReleaseDetails:
    """Read what `pack` wrote.

    Raises:
        VaultError: it is damaged.
    """
    try:
        values = json.loads(data)
        return ReleaseDetails(
            credits=values["credits"].encode(),
            profile=values["profile"].encode(),
            moderation=values["moderation"].encode(),
            sidecar=base64.b64decode(values["sidecar"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        raise VaultError("the sealed part of a release is damaged") from None
