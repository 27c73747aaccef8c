"""What is read from a request before anything is decided: a checked command, scope, pseudonym, fields."""

from __future__ import annotations

import secrets
import time
import unicodedata
from collections.abc import Mapping
from dataclasses import replace

from attribution.vault import Vault
from bot.conversation import ImagineCommand, Origin
from bot.errors import UsageError
from generation.catalog import Catalog, ModelCard
from generation.errors import UnknownModelError
from generation.job import ImageRequest
from moderation.types import Scope

MAX_PROMPT = 2000  # characters
MAX_SEED = 2**32 - 1


def now_ms() -> int:
    """The time, Unix milliseconds."""
    return time.time_ns() // 1_000_000


def hours_from_now(hours: float) -> int:
    """A deadline, Unix milliseconds."""
    return now_ms() + round(hours * 3_600_000)


def clean_prompt(text: str, *, field: str = "prompt") -> str:
    """Strip what no reader can see: control characters, bidirectional overrides, lone surrogates.

    Raises:
        UsageError: the text is longer than 2,000 characters.
    """
    if len(text) > MAX_PROMPT:
        raise UsageError(
            f"The {field} has {len(text):,} characters; {MAX_PROMPT:,} is the most.", field=field
        )
    kept = []
    for char in text:
        kind = unicodedata.category(char)
        if kind in {"Cc", "Zl", "Zp"}:
            kept.append(" ")
        elif kind != "Cs" and char not in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff":
            kept.append(char)
    return " ".join("".join(kept).split())


def scope_of(origin: Origin) -> Scope:
    """The moderation scope of a place."""
    return Scope(
        platform=origin.platform, workspace_id=origin.workspace_id, age_restricted=origin.age_restricted
    )


async def subject_of(vault: Vault, origin: Origin) -> str:
    """The pseudonym of the person behind an origin, made on first sight."""
    return await vault.subject(origin.platform, origin.workspace_id, origin.user_id, name=origin.user_name)


def dedupe_key_of(origin: Origin) -> str:
    """The key under which one platform event is taken once."""
    return f"{origin.platform}:{origin.event_id}"


def request_fields(request: ImageRequest) -> Mapping[str, str]:
    """What a person chose, as committed fields of the ledger."""
    return {
        "prompt": request.prompt,
        "negative_prompt": request.negative_prompt,
        "seed": str(request.seed),
        "count": str(request.count),
        "size": f"{request.width}x{request.height}",
        "steps": str(request.num_inference_steps),
        "guidance_scale": str(request.guidance_scale),
        "strength": "" if request.strength is None else str(request.strength),
        **({"upscale": str(request.upscale)} if request.upscale else {}),
        **({"extend": ",".join(map(str, request.extend))} if request.extend else {}),
        **({"source": request.source_blob} if request.source_blob else {}),
        **({"mask": request.mask_blob} if request.mask_blob else {}),
    }


def checked(command: ImagineCommand, catalog: Catalog) -> tuple[ImagineCommand, ModelCard]:
    """The command with cleaned words, a seed and its model's id; and the model.

    Raises:
        UsageError: the command itself is wrong: empty or too long prompt, unknown model or aspect, ...
    """
    prompt = clean_prompt(command.prompt)
    if not prompt:
        raise UsageError("The prompt is empty: say what to draw.", field="prompt")
    negative = clean_prompt(command.negative_prompt, field="negative prompt")
    if not 1 <= command.count <= 4:
        raise UsageError("The count must be 1, 2, 3 or 4.", field="count")
    if command.seed is not None and not 0 <= command.seed <= MAX_SEED - 4:
        raise UsageError(f"The seed must be between 0 and {MAX_SEED - 4:,}.", field="seed")
    try:
        model = catalog.get(command.model_id)
    except UnknownModelError as error:
        known = ", ".join(error.known)
        raise UsageError(f"There is no model {command.model_id!r}. Known: {known}.", field="model") from None
    if command.aspect not in model.aspects:
        known = ", ".join(model.aspects)
        raise UsageError(f"The model draws these aspects: {known}.", field="aspect")
    seed = command.seed if command.seed is not None else secrets.randbelow(MAX_SEED - 4)
    chosen = _chosen(command) if command.chosen is None else command.chosen
    command = replace(command, prompt=prompt, negative_prompt=negative, seed=seed, model_id=model.id)
    return replace(command, chosen=chosen), model


def _chosen(command: ImagineCommand) -> str:
    """What a person set besides the words, before the rest is filled in; a further step has its own entry."""
    if command.step:
        return ""
    given = {
        "seed": "" if command.seed is None else command.seed,
        "count": "" if command.count == 1 else command.count,
        "aspect": "" if command.aspect == "1:1" else command.aspect,
        "model": command.model_id or "",
    }
    return ", ".join(f"{name} {value}" for name, value in given.items() if value != "")


def image_request(command: ImagineCommand, model: ModelCard) -> ImageRequest:
    """What the engine is asked for: a checked command with the model's own numbers."""
    width, height = command.size or model.aspects[command.aspect]
    return ImageRequest(
        prompt=command.prompt,
        negative_prompt=command.negative_prompt,
        model_id=model.id,
        width=width,
        height=height,
        seed=command.seed or 0,
        count=command.count,
        num_inference_steps=1 if command.upscale else model.default_steps,
        guidance_scale=1.0 if command.upscale else model.guidance_for(command.negative_prompt),
        strength=command.strength,
        source_blob=command.source_blob,
        mask_blob=command.mask_blob,
        upscale=command.upscale,
        extend=command.extend,
        step=command.step,
        source_images=command.source_images,
    )
