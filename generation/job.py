"""What one image request is, and what becomes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class JobStatus(StrEnum):
    """Where a job stands; the last three are final."""

    QUEUED = "queued"  # committed, waits for a worker
    RUNNING = "running"  # a worker holds its lease
    SUCCEEDED = "succeeded"  # every image is stored and on its way
    FAILED = "failed"  # out of attempts, or refused for good
    CANCELLED = "cancelled"  # a person stopped it

    @property
    def final(self) -> bool:
        """Whether the job can change no more."""
        return self in {JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED}


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageRequest:
    """What to draw: every field is needed to draw the same pixels again."""

    prompt: str
    negative_prompt: str = ""
    model_id: str
    width: int  # pixels of the finished image
    height: int
    seed: int  # image i of the job uses seed + i
    count: int = 1  # 1 to 4
    num_inference_steps: int
    guidance_scale: float
    strength: float | None = None  # None: the model's own default
    source_blob: str | None = None  # the source image of img2img, sealed for the requester
    mask_blob: str | None = None  # white where to draw; the rest of the source image stays
    noise_scheduler: str | None = None  # a name in `families.noise_schedulers`; None: the model's own
    extend: tuple[int, ...] = ()  # left, top, right, bottom: px drawn around the source picture
    upscale: int = 0  # 2 or 4: enlarge the source picture, and draw nothing
    step: str = ""  # "vary", "remix", "reroll", "blend", "extend", "inpaint", "upscale"; empty: asked anew
    source_images: tuple[str, ...] = ()  # ids of the released pictures that this one goes on from


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One accepted request, as the queue stores it."""

    id: str
    request: ImageRequest
    status: JobStatus
    workspace_id: str  # fairness unit: guild, team, or "terminal"
    user_id: str  # the requester's pseudonym, never a platform id
    reply_to: bytes  # opaque to the queue: where the answer goes
    attempt: int  # claims so far
    fence: int  # grows with each claim; a late worker's writes carry an old one
    cancel_requested: bool
    created_ms: int  # database time, Unix milliseconds
    error_code: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Credit:
    """One picture that a result rests on."""

    title: str
    author: str
    license: str  # SPDX id
    license_url: str
    source: str  # package and file, resolvable by a stranger
    share: float  # of the drawn area, 0..1


@dataclass(frozen=True, kw_only=True, slots=True)
class GeneratedImage:
    """One finished picture, before any mark or metadata."""

    index: int  # 0-based place in the job
    png: bytes
    seed: int
    width: int
    height: int
    credits: tuple[Credit, ...] = ()
    note: str | None = None  # honest remark for the reader, e.g. "I know no 'gryphon'; showing 'eagle'"
    profile: Mapping[str, object] = field(default_factory=dict)  # ExecutionProfile as JSON values


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredImage:
    """A generated picture whose sealed PNG lies in the blob store."""

    index: int
    blob: str  # id in the blob store
    seed: int
    width: int
    height: int
    pixels_sha256: str  # hex digest of the unmarked RGB bytes, row-major
    credits: tuple[Credit, ...]
    note: str | None
    profile: Mapping[str, object]
