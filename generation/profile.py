"""The execution profile: what must be equal for a replay of a job to give the same bits."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from generation.batching import Mode
from generation.card import ModelCard
from generation.families.base import Pixels
from generation.job import ImageRequest

_LIBRARIES = ("torch", "diffusers", "transformers", "numpy", "pillow")

Fact = str | int | float | bool | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """Where the engine runs, the same for all its pictures."""

    device: str  # "cpu", "cuda:0"
    device_name: str
    driver: str | None  # CUDA version that torch was built for
    cpu_capability: str  # the vector instructions that torch uses, e.g. "AVX2"
    threads: int
    system: str
    python: str
    libraries: Mapping[str, str]  # name -> version


@dataclass(frozen=True, kw_only=True, slots=True)
class ExecutionProfile:
    """How one picture came to be, in full."""

    model_id: str
    family: str
    revision: str
    weights_sha256: str
    machine: Machine
    mode: Mode
    rows: int  # of each forward
    seed: int  # of this picture
    width: int
    height: int
    num_inference_steps: int
    guidance_scale: float
    strength: float | None
    source: bool  # drawn from a source picture
    mask: bool = False  # and only where a mask was white
    extend: tuple[int, ...] = ()  # left, top, right, bottom: px drawn around the source picture
    facts: Mapping[str, Fact] = field(default_factory=dict)  # the family's own: `LoadedModel.facts`
    pixels_sha256: str  # of the RGB bytes, row-major

    def to_json(self) -> dict[str, object]:
        """As JSON values; the family's facts stand beside the rest."""
        values = asdict(self)
        facts = values.pop("facts")
        extend = values.pop("extend")
        return {**facts, **values, **({"extend": list(extend)} if extend else {})}


def pixels_sha256(pixels: Pixels) -> str:
    """Hex digest of (H, W, 3) 8-bit pixels, row-major."""
    return hashlib.sha256(pixels.tobytes()).hexdigest()


def profile_of(
    card: ModelCard,
    request: ImageRequest,
    *,
    index: int,
    machine: Machine,
    mode: Mode,
    rows: int,
    facts: Mapping[str, Fact],
    pixels: Pixels,
) -> ExecutionProfile:
    """Put together the profile of picture `index`."""
    return ExecutionProfile(
        model_id=card.id,
        family=card.family,
        revision=card.revision,
        weights_sha256=card.weights_sha256,
        machine=machine,
        mode=mode,
        rows=rows,
        seed=request.seed + index,
        width=request.width,
        height=request.height,
        num_inference_steps=request.num_inference_steps,
        guidance_scale=request.guidance_scale,
        strength=request.strength,
        source=request.source_blob is not None,
        mask=request.mask_blob is not None,
        extend=request.extend,
        facts=facts,
        pixels_sha256=pixels_sha256(pixels),
    )


def prepare_machine(*, device: str, threads: int) -> Machine:
    """Settle what would otherwise change bits from run to run, and describe the result. Imports torch.

    Call it on the thread that will draw: torch's number of threads holds for the calling thread.
    """
    os.environ.setdefault(
        "CUBLAS_WORKSPACE_CONFIG", ":4096:8"
    )  # cuBLAS is deterministic only with a fixed one
    import torch  # noqa: PLC0415 - heavy

    torch.set_num_threads(threads)
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    on_cuda = device.startswith("cuda")
    return Machine(
        device=device,
        device_name=torch.cuda.get_device_name(device) if on_cuda else platform.machine(),
        driver=torch.version.cuda if on_cuda else None,
        cpu_capability=torch.backends.cpu.get_cpu_capability(),
        threads=threads,
        system=platform.system(),
        python=platform.python_version(),
        libraries={name: importlib.metadata.version(name) for name in _LIBRARIES},
    )


def best_device() -> str:
    """The GPU where torch sees one, else the CPU. Imports torch."""
    import torch  # noqa: PLC0415 - heavy

    return "cuda" if torch.cuda.is_available() else "cpu"
