"""Merges a card's LoRAs into a loaded model, by diffusers' own loader. Safetensors only."""

from __future__ import annotations

from typing import Any

from generation.card import ModelCard
from generation.errors import GenerationError, ModelLoadError


def merge_loras(card: ModelCard, pipeline: Any) -> None:  # noqa: ANN401 - diffusers' classes are untyped
    """Merge each LoRA of the card into the weights of a pipeline's parts, in order.

    Merged, they cost nothing per step, and a picture's bits depend on the card alone.

    Raises:
        ModelLoadError: a file is damaged, or is for another kind of model.
    """
    for lora in card.loras:
        try:
            _merge(pipeline, lora.file.parent, lora.file.name, lora.weight)
        except GenerationError:
            raise
        except Exception as error:  # on damaged files the libraries raise whatever they stumble over
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise ModelLoadError(card.id, f"LoRA {lora.name}: {reason[:300]}") from error


def _merge(pipeline: Any, folder: object, name: str, weight: float) -> None:  # noqa: ANN401
    pipeline.load_lora_weights(folder, weight_name=name, local_files_only=True, use_safetensors=True)
    touched = [part for part, adapters in pipeline.get_list_adapters().items() if adapters]
    if not touched:
        raise ValueError("it changes no weight of this model; it was made for another kind")
    pipeline.fuse_lora(components=touched, lora_scale=weight)
    pipeline.unload_lora_weights()


def lora_facts(card: ModelCard) -> dict[str, str]:
    """The card's LoRAs for a profile; their bytes are in its `weights_sha256`."""
    return {"loras": ", ".join(f"{lora.name} x {lora.weight:g}" for lora in card.loras)} if card.loras else {}
