"""The license card that goes with every picture: model, terms, credits, receipt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from attribution.licenses import License
from attribution.release_facts import Release
from bot.conversation import Field
from generation.catalog import ModelCard
from generation.job import Credit

MAX_CREDITS = 4  # named on the card; the record has them all
ENLARGER = "Real-ESRGAN animevideov3 (BSD-3-Clause)"


@dataclass(frozen=True, kw_only=True, slots=True)
class DrawnImage:
    """One picture that is ready to be shown."""

    release: Release
    png: bytes
    seed: int
    credits: tuple[Credit, ...]
    note: str | None
    similarity: float | None = None  # of picture and words, by the scorer that the record names; -1 to 1
    rank: int | None = None  # by similarity among the job's pictures, 1: the best


def card_fields(
    *, model: ModelCard, license_: License, images: Sequence[DrawnImage], upscaled: bool = False
) -> tuple[Field, ...]:
    """The license card that goes with every picture; `upscaled`: the request was to enlarge one."""
    fields = [
        Field(label="Model", value=f"{model.name} ({model.id}, revision {model.revision})"),
        Field(label="License", value=license_.name, url=license_.url),
        *(
            Field(label="LoRA", value=f"{lora.name}, weight {lora.weight:g} ({lora.license_id})")
            for lora in model.loras
        ),
    ]
    if upscaled or model.family == "sticker":  # stickers are drawn small
        fields.append(Field(label="Enlarged by", value=ENLARGER))
    if license_.notice:
        fields.append(Field(label="Notice", value=license_.notice))
    if license_.output:
        fields.append(Field(label="Your use", value=license_.output))
    lines = credit_lines(images)
    if lines:
        fields.append(Field(label="Drawn from", value="; ".join(lines)))
    receipts = ", ".join(f"{i.release.image_id} (leaf {i.release.receipt.leaf_index})" for i in images)
    fields.append(Field(label="AI-generated", value=f"seed {images[0].seed}; receipt {receipts}"))
    return tuple(fields)


def credit_lines(images: Sequence[DrawnImage]) -> tuple[str, ...]:
    """Each reference once, the largest share first."""
    seen: dict[str, float] = {}
    for credit in (credit for image in images for credit in image.credits):
        line = f"{credit.title} by {credit.author} ({credit.license})"
        seen[line] = max(seen.get(line, 0.0), credit.share)
    lines = sorted(seen, key=lambda line: -seen[line])
    rest = len(lines) - MAX_CREDITS
    return (*lines[:MAX_CREDITS], *((f"and {rest} more in the record",) if rest > 0 else ()))
