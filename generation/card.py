"""What is known about one model: where it lies, which bytes it is, what it may be asked for, its license."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from generation.errors import ModelLoadError, RequestLimitError
from generation.image_server import ImageServer
from generation.job import ImageRequest

WEIGHT_SUFFIXES = frozenset(
    {".safetensors", ".json", ".txt", ".jinja", ".model", ".npz", ".npy", ".param", ".bin", ".xz", ".zip"}
)
"""Files that decide what a model draws: weights, configurations, vocabularies, reference pictures."""

MAX_PROMPT_CHARACTERS = 2000
MAX_COUNT = 4
MAX_SEED = 2**63 - 1 - MAX_COUNT  # seed + index must still fit a signed 64-bit column
MAX_GUIDANCE = 50.0
UPSCALES = (2, 4)
MIN_INSIDE = 64  # px of an edge of the picture on the canvas of out-painting
MAX_UPSCALED = 2048  # px of an edge of an enlarged picture


@dataclass(frozen=True, kw_only=True, slots=True)
class Lora:
    """A low-rank change of a model's weights (Hu et al., arXiv:2106.09685), merged at its loading."""

    name: str
    file: Path  # absolute, .safetensors
    weight: float  # 1.0: as trained
    license_id: str  # SPDX id or LicenseRef-..., resolved by attribution


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelCard:
    """One entry of the catalog."""

    id: str
    name: str
    family: str  # key in `generation.families.FAMILIES`
    folder: Path  # absolute
    revision: str
    weights_sha256: str  # hex; equals `digest()`. Empty: a server draws, and its weights are not known
    license_id: str  # SPDX id or LicenseRef-..., resolved by attribution
    width: int  # native size, px
    height: int
    max_pixels: int  # width * height of one picture
    default_steps: int
    max_steps: int
    default_guidance: float
    aspects: Mapping[str, tuple[int, int]]  # "3:2" -> (width, height); always has "1:1"
    description: str = ""
    enabled: bool = True
    options: Mapping[str, str | int | float | bool] = field(default_factory=dict)  # the family's own settings
    loras: tuple[Lora, ...] = ()  # in the order in which they are merged
    abilities: frozenset[str] = frozenset({"img2img"})  # of "img2img", "inpaint", besides text-to-image
    negative_guidance: float | None = None  # of requests with a negative prompt, which nothing else heeds
    server: ImageServer | None = None  # draws in place of weights in `folder`

    def digest(self) -> str:
        """The digest of the weights as they lie there now; empty where a server draws.

        Raises:
            ModelLoadError: as `weights_digest`.
        """
        return "" if self.server is not None else weights_digest(self.folder, self.loras)

    def guidance_for(self, negative_prompt: str) -> float:
        """The guidance of a request that names none."""
        if negative_prompt and self.negative_guidance is not None:
            return self.negative_guidance
        return self.default_guidance

    def check(self, request: ImageRequest) -> None:
        """Refuse what this model may not be asked for.

        Raises:
            RequestLimitError: the prompt, size, count, steps, guidance, strength or seed is out of bounds.
        """
        for name, words in (("prompt", request.prompt), ("negative_prompt", request.negative_prompt)):
            if len(words) > MAX_PROMPT_CHARACTERS:
                raise RequestLimitError(
                    field=name, value=f"{len(words)} characters", limit=f"at most {MAX_PROMPT_CHARACTERS}"
                )
        if not request.prompt.strip():
            raise RequestLimitError(field="prompt", value="", limit="must not be empty")
        size = (request.width, request.height)
        if request.upscale:
            _check_upscale(request)
        elif size not in self.aspects.values() and (
            min(size) < 64
            or any(edge % 8 for edge in size)
            or request.width * request.height > self.max_pixels
        ):
            raise RequestLimitError(
                field="size",
                value=f"{request.width}x{request.height}",
                limit=f"edges are multiples of 8, at least 64, together at most {self.max_pixels} pixels",
            )
        _within("count", request.count, 1, MAX_COUNT)
        _within("num_inference_steps", request.num_inference_steps, 1, self.max_steps)
        _within("seed", request.seed, 0, MAX_SEED)
        _within("guidance_scale", request.guidance_scale, 0.0, MAX_GUIDANCE)
        if request.strength is not None:
            _within("strength", request.strength, 0.0, 1.0)
        if request.extend:
            _check_extension(request)
        if not request.upscale:
            self._check_abilities(request)

    def _check_abilities(self, request: ImageRequest) -> None:
        if request.mask_blob is not None and request.source_blob is None:
            raise RequestLimitError(field="mask", value="", limit="needs a source picture")
        ability = "inpaint" if request.mask_blob else "img2img" if request.source_blob else None
        if request.extend and "inpaint" in self.abilities:
            ability = "inpaint"
        if ability is not None and ability not in self.abilities:
            field_name = "mask" if ability == "inpaint" else "source"
            raise RequestLimitError(field=field_name, value="", limit=f"model {self.id} cannot do this")


def _within(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:  # NaN is in no interval
        raise RequestLimitError(field=name, value=value, limit=f"between {low} and {high}")


def _check_extension(request: ImageRequest) -> None:
    left, top, right, bottom = request.extend
    if request.source_blob is None or request.mask_blob is not None or request.upscale:
        raise RequestLimitError(field="extend", value="", limit="needs a source picture, and no mask")
    inside = min(request.width - left - right, request.height - top - bottom)
    if min(request.extend) < 0 or not any(request.extend) or inside < MIN_INSIDE:
        raise RequestLimitError(
            field="extend",
            value=", ".join(map(str, request.extend)),
            limit=f"something is added to a side, and at least {MIN_INSIDE} px of the picture are left",
        )


def _check_upscale(request: ImageRequest) -> None:
    if request.upscale not in UPSCALES or request.source_blob is None or request.count != 1:
        raise RequestLimitError(
            field="upscale", value=request.upscale, limit="one picture is enlarged 2 or 4 times"
        )
    if min(request.width, request.height) < 1 or max(request.width, request.height) > MAX_UPSCALED:
        raise RequestLimitError(
            field="size",
            value=f"{request.width}x{request.height}",
            limit=f"an enlarged picture has at most {MAX_UPSCALED} px on an edge",
        )


def weight_files(folder: Path) -> tuple[Path, ...]:
    """The files of a model folder that decide what it draws, sorted by relative POSIX path."""
    found = (
        path
        for path in folder.rglob("*")
        if path.suffix in WEIGHT_SUFFIXES
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
    return tuple(sorted(found, key=lambda path: path.relative_to(folder).as_posix()))


def weights_digest(folder: Path, loras: Sequence[Lora] = ()) -> str:
    """Name the exact bytes of a model.

    Returns:
        The hex SHA-256 over the lines `(relative path) NUL (sha256 hex) LF` of `weight_files(folder)`, then
        `lora NUL (weight) NUL (sha256 hex) LF` of each LoRA.

    Raises:
        ModelLoadError: the folder holds no weight files, or one cannot be read.
    """
    total = hashlib.sha256()
    files = weight_files(folder)
    if not files:
        raise ModelLoadError(folder.name, f"the folder {folder} holds no weight files")
    for path in files:
        total.update(f"{path.relative_to(folder).as_posix()}\0{_file_sha256(folder, path)}\n".encode())
    for lora in loras:
        total.update(f"lora\0{lora.weight!r}\0{_file_sha256(folder, lora.file)}\n".encode())
    return total.hexdigest()


def _file_sha256(folder: Path, path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise ModelLoadError(folder.name, f"{path.name} cannot be read: {error.strerror}") from error
