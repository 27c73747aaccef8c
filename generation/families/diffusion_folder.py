"""Loads a model folder as a diffusers pipeline's `save_pretrained` writes it. Safetensors only."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import torch

from generation.card import ModelCard
from generation.errors import GenerationError, ModelLoadError, OutOfMemoryError
from generation.families.noise_schedulers import NoiseScheduler
from generation.families.offline import quiet_and_offline

_STABLE_DIFFUSION: Mapping[str, str] = {
    "tokenizer": "transformers.CLIPTokenizer",
    "text_encoder": "transformers.CLIPTextModel",
    "unet": "diffusers.UNet2DConditionModel",
    "vae": "diffusers.AutoencoderKL",
}
PICKLES = frozenset({".bin", ".ckpt", ".pt", ".pth", ".pkl", ".pickle"})
_REASON_LENGTH = 300

Part = TypeVar("Part")
_Load = Callable[..., Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Components:
    """The parts of a Stable Diffusion model, in memory and ready for inference."""

    # The libraries' own types cannot be checked: their classes are built by mixins at run time.
    tokenizer: Any  # transformers.CLIPTokenizer
    text_encoder: Any  # transformers.CLIPTextModel
    unet: Any  # diffusers.UNet2DConditionModel
    vae: Any  # diffusers.AutoencoderKL
    noise_scheduler: NoiseScheduler  # a template: each picture gets a copy
    device: torch.device
    dtype: torch.dtype
    more: Mapping[str, Any] = field(default_factory=dict)  # parts that only some families have

    def as_parts(self) -> dict[str, Any]:
        """By the names of the folders, as diffusers' pipelines take them."""
        own = {name: getattr(self, name) for name in _STABLE_DIFFUSION}
        return {**own, **self.more, "scheduler": self.noise_scheduler}


def load_components(card: ModelCard, *, device: str, more: Mapping[str, str] | None = None) -> Components:
    """Load every component of a model with a U-Net: float16 on CUDA, float32 elsewhere.

    Args:
        card: its folder holds tokenizer/, text_encoder/, unet/, vae/ and scheduler/; `options["variant"]`
            chooses files such as `*.fp16.safetensors`.
        device: "cpu", "cuda" or "cuda:1".
        more: further folders -> "library.Class".

    Raises:
        ModelLoadError: something is missing, damaged or of a refused kind.
        OutOfMemoryError: the device is too small.
    """
    dtype = torch.float16 if device.startswith("cuda") else torch.float32
    parts = load_parts(card, {**_STABLE_DIFFUSION, **(more or {})}, device=device, dtype=dtype)
    own = {name: parts[name] for name in _STABLE_DIFFUSION}
    return Components(
        **own,
        noise_scheduler=parts["scheduler"],
        device=torch.device(device),
        dtype=dtype,
        more={name: part for name, part in parts.items() if name not in own and name != "scheduler"},
    )


def load_parts(
    card: ModelCard, classes: Mapping[str, str], *, device: str, dtype: torch.dtype
) -> dict[str, Any]:
    """Load the named parts and the noise scheduler of a model folder.

    Args:
        card: of the model.
        classes: folder -> "diffusers.Class" or "transformers.Class"; a folder whose name starts with
            "tokenizer" holds no weights.
        device: "cpu", "cuda" or "cuda:1".
        dtype: of the weights.

    Returns:
        Folder -> part, and "scheduler".

    Raises:
        ModelLoadError: something is missing, damaged or of a refused kind.
        OutOfMemoryError: the device is too small.
    """
    check_layout(card, tuple(classes))
    quiet_and_offline()
    parts: dict[str, Any] = {}
    for name, path in classes.items():
        load = partial(_load_part, card, name, path, device=device, dtype=dtype)
        parts[name] = attempt(card, name, load)
    return {**parts, "scheduler": attempt(card, "scheduler", lambda: _noise_scheduler(card))}


def _load_part(card: ModelCard, name: str, path: str, *, device: str, dtype: torch.dtype) -> object:
    library, class_name = path.split(".")
    load: _Load = getattr(importlib.import_module(library), class_name).from_pretrained
    if name.startswith("tokenizer"):
        tokenizer: object = load(card.folder / name, local_files_only=True)
        return tokenizer
    loaded = load(
        card.folder / name,
        use_safetensors=True,
        local_files_only=True,
        output_loading_info=True,
        variant=card.options.get("variant"),
        **{"torch_dtype" if library == "diffusers" else "dtype": dtype},
    )
    part: object = _placed(loaded, device)
    return part


def check_layout(card: ModelCard, parts: tuple[str, ...]) -> None:
    """Look at the folder before any library touches it.

    Raises:
        ModelLoadError: a component is missing, or lies there as a pickle, which could run code when read.
    """
    for part in (*parts, "scheduler"):
        if not (card.folder / part).is_dir():
            raise ModelLoadError(card.id, f"the folder {part}/ is missing")
    for part in parts:
        if part.startswith("tokenizer"):
            continue
        files = sorted(path for path in (card.folder / part).iterdir() if path.is_file())
        pickles = [path.name for path in files if path.suffix in PICKLES]
        if pickles:
            raise ModelLoadError(
                card.id,
                f"{part}/{pickles[0]} is a pickle, which can run code: only safetensors are loaded; "
                "convert it or remove it",
            )
        if not any(path.suffix == ".safetensors" for path in files):
            raise ModelLoadError(card.id, f"{part}/ holds no .safetensors file")
        if not (card.folder / part / "config.json").is_file():
            raise ModelLoadError(card.id, f"{part}/config.json is missing")


def read_index(card: ModelCard) -> dict[str, object]:
    """The folder's `model_index.json`; empty if there is none.

    Raises:
        ModelLoadError: it is no JSON object.
    """
    path = card.folder / "model_index.json"
    if not path.is_file():
        return {}
    index = attempt(card, "model_index.json", lambda: json.loads(path.read_text(encoding="utf-8")))
    if not isinstance(index, dict):
        raise ModelLoadError(card.id, "model_index.json: not a JSON object")
    return index


def _noise_scheduler(card: ModelCard) -> NoiseScheduler:
    import diffusers  # noqa: PLC0415 - heavy, and only after `quiet_and_offline`
    from diffusers.schedulers.scheduling_utils import SchedulerMixin  # noqa: PLC0415

    folder = card.folder / "scheduler"
    name = json.loads((folder / "scheduler_config.json").read_text(encoding="utf-8"))["_class_name"]
    scheduler_class = getattr(diffusers, name, None) if isinstance(name, str) else None
    if not (isinstance(scheduler_class, type) and issubclass(scheduler_class, SchedulerMixin)):
        raise ModelLoadError(card.id, f"scheduler: {name!r} is not a noise scheduler of diffusers")
    load: _Load = scheduler_class.from_pretrained
    scheduler: NoiseScheduler = load(folder, local_files_only=True)
    return scheduler


def _placed(loaded: tuple[Part, dict[str, list[object]]], device: str) -> Part:
    """Check the loader's report, otherwise only a warning, and bring the model to its device."""
    model, report = loaded
    for problem in ("missing_keys", "mismatched_keys", "error_msgs"):
        if report.get(problem):
            first = min(str(entry) for entry in report[problem])
            raise ValueError(f"{problem.replace('_', ' ')}: {first}")
    placed: Part = model.eval().requires_grad_(False).to(device)  # type: ignore[attr-defined]
    return placed


def attempt(card: ModelCard, part: str, load: Callable[[], Part]) -> Part:
    """Load a part; whatever breaks becomes one of our errors, in one line.

    Raises:
        ModelLoadError: it cannot be loaded.
        OutOfMemoryError: the device is too small.
    """
    try:
        return load()
    except (GenerationError, MemoryError):
        raise
    except torch.OutOfMemoryError as error:
        raise OutOfMemoryError(f"model {card.id!r} does not fit the device") from error
    except Exception as error:  # on damaged files the libraries raise whatever they stumble over
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise ModelLoadError(card.id, f"{part}: {lines[0][:_REASON_LENGTH]}") from error
