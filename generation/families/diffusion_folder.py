"""Loads a model folder as `StableDiffusionPipeline.save_pretrained` writes it. Safetensors only."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch

from generation.card import ModelCard
from generation.errors import GenerationError, ModelLoadError, OutOfMemoryError
from generation.families.noise_schedulers import NoiseScheduler
from generation.families.offline import quiet_and_offline

COMPONENTS = ("tokenizer", "text_encoder", "unet", "vae", "scheduler")
_WITH_WEIGHTS = ("text_encoder", "unet", "vae")
_PICKLES = frozenset({".bin", ".ckpt", ".pt", ".pth", ".pkl", ".pickle"})
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


def load_components(card: ModelCard, *, device: str) -> Components:
    """Load every component: float16 on CUDA, float32 elsewhere.

    Args:
        card: its folder holds tokenizer/, text_encoder/, unet/, vae/ and scheduler/; `options["variant"]`
            chooses files such as `*.fp16.safetensors`.
        device: "cpu", "cuda" or "cuda:1".

    Raises:
        ModelLoadError: something is missing, damaged or of a refused kind.
        OutOfMemoryError: the device is too small.
    """
    check_layout(card)
    quiet_and_offline()
    import diffusers  # noqa: PLC0415 - heavy, and only after `quiet_and_offline`
    import transformers  # noqa: PLC0415

    dtype = torch.float16 if device.startswith("cuda") else torch.float32
    weights: dict[str, Any] = {
        "use_safetensors": True,
        "local_files_only": True,
        "output_loading_info": True,
        "variant": card.options.get("variant"),
    }
    folder = card.folder
    load_tokenizer: _Load = transformers.CLIPTokenizer.from_pretrained
    load_text_encoder: _Load = transformers.CLIPTextModel.from_pretrained
    load_unet: _Load = diffusers.UNet2DConditionModel.from_pretrained
    load_vae: _Load = diffusers.AutoencoderKL.from_pretrained
    return Components(
        tokenizer=_attempt(
            card,
            "tokenizer",
            lambda: load_tokenizer(folder / "tokenizer", local_files_only=True),
        ),
        text_encoder=_attempt(
            card,
            "text_encoder",
            lambda: _placed(load_text_encoder(folder / "text_encoder", dtype=dtype, **weights), device),
        ),
        unet=_attempt(
            card, "unet", lambda: _placed(load_unet(folder / "unet", torch_dtype=dtype, **weights), device)
        ),
        vae=_attempt(
            card, "vae", lambda: _placed(load_vae(folder / "vae", torch_dtype=dtype, **weights), device)
        ),
        noise_scheduler=_attempt(card, "scheduler", lambda: _noise_scheduler(card)),
        device=torch.device(device),
        dtype=dtype,
    )


def check_layout(card: ModelCard) -> None:
    """Look at the folder before any library touches it.

    Raises:
        ModelLoadError: a component is missing, or lies there as a pickle, which could run code when read.
    """
    for part in COMPONENTS:
        if not (card.folder / part).is_dir():
            raise ModelLoadError(card.id, f"the folder {part}/ is missing")
    for part in _WITH_WEIGHTS:
        files = sorted(path for path in (card.folder / part).iterdir() if path.is_file())
        pickles = [path.name for path in files if path.suffix in _PICKLES]
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


def _attempt(card: ModelCard, part: str, load: Callable[[], Part]) -> Part:
    try:
        return load()
    except (GenerationError, MemoryError):
        raise
    except torch.OutOfMemoryError as error:
        raise OutOfMemoryError(f"model {card.id!r} does not fit the device") from error
    except Exception as error:  # on damaged files the libraries raise whatever they stumble over
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise ModelLoadError(card.id, f"{part}: {lines[0][:_REASON_LENGTH]}") from error
